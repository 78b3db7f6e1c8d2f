/* SPDX-License-Identifier: Apache-2.0 */
/* What clock.c and timer.c share; nobody else includes it. */
#ifndef SCHED_TIMER_H
#define SCHED_TIMER_H

#include "sched/clock.h"

#include <pthread.h>

enum { CLOCK_COUNT = CLOCK_WALL + 1 };

/* Timers of one clock, the earliest first. */
struct timer_heap {
    struct timer **t;
    unsigned len, room;
};

struct clocks {
    bool deterministic;
    struct lanes *lanes;

    /*
     * Virtual time, read without a lock: `time_seq` is odd while it changes.
     * Running: it is CLOCK_MONOTONIC minus `base`.  Standing, and always in
     * deterministic mode: it is `stands_at`.
     */
    uint32_t time_seq;
    bool running;
    uint64_t base;
    uint64_t stands_at;
    int64_t wall_offset; /* atomic */

    pthread_mutex_t lock;   /* all below; writers of the above */
    pthread_cond_t changed; /* the timer thread has to look again */
    pthread_cond_t fired;   /* a callback without a lane returned */
    struct timer_heap heaps[CLOCK_COUNT];
    struct timer *all;
    struct timer *calling; /* whose fn runs on the timer thread */
    uint64_t sequence;     /* of arming */
    uint64_t sleeps_until; /* the timer thread; 0: it is awake */
    pthread_t thread;
    bool has_thread;
    bool quit;
};

/* The timer thread; false when the host has no thread left. */
bool timers_start_thread(struct clocks *c);
void timers_finish(struct clocks *c);
/* Time jumped or started: the thread computes its sleep again. */
void timers_wake(struct clocks *c);
/* Deterministic: sets the time `clock_now` shows.  c->lock is held. */
void clock_show_virtual(struct clocks *c, uint64_t ns);

uint64_t clock_monotonic_ns(void);

#endif
