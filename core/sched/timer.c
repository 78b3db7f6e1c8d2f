/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: one heap a clock, and the thread that fires them.
 *
 * A timer with a lane goes through three states under c->lock: in the heap,
 * due (its time came, `deliver` is in the lane's queue), and running.  Arm
 * and cancel take it out of the first two, and they hold the lane, so the
 * fn that deliver starts is for the deadline set last or it is not started.
 */
#include "sched/timer.h"

#include <glib.h>
#include <string.h>
#include <sys/prctl.h>

#include "sched/lane.h"

#define NOT_IN_HEAP UINT32_MAX
#define NEVER       UINT64_MAX
/* The host's wall clock may be set: look at it again this often. */
#define WALL_SLEEP NS_PER_SEC
/* Firings in one step of deterministic time; a timer that arms itself in the
 * past for ever gets its next turn in the next step. */
#define ADVANCE_MOST 10000

struct timer {
    struct clocks *c;
    enum clock_id id;
    struct lane *lane;
    timer_fn *fn;
    void *opaque;
    char *name;

    /* c->lock */
    uint64_t deadline;
    uint64_t order;   /* among equal deadlines */
    uint32_t index;   /* in the heap, or NOT_IN_HEAP */
    bool due;         /* fn has to run, did not start */
    bool queued;      /* deliver is in the lane's queue */
    bool dead;        /* deliver frees it */
    pthread_t caller; /* while c->calling */
    struct timer *next, **link;
};

/* --- heap ---------------------------------------------------------------- */

static bool is_before(const struct timer *a, const struct timer *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->order < b->order;
}

static void heap_put(struct timer_heap *h, unsigned i, struct timer *t)
{
    h->t[i] = t;
    t->index = i;
}

static void heap_up(struct timer_heap *h, unsigned i, struct timer *t)
{
    for (unsigned up; i > 0; i = up) {
        up = (i - 1) / 2;
        if (!is_before(t, h->t[up]))
            break;
        heap_put(h, i, h->t[up]);
    }
    heap_put(h, i, t);
}

static void heap_down(struct timer_heap *h, unsigned i, struct timer *t)
{
    for (unsigned down; (down = 2 * i + 1) < h->len; i = down) {
        if (down + 1 < h->len && is_before(h->t[down + 1], h->t[down]))
            down++;
        if (!is_before(h->t[down], t))
            break;
        heap_put(h, i, h->t[down]);
    }
    heap_put(h, i, t);
}

/* Room for every timer of the clock is made when one is created. */
static void heap_insert(struct timer_heap *h, struct timer *t)
{
    heap_up(h, h->len++, t);
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
    unsigned i = t->index;
    struct timer *last;

    if (i == NOT_IN_HEAP)
        return;
    t->index = NOT_IN_HEAP;
    last = h->t[--h->len];
    if (last == t)
        return;
    if (i > 0 && is_before(last, h->t[(i - 1) / 2]))
        heap_up(h, i, last);
    else
        heap_down(h, i, last);
}

static struct timer *first_of(const struct clocks *c, enum clock_id id)
{
    return c->heaps[id].len ? c->heaps[id].t[0] : NULL;
}

/* --- firing -------------------------------------------------------------- */

static void free_timer(struct timer *t)
{
    g_free(t->name);
    g_free(t);
}

static void deliver(void *opaque)
{
    struct timer *t = opaque;
    struct clocks *c = t->c;
    timer_fn *fn = NULL;
    void *fn_opaque = t->opaque;

    pthread_mutex_lock(&c->lock);
    t->queued = false;
    if (t->due)
        fn = t->fn;
    t->due = false;
    if (t->dead)
        free_timer(t);
    pthread_mutex_unlock(&c->lock);
    /* fn may destroy the timer: it is not touched any more. */
    if (fn)
        fn(fn_opaque);
}

static void call_on_this_thread(struct clocks *c, struct timer *t)
{
    c->calling = t;
    t->caller = pthread_self();
    pthread_mutex_unlock(&c->lock);
    t->fn(t->opaque);
    pthread_mutex_lock(&c->lock);
    c->calling = NULL;
    pthread_cond_broadcast(&c->fired);
}

/* c->lock is held, but not while a callback runs. */
static void fire(struct clocks *c, struct timer *t)
{
    heap_remove(&c->heaps[t->id], t);
    if (!t->lane) {
        call_on_this_thread(c, t);
        return;
    }
    t->due = true;
    if (!t->queued) {
        t->queued = true;
        lane_post(t->lane, deliver, t);
    }
}

static uint64_t add_up_to_max(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* When the thread has to look at a timer, in CLOCK_MONOTONIC. */
static uint64_t wake_time(struct clocks *c, const struct timer *t)
{
    uint64_t now, left;

    switch (t->id) {
    case CLOCK_VIRTUAL:
        return c->running ? add_up_to_max(t->deadline, c->base) : NEVER;
    case CLOCK_HOST: return t->deadline;
    case CLOCK_WALL:
        now = clock_now(c, CLOCK_WALL);
        left = t->deadline > now ? t->deadline - now : 0;
        return clock_monotonic_ns() + MIN(left, WALL_SLEEP);
    }
    return NEVER;
}

static bool is_due(struct clocks *c, const struct timer *t)
{
    if (t->id == CLOCK_VIRTUAL && !c->running)
        return false;
    return t->deadline <= clock_now(c, t->id);
}

/* Fires at most one timer a clock; 0, or the time to look again. */
static uint64_t fire_due(struct clocks *c)
{
    uint64_t wake = NEVER;
    bool fired = false;

    for (int id = 0; id < CLOCK_COUNT; id++) {
        struct timer *t = first_of(c, id);
        uint64_t at;

        if (!t)
            continue;
        if (is_due(c, t)) {
            fire(c, t);
            fired = true;
            continue;
        }
        at = wake_time(c, t);
        wake = MIN(wake, at);
    }
    return fired ? 0 : wake;
}

static void sleep_until(struct clocks *c, uint64_t ns)
{
    struct timespec t = { (time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC) };

    c->sleeps_until = ns;
    if (ns == NEVER)
        pthread_cond_wait(&c->changed, &c->lock);
    else
        pthread_cond_timedwait(&c->changed, &c->lock, &t);
    c->sleeps_until = 0;
}

static void *run_timers(void *opaque)
{
    struct clocks *c = opaque;
    uint64_t wake;

    /* The default slack, 50 us, is most of a fast guest timer's period. */
    prctl(PR_SET_TIMERSLACK, 1);
    pthread_mutex_lock(&c->lock);
    while (!c->quit) {
        wake = fire_due(c);
        if (wake && !c->quit)
            sleep_until(c, wake);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

bool timers_start_thread(struct clocks *c)
{
    c->has_thread = pthread_create(&c->thread, NULL, run_timers, c) == 0;
    if (c->has_thread)
        pthread_setname_np(c->thread, "timers");
    return c->has_thread;
}

void timers_wake(struct clocks *c)
{
    pthread_mutex_lock(&c->lock);
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* --- deterministic time -------------------------------------------------- */

/* A timer's deadline in virtual time. */
static uint64_t virtual_deadline(const struct clocks *c, const struct timer *t)
{
    uint64_t offset;

    if (t->id == CLOCK_VIRTUAL)
        return t->deadline;
    offset = (uint64_t)clock_wall_offset(c);
    if (clock_wall_offset(c) < 0)
        return add_up_to_max(t->deadline, -offset);
    return t->deadline > offset ? t->deadline - offset : 0;
}

/* The next one by the guest's clocks. */
static struct timer *first_virtual(const struct clocks *c)
{
    struct timer *v = first_of(c, CLOCK_VIRTUAL);
    struct timer *w = first_of(c, CLOCK_WALL);

    if (!v || !w)
        return v ? v : w;
    return virtual_deadline(c, w) < v->deadline ? w : v;
}

uint64_t clock_next_deadline(struct clocks *c)
{
    uint64_t ns = NEVER;
    struct timer *t;

    pthread_mutex_lock(&c->lock);
    t = first_virtual(c);
    if (t)
        ns = virtual_deadline(c, t);
    pthread_mutex_unlock(&c->lock);
    return ns;
}

static void run_queues(struct clocks *c)
{
    pthread_mutex_unlock(&c->lock);
    if (c->lanes)
        lanes_run(c->lanes);
    pthread_mutex_lock(&c->lock);
}

static void show_at_least(struct clocks *c, uint64_t ns)
{
    if (ns > c->stands_at)
        clock_show_virtual(c, ns);
}

void clock_advance(struct clocks *c, uint64_t virtual_ns)
{
    struct timer *t;

    pthread_mutex_lock(&c->lock);
    for (unsigned n = 0; n < ADVANCE_MOST; n++) {
        t = first_virtual(c);
        if (!t || virtual_deadline(c, t) > virtual_ns)
            break;
        show_at_least(c, virtual_deadline(c, t));
        fire(c, t);
        run_queues(c);
    }
    show_at_least(c, virtual_ns);
    for (unsigned n = 0; n < ADVANCE_MOST; n++) {
        t = first_of(c, CLOCK_HOST);
        if (!t || !is_due(c, t))
            break;
        fire(c, t);
    }
    run_queues(c);
    pthread_mutex_unlock(&c->lock);
}

/* --- one timer ----------------------------------------------------------- */

static void make_room(struct timer_heap *h, unsigned timers)
{
    if (timers > h->room) {
        h->room = MAX(16, 2 * timers);
        h->t = g_renew(struct timer *, h->t, h->room);
    }
}

struct timer *timer_create_on(struct clocks *c, enum clock_id id,
                              struct lane *lane, const char *name, timer_fn *fn,
                              void *opaque)
{
    struct timer *t = g_new0(struct timer, 1);
    unsigned timers = 1;

    t->c = c;
    t->id = id;
    t->lane = lane;
    t->fn = fn;
    t->opaque = opaque;
    t->name = g_strdup(name);
    t->index = NOT_IN_HEAP;
    pthread_mutex_lock(&c->lock);
    for (const struct timer *o = c->all; o; o = o->next)
        timers += o->id == id;
    make_room(&c->heaps[id], timers);
    t->next = c->all;
    t->link = &c->all;
    if (t->next)
        t->next->link = &t->next;
    c->all = t;
    pthread_mutex_unlock(&c->lock);
    return t;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
    struct clocks *c = t->c;

    pthread_mutex_lock(&c->lock);
    heap_remove(&c->heaps[t->id], t);
    t->due = false;
    t->deadline = deadline_ns;
    t->order = c->sequence++;
    heap_insert(&c->heaps[t->id], t);
    if (c->sleeps_until && t->index == 0 && wake_time(c, t) < c->sleeps_until)
        pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void timer_cancel(struct timer *t)
{
    struct clocks *c = t->c;

    pthread_mutex_lock(&c->lock);
    heap_remove(&c->heaps[t->id], t);
    t->due = false;
    pthread_mutex_unlock(&c->lock);
}

bool timer_deadline(const struct timer *t, uint64_t *deadline_ns)
{
    bool armed;

    pthread_mutex_lock(&t->c->lock);
    armed = t->due || t->index != NOT_IN_HEAP;
    *deadline_ns = t->deadline;
    pthread_mutex_unlock(&t->c->lock);
    return armed;
}

const char *timer_name(const struct timer *t)
{
    return t->name;
}

static void unlink_timer(struct timer *t)
{
    heap_remove(&t->c->heaps[t->id], t);
    t->due = false;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
}

static void destroy_in_lane(struct timer *t)
{
    struct clocks *c = t->c;

    pthread_mutex_lock(&c->lock);
    unlink_timer(t);
    if (t->queued)
        t->dead = true;
    else
        free_timer(t);
    pthread_mutex_unlock(&c->lock);
}

static void destroy_without_lane(struct timer *t)
{
    struct clocks *c = t->c;

    pthread_mutex_lock(&c->lock);
    unlink_timer(t);
    while (c->calling == t && !pthread_equal(t->caller, pthread_self()))
        pthread_cond_wait(&c->fired, &c->lock);
    free_timer(t);
    pthread_mutex_unlock(&c->lock);
}

void timer_destroy(struct timer *t)
{
    struct lane *lane;

    if (!t)
        return;
    lane = t->lane;
    if (!lane) {
        destroy_without_lane(t);
    } else if (lane_held(lane)) {
        destroy_in_lane(t);
    } else {
        lane_enter(lane);
        destroy_in_lane(t);
        lane_leave(lane);
    }
}

void timers_finish(struct clocks *c)
{
    struct timer *next;

    if (c->has_thread) {
        pthread_mutex_lock(&c->lock);
        c->quit = true;
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    for (struct timer *t = c->all; t; t = next) {
        next = t->next;
        free_timer(t);
    }
    for (int id = 0; id < CLOCK_COUNT; id++)
        g_free(c->heaps[id].t);
}
