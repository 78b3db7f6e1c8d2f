/* SPDX-License-Identifier: Apache-2.0 */
/* What a port can be connected with.  Each connects it and is true, or is
 * false with one sentence. */
#ifndef CHAR_BACKENDS_H
#define CHAR_BACKENDS_H

#include "char/port.h"

/* Standard input and output; of one port in a process. */
bool stdio_open(struct char_port *p, GError **error);
/* A Unix socket that one client after the other connects to. */
bool socket_open(struct char_port *p, const char *path, GError **error);
/* Output only. */
bool file_open(struct char_port *p, const char *path, GError **error);

/*
 * What the user's "Ctrl-A x" does, on a thread of its own, which may not
 * close the port; without this SIGTERM is sent to the process.  Before the
 * port is opened.
 */
void stdio_on_quit(void (*fn)(void *opaque), void *opaque);

/* --- for tests -----------------------------------------------------------*/

/* The escape key of the terminal. */
enum escape_action {
    ESCAPE_NONE,
    ESCAPE_QUIT,
    ESCAPE_HELP,
    ESCAPE_BREAK,
};
struct escape {
    bool pending; /* the last byte was Ctrl-A */
};
/* Takes the escapes out of data, which becomes *n bytes, up to the first
 * action; returns that, and *rest is what follows it. */
enum escape_action escape_filter(struct escape *e, uint8_t *data, uint32_t *n,
                                 uint8_t **rest, uint32_t *rest_n);

#endif
