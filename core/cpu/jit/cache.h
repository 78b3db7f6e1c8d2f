/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of host code of one vCPU; see cache.c.
 */
#ifndef CPU_JIT_CACHE_H
#define CPU_JIT_CACHE_H

#include <pthread.h>
#include <stdio.h>
#include <x86intrin.h>

#include "cpu/interp/blocks.h"
#include "cpu/jit/emit.h"
#include "cpu/jit/jit.h"

#define JIT_CODE_BYTES (32u << 20)
#define JIT_DATA_BYTES (32u << 20)
/* More than one unit can take, code and data */
#define JIT_CODE_ROOM 65536u
#define JIT_DATA_ROOM 32768u
#define JIT_ENTRY     5 /* bytes of a jump, patched over an entry */
#define JIT_PAGE_BITS 12
#define JIT_HITS      16
#define JIT_TABLES    6  /* of jumps: the kernel's and some users' */
#define UNIT_INSNS    64 /* at most in a unit, see unit.c */
#define UNIT_PARTS    12

/* What jit_slow() takes: the first instruction, how many << 8, and: */
#define SLOW_END 0x10000u /* the last one leaves the block */
#define SLOW_ROW 0x20000u /* not an access: there is no emitter */

struct jit_block;
struct check;

/* A place where code leaves a block for an address known beforehand. */
struct jit_link {
    uint64_t rip;
    uint8_t *site; /* displacement of the jump, or NULL */
    uint8_t *stub; /* where it leads while not linked */
    const struct jit_block *from;
    struct jit_block *to;              /* in whose list of links it is */
    const struct jit_block *bridge_to; /* where `bridge` does */
    uint8_t *bridge;
    uint8_t *bridge_host; /* the target's page then ... */
    uint64_t bridge_lin;  /* ... and linear address */
    bool flags;           /* live: a bridge has to keep them */
    bool state;           /* they are in jit_flags, not in the host's */
    bool cross;           /* the target is in another page */
    bool direct;          /* ... and in the list of those without a bridge */
    struct jit_link *direct_next;
    struct jit_link *in_next; /* the same target, flags in jit_flags */
};

/* What to do when the host instruction at `at` faults. */
struct jit_fault {
    uint16_t at, to;     /* relative to jit_block.code */
    uint8_t first, last; /* instructions for the interpreter, then `to` */
    bool end;            /* or that is the stub that does it */
    bool fast;           /* registers are as jit_block.park says */
    bool in_host;        /* the flags are the host's */
    uint8_t x87; /* 1 + x87 instruction that st.x87 does not tell of, or 0 */
};

/* Where a unit goes on behind one of its parts. */
enum follow { FOLLOW_NONE, FOLLOW_NEXT, FOLLOW_TARGET };

/* A decoded block as a part of a unit. */
struct jit_part {
    struct block *b;
    uint64_t rip;
    uint32_t live_out; /* flags that are right where it leaves the unit */
    uint8_t first;     /* number of its first instruction */
    uint8_t follow;    /* enum follow */
    uint8_t vec;       /* DENY_*: what was looked for up to here */
    bool paired;       /* ends in a call that returns behind itself */
};

/* In the code of a loop without checks: host register `host` does not have
 * the guest register that it has elsewhere, but another one or none. */
struct jit_park {
    uint8_t host, guest;
    uint8_t other; /* or X86_NOREG */
    bool written;  /* `other` */
};
#define JIT_PARKS 8

/* A translated unit. */
struct jit_block {
    struct block *b; /* its first block */
    uint64_t rip;
    uint8_t *code;               /* entry, in the writable mapping */
    struct jit_block *next;      /* same block at another rip */
    struct jit_block *page_next; /* while it can be entered */
    struct jit_block *all_next;
    struct jit_link self; /* for leaving at the entry */
    struct jit_part *part;
    uint8_t parts;
    uint8_t *self_stub;
    uint8_t entry[JIT_ENTRY]; /* what a patched entry had */
    bool patched;
    const uint8_t *state; /* entry with the flags in jit_flags */
    struct jit_link *in;  /* links to it, unless `code` does as well */
    uint64_t lin;         /* where the jump tables know it */
    uint64_t code_end;    /* what vcpu.code_end has to be at least */
    uint8_t mode;
    uint16_t faults;
    uint16_t missed; /* how often a window over several accesses did ... */
    uint64_t missed_since; /* ... from this moment of the TSC on */
    uint32_t code_bytes;
    struct jit_fault *fault;
    bool probe;         /* it counts, see loop.c */
    int32_t iterations; /* until it knows: negative */
    uint32_t entries;
    uint8_t parks;
    struct jit_park park[JIT_PARKS];
};

struct jit {
    uint8_t *rw;    /* the code buffer, writable ... */
    ptrdiff_t rx;   /* ... and how far off it runs */
    uint8_t *start; /* behind the trampolines */
    uint8_t *at, *end;
    uint8_t *data, *data_at, *data_end;
    struct jit_block *page[1u << JIT_PAGE_BITS];
    struct jit_block *all;
    bool exact;     /* instructions are counted ... */
    bool all_flags; /* ... and flags are right at every fault */
    unsigned hot;
    bool fsgsbase;

    const uint8_t *enter, *leave, *slow, *vec_enter; /* rw */
    const uint8_t *fill[2][2];  /* by window register, write */
    const uint8_t *tlb_fill[2]; /* by write */
    unsigned slot_next;
    const uint8_t *frames[2]; /* returns by a frame; 32 and 64 bits */
    struct jit_link *pending; /* the way out of the last run */
    struct jit_jump *jumps[JIT_TABLES];
    uint64_t jumps_key[JIT_TABLES], jumps_used[JIT_TABLES], jumps_clock;
    struct jit_link *direct; /* links that hold for one generation ... */
    uint32_t direct_gen;     /* ... of kernel code */
    struct block *interpret; /* this block once by the interpreter */

    pthread_mutex_t lock; /* [any] below */
    const uint8_t *hit[JIT_HITS];
    unsigned hits;
    bool hit_all;

    struct check *check; /* or NULL */

    FILE *perf;
    uint64_t n_blocks, n_parts, n_insns, n_flushes, n_enters, n_links,
        n_bridges, n_loops;
    uint64_t n_slow, n_ends, n_end_hits, n_unlinks, n_vec, n_x87;
    uint64_t *fallback; /* by row: handler calls, counted */
};

/* VEC_LIVE_* for DENY_* bits */
static inline unsigned vec_live_bits(unsigned needs)
{
    return (needs & DENY_SSE ? VEC_LIVE_SSE : 0) |
           (needs & DENY_AVX ? VEC_LIVE_AVX : 0) |
           (needs & (DENY_X87 | DENY_MMX) ? VEC_LIVE_X87 : 0);
}

/* Host faults of translated code become work for the interpreter.  [any] */
void fault_init(void);
void fault_thread(struct vcpu *cpu); /* this thread enters its code */

/* Runs code from the block at st.rip on; false: it has none. */
bool jit_enter(struct vcpu *cpu, struct block *b);
/* Code of a block at st.rip, made now when it is hot; or NULL. */
struct jit_block *jit_code_for(struct vcpu *cpu, struct block *b);

/* What often and seldom are measured by: cycles, or instructions where all
 * runs have to be alike. */
static inline uint64_t jit_time(const struct vcpu *cpu)
{
    return cpu->jit->exact ? cpu->insns : __rdtsc();
}

/* It is not found any more; its entry must lead out. */
void cache_drop(struct block *b, struct jit_block *jb);
struct jit_block *cache_lookup(const struct block *b, uint64_t rip);
/* Room for one more block; false: everything was flushed. */
bool cache_room(struct vcpu *cpu);
void *cache_alloc(struct jit *j, size_t n);
void cache_add(struct vcpu *cpu, struct jit_block *jb);
bool cache_jumps_init(struct jit *j); /* false: no memory */
void cache_jumps_finish(struct jit *j);
/* Makes vcpu.jit_jumps the table of the current key. */
void cache_jumps_choose(struct vcpu *cpu);
/* From now on it leads to jb from lin. */
void cache_jump(struct vcpu *cpu, struct jit_block *jb, uint64_t lin);

/* Functions begin at multiples of 16 or 64: the low bits alone would put
 * many into the same few places. */
#define JIT_JUMP_SHIFT 9

static inline struct jit_jump *jump_slot(struct jit_jump *table, uint64_t lin)
{
    uint32_t n = (uint32_t)lin ^ (uint32_t)lin >> JIT_JUMP_SHIFT;

    return &table[n & ((1u << JIT_JUMP_BITS) - 1)];
}
/* The entry leads out (again), or is itself. */
void cache_unlink(struct jit *j, struct jit_block *jb);
void cache_relink(struct jit *j, struct jit_block *jb);
/*
 * Makes the jump of `l` lead to `to`.  The link of an entry that was taken
 * back: everything that leads there goes on to its successor.
 */
void cache_link(struct vcpu *cpu, struct jit_link *l, struct jit_block *to);
/* Links between pages of the kernel: are they still true? */
void cache_check_direct(struct vcpu *cpu);

#endif
