/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor interface of Hyper-V: what a guest finds by CPUID leaves
 * 40000000h and up, model-specific registers 40000000h to 400001FFh, and
 * hypercalls; and the synthetic interrupt controller (SynIC) through which
 * devices and timers reach the guest.
 *
 * It stands between an engine and the rest of the machine.  An engine calls
 * hv_cpuid(), hv_msr_read(), hv_msr_write() and hv_hypercall() on the vCPU's
 * thread; devices call hv_post(), hv_signal() and hv_raise() from any thread
 * (bp.hv/1, plugin/host_hv.c); what the guest posts and signals goes to the
 * devices' ports (ports.h).
 *
 * Pages.  The hypercall page, SIMP, SIEFP, reference TSC page and VP assist
 * page are, by the specification, overlays that hide what the guest has at
 * that address.  Here they are the guest's own memory: enabling one writes
 * there (hypercall and TSC page) or clears it (the others), and what was
 * there before does not come back.  Guests give pages that they use for
 * nothing else.  An address that is no memory raises #GP.
 *
 * Time.  The reference time is the virtual clock in units of 100 ns: it
 * stands while the machine does and goes on where it was in a restored one.
 *
 * Threads.  A virtual processor's SynIC and timers are behind its lock, as
 * devices and the timer thread use them; nothing is called with it held but
 * the local APIC.  What concerns the partition is behind hv.lock.
 *
 * Source: Hypervisor Top-Level Functional Specification 6.0b.
 */
#ifndef HV_HV_H
#define HV_HV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/state.h>

#include "hv/tlfs.h"
#include "lib/log.h"

struct vm;
struct vcpu;
struct timer;
struct clocks;

/* What can be switched off, one bit each; "hv.NAME=off" in vm.conf. */
#define HV_F_SYNIC         0x0001u
#define HV_F_STIMER        0x0002u
#define HV_F_STIMER_DIRECT 0x0004u
#define HV_F_APIC          0x0008u
#define HV_F_REF_COUNT     0x0010u
#define HV_F_REF_TSC       0x0020u
#define HV_F_FREQUENCY     0x0040u
#define HV_F_CRASH         0x0080u
#define HV_F_RESET         0x0100u
#define HV_F_IDLE          0x0200u
#define HV_F_RUNTIME       0x0400u
#define HV_F_FLUSH         0x0800u
#define HV_F_IPI           0x1000u
#define HV_F_XMM_INPUT     0x2000u
#define HV_F_ALL           0x3fffu
/* Flushes by hypercall empty whole TLBs and cost more than they save, see
 * docs/limits.md. */
#define HV_F_DEFAULT (HV_F_ALL & ~HV_F_FLUSH)

/* The bit of an enlightenment's name; 0: there is none. */
uint32_t hv_feature(const char *name);

/* --- state: what the guest can observe ----------------------------------- */

struct hv_stimer_state {
    uint64_t config, count;
    uint64_t due;     /* reference time of the next expiry, 0: none */
    uint64_t expired; /* that of the message which ... */
    uint8_t pending;  /* ... waits for room */
};

struct hv_vp_state {
    uint64_t scontrol, siefp, simp, vp_assist;
    uint64_t sint[HV_SINTS];
    struct hv_stimer_state stimer[HV_STIMERS];
    uint32_t waiting;  /* SINTs for whose slot a device waits */
    uint64_t run_time; /* up to the last time it was read */
    uint8_t starting;  /* HvCallStartVirtualProcessor under way, with ... */
    struct hv_vp_context start;
};

struct hv_state {
    uint64_t guest_os_id, hypercall, reference_tsc;
    uint32_t tsc_sequence; /* of the page; 0 before the first */
    uint64_t crash[HV_CRASH_REGS];
};

extern const struct bp_field hv_vp_state_fields[];
extern const struct bp_field hv_state_fields[];

/* --- objects ------------------------------------------------------------- */

struct hv;

struct hv_vp {
    struct hv *hv;
    unsigned index;
    pthread_mutex_t lock;
    struct hv_vp_state st;
    uint8_t *simp, *siefp; /* in host memory; NULL: not enabled */
    struct hv_stimer {
        struct hv_vp *vp;
        struct timer *timer;
    } stimer[HV_STIMERS];
    uint64_t ticks_seen; /* of the thread, when run_time was read */
};

struct hv {
    struct vm *vm;
    uint32_t features; /* HV_F_* */
    unsigned count;
    struct hv_vp *vp;
    pthread_mutex_t lock; /* st and the TSC page */
    struct hv_state st;
    struct log_limit crash_limit;
};

/*
 * Before devices and processors are made; vm->clocks is there.  Destroyed
 * after the processors.
 */
struct hv *hv_create(struct vm *vm, unsigned processors, uint32_t features);
void hv_destroy(struct hv *hv);
void hv_reset(struct hv *hv);  /* power-on state.  [stopped] */
void hv_loaded(struct hv *hv); /* state was put into st's.  [stopped] */

/* --- for engines: [vcpu thread] ------------------------------------------ */

void hv_cpuid(struct vcpu *cpu, uint32_t leaf, uint32_t eax_ebx_ecx_edx[4]);
static inline bool hv_is_msr(uint32_t msr)
{
    return msr >= HV_MSR_FIRST && msr <= HV_MSR_LAST;
}
/* False: #GP */
bool hv_msr_read(struct vcpu *cpu, uint32_t msr, uint64_t *value);
bool hv_msr_write(struct vcpu *cpu, uint32_t msr, uint64_t value);
/*
 * VMCALL.  Registers are read from and results written to cpu->st; an engine
 * of another kind sets cpl and code64 before.  False: #UD, the guest has not
 * set up the interface or may not use it here.
 */
bool hv_hypercall(struct vcpu *cpu);
/* A start-up signal: true when it was HvCallStartVirtualProcessor's. */
bool hv_take_start(struct vcpu *cpu);
/* The guest moved its TSC. */
void hv_tsc_changed(struct vcpu *cpu);

/* --- for devices: [any] -------------------------------------------------- */

/* As in bp.hv/1. */
int32_t hv_post(struct hv *hv, uint32_t vp, uint32_t sint, uint32_t type,
                const void *payload, uint32_t bytes);
int32_t hv_signal(struct hv *hv, uint32_t vp, uint32_t sint, uint32_t flag);
int32_t hv_raise(struct hv *hv, uint32_t vp, uint32_t sint);
uint64_t hv_reference_time(struct vm *vm);

/*
 * What stands in for the SynIC on a machine without processors (the bench);
 * functions as the three above, without `hv`.
 */
struct hv_sink {
    uint32_t processors;
    int32_t (*post)(void *opaque, uint32_t vp, uint32_t sint, uint32_t type,
                    const void *payload, uint32_t bytes);
    int32_t (*signal)(void *opaque, uint32_t vp, uint32_t sint, uint32_t flag);
    int32_t (*raise)(void *opaque, uint32_t vp, uint32_t sint);
    void *opaque;
};

/* --- between the files of this folder ------------------------------------ */

static inline bool hv_has(const struct hv *hv, uint32_t feature)
{
    return hv->features & feature;
}

/* A page register was written: the page in host memory, or NULL when it is
 * not enabled.  False: #GP. */
bool hv_page_find(struct hv *hv, uint64_t reg, uint8_t **host);
void hv_page_done(struct hv *hv, const void *host, uint64_t bytes);

/* reftime.c */
bool hv_reference_tsc_write(struct vcpu *cpu, uint64_t value);
/* The reference time as this processor computes it from the page: never back
 * there.  [vcpu thread] */
uint64_t hv_reference_count(struct vcpu *cpu);
/* Writes the page anew, with the next sequence.  Outside of guest code. */
void hv_reference_tsc_renew(struct hv *hv);
uint64_t hv_run_time(struct vcpu *cpu);

/* crash.c */
void hv_crash_notify(struct vcpu *cpu, uint64_t control);

/* stimer.c */
void hv_stimers_create(struct hv_vp *vp);
void hv_stimers_destroy(struct hv_vp *vp);
void hv_stimers_loaded(struct hv_vp *vp);
uint64_t hv_stimer_read(struct hv_vp *vp, uint32_t msr);
void hv_stimer_write(struct hv_vp *vp, uint32_t msr, uint64_t value);
/* The guest took messages; vp->lock is held. */
void hv_stimer_room(struct hv_vp *vp, uint64_t now);

/* synic.c */
bool hv_synic_read(struct hv_vp *vp, uint32_t msr, uint64_t *value);
bool hv_synic_write(struct hv_vp *vp, uint32_t msr, uint64_t value);
void hv_synic_loaded(struct hv_vp *vp);
/* vp->lock is held; -EAGAIN: taken, the guest will write EOM. */
int32_t hv_slot_put(struct hv_vp *vp, unsigned sint, uint32_t type,
                    const void *payload, uint32_t bytes);
void hv_sint_raise(struct hv_vp *vp, unsigned sint);

#endif
