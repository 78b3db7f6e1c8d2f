/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 instructions run on the host as they are, with the guest's registers in
 * the host's unit (interp/x87.h says how they get there).  ST(i) is the
 * host's ST(i), stack faults and all other exceptions are its own.  Blocks see
 * to it at their start that the registers are there.  An exception that the
 * guest has unmasked makes the next instruction fault, as it does there: the
 * interpreter is called for it (fault.c), finds it pending and raises #MF.
 *
 * Environments and whole states are left to the handlers, which find the
 * registers by fetching them.
 *
 * Last instruction.  What FNSTENV says of it must come from the guest's
 * code, so it is written to st.x87 where somebody might look: at a call of a
 * handler and before the block is left, not at each instruction.  The
 * operand's address is kept in exact mode only: processors that set
 * CPUID FDP_EXCPTN_ONLY (Intel, since Skylake) keep it only for unmasked
 * exceptions.
 */
#include "cpu/decode.h"
#include "cpu/interp/interp.h"
#include "cpu/interp/x87.h"
#include "cpu/jit/translate.h"

_Static_assert(offsetof(struct x86_x87, ip_sel) ==
                   offsetof(struct x86_x87, opcode) + 2,
               "one store writes both");

static size_t x87_at(size_t member)
{
    return offsetof(struct vcpu, st.x87) + member;
}

bool is_x87(const struct x86_row *row)
{
    return row->map == 0 && !row->vex && (row->opcode & 0xf8) == 0xd8;
}

static bool is_fwait(const struct x86_row *row)
{
    return row->map == 0 && !row->vex && row->opcode == 0x9b;
}

/* FLDENV, FNSTENV, FRSTOR, FNSAVE; FNINIT forgets the last instruction. */
static bool is_left_to_handler(const struct x86_insn *i,
                               const struct x86_row *row)
{
    return (row->opcode == 0xdb && row->exact == 0xe3) ||
           (i->flags & X86_I_MEM && (row->opcode & 0xfb) == 0xd9 &&
            (row->ext == 4 || row->ext == 6));
}

/* Those that do not count as the last instruction. */
static bool is_control(const struct x86_insn *i, const struct x86_row *row)
{
    if (is_fwait(row))
        return true;
    if (i->flags & X86_I_MEM)
        return (row->opcode == 0xd9 && (row->ext == 5 || row->ext == 7)) ||
               (row->opcode == 0xdd && row->ext == 7);
    return (row->opcode == 0xdb && (row->exact & 0xf8) == 0xe0 &&
            row->exact >= 0) ||
           (row->opcode == 0xdf && row->exact == 0xe0);
}

/* Memory forms that store */
static bool is_store(const struct x86_row *row)
{
    switch (row->opcode) {
    case 0xd9: return row->ext == 2 || row->ext == 3 || row->ext == 7;
    case 0xdb:
    case 0xdd: return row->ext == 7 || (row->ext >= 1 && row->ext <= 3);
    case 0xdf: return row->ext >= 6 || (row->ext >= 1 && row->ext <= 3);
    }
    return false;
}

unsigned x87_needs(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    if (is_fwait(row))
        return DENY_X87;
    return is_x87(row) && !is_left_to_handler(i, row) ? DENY_X87 : 0;
}

/* --- the last instruction ------------------------------------------------ */

static uint16_t opcode_of(const struct x86_insn *i)
{
    return (uint16_t)((i->opcode & 7) << 8 | i->modrm);
}

static void store_imm(struct tr *t, bool w, size_t at, uint32_t v)
{
    struct host_mem m = state_mem(at);

    emit_insn(&t->e,
              &(struct host_insn){
                  .w = w, .op = 0xc7, .mem = &m, .imm = v, .imm_bytes = 4 });
}

static void selector_move(struct tr *t, unsigned seg, size_t to)
{
    struct host_mem from = state_mem(offsetof(struct vcpu, st.seg) +
                                     seg * sizeof(struct x86_segment) +
                                     offsetof(struct x86_segment, selector));
    struct host_mem m = state_mem(x87_at(to));

    emit_insn(&t->e, &(struct host_insn){
                         .map = 1, .op = 0xb7, .reg = H_S0, .mem = &from });
    emit_insn(&t->e, &(struct host_insn){
                         .p66 = true, .op = 0x89, .reg = H_S0, .mem = &m });
}

void x87_record(struct tr *t, struct x87_last *last)
{
    uint64_t ip = last->ip;
    uint16_t sel = t->cpu->st.seg[SEG_CS].selector;

    if (!last->pending)
        return;
    last->pending = false;
    if ((uint64_t)(int32_t)ip == ip) {
        store_imm(t, true, x87_at(offsetof(struct x86_x87, ip)), (uint32_t)ip);
    } else {
        store_imm(t, false, x87_at(offsetof(struct x86_x87, ip)), (uint32_t)ip);
        store_imm(t, false, x87_at(offsetof(struct x86_x87, ip)) + 4,
                  (uint32_t)(ip >> 32));
    }
    store_imm(t, false, x87_at(offsetof(struct x86_x87, opcode)),
              last->opcode | (uint32_t)sel << 16);
    /* the same code can have been entered by another selector */
    if (t->exact)
        selector_move(t, SEG_CS, offsetof(struct x86_x87, ip_sel));
}

void x87_record_insn(struct vcpu *cpu, const struct jit_block *jb, unsigned k)
{
    const struct jit_part *p = unit_part(jb, k);
    const struct x86_insn *i = p->b->insn;
    uint64_t at = p->rip;

    for (k -= p->first; k; k--)
        at += i++->len;
    cpu->st.x87.ip = at;
    cpu->st.x87.opcode = opcode_of(i);
    cpu->st.x87.ip_sel = cpu->st.seg[SEG_CS].selector;
}

static void note(struct tr *t)
{
    const struct x86_insn *i = t->i;

    if (is_control(i, t->row))
        return;
    t->x87 = (struct x87_last){ true, (uint8_t)t->k, opcode_of(i),
                                t->next - i->len };
    if (!t->exact || !(i->flags & X86_I_MEM))
        return;
    emit_ea(t);
    emit_store(&t->e, true, H_S0, x87_at(offsetof(struct x86_x87, dp)));
    selector_move(t, i->seg, offsetof(struct x86_x87, dp_sel));
}

/* --- execution ----------------------------------------------------------- */

static void memory_form(struct tr *t)
{
    const struct x86_row *row = t->row;
    unsigned n = x86_operand_bytes(&row->op[0], t->i);
    struct stub *s = stub_slow(t);
    struct mem_ref r = mem_ref_of(t, n, is_store(row));
    struct host_mem m = emit_mem(t, s, &r);

    fault_note(t, s);
    emit_insn(&t->e, &(struct host_insn){ .op = row->opcode,
                                          .reg = (uint8_t)row->ext,
                                          .mem = &m });
    note(t);
    s->resume = t->e.p;
    t->keep = true;
}

bool emit_x87(struct tr *t)
{
    const struct x86_row *row = t->row;
    struct stub *s;

    if (!is_fwait(row) && (!is_x87(row) || is_left_to_handler(t->i, row)))
        return false;
    if (t->i->flags & X86_I_MEM) {
        memory_form(t);
        return true;
    }
    if (flags_wanted(t))
        flags_back(t);
    s = stub_slow(t);
    fault_note(t, s);
    emit8(&t->e, row->opcode);
    if (!is_fwait(row))
        emit8(&t->e, t->i->modrm);
    s->resume = t->e.p;
    flags_done(t);
    note(t);
    window_written(t, RAX); /* FNSTSW AX */
    return t->keep = true;
}
