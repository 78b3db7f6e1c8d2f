/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of system instructions share.  [vcpu thread] */
#ifndef CPU_INTERP_SYS_H
#define CPU_INTERP_SYS_H

#include "cpu/interp/interp.h"
#include "cpu/mode.h"

static inline void check_cpl0(struct vcpu *cpu)
{
    if (unlikely(cpu->cpl != 0))
        cpu_gp0(cpu);
}

/* Writes with all checks of the manual; MOV CR and the tests use them. */
void cr0_write(struct vcpu *cpu, uint64_t value);
void cr3_write(struct vcpu *cpu, uint64_t value);
void cr4_write(struct vcpu *cpu, uint64_t value);

/* The bits that may be set in CR4. */
uint64_t x86_cr4_allowed(const struct vcpu *cpu);
/* Nothing runs until an interrupt comes. */
void sys_halt(struct vcpu *cpu);

/* False: #GP */
bool msr_read(struct vcpu *cpu, uint32_t msr, uint64_t *value);
bool msr_write(struct vcpu *cpu, uint32_t msr, uint64_t value);

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};
void cpuid_read(struct vcpu *cpu, uint32_t leaf, uint32_t sub,
                struct cpuid_result *out);

/* An instruction that is not known or not offered: one line, once. */
void report_undefined(struct vcpu *cpu, const struct x86_insn *i);

/* Deterministic mode: an instruction that has to see the exact time is put
 * off until it is the first of its run, see sys_io.c.  True: not now. */
bool sys_postponed(struct vcpu *cpu, const struct x86_insn *i);

/* XCR0 bits that this CPU has, and the size of the standard image. */
uint64_t xsave_supported(const struct vcpu *cpu);
unsigned xsave_bytes(uint64_t components);

#endif
