/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic-shutdown: asks the guest to shut down, restart or hibernate.
 *
 * Source: Linux drivers/hv/hv_util.c.
 *
 * Modelled: versions 3.2, 3.1, 3.0 and 1.0; reason text; command `shutdown`.
 * The answer says that the guest will do it; the machine's end is the guest's
 * doing (ACPI).
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "export.h"
#include "ic.h"
#include "wire.h"

#define TIMEOUT_NS    10000000000ull /* for the guest's answer */
#define MESSAGE_UNITS 1024u
#define MESSAGE_BYTES (12u + 2 * MESSAGE_UNITS)

/* What the guest logs: planned, no other cause */
#define REASON_PLANNED 0x80000000u
#define FORCE          1u
#define RESTART        2u
#define HIBERNATE      4u

struct shutdown_state {
    struct ic_state ic;
};

struct shutdown {
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_control *control;
    struct bp_dev *dev;
    struct bp_timer_handle *patience;
    struct ic ic;
    struct bp_call *call; /* waits for the answer; NULL */
    /* State */
    struct shutdown_state st;
};

static void finish(struct shutdown *s, const char *error)
{
    struct bp_call *call = s->call;

    s->timer->cancel(s->patience);
    s->call = NULL;
    if (call)
        s->control->done(call, error);
}

static void too_late(void *ctx)
{
    finish(ctx, "the guest does not answer");
}

static void shutdown_answer(void *ctx, uint32_t status, const uint8_t *data,
                            uint32_t bytes)
{
    (void)data, (void)bytes;
    finish(ctx, status ? ic_status_text(status) : NULL);
}

static void shutdown_closed(void *ctx)
{
    finish(ctx, "the guest closed the channel");
}

static const struct ic_desc shutdown_ic = {
    .type = { { 0x31, 0x60, 0x0b, 0x0e, 0x13, 0x52, 0x34, 0x49, 0x81, 0x8b,
                0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb } },
    .instance = { { 0xf7, 0x0f, 0x65, 0xb6, 0xbc, 0x33, 0x40, 0x48, 0x80, 0x48,
                    0xe0, 0x67, 0x67, 0x86, 0xf3, 0x93 } },
    .message = IC_SHUTDOWN,
    .version_count = 4,
    .versions = { { 3, 2 }, { 3, 1 }, { 3, 0 }, { 1, 0 } },
    .answer = shutdown_answer,
    .closed = shutdown_closed,
};

static uint32_t flag(struct shutdown *s, struct bp_call *call, const char *name,
                     uint32_t bit)
{
    const char *value = s->control->argument(call, name);

    return value && strcmp(value, "on") == 0 ? bit : 0;
}

static void run_shutdown(void *ctx, struct bp_call *call)
{
    struct shutdown *s = ctx;
    const char *reason = s->control->argument(call, "reason");
    uint8_t m[MESSAGE_BYTES] = { 0 };

    wire_put32(m, REASON_PLANNED);
    wire_put32(m + 8, flag(s, call, "force", FORCE) |
                          flag(s, call, "restart", RESTART) |
                          flag(s, call, "hibernate", HIBERNATE));
    if (reason && ic_to_utf16(reason, m + 12, MESSAGE_UNITS) < 0) {
        s->control->done(call, "the reason is too long or no UTF-8");
        return;
    }
    if (ic_ask(&s->ic, m, sizeof m) < 0) {
        s->control->done(call, ic_trouble(&s->ic));
        return;
    }
    s->call = call;
    s->timer->arm(s->patience,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + TIMEOUT_NS);
}

static void cancel_shutdown(void *ctx, struct bp_call *call)
{
    struct shutdown *s = ctx;

    if (s->call == call) {
        s->call = NULL;
        s->timer->cancel(s->patience);
    }
}

static const struct bp_command shutdown_command = {
    .size = sizeof(struct bp_command),
    .name = "shutdown",
    .arguments = "reason? force! restart! hibernate!",
    .help = "has the guest shut itself down",
    .run = run_shutdown,
    .cancel = cancel_shutdown,
};

static int32_t shutdown_create(void *self, struct bp_dev *dev,
                               const struct bp_host *host)
{
    struct shutdown *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->control = host->query(host, BP_CONTROL);
    return ic_create(&s->ic, dev, host, &shutdown_ic, &s->st.ic, s);
}

static int32_t shutdown_realize(void *self)
{
    struct shutdown *s = self;

    s->patience =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "patience", too_late, s);
    s->control->add(s->dev, &shutdown_command, s);
    return ic_realize(&s->ic);
}

static void shutdown_reset(void *self, uint32_t kind)
{
    struct shutdown *s = self;

    (void)kind;
    s->timer->cancel(s->patience);
    memset(&s->st, 0, sizeof(s->st));
}

static int32_t shutdown_loaded(void *self, uint32_t version)
{
    struct shutdown *s = self;

    (void)version;
    return ic_loaded(&s->ic);
}

static const struct bp_field shutdown_fields[] = {
    BP_FIELD_TABLE(struct shutdown, st.ic, "ic", 1, ic_fields),
    BP_FIELD_END,
};

static const char *const shutdown_requires[] = { BP_LOG, BP_TIMER, BP_LANE,
                                                 BP_CONTROL, NULL };

static const struct bp_device_desc shutdown_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "ic-shutdown",
    .title = "Hyper-V guest shutdown",
    .instance_size = sizeof(struct shutdown),
    .state_offset = offsetof(struct shutdown, st),
    .state_size = sizeof(struct shutdown_state),
    .state_version = 1,
    .fields = shutdown_fields,
    .requires_ = shutdown_requires,
    .create = shutdown_create,
    .realize = shutdown_realize,
    .reset = shutdown_reset,
    .loaded = shutdown_loaded,
};

EXPORT_DEVICES("ic-shutdown", "Hyper-V guest shutdown", &shutdown_desc);
