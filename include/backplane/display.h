/* SPDX-License-Identifier: MIT */
/*
 * Screens: "bp.display/1".
 *
 * The host owns the surface (shared memory that the console process maps);
 * the device draws into it when asked to refresh.  Nobody looking means no
 * refresh, so an idle screen costs nothing.
 */
#ifndef BACKPLANE_DISPLAY_H
#define BACKPLANE_DISPLAY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_DISPLAY "bp.display/1"

struct bp_dev;
struct bp_screen;

struct bp_surface {
    uint32_t width, height; /* pixels, 1..8192 */
    uint32_t stride;        /* bytes a line */
    uint32_t reserved;
    uint32_t *pixels; /* 0x00RRGGBB, host byte order */
};

/* The text on screen, so that nobody needs to read pixels. */
struct bp_text {
    uint32_t columns, rows; /* 0: not a text mode */
    uint32_t cursor_column, cursor_row;
    uint32_t cursor_visible;
    uint32_t reserved;
    const uint16_t *cells; /* code page 437 character | attribute << 8 */
};

struct bp_screen_ops {
    uint32_t size;
    /* Bring the surface up to date and report what changed.  full: 1 when
     * everything must be drawn.  Called at most 60 times a second.  [lane] */
    void (*refresh)(void *ctx, int32_t full);
    /* The window now has this size; a device that can may offer the mode to
     * its guest.  May be NULL. */
    void (*resize_hint)(void *ctx, uint32_t width, uint32_t height);
};

struct bp_display {
    uint32_t size;
    /* [setup] */
    struct bp_screen *(*create)(struct bp_dev *dev,
                                const struct bp_screen_ops *ops, void *ctx);
    /* A surface of this size, black; the old one is gone.  Returns 0 or a
     * negative errno.  Inside refresh only. */
    int32_t (*set_mode)(struct bp_screen *s, uint32_t width, uint32_t height,
                        struct bp_surface *out);
    /* Changed pixels.  Inside refresh only. */
    void (*dirty)(struct bp_screen *s, uint32_t x, uint32_t y, uint32_t width,
                  uint32_t height);
    /* Copied.  Inside refresh only. */
    void (*set_text)(struct bp_screen *s, const struct bp_text *text);
    /* Hardware pointer: 32-bit ARGB image, NULL hides.  [lane] */
    void (*set_pointer)(struct bp_screen *s, const uint32_t *argb,
                        uint32_t width, uint32_t height, uint32_t hot_x,
                        uint32_t hot_y, int32_t x, int32_t y);
    /* Of a machine's screens people see the one that was shown last; before
     * the first call it is the one created first.  0: no longer this one.
     * [lane] */
    void (*show)(struct bp_screen *s, int32_t shown);
};

#ifdef __cplusplus
}
#endif

#endif
