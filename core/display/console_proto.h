/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine and a window in another process say to each other.
 *
 * A Unix socket of type SOCK_SEQPACKET carries one message a packet: a head
 * and, by its type, a struct of fixed size; integers are in host byte order,
 * both ends being on one host.  The first message of each side is a HELLO;
 * an end that gets another version than its own hangs up.
 *
 * The picture is shared memory whose descriptor comes with SURFACE, to be
 * mapped for reading.  The machine draws there whenever it likes and sends a
 * FRAME with what changed; the next one comes after the window has answered
 * with SHOWN.  So a window that is slow or stands still gets few frames, and
 * nothing piles up.
 */
#ifndef DISPLAY_CONSOLE_PROTO_H
#define DISPLAY_CONSOLE_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/region.h"

#define CONSOLE_VERSION     1u
#define CONSOLE_TITLE       64u
#define CONSOLE_MAX_POINTER 128u /* side of the pointer's image */

enum console_type {
    /* machine to window */
    CONSOLE_HELLO = 1,
    CONSOLE_SURFACE = 2, /* with a descriptor, unless width is 0 */
    CONSOLE_FRAME = 3,
    CONSOLE_POINTER = 4,
    CONSOLE_POINTER_AT = 5,
    CONSOLE_STATE = 6,
    /* window to machine */
    CONSOLE_UI_HELLO = 129,
    CONSOLE_KEY = 130,
    CONSOLE_RELEASE_ALL = 131, /* the window lost the focus; head only */
    CONSOLE_MOTION = 132,
    CONSOLE_POSITION = 133,
    CONSOLE_SIZE = 134,
    CONSOLE_VISIBLE = 135,
    CONSOLE_SHOWN = 136,
    CONSOLE_CLOSE = 137, /* the user closes the window; head only */
    CONSOLE_ACTION = 138,
};

struct console_head {
    uint32_t size; /* of the message, this included */
    uint32_t type;
};

struct console_hello {
    struct console_head head;
    uint32_t version;
    uint32_t reserved;
    char title[CONSOLE_TITLE]; /* UTF-8, NUL-terminated; from a window: "" */
};

struct console_surface {
    struct console_head head;
    uint32_t serial;        /* raised with each surface */
    uint32_t width, height; /* pixels; 0: there is no picture yet */
    uint32_t stride;        /* bytes; 32-bit pixels 0x00RRGGBB */
};

struct console_frame {
    struct console_head head;
    uint32_t serial; /* of the surface */
    uint32_t frame;  /* for the answer */
    struct region changed;
};

/* The image of a pointer that the guest's hardware draws. */
struct console_pointer {
    struct console_head head;
    uint32_t width, height; /* 0: there is none */
    uint32_t hot_x, hot_y;
    int32_t x, y;    /* of the hot spot */
    uint32_t argb[]; /* width * height */
};

struct console_pointer_at {
    struct console_head head;
    int32_t x, y;
};

enum { CONSOLE_RUNNING = 1, CONSOLE_PAUSED = 2, CONSOLE_OFF = 3 };
enum {
    CONSOLE_TAKES_POSITION = 1, /* the pointer needs no grab */
    CONSOLE_CLOSING = 2,        /* the next CONSOLE_CLOSE turns it off */
};

struct console_state {
    struct console_head head;
    uint32_t run;
    uint32_t flags;
    uint32_t leds; /* BP_LED_* */
    uint32_t reserved;
};

struct console_key {
    struct console_head head;
    uint32_t usage; /* USB HID page 7 */
    uint32_t down;
};

struct console_motion {
    struct console_head head;
    int32_t dx, dy, wheel; /* down is positive, wheel: up is */
    uint32_t buttons;      /* BP_BUTTON_* */
};

struct console_position {
    struct console_head head;
    uint32_t x, y; /* 0..32767 over the screen */
    int32_t wheel;
    uint32_t buttons;
};

struct console_size {
    struct console_head head;
    uint32_t width, height; /* of the window's picture, host pixels */
};

struct console_visible {
    struct console_head head;
    uint32_t visible; /* 0: send no frames */
};

struct console_shown {
    struct console_head head;
    uint32_t frame;
};

enum { CONSOLE_RESET = 1, CONSOLE_PAUSE = 2, CONSOLE_RESUME = 3 };

struct console_action {
    struct console_head head;
    uint32_t action;
};

#define CONSOLE_MAX_MESSAGE           \
    (sizeof(struct console_pointer) + \
     CONSOLE_MAX_POINTER * CONSOLE_MAX_POINTER * 4u)

/*
 * Whether `bytes` bytes are a message that this side may get: a known type
 * with its size, counts and sides within limits, text terminated.  The
 * meaning of numbers is for who uses them.
 */
bool console_message_valid(const void *message, size_t bytes, bool from_ui);

#endif
