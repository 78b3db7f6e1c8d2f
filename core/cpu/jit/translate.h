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
    STUB_END,  /* interpret up to the last insn, go on elsewhere */
    STUB_LINK, /* leave to link->rip */
    STUB_VEC,  /* load the vector registers */
    STUB_FILL, /* fill a slot, check again */
};

/* An x87 instruction that was executed, but that st.x87 does not tell of. */
struct x87_last {
    bool pending;
    uint8_t k;
    uint16_t opcode;
    uint64_t ip;
};

#define STUB_JUMPS 8
struct stub {
    enum stub_kind kind;
    uint8_t *at; /* its code */
    uint8_t *rel[STUB_JUMPS];
    unsigned rels;
    unsigned first, last; /* instructions */
    uint32_t what;        /* SLOW_* */
    uint8_t *resume;
    struct jit_link *link;
    unsigned vec; /* DENY_* that have to be clear */
    bool restore; /* flags are in the state only */
    bool fast;    /* of the code of a loop without checks, see loop.c ... */
    bool jump;    /* ... which leaves by a jump of its own */
    struct x87_last x87;
    bool needed;   /* something leads here */
    bool in_state; /* where the flags are if they are live */
    /* STUB_FILL: */
    bool constant, linear; /* page in `reg`; address only in S0 */
    bool lookup;           /* no slot; S0 + the table is the TLB's entry */
    uint8_t reg;           /* of the window */
    uint16_t slot;
    struct stub *owner; /* if there is no TLB entry */
    uint8_t *check;     /* to try again */
};
#define MAX_STUBS (UNIT_INSNS * 10 + UNIT_PARTS + 8)

/* A memory operand; numbers are the guest's, as in struct x86_insn. */
struct mem_ref {
    uint8_t seg, base, index, scale, asz;
    uint8_t n; /* bytes */
    bool write;
    int64_t disp;
};

enum window_form {
    WIN_ADDEND,   /* reg: what to add to the linear address */
    WIN_POINTER,  /* reg: host address of the reference */
    WIN_CONSTANT, /* reg: host page of an address known now */
    WIN_LOOKUP,   /* the same, by the TLB instead of a slot */
};

/* See window.c. */
struct window {
    bool open;
    bool fixed; /* for one access only */
    enum window_form form;
    uint8_t reg; /* H_S2 or H_S1 */
    uint16_t slot;
    unsigned used;      /* number of the last that did, + 1 */
    struct mem_ref ref; /* the access it was made for */
    int64_t adj;        /* by how much the base has changed since */
    int64_t low_disp;   /* of the operand at low_at, besides lo */
    int64_t lo, hi;     /* what is checked, relative to ref */
    uint8_t *low_at;    /* operands of the check, to be patched */
    uint8_t *span_at, *tag_at, *addend_at, *back_at;
    struct stub *owner, *fill;
};
#define WINDOWS 2

#define FLAGS_IN_HOST  1
#define FLAGS_IN_STATE 2

/* A host instruction that may fault, and for which guest instruction. */
struct fault_note {
    uint8_t *at;
    struct stub *stub;
    bool in_host; /* the flags */
    uint8_t x87;  /* see struct jit_fault */
};
#define MAX_FAULTS (UNIT_INSNS * 4)

struct tr {
    struct emit e;
    struct vcpu *cpu;
    struct jit *jit;
    struct jit_block *jb;
    const struct x86_insn *i; /* the current instruction ... */
    const struct x86_row *row;
    unsigned k;    /* ... its number ... */
    uint64_t next; /* ... and rip behind it */
    unsigned bits; /* 16, 32, 64 */
    unsigned sp_size;
    unsigned vec; /* DENY_* known to be clear */
    struct x87_last x87;
    bool flat, exact;
    bool in_host, in_state; /* where the flags are */
    uint8_t *slow_tail;
    const uint8_t *loop; /* where a jump to the start goes */
    uint8_t *body;       /* behind the prologue */
    bool ended;          /* an emitter left the unit */
    uint8_t home[16];    /* host_of[], but for a loop without checks */
    bool called;         /* it has come back from a call */

    /* the unit, see unit.c */
    unsigned count;
    const struct x86_insn *insn[UNIT_INSNS];
    uint64_t at[UNIT_INSNS];       /* rip of each */
    uint8_t follow[UNIT_INSNS];    /* enum follow: how it goes on */
    bool paired[UNIT_INSNS];       /* a call with a host frame */
    uint32_t live[UNIT_INSNS + 1]; /* flags that are live before each */
    uint32_t live_after[UNIT_INSNS];

    uint8_t *after[UNIT_INSNS];   /* code behind each ... */
    uint8_t flags_at[UNIT_INSNS]; /* ... where the flags are, FLAGS_IN_* */
    bool x87_after[UNIT_INSNS];   /* ... is an x87 instruction pending */

    struct loop *plan; /* of a loop without checks, or NULL ... */
    struct loop *fast; /* ... while that is emitted */

    bool split; /* accesses that share a check get code without, too */
    bool apart; /* which is what is emitted now */
    bool keep;  /* the emitter left S1, S2 to windows */
    struct window win[WINDOWS];

    unsigned stubs, faults;
    struct stub stub[MAX_STUBS];
    struct fault_note fault[MAX_FAULTS];
};

static inline size_t gpr_at(unsigned n)
{
    return offsetof(struct vcpu, st.gpr) + n * 8;
}

/* The page behind the one of rip, in flat code; 0: there is none. */
static inline uint64_t jit_tail_lin(uint64_t rip)
{
    return (rip & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES;
}
/* Where the entries for reads or writes are in a struct tlb. */
static inline int32_t tlb_table(bool write)
{
    return write ? (int32_t)offsetof(struct tlb, e[ACCESS_WRITE])
                 : (int32_t)offsetof(struct tlb, e[ACCESS_READ]);
}

struct jit_block *translate(struct vcpu *cpu, struct block *b, uint64_t rip);
void insn_at(struct tr *t, unsigned k); /* makes it the current one ... */
void insn_emit(struct tr *t);           /* ... which is this */
/* Which parts of the vector unit a block needs. */
unsigned needs_vec(const struct block *b);
/* The count of a block, where instructions are counted. */
void count_part(struct tr *t, const struct jit_part *p);

/* --- units (unit.c) ------------------------------------------------------ */

/* Fills in the unit that begins with b. */
void unit_form(struct tr *t, struct block *b, uint64_t rip);
/* Only `count` of its instructions were emitted. */
void unit_cut(struct tr *t, unsigned count);
/* Do all ways out lead forward, to addresses known now?  Then a loop must
 * pass through another unit. */
bool unit_goes_forward(const struct tr *t);
/* The end of all that is executed or jumped to without a further check. */
uint64_t unit_code_end(const struct tr *t);
/* Are there calls with host frames? */
bool unit_calls(const struct tr *t);
/* The part in which instruction k is. */
const struct jit_part *unit_part(const struct jit_block *jb, unsigned k);
/*
 * Code of this page was written: are all the blocks and what was taken for
 * granted about the code behind them still the same?  Guest execution may
 * have been left meanwhile.
 */
bool unit_holds(struct vcpu *cpu, const struct jit_block *jb);
uint32_t flags_killed(const struct x86_insn *i);
uint32_t flags_read(const struct x86_insn *i);

/* --- flags (translate.c) ------------------------------------------------- */

/* The flags that must survive the current instruction: they are read behind
 * it, or behind where it leaves the unit. */
static inline uint32_t live_after(const struct tr *t)
{
    return t->live_after[t->k];
}

/* The host's flags to vcpu.jit_flags, and back; uses S0. */
void flags_to_state(struct emit *e);
void flags_from_state(struct emit *e);
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
/* Leaves the unit for rip, by a jump on cc. */
void exit_to(struct tr *t, enum host_cc cc, uint64_t rip);
/* The same by a host call, so that somebody may come back behind it. */
void exit_by_call(struct tr *t, uint64_t rip);
/* Target in S0, flags not the host's: S1 becomes the entry, or to the stub */
void find_target(struct tr *t, struct stub *miss);
void exit_found(struct tr *t);

/* --- registers and memory (mem.c) ---------------------------------------- */

/* Host register of a guest one, loading it into tmp if it has none. */
unsigned reg_use(struct tr *t, unsigned guest, unsigned tmp);
void reg_write_back(struct tr *t, unsigned guest, unsigned tmp);

/* Offset of an operand into `reg`; uses tmp. */
void emit_offset(struct tr *t, unsigned reg, unsigned tmp,
                 const struct mem_ref *r);
/* That of the memory operand into S0; uses S1. */
void emit_ea(struct tr *t);
/* sp += delta; destroys flags when the stack is 16 bits wide */
void emit_sp_add(struct tr *t, int32_t delta);

/* --- access checks (window.c) -------------------------------------------- */

/* The memory operand of the current instruction, n bytes of it. */
struct mem_ref mem_ref_of(const struct tr *t, unsigned n, bool write);
/* [sp + delta] */
struct mem_ref stack_ref(const struct tr *t, int32_t delta, unsigned n,
                         bool write);
/*
 * Makes an operand accessible: returns it in terms of the host.  Keeps the
 * flags if they are live, but they may not be the host's afterwards.  Uses
 * S0, and may use S1 and S2: two operands can be had at the same time.  `s`
 * (STUB_SLOW or STUB_END of this instruction) is for all that is unusual.
 */
struct host_mem emit_mem(struct tr *t, struct stub *s, const struct mem_ref *r);
/*
 * The same for an offset in S0: the operand is [S1], S0 is free.  Destroys
 * flags: see flags_keep().
 */
void emit_check(struct tr *t, struct stub *s, unsigned seg, unsigned n,
                bool write);
static const struct host_mem mem_found = { H_S1, H_NONE, 0, false, 0 };
/* A slot for a loop's accesses, see loop.c. */
unsigned slot_for_walk(struct tr *t, bool write);
/* Trampolines of slot.c */
void emit_slot_fill(struct jit *j, struct emit *e, struct vcpu *cpu, bool s1,
                    bool write);
void emit_tlb_fill(struct jit *j, struct emit *e, struct vcpu *cpu, bool write);
/* vcpu.slot_tired was met at instruction k. */
void slot_missed(struct vcpu *cpu, struct jit_block *jb, unsigned k);
/* The next host instruction may fault: then `s` is what to do. */
void fault_note(struct tr *t, struct stub *s);

/* What a guest instruction does to windows; one that does not set t->keep
 * closes all. */
void windows_close(struct tr *t);
void window_close_reg(struct tr *t, unsigned host_reg); /* used otherwise */
void window_written(struct tr *t, unsigned guest);
void window_added(struct tr *t, unsigned guest, int64_t delta);

/* --- loops without checks (loop.c) --------------------------------------- */

/* Makes t->plan if the unit is such a loop. */
void loop_plan(struct tr *t);
/* Its code, behind that of the unit. */
void loop_emit(struct tr *t);
/* Counts in the prologue: at the entry, and in each iteration. */
void loop_probe_entry(struct tr *t);
void loop_probe(struct tr *t, struct stub *out);
/* It has counted enough, and is to be made again. */
bool loop_probed(const struct jit_block *jb);
/* Does it know that the operand of the current instruction is accessible? */
bool loop_operand(const struct tr *t, const struct mem_ref *r,
                  struct host_mem *m);
/* The current instruction destroys a register that it may rely on. */
void loop_clobbers(struct tr *t, unsigned host_reg);
/* Guest registers go back to where they are in other code. */
void loop_unpark(struct tr *t);

/* What loop.c has to know about an instruction. */
struct loop_insn {
    uint32_t written, used; /* general registers, as bits */
    bool mem;
    struct mem_ref ref;
};
/* False: it cannot be in such a loop. */
bool loop_insn(struct tr *t, struct loop_insn *li); /* alu.c */

/* --- emitters; false: none for this instruction -------------------------- */

bool emit_generic(struct tr *t); /* alu.c: copy, copym */
bool emit_special(struct tr *t); /* alu.c: lea, div, .. */
bool emit_stack(struct tr *t);   /* mem.c: push, pop, leave */
bool emit_branch(struct tr *t);  /* branch.c */
bool emit_x87(struct tr *t);     /* x87.c */
bool emit_string(struct tr *t);  /* string.c */
bool emit_system(struct tr *t);  /* system.c */
/* Can the unit go on at a known address behind this instruction? */
bool branch_goes_on(const struct x86_insn *i); /* branch.c */
bool branch_is_call(const struct x86_insn *i);
unsigned vec_needs(const struct x86_insn *i); /* alu.c: DENY_* */
bool emit_legacy(struct tr *t);               /* legacy.c */
void emit_bit_mem(struct tr *t);              /* bits.c */
unsigned vector_needs(const struct x86_row *row);
bool emit_vector(struct tr *t); /* vector.c */
unsigned x87_needs(const struct x86_insn *i);
bool is_x87(const struct x86_row *row);
/* Writes what is pending to the state; uses S0. */
void x87_record(struct tr *t, struct x87_last *last);
/* The same from outside: it was instruction k of a unit. */
void x87_record_insn(struct vcpu *cpu, const struct jit_block *jb, unsigned k);

#endif
