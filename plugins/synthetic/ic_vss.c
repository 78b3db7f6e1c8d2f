/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic-vss: brings the guest's file systems to rest for a copy of its disks.
 *
 * Source: Linux include/uapi/linux/hyperv.h (struct hv_vss_msg) and
 * drivers/hv/hv_snapshot.c.
 *
 * Modelled: version 5.0 (6.0 and 7.0 differ in what Windows sends back);
 * commands `freeze` and `thaw`.  `freeze until-start` is for a state save:
 * the guest thaws when the machine runs again, here or where the state was
 * restored.
 * Not modelled: volumes chosen one by one and automatic recovery, which
 * Linux does not offer.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "export.h"
#include "ic.h"
#include "wire.h"

#define OP_CHECK    2u /* can it be copied while it runs? */
#define OP_COMPLETE 4u
#define OP_FREEZE   5u
#define OP_THAW     6u

/* struct hv_vss_msg: operation, 7 reserved, flags; the guest answers in what
 * it got. */
#define MESSAGE_BYTES 12u

/* A guest with much to write takes its time; Linux gives up after 15 minutes
 * (freeze) and 30 s. */
#define FREEZE_NS 910000000000ull
#define OTHER_NS  40000000000ull

enum { /* want */
       WANT_NOTHING = 0,
       WANT_FREEZE = 1,
       WANT_THAW = 2,
};

struct vss_state {
    struct ic_state ic;
    uint8_t operation; /* under way; 0: none */
    uint8_t frozen;
    uint8_t until_start; /* thaw when the machine starts */
    uint8_t want;        /* next, when the guest has answered */
};

struct vss {
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_control *control;
    struct bp_dev *dev;
    struct bp_timer_handle *patience;
    struct ic ic;
    struct bp_call *call; /* waits; NULL */
    /* State */
    struct vss_state st;
};

static void finish(struct vss *s, const char *error)
{
    struct bp_call *call = s->call;

    s->call = NULL;
    if (call)
        s->control->done(call, error);
}

static int32_t send_operation(struct vss *s, uint8_t operation)
{
    uint8_t m[MESSAGE_BYTES] = { operation };
    int32_t error = ic_ask(&s->ic, m, sizeof m);

    if (error < 0)
        return error;
    s->st.operation = operation;
    s->timer->arm(s->patience,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) +
                      (operation == OP_FREEZE ? FREEZE_NS : OTHER_NS));
    return 0;
}

/* Nobody may be left with a guest that stands still. */
static void go_on(struct vss *s)
{
    if (s->st.operation || s->st.want == WANT_NOTHING)
        return;
    if (send_operation(s, s->st.want == WANT_FREEZE ? OP_CHECK : OP_THAW) < 0)
        finish(s, ic_trouble(&s->ic));
    s->st.want = WANT_NOTHING;
}

static void too_late(void *ctx)
{
    struct vss *s = ctx;

    if (s->st.operation == OP_FREEZE || s->st.operation == OP_CHECK)
        s->st.want = WANT_THAW;
    finish(s, "the guest does not answer");
}

static void frozen(struct vss *s, uint32_t status)
{
    s->st.frozen = status == IC_S_OK;
    if (s->st.frozen && !s->call)
        s->st.want = WANT_THAW; /* who asked has gone */
    finish(s, status ? ic_status_text(status) : NULL);
}

static void vss_answer(void *ctx, uint32_t status, const uint8_t *data,
                       uint32_t bytes)
{
    struct vss *s = ctx;
    uint8_t operation = s->st.operation;

    (void)data, (void)bytes;
    s->timer->cancel(s->patience);
    s->st.operation = 0;
    if (operation == OP_CHECK && status == IC_S_OK && s->call) {
        if (send_operation(s, OP_FREEZE) < 0)
            finish(s, ic_trouble(&s->ic));
        return;
    }
    if (operation == OP_FREEZE) {
        frozen(s, status);
    } else {
        if (operation == OP_THAW && status == IC_S_OK)
            s->st.frozen = 0;
        finish(s, status ? ic_status_text(status) : NULL);
    }
    go_on(s);
}

static void vss_closed(void *ctx)
{
    struct vss *s = ctx;

    s->timer->cancel(s->patience);
    s->st.operation = s->st.frozen = s->st.until_start = s->st.want = 0;
    finish(s, "the guest closed the channel");
}

static const struct ic_desc vss_ic = {
    .type = { { 0x29, 0x2e, 0xfa, 0x35, 0x23, 0xea, 0x36, 0x42, 0x96, 0xae,
                0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40 } },
    .instance = { { 0x40, 0xee, 0x50, 0x24, 0xbf, 0x33, 0xbd, 0x4f, 0x89, 0x2e,
                    0x9f, 0xb0, 0x6e, 0x92, 0x14, 0xcf } },
    .message = IC_VSS,
    .version_count = 1,
    .versions = { { 5, 0 } },
    .answer = vss_answer,
    .closed = vss_closed,
};

/* --- commands -------------------------------------------------------------*/

static int may_start(struct vss *s, struct bp_call *call)
{
    if (!s->call && !s->st.operation && ic_is_ready(&s->ic))
        return 1;
    s->control->done(call, ic_trouble(&s->ic));
    return 0;
}

static void run_freeze(void *ctx, struct bp_call *call)
{
    struct vss *s = ctx;
    const char *until = s->control->argument(call, "until-start");

    if (!may_start(s, call))
        return;
    if (s->st.frozen) {
        s->control->done(call, "the guest is frozen already");
        return;
    }
    s->call = call;
    s->st.until_start = until && strcmp(until, "on") == 0;
    s->st.want = WANT_FREEZE;
    go_on(s);
}

static void run_thaw(void *ctx, struct bp_call *call)
{
    struct vss *s = ctx;

    if (!may_start(s, call))
        return;
    s->call = call;
    s->st.want = WANT_THAW;
    s->st.until_start = 0;
    go_on(s);
}

static void cancel_call(void *ctx, struct bp_call *call)
{
    struct vss *s = ctx;

    if (s->call != call)
        return;
    s->call = NULL;
    if (s->st.operation == OP_FREEZE || s->st.operation == OP_CHECK)
        s->st.want = WANT_THAW;
}

static const struct bp_command vss_commands[] = {
    { .size = sizeof(struct bp_command),
      .name = "freeze",
      .arguments = "until-start!",
      .help = "brings the guest's file systems to rest",
      .run = run_freeze,
      .cancel = cancel_call },
    { .size = sizeof(struct bp_command),
      .name = "thaw",
      .help = "lets the guest's file systems go on",
      .run = run_thaw,
      .cancel = cancel_call },
};

/* --- life -----------------------------------------------------------------*/

static int32_t vss_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct vss *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->control = host->query(host, BP_CONTROL);
    return ic_create(&s->ic, dev, host, &vss_ic, &s->st.ic, s);
}

static int32_t vss_realize(void *self)
{
    struct vss *s = self;

    s->patience =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "patience", too_late, s);
    for (unsigned i = 0; i < 2; i++)
        s->control->add(s->dev, &vss_commands[i], s);
    return ic_realize(&s->ic);
}

static void vss_reset(void *self, uint32_t kind)
{
    struct vss *s = self;

    (void)kind;
    s->timer->cancel(s->patience);
    memset(&s->st, 0, sizeof(s->st));
}

static void vss_start(void *self)
{
    struct vss *s = self;

    if (!s->st.frozen || !s->st.until_start)
        return;
    s->st.until_start = 0;
    s->st.want = WANT_THAW;
    go_on(s);
}

static int32_t vss_loaded(void *self, uint32_t version)
{
    struct vss *s = self;

    (void)version;
    /* Whoever waited for it is not here. */
    if (s->st.operation == OP_FREEZE || s->st.operation == OP_CHECK)
        s->st.want = WANT_THAW;
    return ic_loaded(&s->ic);
}

static const struct bp_field vss_fields[] = {
    BP_FIELD_TABLE(struct vss, st.ic, "ic", 1, ic_fields),
    BP_FIELD(struct vss, st.operation, "operation"),
    BP_FIELD(struct vss, st.frozen, "frozen"),
    BP_FIELD(struct vss, st.until_start, "until_start"),
    BP_FIELD(struct vss, st.want, "want"),
    BP_FIELD_END,
};

static const char *const vss_requires[] = { BP_LOG, BP_TIMER, BP_LANE,
                                            BP_CONTROL, NULL };

static const struct bp_device_desc vss_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "ic-vss",
    .title = "Hyper-V backup (freeze and thaw)",
    .instance_size = sizeof(struct vss),
    .state_offset = offsetof(struct vss, st),
    .state_size = sizeof(struct vss_state),
    .state_version = 1,
    .fields = vss_fields,
    .requires_ = vss_requires,
    .create = vss_create,
    .realize = vss_realize,
    .reset = vss_reset,
    .start = vss_start,
    .loaded = vss_loaded,
};

EXPORT_DEVICES("ic-vss", "Hyper-V backup (freeze and thaw)", &vss_desc);
