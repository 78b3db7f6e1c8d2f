/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC of each processor (xAPIC and x2APIC), and delivery of
 * interrupt messages to them.
 *
 * Modelled: ID, LDR/DFR, TPR/PPR, ISR/TMR/IRR, SVR, ESR, ICR with all
 * delivery modes and shorthands, LVT timer, LINT0, LINT1, thermal,
 * performance, error; the timer in one-shot, periodic and TSC-deadline mode;
 * EOI broadcast.  Not modelled: the arbitration register (reads 0, it lost
 * its meaning with the APIC bus), CMCI, EOI-broadcast suppression, APIC
 * errors other than illegal register and illegal vector.
 *
 * Threads: IRR and TMR are set by any thread with atomic operations, and the
 * LVT and the timer's registers are read by the timer thread; everything else
 * belongs to the vCPU's thread.
 *
 * Source: Intel SDM volume 3A chapter 10.
 */
#ifndef IRQ_LAPIC_H
#define IRQ_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/state.h>

struct vcpu;
struct vm;
struct lapic;

#define APIC_BASE_BSP    0x100u
#define APIC_BASE_X2APIC 0x400u
#define APIC_BASE_ENABLE 0x800u

/* Delivery modes of ICR, LVT, I/O APIC and MSI */
enum {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7,
};

struct lapic_state {
    uint32_t id;
    uint32_t tpr, ldr, dfr, svr, esr, esr_pending;
    uint32_t isr[8], tmr[8], irr[8];
    uint64_t icr;
    uint32_t lvt_timer, lvt_thermal, lvt_perf, lvt_lint0, lvt_lint1;
    uint32_t lvt_error;
    uint32_t timer_init, timer_divide;
    uint64_t timer_start;    /* virtual ns at which the count began */
    uint64_t timer_deadline; /* virtual ns of the next expiry, 0: none */
    uint8_t extint_line;     /* level of the PIC's INTR (BSP) */
    uint8_t sipi_vector;
    uint32_t signals; /* REQ_NMI.. that wait, while stopped */
};

extern const struct bp_field lapic_state_fields[];

struct lapic *lapic_create(struct vcpu *cpu);
void lapic_destroy(struct lapic *a);
/* Power-up, or INIT (which keeps the ID).  [vcpu thread or stopped] */
void lapic_reset(struct lapic *a, bool init);
struct lapic_state *lapic_get_state(struct lapic *a);
/* State was loaded: arms the timer again.  [stopped] */
void lapic_loaded(struct lapic *a);

/* --- the processor's side: [vcpu thread] --------------------------------- */

uint64_t lapic_mmio_read(struct lapic *a, unsigned offset, unsigned size);
void lapic_mmio_write(struct lapic *a, unsigned offset, uint64_t value,
                      unsigned size);
/* MSRs 800h..83Fh; false: #GP */
bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value);
/* IA32_APIC_BASE; false: #GP */
bool lapic_base_write(struct vcpu *cpu, uint64_t value);
void lapic_deadline_write(struct lapic *a, uint64_t tsc);
uint64_t lapic_deadline_read(struct lapic *a);
unsigned lapic_cr8_read(struct lapic *a);
void lapic_cr8_write(struct lapic *a, unsigned value);

/* Is there something to deliver, IF aside? */
bool lapic_has_interrupt(struct vcpu *cpu);
/* Acknowledges it: the vector, or -1. */
int lapic_ack(struct vcpu *cpu);
/* Performs INIT and start-up signals that were requested. */
void lapic_take_init(struct vcpu *cpu);
void lapic_take_sipi(struct vcpu *cpu);

/* These vectors, a bit each, are not in service after they were acknowledged
 * (sources of the SynIC with AutoEOI). */
void lapic_set_auto_eoi(struct lapic *a, const uint32_t vectors[8]);
void lapic_eoi(struct lapic *a);
/* ICR and TPR as the hypervisor interface's registers write them. */
void lapic_icr_write(struct lapic *a, uint64_t icr);
uint64_t lapic_icr_read(const struct lapic *a);
uint8_t lapic_tpr_read(const struct lapic *a);
void lapic_tpr_write(struct lapic *a, uint8_t value);
uint64_t lapic_timer_hz(void);

/* --- messages and lines: [any] ------------------------------------------- */

void apic_deliver(struct vm *vm, uint32_t dest, bool logical,
                  unsigned delivery_mode, uint8_t vector, bool level_triggered);
/* A fixed, edge-triggered interrupt for this processor. */
void lapic_inject(struct lapic *a, uint8_t vector);
void vcpu_intr_line(struct vm *vm, bool level);
void vcpu_nmi(struct vm *vm);
void vcpu_smi(struct vm *vm);

#endif
