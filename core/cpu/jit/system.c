/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System instructions that kernels execute all the time, as far as they come
 * to a few moves of the state: flags, FS and GS bases, selectors, who may
 * touch user pages.  Whatever is not the usual case is the handler's.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

#define AT(member) offsetof(struct vcpu, member)

/* Virtual-8086 mode, where flags and interrupts have rules of their own */
static bool is_v86_code(const struct tr *t)
{
    return (t->jb->mode & (MODE_REAL | MODE_USER)) == (MODE_REAL | MODE_USER);
}

static bool is_real_code(const struct tr *t)
{
    return (t->jb->mode & (MODE_REAL | MODE_USER)) == MODE_REAL;
}

/* cmp byte gs:[at], value; to s if it is cc */
static void check_byte(struct tr *t, struct stub *s, size_t at, unsigned value,
                       enum host_cc cc)
{
    struct host_mem m = state_mem(at);

    flags_lost(t);
    emit_insn(&t->e, &(struct host_insn){ .op = 0x80,
                                          .reg = ALU_CMP,
                                          .mem = &m,
                                          .imm_bytes = 1,
                                          .imm = value });
    stub_jcc(t, s, cc);
}

/* Code that is not the user's has CPL 0, or 1 or 2: then to s. */
static void check_cpl0(struct tr *t, struct stub *s)
{
    if (!(t->jb->mode & MODE_REAL))
        check_byte(t, s, AT(cpl), 0, CC_NE);
}

/* The begin of a row of CPL 0: what is left to the handler. */
static struct stub *privileged(struct tr *t)
{
    struct stub *s;

    flags_keep(t);
    s = stub_slow(t);
    check_cpl0(t, s);
    return s;
}

static bool is_last(const struct tr *t)
{
    return t->k + 1 == t->count;
}

/* --- flags --------------------------------------------------------------- */

static void rflags_insn(struct tr *t, unsigned op, int32_t mask)
{
    struct host_mem m = state_mem(AT(st.rflags));

    flags_lost(t);
    emit_mi(&t->e, false, op, &m, mask);
}

static bool cli(struct tr *t)
{
    struct stub *s;

    if (t->jb->mode & MODE_USER)
        return false;
    s = privileged(t);
    rflags_insn(t, ALU_AND, ~(int32_t)FL_IF);
    s->resume = t->e.p;
    return true;
}

/*
 * Interrupts are looked for between units only.  So the instruction behind
 * STI runs before one comes, as it must, if it is in the same unit.  When one
 * waits already it comes exactly behind that instruction: a guest may have
 * CLI there.  The handler raises the request, and the run loop takes a step;
 * in exact mode the block ends there.
 */
static bool sti(struct tr *t)
{
    struct stub *s;

    if ((t->jb->mode & MODE_USER) || is_last(t))
        return false;
    s = privileged(t);
    s->what = t->exact ? 0 : SLOW_END;
    check_byte(t, s, AT(intr_waiting), 0, CC_NE);
    rflags_insn(t, ALU_OR, FL_IF);
    s->resume = t->e.p;
    return true;
}

/* The flags register as PUSHF shows it into S0, from what flags_keep() left;
 * uses S1. */
static void flags_image(struct tr *t)
{
    window_close_reg(t, H_S1);
    emit_load(&t->e, false, H_S0, AT(jit_flags));
    emit_rr(&t->e, false, 0x8b, H_S1, H_S0);
    emit_shift(&t->e, false, 5, H_S0, 8);
    emit_ri(&t->e, false, ALU_AND, H_S0, FL_ARITH & 0xff);
    emit_ri(&t->e, false, ALU_AND, H_S1, 1);
    emit_shift(&t->e, false, 4, H_S1, 11);
    emit_rr(&t->e, false, 0x0b, H_S0, H_S1);
    emit_load(&t->e, false, H_S1, AT(st.rflags));
    emit_ri(&t->e, false, ALU_AND, H_S1, ~(int32_t)(FL_ARITH | FL_VM | FL_RF));
    emit_rr(&t->e, false, 0x0b, H_S0, H_S1);
}

static void sized(struct tr *t, unsigned op, unsigned reg,
                  const struct host_mem *m)
{
    emit_insn(&t->e, &(struct host_insn){ .p66 = t->i->osz == 2,
                                          .w = t->i->osz == 8,
                                          .op = (uint8_t)op,
                                          .reg = (uint8_t)reg,
                                          .mem = m });
}

/* S0 goes to the stack; s is for when that is not easy. */
static void push_s0(struct tr *t, struct stub *s)
{
    struct mem_ref r = stack_ref(t, -(int32_t)t->i->osz, t->i->osz, true);
    struct host_mem m;

    emit_store(&t->e, true, H_S0, AT(jit_tmp));
    m = emit_mem(t, s, &r);
    emit_load(&t->e, true, H_S0, AT(jit_tmp));
    fault_note(t, s);
    sized(t, 0x89, H_S0, &m);
    emit_sp_add(t, -(int32_t)t->i->osz);
}

static bool pushf(struct tr *t)
{
    struct stub *s;

    if (is_v86_code(t))
        return false;
    flags_keep(t);
    s = stub_slow(t);
    flags_lost(t);
    flags_image(t);
    push_s0(t, s);
    s->resume = t->e.p;
    return true;
}

/* The arithmetic flags in S1 become the host's; uses S0. */
static void flags_from_s1(struct tr *t)
{
    static const struct host_insn of_into_al = { .map = 1, .op = 0x92 };

    emit_rr(&t->e, true, 0x8b, H_S0, H_RAX);
    emit_rr(&t->e, false, 0x8b, H_RAX, H_S1);
    emit_shift(&t->e, false, 4, H_RAX, 8);
    emit_insn(&t->e, &(struct host_insn){ .map = 1,
                                          .op = 0xba,
                                          .reg = 4, /* bt */
                                          .rm = H_S1,
                                          .imm_bytes = 1,
                                          .imm = 11 });
    emit_insn(&t->e, &of_into_al);
    emit_flags_unpack(&t->e);
    emit_rr(&t->e, true, 0x8b, H_RAX, H_S0);
}

/* Other flags than these change seldom, and then something follows. */
static void popf_changes(struct tr *t, struct stub *s, uint32_t easy)
{
    uint32_t all = FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_AC | FL_ID;
    struct host_mem m = state_mem(AT(st.rflags));

    if (t->i->osz == 2)
        all &= 0xffff;
    emit_rr(&t->e, false, 0x8b, H_S0, H_S1);
    emit_rm(&t->e, false, 0x33, H_S0, &m);
    emit_insn(&t->e,
              &(struct host_insn){
                  .op = 0xf7, .rm = H_S0, .imm_bytes = 4, .imm = all & ~easy });
    stub_jcc(t, s, CC_NE);
    emit_ri(&t->e, false, ALU_AND, H_S0, (int32_t)easy);
    emit_rm(&t->e, false, 0x31, H_S0, &m);
}

/* What is on top of the stack becomes accessible at [S1]. */
static void check_top(struct tr *t, struct stub *s, unsigned n)
{
    emit_rr(&t->e, t->sp_size == 8, 0x8b, H_S0, H_SP);
    if (t->sp_size == 2)
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1, .op = 0xb7, .reg = H_S0, .rm = H_S0 });
    emit_check(t, s, SEG_SS, n, false);
    fault_note(t, s);
}

static bool popf(struct tr *t)
{
    bool user = t->jb->mode & MODE_USER;
    struct stub *s;

    if (is_v86_code(t))
        return false;
    flags_keep(t);
    s = stub_slow(t);
    s->what = SLOW_END | SLOW_ROW;
    if (!user) {
        check_cpl0(t, s);
        check_byte(t, s, AT(intr_waiting), 0, CC_NE);
    }
    check_top(t, s, t->i->osz);
    if (t->i->osz == 2)
        emit_insn(&t->e,
                  &(struct host_insn){
                      .map = 1, .op = 0xb7, .reg = H_S1, .mem = &mem_found });
    else
        sized(t, 0x8b, H_S1, &mem_found);
    popf_changes(t, s, user ? FL_DF : FL_DF | FL_IF);
    emit_sp_add(t, t->i->osz);
    flags_from_s1(t);
    s->resume = t->e.p;
    flags_done(t);
    return true;
}

static void tlb_choose(struct tr *t, unsigned ac)
{
    emit_load(&t->e, true, H_S0, AT(tlb_ac) + ac * sizeof(struct tlb *));
    emit_store(&t->e, true, H_S0, AT(tlb));
}

static bool stac(struct tr *t)
{
    struct host_mem smap = state_mem(AT(tlb_smap));
    struct host_mem is_ac = state_mem(AT(tlb_is_ac));
    struct stub *s;

    if (t->jb->mode & (MODE_USER | MODE_REAL))
        return false;
    s = privileged(t);
    rflags_insn(t, ALU_OR, FL_AC);
    tlb_choose(t, 1);
    emit_rm(&t->e, false, 0x8a, H_S0, &smap);
    emit_rm(&t->e, false, 0x88, H_S0, &is_ac);
    s->resume = t->e.p;
    return true;
}

/* As slots_leave_ac() in tlb.c; many go to the handler. */
static void slots_leave(struct tr *t, struct stub *s)
{
    struct host_mem count = state_mem(AT(slots_ac));
    struct host_mem list = { H_NONE, H_S0, 2, true, (int32_t)AT(slot_ac) - 4 };
    struct host_mem tag = { H_NONE, H_S1, 3, true, (int32_t)AT(slot_tag) };
    uint8_t *none, *again;

    flags_lost(t);
    emit_load(&t->e, false, H_S0, AT(slots_ac));
    emit_ri(&t->e, false, ALU_CMP, H_S0, SLOTS_AC);
    stub_jcc(t, s, CC_A);
    emit_ri(&t->e, false, ALU_CMP, H_S0, 0);
    none = emit_jcc(&t->e, CC_E);
    emit_mov_imm(&t->e, H_S2, SLOT_EMPTY);
    again = t->e.p;
    emit_rm(&t->e, false, 0x8b, H_S1, &list);
    emit_rm(&t->e, true, 0x89, H_S2, &tag);
    emit_ri(&t->e, false, ALU_SUB, H_S0, 1);
    emit_patch(emit_jcc(&t->e, CC_NE), again);
    emit_rm(&t->e, false, 0x89, H_S0, &count);
    emit_patch(none, t->e.p);
}

static bool clac(struct tr *t)
{
    struct host_mem is_ac = state_mem(AT(tlb_is_ac));
    struct stub *s;

    if (t->jb->mode & (MODE_USER | MODE_REAL))
        return false;
    s = privileged(t);
    slots_leave(t, s);
    rflags_insn(t, ALU_AND, ~(int32_t)FL_AC);
    tlb_choose(t, 0);
    emit_insn(&t->e,
              &(struct host_insn){ .op = 0xc6, .mem = &is_ac, .imm_bytes = 1 });
    s->resume = t->e.p;
    return true;
}

/* --- segments ------------------------------------------------------------ */

#define GS_BASE (AT(st.seg) + SEG_GS * sizeof(struct x86_segment))
#define GS_FAST (AT(fast) + SEG_GS * sizeof(struct seg_fast))
_Static_assert(offsetof(struct x86_segment, base) == 0 &&
                   offsetof(struct seg_fast, base) == 0,
               "the bases are first");

static bool swapgs(struct tr *t)
{
    struct stub *s;

    if (t->jb->mode & MODE_USER)
        return false;
    s = privileged(t);
    emit_load(&t->e, true, H_S0, GS_BASE);
    emit_load(&t->e, true, H_S1, AT(st.kernel_gs_base));
    emit_store(&t->e, true, H_S0, AT(st.kernel_gs_base));
    emit_store(&t->e, true, H_S1, GS_BASE);
    emit_store(&t->e, true, H_S1, GS_FAST);
    s->resume = t->e.p;
    return true;
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: ModRM.reg 0 to 3 */
static bool base_access(struct tr *t)
{
    const struct x86_insn *i = t->i;
    unsigned n = i->modrm >> 3 & 3, seg = n & 1 ? SEG_GS : SEG_FS;
    size_t at = AT(st.seg) + seg * sizeof(struct x86_segment);
    struct host_mem fsgsbase = state_mem(AT(st.cr4) + 2);
    unsigned reg = host_of[i->rm];
    bool w = i->osz == 8;
    struct stub *s;

    flags_keep(t);
    s = stub_slow(t);
    s->what = SLOW_ROW | (n & 2 ? SLOW_END : 0);
    flags_lost(t);
    emit_insn(&t->e, &(struct host_insn){ .op = 0xf6,
                                          .mem = &fsgsbase,
                                          .imm_bytes = 1,
                                          .imm = CR4_FSGSBASE >> 16 });
    stub_jcc(t, s, CC_E);
    if (n < 2) {
        emit_load(&t->e, w, reg == H_NONE ? H_S0 : reg, at);
        reg_write_back(t, i->rm, H_S0);
    } else {
        reg = reg_use(t, i->rm, H_S0);
        emit_rr(&t->e, w, 0x8b, H_S1, reg);
        emit_shift(&t->e, true, 7, H_S1, 47);
        emit_ri(&t->e, true, ALU_ADD, H_S1, 1);
        emit_ri(&t->e, true, ALU_CMP, H_S1, 1);
        stub_jcc(t, s, CC_A);
        emit_rr(&t->e, w, 0x8b, H_S0, reg);
        emit_store(&t->e, true, H_S0, at);
        emit_store(&t->e, true, H_S0, AT(fast) + seg * sizeof(struct seg_fast));
    }
    s->resume = t->e.p;
    return true;
}

static size_t selector_at(unsigned seg)
{
    return AT(st.seg) + seg * sizeof(struct x86_segment) +
           offsetof(struct x86_segment, selector);
}

static void selector_get(struct tr *t, unsigned to, unsigned seg)
{
    struct host_mem m = state_mem(selector_at(seg));

    emit_insn(&t->e, &(struct host_insn){
                         .map = 1, .op = 0xb7, .reg = (uint8_t)to, .mem = &m });
}

/* MOV from a segment register to a general one */
static bool selector_read(struct tr *t)
{
    const struct x86_insn *i = t->i;
    unsigned to = host_of[i->rm];

    if ((i->flags & X86_I_MEM) || i->reg >= SEG_COUNT)
        return false;
    if (i->osz > 2) {
        selector_get(t, to == H_NONE ? H_S0 : to, i->reg);
        reg_write_back(t, i->rm, H_S0);
        return true;
    }
    if (to == H_NONE)
        return false;
    selector_get(t, H_S0, i->reg);
    emit_insn(&t->e,
              &(struct host_insn){
                  .p66 = true, .op = 0x8b, .reg = (uint8_t)to, .rm = H_S0 });
    return true;
}

static bool selector_push(struct tr *t)
{
    struct stub *s;

    flags_keep(t);
    s = stub_slow(t);
    flags_lost(t);
    selector_get(t, H_S0, t->row->opcode >> 3 & 7);
    push_s0(t, s);
    s->resume = t->e.p;
    return true;
}

/*
 * A selector in S0 goes to a data segment in real or virtual-8086 mode.  The
 * rest of the segment is then what it always is there, or the handler's
 * business; a block that is flat takes that from it.
 */
static void real_segment(struct tr *t, struct stub *s, unsigned seg)
{
    size_t at = AT(st.seg) + seg * sizeof(struct x86_segment);
    struct host_mem limit = state_mem(at + offsetof(struct x86_segment, limit));
    struct host_mem attr = state_mem(at + offsetof(struct x86_segment, attr));
    struct host_mem sel = state_mem(selector_at(seg));

    flags_lost(t);
    emit_mi(&t->e, false, ALU_CMP, &limit, 0xffff);
    stub_jcc(t, s, CC_NE);
    emit_insn(&t->e,
              &(struct host_insn){ .p66 = true,
                                   .op = 0x81,
                                   .reg = ALU_CMP,
                                   .mem = &attr,
                                   .imm_bytes = 2,
                                   .imm = is_v86_code(t) ? 0xf3 : 0x93 });
    stub_jcc(t, s, CC_NE);
    emit_insn(&t->e, &(struct host_insn){
                         .p66 = true, .op = 0x89, .reg = H_S0, .mem = &sel });
    emit_shift(&t->e, false, 4, H_S0, 4);
    emit_store(&t->e, true, H_S0, at);
    emit_store(&t->e, true, H_S0, AT(fast) + seg * sizeof(struct seg_fast));
}

static bool real_load_possible(const struct tr *t, unsigned seg)
{
    return (is_v86_code(t) || is_real_code(t)) && !t->flat && seg != SEG_CS &&
           seg != SEG_SS && seg < SEG_COUNT;
}

static void load_word(struct tr *t, unsigned to)
{
    emit_insn(&t->e, &(struct host_insn){ .map = 1,
                                          .op = 0xb7,
                                          .reg = (uint8_t)to,
                                          .mem = &mem_found });
}

/* MOV to a segment register */
static bool selector_write(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct stub *s;

    if (!real_load_possible(t, i->reg))
        return false;
    flags_keep(t);
    s = stub_slow(t);
    s->what = SLOW_END | SLOW_ROW;
    if (i->flags & X86_I_MEM) {
        emit_ea(t);
        emit_check(t, s, i->seg, 2, false);
        fault_note(t, s);
        load_word(t, H_S0);
    } else {
        emit_insn(&t->e, &(struct host_insn){
                             .map = 1,
                             .op = 0xb7,
                             .reg = H_S0,
                             .rm = (uint8_t)reg_use(t, i->rm, H_S0) });
    }
    real_segment(t, s, i->reg);
    s->resume = t->e.p;
    return true;
}

static bool selector_pop(struct tr *t)
{
    unsigned seg = t->row->opcode >> 3 & 7;
    struct stub *s;

    if (!real_load_possible(t, seg))
        return false;
    flags_keep(t);
    s = stub_slow(t);
    s->what = SLOW_END | SLOW_ROW;
    check_top(t, s, 2);
    load_word(t, H_S0);
    real_segment(t, s, seg);
    emit_sp_add(t, t->i->osz);
    s->resume = t->e.p;
    return true;
}

/* --- control registers --------------------------------------------------- */

static bool control_read(struct tr *t)
{
    unsigned n = t->i->reg;
    size_t at = n == 0   ? AT(st.cr0)
                : n == 2 ? AT(st.cr2)
                : n == 3 ? AT(st.cr3)
                         : AT(st.cr4);
    unsigned to = host_of[t->i->rm];
    struct stub *s;

    if ((t->jb->mode & MODE_USER) || n > 4 || n == 1)
        return false;
    s = privileged(t);
    emit_load(&t->e, t->bits == 64, to == H_NONE ? H_S0 : to, at);
    reg_write_back(t, t->i->rm, H_S0);
    s->resume = t->e.p;
    return true;
}

/* --- the time-stamp counter ---------------------------------------------- */

/*
 * From the host's counter, by what the handler measured; see tsc_shown() in
 * cpu/tsc.c.  The handler needs neither RAX nor RDX and cannot fault
 * where TSD was looked at.
 */
static bool rdtsc(struct tr *t, bool aux)
{
    struct host_mem host = state_mem(AT(tsc.host));
    struct host_mem window = state_mem(AT(tsc.window));
    struct host_mem mult = state_mem(AT(tsc.mult));
    struct host_mem guest = state_mem(AT(tsc.guest));
    struct host_mem offset = state_mem(AT(st.tsc_offset));
    struct stub *s;

    if (!t->cpu->tsc.steady)
        return false;
    flags_keep(t);
    s = stub_slow(t);
    s->what = SLOW_END | SLOW_ROW;
    if (t->jb->mode & MODE_USER) {
        struct host_mem cr4 = state_mem(AT(st.cr4));

        flags_lost(t);
        emit_insn(&t->e, &(struct host_insn){ .op = 0xf6,
                                              .mem = &cr4,
                                              .imm_bytes = 1,
                                              .imm = CR4_TSD });
        stub_jcc(t, s, CC_NE);
    }
    flags_lost(t);
    emit_insn(&t->e, &(struct host_insn){ .map = 1, .op = 0x31, .bare = true });
    emit_shift(&t->e, true, 4, H_RDX, 32);
    emit_rr(&t->e, true, 0x0b, H_RAX, H_RDX);
    emit_rm(&t->e, true, 0x2b, H_RAX, &host);
    emit_rm(&t->e, true, 0x3b, H_RAX, &window);
    stub_jcc(t, s, CC_AE);
    emit_insn(&t->e, &(struct host_insn){ .w = true,
                                          .map = 1,
                                          .op = 0xaf,
                                          .reg = H_RAX,
                                          .mem = &mult });
    emit_shift(&t->e, true, 5, H_RAX, 32);
    emit_rm(&t->e, true, 0x03, H_RAX, &guest);
    emit_rm(&t->e, true, 0x03, H_RAX, &offset);
    emit_rr(&t->e, true, 0x8b, H_RDX, H_RAX);
    emit_shift(&t->e, true, 5, H_RDX, 32);
    emit_rr(&t->e, false, 0x8b, H_RAX, H_RAX);
    if (aux)
        emit_load(&t->e, false, H_RCX, AT(st.tsc_aux));
    s->resume = t->e.p;
    return true;
}

/* --- all of them --------------------------------------------------------- */

/* By what the rows of the second map are called. */
static bool emit_0f(struct tr *t)
{
    const struct x86_row *row = t->row;

    switch (row->opcode) {
    case 0x01:
        switch (row->exact) {
        case 0xca: return clac(t);
        case 0xcb: return stac(t);
        case 0xf8: return swapgs(t);
        case 0xf9: return rdtsc(t, true);
        }
        return false;
    case 0x20: return control_read(t);
    case 0x31: return rdtsc(t, false);
    case 0xae:
        return row->prefix == X86_PFX_F3 && row->form == 'r' && row->ext < 4 &&
               t->bits == 64 && base_access(t);
    case 0xa0:
    case 0xa8: return selector_push(t);
    case 0xa1:
    case 0xa9: return selector_pop(t);
    }
    return false;
}

bool emit_system(struct tr *t)
{
    const struct x86_row *row = t->row;

    if (row->vex || row->map > 1)
        return false;
    if (row->map == 1)
        return emit_0f(t);
    switch (row->opcode) {
    case 0x06:
    case 0x0e:
    case 0x16:
    case 0x1e: return selector_push(t);
    case 0x07:
    case 0x1f: return selector_pop(t);
    case 0x8c: return selector_read(t);
    case 0x8e: return selector_write(t);
    case 0x9c: return pushf(t);
    case 0x9d: return popf(t);
    case 0xfa: return cli(t);
    case 0xfb: return sti(t);
    }
    return false;
}
