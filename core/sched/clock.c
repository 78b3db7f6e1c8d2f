/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/timer.h"

#include <glib.h>
#include <time.h>

static uint64_t host_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return host_ns(CLOCK_MONOTONIC);
}

static uint64_t virtual_ns(struct clocks *c)
{
    uint32_t seq;
    uint64_t ns;

    do {
        seq = __atomic_load_n(&c->time_seq, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&c->running, __ATOMIC_ACQUIRE))
            ns = clock_monotonic_ns() -
                 __atomic_load_n(&c->base, __ATOMIC_ACQUIRE);
        else
            ns = __atomic_load_n(&c->stands_at, __ATOMIC_ACQUIRE);
    } while ((seq & 1) ||
             seq != __atomic_load_n(&c->time_seq, __ATOMIC_RELAXED));
    return ns;
}

/*
 * c->lock is held from begin_change to end_change.  Host time is read in
 * between: a reader whose value stands has read it before, so that time does
 * not run backwards for it.
 */
static void begin_change(struct clocks *c)
{
    __atomic_fetch_add(&c->time_seq, 1, __ATOMIC_SEQ_CST);
}

static void end_change(struct clocks *c)
{
    __atomic_fetch_add(&c->time_seq, 1, __ATOMIC_SEQ_CST);
}

static void set_virtual(struct clocks *c, bool running, uint64_t now,
                        uint64_t ns)
{
    __atomic_store_n(&c->running, running, __ATOMIC_RELEASE);
    __atomic_store_n(&c->base, now - ns, __ATOMIC_RELEASE);
    __atomic_store_n(&c->stands_at, ns, __ATOMIC_RELEASE);
}

void clock_show_virtual(struct clocks *c, uint64_t ns)
{
    __atomic_store_n(&c->stands_at, ns, __ATOMIC_RELAXED);
}

uint64_t clock_now(struct clocks *c, enum clock_id id)
{
    uint64_t wall;

    switch (id) {
    case CLOCK_VIRTUAL: return virtual_ns(c);
    case CLOCK_HOST: return clock_monotonic_ns();
    case CLOCK_WALL:
        wall = c->deterministic ? virtual_ns(c) : host_ns(CLOCK_REALTIME);
        return wall + (uint64_t)clock_wall_offset(c);
    }
    return 0;
}

void clocks_start(struct clocks *c)
{
    pthread_mutex_lock(&c->lock);
    if (!c->running && !c->deterministic) {
        begin_change(c);
        set_virtual(c, true, clock_monotonic_ns(), c->stands_at);
        end_change(c);
    }
    pthread_mutex_unlock(&c->lock);
    timers_wake(c);
}

void clocks_stop(struct clocks *c)
{
    uint64_t now;

    pthread_mutex_lock(&c->lock);
    if (c->running) {
        begin_change(c);
        now = clock_monotonic_ns();
        set_virtual(c, false, now, now - c->base);
        end_change(c);
    }
    pthread_mutex_unlock(&c->lock);
    timers_wake(c);
}

void clock_set_virtual(struct clocks *c, uint64_t ns)
{
    pthread_mutex_lock(&c->lock);
    begin_change(c);
    set_virtual(c, c->running, clock_monotonic_ns(), ns);
    end_change(c);
    pthread_mutex_unlock(&c->lock);
    timers_wake(c);
}

void clock_set_wall_offset(struct clocks *c, int64_t ns)
{
    __atomic_store_n(&c->wall_offset, ns, __ATOMIC_RELAXED);
    timers_wake(c);
}

int64_t clock_wall_offset(const struct clocks *c)
{
    return __atomic_load_n(&c->wall_offset, __ATOMIC_RELAXED);
}

struct clocks *clocks_create(bool deterministic)
{
    struct clocks *c = g_new0(struct clocks, 1);
    pthread_condattr_t monotonic;

    c->deterministic = deterministic;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&c->fired, NULL);
    if (!deterministic && !timers_start_thread(c)) {
        clocks_destroy(c);
        return NULL;
    }
    return c;
}

void clocks_destroy(struct clocks *c)
{
    if (!c)
        return;
    timers_finish(c);
    pthread_cond_destroy(&c->fired);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    g_free(c);
}

void clocks_set_lanes(struct clocks *c, struct lanes *lanes)
{
    c->lanes = lanes;
}
