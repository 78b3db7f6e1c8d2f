/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyboards and pointers of one machine: the core-side object of
 * bp.input/1.  Events go to the receiver of their kind that was enabled
 * last, in that device's lane.
 */
#ifndef INPUT_INPUT_H
#define INPUT_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/input.h>

#define INPUT_MAX_POSITION 32767u

struct lane;
struct inputs;
struct receiver;

struct inputs *inputs_create(void);
void inputs_destroy(struct inputs *in);

/* --- from the console and the control socket, any thread -----------------*/

/* usage: USB HID page 7.  A press of a key that is held does nothing: to
 * repeat is the device's business.  A release goes to the receiver that got
 * the press. */
void inputs_key(struct inputs *in, uint32_t usage, bool down);
/* Keys that are held now are released (the window lost the focus). */
void inputs_release_all(struct inputs *in);
void inputs_motion(struct inputs *in, int32_t dx, int32_t dy, int32_t wheel,
                   uint32_t buttons);
/* 0..32767 over the whole screen */
void inputs_position(struct inputs *in, uint32_t x, uint32_t y, int32_t wheel,
                     uint32_t buttons);
/* True when a receiver takes positions: the pointer needs no grab. */
bool inputs_take_position(struct inputs *in);
/* BP_LED_* of the keyboard in use; told of changes from any thread, which may
 * hold a lane. */
uint32_t inputs_leds(struct inputs *in);
void inputs_on_leds(struct inputs *in, void (*fn)(void *opaque, uint32_t),
                    void *opaque);

/* --- the device's side, as in bp.input/1 [lane] --------------------------*/

struct receiver *receiver_create(struct inputs *in, const char *name,
                                 struct lane *lane,
                                 const struct bp_receiver_ops *ops, void *ctx);
void receiver_destroy(struct receiver *r);
void receiver_enable(struct receiver *r, bool enabled);
void receiver_set_leds(struct receiver *r, uint32_t leds);

/* --- names of keys (core/input/keys.c) -----------------------------------*/

/* "ctrl-alt-delete", "ret", "f10": at most `max` usages in the order in which
 * they are pressed; 0 when a name is not known. */
unsigned keys_parse(const char *text, uint32_t *usages, unsigned max);
/* How `c` is typed on a US keyboard; false when it cannot be. */
bool keys_for_char(char c, uint32_t *usage, bool *shift);

#endif
