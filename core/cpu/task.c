/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches.
 *
 * Everything of the old and the new task that could fault is read or probed
 * first.  After the commit point faults belong to the new task, as the
 * manual has it: segment registers are then loaded one after the other.
 *
 * Source: Intel SDM volume 3A chapter 7.
 */
#include <string.h>

#include "cpu/interp/interp.h"
#include "cpu/mode.h"
#include "cpu/segment.h"

/* TSS offsets: 32-bit, 16-bit */
#define TSS32_CR3   0x1c
#define TSS32_EIP   0x20
#define TSS32_SEGS  0x48
#define TSS32_LDT   0x60
#define TSS32_TRAP  0x64
#define TSS32_LIMIT 0x67
#define TSS16_IP    0x0e
#define TSS16_SEGS  0x22
#define TSS16_LDT   0x2a
#define TSS16_LIMIT 0x2b

struct task {
    uint64_t base;
    bool wide;
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t seg[SEG_COUNT], ldt;
    bool trap;
};

static void task_read(struct vcpu *cpu, struct task *t)
{
    unsigned n = t->wide ? 4 : 2;
    uint64_t at = t->base + (t->wide ? TSS32_EIP : TSS16_IP);

    t->eip = (uint32_t)lin_ld(cpu, at, n, TLB_SUPER);
    t->eflags = (uint32_t)lin_ld(cpu, at + n, n, TLB_SUPER);
    for (unsigned k = 0; k < 8; k++)
        t->gpr[k] = (uint32_t)lin_ld(cpu, at + (2 + k) * n, n, TLB_SUPER);
    at = t->base + (t->wide ? TSS32_SEGS : TSS16_SEGS);
    for (unsigned k = 0; k < (t->wide ? 6u : 4u); k++)
        t->seg[k] = (uint16_t)lin_ld(cpu, at + k * n, 2, TLB_SUPER);
    t->ldt = (uint16_t)lin_ld(cpu, t->base + (t->wide ? TSS32_LDT : TSS16_LDT),
                              2, TLB_SUPER);
    if (!t->wide)
        return;
    t->cr3 = (uint32_t)lin_ld(cpu, t->base + TSS32_CR3, 4, TLB_SUPER);
    t->trap = lin_ld(cpu, t->base + TSS32_TRAP, 2, TLB_SUPER) & 1;
}

/* The caller probed the memory: no fault. */
static void task_save(struct vcpu *cpu, bool clear_nt)
{
    const struct x86_segment *tr = &cpu->st.tr;
    bool wide = tr->attr & 8;
    unsigned n = wide ? 4 : 2;
    uint64_t at = tr->base + (wide ? TSS32_EIP : TSS16_IP);
    uint64_t fl = cpu->st.rflags;

    if (clear_nt)
        fl &= ~(uint64_t)FL_NT;
    lin_st(cpu, at, cpu->st.rip, n, TLB_SUPER);
    lin_st(cpu, at + n, fl, n, TLB_SUPER);
    for (unsigned k = 0; k < 8; k++)
        lin_st(cpu, at + (2 + k) * n, cpu->st.gpr[k], n, TLB_SUPER);
    at = tr->base + (wide ? TSS32_SEGS : TSS16_SEGS);
    for (unsigned k = 0; k < (wide ? 6u : 4u); k++)
        lin_st(cpu, at + k * n, cpu->st.seg[k].selector, 2, TLB_SUPER);
}

static void set_busy(struct vcpu *cpu, uint16_t sel, bool busy)
{
    uint64_t at = cpu->st.gdt.base + (sel & 0xfff8u) + 5;

    lin_or8(cpu, at, busy ? 2 : 0, busy ? 0 : 2);
}

static uint64_t find_tss(struct vcpu *cpu, uint16_t sel,
                         enum task_source source, unsigned ext)
{
    unsigned fault = source == TASK_IRET ? EXC_TS : EXC_GP;
    uint32_t error = (sel & 0xfffcu) | ext;
    uint64_t d;
    unsigned type;

    if ((sel & 4) || sel_is_null(sel) || !desc_read(cpu, sel, &d, NULL) ||
        desc_is_code_or_data(d))
        cpu_raise_err(cpu, fault, error);
    type = desc_type(d);
    if (source == TASK_IRET ? type != SYS_TSS16_BUSY && type != SYS_TSS32_BUSY
                            : type != SYS_TSS16 && type != SYS_TSS32)
        cpu_raise_err(cpu, fault, error);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, error);
    if (desc_limit(d) < (type & 8 ? TSS32_LIMIT : TSS16_LIMIT))
        cpu_raise_err(cpu, EXC_TS, error);
    return d;
}

/* --- loading the new task's segments: faults are the new task's ---------- */

static void load_task_ldt(struct vcpu *cpu, uint16_t sel, unsigned ext)
{
    uint32_t error = (sel & 0xfffcu) | ext;
    uint64_t d;

    if (sel_is_null(sel))
        return;
    if ((sel & 4) || !desc_read(cpu, sel, &d, NULL) ||
        desc_is_code_or_data(d) || desc_type(d) != SYS_LDT ||
        !desc_is_present(d))
        cpu_raise_err(cpu, EXC_TS, error);
    desc_to_segment(&cpu->st.ldt, sel, d);
}

static void load_task_cs(struct vcpu *cpu, uint16_t sel, unsigned ext)
{
    uint32_t error = (sel & 0xfffcu) | ext;
    unsigned rpl = sel & 3;
    uint64_t d;

    if (sel_is_null(sel) || !desc_read(cpu, sel, &d, NULL) ||
        !desc_is_code(d) ||
        (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl))
        cpu_raise_err(cpu, EXC_TS, error);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, error);
    desc_set_accessed(cpu, sel, &d);
    desc_to_segment(&cpu->st.seg[SEG_CS], sel, d);
}

static void load_task_data(struct vcpu *cpu, unsigned seg, uint16_t sel,
                           unsigned ext)
{
    uint32_t error = (sel & 0xfffcu) | ext;
    unsigned cpl = cpu->st.seg[SEG_CS].selector & 3;
    uint64_t d;

    if (sel_is_null(sel))
        return;
    if (!desc_read(cpu, sel, &d, NULL) || !desc_is_code_or_data(d) ||
        (desc_is_code(d) && !(d >> 41 & 1)) ||
        (!desc_is_conforming(d) &&
         ((sel & 3u) > desc_dpl(d) || cpl > desc_dpl(d))))
        cpu_raise_err(cpu, EXC_TS, error);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, error);
    desc_set_accessed(cpu, sel, &d);
    desc_to_segment(&cpu->st.seg[seg], sel, d);
}

static void load_task_segments(struct vcpu *cpu, const struct task *t,
                               unsigned ext)
{
    static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    unsigned cpl = t->seg[SEG_CS] & 3;

    load_task_ldt(cpu, t->ldt, ext);
    if (is_v86(cpu))
        return;
    load_task_cs(cpu, t->seg[SEG_CS], ext);
    segment_check_stack(cpu, t->seg[SEG_SS], cpl, EXC_TS, ext,
                        &cpu->st.seg[SEG_SS]);
    for (unsigned n = 0; n < sizeof data; n++)
        load_task_data(cpu, data[n], t->seg[data[n]], ext);
    mode_segments(cpu);
    if (cpu->st.rip > cpu->st.seg[SEG_CS].limit)
        cpu_raise_err(cpu, EXC_GP, ext);
}

/* Selectors alone, nothing usable yet; V86 segments are complete. */
static void set_selectors(struct vcpu *cpu, const struct task *t)
{
    bool v86 = t->eflags & FL_VM;

    for (unsigned n = 0; n < SEG_COUNT; n++) {
        struct x86_segment *s = &cpu->st.seg[n];

        *s =
            (struct x86_segment){ .selector = t->seg[n], .attr = SEG_UNUSABLE };
        if (v86) {
            s->base = (uint32_t)t->seg[n] << 4;
            s->limit = 0xffff;
            s->attr = 0xf3;
        }
    }
    /* the privilege level is kept in SS */
    if (!v86)
        cpu->st.seg[SEG_SS].attr |=
            (uint16_t)((t->seg[SEG_CS] & 3) << SEG_DPL_SHIFT);
    cpu->st.ldt =
        (struct x86_segment){ .selector = t->ldt, .attr = SEG_UNUSABLE };
}

static void push_error(struct vcpu *cpu, bool wide, uint32_t error)
{
    if (wide)
        push32(cpu, error);
    else
        push16(cpu, (uint16_t)error);
}

void task_switch(struct vcpu *cpu, uint16_t sel, enum task_source source,
                 bool has_error, uint32_t error, unsigned ext)
{
    uint64_t d = find_tss(cpu, sel, source, ext);
    bool nested = source == TASK_CALL || source == TASK_EVENT;
    uint16_t old = cpu->st.tr.selector;
    struct task t = { .base = desc_base(d), .wide = desc_type(d) & 8 };

    task_read(cpu, &t);
    lin_probe(cpu, cpu->st.tr.base,
              (cpu->st.tr.attr & 8 ? TSS32_LIMIT : TSS16_LIMIT) + 1,
              ACCESS_WRITE, TLB_SUPER);
    if (nested)
        lin_probe(cpu, t.base, 2, ACCESS_WRITE, TLB_SUPER);
    task_save(cpu, source == TASK_IRET);
    if (!nested)
        set_busy(cpu, old, false);
    if (nested) {
        lin_st(cpu, t.base, old, 2, TLB_SUPER);
        t.eflags |= FL_NT;
    }
    if (source != TASK_IRET)
        set_busy(cpu, sel, true);

    /* Committed: the rest happens in the new task. */
    cpu->cur = NULL;
    desc_to_segment(&cpu->st.tr, sel, d);
    cpu->st.tr.attr |= 2;
    cpu->st.cr0 |= CR0_TS;
    cpu->st.rip = t.eip;
    for (unsigned n = 0; n < 8; n++)
        cpu->st.gpr[n] =
            t.wide ? t.gpr[n]
                   : (uint32_t)(cpu->st.gpr[n] & 0xffff0000u) | t.gpr[n];
    set_selectors(cpu, &t);
    cpu->st.rflags = (t.eflags & 0x3f7fd5u) | FL_ONE;
    if (t.wide && (cpu->st.cr0 & CR0_PG)) {
        cpu->st.cr3 = t.cr3;
        if (cpu->st.cr4 & CR4_PAE)
            mmu_load_pdptrs(cpu, t.cr3);
        mmu_cr3_written(cpu, false);
    }
    cpu->st.dr[7] &= ~0x155ull; /* local breakpoints */
    mode_update(cpu);
    load_task_segments(cpu, &t, ext);
    mode_update(cpu);
    if (has_error)
        push_error(cpu, t.wide, error);
    if (t.trap) {
        cpu->db_pending |= DB_TASK;
        cpu_attend(cpu, REQ_SLOW);
    }
}
