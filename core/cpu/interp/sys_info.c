/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers: CPUID, MSRs, counters, random numbers, FS and GS bases.
 */
#include <sys/random.h>

#include "cpu/gen/handlers.h"
#include "cpu/interp/engine.h"
#include "cpu/interp/sys.h"
#include "cpu/mmu.h"
#include "cpu/sync.h"
#include "cpu/tsc.h"
#include "hv/tlfs.h"
#include "irq/lapic.h"
#include "sched/vcpu.h"

static void set_edx_eax(struct vcpu *cpu, uint64_t value)
{
    cpu->st.gpr[RAX] = (uint32_t)value;
    cpu->st.gpr[RDX] = value >> 32;
}

void h_cpuid(struct vcpu *cpu, const struct x86_insn *i)
{
    struct cpuid_result r;

    cpuid_read(cpu, (uint32_t)cpu->st.gpr[RAX], (uint32_t)cpu->st.gpr[RCX], &r);
    cpu->st.gpr[RAX] = r.eax;
    cpu->st.gpr[RBX] = r.ebx;
    cpu->st.gpr[RCX] = r.ecx;
    cpu->st.gpr[RDX] = r.edx;
}

/*
 * A read of GUEST_IDLE returns when there is an interrupt, be it delivered
 * or, with interrupts off, not: waiting locks do that.  It may return for no
 * reason, so that a wait without interrupts is no state to be saved.
 */
static void idle(struct vcpu *cpu)
{
    if (cpu->st.rflags & FL_IF) {
        sys_halt(cpu);
    } else if (!lapic_has_interrupt(cpu)) {
        guest_leave(cpu);
        vcpu_nap(cpu);
        guest_enter(cpu);
    }
}

void h_rdmsr(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v;

    check_cpl0(cpu);
    if (!msr_read(cpu, (uint32_t)cpu->st.gpr[RCX], &v))
        cpu_gp0(cpu);
    set_edx_eax(cpu, v);
    if ((uint32_t)cpu->st.gpr[RCX] == HV_MSR_GUEST_IDLE)
        idle(cpu);
}

void h_wrmsr(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v = (uint32_t)cpu->st.gpr[RAX] | cpu->st.gpr[RDX] << 32;

    check_cpl0(cpu);
    if (!msr_write(cpu, (uint32_t)cpu->st.gpr[RCX], v))
        cpu_gp0(cpu);
}

static void check_tsd(struct vcpu *cpu)
{
    if ((cpu->st.cr4 & CR4_TSD) && cpu->cpl != 0)
        cpu_gp0(cpu);
}

void h_rdtsc(struct vcpu *cpu, const struct x86_insn *i)
{
    check_tsd(cpu);
    set_edx_eax(cpu, tsc_shown(cpu));
}

void h_rdtscp(struct vcpu *cpu, const struct x86_insn *i)
{
    check_tsd(cpu);
    set_edx_eax(cpu, tsc_shown(cpu));
    cpu->st.gpr[RCX] = (uint32_t)cpu->st.tsc_aux;
}

/* There are no performance counters: every index is one too many. */
void h_rdpmc(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu_gp0(cpu);
}

void h_rdpid(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.gpr[i->rm] = (uint32_t)cpu->st.tsc_aux;
}

/* RDRAND, RDSEED: the host's generator; in deterministic mode one that
 * starts from a fixed seed, so that runs repeat. */
void h_rdrand(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v;
    bool ok = true;

    if (cpu->vm->deterministic) {
        /* splitmix64 (Steele, Lea, Flood 2014) */
        v = cpu->random += 0x9e3779b97f4a7c15ull;
        v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
        v = (v ^ v >> 27) * 0x94d049bb133111ebull;
        v ^= v >> 31;
    } else {
        ok = getrandom(&v, sizeof v, GRND_NONBLOCK) == sizeof v;
    }
    if (!ok)
        v = 0;
    reg_set(cpu, i->rm, i->osz, v);
    cpu->st.rflags = (cpu->st.rflags & ~(uint64_t)FL_ARITH) | (ok ? FL_CF : 0);
}

/* --- FS and GS bases ----------------------------------------------------- */

static void check_fsgsbase(struct vcpu *cpu)
{
    if (!(cpu->st.cr4 & CR4_FSGSBASE))
        cpu_ud(cpu);
}

void h_rdfsbase(struct vcpu *cpu, const struct x86_insn *i)
{
    check_fsgsbase(cpu);
    reg_set(cpu, i->rm, i->osz, cpu->st.seg[SEG_FS].base);
}

void h_rdgsbase(struct vcpu *cpu, const struct x86_insn *i)
{
    check_fsgsbase(cpu);
    reg_set(cpu, i->rm, i->osz, cpu->st.seg[SEG_GS].base);
}

static void write_base(struct vcpu *cpu, const struct x86_insn *i, unsigned seg)
{
    uint64_t v = reg_get(cpu, i->rm, i->osz);

    check_fsgsbase(cpu);
    if (!is_canonical(v))
        cpu_gp0(cpu);
    cpu->st.seg[seg].base = v;
    cpu->fast[seg].base = v;
}

void h_wrfsbase(struct vcpu *cpu, const struct x86_insn *i)
{
    write_base(cpu, i, SEG_FS);
}

void h_wrgsbase(struct vcpu *cpu, const struct x86_insn *i)
{
    write_base(cpu, i, SEG_GS);
}

void h_swapgs(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t base = cpu->st.seg[SEG_GS].base;

    check_cpl0(cpu);
    cpu->st.seg[SEG_GS].base = cpu->st.kernel_gs_base;
    cpu->fast[SEG_GS].base = cpu->st.kernel_gs_base;
    cpu->st.kernel_gs_base = base;
}

/* --- what is not known --------------------------------------------------- */

/* The bytes are read again: the decoded form does not keep them. */
void report_undefined(struct vcpu *cpu, const struct x86_insn *i)
{
    char text[3 * 16 + 1] = "";
    uint64_t at = cpu->fast[SEG_CS].base + cpu->st.rip - i->len;
    static const char hex[] = "0123456789abcdef";
    unsigned n;

    /* ud2 and ud1 are meant to be undefined */
    if (i->opcode == 0x0b || i->opcode == 0xb9 || i->opcode == 0xff)
        return;
    for (n = 0; n < i->len && n < 15; n++) {
        uint64_t phys;
        unsigned b;

        if (!mmu_peek(cpu, at + n, &phys))
            break;
        b = (unsigned)phys_ld(cpu, phys, 1);
        text[n * 3] = hex[b >> 4];
        text[n * 3 + 1] = hex[b & 15];
        text[n * 3 + 2] = ' ';
        text[n * 3 + 3] = 0;
    }
    for (unsigned k = 0; k < cpu->ud_reports; k++)
        if (!memcmp(cpu->ud_reported[k], text, sizeof text))
            return;
    if (cpu->ud_reports == sizeof cpu->ud_reported / sizeof text)
        return;
    memcpy(cpu->ud_reported[cpu->ud_reports++], text, sizeof text);
    cpu_report(cpu, "undefined instruction %sat %llx raises #UD", text,
               (unsigned long long)(cpu->st.rip - i->len));
}
