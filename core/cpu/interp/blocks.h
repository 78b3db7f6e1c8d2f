/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of decoded blocks of one vCPU.
 *
 * A block is a run of instructions that ends at the end of its page, at an
 * instruction that may leave the straight line, or after BLOCK_INSNS.  Its
 * key is the host address of its first byte and the mode bits, so it serves
 * every linear alias of the page and survives TLB flushes.  It is valid while
 * its page's code_gen is what it was; after that its bytes are compared.
 *
 * An instruction that lies in two pages is a block of its own, with a tail:
 * where its other bytes are, and that page's code_gen.  It serves whoever has
 * the two pages next to each other, which blocks_find() looks at; who comes
 * to it by another way must know that.
 *
 * Blocks come from one arena and are never freed one by one: when it is full
 * everything goes.  That happens between blocks only.
 */
#ifndef CPU_INTERP_BLOCKS_H
#define CPU_INTERP_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/insn.h"
#include "cpu/vcpu.h"

#define BLOCK_INSNS 32

struct block_tail {
    const uint32_t *gen_now;
    uint32_t gen;
    unsigned bytes; /* of the block's in the second page */
    const uint8_t *host;
    struct memory *mem;
    uint64_t mem_page;
};

struct block {
    const uint32_t *gen_now; /* the page's code_gen */
    uint32_t gen;            /* ... when the bytes were read */
    uint16_t bytes;
    uint8_t count;
    uint8_t mode;
    bool dead;             /* some instructions were made h_stale */
    struct block *succ[2]; /* likely successors ... */
    uint64_t succ_lin[2];  /* ... valid for this linear address */
    uint64_t succ_key[2];  /* ... and vcpu.key */
    uint8_t succ_next;
    const uint8_t *host;
    struct block *hash_next;
    struct memory *mem;
    uint64_t mem_page;
    uint8_t *code;           /* copy of the bytes, for re-validation */
    struct block_tail *tail; /* NULL: all is in one page */
    struct jit_block *jit;   /* translations, one for each rip */
    uint8_t runs;            /* counted until it is worth one */
    uint32_t roams;          /* insns whose accesses change pages often */
    bool split;              /* shared checks fail, see jit/window.c */
    uint8_t loop;            /* enum block_loop */
    struct x86_insn insn[];
};

/* A block that units jump back to: has such a loop many iterations? */
enum block_loop { LOOP_UNKNOWN, LOOP_SHORT, LOOP_LONG };

bool blocks_init(struct vcpu *cpu); /* false: no memory */
void blocks_finish(struct vcpu *cpu);
void blocks_flush(struct vcpu *cpu);

/*
 * The block at the linear address `lin` of rip; decodes it when there is
 * none.  Raises #PF, or #GP when the code segment ends inside the first
 * instruction.  NULL: look again (requests came up).
 */
struct block *blocks_find(struct vcpu *cpu, uint64_t lin);

/* The valid block of the same mode at `host`, in the page of b; or NULL. */
struct block *blocks_known(struct vcpu *cpu, const struct block *b,
                           const uint8_t *host);
/* Are the bytes still those of the block?  When not, or when guest execution
 * was left to find out, false. */
bool blocks_same(struct vcpu *cpu, struct block *b);

/* n bytes at host address `p` were written by this vCPU: what is left of the
 * running block must not be executed if it was among them. */
void blocks_code_hit(struct vcpu *cpu, const uint8_t *p, unsigned n);

/* The instruction of the running block behind which rip is; NULL: none. */
const struct x86_insn *blocks_current(struct vcpu *cpu, unsigned *done);

/* Will the instruction behind this one run without a look at requests? */
static inline bool blocks_goes_on(const struct vcpu *cpu,
                                  const struct x86_insn *i)
{
    return cpu->cur && i + 1 < cpu->cur->insn + cpu->cur_count;
}

static inline bool block_is_valid(const struct block *b)
{
    return __atomic_load_n(b->gen_now, __ATOMIC_ACQUIRE) == b->gen &&
           (!b->tail || __atomic_load_n(b->tail->gen_now, __ATOMIC_ACQUIRE) ==
                            b->tail->gen);
}

#endif
