/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs single instructions on the host's processor.
 *
 * The instruction stands in a page of its own, in 64-, 32- or 16-bit code, with
 * every register loaded from struct native_regs; what it leaves comes back in
 * another.  A signal that it causes is turned into the exception behind it.
 *
 * The addresses are fixed and low, so that a simulated guest can map the same
 * ones, 32-bit code can use them, and the entry and exit code needs no
 * register of its own.
 */
#ifndef TESTS_CPU_NATIVE_H
#define TESTS_CPU_NATIVE_H

/* What native_entry.S must know, too. */
#define NATIVE_BASE     0x30000000 /* struct native_block */
#define NATIVE_IN       0x0000     /* struct native_regs */
#define NATIVE_OUT      0x1000
#define NATIVE_HOST_RSP 0x2000
#define NATIVE_CODE     0x2008 /* where to go to */
#define NATIVE_BACK     0x2010 /* where to come back to */
#define NATIVE_BACK16   0x2018 /* likewise from 16-bit code */
#define NATIVE_FAR32    0x2020 /* far pointers: to NATIVE_LOW_CODE */
#define NATIVE_FAR16    0x2028 /* and to the 16-bit instruction */
#define NATIVE_STACK32  0x2ff0 /* of the entry code */
#define NATIVE_LOW_CODE 0x3000 /* copy of what native_low_code points to */
#define NATIVE_BYTES    0x4000

/*
 * 16-bit code has segments of its own, in the LDT: their selectors, their
 * bases, and their limits.  Offset 0x8000 is where the window begins, and ES
 * ends inside of it.
 */
#define NATIVE_CS16       0x07
#define NATIVE_DS16       0x0f
#define NATIVE_ES16       0x17
#define NATIVE_SS16       0x1f
#define NATIVE_CS16_BASE  0x20000000
#define NATIVE_DATA_BASE  0x0fff8000
#define NATIVE_LIMIT16    0xffff
#define NATIVE_ES16_LIMIT 0xbfbf

#define NATIVE_RFLAGS 0x80 /* in struct native_regs */
#define NATIVE_GS     0x90
#define NATIVE_X      0xc0

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

#define NATIVE_WINDOW       0x10000000u
#define NATIVE_WINDOW_PAGES 4u /* writable; then a read-only one */
#define NATIVE_WINDOW_BYTES ((NATIVE_WINDOW_PAGES + 1) * 4096u)
#define NATIVE_CODE_PAGE    0x20000000u
#define NATIVE_CODE_PAGES   2u
/* The instruction: jumps of a byte stay inside, on INT3s. */
#define NATIVE_INSN (NATIVE_CODE_PAGE + 0x0800u)

/* vector of what jumps to itself for ever */
#define NATIVE_ENDLESS (-2)

/* The standard form of XSAVE, x87 to AVX. */
struct native_x {
    uint16_t fcw, fsw;
    uint8_t ftw, unused5;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16]; /* by stack position */
    uint8_t xmm[16][16];
    uint8_t unused416[96];
    uint64_t xstate_bv, xcomp_bv;
    uint64_t reserved[6];
    uint8_t ymm_high[16][16];
};

struct native_regs {
    uint64_t gpr[16];
    uint64_t rflags;
    uint64_t rip;     /* out only */
    uint64_t gs_base; /* in only */
    /* The exception that ended it, or -1; out only. */
    int32_t vector;
    uint32_t error;
    uint64_t cr2;
    uint64_t unused[3];
    struct native_x x;
};

_Static_assert(sizeof(struct native_x) == 832, "XSAVE area");
_Static_assert(__builtin_offsetof(struct native_regs, x) == NATIVE_X, "");

/* Valid after native_init(). */
#define native_in  ((struct native_regs *)(NATIVE_BASE + NATIVE_IN))
#define native_out ((struct native_regs *)(NATIVE_BASE + NATIVE_OUT))

/* False, with a reason, on hosts that cannot do this. */
bool native_init(const char **why);

/* The same for code of fewer than 64 bits. */
bool native_init16(const char **why);

/*
 * Executes the instruction of len bytes, in code of so many bits, with the
 * registers native_in, and leaves native_out.  rip is linear: behind the
 * instruction, or where it jumped to; of an exception, at the instruction.
 */
void native_run(const uint8_t *insn, unsigned len, unsigned bits);

#endif
#endif
