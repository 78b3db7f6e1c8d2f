/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector rows that cannot run quite as they are: MXCSR, stores through DI
 * under a mask.
 */
#include "cpu/interp/interp.h"
#include "cpu/interp/vec.h"
#include "cpu/jit/translate.h"

static bool is_mxcsr(const struct x86_row *row, int ext)
{
    return row->map == 1 && row->opcode == 0xae && row->form == 'm' &&
           row->ext == ext && (row->prefix == X86_PFX_NP);
}

/* MASKMOVQ, MASKMOVDQU */
static bool is_mask_store(const struct x86_row *row)
{
    return row->map == 1 && row->opcode == 0xf7;
}

unsigned vector_needs(const struct x86_row *row)
{
    if (is_mxcsr(row, 2) || is_mxcsr(row, 3))
        return row->vex ? DENY_AVX : DENY_SSE;
    if (is_mask_store(row))
        return row->op[0].kind == X86_OP_P ? DENY_MMX
               : row->vex                  ? DENY_AVX
                                           : DENY_SSE;
    return 0;
}

/*
 * A value with bits above the sixteenth is the handler's: MXCSR.MM is the
 * only one that the guest might have.  It is looked at where no other
 * processor can change it any more.
 */
static bool load_mxcsr(struct tr *t)
{
    struct host_mem tmp = state_mem(offsetof(struct vcpu, jit_tmp));
    struct stub *s = stub_slow(t);
    struct mem_ref r = mem_ref_of(t, 4, false);
    struct host_mem m = emit_mem(t, s, &r);

    flags_keep(t);
    flags_lost(t);
    fault_note(t, s);
    emit_rm(&t->e, false, 0x8b, H_S0, &m);
    emit_store(&t->e, false, H_S0, offsetof(struct vcpu, jit_tmp));
    emit_insn(&t->e, &(struct host_insn){ .op = 0xf7, .reg = 2, .rm = H_S0 });
    emit_ri(&t->e, false, ALU_CMP, H_S0, (int32_t)~MXCSR_VALID);
    stub_jcc(t, s, CC_B);
    emit_insn(&t->e, &(struct host_insn){
                         .map = 1, .op = 0xae, .reg = 2, .mem = &tmp });
    s->resume = t->e.p;
    return true;
}

static bool store_mxcsr(struct tr *t)
{
    struct stub *s = stub_slow(t);
    struct mem_ref r = mem_ref_of(t, 4, true);
    struct host_mem m = emit_mem(t, s, &r);

    fault_note(t, s);
    emit_insn(&t->e,
              &(struct host_insn){ .map = 1, .op = 0xae, .reg = 3, .mem = &m });
    s->resume = t->e.p;
    return t->keep = true;
}

/* If all bytes can be written, so can those under the mask. */
static bool mask_store(struct tr *t)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;
    bool mmx = row->op[0].kind == X86_OP_P;
    struct host_insn h = { .map = 1,
                           .op = 0xf7,
                           .vex = row->vex,
                           .p66 = !mmx,
                           .reg = i->reg,
                           .rm = i->rm };
    struct stub *s;

    flags_keep(t);
    s = stub_slow(t);
    emit_rr(&t->e, i->asz == 8, 0x8b, H_S0, H_RDI);
    if (i->asz == 2)
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
    emit_check(t, s, i->seg, mmx ? 8 : 16, true);
    /* if it faults, it has to be here, where all registers are right */
    fault_note(t, s);
    emit_insn(&t->e,
              &(struct host_insn){
                  .map = 1, .op = 0xb6, .reg = H_S0, .mem = &mem_found });
    if (mmx) { /* the same for #MF */
        fault_note(t, s);
        emit8(&t->e, 0x9b);
    }
    emit_rr(&t->e, true, 0x87, H_S1, H_RDI);
    emit_insn(&t->e, &h);
    emit_rr(&t->e, true, 0x87, H_S1, H_RDI);
    s->resume = t->e.p;
    return true;
}

bool emit_vector(struct tr *t)
{
    if (is_mxcsr(t->row, 2))
        return load_mxcsr(t);
    if (is_mxcsr(t->row, 3))
        return store_mxcsr(t);
    return is_mask_store(t->row) && mask_store(t);
}
