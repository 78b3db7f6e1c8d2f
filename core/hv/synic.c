/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synthetic interrupt controller: sixteen sources (SINT) a processor,
 * each with a message slot in the SIMP page and 2048 event flags in the
 * SIEFP page.
 *
 * A slot is free while its type is 0.  The sender of a message that finds it
 * taken sets the pending flag and looks at the type again; the guest clears
 * the type, looks at the flag, and writes EOM if it is set.  Both have a full
 * barrier between, so that no message is left behind.
 *
 * Source: TLFS chapter 11.
 */
#include <errno.h>
#include <string.h>

#include "cpu/sync.h"
#include "cpu/tsc.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "hv/ports.h"
#include "irq/lapic.h"
#include "mem/map.h"
#include "vm/vm.h"

/* --- pages --------------------------------------------------------------- */

bool hv_page_find(struct hv *hv, uint64_t reg, uint8_t **host)
{
    void *p;

    *host = NULL;
    if (!(reg & HV_PAGE_ENABLE))
        return true;
    if (map_dma_direct(hv->vm->map, reg & HV_PAGE_MASK, PAGE_BYTES, true, &p) <
        PAGE_BYTES)
        return false;
    *host = p;
    return true;
}

void hv_page_done(struct hv *hv, const void *host, uint64_t bytes)
{
    map_dma_done(hv->vm->map, host, bytes);
}

/* Another page, or a page that was off, starts empty. */
static bool page_write(struct hv_vp *vp, uint64_t *reg, uint8_t **at,
                       uint64_t value)
{
    struct hv *hv = vp->hv;
    struct vcpu *cpu = hv->vm->vcpus[vp->index];
    uint8_t *host;
    bool ok;

    guest_leave(cpu);
    ok = hv_page_find(hv, value, &host);
    if (ok) {
        pthread_mutex_lock(&vp->lock);
        if (host && host != *at) {
            memset(host, 0, PAGE_BYTES);
            hv_page_done(hv, host, PAGE_BYTES);
        }
        *at = host;
        *reg = value;
        pthread_mutex_unlock(&vp->lock);
    }
    guest_enter(cpu);
    return ok;
}

/* --- interrupts ---------------------------------------------------------- */

void hv_sint_raise(struct hv_vp *vp, unsigned sint)
{
    struct vm *vm = vp->hv->vm;
    uint64_t reg = __atomic_load_n(&vp->st.sint[sint], __ATOMIC_RELAXED);

    if (!(reg & (HV_SINT_MASKED | HV_SINT_POLLING)))
        lapic_inject(vm->vcpus[vp->index]->lapic, (uint8_t)reg);
}

/* Vectors that are not in service after they were acknowledged. */
static void auto_eoi_update(struct hv_vp *vp)
{
    struct vm *vm = vp->hv->vm;
    uint32_t vectors[8] = { 0 };

    for (unsigned n = 0; n < HV_SINTS; n++) {
        uint64_t reg = vp->st.sint[n];
        uint8_t vector = (uint8_t)reg;

        if ((reg & HV_SINT_AUTO_EOI) && !(reg & HV_SINT_MASKED))
            vectors[vector / 32] |= 1u << vector % 32;
    }
    if (vp->index < vm->vcpu_count)
        lapic_set_auto_eoi(vm->vcpus[vp->index]->lapic, vectors);
}

static bool is_enabled(const struct hv_vp *vp)
{
    return __atomic_load_n(&vp->st.scontrol, __ATOMIC_RELAXED) &
           HV_SCONTROL_ENABLE;
}

/* --- messages ------------------------------------------------------------ */

static struct hv_message *slot(struct hv_vp *vp, unsigned sint)
{
    return (struct hv_message *)(void *)vp->simp + sint;
}

static bool slot_is_free(struct hv_message *m)
{
    if (__atomic_load_n(&m->type, __ATOMIC_ACQUIRE) == HV_MESSAGE_NONE)
        return true;
    __atomic_fetch_or(&m->flags, HV_MESSAGE_PENDING, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&m->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE;
}

int32_t hv_slot_put(struct hv_vp *vp, unsigned sint, uint32_t type,
                    const void *payload, uint32_t bytes)
{
    struct hv_message *m;

    if (!is_enabled(vp) || !vp->simp)
        return -ENODEV;
    m = slot(vp, sint);
    if (!slot_is_free(m)) {
        hv_page_done(vp->hv, m, sizeof *m);
        return -EAGAIN;
    }
    m->bytes = (uint8_t)bytes;
    __atomic_store_n(&m->flags,
                     vp->st.waiting >> sint & 1 ? HV_MESSAGE_PENDING : 0,
                     __ATOMIC_RELAXED);
    m->reserved = 0;
    m->sender = 0;
    memcpy(m->payload, payload, bytes);
    __atomic_store_n(&m->type, type, __ATOMIC_RELEASE);
    hv_page_done(vp->hv, m, sizeof *m);
    return 0;
}

int32_t hv_post(struct hv *hv, uint32_t vp_index, uint32_t sint, uint32_t type,
                const void *payload, uint32_t bytes)
{
    struct hv_vp *vp;
    int32_t result;

    if (vp_index >= hv->count || vp_index >= hv->vm->vcpu_count)
        return -ENODEV;
    if (sint >= HV_SINTS || bytes > HV_PAYLOAD_BYTES || !type)
        return -EINVAL;
    vp = &hv->vp[vp_index];
    pthread_mutex_lock(&vp->lock);
    result = hv_slot_put(vp, sint, type, payload, bytes);
    if (result == -EAGAIN)
        vp->st.waiting |= 1u << sint;
    pthread_mutex_unlock(&vp->lock);
    if (result == 0)
        hv_sint_raise(vp, sint);
    return result;
}

/* SINTs with a free slot that somebody waits for. */
static uint32_t take_waiting(struct hv_vp *vp)
{
    uint32_t ready = 0;

    if (!vp->simp)
        return 0;
    for (unsigned n = 0; n < HV_SINTS; n++) {
        if (!(vp->st.waiting >> n & 1) || !slot_is_free(slot(vp, n)))
            continue;
        ready |= 1u << n;
    }
    vp->st.waiting &= ~ready;
    return ready;
}

static void eom(struct hv_vp *vp)
{
    struct vm *vm = vp->hv->vm;
    struct vcpu *cpu = vm->vcpus[vp->index];
    uint64_t now = virtual_now(cpu) / 100;
    uint32_t ready;

    guest_leave(cpu);
    pthread_mutex_lock(&vp->lock);
    hv_stimer_room(vp, now);
    ready = take_waiting(vp);
    pthread_mutex_unlock(&vp->lock);
    for (unsigned n = 0; n < HV_SINTS; n++)
        if (ready >> n & 1)
            hv_ports_room(vm, vp->index, n);
    guest_enter(cpu);
}

/* --- events -------------------------------------------------------------- */

int32_t hv_signal(struct hv *hv, uint32_t vp_index, uint32_t sint,
                  uint32_t flag)
{
    struct hv_vp *vp;
    uint32_t *word, bit = 1u << flag % 32, old;

    if (vp_index >= hv->count || vp_index >= hv->vm->vcpu_count)
        return -ENODEV;
    if (sint >= HV_SINTS || flag >= HV_EVENT_FLAGS)
        return -EINVAL;
    vp = &hv->vp[vp_index];
    pthread_mutex_lock(&vp->lock);
    if (!is_enabled(vp) || !vp->siefp) {
        pthread_mutex_unlock(&vp->lock);
        return -ENODEV;
    }
    word = (uint32_t *)(void *)vp->siefp + sint * (HV_EVENT_FLAGS / 32) +
           flag / 32;
    old = __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
    if (!(old & bit))
        hv_page_done(hv, word, sizeof *word);
    pthread_mutex_unlock(&vp->lock);
    if (!(old & bit))
        hv_sint_raise(vp, sint);
    return 0;
}

int32_t hv_raise(struct hv *hv, uint32_t vp_index, uint32_t sint)
{
    struct hv_vp *vp;

    if (vp_index >= hv->count || vp_index >= hv->vm->vcpu_count)
        return -ENODEV;
    if (sint >= HV_SINTS)
        return -EINVAL;
    vp = &hv->vp[vp_index];
    if (!is_enabled(vp))
        return -ENODEV;
    hv_sint_raise(vp, sint);
    return 0;
}

/* --- registers ----------------------------------------------------------- */

bool hv_synic_read(struct hv_vp *vp, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case HV_MSR_SCONTROL: *value = vp->st.scontrol; return true;
    case HV_MSR_SVERSION: *value = 1; return true;
    case HV_MSR_SIEFP: *value = vp->st.siefp; return true;
    case HV_MSR_SIMP: *value = vp->st.simp; return true;
    case HV_MSR_EOM: *value = 0; return true;
    case HV_MSR_SINT0 ... HV_MSR_SINT15:
        *value = vp->st.sint[msr - HV_MSR_SINT0];
        return true;
    }
    return false;
}

/* Vectors below 16 are for exceptions. */
static bool sint_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
    if ((uint8_t)value < 16 && !(value & (HV_SINT_MASKED | HV_SINT_POLLING)))
        return false;
    __atomic_store_n(&vp->st.sint[n], value, __ATOMIC_RELAXED);
    auto_eoi_update(vp);
    return true;
}

bool hv_synic_write(struct hv_vp *vp, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case HV_MSR_SCONTROL:
        __atomic_store_n(&vp->st.scontrol, value, __ATOMIC_RELAXED);
        return true;
    case HV_MSR_SIEFP: return page_write(vp, &vp->st.siefp, &vp->siefp, value);
    case HV_MSR_SIMP: return page_write(vp, &vp->st.simp, &vp->simp, value);
    case HV_MSR_EOM: eom(vp); return true;
    case HV_MSR_SINT0 ... HV_MSR_SINT15:
        return sint_write(vp, msr - HV_MSR_SINT0, value);
    }
    return false;
}

/* A page that is memory no more counts as disabled. */
void hv_synic_loaded(struct hv_vp *vp)
{
    if (!hv_page_find(vp->hv, vp->st.simp, &vp->simp))
        vp->st.simp &= ~HV_PAGE_ENABLE;
    if (!hv_page_find(vp->hv, vp->st.siefp, &vp->siefp))
        vp->st.siefp &= ~HV_PAGE_ENABLE;
    auto_eoi_update(vp);
}
