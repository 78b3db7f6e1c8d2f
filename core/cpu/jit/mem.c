/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers in addresses, and the stack.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

unsigned reg_use(struct tr *t, unsigned guest, unsigned tmp)
{
    if (t->home[guest] != H_NONE)
        return t->home[guest];
    emit_load(&t->e, true, tmp, gpr_at(guest));
    return tmp;
}

void reg_write_back(struct tr *t, unsigned guest, unsigned tmp)
{
    if (t->home[guest] == H_NONE)
        emit_store(&t->e, true, tmp, gpr_at(guest));
}

/* --- addresses ----------------------------------------------------------- */

void emit_offset(struct tr *t, unsigned reg, unsigned tmp,
                 const struct mem_ref *r)
{
    struct host_mem m = { H_NONE, H_NONE, r->scale, false, 0 };
    uint64_t disp = (uint64_t)r->disp;

    if (r->base == X86_NOREG && r->index == X86_NOREG) {
        if (r->asz < 8)
            disp &= (1ull << r->asz * 8) - 1;
        emit_mov_imm(&t->e, reg, disp);
        return;
    }
    m.disp = (int32_t)r->disp;
    if (r->base != X86_NOREG)
        m.base = (uint8_t)reg_use(t, r->base, reg);
    if (r->index != X86_NOREG)
        m.index = (uint8_t)reg_use(t, r->index, tmp);
    if (m.index == H_NONE && !m.disp && r->asz != 2) {
        if (m.base != reg || r->asz == 4)
            emit_rr(&t->e, r->asz == 8, 0x8b, reg, m.base);
        return;
    }
    emit_rm(&t->e, r->asz == 8, 0x8d, reg, &m);
    if (r->asz == 2)
        emit_insn(&t->e, &(struct host_insn){ .map = 1,
                                              .op = 0xb7,
                                              .reg = (uint8_t)reg,
                                              .rm = (uint8_t)reg });
}

void emit_ea(struct tr *t)
{
    struct mem_ref r = mem_ref_of(t, 0, false);

    if (r.index != X86_NOREG && t->home[r.index] == H_NONE)
        window_close_reg(t, H_S1);
    emit_offset(t, H_S0, H_S1, &r);
}

/* --- the stack ----------------------------------------------------------- */

void emit_sp_add(struct tr *t, int32_t delta)
{
    if (t->sp_size != 2) {
        emit_lea(&t->e, t->sp_size == 8, H_SP, H_SP, delta);
    } else {
        flags_keep(t);
        flags_lost(t);
        emit_insn(&t->e, &(struct host_insn){ .p66 = true,
                                              .op = 0x81,
                                              .rm = H_SP,
                                              .imm_bytes = 2,
                                              .imm = (uint16_t)delta });
    }
    window_added(t, RSP, delta);
}

/* An instruction of the operand size with a memory operand. */
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

/* Where the next push goes. */
static struct host_mem push_slot(struct tr *t, struct stub *s)
{
    unsigned n = t->i->osz;
    struct mem_ref r = stack_ref(t, -(int32_t)n, n, true);

    return emit_mem(t, s, &r);
}

static struct host_mem pop_slot(struct tr *t, struct stub *s)
{
    struct mem_ref r = stack_ref(t, 0, t->i->osz, false);

    return emit_mem(t, s, &r);
}

static void pushed(struct tr *t, struct stub *s)
{
    emit_sp_add(t, -(int32_t)t->i->osz);
    s->resume = t->e.p;
    t->keep = true;
}

static void push_reg(struct tr *t, unsigned guest)
{
    struct stub *s = stub_slow(t);
    struct host_mem m = push_slot(t, s);
    unsigned reg = reg_use(t, guest, H_S0);

    fault_note(t, s);
    sized(t, 0x89, reg, &m, t->i->osz, 0, 0);
    pushed(t, s);
}

static void push_imm(struct tr *t)
{
    struct stub *s = stub_slow(t);
    struct host_mem m = push_slot(t, s);
    unsigned n = t->i->osz;

    fault_note(t, s);
    sized(t, 0xc7, 0, &m, n, n == 2 ? 2 : 4, t->i->imm);
    pushed(t, s);
}

static void push_mem(struct tr *t)
{
    struct stub *s = stub_slow(t);
    struct mem_ref r = mem_ref_of(t, t->i->osz, false);
    struct host_mem from = emit_mem(t, s, &r), to = push_slot(t, s);

    fault_note(t, s);
    sized(t, 0x8b, H_S0, &from, t->i->osz, 0, 0);
    fault_note(t, s);
    sized(t, 0x89, H_S0, &to, t->i->osz, 0, 0);
    pushed(t, s);
}

static bool pop_reg(struct tr *t, unsigned guest)
{
    unsigned n = t->i->osz;
    struct host_mem m;
    struct stub *s;

    if (n == 2 && (guest == RSP || t->home[guest] == H_NONE))
        return false;
    s = stub_slow(t);
    m = pop_slot(t, s);
    fault_note(t, s);
    if (guest == RSP) {
        sized(t, 0x8b, H_SP, &m, n, 0, 0);
        s->resume = t->e.p;
        return true;
    }
    if (t->home[guest] == H_NONE) {
        sized(t, 0x8b, H_S0, &m, n, 0, 0);
        reg_write_back(t, guest, H_S0);
    } else {
        sized(t, 0x8b, t->home[guest], &m, n, 0, 0);
    }
    window_written(t, guest);
    emit_sp_add(t, (int32_t)n);
    s->resume = t->e.p;
    t->keep = true;
    return true;
}

static bool leave(struct tr *t)
{
    unsigned n = t->i->osz;
    struct mem_ref r = stack_ref(t, 0, n, false);
    struct host_mem m;
    struct stub *s;

    if (t->sp_size == 2 || n != t->sp_size)
        return false;
    s = stub_slow(t);
    r.base = RBP;
    m = emit_mem(t, s, &r);
    /* a fault must find both registers as they were */
    fault_note(t, s);
    sized(t, 0x8b, H_S0, &m, n, 0, 0);
    emit_lea(&t->e, n == 8, H_SP, H_RBP, (int32_t)n);
    emit_rr(&t->e, n == 8, 0x8b, H_RBP, H_S0);
    window_written(t, RSP);
    window_written(t, RBP);
    s->resume = t->e.p;
    t->keep = true;
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
