/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference time as guests compute it from their TSC, and the run time
 * of a processor.
 *
 * The page holds one scale and one offset for all processors, so it is void
 * (sequence 0) while their TSCs differ; the guest then reads the register.
 *
 * Source: TLFS 12.7.
 */
#include <time.h>

#include "cpu/sync.h"
#include "cpu/tsc.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "vm/vm.h"

#define TICKS_PER_SEC 10000000u

/* 2^64 * 10 MHz / TSC, rounded up: then the product is that of a division */
static uint64_t scale(uint64_t tsc_hz)
{
    unsigned __int128 one = (unsigned __int128)1 << 64;

    return (uint64_t)((one * TICKS_PER_SEC + tsc_hz - 1) / tsc_hz);
}

/* The part of the counter that the guest moved, in ticks */
static int64_t moved(uint64_t offset, uint64_t mult)
{
    return (int64_t)(((__int128)(int64_t)offset * mult) >> 64);
}

/*
 * By the same rule as guests compute it from the page, and from the same
 * counter: one that reads both sees time go on.
 */
uint64_t hv_reference_count(struct vcpu *cpu)
{
    uint64_t mult = scale(cpu->vm->tsc_hz), tsc = tsc_shown(cpu);
    uint64_t offset = cpu->st.tsc_offset;

    if ((int64_t)tsc < 0) /* the guest has set it so far */
        return virtual_now(cpu) / 100;
    return (uint64_t)(((unsigned __int128)tsc * mult) >> 64) -
           (uint64_t)moved(offset, mult);
}

/* What all TSCs are ahead of the virtual clock's; false: not the same. */
static bool common_offset(const struct vm *vm, uint64_t *offset)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        uint64_t v =
            __atomic_load_n(&vm->vcpus[n]->st.tsc_offset, __ATOMIC_RELAXED);

        if (n && v != *offset)
            return false;
        *offset = v;
    }
    return vm->vcpu_count > 0;
}

/* Readers take the sequence before and after; it is 0 in between. */
static void page_fill(struct hv *hv, uint8_t *host)
{
    struct hv_tsc_page *page = (struct hv_tsc_page *)(void *)host;
    uint64_t mult = scale(hv->vm->tsc_hz), offset = 0;
    uint32_t sequence = hv->st.tsc_sequence + 1;

    if (sequence == 0 || sequence == UINT32_MAX)
        sequence = 1;
    __atomic_store_n(&page->sequence, 0, __ATOMIC_SEQ_CST);
    if (common_offset(hv->vm, &offset)) {
        hv->st.tsc_sequence = sequence;
        __atomic_store_n(&page->scale, mult, __ATOMIC_SEQ_CST);
        __atomic_store_n(&page->offset, -moved(offset, mult), __ATOMIC_SEQ_CST);
        __atomic_store_n(&page->sequence, sequence, __ATOMIC_SEQ_CST);
    }
    hv_page_done(hv, page, sizeof *page);
}

bool hv_reference_tsc_write(struct vcpu *cpu, uint64_t value)
{
    struct hv *hv = cpu->vm->hv;
    uint8_t *host;
    bool ok;

    guest_leave(cpu);
    pthread_mutex_lock(&hv->lock);
    ok = hv_page_find(hv, value, &host);
    if (ok) {
        hv->st.reference_tsc = value;
        if (host)
            page_fill(hv, host);
    }
    pthread_mutex_unlock(&hv->lock);
    guest_enter(cpu);
    return ok;
}

void hv_reference_tsc_renew(struct hv *hv)
{
    uint8_t *host;

    pthread_mutex_lock(&hv->lock);
    if (!hv_page_find(hv, hv->st.reference_tsc, &host))
        hv->st.reference_tsc &= ~HV_PAGE_ENABLE;
    if (host)
        page_fill(hv, host);
    pthread_mutex_unlock(&hv->lock);
}

void hv_tsc_changed(struct vcpu *cpu)
{
    if (!(cpu->vm->hv->st.reference_tsc & HV_PAGE_ENABLE))
        return;
    guest_leave(cpu);
    hv_reference_tsc_renew(cpu->vm->hv);
    guest_enter(cpu);
}

/* --- run time ------------------------------------------------------------ */

static uint64_t cpu_ticks(const struct vcpu *cpu)
{
    struct timespec t;

    if (cpu->vm->deterministic)
        return cpu->insns * VCPU_INSN_NS / 100;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * TICKS_PER_SEC + (uint64_t)t.tv_nsec / 100;
}

/* It goes on after a restore, where the thread's clock is another one. */
uint64_t hv_run_time(struct vcpu *cpu)
{
    struct hv_vp *vp = &cpu->vm->hv->vp[cpu->index];
    uint64_t now = cpu_ticks(cpu);

    if (vp->ticks_seen <= now)
        vp->st.run_time += now - vp->ticks_seen;
    vp->ticks_seen = now;
    return vp->st.run_time;
}
