/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BT, BTS, BTR, BTC with a register for the bit and memory: the bit may be
 * anywhere around the address.  The word with the bit is found first; then
 * the number within the word makes the host's instruction stay in it.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

/* Signed number of the word, counted from the operand's address, into S1. */
static void word_number(struct tr *t)
{
    const struct x86_insn *i = t->i;
    unsigned reg = reg_use(t, i->reg, H_S1);

    if (i->osz == 2)
        emit_insn(&t->e,
                  &(struct host_insn){
                      .map = 1, .op = 0xbf, .reg = H_S1, .rm = (uint8_t)reg });
    else
        emit_rr(&t->e, true, i->osz == 4 ? 0x63 : 0x8b, H_S1, reg);
    emit_shift(&t->e, true, 7, H_S1, i->osz == 8 ? 6 : i->osz == 4 ? 5 : 4);
}

static void add_word(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct host_mem m = { H_S0, H_S1,
                          i->osz == 8   ? 3
                          : i->osz == 4 ? 2
                                        : 1,
                          false, 0 };

    emit_rm(&t->e, i->asz == 8, 0x8d, H_S0, &m);
    if (i->asz == 2)
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
}

/* Number of the bit in its word into S0, and the flags the host's. */
static void bit_number(struct tr *t)
{
    const struct x86_insn *i = t->i;
    size_t tmp = offsetof(struct vcpu, jit_tmp);

    emit_rr(&t->e, false, 0x8b, H_S0, reg_use(t, i->reg, H_S0));
    emit_ri(&t->e, false, ALU_AND, H_S0, (int32_t)i->osz * 8 - 1);
    if (!flags_wanted(t))
        return;
    emit_store(&t->e, true, H_S0, tmp);
    flags_back(t);
    emit_load(&t->e, true, H_S0, tmp);
}

void emit_bit_mem(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct stub *s;

    flags_keep(t);
    flags_lost(t);
    s = stub_slow(t);
    emit_ea(t);
    word_number(t);
    add_word(t);
    emit_check(t, s, i->seg, i->osz, t->row->opcode != 0xa3);
    bit_number(t);
    fault_note(t, s);
    emit_insn(&t->e, &(struct host_insn){ .lock = i->flags & X86_I_LOCK,
                                          .p66 = i->osz == 2,
                                          .w = i->osz == 8,
                                          .map = 1,
                                          .op = t->row->opcode,
                                          .reg = H_S0,
                                          .mem = &mem_found });
    s->resume = t->e.p;
    flags_done(t);
}
