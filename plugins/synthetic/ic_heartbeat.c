/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic-heartbeat: is the guest alive?
 *
 * Source: Linux drivers/hv/hv_util.c: a message every two seconds, which the
 * guest sends back with its number raised.
 *
 * Modelled: versions 3.1, 3.0 and 1.0; the state of the guest's applications,
 * which Windows reports from 3.1 on; command `heartbeat`, event HEARTBEAT when
 * the state changes.
 */
#include <stddef.h>
#include <string.h>

#include "export.h"
#include "ic.h"
#include "wire.h"

#define PERIOD_NS   2000000000ull
#define LOST_MISSES 3u /* beats without an answer */
#define BEAT_BYTES  40u

enum { /* status */
       NO_CONTACT = 0,
       BEATS = 1,
       LOST = 2,
};

struct heartbeat_state {
    struct ic_state ic;
    uint64_t sequence; /* sent last */
    uint32_t misses;   /* beats since the last answer */
    uint32_t application;
    uint8_t status;
};

struct heartbeat {
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_control *control;
    struct bp_dev *dev;
    struct bp_timer_handle *beat;
    struct ic ic;
    /* State */
    struct heartbeat_state st;
};

static const char *status_name(uint32_t status)
{
    static const char *const names[] = {
        [NO_CONTACT] = "no-contact",
        [BEATS] = "ok",
        [LOST] = "lost",
    };

    return names[status];
}

static const char *application_name(uint32_t application)
{
    switch (application) {
    case 1: return "healthy";
    case 2: return "critical";
    case 3: return "stopped";
    default: return "unknown";
    }
}

static void set_status(struct heartbeat *s, uint8_t status)
{
    struct bp_call *event;

    if (s->st.status == status)
        return;
    s->st.status = status;
    event = s->control->event(s->dev, "HEARTBEAT");
    s->control->put_string(event, "status", status_name(status));
    s->control->done(event, NULL);
}

static void send_beat(void *ctx)
{
    struct heartbeat *s = ctx;
    uint8_t m[BEAT_BYTES] = { 0 };

    if (!ic_is_ready(&s->ic))
        return;
    s->timer->arm(s->beat, s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + PERIOD_NS);
    wire_put64(m, s->st.sequence + 1);
    if (ic_ask(&s->ic, m, sizeof m) == 0)
        s->st.sequence++;
    if (s->st.misses++ == LOST_MISSES)
        set_status(s, LOST);
}

static void heartbeat_ready(void *ctx)
{
    struct heartbeat *s = ctx;

    s->st.misses = 0;
    send_beat(s);
}

static void heartbeat_answer(void *ctx, uint32_t status, const uint8_t *data,
                             uint32_t bytes)
{
    struct heartbeat *s = ctx;

    if (status || bytes < 8 || wire_u64(data) != s->st.sequence + 1)
        return;
    s->st.misses = 0;
    if (ic_speaks(&s->ic, 3, 1) && bytes >= 12)
        s->st.application = wire_u32(data + 8);
    set_status(s, BEATS);
}

static void heartbeat_closed(void *ctx)
{
    struct heartbeat *s = ctx;

    s->timer->cancel(s->beat);
    s->st.misses = 0;
    s->st.application = 0;
    set_status(s, NO_CONTACT);
}

static const struct ic_desc heartbeat_ic = {
    .type = { { 0x39, 0x4f, 0x16, 0x57, 0x15, 0x91, 0x78, 0x4e, 0xab, 0x55,
                0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d } },
    .instance = { { 0x91, 0x14, 0x9e, 0xfd, 0xe0, 0x82, 0x7d, 0x4a, 0xaf, 0xa6,
                    0x2a, 0x41, 0x66, 0xcb, 0xd7, 0xc0 } },
    .message = IC_HEARTBEAT,
    .version_count = 3,
    .versions = { { 3, 1 }, { 3, 0 }, { 1, 0 } },
    .ready = heartbeat_ready,
    .answer = heartbeat_answer,
    .closed = heartbeat_closed,
};

static void run_heartbeat(void *ctx, struct bp_call *call)
{
    struct heartbeat *s = ctx;

    s->control->put_string(call, "status", status_name(s->st.status));
    if (ic_is_ready(&s->ic)) {
        s->control->put_string(call, "applications",
                               application_name(s->st.application));
        s->control->put_integer(call, "beats", (int64_t)s->st.sequence);
    }
    s->control->done(call, NULL);
}

static const struct bp_command heartbeat_command = {
    .size = sizeof(struct bp_command),
    .name = "heartbeat",
    .help = "is the guest alive: ok, lost, or no-contact",
    .run = run_heartbeat,
};

static int32_t heartbeat_create(void *self, struct bp_dev *dev,
                                const struct bp_host *host)
{
    struct heartbeat *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->control = host->query(host, BP_CONTROL);
    return ic_create(&s->ic, dev, host, &heartbeat_ic, &s->st.ic, s);
}

static int32_t heartbeat_realize(void *self)
{
    struct heartbeat *s = self;

    s->beat = s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "beat", send_beat, s);
    s->control->add(s->dev, &heartbeat_command, s);
    return ic_realize(&s->ic);
}

static void heartbeat_reset(void *self, uint32_t kind)
{
    struct heartbeat *s = self;

    (void)kind;
    s->timer->cancel(s->beat);
    memset(&s->st, 0, sizeof(s->st));
}

static int32_t heartbeat_loaded(void *self, uint32_t version)
{
    struct heartbeat *s = self;

    (void)version;
    if (s->st.status > LOST)
        s->st.status = NO_CONTACT;
    return ic_loaded(&s->ic);
}

static const struct bp_field heartbeat_fields[] = {
    BP_FIELD_TABLE(struct heartbeat, st.ic, "ic", 1, ic_fields),
    BP_FIELD(struct heartbeat, st.sequence, "sequence"),
    BP_FIELD(struct heartbeat, st.misses, "misses"),
    BP_FIELD(struct heartbeat, st.application, "application"),
    BP_FIELD(struct heartbeat, st.status, "status"),
    BP_FIELD_END,
};

static const char *const heartbeat_requires[] = { BP_LOG, BP_TIMER, BP_LANE,
                                                  BP_CONTROL, NULL };

static const struct bp_device_desc heartbeat_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "ic-heartbeat",
    .title = "Hyper-V heartbeat",
    .instance_size = sizeof(struct heartbeat),
    .state_offset = offsetof(struct heartbeat, st),
    .state_size = sizeof(struct heartbeat_state),
    .state_version = 1,
    .fields = heartbeat_fields,
    .requires_ = heartbeat_requires,
    .create = heartbeat_create,
    .realize = heartbeat_realize,
    .reset = heartbeat_reset,
    .loaded = heartbeat_loaded,
};

EXPORT_DEVICES("ic-heartbeat", "Hyper-V heartbeat", &heartbeat_desc);
