/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers: descriptor tables and questions about descriptors.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/interp.h"
#include "cpu/interp/sys.h"
#include "cpu/mode.h"
#include "cpu/segment.h"

/* --- questions ----------------------------------------------------------- */

static uint16_t read_sel(struct vcpu *cpu, const struct x86_insn *i)
{
    return i->flags & X86_I_MEM ? ld16(cpu, i->seg, ea(cpu, i))
                                : (uint16_t)cpu->st.gpr[i->rm];
}

static void set_zf(struct vcpu *cpu, bool on)
{
    cpu->st.rflags = (cpu->st.rflags & ~(uint64_t)FL_ZF) | (on ? FL_ZF : 0);
}

static bool may_see(struct vcpu *cpu, uint16_t sel, uint64_t d)
{
    return desc_is_conforming(d) ||
           (desc_dpl(d) >= cpu->cpl && desc_dpl(d) >= (sel & 3u));
}

/* System descriptors that LAR and LSL tell about; SDM 2 "LAR", table 3-52 */
static bool is_known_system(struct vcpu *cpu, unsigned type, bool with_gates)
{
    switch (type) {
    case SYS_LDT:
    case SYS_TSS32:
    case SYS_TSS32_BUSY: return true;
    case SYS_TSS16:
    case SYS_TSS16_BUSY: return !cpu->long_mode;
    case SYS_CALL32: return with_gates;
    case SYS_CALL16:
    case SYS_TASK_GATE: return with_gates && !cpu->long_mode;
    }
    return false;
}

static bool visible(struct vcpu *cpu, uint16_t sel, uint64_t *d,
                    bool with_gates)
{
    if (sel_is_null(sel) || !desc_read(cpu, sel, d, NULL) ||
        !may_see(cpu, sel, *d))
        return false;
    return desc_is_code_or_data(*d) ||
           is_known_system(cpu, desc_type(*d), with_gates);
}

void h_lar(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t sel = read_sel(cpu, i);
    uint64_t d;
    bool ok = visible(cpu, sel, &d, true);

    if (ok)
        reg_set(cpu, i->reg, i->osz, d >> 32 & 0x00ffff00);
    set_zf(cpu, ok);
}

void h_lsl(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t sel = read_sel(cpu, i);
    uint64_t d;
    bool ok = visible(cpu, sel, &d, false);

    if (ok)
        reg_set(cpu, i->reg, i->osz, desc_limit(d));
    set_zf(cpu, ok);
}

void h_verr(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t sel = read_sel(cpu, i);
    uint64_t d;

    set_zf(cpu, !sel_is_null(sel) && desc_read(cpu, sel, &d, NULL) &&
                    desc_is_code_or_data(d) && may_see(cpu, sel, d) &&
                    (!desc_is_code(d) || (d >> 41 & 1)));
}

void h_verw(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t sel = read_sel(cpu, i);
    uint64_t d;

    set_zf(cpu, !sel_is_null(sel) && desc_read(cpu, sel, &d, NULL) &&
                    desc_is_writable(d) && may_see(cpu, sel, d));
}

void h_arpl_r(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t dst = (uint16_t)cpu->st.gpr[i->rm];
    unsigned rpl = cpu->st.gpr[i->reg] & 3;
    bool raise = (dst & 3u) < rpl;

    if (!is_protected(cpu))
        cpu_ud(cpu);
    if (raise)
        reg_set(cpu, i->rm, 2, (dst & ~3u) | rpl);
    set_zf(cpu, raise);
}

void h_arpl_m(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t at;
    uint16_t dst;
    unsigned rpl = cpu->st.gpr[i->reg] & 3;

    if (!is_protected(cpu))
        cpu_ud(cpu);
    at = ea(cpu, i);
    dst = ld16(cpu, i->seg, at); /* written to when it changes only */
    if ((dst & 3u) < rpl)
        st16(cpu, i->seg, at, (uint16_t)((dst & ~3u) | rpl));
    set_zf(cpu, (dst & 3u) < rpl);
}

/* --- tables -------------------------------------------------------------- */

static void check_umip(struct vcpu *cpu)
{
    if ((cpu->st.cr4 & CR4_UMIP) && cpu->cpl > 0)
        cpu_gp0(cpu);
}

static void store_word(struct vcpu *cpu, const struct x86_insn *i,
                       uint64_t value)
{
    check_umip(cpu);
    if (i->flags & X86_I_MEM)
        st16(cpu, i->seg, ea(cpu, i), (uint16_t)value);
    else
        reg_set(cpu, i->rm, i->osz, value);
}

void h_sldt(struct vcpu *cpu, const struct x86_insn *i)
{
    store_word(cpu, i, cpu->st.ldt.selector);
}

void h_str(struct vcpu *cpu, const struct x86_insn *i)
{
    store_word(cpu, i, cpu->st.tr.selector);
}

void h_smsw(struct vcpu *cpu, const struct x86_insn *i)
{
    store_word(cpu, i, cpu->st.cr0);
}

void h_lldt(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
    load_ldtr(cpu, read_sel(cpu, i));
}

void h_ltr(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
    load_tr(cpu, read_sel(cpu, i));
}

static void store_table(struct vcpu *cpu, const struct x86_insn *i,
                        const struct x86_table *t)
{
    uint64_t at = ea(cpu, i);
    uint8_t image[10];
    unsigned n = cpu->code64 ? 10 : 6;

    check_umip(cpu);
    memcpy(image, &t->limit, 2);
    memcpy(image + 2, &t->base, 8);
    st_bytes(cpu, i->seg, at, image, n);
}

void h_sgdt(struct vcpu *cpu, const struct x86_insn *i)
{
    store_table(cpu, i, &cpu->st.gdt);
}

void h_sidt(struct vcpu *cpu, const struct x86_insn *i)
{
    store_table(cpu, i, &cpu->st.idt);
}

static void load_table(struct vcpu *cpu, const struct x86_insn *i,
                       struct x86_table *t)
{
    uint64_t at = ea(cpu, i), base;
    uint16_t limit;

    check_cpl0(cpu);
    limit = ld16(cpu, i->seg, at);
    if (cpu->code64) {
        base = ld64(cpu, i->seg, at + 2);
        if (!is_canonical(base))
            cpu_gp0(cpu);
    } else {
        base = ld32(cpu, i->seg, at + 2);
        if (i->osz == 2)
            base &= 0xffffff;
    }
    t->base = base;
    t->limit = limit;
}

void h_lgdt(struct vcpu *cpu, const struct x86_insn *i)
{
    load_table(cpu, i, &cpu->st.gdt);
}

void h_lidt(struct vcpu *cpu, const struct x86_insn *i)
{
    load_table(cpu, i, &cpu->st.idt);
}
