/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the translator: the state of one translation and what the emitters
 * of the various areas offer to each other.  The essay is in translate.c.
 */
#ifndef CPU_JIT_TRANSLATE_H
#define CPU_JIT_TRANSLATE_H

#include <stddef.h>

#include "cpu/jit/cache.h"
#include "cpu/state.h"
#include "cpu/table.h"

enum stub_kind {
    STUB_SLOW, /* interpret insns, come back */
    STUB_END,  /* interpret the last insn, go on elsewhere */
    STUB_LINK, /* leave to link->rip */
    STUB_VEC,  /* load the vector registers */
};

/* An x87 instruction that was executed, but that st.x87 does not tell of. */
struct x87_last {
    uint64_t ip;
    uint16_t opcode;
    bool pending;
};

#define STUB_JUMPS 8
struct stub {
    enum stub_kind kind;
    uint8_t *rel[STUB_JUMPS];
    unsigned rels;
    unsigned first, count; /* instructions */
    uint8_t *resume;
    struct jit_link *link;
    bool restore; /* flags are in the state only */
    struct x87_last x87;
};
#define MAX_STUBS (BLOCK_INSNS * 3 + 8)

struct tr {
    struct emit e;
    struct vcpu *cpu;
    struct jit *jit;
    struct block *b;
    struct jit_block *jb;
    const struct x86_insn *i; /* the current instruction ... */
    const struct x86_row *row;
    unsigned k;    /* ... its number ... */
    uint64_t next; /* ... and rip behind it */
    unsigned bits; /* 16, 32, 64 */
    unsigned sp_size;
    unsigned vec; /* DENY_* that x87 and vector rows need clear */
    struct x87_last x87;
    bool flat, exact;
    bool in_host, in_state;         /* where the flags are */
    uint32_t live[BLOCK_INSNS + 1]; /* before each; at the end */
    uint8_t *slow_tail, *end_tail;
    struct stub stub[MAX_STUBS];
    unsigned stubs;
    bool ended;    /* an emitter left the block */
    unsigned done; /* instructions it did besides the first */
};

static inline size_t gpr_at(unsigned n)
{
    return offsetof(struct vcpu, st.gpr) + n * 8;
}

struct jit_block *translate(struct vcpu *cpu, struct block *b, uint64_t rip);
/* Code of this page was written, but not the block's own: is what it took
 * for granted about the code behind it still true? */
bool translation_holds(struct vcpu *cpu, const struct jit_block *jb);

/* --- flags (translate.c) ------------------------------------------------- */

/* The flags that must survive until after instruction k. */
static inline uint32_t live_after(const struct tr *t)
{
    return t->live[t->k + 1];
}

void flags_keep(struct tr *t); /* before code that destroys them */
void flags_lost(struct tr *t); /* ... which is this */
/* Makes them the host's again; uses S0. */
void flags_back(struct tr *t);
/* The same if the current instruction needs them; says so. */
bool flags_wanted(const struct tr *t);
void flags_done(struct tr *t); /* after the guest instruction */

/* --- stubs, fallbacks and exits (translate.c) ---------------------------- */

struct stub *stub_new(struct tr *t, enum stub_kind kind);
void stub_jcc(struct tr *t, struct stub *s, enum host_cc cc);
/* A stub that lets the interpreter do the current instruction. */
struct stub *stub_slow(struct tr *t);
void use_handler(struct tr *t);
void end_by_handler(struct tr *t);
/* Leaves the block for rip, by a jump on cc. */
void exit_to(struct tr *t, enum host_cc cc, uint64_t rip);
/* Target in S0, flags not the host's: S1 becomes the entry, or to the stub */
void find_target(struct tr *t, struct stub *miss);
void exit_found(struct tr *t);

/* --- registers and memory (mem.c) ---------------------------------------- */

/* Host register of a guest one, loading it into tmp if it has none. */
unsigned reg_use(struct tr *t, unsigned guest, unsigned tmp);
void reg_write_back(struct tr *t, unsigned guest, unsigned tmp);

/* Offset of the memory operand in S0; uses S1. */
void emit_ea(struct tr *t);
/*
 * The access check: offset in S0 -> [S1 + S0] is the host address.  Jumps to
 * s for everything unusual.  Destroys flags: see flags_keep().
 */
void emit_check(struct tr *t, struct stub *s, unsigned seg, unsigned n,
                bool write, unsigned align);
/* sp + delta, as an offset in S0 */
void emit_sp(struct tr *t, int32_t delta);
/* sp += delta; destroys flags when the stack is 16 bits wide */
void emit_sp_add(struct tr *t, int32_t delta);
static const struct host_mem mem_found = { H_S1, H_S0, 0, false, 0 };

/* --- emitters; false: none for this instruction -------------------------- */

bool emit_generic(struct tr *t);              /* alu.c: copy, copym */
bool emit_special(struct tr *t);              /* alu.c: lea, div, .. */
bool emit_stack(struct tr *t);                /* mem.c: push, pop, leave */
bool emit_branch(struct tr *t);               /* branch.c */
bool emit_x87(struct tr *t);                  /* x87.c */
unsigned vec_needs(const struct x86_insn *i); /* alu.c: DENY_* */
unsigned x87_needs(const struct x86_insn *i);
bool is_x87(const struct x86_row *row);
/* Writes what is pending to the state; uses S0. */
void x87_record(struct tr *t, struct x87_last *last);

#endif
