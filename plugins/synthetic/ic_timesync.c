/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic-timesync: tells the guest what time it is.
 *
 * Source: Linux drivers/hv/hv_util.c.  A message with SYNC sets the guest's
 * clock; samples are for its own discipline (Linux: /dev/ptp_hyperv).
 *
 * Modelled: versions 4.0, 3.0 and 1.0.  SYNC is sent when the guest opens the
 * channel, and when the wall clock has gone another way than the machine's
 * own: after it was stopped or restored, or when the host's clock was set.
 */
#include <stddef.h>
#include <string.h>

#include "export.h"
#include "ic.h"
#include "wire.h"

#define PERIOD_NS 5000000000ull
/* What counts as a jump and not as the drift of two clocks. */
#define JUMP_NS 250000000ll

#define SYNC   1u
#define SAMPLE 2u

/* 100 ns units from 1601 to 1970 */
#define EPOCH 116444736000000000ull

struct timesync_state {
    struct ic_state ic;
    int64_t distance; /* wall clock - virtual clock when SYNC was sent */
    uint8_t due;      /* the next message has SYNC */
};

struct timesync {
    /* Configuration */
    uint32_t sync;
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_hv *hv; /* NULL: this host has none */
    struct bp_dev *dev;
    struct bp_timer_handle *tick;
    struct ic ic;
    /* State */
    struct timesync_state st;
};

static uint64_t reference_time(struct timesync *s)
{
    if (s->hv && s->hv->processors(s->dev))
        return s->hv->reference_time(s->dev);
    return s->timer->now(s->dev, BP_CLOCK_VIRTUAL) / 100;
}

/* Version 4 says when the time was read, so a late delivery does no harm. */
static uint32_t fill(struct timesync *s, uint8_t *m, uint8_t flags)
{
    uint64_t wall = s->timer->now(s->dev, BP_CLOCK_WALL);

    memset(m, 0, 25);
    wire_put64(m, EPOCH + wall / 100);
    if (ic_speaks(&s->ic, 4, 0)) {
        wire_put64(m + 8, reference_time(s));
        m[16] = flags;
        m[18] = 1; /* stratum; leap flags before it are 0 */
        return 22;
    }
    m[24] = flags;
    return 25;
}

static int64_t distance_now(struct timesync *s)
{
    return (int64_t)(s->timer->now(s->dev, BP_CLOCK_WALL) -
                     s->timer->now(s->dev, BP_CLOCK_VIRTUAL));
}

static void look_for_jump(struct timesync *s)
{
    int64_t moved = distance_now(s) - s->st.distance;

    if (moved > JUMP_NS || moved < -JUMP_NS)
        s->st.due = 1;
}

static void send_time(void *ctx)
{
    struct timesync *s = ctx;
    uint8_t m[25];

    if (!ic_is_ready(&s->ic))
        return;
    s->timer->arm(s->tick, s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + PERIOD_NS);
    look_for_jump(s);
    if (!s->sync)
        s->st.due = 0;
    int64_t distance = distance_now(s);
    if (ic_ask(&s->ic, m, fill(s, m, s->st.due ? SYNC : SAMPLE)) < 0)
        return;
    if (s->st.due)
        s->st.distance = distance;
    s->st.due = 0;
}

static void timesync_ready(void *ctx)
{
    struct timesync *s = ctx;

    s->st.due = 1;
    send_time(s);
}

static void timesync_answer(void *ctx, uint32_t status, const uint8_t *data,
                            uint32_t bytes)
{
    struct timesync *s = ctx;

    (void)status, (void)data, (void)bytes;
    /* It was busy when the time jumped. */
    if (s->st.due)
        send_time(s);
}

static void timesync_closed(void *ctx)
{
    struct timesync *s = ctx;

    s->timer->cancel(s->tick);
    s->st.due = 0;
}

static const struct ic_desc timesync_ic = {
    .type = { { 0x30, 0xe6, 0x27, 0x95, 0xae, 0xd0, 0x7b, 0x49, 0xad, 0xce,
                0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf } },
    .instance = { { 0x17, 0xce, 0xd1, 0x2d, 0x9e, 0x07, 0x3c, 0x40, 0xb3, 0x52,
                    0xa1, 0x92, 0x1e, 0xe2, 0x07, 0xee } },
    .message = IC_TIMESYNC,
    .version_count = 3,
    .versions = { { 4, 0 }, { 3, 0 }, { 1, 0 } },
    .ready = timesync_ready,
    .answer = timesync_answer,
    .closed = timesync_closed,
};

static int32_t timesync_create(void *self, struct bp_dev *dev,
                               const struct bp_host *host)
{
    struct timesync *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->hv = host->query(host, BP_HV);
    return ic_create(&s->ic, dev, host, &timesync_ic, &s->st.ic, s);
}

static int32_t timesync_realize(void *self)
{
    struct timesync *s = self;

    s->tick = s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "tick", send_time, s);
    return ic_realize(&s->ic);
}

static void timesync_reset(void *self, uint32_t kind)
{
    struct timesync *s = self;

    (void)kind;
    s->timer->cancel(s->tick);
    memset(&s->st, 0, sizeof(s->st));
}

/* A machine that stood has another distance: looked at once, not at the next
 * tick. */
static void timesync_start(void *self)
{
    struct timesync *s = self;

    if (ic_is_ready(&s->ic))
        s->timer->arm(s->tick, s->timer->now(s->dev, BP_CLOCK_VIRTUAL));
}

static int32_t timesync_loaded(void *self, uint32_t version)
{
    struct timesync *s = self;

    (void)version;
    return ic_loaded(&s->ic);
}

static const struct bp_field timesync_fields[] = {
    BP_FIELD_TABLE(struct timesync, st.ic, "ic", 1, ic_fields),
    BP_FIELD(struct timesync, st.distance, "distance"),
    BP_FIELD(struct timesync, st.due, "due"),
    BP_FIELD_END,
};

static const struct bp_property timesync_properties[] = {
    { .name = "sync",
      .help = "set the guest's clock, rather than give samples only",
      .type = BP_PROP_BOOL,
      .offset = offsetof(struct timesync, sync),
      .number = 1 },
    { .name = NULL },
};

static const char *const timesync_requires[] = { BP_LOG, BP_TIMER, BP_LANE,
                                                 NULL };

static const struct bp_device_desc timesync_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_TIMER,
    .id = "ic-timesync",
    .title = "Hyper-V time synchronization",
    .instance_size = sizeof(struct timesync),
    .state_offset = offsetof(struct timesync, st),
    .state_size = sizeof(struct timesync_state),
    .state_version = 1,
    .fields = timesync_fields,
    .properties = timesync_properties,
    .requires_ = timesync_requires,
    .create = timesync_create,
    .realize = timesync_realize,
    .reset = timesync_reset,
    .start = timesync_start,
    .loaded = timesync_loaded,
};

EXPORT_DEVICES("ic-timesync", "Hyper-V time synchronization", &timesync_desc);
