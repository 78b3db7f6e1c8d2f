/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and timers of one VM.
 *
 * virtual: nanoseconds the VM has been running; stops when it stops.  In
 * deterministic mode it is driven by the number of executed instructions
 * and by nothing else.  host: CLOCK_MONOTONIC.  wall: nanoseconds since 1970,
 * with the VM's offset (in deterministic mode: start value + virtual).
 *
 * Timers fire on the VM's timer thread (in deterministic mode on the one VM
 * thread, at an exact instruction) and are handed to the owner's lane when
 * they have one.
 */
#ifndef SCHED_CLOCK_H
#define SCHED_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SEC 1000000000ull

enum clock_id { CLOCK_VIRTUAL, CLOCK_HOST, CLOCK_WALL };

struct clocks;
struct timer;
struct lane;
struct lanes;

struct clocks *clocks_create(bool deterministic);
/* Frees what timers are left; their lanes are at rest or destroyed. */
void clocks_destroy(struct clocks *c);
/* Deterministic mode: whose queues clock_advance() runs.  Set-up only. */
void clocks_set_lanes(struct clocks *c, struct lanes *lanes);
uint64_t clock_now(struct clocks *c, enum clock_id id);
/* Virtual time runs / stands.  Deterministic: gates timers only. */
void clocks_start(struct clocks *c);
void clocks_stop(struct clocks *c);
void clock_set_virtual(struct clocks *c, uint64_t ns); /* restore */
void clock_set_wall_offset(struct clocks *c, int64_t ns);
int64_t clock_wall_offset(const struct clocks *c);

typedef void timer_fn(void *opaque);

/*
 * lane NULL: fn runs on the timer thread itself and must be short and lock
 * free of lanes (the local APIC uses it).  name is the timer's name in saved
 * state; unique within owner; copied.
 *
 * With a lane: arm and cancel under that lane, and fn never runs for a
 * deadline that was moved or cancelled before.  Without: fn may already be
 * running while cancel returns and has to look for itself.
 */
struct timer *timer_create_on(struct clocks *c, enum clock_id id,
                              struct lane *lane, const char *name, timer_fn *fn,
                              void *opaque);
void timer_arm(struct timer *t, uint64_t deadline_ns); /* absolute */
void timer_cancel(struct timer *t);
/* Still true for a timer that is due but whose fn did not start yet. */
bool timer_deadline(const struct timer *t, uint64_t *deadline_ns);
const char *timer_name(const struct timer *t);
/* fn never runs after return (from inside fn: not again).  Before the lane
 * is destroyed; the caller may take the lane or holds it. */
void timer_destroy(struct timer *t);

/* Deterministic mode, called by the vCPU loop only: */
uint64_t clock_next_deadline(struct clocks *c); /* UINT64_MAX: none */
/* moves virtual time forward and runs what is due, lanes' queues included */
void clock_advance(struct clocks *c, uint64_t virtual_ns);

#endif
