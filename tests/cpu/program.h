/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs that end: straight runs of any instructions of user
 * programs, branches over some of them, counted loops, calls, indirect jumps,
 * string instructions and stores into their own code.
 *
 * One register addresses the window and is never written, nor is the stack
 * pointer but by balanced pushes and calls; all memory operands are near.
 */
#ifndef TESTS_CPU_PROGRAM_H
#define TESTS_CPU_PROGRAM_H

#include "trial.h"

#define PROGRAM_BYTES 5120
#define PROGRAM_ITEMS 512

struct program {
    unsigned bits;    /* 64 or 32 */
    const char *file; /* of x86.def that is wanted most, or NULL */
    unsigned len;
    uint8_t code[PROGRAM_BYTES];
    /* The instructions that can be left out, to find those that matter. */
    unsigned items;
    struct {
        uint16_t at, len;
    } item[PROGRAM_ITEMS];
};

/*
 * Makes a program of about `size` instructions at NATIVE_INSN, and registers
 * for it in native_in.
 */
void program_make(struct program *p, unsigned bits, unsigned size,
                  struct random *r);

#endif
