/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual clock as a processor sees it, and the time-stamp counter, which
 * is that clock at the guest's frequency.
 *
 * In deterministic mode the clock moves between turns only; within a turn a
 * processor is ahead of it by the instructions of the turn.
 */
#ifndef CPU_TSC_H
#define CPU_TSC_H

#include "cpu/vcpu.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

static inline uint64_t virtual_now(const struct vcpu *cpu)
{
    uint64_t ns = clock_now(cpu->vm->clocks, CLOCK_VIRTUAL);

    if (cpu->vm->deterministic)
        ns += (cpu->insns - cpu->insn_start) * VCPU_INSN_NS;
    return ns;
}

/* Deterministic mode: a timer was set; the turn under way must not run past
 * its deadline. */
static inline void turn_until(struct vcpu *cpu, uint64_t deadline_ns)
{
    uint64_t t, insns;

    if (!cpu->vm->deterministic)
        return;
    t = virtual_now(cpu);
    insns =
        cpu->insns + (deadline_ns > t ? (deadline_ns - t) / VCPU_INSN_NS : 0);
    if (insns < cpu->insn_limit)
        cpu->insn_limit = insns;
}

/* The counter without the guest's offset. */
static inline uint64_t tsc_virtual(struct vcpu *cpu)
{
    uint64_t ns = virtual_now(cpu), hz = cpu->vm->tsc_hz;

    return ns / NS_PER_SEC * hz + ns % NS_PER_SEC * hz / NS_PER_SEC;
}

/*
 * What RDTSC shows on this processor: never less than before, in translated
 * code or here.  That may be up to a microsecond ahead of the virtual clock.
 * [vcpu thread]
 */
uint64_t tsc_shown(struct vcpu *cpu);

/* The virtual time at which the counter reaches `tsc`; past: 0 */
static inline uint64_t tsc_to_virtual(struct vcpu *cpu, uint64_t tsc)
{
    uint64_t t = tsc - cpu->st.tsc_offset;
    unsigned __int128 ns;

    if ((int64_t)t < 0)
        return tsc >> 63 ? ~0ull >> 1 : 0;
    ns = ((unsigned __int128)t * NS_PER_SEC + cpu->vm->tsc_hz - 1) /
         cpu->vm->tsc_hz;
    return ns > ~0ull >> 1 ? ~0ull >> 1 : (uint64_t)ns;
}

#endif
