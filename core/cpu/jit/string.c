/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String instructions.
 *
 * One element is a load, a store or a comparison at rSI and rDI.  REP MOVS
 * and REP STOS run as the host's own instruction when all of it lies in one
 * page on each side, which the host's rules for overlapping then fit, too;
 * the interpreter's handler, which goes from page to page, does the others.
 * So does it whatever goes down (DF).
 */
#include "cpu/decode.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

enum {
    STR_MOVS = 0xa4,
    STR_CMPS = 0xa6,
    STR_STOS = 0xaa,
    STR_LODS = 0xac,
    STR_SCAS = 0xae
};

/* An instruction on a register and memory or another register, as wide as
 * an element; `op` is the opcode of the byte form. */
static void element(struct tr *t, unsigned op, unsigned reg,
                    const struct host_mem *m)
{
    unsigned n = t->i->osz;

    emit_insn(&t->e, &(struct host_insn){ .p66 = n == 2,
                                          .w = n == 8,
                                          .op = (uint8_t)(op | (n > 1)),
                                          .reg = (uint8_t)reg,
                                          .mem = m });
}

/* An index register as an offset in S0. */
static void index_get(struct tr *t, unsigned host)
{
    if (t->i->asz == 2)
        emit_insn(&t->e,
                  &(struct host_insn){
                      .map = 1, .op = 0xb7, .reg = H_S0, .rm = (uint8_t)host });
    else
        emit_rr(&t->e, t->i->asz == 8, 0x8b, H_S0, host);
}

/* Moves it behind the element; leaves the flags, uses S0. */
static void index_step(struct tr *t, unsigned host)
{
    if (t->i->asz != 2) {
        emit_lea(&t->e, t->i->asz == 8, host, host, t->i->osz);
        return;
    }
    emit_lea(&t->e, false, H_S0, host, t->i->osz);
    emit_insn(&t->e,
              &(struct host_insn){
                  .p66 = true, .op = 0x8b, .reg = (uint8_t)host, .rm = H_S0 });
}

static void only_upwards(struct tr *t, struct stub *s)
{
    struct host_mem m = state_mem(offsetof(struct vcpu, st.rflags) + 1);

    flags_lost(t);
    emit_insn(&t->e,
              &(struct host_insn){
                  .op = 0xf6, .mem = &m, .imm_bytes = 1, .imm = FL_DF >> 8 });
    stub_jcc(t, s, CC_NE);
}

static void source(struct tr *t, struct stub *s)
{
    index_get(t, H_RSI);
    emit_check(t, s, t->i->seg, t->i->osz, false);
}

static void target(struct tr *t, struct stub *s, bool write)
{
    index_get(t, H_RDI);
    emit_check(t, s, SEG_ES, t->i->osz, write);
}

/* The element that was checked */
static void found(struct tr *t, struct stub *s, unsigned op, unsigned reg)
{
    fault_note(t, s);
    element(t, op, reg, &mem_found);
}

/* --- one element --------------------------------------------------------- */

static void movs(struct tr *t, struct stub *s)
{
    size_t tmp = offsetof(struct vcpu, jit_tmp);

    source(t, s);
    found(t, s, 0x8a, H_S0);
    emit_store(&t->e, true, H_S0, tmp);
    target(t, s, true);
    emit_load(&t->e, true, H_S0, tmp);
    found(t, s, 0x88, H_S0);
    index_step(t, H_RSI);
    index_step(t, H_RDI);
}

/* The handler's order: what is at rDI is read first. */
static void cmps(struct tr *t, struct stub *s)
{
    struct host_mem tmp = state_mem(offsetof(struct vcpu, jit_tmp));

    target(t, s, false);
    found(t, s, 0x8a, H_S0);
    emit_rm(&t->e, true, 0x89, H_S0, &tmp);
    source(t, s);
    found(t, s, 0x8a, H_S0);
    element(t, 0x3a, H_S0, &tmp);
    index_step(t, H_RSI);
    index_step(t, H_RDI);
}

static void one_element(struct tr *t)
{
    struct stub *s;

    flags_keep(t);
    s = stub_slow(t);
    only_upwards(t, s);
    switch (t->row->opcode & ~1u) {
    case STR_MOVS: movs(t, s); break;
    case STR_CMPS: cmps(t, s); break;
    case STR_STOS:
        target(t, s, true);
        found(t, s, 0x88, H_RAX);
        index_step(t, H_RDI);
        break;
    case STR_LODS:
        source(t, s);
        found(t, s, 0x8a, H_RAX);
        index_step(t, H_RSI);
        break;
    case STR_SCAS:
        target(t, s, false);
        found(t, s, 0x3a, H_RAX);
        index_step(t, H_RDI);
        break;
    }
    s->resume = t->e.p;
    flags_done(t);
}

/* --- REP MOVS, REP STOS -------------------------------------------------- */

static unsigned element_shift(const struct tr *t)
{
    return (unsigned)__builtin_ctz(t->i->osz);
}

/*
 * To s unless all elements from the host address in S1 on lie in its page;
 * uses S0.  An address that is not canonical shows by a fault now, while the
 * registers are the guest's.
 */
static void inside_page(struct tr *t, struct stub *s)
{
    struct host_mem end = { H_S0, H_RCX, (uint8_t)element_shift(t), false, 0 };

    fault_note(t, s);
    emit_rm(&t->e, false, 0x8a, H_S0, &mem_found);
    emit_rr(&t->e, false, 0x8b, H_S0, H_S1);
    emit_ri(&t->e, false, ALU_AND, H_S0, PAGE_BYTES - 1);
    emit_rm(&t->e, false, 0x8d, H_S0, &end);
    emit_ri(&t->e, false, ALU_CMP, H_S0, PAGE_BYTES);
    stub_jcc(t, s, CC_A);
}

/* Nothing to do, or more than a page can hold: to s. */
static void count_fits(struct tr *t, struct stub *s)
{
    bool w = t->i->asz == 8;

    emit_lea(&t->e, w, H_S0, H_RCX, -1);
    emit_ri(&t->e, w, ALU_CMP, H_S0,
            (int32_t)(PAGE_BYTES >> element_shift(t)) - 1);
    stub_jcc(t, s, CC_A);
}

static void host_rep(struct tr *t, unsigned op)
{
    emit_insn(&t->e, &(struct host_insn){ .rep = 0xf3,
                                          .w = t->i->osz == 8,
                                          .p66 = t->i->osz == 2,
                                          .op = (uint8_t)(op | (t->i->osz > 1)),
                                          .bare = true });
}

/* An index register that was `host` moves behind S1 elements. */
static void index_after(struct tr *t, unsigned to, unsigned host)
{
    struct host_mem m = { (uint8_t)host, H_S1, (uint8_t)element_shift(t), false,
                          0 };

    emit_rm(&t->e, t->i->asz == 8, 0x8d, to, &m);
}

static void rep_movs(struct tr *t, struct stub *s)
{
    size_t tmp = offsetof(struct vcpu, jit_tmp);

    source(t, s);
    emit_store(&t->e, true, H_S1, tmp);
    inside_page(t, s);
    target(t, s, true);
    inside_page(t, s);
    emit_rr(&t->e, true, 0x8b, H_S0, H_RSI);
    emit_load(&t->e, true, H_RSI, tmp);
    emit_store(&t->e, true, H_RDI, tmp);
    emit_rr(&t->e, true, 0x8b, H_RDI, H_S1);
    /* 32 bits of it are the count */
    emit_rr(&t->e, false, 0x8b, H_RCX, H_RCX);
    emit_rr(&t->e, false, 0x8b, H_S1, H_RCX);
    host_rep(t, STR_MOVS);
    index_after(t, H_RSI, H_S0);
    emit_load(&t->e, true, H_RDI, tmp);
    index_after(t, H_RDI, H_RDI);
}

static void rep_stos(struct tr *t, struct stub *s)
{
    target(t, s, true);
    inside_page(t, s);
    emit_rr(&t->e, true, 0x8b, H_S0, H_RDI);
    emit_rr(&t->e, true, 0x8b, H_RDI, H_S1);
    emit_rr(&t->e, false, 0x8b, H_RCX, H_RCX);
    emit_rr(&t->e, false, 0x8b, H_S1, H_RCX);
    host_rep(t, STR_STOS);
    index_after(t, H_RDI, H_S0);
}

/* Of segments with a limit that is not out of reach only the first element
 * would be checked. */
static bool rep_possible(const struct tr *t)
{
    unsigned op = t->row->opcode & ~1u;

    if (t->i->asz == 2 || (op != STR_MOVS && op != STR_STOS))
        return false;
    return t->bits == 64 ||
           (t->flat &&
            (op == STR_STOS || (t->i->seg != SEG_FS && t->i->seg != SEG_GS)));
}

static bool repeated(struct tr *t)
{
    struct stub *s;

    if (!rep_possible(t))
        return false;
    flags_keep(t);
    s = stub_slow(t);
    s->what = SLOW_END | SLOW_ROW;
    only_upwards(t, s);
    count_fits(t, s);
    if ((t->row->opcode & ~1u) == STR_MOVS)
        rep_movs(t, s);
    else
        rep_stos(t, s);
    s->resume = t->e.p;
    return true;
}

bool emit_string(struct tr *t)
{
    if (t->row->opcode < STR_MOVS)
        return false; /* INS, OUTS */
    if (t->i->flags & (X86_I_REP | X86_I_REPNE))
        return repeated(t);
    one_element(t);
    return true;
}
