/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the software engine derives from the architectural state: privilege,
 * code and stack size, segment bases and limits for the inline paths, which
 * TLB is current.  Whoever changes a register that these hang on calls the
 * function for it.  [vcpu thread]
 */
#ifndef CPU_MODE_H
#define CPU_MODE_H

#include "cpu/interp/interp.h"
#include "cpu/vcpu.h"

/* Everything anew: CR0, CR4, EFER, CR3 or the whole state changed. */
void mode_update(struct vcpu *cpu);
/* One segment register was loaded (CS and SS: privilege may differ). */
void mode_segment(struct vcpu *cpu, unsigned seg);
/* All segment registers, and the privilege level. */
void mode_segments(struct vcpu *cpu);
/* CR0.TS, CR0.EM, CR4 or XCR0 changed: who may use which registers. */
void mode_deny(struct vcpu *cpu);
/* DR7 or CR4.DE changed. */
void mode_debug(struct vcpu *cpu);

/*
 * Replaces the flags in `mask` and does what follows: VM and AC change access
 * rights, IF lets interrupts in, TF and RF ask for single steps.
 */
void mode_set_flags(struct vcpu *cpu, uint64_t value, uint64_t mask);

static inline bool is_protected(const struct vcpu *cpu)
{
    return (cpu->st.cr0 & CR0_PE) && !(cpu->st.rflags & FL_VM);
}

static inline bool is_v86(const struct vcpu *cpu)
{
    return cpu->st.rflags & FL_VM;
}

static inline unsigned iopl(const struct vcpu *cpu)
{
    return cpu->st.rflags >> FL_IOPL_SHIFT & 3;
}

static inline bool is_canonical(uint64_t a)
{
    return (uint64_t)((int64_t)a >> 47) + 1 <= 1;
}

#endif
