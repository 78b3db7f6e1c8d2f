/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near jumps, calls and returns.
 *
 * Targets known at translation are links: jumps that are patched when the
 * target has code.  Others go through the jump table of the key, by the low
 * bits of the target; a miss lets the interpreter do the instruction and
 * finds the block in C.  The look-up destroys the flags, so they are saved
 * before, and fetched by a target that wants them.
 *
 * A guest call is a host call, too.  It leaves a frame on the host's stack,
 * the guest's return address and the host's; a guest return that finds its
 * address in the frame returns by it.  So the host's processor knows where it
 * goes, and the unit of the caller goes on.  Other frames may be in between
 * (calls that did not return, or returned by the interpreter), so a few are
 * looked at; if it is in none the jump table has the way.
 *
 * A frame is as good as the code that it leads to, which is nobody's entry
 * and so cannot be taken back.  Therefore all frames are dropped whenever code
 * leads out, and when the handler of an instruction leads elsewhere: then the
 * mode or translations may have changed.  A store into code leads out.  The
 * stack is not endless: units with such calls look how deep it is.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

_Static_assert(sizeof(struct jit_jump) == 16 &&
                   offsetof(struct jit_jump, lin) == 0,
               "emitted code knows the layout");

static uint64_t target_of(const struct tr *t)
{
    return jump_trunc(t->next + t->i->imm, t->i->osz);
}

/* The interpreter raises #GP for the others. */
static bool target_fits(const struct tr *t, uint64_t target)
{
    if (t->bits == 64)
        return (uint64_t)((int64_t)target >> 47) + 1 <= 1;
    return target < t->cpu->code_end;
}

void find_target(struct tr *t, struct stub *miss)
{
    struct host_mem table = state_mem(offsetof(struct vcpu, jit_jumps));
    struct host_mem lin = { H_S1, H_NONE, 0, false, 0 };

    if (t->jb->mode & MODE_LIMIT) {
        struct host_mem end = state_mem(offsetof(struct vcpu, code_end));

        emit_rm(&t->e, true, 0x3b, H_S0, &end);
        stub_jcc(t, miss, CC_AE);
    }
    if (t->bits != 64 && !t->flat) {
        struct host_mem base = state_mem(offsetof(struct vcpu, fast) +
                                         SEG_CS * sizeof(struct seg_fast));

        emit_rm(&t->e, false, 0x03, H_S0, &base);
    }
    /* jump_slot() */
    emit_rr(&t->e, false, 0x8b, H_S1, H_S0);
    emit_shift(&t->e, false, 5, H_S1, JIT_JUMP_SHIFT);
    emit_rr(&t->e, false, 0x33, H_S1, H_S0);
    emit_ri(&t->e, false, ALU_AND, H_S1, (1 << JIT_JUMP_BITS) - 1);
    emit_shift(&t->e, false, 4, H_S1, 4);
    emit_rm(&t->e, true, 0x03, H_S1, &table);
    emit_rm(&t->e, true, 0x3b, H_S0, &lin);
    stub_jcc(t, miss, CC_NE);
}

void exit_found(struct tr *t)
{
    struct host_mem code = { H_S1, H_NONE, 0, false,
                             (int32_t)offsetof(struct jit_jump, code) };

    emit_insn(&t->e, &(struct host_insn){ .op = 0xff,
                                          .reg = t->paired[t->k] ? 2 : 4,
                                          .mem = &code });
    t->ended = !t->paired[t->k];
}

static bool jump_known(struct tr *t, enum host_cc cc)
{
    uint64_t target = target_of(t);
    enum follow follow = (enum follow)t->follow[t->k];

    if (!target_fits(t, target))
        return false;
    if (cc == CC_ALWAYS && follow == FOLLOW_TARGET)
        return t->keep = true;
    if (flags_wanted(t))
        flags_back(t);
    if (follow == FOLLOW_TARGET) {
        exit_to(t, cc ^ 1, t->next);
        return t->keep = true;
    }
    exit_to(t, cc, target);
    if (follow == FOLLOW_NEXT)
        return t->keep = true;
    if (cc != CC_ALWAYS)
        exit_to(t, CC_ALWAYS, t->next);
    t->ended = true;
    return true;
}

/* The frame of a call, next to the host's own return address. */
static void push_frame(struct tr *t)
{
    uint64_t back = t->next;

    if ((uint64_t)(int32_t)back == back) {
        emit8(&t->e, 0x68);
        emit32(&t->e, (uint32_t)back);
        return;
    }
    emit_mov_imm(&t->e, H_S0, back);
    emit_insn(&t->e,
              &(struct host_insn){ .op = 0x50, .plus_r = true, .rm = H_S0 });
}

/* Where the host comes back. */
static bool after_call(struct tr *t)
{
    emit_lea(&t->e, true, H_RSP, H_RSP, 8);
    t->in_host = false;
    t->in_state = true;
    t->vec = 0;
    t->called = true;
    if (t->follow[t->k] == FOLLOW_NEXT)
        return true;
    exit_to(t, CC_ALWAYS, t->next);
    t->ended = true;
    return true;
}

static bool call_known(struct tr *t)
{
    uint64_t target = target_of(t), back = t->next;
    unsigned n = t->i->osz;
    struct mem_ref r = stack_ref(t, -(int32_t)n, n, true);
    struct host_mem m;
    struct stub *s;

    if (!target_fits(t, target))
        return false;
    s = stub_new(t, STUB_END);
    m = emit_mem(t, s, &r);
    if (n < 8 || (uint64_t)(int32_t)back == back) {
        fault_note(t, s);
        emit_insn(&t->e, &(struct host_insn){ .p66 = n == 2,
                                              .w = n == 8,
                                              .op = 0xc7,
                                              .mem = &m,
                                              .imm = back,
                                              .imm_bytes = n == 2 ? 2 : 4 });
    } else {
        emit_mov_imm(&t->e, H_S0, back);
        fault_note(t, s);
        emit_rm(&t->e, true, 0x89, H_S0, &m);
    }
    emit_sp_add(t, -(int32_t)n);
    if (t->follow[t->k] == FOLLOW_TARGET)
        return t->keep = true;
    if (t->paired[t->k])
        push_frame(t);
    if (t->paired[t->k]) {
        exit_by_call(t, target);
        return after_call(t);
    }
    exit_to(t, CC_ALWAYS, target);
    t->ended = true;
    return true;
}

static void zero_extend16(struct tr *t)
{
    emit_insn(&t->e, &(struct host_insn){
                         .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
}

/* Target in S0.  Goes there if it is in a frame. */
static void return_by_frame(struct tr *t, int32_t pop)
{
    struct host_mem top = { H_RSP, H_NONE, 0, false, 8 };
    uint8_t *rel;

    emit_rm(&t->e, true, 0x3b, H_S0, &top);
    rel = emit_jcc(&t->e, CC_NE);
    emit_sp_add(t, pop);
    emit8(&t->e, 0xc3);
    emit_patch(rel, t->e.p);
    emit_mov_imm(&t->e, H_S1, (uint64_t)pop);
    emit_call_to(&t->e, t->jit->frames[t->sp_size == 8]);
}

static void return_to_caller(struct tr *t)
{
    unsigned n = t->i->osz;
    struct mem_ref r = stack_ref(t, 0, n, false);
    struct stub *s = stub_new(t, STUB_END);
    struct host_mem m;
    int32_t extra = t->row->opcode == 0xc2 ? (uint16_t)t->i->imm : 0;

    m = emit_mem(t, s, &r);
    flags_keep(t);
    flags_lost(t);
    fault_note(t, s);
    emit_rm(&t->e, n == 8, 0x8b, H_S0, &m);
    if (n == 2)
        zero_extend16(t);
    if (n == t->sp_size && n != 2 && (t->bits == 64 || t->flat))
        return_by_frame(t, (int32_t)n + extra);
    find_target(t, s);
    emit_sp_add(t, (int32_t)n + extra);
    exit_found(t);
}

/* Target of an indirect jump or call into S0; keeps the flags. */
static void load_target(struct tr *t, struct stub *s)
{
    const struct x86_insn *i = t->i;

    if (i->flags & X86_I_MEM) {
        struct mem_ref r = mem_ref_of(t, i->osz, false);
        struct host_mem m = emit_mem(t, s, &r);

        flags_keep(t);
        fault_note(t, s);
        emit_rm(&t->e, i->osz == 8, 0x8b, H_S0, &m);
    } else {
        flags_keep(t);
        emit_rr(&t->e, i->osz == 8, 0x8b, H_S0, reg_use(t, i->rm, H_S0));
    }
    flags_lost(t);
    if (i->osz == 2)
        zero_extend16(t);
}

static void jump_indirect(struct tr *t)
{
    struct stub *s = stub_new(t, STUB_END);

    load_target(t, s);
    find_target(t, s);
    exit_found(t);
}

/* The stack is checked before the target is looked up; nothing is stored
 * before both are known to be good. */
static bool call_indirect(struct tr *t)
{
    size_t tmp = offsetof(struct vcpu, jit_tmp);
    unsigned n = t->i->osz;
    struct mem_ref r = stack_ref(t, -(int32_t)n, n, true);
    struct host_mem m;
    struct stub *s;

    if (n == 2)
        return false;
    s = stub_new(t, STUB_END);
    load_target(t, s);
    find_target(t, s);
    emit_store(&t->e, true, H_S1, tmp);
    windows_close(t);
    m = emit_mem(t, s, &r);
    emit_mov_imm(&t->e, H_S0, t->next);
    fault_note(t, s);
    emit_rm(&t->e, n == 8, 0x89, H_S0, &m);
    emit_sp_add(t, -(int32_t)n);
    if (t->paired[t->k])
        push_frame(t);
    emit_load(&t->e, true, H_S1, tmp);
    exit_found(t);
    return !t->paired[t->k] || after_call(t);
}

/* LOOP and JRCXZ exist on the host with the same flags; the address size
 * prefix makes ECX of RCX.  16-bit counters go to the interpreter. */
static bool loop_or_jcxz(struct tr *t)
{
    const struct x86_insn *i = t->i;
    uint64_t target = target_of(t);
    uint8_t *taken;

    if (i->asz == 2 || !target_fits(t, target))
        return false;
    flags_back(t);
    if (i->asz == 4)
        emit8(&t->e, 0x67);
    emit8(&t->e, t->row->opcode);
    emit8(&t->e, 5); /* over the jump that follows */
    taken = t->e.p;
    exit_to(t, CC_ALWAYS, t->next);
    if (t->e.p != taken + 5)
        return false;
    exit_to(t, CC_ALWAYS, target);
    t->ended = true;
    return true;
}

bool branch_goes_on(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    if (!(i->flags & X86_I_END))
        return true;
    return row->jit == X86_JIT_BRANCH && row->op[0].kind == X86_OP_J &&
           (row->map == 1 || (row->opcode & 0xfc) != 0xe0);
}

bool branch_is_call(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    return row->jit == X86_JIT_BRANCH && row->map == 0 &&
           (row->opcode == 0xe8 ||
            (row->opcode == 0xff && (i->modrm >> 3 & 7) == 2));
}

bool emit_branch(struct tr *t)
{
    const struct x86_row *row = t->row;
    unsigned op = row->opcode;

    if (row->map == 1 && (op & 0xf0) == 0x80)
        return jump_known(t, (enum host_cc)(op & 15));
    if (row->map != 0)
        return false;
    if ((op & 0xf0) == 0x70)
        return jump_known(t, (enum host_cc)(op & 15));
    switch (op) {
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3: return loop_or_jcxz(t);
    case 0xe8: return call_known(t);
    case 0xe9:
    case 0xeb: return jump_known(t, CC_ALWAYS);
    case 0xc2:
    case 0xc3: return_to_caller(t); return true;
    case 0xff:
        if ((t->i->modrm >> 3 & 7) == 2)
            return call_indirect(t);
        if ((t->i->modrm >> 3 & 7) != 4)
            return false;
        jump_indirect(t);
        return true;
    }
    return false;
}
