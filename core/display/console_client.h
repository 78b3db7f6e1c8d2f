/* SPDX-License-Identifier: Apache-2.0 */
/* One window as the machine sees it: what it has to be told yet.  Of the
 * console's thread; nothing here blocks. */
#ifndef DISPLAY_CONSOLE_CLIENT_H
#define DISPLAY_CONSOLE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "display/console_proto.h"

struct console_pointer_image {
    uint32_t width, height, hot_x, hot_y;
    int32_t x, y;
    uint32_t argb[CONSOLE_MAX_POINTER * CONSOLE_MAX_POINTER];
};

/* What windows show. */
struct console_view {
    int fd; /* of the surface; -1: none yet */
    uint32_t serial, width, height, stride;
    struct console_pointer_image pointer;
    uint32_t run, flags, leds;
};

struct console_client {
    int fd;
    bool greeted; /* its HELLO came */
    bool hello_sent;
    bool visible;
    bool full; /* the socket takes no more at the moment */
    bool broken;
    bool waits_shown; /* `frame` was sent and not answered */
    uint32_t frame;
    bool owes_state, owes_surface, owes_pointer, owes_pointer_at;
    struct region changed; /* goes into the next frame */
};

/* Any message from a window. */
union console_ui_message {
    struct console_head head;
    struct console_hello hello;
    struct console_key key;
    struct console_motion motion;
    struct console_position position;
    struct console_size size;
    struct console_visible visible;
    struct console_shown shown;
    struct console_action action;
};

/* Takes fd, which does not block. */
void console_client_init(struct console_client *client, int fd);
/* The other end belongs to the user whose machine this is, or to root. */
bool console_client_allowed(int fd);
/* 1: a valid message, 0: none now, -1: hang up. */
int console_client_read(struct console_client *client,
                        union console_ui_message *m);
void console_client_greeted(struct console_client *client, uint32_t version,
                            const struct console_view *view);
void console_client_shown(struct console_client *client, uint32_t frame);
/* It would be sent a frame now if there was one. */
bool console_client_watches(const struct console_client *client);
/* Sends what the socket takes; false: hang up. */
bool console_client_send(struct console_client *client,
                         const struct console_hello *hello,
                         const struct console_view *view);

#endif
