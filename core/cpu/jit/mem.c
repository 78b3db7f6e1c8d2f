/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory operands: the address, the inline TLB look-up, the stack.
 *
 * The look-up is eight instructions and needs the two scratch registers:
 *
 *     lea  s0, [address]
 *     mov  s1d, s0d / shr s1d, 8 / and s1d, 3ff0
 *     xor  s0, [tlb + s1 + tag]       offset inside the page if it matches
 *     cmp  s0, 4096 - size / ja slow
 *     mov  s1, [tlb + s1 + host]
 *     op   [s1 + s0]
 *
 * "slow" interprets the instruction from its start and comes back behind it.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

_Static_assert(sizeof(struct tlb_entry) == 16 && offsetof(struct tlb, e) == 0,
               "emitted code knows the layout");
#define INDEX_SHIFT (PAGE_SHIFT - 4)
#define INDEX_MASK  ((int32_t)(TLB_ENTRIES - 1) << 4)

unsigned reg_use(struct tr *t, unsigned guest, unsigned tmp)
{
    if (host_of[guest] != H_NONE)
        return host_of[guest];
    emit_load(&t->e, true, tmp, gpr_at(guest));
    return tmp;
}

void reg_write_back(struct tr *t, unsigned guest, unsigned tmp)
{
    if (host_of[guest] == H_NONE)
        emit_store(&t->e, true, tmp, gpr_at(guest));
}

/* --- addresses ----------------------------------------------------------- */

static void absolute(struct tr *t, uint64_t v)
{
    if (t->i->asz == 4)
        v = (uint32_t)v;
    else if (t->i->asz == 2)
        v = (uint16_t)v;
    emit_mov_imm(&t->e, H_S0, v);
}

void emit_ea(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct host_mem m = { H_NONE, H_NONE, i->scale, false, (int32_t)i->disp };

    if (i->base == X86_RIP) {
        absolute(t, t->next + (uint64_t)i->disp);
        return;
    }
    if (i->base == X86_NOREG && i->index == X86_NOREG) {
        absolute(t, (uint64_t)i->disp);
        return;
    }
    if (i->base != X86_NOREG)
        m.base = (uint8_t)reg_use(t, i->base, H_S0);
    if (i->index != X86_NOREG)
        m.index = (uint8_t)reg_use(t, i->index, H_S1);
    /* one register without a displacement: a plain move is shorter */
    if (m.index == H_NONE && !m.disp && i->asz != 2) {
        if (m.base != H_S0 || i->asz == 4)
            emit_rr(&t->e, i->asz == 8, 0x8b, H_S0, m.base);
        return;
    }
    emit_rm(&t->e, i->asz == 8, 0x8d, H_S0, &m);
    if (i->asz == 2)
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
}

static void segment_base(struct tr *t, struct stub *s, unsigned seg, unsigned n,
                         bool write)
{
    size_t at = offsetof(struct vcpu, fast) + seg * sizeof(struct seg_fast);
    struct host_mem base = state_mem(at + offsetof(struct seg_fast, base));
    struct host_mem end =
        state_mem(at + (write ? offsetof(struct seg_fast, write_end)
                              : offsetof(struct seg_fast, read_end)));

    if (t->bits == 64) {
        if (seg == SEG_FS || seg == SEG_GS)
            emit_rm(&t->e, true, 0x03, H_S0, &base);
        return;
    }
    if (t->flat && seg != SEG_FS && seg != SEG_GS && !(write && seg == SEG_CS))
        return;
    emit_lea(&t->e, true, H_S1, H_S0, (int32_t)n);
    emit_rm(&t->e, true, 0x3b, H_S1, &end);
    stub_jcc(t, s, CC_A);
    emit_rm(&t->e, false, 0x03, H_S0, &base);
}

void emit_check(struct tr *t, struct stub *s, unsigned seg, unsigned n,
                bool write, unsigned align)
{
    int32_t table = write ? (int32_t)offsetof(struct tlb, e[ACCESS_WRITE])
                          : (int32_t)offsetof(struct tlb, e[ACCESS_READ]);
    struct host_mem tag = { H_TLB, H_S1, 0, false, table };
    struct host_mem host = { H_TLB, H_S1, 0, false, table + 8 };

    flags_lost(t);
    segment_base(t, s, seg, n, write);
    emit_rr(&t->e, false, 0x8b, H_S1, H_S0);
    emit_shift(&t->e, false, 5, H_S1, INDEX_SHIFT);
    emit_ri(&t->e, false, ALU_AND, H_S1, INDEX_MASK);
    emit_rm(&t->e, true, 0x33, H_S0, &tag);
    emit_ri(&t->e, true, ALU_CMP, H_S0, (int32_t)(PAGE_BYTES - n));
    stub_jcc(t, s, CC_A);
    if (align > 1) {
        emit_insn(&t->e, &(struct host_insn){ .op = 0xf7,
                                              .rm = H_S0,
                                              .imm = align - 1,
                                              .imm_bytes = 4 });
        stub_jcc(t, s, CC_NE);
    }
    emit_rm(&t->e, true, 0x8b, H_S1, &host);
}

/* --- the stack ----------------------------------------------------------- */

void emit_sp(struct tr *t, int32_t delta)
{
    emit_lea(&t->e, t->sp_size == 8, H_S0, H_SP, delta);
    if (t->sp_size == 2)
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
}

void emit_sp_add(struct tr *t, int32_t delta)
{
    if (t->sp_size != 2) {
        emit_lea(&t->e, t->sp_size == 8, H_SP, H_SP, delta);
        return;
    }
    emit_insn(&t->e, &(struct host_insn){ .p66 = true,
                                          .op = 0x81,
                                          .rm = H_SP,
                                          .imm_bytes = 2,
                                          .imm = (uint16_t)delta });
}

/* An instruction on [S1 + S0] or [S1] of the operand size. */
static void sized(struct tr *t, unsigned op, unsigned reg,
                  const struct host_mem *m, unsigned osz, unsigned imm_bytes,
                  uint64_t imm)
{
    emit_insn(&t->e, &(struct host_insn){ .p66 = osz == 2,
                                          .w = osz == 8,
                                          .op = (uint8_t)op,
                                          .reg = (uint8_t)reg,
                                          .mem = m,
                                          .imm_bytes = (uint8_t)imm_bytes,
                                          .imm = imm });
}

static void address_in_s1(struct tr *t)
{
    emit_rm(&t->e, true, 0x8d, H_S1, &mem_found);
}

static const struct host_mem mem_s1 = { H_S1, H_NONE, 0, false, 0 };

static void push_reg(struct tr *t, unsigned guest)
{
    struct stub *s;
    unsigned n = t->i->osz;

    flags_keep(t);
    s = stub_slow(t);
    emit_sp(t, -(int32_t)n);
    emit_check(t, s, SEG_SS, n, true, 0);
    if (host_of[guest] == H_NONE) {
        address_in_s1(t);
        sized(t, 0x89, reg_use(t, guest, H_S0), &mem_s1, n, 0, 0);
    } else {
        sized(t, 0x89, host_of[guest], &mem_found, n, 0, 0);
    }
    emit_sp_add(t, -(int32_t)n);
    s->resume = t->e.p;
}

static void push_imm(struct tr *t)
{
    struct stub *s;
    unsigned n = t->i->osz;

    flags_keep(t);
    s = stub_slow(t);
    emit_sp(t, -(int32_t)n);
    emit_check(t, s, SEG_SS, n, true, 0);
    sized(t, 0xc7, 0, &mem_found, n, n == 2 ? 2 : 4, t->i->imm);
    emit_sp_add(t, -(int32_t)n);
    s->resume = t->e.p;
}

static void push_mem(struct tr *t)
{
    struct stub *s;
    unsigned n = t->i->osz;
    size_t tmp = offsetof(struct vcpu, jit_tmp);

    flags_keep(t);
    s = stub_slow(t);
    emit_ea(t);
    emit_check(t, s, t->i->seg, n, false, 0);
    sized(t, 0x8b, H_S0, &mem_found, n, 0, 0);
    emit_store(&t->e, true, H_S0, tmp);
    emit_sp(t, -(int32_t)n);
    emit_check(t, s, SEG_SS, n, true, 0);
    address_in_s1(t);
    emit_load(&t->e, true, H_S0, tmp);
    sized(t, 0x89, H_S0, &mem_s1, n, 0, 0);
    emit_sp_add(t, -(int32_t)n);
    s->resume = t->e.p;
}

static bool pop_reg(struct tr *t, unsigned guest)
{
    struct stub *s;
    unsigned n = t->i->osz;

    if (guest == RSP || (n == 2 && host_of[guest] == H_NONE))
        return false;
    flags_keep(t);
    s = stub_slow(t);
    emit_sp(t, 0);
    emit_check(t, s, SEG_SS, n, false, 0);
    if (host_of[guest] == H_NONE) {
        sized(t, 0x8b, H_S0, &mem_found, n, 0, 0);
        reg_write_back(t, guest, H_S0);
    } else {
        sized(t, 0x8b, host_of[guest], &mem_found, n, 0, 0);
    }
    emit_sp_add(t, (int32_t)n);
    s->resume = t->e.p;
    return true;
}

static bool leave(struct tr *t)
{
    struct stub *s;
    unsigned n = t->i->osz;

    if (t->sp_size == 2 || n != t->sp_size)
        return false;
    flags_keep(t);
    s = stub_slow(t);
    emit_rr(&t->e, n == 8, 0x8b, H_S0, H_RBP);
    emit_check(t, s, SEG_SS, n, false, 0);
    emit_lea(&t->e, n == 8, H_SP, H_RBP, (int32_t)n);
    sized(t, 0x8b, H_RBP, &mem_found, n, 0, 0);
    s->resume = t->e.p;
    return true;
}

bool emit_stack(struct tr *t)
{
    const struct x86_insn *i = t->i;

    switch (i->opcode) {
    case 0x68:
    case 0x6a: push_imm(t); return true;
    case 0xff:
        if (t->row->ext != 6)
            return false;
        if (i->flags & X86_I_MEM)
            push_mem(t);
        else
            push_reg(t, i->rm);
        return true;
    case 0x8f: return !(i->flags & X86_I_MEM) && pop_reg(t, i->rm);
    case 0xc9: return leave(t);
    }
    if ((i->opcode & 0xf8) == 0x50) {
        push_reg(t, i->rm);
        return true;
    }
    return (i->opcode & 0xf8) == 0x58 && pop_reg(t, i->rm);
}
