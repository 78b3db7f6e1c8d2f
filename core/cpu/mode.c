/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/mode.h"

#include "cpu/interp/engine.h"
#include "cpu/mmu.h"

static bool is_align_checked(const struct vcpu *cpu)
{
    return cpu->cpl == 3 && (cpu->st.cr0 & CR0_AM) && (cpu->st.rflags & FL_AC);
}

/* How far the inline paths may go; 0 where they may not. */
static void segment_ends(struct vcpu *cpu, unsigned seg)
{
    const struct x86_segment *s = &cpu->st.seg[seg];
    struct seg_fast *f = &cpu->fast[seg];
    bool plain = !is_align_checked(cpu) && !cpu->bp_data;
    uint64_t end = (uint64_t)s->limit + 1;
    unsigned attr = s->attr;

    f->base = s->base;
    f->read_end = f->write_end = 0;
    if (cpu->code64) {
        if (seg != SEG_FS && seg != SEG_GS)
            f->base = 0;
        if (plain)
            f->read_end = f->write_end = ~0ull;
        return;
    }
    f->base = (uint32_t)f->base;
    if (!plain)
        return;
    if (!is_protected(cpu)) {
        f->read_end = f->write_end = end;
        return;
    }
    if ((attr & SEG_UNUSABLE) || !(attr & SEG_P))
        return;
    if (attr & SEG_TYPE_CODE) {
        if (attr & SEG_TYPE_WRITE) /* readable */
            f->read_end = end;
    } else if (!(attr & SEG_TYPE_EXPAND)) {
        f->read_end = end;
        if (attr & SEG_TYPE_WRITE)
            f->write_end = end;
    }
}

static void code_update(struct vcpu *cpu)
{
    const struct x86_segment *cs = &cpu->st.seg[SEG_CS];
    bool real = !is_protected(cpu);

    cpu->code64 = cpu->long_mode && (cs->attr & SEG_L);
    cpu->mode = cpu->code64         ? MODE_CODE64
                : cs->attr & SEG_DB ? MODE_CODE32
                                    : MODE_CODE16;
    if (real)
        cpu->mode |= MODE_REAL;
    cpu->cpl = cpu->st.rflags & FL_VM ? 3
               : real                 ? 0
                      : (cpu->st.seg[SEG_SS].attr & SEG_DPL) >> SEG_DPL_SHIFT;
    if (cpu->cpl == 3)
        cpu->mode |= MODE_USER;
    cpu->rip_mask = cpu->code64 ? ~0ull : 0xffffffffu;
    cpu->code_end = cpu->code64 ? ~0ull : (uint64_t)cs->limit + 1;
    cpu->sp_size = cpu->code64 ? 8 : cpu->st.seg[SEG_SS].attr & SEG_DB ? 4 : 2;
    mmu_key(cpu);
    mmu_select(cpu);
}

static bool is_flat(const struct seg_fast *f, bool write)
{
    return f->base == 0 && f->read_end == 1ull << 32 &&
           (!write || f->write_end == 1ull << 32);
}

/* The mode bits that depend on what the inline paths may do. */
static void mode_finish(struct vcpu *cpu)
{
    const struct seg_fast *f = cpu->fast;
    bool careful = is_align_checked(cpu) || cpu->bp_data;

    cpu->mode &= (uint8_t) ~(MODE_FLAT | MODE_SP32 | MODE_NOJIT | MODE_LIMIT);
    if (!cpu->code64 && cpu->sp_size == 4)
        cpu->mode |= MODE_SP32;
    if (!cpu->code64 && is_flat(&f[SEG_CS], false) &&
        is_flat(&f[SEG_DS], true) && is_flat(&f[SEG_ES], true) &&
        is_flat(&f[SEG_SS], true))
        cpu->mode |= MODE_FLAT;
    if (careful)
        cpu->mode |= MODE_NOJIT;
    if (!cpu->code64 &&
        cpu->code_end <
            ((cpu->mode & MODE_CODE) == MODE_CODE32 ? 1ull << 32 : 0x10000))
        cpu->mode |= MODE_LIMIT;
    mmu_key(cpu);
}

void mode_deny(struct vcpu *cpu)
{
    uint64_t cr0 = cpu->st.cr0, cr4 = cpu->st.cr4;
    bool ts = cr0 & CR0_TS, em = cr0 & CR0_EM;

    cpu->deny &= DENY_AWAY;
    if (ts || em)
        cpu->deny |= DENY_X87 | DENY_MMX;
    if (ts || em || !(cr4 & CR4_OSFXSR))
        cpu->deny |= DENY_SSE;
    if (ts || !(cr4 & CR4_OSXSAVE) || (cpu->st.xcr0 & 6) != 6 ||
        !is_protected(cpu))
        cpu->deny |= DENY_AVX;
    /* what is denied is no more live */
    if (cpu->deny & DENY_X87)
        cpu->vec_live &= (uint8_t)~VEC_LIVE_X87;
    if (cpu->deny & DENY_SSE)
        cpu->vec_live &= (uint8_t)~VEC_LIVE_SSE;
    if (cpu->deny & DENY_AVX)
        cpu->vec_live &= (uint8_t)~VEC_LIVE_AVX;
}

void mode_segments(struct vcpu *cpu)
{
    bool was_plain64 = cpu->fast[SEG_DS].read_end == ~0ull;

    code_update(cpu);
    /* from 64-bit code to 64-bit code only two bases can be others */
    if (was_plain64 && cpu->code64 && !cpu->bp_data && !is_align_checked(cpu)) {
        cpu->fast[SEG_FS].base = cpu->st.seg[SEG_FS].base;
        cpu->fast[SEG_GS].base = cpu->st.seg[SEG_GS].base;
        return;
    }
    for (unsigned n = 0; n < SEG_COUNT; n++)
        segment_ends(cpu, n);
    mode_finish(cpu);
}

void mode_segment(struct vcpu *cpu, unsigned seg)
{
    if (seg == SEG_CS || seg == SEG_SS) {
        bool code64 = cpu->code64;
        unsigned cpl = cpu->cpl;

        code_update(cpu);
        if (cpu->code64 != code64 || cpu->cpl != cpl) {
            mode_segments(cpu);
            return;
        }
    }
    segment_ends(cpu, seg);
    mode_finish(cpu);
}

void mode_update(struct vcpu *cpu)
{
    cpu->long_mode = cpu->st.efer & EFER_LMA;
    mode_debug(cpu);
    mode_segments(cpu);
    mode_deny(cpu);
    cpu_attend(cpu, REQ_SLOW | REQ_INTR);
}

void mode_debug(struct vcpu *cpu)
{
    cpu->bp_enabled = (cpu->st.dr[7] & 0xff) != 0;
    cpu->bp_data = false;
    for (unsigned n = 0; n < 4; n++)
        if ((cpu->st.dr[7] >> n * 2 & 3) && (cpu->st.dr[7] >> (16 + n * 4) & 3))
            cpu->bp_data = true;
    for (unsigned n = 0; n < SEG_COUNT; n++)
        segment_ends(cpu, n);
    mode_finish(cpu);
    if (cpu->bp_enabled)
        cpu_attend(cpu, REQ_SLOW);
}

void mode_set_flags(struct vcpu *cpu, uint64_t value, uint64_t mask)
{
    uint64_t old = cpu->st.rflags;
    uint64_t new = (old & ~mask) | (value & mask) | FL_ONE;

    cpu->st.rflags = new;
    if (((new ^ old) & FL_VM) ||
        (((new ^ old) & FL_AC) && (cpu->st.cr0 & CR0_AM))) {
        mode_segments(cpu);
        mode_deny(cpu);
    } else if ((new ^ old) & FL_AC) {
        mmu_select(cpu);
    }
    if (new &(FL_TF | FL_RF))
        cpu_attend(cpu, REQ_SLOW);
    if ((new &FL_IF) && cpu->intr_waiting)
        cpu_attend(cpu, REQ_INTR);
}
