/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that compilers gave up long ago, and firmware and DOS programs live
 * on: PUSHA and POPA, POP to memory, LEAVE on a 16-bit stack, XLAT, AAM, AAD.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

static void move(struct tr *t, bool store, unsigned reg,
                 const struct host_mem *m)
{
    emit_insn(&t->e, &(struct host_insn){ .p66 = t->i->osz == 2,
                                          .w = t->i->osz == 8,
                                          .op = store ? 0x89 : 0x8b,
                                          .reg = (uint8_t)reg,
                                          .mem = m });
}

/* One check for all eight; RDI is the lowest.  POPA leaves the stack pointer
 * that PUSHA stored. */
static void all_registers(struct tr *t, bool push)
{
    int32_t n = t->i->osz;
    struct stub *s = stub_slow(t);
    struct mem_ref r = stack_ref(t, push ? -8 * n : 0, 8 * (unsigned)n, push);
    struct host_mem m = emit_mem(t, s, &r);

    for (unsigned k = RDI + 1; k-- > RAX; m.disp += n) {
        if (!push && k == RSP)
            continue;
        fault_note(t, s);
        move(t, push, host_of[k], &m);
    }
    emit_sp_add(t, push ? -8 * n : 8 * n);
    s->resume = t->e.p;
}

/* An address by the stack pointer is one by that behind the POP. */
static bool pop_memory(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct mem_ref from = stack_ref(t, 0, i->osz, false);
    struct mem_ref to = mem_ref_of(t, i->osz, true);
    struct host_mem m_from, m_to;
    struct stub *s;

    if (i->base == RSP && i->asz != t->sp_size)
        return false;
    if (i->base == RSP)
        to.disp += i->osz;
    s = stub_slow(t);
    m_from = emit_mem(t, s, &from);
    m_to = emit_mem(t, s, &to);
    fault_note(t, s);
    move(t, false, H_S0, &m_from);
    fault_note(t, s);
    move(t, true, H_S0, &m_to);
    emit_sp_add(t, i->osz);
    s->resume = t->e.p;
    return true;
}

static bool leave16(struct tr *t)
{
    struct mem_ref r = stack_ref(t, 0, 2, false);
    struct host_mem m;
    struct stub *s;

    if (t->i->osz != 2)
        return false;
    s = stub_slow(t);
    r.base = RBP;
    m = emit_mem(t, s, &r);
    fault_note(t, s);
    move(t, false, H_S0, &m);
    emit_lea(&t->e, false, H_S1, H_RBP, 2);
    emit_insn(&t->e, &(struct host_insn){
                         .p66 = true, .op = 0x8b, .reg = H_SP, .rm = H_S1 });
    emit_insn(&t->e, &(struct host_insn){
                         .p66 = true, .op = 0x8b, .reg = H_RBP, .rm = H_S0 });
    s->resume = t->e.p;
    return true;
}

static void movzx8(struct tr *t, unsigned reg, unsigned rm)
{
    emit_insn(&t->e, &(struct host_insn){ .map = 1,
                                          .op = 0xb6,
                                          .rex = true,
                                          .reg = (uint8_t)reg,
                                          .rm = (uint8_t)rm });
}

static void xlat(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct host_mem sum = { H_RBX, H_S0, 0, false, 0 };
    struct stub *s;

    flags_keep(t);
    s = stub_slow(t);
    movzx8(t, H_S0, H_RAX);
    emit_rm(&t->e, i->asz == 8, 0x8d, H_S0, &sum);
    if (i->asz == 2)
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
    emit_check(t, s, i->seg, 1, false);
    fault_note(t, s);
    emit_rm(&t->e, false, 0x8a, H_RAX, &mem_found);
    s->resume = t->e.p;
}

/* Quotient to AH, remainder to AL: the other way round than DIV. */
static bool aam(struct tr *t)
{
    if (!(uint8_t)t->i->imm)
        return false; /* #DE */
    flags_lost(t);
    emit_mov_imm(&t->e, H_S0, (uint8_t)t->i->imm);
    emit8(&t->e, 0xb4); /* mov ah, 0 */
    emit8(&t->e, 0);
    emit_insn(&t->e, &(struct host_insn){
                         .op = 0xf6, .rex = true, .reg = 6, .rm = H_S0 });
    emit8(&t->e, 0x86); /* xchg al, ah */
    emit8(&t->e, 0xc4);
    emit8(&t->e, 0x84); /* test al, al */
    emit8(&t->e, 0xc0);
    flags_done(t);
    return true;
}

static void aad(struct tr *t)
{
    flags_lost(t);
    emit_rr(&t->e, false, 0x8b, H_S0, H_RAX);
    emit_shift(&t->e, false, 5, H_S0, 8);
    movzx8(t, H_S0, H_S0);
    emit_insn(&t->e, &(struct host_insn){ .op = 0x69,
                                          .reg = H_S0,
                                          .rm = H_S0,
                                          .imm = (uint8_t)t->i->imm,
                                          .imm_bytes = 4 });
    emit_insn(&t->e, &(struct host_insn){
                         .op = 0x02, .rex = true, .reg = H_RAX, .rm = H_S0 });
    emit8(&t->e, 0xb4); /* mov ah, 0 */
    emit8(&t->e, 0);
    flags_done(t);
}

bool emit_legacy(struct tr *t)
{
    const struct x86_row *row = t->row;

    if (row->map != 0 || row->vex)
        return false;
    switch (row->opcode) {
    case 0x60:
    case 0x61: all_registers(t, row->opcode == 0x60); return true;
    case 0x8f: return (t->i->flags & X86_I_MEM) && pop_memory(t);
    case 0xc9: return t->sp_size == 2 && leave16(t);
    case 0xd4: return aam(t);
    case 0xd5: aad(t); return true;
    case 0xd7: xlat(t); return true;
    }
    return false;
}
