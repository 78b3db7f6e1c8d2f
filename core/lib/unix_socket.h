/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets that belong to one user. */
#ifndef LIB_UNIX_SOCKET_H
#define LIB_UNIX_SOCKET_H

#include <glib.h>

/*
 * A listening socket, which only this user may connect to; -1 with one
 * sentence.  A socket that nobody listens on any more is replaced, another
 * file is not.  type: SOCK_STREAM, SOCK_SEQPACKET.
 */
int unix_socket_listen(const char *path, int type, GError **error);
/* Closes it and removes the file. */
void unix_socket_close(int fd, const char *path);
/* -1 with one sentence. */
int unix_socket_connect(const char *path, int type, GError **error);

#endif
