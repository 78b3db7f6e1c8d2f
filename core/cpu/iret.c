/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRET in every mode.
 *
 * Source: Intel SDM volume 2 "IRET/IRETD/IRETQ", volume 3A 20.2 and 20.3.
 */
#include "cpu/except.h"
#include "cpu/interp/interp.h"
#include "cpu/mode.h"
#include "cpu/segment.h"

#define FL_USER (FL_ARITH | FL_TF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID)

/* Flags that IRET and POPF may change at this privilege. */
static uint64_t iret_mask(struct vcpu *cpu, unsigned osz)
{
    uint64_t mask = FL_USER;

    if (cpu->cpl <= iopl(cpu))
        mask |= FL_IF;
    if (cpu->cpl == 0)
        mask |= FL_IOPL | FL_VIF | FL_VIP;
    return osz == 2 ? mask & 0xffff : mask;
}

static void iret_real(struct vcpu *cpu, unsigned osz)
{
    struct x86_segment *cs = &cpu->st.seg[SEG_CS];
    uint64_t mask = FL_USER | FL_IF | FL_IOPL;
    struct frame f;
    uint64_t off, fl;
    uint16_t sel;

    frame_current(cpu, &f);
    off = frame_pop(cpu, &f, osz);
    sel = (uint16_t)frame_pop(cpu, &f, osz);
    fl = frame_pop(cpu, &f, osz);
    if (off > cs->limit)
        cpu_gp0(cpu);
    cs->selector = sel;
    cs->base = (uint32_t)sel << 4;
    if (is_v86(cpu)) {
        mask &= ~(uint64_t)FL_IOPL;
        cs->attr = 0xf3;
    } else {
        cs->attr = (cs->attr & (SEG_DB | SEG_G)) | 0x93;
    }
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.rip = off;
    mode_segment(cpu, SEG_CS);
    mode_set_flags(cpu, fl, osz == 2 ? mask & 0xffff : mask);
}

/* SDM 2 "IRET", virtual-8086 mode with IOPL < 3: VME emulates VIF. */
static void iret_v86(struct vcpu *cpu, unsigned osz)
{
    struct frame f;
    uint64_t off, fl;
    uint16_t sel;

    if (iopl(cpu) == 3) {
        iret_real(cpu, osz);
        return;
    }
    if (!(cpu->st.cr4 & CR4_VME) || osz != 2)
        cpu_gp0(cpu);
    frame_current(cpu, &f);
    off = frame_pop(cpu, &f, 2);
    sel = (uint16_t)frame_pop(cpu, &f, 2);
    fl = frame_pop(cpu, &f, 2);
    if ((fl & FL_TF) || ((fl & FL_IF) && (cpu->st.rflags & FL_VIP)))
        cpu_gp0(cpu);
    if (off > cpu->st.seg[SEG_CS].limit)
        cpu_gp0(cpu);
    cpu->st.seg[SEG_CS].selector = sel;
    cpu->st.seg[SEG_CS].base = (uint32_t)sel << 4;
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.rip = off;
    mode_segment(cpu, SEG_CS);
    mode_set_flags(cpu, (fl & 0xffff) | (fl & FL_IF ? FL_VIF : 0),
                   (FL_USER & 0xffff) | FL_VIF);
}

static void v86_segment(struct vcpu *cpu, unsigned seg, uint16_t sel)
{
    cpu->st.seg[seg] = (struct x86_segment){
        .selector = sel,
        .base = (uint32_t)sel << 4,
        .limit = 0xffff,
        .attr = 0xf3,
    };
}

static void iret_to_v86(struct vcpu *cpu, struct frame *f, uint64_t off,
                        uint16_t cs, uint64_t fl)
{
    static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint16_t sel[4], ss;
    uint64_t sp = frame_pop(cpu, f, 4);

    ss = (uint16_t)frame_pop(cpu, f, 4);
    for (unsigned n = 0; n < 4; n++)
        sel[n] = (uint16_t)frame_pop(cpu, f, 4);
    if ((off & 0xffff) != off)
        cpu_gp0(cpu);
    v86_segment(cpu, SEG_CS, cs);
    v86_segment(cpu, SEG_SS, ss);
    for (unsigned n = 0; n < 4; n++)
        v86_segment(cpu, order[n], sel[n]);
    cpu->st.gpr[RSP] = (uint32_t)sp;
    cpu->st.rip = off;
    mode_set_flags(cpu, fl,
                   FL_USER | FL_IF | FL_IOPL | FL_VM | FL_VIF | FL_VIP);
}

static void check_cs(struct vcpu *cpu, uint16_t sel, uint64_t off,
                     uint64_t *desc)
{
    uint32_t error = sel & 0xfffc;
    unsigned rpl = sel & 3;

    if (sel_is_null(sel))
        cpu_gp0(cpu);
    if (!desc_read(cpu, sel, desc, NULL) || !desc_is_code(*desc) ||
        rpl < cpu->cpl ||
        (desc_is_conforming(*desc) ? desc_dpl(*desc) > rpl
                                   : desc_dpl(*desc) != rpl) ||
        (cpu->long_mode && desc_is_long(*desc) && desc_is_32(*desc)))
        cpu_raise_err(cpu, EXC_GP, error);
    if (!desc_is_present(*desc))
        cpu_raise_err(cpu, EXC_NP, error);
    if (cpu->long_mode && desc_is_long(*desc)) {
        if (!is_canonical(off))
            cpu_gp0(cpu);
    } else if (off > desc_limit(*desc)) {
        cpu_gp0(cpu);
    }
}

static void outer_stack(struct vcpu *cpu, uint16_t sel, unsigned cpl,
                        uint64_t cs_desc, struct x86_segment *ss)
{
    if (sel_is_null(sel) && cpu->long_mode && desc_is_long(cs_desc) &&
        cpl < 3) {
        if ((sel & 3u) != cpl)
            cpu_gp0(cpu);
        *ss = (struct x86_segment){
            .selector = sel,
            .attr = (uint16_t)(SEG_UNUSABLE | cpl << SEG_DPL_SHIFT),
        };
        return;
    }
    segment_check_stack(cpu, sel, cpl, EXC_GP, 0, ss);
}

static void iret_protected(struct vcpu *cpu, unsigned osz)
{
    uint64_t mask = iret_mask(cpu, osz);
    bool from64 = cpu->code64;
    struct frame f;
    struct x86_segment ss;
    uint64_t off, fl, desc, sp;
    uint16_t sel, ss_sel;
    unsigned cpl;

    frame_current(cpu, &f);
    off = frame_pop(cpu, &f, osz);
    sel = (uint16_t)frame_pop(cpu, &f, osz);
    fl = frame_pop(cpu, &f, osz);
    if ((fl & FL_VM) && osz == 4 && cpu->cpl == 0 && !cpu->long_mode) {
        iret_to_v86(cpu, &f, off, sel, fl);
        return;
    }
    check_cs(cpu, sel, off, &desc);
    cpl = sel & 3;
    if (cpl == cpu->cpl && !from64) {
        segment_enter(cpu, sel, desc, cpl, NULL);
        cpu->st.gpr[RSP] = f.sp;
        cpu->st.rip = off;
        mode_set_flags(cpu, fl, mask);
        return;
    }
    sp = frame_pop(cpu, &f, osz);
    ss_sel = (uint16_t)frame_pop(cpu, &f, osz);
    outer_stack(cpu, ss_sel, cpl, desc, &ss);
    segment_enter(cpu, sel, desc, cpl, &ss);
    cpu->st.gpr[RSP] = cpu->sp_size == 8 || from64 ? sp
                       : cpu->sp_size == 4
                           ? (uint32_t)sp
                           : (cpu->st.gpr[RSP] & ~0xffffull) | (uint16_t)sp;
    cpu->st.rip = off;
    mode_set_flags(cpu, fl, mask);
    if (segment_drop_inner(cpu))
        mode_segments(cpu);
}

void iret(struct vcpu *cpu, unsigned osz)
{
    if (!(cpu->st.cr0 & CR0_PE)) {
        iret_real(cpu, osz);
    } else if (is_v86(cpu)) {
        iret_v86(cpu, osz);
    } else if (cpu->st.rflags & FL_NT) {
        uint16_t link;

        if (cpu->long_mode)
            cpu_gp0(cpu);
        link = (uint16_t)lin_ld(cpu, cpu->st.tr.base, 2, TLB_SUPER);
        task_switch(cpu, link, TASK_IRET, false, 0, 0);
    } else {
        iret_protected(cpu, osz);
    }
    /* NMIs are let in again by the IRET that did not fault. */
    cpu->st.nmi_blocked = 0;
    if (cpu->st.nmi_pending)
        cpu_attend(cpu, REQ_NMI);
}
