/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery of exceptions and interrupts, and IRET.  [vcpu thread]
 */
#ifndef CPU_EXCEPT_H
#define CPU_EXCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"

enum event_kind {
    EVENT_FAULT, /* RF is set in the pushed flags */
    EVENT_TRAP,  /* #DB after an instruction */
    EVENT_SOFT,  /* INT n, INT3, INTO: checks gate DPL */
    EVENT_ICEBP, /* INT1: like a trap, no DPL check */
    EVENT_EXTERNAL,
    EVENT_NMI,
};

/*
 * Enters the handler of `vector`; st.rip is what is pushed.  Changes state
 * only when nothing can fault any more; faults of the delivery itself are
 * raised as usual.
 */
void event_deliver(struct vcpu *cpu, unsigned vector, enum event_kind kind,
                   bool has_error, uint32_t error);

/*
 * What the run loop does when cpu_raise() came back to it: finds the
 * instruction, applies the double-fault rules, delivers.  May raise again.
 * False: triple fault.
 */
bool except_handle(struct vcpu *cpu);

/* An event that is no fault of an instruction. */
void except_external(struct vcpu *cpu, unsigned vector);
void except_nmi(struct vcpu *cpu);
/* #DB as a trap, with bits for DR6 */
void except_debug_trap(struct vcpu *cpu, uint32_t dr6);
/* INT1: its #DB takes along what MOV SS held back. */
void except_icebp(struct vcpu *cpu);

/* #DB as a fault of an instruction breakpoint */
_Noreturn void except_debug_fault(struct vcpu *cpu, uint32_t dr6);

void iret(struct vcpu *cpu, unsigned osz);

#endif
