/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far JMP, CALL and RET, through call gates too.
 *
 * Source: Intel SDM volume 2 "JMP", "CALL", "RET", volume 3A 5.8.
 */
#include "cpu/interp/interp.h"
#include "cpu/mode.h"
#include "cpu/segment.h"

/* --- checks shared by the transfers -------------------------------------- */

/* In long mode a code segment must not have both L and D. */
static void check_code_size(struct vcpu *cpu, uint16_t sel, uint64_t d)
{
    if (cpu->long_mode && desc_is_long(d) && desc_is_32(d))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
}

static void check_target(struct vcpu *cpu, uint64_t d, uint64_t off)
{
    if (cpu->long_mode && desc_is_long(d)) {
        if (!is_canonical(off))
            cpu_gp0(cpu);
    } else if (off > desc_limit(d)) {
        cpu_gp0(cpu);
    }
}

/* A code segment that is named directly by JMP or CALL. */
static void check_direct(struct vcpu *cpu, uint16_t sel, uint64_t d)
{
    unsigned dpl = desc_dpl(d);

    check_code_size(cpu, sel, d);
    if (desc_is_conforming(d) ? dpl > cpu->cpl
                              : (sel & 3u) > cpu->cpl || dpl != cpu->cpl)
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, sel & 0xfffcu);
}

static uint64_t read_target(struct vcpu *cpu, uint16_t sel, uint64_t *lin)
{
    uint64_t d;

    if (sel_is_null(sel))
        cpu_gp0(cpu);
    if (!desc_read(cpu, sel, &d, lin))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    return d;
}

/* --- gates --------------------------------------------------------------- */

struct gate {
    uint16_t sel;  /* of the code segment */
    uint64_t desc; /* its descriptor */
    uint64_t off;
    unsigned osz;
    unsigned params;
};

static void read_call_gate(struct vcpu *cpu, uint16_t sel, uint64_t d,
                           uint64_t lin, bool jump, struct gate *g)
{
    g->off = gate_offset(d);
    g->osz = desc_type(d) == SYS_CALL16 ? 2 : 4;
    g->params = d >> 32 & 31;
    g->sel = gate_selector(d);
    if (g->osz == 2)
        g->off &= 0xffff;
    if (cpu->long_mode) {
        uint64_t high = desc_read_high(cpu, lin);

        if (high >> 40 & 0x1f)
            cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
        g->off |= high << 32;
        g->osz = 8;
        g->params = 0;
    }
    if (sel_is_null(g->sel))
        cpu_gp0(cpu);
    if (!desc_read(cpu, g->sel, &g->desc, NULL) || !desc_is_code(g->desc) ||
        desc_dpl(g->desc) > cpu->cpl ||
        (cpu->long_mode && (!desc_is_long(g->desc) || desc_is_32(g->desc))))
        cpu_raise_err(cpu, EXC_GP, g->sel & 0xfffcu);
    if (jump && !desc_is_conforming(g->desc) && desc_dpl(g->desc) != cpu->cpl)
        cpu_raise_err(cpu, EXC_GP, g->sel & 0xfffcu);
    if (!desc_is_present(g->desc))
        cpu_raise_err(cpu, EXC_NP, g->sel & 0xfffcu);
}

/* Privilege and presence of any gate or TSS that a transfer names. */
static void check_gate(struct vcpu *cpu, uint16_t sel, uint64_t d)
{
    if (desc_dpl(d) < cpu->cpl || desc_dpl(d) < (sel & 3u))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, sel & 0xfffcu);
}

/* A TSS or task gate; returns when `d` is a call gate. */
static bool system_transfer(struct vcpu *cpu, uint16_t sel, uint64_t d,
                            enum task_source source)
{
    unsigned type = desc_type(d);

    if (desc_is_code_or_data(d))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    if (type == SYS_CALL32 || (type == SYS_CALL16 && !cpu->long_mode)) {
        check_gate(cpu, sel, d);
        return false;
    }
    if (cpu->long_mode ||
        (type != SYS_TASK_GATE && type != SYS_TSS16 && type != SYS_TSS32))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    check_gate(cpu, sel, d);
    if (type == SYS_TASK_GATE)
        sel = gate_selector(d);
    task_switch(cpu, sel, source, false, 0, 0);
    return true;
}

/* --- JMP ----------------------------------------------------------------- */

static void far_jump_real(struct vcpu *cpu, uint16_t sel, uint64_t off)
{
    struct x86_segment *cs = &cpu->st.seg[SEG_CS];

    if (off > cs->limit)
        cpu_gp0(cpu);
    cs->selector = sel;
    cs->base = (uint32_t)sel << 4;
    if (is_v86(cpu))
        cs->attr = 0xf3;
    else
        cs->attr = (cs->attr & (SEG_DB | SEG_G)) | 0x93;
    cpu->st.rip = off;
    mode_segment(cpu, SEG_CS);
}

void far_jump(struct vcpu *cpu, uint16_t sel, uint64_t off, unsigned osz)
{
    struct gate g;
    uint64_t d, lin;

    if (osz == 2)
        off &= 0xffff;
    if (!is_protected(cpu)) {
        far_jump_real(cpu, sel, off);
        return;
    }
    d = read_target(cpu, sel, &lin);
    if (desc_is_code(d)) {
        check_direct(cpu, sel, d);
        check_target(cpu, d, off);
        segment_enter(cpu, sel, d, cpu->cpl, NULL);
        cpu->st.rip = off;
        return;
    }
    if (system_transfer(cpu, sel, d, TASK_JUMP))
        return;
    read_call_gate(cpu, sel, d, lin, true, &g);
    check_target(cpu, g.desc, g.off);
    segment_enter(cpu, g.sel, g.desc, cpu->cpl, NULL);
    cpu->st.rip = g.off;
}

/* --- CALL ---------------------------------------------------------------- */

static void call_same(struct vcpu *cpu, uint16_t sel, uint64_t d, uint64_t off,
                      unsigned osz)
{
    struct frame f;

    frame_current(cpu, &f);
    frame_push(cpu, &f, osz, cpu->st.seg[SEG_CS].selector);
    frame_push(cpu, &f, osz, cpu->st.rip);
    check_target(cpu, d, off);
    segment_enter(cpu, sel, d, cpu->cpl, NULL);
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.rip = off;
}

/* To an inner level: its stack, with the parameters of the old one. */
static void call_inner(struct vcpu *cpu, const struct gate *g)
{
    unsigned cpl = desc_dpl(g->desc);
    uint32_t param[31];
    struct frame f, old;

    frame_current(cpu, &old);
    if (cpu->long_mode)
        frame_long(cpu, &f, cpl, 0, 0);
    else
        frame_inner(cpu, &f, cpl, 0);
    for (unsigned n = 0; n < g->params; n++)
        param[n] = (uint32_t)frame_pop(cpu, &old, g->osz);
    frame_push(cpu, &f, g->osz, cpu->st.seg[SEG_SS].selector);
    frame_push(cpu, &f, g->osz, cpu->st.gpr[RSP]);
    for (unsigned n = g->params; n > 0; n--)
        frame_push(cpu, &f, g->osz, param[n - 1]);
    frame_push(cpu, &f, g->osz, cpu->st.seg[SEG_CS].selector);
    frame_push(cpu, &f, g->osz, cpu->st.rip);
    check_target(cpu, g->desc, g->off);
    segment_enter(cpu, g->sel, g->desc, cpl, &f.ss);
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.rip = g->off;
}

void far_call(struct vcpu *cpu, uint16_t sel, uint64_t off, unsigned osz)
{
    struct gate g;
    uint64_t d, lin;

    if (osz == 2)
        off &= 0xffff;
    if (!is_protected(cpu)) {
        struct frame f;

        frame_current(cpu, &f);
        if (off > cpu->st.seg[SEG_CS].limit)
            cpu_gp0(cpu);
        frame_push(cpu, &f, osz, cpu->st.seg[SEG_CS].selector);
        frame_push(cpu, &f, osz, cpu->st.rip);
        cpu->st.gpr[RSP] = f.sp;
        far_jump_real(cpu, sel, off);
        return;
    }
    d = read_target(cpu, sel, &lin);
    if (desc_is_code(d)) {
        check_direct(cpu, sel, d);
        call_same(cpu, sel, d, off, osz);
        return;
    }
    if (system_transfer(cpu, sel, d, TASK_CALL))
        return;
    read_call_gate(cpu, sel, d, lin, false, &g);
    if (!desc_is_conforming(g.desc) && desc_dpl(g.desc) < cpu->cpl)
        call_inner(cpu, &g);
    else
        call_same(cpu, g.sel, g.desc, g.off, g.osz);
}

/* --- RET ----------------------------------------------------------------- */

static void ret_outer(struct vcpu *cpu, struct frame *f, unsigned osz,
                      unsigned drop, uint16_t sel, uint64_t d, uint64_t off)
{
    unsigned cpl = sel & 3;
    struct x86_segment ss = { 0 };
    uint64_t sp;
    uint16_t ss_sel;

    f->sp += drop;
    sp = frame_pop(cpu, f, osz);
    ss_sel = (uint16_t)frame_pop(cpu, f, osz);
    if (sel_is_null(ss_sel) && cpu->long_mode && desc_is_long(d) && cpl < 3) {
        ss.selector = ss_sel;
        ss.attr = (uint16_t)(SEG_UNUSABLE | cpl << SEG_DPL_SHIFT);
        if ((ss_sel & 3u) != cpl)
            cpu_gp0(cpu);
    } else {
        segment_check_stack(cpu, ss_sel, cpl, EXC_GP, 0, &ss);
    }
    check_target(cpu, d, off);
    segment_enter(cpu, sel, d, cpl, &ss);
    cpu->st.gpr[RSP] = cpu->sp_size == 8 ? sp
                       : cpu->sp_size == 4
                           ? (uint32_t)sp
                           : (cpu->st.gpr[RSP] & ~0xffffull) | (uint16_t)sp;
    sp_set(cpu, sp_get(cpu) + drop);
    cpu->st.rip = off;
    segment_drop_inner(cpu);
    mode_segments(cpu);
}

void far_return(struct vcpu *cpu, unsigned osz, unsigned drop)
{
    struct frame f;
    uint64_t d, off;
    uint16_t sel;

    frame_current(cpu, &f);
    off = frame_pop(cpu, &f, osz);
    sel = (uint16_t)frame_pop(cpu, &f, osz);
    if (!is_protected(cpu)) {
        far_jump_real(cpu, sel, off);
        cpu->st.gpr[RSP] = f.sp;
        sp_set(cpu, sp_get(cpu) + drop);
        return;
    }
    d = read_target(cpu, sel, NULL);
    if (!desc_is_code(d) || (sel & 3u) < cpu->cpl ||
        (desc_is_conforming(d) ? desc_dpl(d) > (sel & 3u)
                               : desc_dpl(d) != (sel & 3u)))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    check_code_size(cpu, sel, d);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, sel & 0xfffcu);
    if ((sel & 3u) > cpu->cpl) {
        ret_outer(cpu, &f, osz, drop, sel, d, off);
        return;
    }
    check_target(cpu, d, off);
    segment_enter(cpu, sel, d, cpu->cpl, NULL);
    cpu->st.gpr[RSP] = f.sp;
    sp_set(cpu, sp_get(cpu) + drop);
    cpu->st.rip = off;
}
