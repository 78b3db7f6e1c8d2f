/* SPDX-License-Identifier: Apache-2.0 */
/* Local APIC registers; SDM 3A table 10-1 (offset / 16), figures 10-8 on */
#ifndef IRQ_LAPIC_REGS_H
#define IRQ_LAPIC_REGS_H

#include <pthread.h>

#include "irq/lapic.h"

struct timer;

struct lapic {
    struct lapic_state st;
    struct vcpu *cpu;
    struct timer *timer;
    pthread_mutex_t lock; /* timer registers against its thread */
    char *name;
    uint32_t auto_eoi[8]; /* vectors that end when they are acknowledged */
};

/* clang-format off */
enum {
    APIC_ID = 0x02, APIC_VERSION = 0x03, APIC_TPR = 0x08, APIC_APR = 0x09,
    APIC_PPR = 0x0a, APIC_EOI = 0x0b, APIC_LDR = 0x0d, APIC_DFR = 0x0e,
    APIC_SVR = 0x0f, APIC_ISR = 0x10, APIC_TMR = 0x18, APIC_IRR = 0x20,
    APIC_ESR = 0x28, APIC_ICR = 0x30, APIC_ICR_HIGH = 0x31,
    APIC_LVT_TIMER = 0x32, APIC_LVT_THERMAL = 0x33, APIC_LVT_PERF = 0x34,
    APIC_LVT_LINT0 = 0x35, APIC_LVT_LINT1 = 0x36, APIC_LVT_ERROR = 0x37,
    APIC_TIMER_INIT = 0x38, APIC_TIMER_COUNT = 0x39, APIC_TIMER_DIV = 0x3e,
    APIC_SELF_IPI = 0x3f,
};
/* clang-format on */

#define SVR_ENABLE          0x100u
#define LVT_MASKED          0x10000u
#define LVT_MODE(lvt)       ((lvt) >> 8 & 7)
#define LVT_TIMER_MODE(lvt) ((lvt) >> 17 & 3)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

#define ICR_PENDING 0x1000u
enum { ICR_NONE, ICR_SELF, ICR_ALL, ICR_OTHERS };

#define ESR_SEND_VECTOR 0x20u
#define ESR_RECV_VECTOR 0x40u
#define ESR_ILLEGAL_REG 0x80u

/* The timer's input clock: 1 GHz, a usual bus clock of its time. */
#define APIC_TICK_NS       1u
#define APIC_MIN_PERIOD_NS 2000u

#endif
