/* SPDX-License-Identifier: Apache-2.0 */
/* The window's end of the console socket (display/console_proto.h). */
#ifndef UI_SDL_LINK_H
#define UI_SDL_LINK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/console_proto.h"

struct link {
    int fd;
    bool lost_key; /* a key could not be sent */
};

/* Any message from a machine. */
union link_message {
    struct console_head head;
    struct console_hello hello;
    struct console_surface surface;
    struct console_frame frame;
    struct console_pointer pointer;
    struct console_pointer_at pointer_at;
    struct console_state state;
    char bytes[CONSOLE_MAX_MESSAGE];
};

/* Connects and exchanges greetings; false with one sentence. */
bool link_open(struct link *l, const char *path, char title[CONSOLE_TITLE],
               GError **error);
void link_close(struct link *l);
/*
 * 1: a valid message; *fd is its descriptor or -1, the caller's.  0: none now.
 * -1: the machine is gone.
 */
int link_read(struct link *l, union link_message *m, int *fd);

/* None of these blocks: a machine that does not listen loses what is sent,
 * and gets all keys released when it listens again. */
void link_send_plain(struct link *l, uint32_t type);
void link_send_key(struct link *l, uint32_t usage, bool down);
void link_send_motion(struct link *l, int32_t dx, int32_t dy, int32_t wheel,
                      uint32_t buttons);
void link_send_position(struct link *l, uint32_t x, uint32_t y, int32_t wheel,
                        uint32_t buttons);
void link_send_size(struct link *l, uint32_t width, uint32_t height);
/* CONSOLE_VISIBLE, CONSOLE_SHOWN, CONSOLE_ACTION: with one number. */
void link_send_number(struct link *l, uint32_t type, uint32_t number);

#endif
