/* SPDX-License-Identifier: MIT */
/*
 * Keyboards and pointers: "bp.input/1".
 *
 * Keys are USB HID usages of page 7 (A = 0x04, Escape = 0x29, left Control =
 * 0xE0 ...); a device translates them into what its guest expects.  The host
 * sends events to the most recently enabled receiver of a kind, so a guest
 * that opens a synthetic keyboard gets its keys there.
 */
#ifndef BACKPLANE_INPUT_H
#define BACKPLANE_INPUT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_INPUT "bp.input/1"

struct bp_dev;
struct bp_receiver;

/* clang-format off */
enum { BP_BUTTON_LEFT = 1, BP_BUTTON_RIGHT = 2, BP_BUTTON_MIDDLE = 4,
       BP_BUTTON_4 = 8, BP_BUTTON_5 = 16 };
enum { BP_LED_NUM = 1, BP_LED_CAPS = 2, BP_LED_SCROLL = 4 };
/* clang-format on */

/* NULL members: the receiver does not take that kind. */
struct bp_receiver_ops {
    uint32_t size;
    void (*key)(void *ctx, uint32_t usage, int32_t down);
    /* Movement in mickeys (down is positive), wheel (up is positive) and all
     * buttons as they are now. */
    void (*motion)(void *ctx, int32_t dx, int32_t dy, int32_t wheel,
                   uint32_t buttons);
    /* Position 0..32767 over the whole screen. */
    void (*position)(void *ctx, uint32_t x, uint32_t y, int32_t wheel,
                     uint32_t buttons);
};

struct bp_input {
    uint32_t size;
    /* Enabled.  [setup] */
    struct bp_receiver *(*create)(struct bp_dev *dev, const char *name,
                                  const struct bp_receiver_ops *ops, void *ctx);
    void (*enable)(struct bp_receiver *r, int32_t enabled);
    void (*set_leds)(struct bp_receiver *r, uint32_t leds);
};

#ifdef __cplusplus
}
#endif

#endif
