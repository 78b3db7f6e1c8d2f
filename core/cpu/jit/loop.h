/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a loop without checks: what loop_plan.c found out, for loop.c.
 */
#ifndef CPU_JIT_LOOP_H
#define CPU_JIT_LOOP_H

#include "cpu/jit/translate.h"

#define WALKS    6
#define TERMS    3
#define STEP_MAX 65536

/* A register as it was at the start of an iteration, or the low half of it
 * plus delta; times 1 << scale. */
struct term {
    uint8_t reg, scale;
    bool low;
    int32_t delta;
};

struct expr {
    bool known;
    uint8_t terms;
    struct term term[TERMS];
    int64_t c;
};

struct walk {
    struct mem_ref ref;
    struct expr at;    /* address of the first access */
    struct expr fixed; /* of its operands, what stays the same */
    uint8_t var;       /* the other one, or X86_NOREG */
    int64_t lo, hi;    /* what is accessed, relative to `at` */
    int64_t step;
    uint8_t reg;
    bool lookup; /* of the TLB; else a slot */
    uint16_t slot;
    uint8_t *miss;
};

struct loop {
    unsigned last;   /* instruction: the jump back ... */
    enum host_cc cc; /* ... if this is so ... */
    uint64_t out;    /* ... or to there */
    struct loop_insn insn[UNIT_INSNS];
    uint32_t used;
    struct expr reg[16];
    bool steady[16], low[16]; /* low: it is cut to 32 bits each time */
    int64_t step[16];
    unsigned walks;
    struct walk walk[WALKS];
    int8_t walk_of[UNIT_INSNS]; /* or -1 */
    bool checked;               /* there are accesses in no walk */
    unsigned moving;            /* so many walks do */
    uint8_t counter;            /* a guest register */
    bool equal;                 /* see emit_iterations() */
    uint8_t *fail[WALKS * TERMS * 2 + 4];
    unsigned fails;
    bool failed; /* an emitter did what it must not */
};

static inline struct expr expr_plus(struct expr a, int64_t c)
{
    a.c = (int64_t)((uint64_t)a.c + (uint64_t)c);
    return a;
}

/* Has the address a register? */
static inline bool has_register(const struct mem_ref *r)
{
    return r->base != X86_NOREG || r->index != X86_NOREG;
}

/* By what shift is a walk faster than the counter?  -1: by something else. */
int walk_speed(const struct walk *w, int64_t step);

#endif
