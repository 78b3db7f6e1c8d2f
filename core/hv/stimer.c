/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic timers: four a processor, in reference time.  An expired timer
 * raises a vector (direct mode) or posts a message, which waits for its slot
 * if that is taken.
 *
 * Lazy timers are not later than others.  A periodic timer that is late by
 * more than a period leaves out what it missed.
 *
 * Source: TLFS chapter 12.
 */
#include <errno.h>
#include <stdio.h>

#include "cpu/tsc.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "irq/lapic.h"
#include "sched/clock.h"
#include "vm/vm.h"

/* 100 us: no guest may keep the timer thread busy */
#define MIN_PERIOD 1000u
#define NEVER      (UINT64_MAX / 200)

static struct vcpu *cpu_of(struct hv_vp *vp)
{
    return vp->hv->vm->vcpus[vp->index];
}

static uint64_t saturated(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static void arm(struct hv_vp *vp, unsigned n)
{
    uint64_t due = vp->st.stimer[n].due;
    struct timer *timer = vp->stimer[n].timer;

    if (!due || due > NEVER) {
        timer_cancel(timer);
        return;
    }
    timer_arm(timer, due * 100);
    if (vp->index < vp->hv->vm->vcpu_count)
        turn_until(cpu_of(vp), due * 100);
}

static void deliver(struct hv_vp *vp, unsigned n, uint64_t now)
{
    struct hv_stimer_state *s = &vp->st.stimer[n];
    const struct hv_timer_payload payload = { .index = n,
                                              .expired = s->expired,
                                              .delivered = now };
    unsigned sint = HV_STIMER_SINT(s->config);
    int32_t result =
        hv_slot_put(vp, sint, HV_MESSAGE_TIMER, &payload, sizeof payload);

    s->pending = result == -EAGAIN;
    if (result == 0)
        hv_sint_raise(vp, sint);
}

/* Due times of one period stay multiples of it from the first on. */
static uint64_t next_period(const struct hv_stimer_state *s, uint64_t now)
{
    uint64_t period = s->count < MIN_PERIOD ? MIN_PERIOD : s->count;
    uint64_t next = saturated(s->due, period);

    return next > now ? next : saturated(now, period - (now - s->due) % period);
}

static void expire(struct hv_vp *vp, unsigned n, uint64_t now)
{
    struct hv_stimer_state *s = &vp->st.stimer[n];

    if (!s->pending)
        s->expired = s->due;
    if (s->config & HV_STIMER_PERIODIC) {
        s->due = next_period(s, now);
    } else {
        s->due = 0;
        s->config &= ~HV_STIMER_ENABLE;
    }
    arm(vp, n);
    if (s->config & HV_STIMER_DIRECT)
        lapic_inject(cpu_of(vp)->lapic, HV_STIMER_VECTOR(s->config));
    else
        deliver(vp, n, now);
}

/* [timer thread] */
static void fired(void *opaque)
{
    struct hv_stimer *t = opaque;
    struct hv_vp *vp = t->vp;
    unsigned n = (unsigned)(t - vp->stimer);
    uint64_t now = hv_reference_time(vp->hv->vm);

    pthread_mutex_lock(&vp->lock);
    if (vp->st.stimer[n].due && vp->st.stimer[n].due <= now)
        expire(vp, n, now);
    pthread_mutex_unlock(&vp->lock);
}

static void start(struct hv_vp *vp, unsigned n)
{
    struct hv_stimer_state *s = &vp->st.stimer[n];
    uint64_t now = virtual_now(cpu_of(vp)) / 100;

    s->pending = 0;
    s->due = 0;
    if (s->config & HV_STIMER_ENABLE) {
        s->due = s->count;
        if (s->config & HV_STIMER_PERIODIC)
            s->due =
                saturated(now, s->count < MIN_PERIOD ? MIN_PERIOD : s->count);
    }
    if (s->due && s->due <= now)
        expire(vp, n, now);
    else
        arm(vp, n);
}

static void config_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
    struct hv_stimer_state *s = &vp->st.stimer[n];

    value &= HV_STIMER_CONFIG_MASK;
    if (!hv_has(vp->hv, HV_F_STIMER_DIRECT))
        value &= ~HV_STIMER_DIRECT;
    /* SINT 0 is for the hypervisor's own messages */
    if (!(value & HV_STIMER_DIRECT) && !HV_STIMER_SINT(value))
        value &= ~HV_STIMER_ENABLE;
    s->config = value;
    start(vp, n);
}

static void count_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
    struct hv_stimer_state *s = &vp->st.stimer[n];

    s->count = value;
    if (!value)
        s->config &= ~HV_STIMER_ENABLE;
    else if (s->config & HV_STIMER_AUTO_ENABLE)
        s->config |= HV_STIMER_ENABLE;
    start(vp, n);
}

uint64_t hv_stimer_read(struct hv_vp *vp, uint32_t msr)
{
    unsigned n = (msr - HV_MSR_STIMER0_CONFIG) / 2;
    uint64_t value;

    pthread_mutex_lock(&vp->lock);
    value = msr & 1 ? vp->st.stimer[n].count : vp->st.stimer[n].config;
    pthread_mutex_unlock(&vp->lock);
    return value;
}

void hv_stimer_write(struct hv_vp *vp, uint32_t msr, uint64_t value)
{
    unsigned n = (msr - HV_MSR_STIMER0_CONFIG) / 2;

    pthread_mutex_lock(&vp->lock);
    if (msr & 1)
        count_write(vp, n, value);
    else
        config_write(vp, n, value);
    pthread_mutex_unlock(&vp->lock);
}

void hv_stimer_room(struct hv_vp *vp, uint64_t now)
{
    for (unsigned n = 0; n < HV_STIMERS; n++)
        if (vp->st.stimer[n].pending)
            deliver(vp, n, now);
}

/* --- life ---------------------------------------------------------------- */

void hv_stimers_create(struct hv_vp *vp)
{
    for (unsigned n = 0; n < HV_STIMERS; n++) {
        char name[24];

        snprintf(name, sizeof name, "stimer%u.%u", vp->index, n);
        vp->stimer[n].vp = vp;
        vp->stimer[n].timer =
            timer_create_on(vp->hv->vm->clocks, CLOCK_VIRTUAL, NULL, name,
                            fired, &vp->stimer[n]);
    }
}

void hv_stimers_destroy(struct hv_vp *vp)
{
    for (unsigned n = 0; n < HV_STIMERS; n++)
        timer_destroy(vp->stimer[n].timer);
}

void hv_stimers_loaded(struct hv_vp *vp)
{
    pthread_mutex_lock(&vp->lock);
    for (unsigned n = 0; n < HV_STIMERS; n++)
        arm(vp, n);
    pthread_mutex_unlock(&vp->lock);
}
