/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: one device, one lane.
 *
 * A lane is a recursive-free lock plus a queue of work.  All callbacks of a
 * device instance run with its lane held.  A vCPU's register access takes the
 * lane directly; timers and back-end completions are queued and run by the
 * lane workers.  Rank gives the lock order: a thread may take a lane of a
 * higher rank while holding a lower one, never the reverse (checked).
 */
#ifndef SCHED_LANE_H
#define SCHED_LANE_H

#include <stdbool.h>
#include <stdint.h>

struct lanes; /* the VM's workers */
struct lane;

enum lane_rank {
    LANE_DEVICE = 0,  /* ordinary devices */
    LANE_BUS = 1,     /* devices that other devices call into: bus
                             * bridges with IRQ routing */
    LANE_IRQCHIP = 2, /* interrupt controllers */
};

typedef void lane_fn(void *opaque);

/* threads 0: no workers; lanes_run() drains (deterministic mode, tests). */
struct lanes *lanes_create(unsigned threads);
void lanes_destroy(struct lanes *l);
void lanes_run(struct lanes *l);

struct lane *lane_create(struct lanes *l, const char *name,
                         enum lane_rank rank);
void lane_destroy(struct lane *lane); /* runs what is queued first */
void lane_enter(struct lane *lane);
void lane_leave(struct lane *lane);
bool lane_held(const struct lane *lane); /* by this thread */
/* True when this thread may take it now: it does not hold it, nor a lane of
 * the same or a higher rank.  Whoever may not posts, or refuses the access.
 * lane_enter() without that right is logged and goes ahead. */
bool lane_may_enter(const struct lane *lane);
const char *lane_name(const struct lane *lane);
/*
 * Any thread, any context; allocation-free after the first few.  fn runs
 * with the lane held, in the order of posting, never inside lane_post().
 * When a lane is far behind, whoever leaves it works off its queue first.
 */
void lane_post(struct lane *lane, lane_fn *fn, void *opaque);
/*
 * As lane_post(), but without a change of threads where there is a choice: a
 * thread that has the lane runs fn when it leaves it, and one that has no
 * lane, and finds this one at rest, runs fn before this returns.  No order
 * with what is posted otherwise.
 */
void lane_post_soon(struct lane *lane, lane_fn *fn, void *opaque);
/* Waits until what was posted to the lane before has run.  The caller holds
 * no lane. */
void lane_sync(struct lane *lane);
/* Waits until everything queued so far on all lanes has run, and what that
 * queued in turn.  The caller holds no lane. */
void lanes_drain(struct lanes *l);

#endif
