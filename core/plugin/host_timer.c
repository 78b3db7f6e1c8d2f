/* SPDX-License-Identifier: Apache-2.0 */
/* bp.timer/1 and bp.lane/1 */
#include "plugin/host.h"

#include <string.h>

#include "plugin/device.h"
#include "sched/clock.h"
#include "sched/lane.h"
#include "vm/vm.h"

static uint64_t host_now(struct bp_dev *dev, uint32_t clock)
{
    static const enum clock_id ids[] = {
        [BP_CLOCK_VIRTUAL] = CLOCK_VIRTUAL,
        [BP_CLOCK_HOST] = CLOCK_HOST,
        [BP_CLOCK_WALL] = CLOCK_WALL,
    };

    if (clock >= G_N_ELEMENTS(ids))
        clock = BP_CLOCK_VIRTUAL;
    return clock_now(device_of(dev)->vm->clocks, ids[clock]);
}

static void release_timer(void *claim)
{
    struct bp_timer_handle *t = claim;

    timer_destroy(t->timer);
    g_free(t);
}

static struct bp_timer_handle *host_timer_create(struct bp_dev *dev,
                                                 uint32_t clock,
                                                 const char *name,
                                                 bp_timer_fn *fn, void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    if (clock > BP_CLOCK_WALL)
        return device_refuse(d, "there is no clock %u", clock);
    for (guint i = 0; i < d->timers->len; i++) {
        struct bp_timer_handle *other = d->timers->pdata[i];
        if (strcmp(timer_name(other->timer), name) == 0)
            return device_refuse(d, "there are two timers '%s'", name);
    }
    struct bp_timer_handle *t = g_new0(struct bp_timer_handle, 1);
    enum clock_id id = clock == BP_CLOCK_WALL   ? CLOCK_WALL
                       : clock == BP_CLOCK_HOST ? CLOCK_HOST
                                                : CLOCK_VIRTUAL;
    t->dev = d;
    t->clock = clock;
    t->timer = timer_create_on(d->vm->clocks, id, d->lane, name, fn, ctx);
    g_ptr_array_add(d->timers, t);
    device_claim(d, release_timer, t);
    return t;
}

static void host_timer_arm(struct bp_timer_handle *t, uint64_t ns)
{
    timer_arm(t->timer, ns);
}

static void host_timer_cancel(struct bp_timer_handle *t)
{
    timer_cancel(t->timer);
}

static uint64_t host_timer_deadline(struct bp_timer_handle *t)
{
    uint64_t ns;

    return timer_deadline(t->timer, &ns) ? ns : UINT64_MAX;
}

const struct bp_timer host_timer = {
    .size = sizeof(struct bp_timer),
    .now = host_now,
    .create = host_timer_create,
    .arm = host_timer_arm,
    .cancel = host_timer_cancel,
    .deadline = host_timer_deadline,
};

static void host_post(struct bp_dev *dev, void (*fn)(void *ctx), void *ctx)
{
    lane_post(device_of(dev)->lane, fn, ctx);
}

static int32_t host_held(struct bp_dev *dev)
{
    return lane_held(device_of(dev)->lane);
}

const struct bp_lane host_lane = {
    .size = sizeof(struct bp_lane),
    .post = host_post,
    .held = host_held,
};
