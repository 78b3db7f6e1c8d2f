/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trials: one random instruction of a given row of the table, with random
 * registers and memory that give it something to do.
 */
#ifndef TESTS_CPU_TRIAL_H
#define TESTS_CPU_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/table.h"

struct random {
    uint64_t state;
};

/* splitmix64 */
static inline uint64_t random64(struct random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* 0 .. n-1 */
static inline unsigned random_below(struct random *r, unsigned n)
{
    return (unsigned)((random64(r) >> 32) * n >> 32);
}

static inline bool percent(struct random *r, unsigned p)
{
    return random_below(r, 100) < p;
}

/* For instructions of a program: what its registers are promised to hold. */
struct trial_limits {
    uint8_t base;  /* addresses the middle of the window */
    uint8_t index; /* a small offset, or TRIAL_NOREG */
    uint32_t keep; /* registers not to be written */
};

struct trial {
    const struct x86_row *row;
    const struct trial_limits *limits; /* or NULL */
    unsigned bits;                     /* of the code segment: 64, 32, 16 */
    uint8_t insn[16];
    unsigned len;

    /* How it came about: what trial_state.c needs to make registers. */
    bool rex, rex_w, p66, p67, lock;
    bool has_mem;
    uint8_t reg, rm, vvvv;
    unsigned l;        /* VEX.L */
    unsigned size;     /* bytes of the memory operand, about */
    uint64_t target;   /* its address */
    uint64_t seg_base; /* of the operand's segment */
    bool gs;
    unsigned addr_bits;
    bool vsib;           /* index names a vector register */
    uint8_t base, index; /* or TRIAL_NOREG */
    unsigned scale;
    int64_t disp;
};

#define TRIAL_NOREG 0xff

/* Bytes of an operand; 0 when it has no size of its own. */
unsigned trial_operand_bytes(const struct trial *t,
                             const struct x86_operand *op);
/* The row's operand of a kind, or NULL. */
const struct x86_operand *trial_operand(const struct x86_row *row,
                                        enum x86_operand_kind kind);

/*
 * Fills in the instruction; limits may be NULL.  False: no luck this time, or
 * this row cannot be made in this code.
 */
bool trial_encode(struct trial *t, const struct x86_row *row, unsigned bits,
                  const struct trial_limits *limits, struct random *r);

/*
 * Registers (into native_in) and window contents that fit the instruction.
 * Memory is written by way of put(), which keeps the two copies equal.
 */
typedef void trial_put(uint64_t addr, const void *bytes, unsigned n);
void trial_state(const struct trial *t, struct random *r, trial_put *put);

/* FXSAVE and its relatives. */
bool trial_is_state_image(const struct x86_row *row);
/* LAR and its relatives. */
bool trial_takes_selector(const struct x86_row *row);

/* A value for an integer register: random, small, or at an edge. */
uint64_t random_integer(struct random *r);

#endif
