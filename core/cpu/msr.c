/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers: a table of those that are storage with a mask,
 * and functions for the few that do something.  What is in neither raises
 * #GP and is reported once.
 *
 * Source: Intel SDM volume 4, AMD APM volume 2 appendix A.
 */
#include <stddef.h>

#include "cpu/interp/engine.h"
#include "cpu/interp/sys.h"
#include "cpu/mmu.h"
#include "cpu/tsc.h"
#include "hv/hv.h"
#include "irq/lapic.h"

enum msr_rule {
    MSR_STORE,     /* bits outside the mask: #GP */
    MSR_CANONICAL, /* #GP unless canonical */
    MSR_FIXED,     /* reads value; writes #GP */
    MSR_IGNORE,    /* reads value; writes are dropped */
};

#define NO_FEATURE 0xffff
#define MEMBER(m)  offsetof(struct x86_state, m)

static const struct {
    uint32_t first, count;
    uint8_t rule;
    uint16_t feature;
    uint32_t offset; /* in struct x86_state, MSR_STORE.. */
    uint32_t stride;
    uint64_t value; /* mask of MSR_STORE; what MSR_FIXED reads */
} table[] = {
    /* Intel */
    { 0x017, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 }, /* PLATFORM_ID */
    { 0x03a, 1, MSR_FIXED, NO_FEATURE, 0, 0, 1 },  /* FEATURE_CONTROL */
    { 0x079, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 }, /* microcode load */
    { 0x08b, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 1ull << 32 },
    { 0x0fe, 1, MSR_FIXED, X86_F_mtrr, 0, 0, 0x508 }, /* MTRRCAP */
    { 0x174, 1, MSR_STORE, X86_F_sep, MEMBER(sysenter_cs), 0, 0xffffffffu },
    { 0x175, 1, MSR_CANONICAL, X86_F_sep, MEMBER(sysenter_esp), 0, 0 },
    { 0x176, 1, MSR_CANONICAL, X86_F_sep, MEMBER(sysenter_eip), 0, 0 },
    { 0x179, 1, MSR_FIXED, X86_F_mca, 0, 0, 0 },  /* MCG_CAP */
    { 0x17a, 1, MSR_IGNORE, X86_F_mca, 0, 0, 0 }, /* MCG_STATUS */
    { 0x000, 2, MSR_IGNORE, X86_F_mce, 0, 0, 0 }, /* P5_MC_ADDR, TYPE */
    { 0x1a0, 1, MSR_STORE, NO_FEATURE, MEMBER(misc_enable), 0, ~0ull },
    { 0x1d9, 1, MSR_STORE, NO_FEATURE, MEMBER(debugctl), 0, 0 },
    { 0x1db, 4, MSR_FIXED, NO_FEATURE, 0, 0, 0 }, /* last branch */
    { 0x250, 1, MSR_STORE, X86_F_mtrr, MEMBER(mtrr_fixed[0]), 0, ~0ull },
    { 0x258, 2, MSR_STORE, X86_F_mtrr, MEMBER(mtrr_fixed[1]), 8, ~0ull },
    { 0x268, 8, MSR_STORE, X86_F_mtrr, MEMBER(mtrr_fixed[3]), 8, ~0ull },
    { 0x2ff, 1, MSR_STORE, X86_F_mtrr, MEMBER(mtrr_def_type), 0, 0xcff },
    { 0xda0, 1, MSR_STORE, X86_F_xsavec, MEMBER(xss), 0, 0 },
    /* AMD64 */
    { 0xc0000081u, 1, MSR_STORE, X86_F_syscall, MEMBER(star), 0, ~0ull },
    { 0xc0000082u, 1, MSR_CANONICAL, X86_F_lm, MEMBER(lstar), 0, 0 },
    { 0xc0000083u, 1, MSR_CANONICAL, X86_F_lm, MEMBER(cstar), 0, 0 },
    { 0xc0000084u, 1, MSR_STORE, X86_F_lm, MEMBER(sfmask), 0, 0xffffffffu },
    { 0xc0000102u, 1, MSR_CANONICAL, X86_F_lm, MEMBER(kernel_gs_base), 0, 0 },
    { 0xc0000103u, 1, MSR_STORE, X86_F_rdtscp, MEMBER(tsc_aux), 0,
      0xffffffffu },
    { 0xc0010010u, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* SYSCFG */
    { 0xc0010015u, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* HWCR */
    { 0xc001001au, 4, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* TOP_MEM */
    { 0xc001001fu, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* NB_CFG */
    { 0xc0010055u, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* C1E */
    { 0xc0010058u, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* MMCONFIG */
    { 0xc0010112u, 2, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* SMM */
    { 0xc0010114u, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 0x10 }, /* SVM off */
    { 0xc0011022u, 2, MSR_IGNORE, NO_FEATURE, 0, 0, 0 },    /* DC, BU */
    { 0xc0011029u, 1, MSR_IGNORE, NO_FEATURE, 0, 0, 2 },    /* DE_CFG */
};

static int find(const struct vcpu *cpu, uint32_t msr)
{
    for (unsigned n = 0; n < sizeof table / sizeof table[0]; n++) {
        if (msr - table[n].first >= table[n].count)
            continue;
        if (table[n].feature != NO_FEATURE &&
            !x86_has(&cpu->model->features, table[n].feature))
            continue;
        return (int)n;
    }
    return -1;
}

static uint64_t *storage(struct vcpu *cpu, int n, uint32_t msr)
{
    return (uint64_t *)((uint8_t *)&cpu->st + table[n].offset +
                        (msr - table[n].first) * table[n].stride);
}

/* Says so once, and is false. */
static bool unknown(struct vcpu *cpu, uint32_t msr, const char *what)
{
    for (unsigned n = 0; n < cpu->msr_reports; n++)
        if (cpu->msr_reported[n] == msr)
            return false;
    if (cpu->msr_reports == sizeof cpu->msr_reported / 4)
        return false;
    cpu->msr_reported[cpu->msr_reports++] = msr;
    cpu_report(cpu, "%s MSR %x raises #GP", what, msr);
    return false;
}

/* --- those that do something --------------------------------------------- */

static bool efer_write(struct vcpu *cpu, uint64_t value)
{
    const struct x86_features *f = &cpu->model->features;
    uint64_t allowed = 0, old = cpu->st.efer;

    if (x86_has(f, X86_F_syscall))
        allowed |= EFER_SCE;
    if (x86_has(f, X86_F_lm))
        allowed |= EFER_LME | EFER_LMA;
    if (x86_has(f, X86_F_nx))
        allowed |= EFER_NXE;
    if (value & ~allowed)
        return false;
    if (((value ^ old) & EFER_LME) && (cpu->st.cr0 & CR0_PG))
        return false;
    cpu->st.efer = (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA);
    if ((value ^ old) & EFER_NXE)
        mmu_flush_all(cpu);
    mode_update(cpu);
    return true;
}

static bool is_memory_type(unsigned t)
{
    return t == 0 || t == 1 || (t >= 4 && t <= 7);
}

static bool pat_write(struct vcpu *cpu, uint64_t value)
{
    for (unsigned n = 0; n < 64; n += 8)
        if (!is_memory_type(value >> n & 0xff))
            return false;
    cpu->st.pat = value;
    return true;
}

static bool base_write(struct vcpu *cpu, unsigned seg, uint64_t value)
{
    if (!is_canonical(value))
        return false;
    cpu->st.seg[seg].base = value;
    mode_segment(cpu, seg);
    return true;
}

static bool mtrr_variable(struct vcpu *cpu, uint32_t msr, uint64_t **p)
{
    unsigned n = (msr - 0x200) / 2;

    if (msr < 0x200 || n >= X86_MTRR_VARIABLE ||
        !x86_has(&cpu->model->features, X86_F_mtrr))
        return false;
    *p = msr & 1 ? &cpu->st.mtrr_mask[n] : &cpu->st.mtrr_base[n];
    return true;
}

static bool tsc_write(struct vcpu *cpu, uint64_t value)
{
    uint64_t delta = value - tsc_shown(cpu);

    cpu->st.tsc_offset += delta;
    cpu->st.tsc_adjust += delta;
    if (cpu->vm->hv)
        hv_tsc_changed(cpu);
    return true;
}

bool msr_read(struct vcpu *cpu, uint32_t msr, uint64_t *value)
{
    const struct x86_features *f = &cpu->model->features;
    uint64_t *p;
    int n;

    switch (msr) {
    case 0x10: *value = tsc_shown(cpu); return true;
    case 0x1b: *value = cpu->st.apic_base; return x86_has(f, X86_F_apic);
    case 0x3b: *value = cpu->st.tsc_adjust; return x86_has(f, X86_F_tsc_adjust);
    case 0x277: *value = cpu->st.pat; return x86_has(f, X86_F_pat);
    case 0x6e0:
        *value = lapic_deadline_read(cpu->lapic);
        return x86_has(f, X86_F_tsc_deadline);
    case 0x800 ... 0x8ff: return lapic_msr_read(cpu->lapic, msr, value);
    case 0xc0000080u: *value = cpu->st.efer; return true;
    case 0xc0000100u:
        *value = cpu->st.seg[SEG_FS].base;
        return x86_has(f, X86_F_lm);
    case 0xc0000101u:
        *value = cpu->st.seg[SEG_GS].base;
        return x86_has(f, X86_F_lm);
    }
    if (cpu->vm->hv && hv_is_msr(msr))
        return hv_msr_read(cpu, msr, value) ||
               unknown(cpu, msr, "refused read of");
    if (mtrr_variable(cpu, msr, &p)) {
        *value = *p;
        return true;
    }
    n = find(cpu, msr);
    if (n < 0)
        return unknown(cpu, msr, "read of unknown");
    *value =
        table[n].rule <= MSR_CANONICAL ? *storage(cpu, n, msr) : table[n].value;
    return true;
}

static bool table_write(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    int n = find(cpu, msr);

    if (n < 0)
        return unknown(cpu, msr, "write of unknown");
    switch (table[n].rule) {
    case MSR_STORE:
        if (value & ~table[n].value)
            return false;
        break;
    case MSR_CANONICAL:
        if (!is_canonical(value))
            return false;
        break;
    case MSR_FIXED: return false;
    case MSR_IGNORE: return true;
    }
    *storage(cpu, n, msr) = value;
    return true;
}

bool msr_write(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    const struct x86_features *f = &cpu->model->features;
    uint64_t *p;

    switch (msr) {
    case 0x10: return tsc_write(cpu, value);
    case 0x1b:
        if (!x86_has(f, X86_F_apic) || !lapic_base_write(cpu, value))
            return false;
        mmu_flush_all(cpu); /* the page may have moved */
        return true;
    case 0x3b:
        if (!x86_has(f, X86_F_tsc_adjust))
            return false;
        cpu->st.tsc_offset += value - cpu->st.tsc_adjust;
        cpu->st.tsc_adjust = value;
        if (cpu->vm->hv)
            hv_tsc_changed(cpu);
        return true;
    case 0x277: return x86_has(f, X86_F_pat) && pat_write(cpu, value);
    case 0x6e0:
        if (!x86_has(f, X86_F_tsc_deadline))
            return false;
        lapic_deadline_write(cpu->lapic, value);
        return true;
    case 0x800 ... 0x8ff: return lapic_msr_write(cpu->lapic, msr, value);
    case 0xc0000080u: return efer_write(cpu, value);
    case 0xc0000100u:
        return x86_has(f, X86_F_lm) && base_write(cpu, SEG_FS, value);
    case 0xc0000101u:
        return x86_has(f, X86_F_lm) && base_write(cpu, SEG_GS, value);
    }
    if (cpu->vm->hv && hv_is_msr(msr))
        return hv_msr_write(cpu, msr, value) ||
               unknown(cpu, msr, "refused write of");
    if (mtrr_variable(cpu, msr, &p)) {
        *p = value;
        return true;
    }
    return table_write(cpu, msr, value);
}
