/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors, segment registers and stacks.
 *
 * Source: Intel SDM volume 3A chapters 3, 5 and 6, volume 2 "MOV", "LLDT",
 * "LTR"; AMD APM volume 2 chapter 4.
 */
#include "cpu/segment.h"

#include <string.h>

#include "cpu/interp/interp.h"
#include "cpu/mode.h"

/* --- descriptors --------------------------------------------------------- */

bool desc_read(struct vcpu *cpu, uint16_t sel, uint64_t *desc, uint64_t *lin)
{
    const struct x86_segment *ldt = &cpu->st.ldt;
    uint64_t base = cpu->st.gdt.base, limit = cpu->st.gdt.limit;
    unsigned off = sel & 0xfff8;

    if (sel & 4) {
        if (!(ldt->attr & SEG_P) || (ldt->attr & SEG_UNUSABLE))
            return false;
        base = ldt->base;
        limit = ldt->limit;
    }
    if (off + 7 > limit)
        return false;
    *desc = lin_ld(cpu, base + off, 8, TLB_SUPER);
    if (lin)
        *lin = base + off;
    return true;
}

uint64_t desc_read_high(struct vcpu *cpu, uint64_t lin)
{
    return lin_ld(cpu, lin + 8, 8, TLB_SUPER);
}

void desc_set_accessed(struct vcpu *cpu, uint16_t sel, uint64_t *desc)
{
    uint64_t base = sel & 4 ? cpu->st.ldt.base : cpu->st.gdt.base;

    if (*desc >> 40 & 1)
        return;
    lin_or8(cpu, base + (sel & 0xfff8) + 5, 1, 0);
    *desc |= 1ull << 40;
}

void desc_to_segment(struct x86_segment *s, uint16_t sel, uint64_t desc)
{
    s->selector = sel;
    s->base = desc_base(desc);
    s->limit = desc_limit(desc);
    s->attr = desc_attr(desc);
}

bool segment_holds(const struct x86_segment *s, uint64_t off, unsigned n)
{
    uint64_t last = off + n - 1;

    if ((s->attr & (SEG_TYPE_CODE | SEG_TYPE_EXPAND)) == SEG_TYPE_EXPAND)
        return off > s->limit &&
               last <= (s->attr & SEG_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

/* --- segment registers --------------------------------------------------- */

static void load_real(struct vcpu *cpu, unsigned seg, uint16_t sel)
{
    struct x86_segment *s = &cpu->st.seg[seg];

    s->selector = sel;
    s->base = (uint32_t)sel << 4;
    if (is_v86(cpu)) {
        s->limit = 0xffff;
        s->attr = 0xf3;
    } else {
        /* the limit stays: "big real mode" */
        s->attr = (s->attr & (SEG_DB | SEG_G)) | 0x93;
    }
    mode_segment(cpu, seg);
}

static void load_null(struct vcpu *cpu, unsigned seg, uint16_t sel)
{
    struct x86_segment *s = &cpu->st.seg[seg];

    *s = (struct x86_segment){ .selector = sel, .attr = SEG_UNUSABLE };
    if (seg == SEG_SS) /* 64-bit mode only: DPL is still CPL */
        s->attr |= (uint16_t)(cpu->cpl << SEG_DPL_SHIFT);
    mode_segment(cpu, seg);
}

void segment_check_stack(struct vcpu *cpu, uint16_t sel, unsigned cpl,
                         unsigned fault, unsigned ext, struct x86_segment *out)
{
    uint32_t error = (sel & 0xfffcu) | ext;
    uint64_t d;

    if (sel_is_null(sel))
        cpu_raise_err(cpu, fault, fault == EXC_TS ? error : ext);
    if (!desc_read(cpu, sel, &d, NULL) || (sel & 3u) != cpl ||
        !desc_is_writable(d) || desc_dpl(d) != cpl)
        cpu_raise_err(cpu, fault, error);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_SS, error);
    desc_set_accessed(cpu, sel, &d);
    desc_to_segment(out, sel, d);
}

void segment_load(struct vcpu *cpu, unsigned seg, uint16_t sel)
{
    uint32_t error = sel & 0xfffc;
    struct x86_segment s;
    uint64_t d;

    if (!is_protected(cpu)) {
        load_real(cpu, seg, sel);
        return;
    }
    if (seg == SEG_SS) {
        if (sel_is_null(sel) && cpu->code64 && cpu->cpl < 3 &&
            (sel & 3u) == cpu->cpl) {
            load_null(cpu, seg, sel);
            return;
        }
        segment_check_stack(cpu, sel, cpu->cpl, EXC_GP, 0, &s);
        cpu->st.seg[SEG_SS] = s;
        mode_segment(cpu, SEG_SS);
        return;
    }
    if (sel_is_null(sel)) {
        load_null(cpu, seg, sel);
        return;
    }
    if (!desc_read(cpu, sel, &d, NULL) || !desc_is_code_or_data(d) ||
        (desc_is_code(d) && !(d >> 41 & 1)))
        cpu_raise_err(cpu, EXC_GP, error);
    if (!desc_is_conforming(d) &&
        ((sel & 3u) > desc_dpl(d) || cpu->cpl > desc_dpl(d)))
        cpu_raise_err(cpu, EXC_GP, error);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, error);
    desc_set_accessed(cpu, sel, &d);
    desc_to_segment(&cpu->st.seg[seg], sel, d);
    mode_segment(cpu, seg);
}

bool segment_drop_inner(struct vcpu *cpu)
{
    static const uint8_t which[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    bool some = false;

    for (unsigned n = 0; n < sizeof which; n++) {
        struct x86_segment *s = &cpu->st.seg[which[n]];
        bool conforming = (s->attr & (SEG_TYPE_CODE | SEG_TYPE_EXPAND)) ==
                          (SEG_TYPE_CODE | SEG_TYPE_EXPAND);

        if ((s->attr & SEG_UNUSABLE) || conforming)
            continue;
        if ((s->attr & SEG_DPL) >> SEG_DPL_SHIFT >= cpu->cpl)
            continue;
        s->selector = 0;
        s->attr |= SEG_UNUSABLE;
        some = true;
    }
    return some;
}

void segment_enter(struct vcpu *cpu, uint16_t cs_sel, uint64_t cs_desc,
                   unsigned cpl, const struct x86_segment *ss)
{
    struct x86_segment *cs = &cpu->st.seg[SEG_CS];

    desc_set_accessed(cpu, cs_sel, &cs_desc);
    desc_to_segment(cs, (uint16_t)((cs_sel & ~3u) | cpl), cs_desc);
    if (ss)
        cpu->st.seg[SEG_SS] = *ss;
    mode_segments(cpu);
}

/* --- LDTR, TR ------------------------------------------------------------ */

static void load_system(struct vcpu *cpu, struct x86_segment *s, uint16_t sel,
                        uint64_t d, uint64_t lin)
{
    uint64_t base = desc_base(d);

    if (cpu->long_mode) {
        uint64_t high = desc_read_high(cpu, lin);

        if (high >> 40 & 0x1f)
            cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
        base |= high << 32;
        if (!is_canonical(base))
            cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    }
    desc_to_segment(s, sel, d);
    s->base = base;
}

static uint64_t system_desc(struct vcpu *cpu, uint16_t sel, uint64_t *lin)
{
    unsigned bytes = cpu->long_mode ? 16 : 8;
    uint64_t d;

    if ((sel & 4) || (sel & 0xfff8u) + bytes - 1 > cpu->st.gdt.limit ||
        !desc_read(cpu, sel, &d, lin) || desc_is_code_or_data(d))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    return d;
}

void load_ldtr(struct vcpu *cpu, uint16_t sel)
{
    struct x86_segment s;
    uint64_t d, lin;

    if (sel_is_null(sel)) {
        cpu->st.ldt =
            (struct x86_segment){ .selector = sel, .attr = SEG_UNUSABLE };
        return;
    }
    d = system_desc(cpu, sel, &lin);
    if (desc_type(d) != SYS_LDT)
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, sel & 0xfffcu);
    load_system(cpu, &s, sel, d, lin);
    cpu->st.ldt = s;
}

void load_tr(struct vcpu *cpu, uint16_t sel)
{
    struct x86_segment s;
    uint64_t d, lin;

    if (sel_is_null(sel))
        cpu_gp0(cpu);
    d = system_desc(cpu, sel, &lin);
    if (desc_type(d) != SYS_TSS32 &&
        (desc_type(d) != SYS_TSS16 || cpu->long_mode))
        cpu_raise_err(cpu, EXC_GP, sel & 0xfffcu);
    if (!desc_is_present(d))
        cpu_raise_err(cpu, EXC_NP, sel & 0xfffcu);
    load_system(cpu, &s, sel, d, lin);
    lin_or8(cpu, lin + 5, 2, 0); /* busy */
    s.attr |= 2;
    cpu->st.tr = s;
}

/* --- stacks -------------------------------------------------------------- */

void frame_current(struct vcpu *cpu, struct frame *f)
{
    f->ss = cpu->st.seg[SEG_SS];
    f->sp = cpu->st.gpr[RSP];
    f->width = cpu->sp_size;
    f->mode = mmu_mode(cpu);
    f->error = 0;
}

void frame_inner(struct vcpu *cpu, struct frame *f, unsigned cpl, unsigned ext)
{
    const struct x86_segment *tr = &cpu->st.tr;
    bool wide = tr->attr & 8; /* 32-bit TSS */
    unsigned off = wide ? 4 + cpl * 8 : 2 + cpl * 4;
    uint16_t sel;

    if (off + (wide ? 5u : 3u) > tr->limit)
        cpu_raise_err(cpu, EXC_TS, (tr->selector & 0xfffcu) | ext);
    f->sp = lin_ld(cpu, tr->base + off, wide ? 4 : 2, TLB_SUPER);
    sel = (uint16_t)lin_ld(cpu, tr->base + off + (wide ? 4 : 2), 2, TLB_SUPER);
    segment_check_stack(cpu, sel, cpl, EXC_TS, ext, &f->ss);
    f->width = f->ss.attr & SEG_DB ? 4 : 2;
    f->mode = cpl == 3 ? TLB_USER : TLB_SUPER;
    f->error = (sel & 0xfffcu) | ext;
}

void frame_long(struct vcpu *cpu, struct frame *f, unsigned cpl, unsigned ist,
                unsigned ext)
{
    const struct x86_segment *tr = &cpu->st.tr;
    unsigned off = ist ? 36 + ist * 8 - 8 : 4 + cpl * 8;

    if (off + 7 > tr->limit)
        cpu_raise_err(cpu, EXC_TS, (tr->selector & 0xfffcu) | ext);
    f->sp = lin_ld(cpu, tr->base + off, 8, TLB_SUPER);
    if (!is_canonical(f->sp))
        cpu_raise_err(cpu, EXC_SS, ext);
    f->ss = (struct x86_segment){
        .selector = (uint16_t)cpl,
        .attr = (uint16_t)(SEG_UNUSABLE | cpl << SEG_DPL_SHIFT),
    };
    f->width = 8;
    f->mode = cpl == 3 ? TLB_USER : TLB_SUPER;
    f->error = ext;
}

static uint64_t frame_trim(const struct frame *f, uint64_t sp)
{
    return f->width == 8 ? sp : f->width == 4 ? (uint32_t)sp : (uint16_t)sp;
}

static uint64_t frame_lin(struct vcpu *cpu, const struct frame *f, uint64_t sp,
                          unsigned n)
{
    if (f->width == 8) {
        if (!is_canonical(sp) || !is_canonical(sp + n - 1))
            cpu_raise_err(cpu, EXC_SS, f->error);
        return sp;
    }
    if (!segment_holds(&f->ss, sp, n))
        cpu_raise_err(cpu, EXC_SS, f->error);
    return (uint32_t)(f->ss.base + sp);
}

void frame_push(struct vcpu *cpu, struct frame *f, unsigned osz, uint64_t value)
{
    uint64_t sp = frame_trim(f, f->sp - osz);

    lin_st(cpu, frame_lin(cpu, f, sp, osz), value, osz, f->mode);
    /* a narrow stack pointer leaves the upper part of the register */
    f->sp = f->width == 2 ? (f->sp & ~0xffffull) | sp : sp;
}

uint64_t frame_pop(struct vcpu *cpu, struct frame *f, unsigned osz)
{
    uint64_t sp = frame_trim(f, f->sp);
    uint64_t v = lin_ld(cpu, frame_lin(cpu, f, sp, osz), osz, f->mode);

    sp = frame_trim(f, sp + osz);
    f->sp = f->width == 2 ? (f->sp & ~0xffffull) | sp : sp;
    return v;
}
