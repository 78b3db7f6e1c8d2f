/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from the control socket, at a speed that a guest can follow: a PS/2
 * keyboard holds 16 bytes, and what comes faster than its driver reads is
 * lost.  What was asked for first goes first.  Main loop's thread.
 */
#ifndef CTL_TYPING_H
#define CTL_TYPING_H

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* Presses the keys in order, a moment later releases them.  False: more is
 * waiting than a person could mean. */
bool typing_press(struct vm *vm, const uint32_t *usages, unsigned n);
/* Every character can be typed (keys_for_char). */
bool typing_text(struct vm *vm, const char *text);
/* Forgets what waits. */
void typing_stop(struct vm *vm);

#endif
