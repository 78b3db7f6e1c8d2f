/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the slots of window.c get their pages from: trampolines that ask the
 * TLB, and the decision that a place in the code is better off without.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"
#include "cpu/mmu.h"

/* A place that misses once in so many cycles, in the mean, costs more by its
 * slot than by a look-up. */
#define MISS_CYCLES 60u
#define MISS_SHIFT  8 /* slot_since counts the TSC's bits from this one on */

/* The TLB's entry for the address in S0: RAX + table; jumps if it is not.
 * Changes RCX. */
static uint8_t *tlb_lookup(struct emit *e, const struct host_mem *tag)
{
    struct host_mem tlb = state_mem(offsetof(struct vcpu, tlb));

    emit_rr(e, false, 0x8b, H_RAX, H_S0);
    emit_shift(e, false, 5, H_RAX, PAGE_SHIFT - 4);
    emit_ri(e, false, ALU_AND, H_RAX, (int32_t)(TLB_ENTRIES - 1) << 4);
    emit_rm(e, true, 0x03, H_RAX, &tlb);
    emit_rm(e, true, 0x8b, H_RCX, tag);
    emit_rr(e, true, 0x33, H_RCX, H_S0);
    emit_ri(e, true, ALU_CMP, H_RCX, PAGE_BYTES - 1);
    return emit_jcc(e, CC_A);
}

/*
 * mmu_refill() of the address in S0; ZF: it could not.  Vector and x87
 * registers are not touched by it, nor by the kernel's signal frames; RAX
 * and RCX are free.
 */
static void call_refill(struct emit *e, struct vcpu *cpu, bool write)
{
    static const uint8_t saved[] = { H_RDX, H_RSI, H_RDI, H_R8,
                                     H_R9,  H_R10, H_R11 };

    for (unsigned n = 0; n < sizeof saved; n++)
        emit_push(e, saved[n]);
    emit_mov_imm(e, H_RDI, (uint64_t)(uintptr_t)cpu);
    emit_rr(e, true, 0x8b, H_RSI, H_S0);
    emit_mov_imm(e, H_RDX, write ? ACCESS_WRITE : ACCESS_READ);
    emit_mov_imm(e, H_RAX, (uint64_t)(uintptr_t)mmu_refill);
    emit_rr(e, false, 0xff, 2, H_RAX);
    for (unsigned n = sizeof saved; n-- > 0;)
        emit_pop(e, saved[n]);
    emit_rr(e, false, 0x84, H_RAX, H_RAX);
}

/*
 * The page of the address in S0 into the slot whose number is in `reg` (S1,
 * S2; the other one is kept).  Carry: it has no TLB entry that serves it, or
 * is in the slot already, so the access crosses its end.  S0 stays.
 */
void emit_slot_fill(struct jit *j, struct emit *e, struct vcpu *cpu, bool s1,
                    bool write)
{
    uint8_t reg = s1 ? H_S1 : H_S2;
    int32_t table = tlb_table(write);
    int32_t tags = (int32_t)offsetof(struct vcpu, slot_tag);
    int32_t addends = (int32_t)offsetof(struct vcpu, slot_addend);
    struct host_mem slot_tag = { H_NONE, reg, 3, true, tags };
    struct host_mem slot_addend = { H_NONE, reg, 3, true, addends };
    struct host_mem used = state_mem(offsetof(struct vcpu, slot_used));
    struct host_mem is_ac = state_mem(offsetof(struct vcpu, tlb_is_ac));
    struct host_mem misses = state_mem(offsetof(struct vcpu, n_slot_misses));
    struct host_mem fills = state_mem(offsetof(struct vcpu, n_slot_fills));
    struct host_mem count = state_mem(offsetof(struct vcpu, slots_ac));
    struct host_mem list = { H_NONE, H_RAX, 2, true,
                             (int32_t)offsetof(struct vcpu, slot_ac) };
    struct host_mem tag = { H_RAX, H_NONE, 0, false, table };
    struct host_mem host = { H_RAX, H_NONE, 0, false, table + 8 };
    struct host_mem often = { H_NONE, reg, 2, true,
                              (int32_t)offsetof(struct vcpu, slot_misses) };
    struct host_mem tired = state_mem(offsetof(struct vcpu, slot_tired));
    uint8_t *fail[3], *miss, *ac, *full, *rest;
    const uint8_t *found;

    j->fill[s1][write] = e->p;
    emit_push(e, H_RAX);
    emit_push(e, H_RCX);
    emit_mi(e, true, ALU_ADD, &misses, 1);
    emit_rr(e, true, 0x8b, H_RCX, H_S0);
    emit_rm(e, true, 0x33, H_RCX, &slot_tag);
    emit_ri(e, true, ALU_CMP, H_RCX, PAGE_BYTES - 1);
    fail[0] = emit_jcc(e, CC_BE);
    /* once in a while let somebody see how often this happens */
    emit_mi(e, false, ALU_ADD, &often, 1);
    emit_insn(e, &(struct host_insn){ .op = 0xf7,
                                      .mem = &often,
                                      .imm = SLOT_MISSES - 1,
                                      .imm_bytes = 4 });
    rest = emit_jcc(e, CC_E);
    miss = tlb_lookup(e, &tag);
    found = e->p;
    emit_rm(e, true, 0x8b, H_RCX, &tag);
    emit_rm(e, true, 0x8b, H_RAX, &host);
    emit_rr(e, true, 0x2b, H_RAX, H_RCX);
    emit_rm(e, true, 0x89, H_RCX, &slot_tag);
    emit_rm(e, true, 0x89, H_RAX, &slot_addend);
    emit_insn(e,
              &(struct host_insn){
                  .w = true, .map = 1, .op = 0xab, .reg = reg, .mem = &used });
    emit_mi(e, true, ALU_ADD, &fills, 1);
    emit_insn(e,
              &(struct host_insn){
                  .op = 0x80, .reg = ALU_CMP, .mem = &is_ac, .imm_bytes = 1 });
    ac = emit_jcc(e, CC_E);
    emit_rm(e, false, 0x8b, H_RAX, &count);
    emit_mi(e, false, ALU_ADD, &count, 1);
    emit_ri(e, false, ALU_CMP, H_RAX, SLOTS_AC);
    full = emit_jcc(e, CC_AE);
    emit_rm(e, false, 0x89, reg, &list);
    emit_patch(full, e->p);
    emit_patch(ac, e->p);
    emit_pop(e, H_RCX);
    emit_pop(e, H_RAX);
    emit8(e, 0xf8); /* clc */
    emit8(e, 0xc3);
    emit_patch(miss, e->p);
    call_refill(e, cpu, write);
    fail[1] = emit_jcc(e, CC_E);
    fail[2] = tlb_lookup(e, &tag);
    emit_jmp_to(e, found);
    emit_patch(rest, e->p);
    emit_rm(e, false, 0x89, reg, &tired);
    for (unsigned n = 0; n < 3; n++)
        emit_patch(fail[n], e->p);
    emit_pop(e, H_RCX);
    emit_pop(e, H_RAX);
    emit8(e, 0xf9); /* stc */
    emit8(e, 0xc3);
}

/*
 * The look-up of a place without a slot had no entry for the address in S0:
 * get one.  Carry: there is none that serves it, or there was one, so the
 * access crosses the page's end.
 */
void emit_tlb_fill(struct jit *j, struct emit *e, struct vcpu *cpu, bool write)
{
    int32_t table = tlb_table(write);
    struct host_mem tag = { H_RAX, H_NONE, 0, false, table };
    uint8_t *miss, *fail;

    j->tlb_fill[write] = e->p;
    emit_push(e, H_RAX);
    emit_push(e, H_RCX);
    miss = tlb_lookup(e, &tag);
    fail = emit_jcc(e, CC_ALWAYS);
    emit_patch(miss, e->p);
    call_refill(e, cpu, write);
    emit_pop(e, H_RCX);
    emit_pop(e, H_RAX);
    emit8(e, 0x74); /* je over: */
    emit8(e, 2);
    emit8(e, 0xf8); /* clc */
    emit8(e, 0xc3);
    emit8(e, 0xf9); /* stc */
    emit8(e, 0xc3);
    emit_patch(fail, e->p);
    emit_pop(e, H_RCX);
    emit_pop(e, H_RAX);
    emit8(e, 0xf9);
    emit8(e, 0xc3);
}

void slot_missed(struct vcpu *cpu, struct jit_block *jb, unsigned k)
{
    uint32_t slot = cpu->slot_tired;
    uint32_t now = (uint32_t)(jit_time(cpu) >> MISS_SHIFT);
    uint32_t passed = now - cpu->slot_since[slot];
    const struct jit_part *p = unit_part(jb, k);

    cpu->slot_tired = 0;
    cpu->slot_since[slot] = now;
    cpu->slot_misses[slot] = 0;
    if (passed > (SLOT_MISSES * MISS_CYCLES) >> MISS_SHIFT ||
        p->b->roams >> (k - p->first) & 1)
        return;
    p->b->roams |= 1u << (k - p->first);
    cache_drop(jb->b, jb);
    cache_unlink(cpu->jit, jb);
}
