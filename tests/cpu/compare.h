/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's and our state after the same instructions: registers, exception
 * and the window, of which each side has a copy.
 */
#ifndef TESTS_CPU_COMPARE_H
#define TESTS_CPU_COMPARE_H

#include "native.h"

/* After native_init() and flat_create(): equal, the last page read-only. */
void compare_init(void);

/* Changes both copies; what lies outside of the writable window is left. */
void compare_put(uint64_t addr, const void *bytes, unsigned n);
void compare_memory_set(const void *bytes); /* the writable window */
void compare_memory_mend(void);             /* ours from the host's */
bool compare_memory_same(void);

/* flags: those of RFLAGS that count.  size: of the memory operand, or 0. */
bool compare_same(const struct native_regs *host,
                  const struct native_regs *ours, uint64_t flags, unsigned bits,
                  unsigned size);
void compare_print(const struct native_regs *in, const struct native_regs *host,
                   const struct native_regs *ours);

/* Translated code keeps the x87 operand's address in exact mode only. */
extern bool compare_operand_pointer;

#endif
