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

#define TSC_APART_NS 500u

/*
 * The rate of the guest's counter against the host's, each hundredth of a
 * second.  The guest's may have stood still meanwhile, so a rate counts when
 * it is that of the last time, about.  The window is so short, 20 us, that an
 * error of the rate is less than a nanosecond.
 */
static void tsc_measure(struct vcpu *cpu, struct tsc_anchor *a)
{
    uint64_t guest = a->guest - a->guest0, host = a->host - a->host0;
    uint64_t hz = cpu->vm->tsc_hz, mult;

    if (a->host0 && (guest < hz / 100 || !host))
        return;
    if (a->host0 && guest < hz * 4) {
        mult = (uint64_t)(((unsigned __int128)guest << 32) / host);
        a->window = mult - a->mult + (mult >> 10) < mult >> 9
                        ? ((hz / 50000) << 32) / mult
                        : 0;
        a->mult = mult;
    }
    a->host0 = a->host;
    a->guest0 = a->guest;
}

/*
 * The guest's counter, and the host's just before it was read.  False: this
 * thread was off the processor in between, so they do not belong together.
 */
static bool tsc_sample(struct vcpu *cpu, uint64_t *host, uint64_t *guest)
{
    uint64_t end, apart = 0;

    for (unsigned n = 0; n < 3; n++) {
        *host = __builtin_ia32_rdtsc();
        *guest = tsc_virtual(cpu);
        end = __builtin_ia32_rdtsc();
        apart = (end - *host) * cpu->tsc.mult >> 32;
        if (apart < TSC_APART_NS * (cpu->vm->tsc_hz / 1000000) / 1000)
            return true;
    }
    return false;
}

/* Reads the counter and lets translated code go on from there.  It may be a
 * little ahead: time must not go backwards. */
static uint64_t tsc_anchor(struct vcpu *cpu)
{
    struct tsc_anchor *a = &cpu->tsc;
    uint64_t host, guest, since, shown;
    bool exact;

    if (!a->steady)
        return tsc_virtual(cpu) + cpu->st.tsc_offset;
    exact = tsc_sample(cpu, &host, &guest);
    since = host - a->host;
    shown =
        a->guest + ((since < a->window ? since : a->window) * a->mult >> 32);
    if (a->window && guest < shown)
        guest = shown;
    if (exact) {
        a->host = host;
        a->guest = guest;
        tsc_measure(cpu, a);
    }
    return guest + cpu->st.tsc_offset;
}

void h_rdtsc(struct vcpu *cpu, const struct x86_insn *i)
{
    check_tsd(cpu);
    set_edx_eax(cpu, tsc_anchor(cpu));
}

void h_rdtscp(struct vcpu *cpu, const struct x86_insn *i)
{
    check_tsd(cpu);
    set_edx_eax(cpu, tsc_anchor(cpu));
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
