/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers: control and debug registers, flags, TLB, halting.
 *
 * Source: Intel SDM volume 2, volume 3A 2.5, 4.10, volume 3B 17.
 */
#include "cpu/except.h"
#include "cpu/gen/handlers.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/engine.h"
#include "cpu/interp/sys.h"
#include "cpu/mmu.h"
#include "hv/hv.h"
#include "irq/lapic.h"
#include "sched/vcpu.h"

/* --- control registers --------------------------------------------------- */

static void enter_long_mode(struct vcpu *cpu, bool on)
{
    if (on)
        cpu->st.efer |= EFER_LMA;
    else
        cpu->st.efer &= ~(uint64_t)EFER_LMA;
}

static void check_paging_on(struct vcpu *cpu)
{
    bool lme = cpu->st.efer & EFER_LME;

    if (lme && (!(cpu->st.cr4 & CR4_PAE) || (cpu->st.seg[SEG_CS].attr & SEG_L)))
        cpu_gp0(cpu);
    if (!lme && (cpu->st.cr4 & CR4_PAE) && !mmu_load_pdptrs(cpu, cpu->st.cr3))
        cpu_gp0(cpu);
}

void cr0_write(struct vcpu *cpu, uint64_t value)
{
    uint64_t old = cpu->st.cr0, changed;

    value |= CR0_ET;
    if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
        ((value & CR0_NW) && !(value & CR0_CD)))
        cpu_gp0(cpu);
    value &= CR0_PG | CR0_CD | CR0_NW | CR0_AM | CR0_WP | 0x3f;
    changed = old ^ value;
    if (changed & value & CR0_PG)
        check_paging_on(cpu);
    if ((changed & old & CR0_PG) && ((cpu->st.cr4 & CR4_PCIDE) || cpu->code64))
        cpu_gp0(cpu);
    /* with PAE paging these reload the PDPTRs (SDM 3A 4.4.1) */
    if ((value & CR0_PG) && (changed & (CR0_CD | CR0_NW)) &&
        (cpu->st.cr4 & CR4_PAE) && !cpu->long_mode &&
        !mmu_load_pdptrs(cpu, cpu->st.cr3))
        cpu_gp0(cpu);
    cpu->st.cr0 = value;
    if (changed & CR0_PG)
        enter_long_mode(cpu, (value & CR0_PG) && (cpu->st.efer & EFER_LME));
    if (changed & (CR0_PG | CR0_PE | CR0_WP))
        mmu_flush_all(cpu);
    mode_update(cpu);
}

void cr3_write(struct vcpu *cpu, uint64_t value)
{
    bool keep = false;

    if (cpu->st.cr4 & CR4_PCIDE) {
        keep = value >> 63;
        value &= ~0ull >> 1;
    }
    if (cpu->long_mode) {
        if (value & ~cpu->phys_mask & ~0xfffull)
            cpu_gp0(cpu);
    } else {
        value = (uint32_t)value;
        if ((cpu->st.cr0 & CR0_PG) && (cpu->st.cr4 & CR4_PAE) &&
            !mmu_load_pdptrs(cpu, value))
            cpu_gp0(cpu);
    }
    cpu->st.cr3 = value;
    mmu_cr3_written(cpu, keep);
}

uint64_t x86_cr4_allowed(const struct vcpu *cpu)
{
    const struct x86_features *f = &cpu->model->features;
    static const struct {
        uint32_t bit;
        uint16_t feature;
    } bits[] = {
        { CR4_VME | CR4_PVI, X86_F_vme },
        { CR4_TSD, X86_F_tsc },
        { CR4_DE, X86_F_de },
        { CR4_PSE, X86_F_pse },
        { CR4_PAE, X86_F_pae },
        { CR4_MCE, X86_F_mce },
        { CR4_PGE, X86_F_pge },
        { CR4_OSFXSR | CR4_OSXMMEXCPT, X86_F_fxsr },
        { CR4_UMIP, X86_F_umip },
        { CR4_FSGSBASE, X86_F_fsgsbase },
        { CR4_PCIDE, X86_F_pcid },
        { CR4_OSXSAVE, X86_F_xsave },
        { CR4_SMEP, X86_F_smep },
        { CR4_SMAP, X86_F_smap },
    };
    uint64_t allowed = x86_has(f, X86_F_mmx) ? CR4_PCE : 0;

    for (unsigned n = 0; n < sizeof bits / sizeof bits[0]; n++)
        if (x86_has(f, bits[n].feature))
            allowed |= bits[n].bit;
    return allowed;
}

void cr4_write(struct vcpu *cpu, uint64_t value)
{
    uint64_t old = cpu->st.cr4, changed = old ^ value;

    if (value & ~x86_cr4_allowed(cpu))
        cpu_gp0(cpu);
    if (cpu->long_mode && !(value & CR4_PAE))
        cpu_gp0(cpu);
    if ((changed & value & CR4_PCIDE) &&
        (!cpu->long_mode || (cpu->st.cr3 & 0xfff)))
        cpu_gp0(cpu);
    if ((cpu->st.cr0 & CR0_PG) && (value & CR4_PAE) && !cpu->long_mode &&
        (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
        !mmu_load_pdptrs(cpu, cpu->st.cr3))
        cpu_gp0(cpu);
    cpu->st.cr4 = value;
    if (changed &
        (CR4_PAE | CR4_PGE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_SMAP))
        mmu_flush_all(cpu);
    if (changed & CR4_PCIDE)
        mmu_cr3_written(cpu, false);
    mode_update(cpu);
}

void h_mov_RC(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v = 0;

    check_cpl0(cpu);
    switch (i->reg) {
    case 0: v = cpu->st.cr0; break;
    case 2: v = cpu->st.cr2; break;
    case 3: v = cpu->st.cr3; break;
    case 4: v = cpu->st.cr4; break;
    case 8: v = lapic_cr8_read(cpu->lapic); break;
    default: cpu_ud(cpu);
    }
    cpu->st.gpr[i->rm] = cpu->code64 ? v : (uint32_t)v;
}

void h_mov_CR(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v = cpu->st.gpr[i->rm];

    check_cpl0(cpu);
    if (!cpu->code64)
        v = (uint32_t)v;
    switch (i->reg) {
    case 0: cr0_write(cpu, v); break;
    case 2: cpu->st.cr2 = v; break;
    case 3: cr3_write(cpu, v); break;
    case 4: cr4_write(cpu, v); break;
    case 8:
        if (v & ~15ull)
            cpu_gp0(cpu);
        lapic_cr8_write(cpu->lapic, (unsigned)v);
        break;
    default: cpu_ud(cpu);
    }
}

/* LMSW can set PE but not clear it. */
void h_lmsw(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v;

    check_cpl0(cpu);
    v = i->flags & X86_I_MEM ? ld16(cpu, i->seg, ea(cpu, i))
                             : (uint16_t)cpu->st.gpr[i->rm];
    cr0_write(cpu, (cpu->st.cr0 & ~0xeull) | (v & 0xf));
}

void h_clts(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
    cpu->st.cr0 &= ~(uint64_t)CR0_TS;
    mode_deny(cpu);
}

/* --- debug registers ----------------------------------------------------- */

static unsigned debug_number(struct vcpu *cpu, unsigned n)
{
    if (n == 4 || n == 5) {
        if (cpu->st.cr4 & CR4_DE)
            cpu_ud(cpu);
        n += 2;
    }
    check_cpl0(cpu);
    if (cpu->st.dr[7] & 0x2000) { /* GD */
        cpu->st.dr[6] |= DB_ACCESS;
        cpu_raise(cpu, EXC_DB);
    }
    return n;
}

void h_mov_RD(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v = cpu->st.dr[debug_number(cpu, i->reg)];

    cpu->st.gpr[i->rm] = cpu->code64 ? v : (uint32_t)v;
}

void h_mov_DR(struct vcpu *cpu, const struct x86_insn *i)
{
    unsigned n = debug_number(cpu, i->reg);
    uint64_t v = cpu->st.gpr[i->rm];

    if (!cpu->code64)
        v = (uint32_t)v;
    if (n >= 6 && v >> 32)
        cpu_gp0(cpu);
    if (n == 6)
        v = (v & 0xe00f) | 0xffff0ff0u;
    if (n == 7)
        v = (v & 0xffff2bffu) | 0x400;
    cpu->st.dr[n] = v;
    mode_debug(cpu);
}

/* --- TLB, caches --------------------------------------------------------- */

void h_invlpg(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t lin = cpu->fast[i->seg].base + ea(cpu, i);

    check_cpl0(cpu);
    mmu_flush_page(cpu, cpu->long_mode ? lin : (uint32_t)lin);
}

void h_invpcid(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t type = reg_get(cpu, i->reg, cpu->code64 ? 8 : 4);
    uint64_t d[2];

    check_cpl0(cpu);
    ld_bytes(cpu, i->seg, ea(cpu, i), d, 16);
    if (type > 3 || d[0] >> 12 ||
        (!(cpu->st.cr4 & CR4_PCIDE) && type < 2 && d[0]))
        cpu_gp0(cpu);
    switch (type) {
    case 0:
        if (!is_canonical(d[1]))
            cpu_gp0(cpu);
        mmu_flush_page(cpu, d[1]);
        break;
    case 1: mmu_flush_pcid(cpu, d[0] & 0xfff); break;
    case 2: mmu_flush_all(cpu); break;
    case 3: mmu_flush_nonglobal(cpu); break;
    }
}

/* Memory is coherent and there is no cache to lose: only the rights. */
void h_wbinvd(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
}

void h_clflush(struct vcpu *cpu, const struct x86_insn *i)
{
    ld8(cpu, i->seg, ea(cpu, i));
}

void h_fence(struct vcpu *cpu, const struct x86_insn *i)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- flags --------------------------------------------------------------- */

void h_pushf(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t fl = cpu->st.rflags & ~(uint64_t)(FL_VM | FL_RF);

    if (is_v86(cpu) && iopl(cpu) < 3) {
        if (!(cpu->st.cr4 & CR4_VME) || i->osz != 2)
            cpu_gp0(cpu);
        fl = (fl & ~(uint64_t)FL_IF) | FL_IOPL | (fl & FL_VIF ? FL_IF : 0);
    }
    push_osz(cpu, i->osz, fl);
}

static void popf_vme(struct vcpu *cpu, uint16_t fl)
{
    if ((fl & FL_TF) || ((fl & FL_IF) && (cpu->st.rflags & FL_VIP)))
        cpu_gp0(cpu);
    sp_set(cpu, sp_get(cpu) + 2);
    mode_set_flags(cpu, (fl & 0xffffu) | (fl & FL_IF ? FL_VIF : 0),
                   FL_ARITH | FL_TF | FL_DF | FL_NT | FL_VIF);
}

void h_popf(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t mask = FL_ARITH | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID;
    uint64_t fl = ld_n(cpu, SEG_SS, sp_get(cpu), i->osz);

    if (is_v86(cpu) && iopl(cpu) < 3) {
        if (!(cpu->st.cr4 & CR4_VME) || i->osz != 2)
            cpu_gp0(cpu);
        popf_vme(cpu, (uint16_t)fl);
        return;
    }
    if (cpu->cpl <= iopl(cpu) || is_v86(cpu))
        mask |= FL_IF;
    if (cpu->cpl == 0)
        mask |= FL_IOPL;
    if (i->osz == 2)
        mask &= 0xffff;
    sp_set(cpu, sp_get(cpu) + i->osz);
    mode_set_flags(cpu, fl, mask | FL_RF); /* RF becomes 0 */
    cpu->st.rflags &= ~(uint64_t)FL_RF;
}

/* Who may not touch IF may have a virtual one: VME, PVI. */
static bool uses_vif(struct vcpu *cpu)
{
    if (!(cpu->st.cr0 & CR0_PE) || cpu->cpl <= iopl(cpu))
        return false;
    if (is_v86(cpu) ? !(cpu->st.cr4 & CR4_VME)
                    : cpu->cpl != 3 || !(cpu->st.cr4 & CR4_PVI))
        cpu_gp0(cpu);
    return true;
}

void h_cli(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.rflags &= ~(uint64_t)(uses_vif(cpu) ? FL_VIF : FL_IF);
}

void h_sti(struct vcpu *cpu, const struct x86_insn *i)
{
    if (uses_vif(cpu)) {
        if (cpu->st.rflags & FL_VIP)
            cpu_gp0(cpu);
        cpu->st.rflags |= FL_VIF;
        return;
    }
    if (cpu->st.rflags & FL_IF)
        return;
    cpu->st.rflags |= FL_IF;
    if (cpu->intr_waiting)
        cpu_attend(cpu, REQ_INTR);
    if (blocks_goes_on(cpu, i))
        return; /* nothing comes in before the next instruction */
    cpu->st.sti_shadow = 1;
    cpu_attend(cpu, REQ_SLOW);
}

void h_clac(struct vcpu *cpu, const struct x86_insn *i)
{
    if (cpu->cpl)
        cpu_ud(cpu);
    mode_set_flags(cpu, 0, FL_AC);
}

void h_stac(struct vcpu *cpu, const struct x86_insn *i)
{
    if (cpu->cpl)
        cpu_ud(cpu);
    mode_set_flags(cpu, FL_AC, FL_AC);
}

/* --- halting ------------------------------------------------------------- */

void sys_halt(struct vcpu *cpu)
{
    cpu->n_halts++;
    cpu->st.activity = X86_HALTED;
    cpu_attend(cpu, REQ_SLOW | (cpu->intr_waiting ? REQ_INTR : 0));
}

void h_hlt(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
    sys_halt(cpu);
}

void h_monitor(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
    if ((uint32_t)cpu->st.gpr[RCX])
        cpu_gp0(cpu);
    ld8(cpu, i->seg, reg_addr(cpu, RAX, i->asz));
}

/* A hint: it may return at once, and does, as another processor's store to
 * the monitored line would not be noticed. */
void h_mwait(struct vcpu *cpu, const struct x86_insn *i)
{
    check_cpl0(cpu);
    if ((uint32_t)cpu->st.gpr[RCX] & ~1u)
        cpu_gp0(cpu);
    vcpu_yield(cpu);
}

void h_vmcall(struct vcpu *cpu, const struct x86_insn *i)
{
    if (cpu->vm->hv && sys_postponed(cpu, i))
        return;
    if (!hv_hypercall(cpu))
        cpu_ud(cpu);
}

/* Outside system-management mode, which this processor never enters (see
 * docs/limits.md), RSM is undefined. */
void h_rsm(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu_ud(cpu);
}
