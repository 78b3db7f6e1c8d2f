/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/vmbus_echo.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "plugin/device.h"
#include "sched/lane.h"
#include "tests/lib/test.h"
#include "vm/bench.h"
#include "vm/vm.h"

const struct bp_guid echo_type = { { 0xec, 0x40, 1, 2, 3, 4, 5, 6 } };
const struct bp_guid echo_instance = { { 0xec, 0x41, 7, 8, 9 } };

/* --- the device -----------------------------------------------------------*/

static int32_t echo_opened(void *ctx, const struct bp_vmbus_open *open)
{
    struct echo *e = ctx;

    e->opened++;
    e->last_open = *open;
    return e->open_result;
}

static void echo_closing(void *ctx)
{
    struct echo *e = ctx;

    e->closing++;
    e->st.held_count = 0;
    if (!e->slow_close)
        e->vmbus->close_done(e->ch);
}

static void echo_writable(void *ctx)
{
    struct echo *e = ctx;

    e->writable++;
}

static void note(struct echo *e, const struct bp_vmbus_packet *p)
{
    CHECK_LE(p->bytes, sizeof(e->data));
    e->packets++;
    e->last = *p;
    memcpy(e->data, p->data, p->bytes);
    uint32_t n = MIN(p->range_count, G_N_ELEMENTS(e->ranges));
    if (n)
        memcpy(e->ranges, p->ranges, n * sizeof(e->ranges[0]));
}

static int32_t hold(struct echo *e, uint64_t transaction)
{
    if (e->st.held_count == ECHO_HELD)
        return -EAGAIN;
    e->st.held[e->st.held_count++] = transaction;
    return 0;
}

static int32_t send_back(struct echo *e, const struct bp_vmbus_packet *p)
{
    struct bp_iovec iov = { e->data, p->bytes };
    struct bp_vmbus_send s = { .size = sizeof(s),
                               .type = BP_VMBUS_INBAND,
                               .transaction = p->transaction,
                               .iov = &iov,
                               .iov_count = 1 };

    return e->vmbus->send(e->ch, &s);
}

static int32_t echo_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct echo *e = ctx;

    if (e->st.mode == ECHO_BUSY)
        return -EAGAIN;
    note(e, p);
    switch (e->st.mode) {
    case ECHO_SEND: return send_back(e, p);
    case ECHO_HOLD: return hold(e, p->transaction);
    case ECHO_REFUSE: return -EPROTO;
    case ECHO_DESTROY:
        e->vmbus->destroy(e->ch);
        e->ch = NULL;
        return 0;
    default:
        if (p->flags & BP_VMBUS_WANTS_COMPLETION)
            e->vmbus->complete(e->ch, p->transaction, p->data, p->bytes);
        return 0;
    }
}

static const struct bp_vmbus_channel_ops echo_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = echo_opened,
    .closing = echo_closing,
    .packet = echo_packet,
    .writable = echo_writable,
};

/* Sub-channels take everything and answer nothing. */
static int32_t sub_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct echo *e = ctx;

    note(e, p);
    return 0;
}

static const struct bp_vmbus_channel_ops sub_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .packet = sub_packet,
};

static void make_channel(struct echo *e)
{
    struct bp_vmbus_offer o = { .size = sizeof(o),
                                .flags = BP_VMBUS_ENUMERATE | e->offer_flags,
                                .type = echo_type,
                                .instance = echo_instance,
                                .mmio_megabytes = 8 };
    const struct device *d = device_of(e->dev);

    o.instance.b[15] = (uint8_t)(d->name[strlen(d->name) - 1] - '0');
    memcpy(o.user, "user data", 9);
    e->ch = e->vmbus->create(e->bus, e->dev, &o, &echo_ops, e);
}

static void make_sub(struct echo *e, unsigned n)
{
    struct bp_vmbus_offer o = { .size = sizeof(o),
                                .flags = BP_VMBUS_ENUMERATE,
                                .type = echo_type,
                                .instance = echo_instance,
                                .subchannel = (uint16_t)(n + 1) };

    e->sub[n] = e->vmbus->create(e->bus, e->dev, &o, &sub_ops, e);
    CHECK(e->sub[n]);
}

static int32_t echo_create(void *self, struct bp_dev *dev,
                           const struct bp_host *host)
{
    struct echo *e = self;

    e->dev = dev;
    e->lane = host->query(host, BP_LANE);
    e->vmbus = host->device_query(dev, NULL, BP_VMBUS, &e->bus);
    return e->vmbus ? 0 : -ENODEV;
}

static void echo_connect(void *ctx, const struct bp_guid *endpoint,
                         const struct bp_guid *service)
{
    struct echo *e = ctx;

    e->connects++;
    e->endpoint = *endpoint;
    e->service = *service;
}

static int32_t echo_realize(void *self)
{
    struct echo *e = self;

    /* Of several, the first. */
    e->vmbus->on_connect(e->bus, e->dev, echo_connect, e);
    make_channel(e);
    return e->ch ? 0 : -EEXIST;
}

static void drop_subs(struct echo *e)
{
    for (unsigned i = 0; i < ECHO_SUBS; i++) {
        if (e->sub[i])
            e->vmbus->destroy(e->sub[i]);
        e->sub[i] = NULL;
    }
    e->st.subs = 0;
}

static void echo_reset(void *self, uint32_t kind)
{
    struct echo *e = self;

    (void)kind;
    drop_subs(e);
    e->st = (struct echo_state){ 0 };
    if (!e->ch)
        make_channel(e);
}

static int32_t echo_loaded(void *self, uint32_t version)
{
    struct echo *e = self;

    (void)version;
    if (e->st.subs > ECHO_SUBS || e->st.held_count > ECHO_HELD)
        return -EINVAL;
    for (unsigned i = 0; i < e->st.subs; i++)
        make_sub(e, i);
    return 0;
}

static void echo_free(void *self)
{
    struct echo *e = self;

    drop_subs(e);
    if (e->ch)
        e->vmbus->destroy(e->ch);
}

static const struct bp_field echo_fields[] = {
    BP_FIELD(struct echo, st.mode, "mode"),
    BP_FIELD(struct echo, st.subs, "subs"),
    BP_FIELD(struct echo, st.held_count, "held_count"),
    BP_FIELD_ARRAY(struct echo, st.held, "held"),
    BP_FIELD_END,
};

static const struct bp_device_desc echo_desc = {
    .size = sizeof(struct bp_device_desc),
    .id = "echo",
    .title = "a device of the tests",
    .instance_size = sizeof(struct echo),
    .state_offset = offsetof(struct echo, st),
    .state_size = sizeof(struct echo_state),
    .state_version = 1,
    .fields = echo_fields,
    .create = echo_create,
    .realize = echo_realize,
    .reset = echo_reset,
    .loaded = echo_loaded,
    .destroy = echo_free,
};

/* --- for tests ------------------------------------------------------------*/

void echo_add(struct bench *b, unsigned n)
{
    GError *error = NULL;
    char name[16];

    g_snprintf(name, sizeof(name), "echo%u", n);
    if (!bench_try_add(b, &echo_desc, name, NULL, &error))
        FAIL("%s", error->message);
}

struct bench *echo_bench(uint32_t processors)
{
    struct bench *b = vg_bench(processors);

    echo_add(b, 0);
    return b;
}

static struct device *device_number(struct bench *b, unsigned n)
{
    char name[16];

    g_snprintf(name, sizeof(name), "echo%u", n);
    return device_find(bench_vm(b), name);
}

struct echo *echo_of(struct bench *b, unsigned n)
{
    return device_number(b, n)->self;
}

void echo_do(struct bench *b, unsigned n, void (*fn)(struct echo *e, void *arg),
             void *arg)
{
    struct device *d = device_number(b, n);

    lane_enter(d->lane);
    fn(d->self, arg);
    lane_leave(d->lane);
    bench_run(b);
}

static void set_mode(struct echo *e, void *arg)
{
    bool was_busy = e->st.mode == ECHO_BUSY;

    e->st.mode = *(const uint32_t *)arg;
    if (was_busy && e->ch)
        e->vmbus->resume(e->ch);
}

void echo_set_mode(struct bench *b, enum echo_mode mode)
{
    uint32_t m = mode;

    echo_do(b, 0, set_mode, &m);
}

static void finish(struct echo *e, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < e->st.held_count; i++)
        e->vmbus->complete(e->ch, e->st.held[i], "done", 4);
    e->st.held_count = 0;
}

void echo_finish(struct bench *b)
{
    echo_do(b, 0, finish, NULL);
}

static void close_done(struct echo *e, void *arg)
{
    (void)arg;
    e->vmbus->close_done(e->ch);
}

void echo_close_done(struct bench *b)
{
    echo_do(b, 0, close_done, NULL);
}

static void destroy(struct echo *e, void *arg)
{
    (void)arg;
    e->vmbus->destroy(e->ch);
    e->ch = NULL;
}

void echo_destroy(struct bench *b)
{
    echo_do(b, 0, destroy, NULL);
}

static void recreate(struct echo *e, void *arg)
{
    (void)arg;
    make_channel(e);
}

void echo_recreate(struct bench *b)
{
    echo_do(b, 0, recreate, NULL);
}

static void connect_result(struct echo *e, void *arg)
{
    e->vmbus->connect_result(e->bus, &e->endpoint, &e->service,
                             *(uint32_t *)arg);
}

void echo_connect_result(struct bench *b, uint32_t status)
{
    echo_do(b, 0, connect_result, &status);
}

static void add_sub(struct echo *e, void *arg)
{
    (void)arg;
    make_sub(e, e->st.subs++);
}

void echo_add_sub(struct bench *b)
{
    echo_do(b, 0, add_sub, NULL);
}
