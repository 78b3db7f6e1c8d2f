/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the host that talk with the hvsock device on a bench. */
#ifndef TESTS_DEV_HVSOCK_PROGRAM_H
#define TESTS_DEV_HVSOCK_PROGRAM_H

#include <stdbool.h>

struct bench;
struct sockaddr_un;

/* Lets the thread of the watches post, and runs it. */
void program_settle(struct bench *b);
/* A new stream socket and the address for this name. */
int program_socket(const char *name, struct sockaddr_un *a);
/* Connects, and has said this line. */
int program_new(struct bench *b, const char *path, const char *line);
bool program_has_something(int fd);
/* What the program reads next; "" when it is at its end, "-" when nothing
 * comes. */
const char *program_said(struct bench *b, int fd);

#endif
