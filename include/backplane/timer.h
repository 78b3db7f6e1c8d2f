/* SPDX-License-Identifier: MIT */
/* Clocks and timers: "bp.timer/1". */
#ifndef BACKPLANE_TIMER_H
#define BACKPLANE_TIMER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_TIMER "bp.timer/1"

struct bp_dev;
struct bp_timer_handle;

enum {
    BP_CLOCK_VIRTUAL = 0, /* ns the machine has run; stands when it stops */
    BP_CLOCK_HOST = 1,    /* monotonic host ns; not for guest-visible time */
    BP_CLOCK_WALL = 2,    /* ns since 1970-01-01 UTC as the guest sees it */
};

typedef void bp_timer_fn(void *ctx);

struct bp_timer {
    uint32_t size;
    /* ns.  [any] */
    uint64_t (*now)(struct bp_dev *dev, uint32_t clock);
    /* Disarmed.  `name` is unique in the device and identifies the timer in
     * saved state; the host saves and restores the deadline.  [setup] */
    struct bp_timer_handle *(*create)(struct bp_dev *dev, uint32_t clock,
                                      const char *name, bp_timer_fn *fn,
                                      void *ctx);
    /* One shot at absolute `ns`; in the past means at once, but never before
     * arm returned.  Arming again moves it. */
    void (*arm)(struct bp_timer_handle *t, uint64_t ns);
    void (*cancel)(struct bp_timer_handle *t);
    /* UINT64_MAX when it is not armed. */
    uint64_t (*deadline)(struct bp_timer_handle *t);
};

/* a * b / c without overflow of the product, rounded down; c > 0. */
static inline uint64_t bp_muldiv(uint64_t a, uint32_t b, uint32_t c)
{
    uint64_t high = (a >> 32) * b;
    uint64_t low = (a & 0xffffffffu) * b;

    high += low >> 32;
    low &= 0xffffffffu;
    return ((high / c) << 32) + ((((high % c) << 32) | low) / c);
}

#ifdef __cplusplus
}
#endif

#endif
