/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two devices on an 8042's ports, as plain state machines: bytes written
 * to them, bytes they have to send, events from the user.
 */
#ifndef LEGACY_PS2_H
#define LEGACY_PS2_H

#include <stdint.h>

#define PS2_QUEUE 32u

struct ps2_queue {
    uint8_t bytes[PS2_QUEUE];
    uint8_t head, count;
};

struct ps2_keyboard {
    struct ps2_queue queue;
    uint8_t scanning;
    uint8_t set;       /* scan code set 1..3 */
    uint8_t leds;      /* BP_LED_* */
    uint8_t rate;      /* typematic byte as set */
    uint8_t pending;   /* command waiting for its parameter */
    uint8_t last;      /* last byte sent, for FEh */
    uint8_t released;  /* translation saw F0h */
    uint8_t overrun;   /* keys were lost */
    uint8_t repeating; /* usage of the key that repeats, 0: none */
    uint8_t held[32];  /* usages that are down, a bit each */
};

struct ps2_mouse {
    struct ps2_queue queue;
    int32_t dx, dy, dz; /* movement not yet sent */
    uint8_t buttons, sent_buttons;
    uint8_t reporting, remote, wrap, scale21;
    uint8_t rate, resolution;
    uint8_t id; /* 0 standard, 3 wheel, 4 five buttons */
    uint8_t pending;
    uint8_t last;
    uint8_t knock[2]; /* sample rates set before this one */
};

int ps2_valid(const struct ps2_queue *q);

void ps2_keyboard_reset(struct ps2_keyboard *k);
/* A byte from the host.  1: the LEDs changed. */
int ps2_keyboard_write(struct ps2_keyboard *k, uint8_t v);
void ps2_keyboard_key(struct ps2_keyboard *k, uint32_t usage, int down);
/* The make code of the repeating key once more: first `delay` after it went
 * down, then every `period`. */
void ps2_keyboard_repeat(struct ps2_keyboard *k);
uint32_t ps2_keyboard_delay_ms(const struct ps2_keyboard *k);
uint32_t ps2_keyboard_period_us(const struct ps2_keyboard *k);
/* Takes the next byte to the host; 0 when there is none. */
int ps2_keyboard_next(struct ps2_keyboard *k, uint8_t *byte);
/* Set 2 to set 1 as the 8042 does it; 0: nothing to pass on yet. */
int ps2_keyboard_translate(struct ps2_keyboard *k, uint8_t *byte);

void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t v);
void ps2_mouse_motion(struct ps2_mouse *m, int32_t dx, int32_t dy, int32_t dz,
                      uint32_t buttons);
int ps2_mouse_next(struct ps2_mouse *m, uint8_t *byte);

/* For both: appends what fits whole. */
int ps2_put(struct ps2_queue *q, const uint8_t *bytes, unsigned n);
int ps2_take(struct ps2_queue *q, uint8_t *byte);

#endif
