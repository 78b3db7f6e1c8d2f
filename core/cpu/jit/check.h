/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translator against the interpreter while a guest runs; see check.c.
 * [vcpu thread]
 */
#ifndef CPU_JIT_CHECK_H
#define CPU_JIT_CHECK_H

#include <setjmp.h>

#include "cpu/jit/shadow.h"
#include "hwaccel/accel.h"

#define CHECK_WINDOW 480u /* instructions, and one block */
#define CHECK_TRACE  512u

/* Why something was not compared. */
enum check_skip {
    SKIP_DEVICE,  /* access to a device */
    SKIP_SYSTEM,  /* instruction that must not be done twice */
    SKIP_FLAGS,   /* flags that are undefined were read */
    SKIP_CODE,    /* code was written */
    SKIP_TABLES,  /* page tables were, and something else marked them */
    SKIP_FAULT,   /* fault after stores, or inside another event */
    SKIP_ROOM,    /* too many pages */
    SKIP_REQUEST, /* an interrupt or the like came in between */
    SKIP_COUNT
};

struct check_outcome {
    struct x86_state st; /* rip at the instruction that raised a fault */
    uint64_t insns;      /* since the start, that one counted */
    bool cut;            /* in the middle of the next one */
    bool fault;
    uint8_t vector;
    bool has_error;
    uint32_t error;
    struct seg_fast fast[SEG_COUNT];
    uint64_t code_end, rip_mask;
    uint8_t cpl, deny, mode, sp_size;
};

struct check_block { /* passed by the interpreter */
    uint64_t rip;
    uint64_t insns; /* at its start */
};

struct check {
    struct shadow *shadow;
    bool *once;      /* by row: not to be executed twice */
    bool *undefined; /* ... leaves flags undefined */
    uint32_t unsure; /* flags that are, where the interpreter is */
    sigjmp_buf outer;
    uint64_t base, limit; /* of vcpu.insns and insn_limit */
    uint64_t stop_at;     /* vcpu.insns where the translator is to stop */
    struct x86_state before;
    struct check_outcome ref, jit;
    enum check_skip skip;

    bool tracing;
    struct check_block trace[CHECK_TRACE];
    unsigned traced;

    /* Flags that were dead at the end of the last window may be wrong in the
     * machine's state; these are the right ones. */
    uint64_t true_rip;
    uint32_t true_flags, real_flags;

    uint32_t random;
    uint64_t n_windows, n_blocks, n_insns, n_faults, n_again;
    uint64_t n_skipped[SKIP_COUNT];
};

struct check *check_new(void); /* NULL: no memory */
void check_free(struct check *c);
void check_counters(const struct check *c, accel_counter_fn *put,
                    void *opaque); /* [any] */

/* As jit_execute(). */
bool check_execute(struct vcpu *cpu, struct block *b);

/* --- for check_report.c -------------------------------------------------- */

/* From the state before, n instructions; into c->ref. */
void check_interpret(struct vcpu *cpu, uint64_t n);
/* The same by the translator, into c->jit. */
void check_translated(struct vcpu *cpu, uint64_t n);
/* Are both the same? */
bool check_is_same(const struct check *c);
/* Says what is different, and where. */
void check_report(struct vcpu *cpu);

#endif
