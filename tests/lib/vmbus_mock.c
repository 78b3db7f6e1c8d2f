/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/vmbus_mock.h"

#include <errno.h>
#include <string.h>

#include "plugin/device.h"
#include "plugin/load.h"
#include "tests/lib/test.h"
#include "vm/bench.h"
#include "vm/vm.h"

struct mock {
    struct bp_dev *dev;
};

/* One a test: each test is a process of its own. */
static struct mock_channel channels[MOCK_CHANNELS];
static bp_vmbus_connect_fn *connect_fn;
static void *connect_ctx;
static struct bp_dev *connect_dev;
static uint32_t connect_status = UINT32_MAX;

struct bp_vmbus_channel {
    struct mock_channel mock;
};

static struct mock_channel *mock_of(struct bp_vmbus_channel *ch)
{
    return &ch->mock;
}

static struct bp_vmbus_channel *bus_create(
    void *vmbus, struct bp_dev *dev, const struct bp_vmbus_offer *offer,
    const struct bp_vmbus_channel_ops *ops, void *ctx)
{
    for (unsigned i = 0; i < MOCK_CHANNELS; i++) {
        struct mock_channel *c = &channels[i];
        /* The device was made anew with its saved state. */
        if (c->used && memcmp(&c->offer, offer, sizeof(*offer)) == 0) {
            c->dev = dev;
            c->ops = ops;
            c->ctx = ctx;
            return (struct bp_vmbus_channel *)c;
        }
        if (c->used)
            continue;
        g_queue_clear_full(&c->sent, (GDestroyNotify)g_bytes_unref);
        memset(c, 0, sizeof(*c));
        c->used = true;
        c->dev = dev;
        c->offer = *offer;
        c->ops = ops;
        c->ctx = ctx;
        c->room = UINT32_MAX;
        c->ring_bytes = 16384;
        return (struct bp_vmbus_channel *)c;
    }
    return NULL;
}

static void bus_destroy(struct bp_vmbus_channel *ch)
{
    struct mock_channel *c = mock_of(ch);

    /* What is in the ring stays there for the guest. */
    c->used = c->open = false;
}

static void bus_close_done(struct bp_vmbus_channel *ch)
{
    CHECK(mock_of(ch)->closing);
    mock_of(ch)->closing = false;
}

static int32_t bus_is_open(struct bp_vmbus_channel *ch)
{
    return mock_of(ch)->open;
}

static void bus_pause(struct bp_vmbus_channel *ch)
{
    mock_of(ch)->paused = true;
}

static void bus_resume(struct bp_vmbus_channel *ch)
{
    mock_of(ch)->paused = false;
}

static int32_t bus_send(struct bp_vmbus_channel *ch,
                        const struct bp_vmbus_send *packet)
{
    struct mock_channel *c = mock_of(ch);
    GByteArray *all = g_byte_array_new();

    CHECK(device_of(c->dev)->created);
    for (unsigned i = 0; i < packet->iov_count; i++)
        g_byte_array_append(all, packet->iov[i].base,
                            (guint)packet->iov[i].bytes);
    int32_t error = !c->open                   ? -ENOTCONN
                    : all->len > c->ring_bytes ? -EMSGSIZE
                    : c->room == 0             ? -EAGAIN
                                               : 0;
    if (error) {
        g_byte_array_free(all, TRUE);
        return error;
    }
    c->room--;
    g_queue_push_tail(&c->sent, g_byte_array_free_to_bytes(all));
    return 0;
}

static int32_t bus_can_send(struct bp_vmbus_channel *ch, uint32_t bytes)
{
    return mock_of(ch)->open && mock_of(ch)->room > 0;
}

static int32_t bus_unread(struct bp_vmbus_channel *ch)
{
    struct mock_channel *c = mock_of(ch);
    gsize bytes = 0;

    for (GList *i = c->sent.head; i; i = i->next)
        bytes += 24 + ((g_bytes_get_size(i->data) + 7) & ~(gsize)7);
    return c->open ? (int32_t)bytes : -ENOTCONN;
}

static int32_t bus_on_connect(void *vmbus, struct bp_dev *dev,
                              bp_vmbus_connect_fn *fn, void *ctx)
{
    connect_fn = fn;
    connect_ctx = ctx;
    connect_dev = dev;
    return 0;
}

static void bus_connect_result(void *vmbus, const struct bp_guid *endpoint,
                               const struct bp_guid *service, uint32_t status)
{
    connect_status = status;
}

static const struct bp_vmbus bus = {
    .size = sizeof(struct bp_vmbus),
    .create = bus_create,
    .destroy = bus_destroy,
    .close_done = bus_close_done,
    .is_open = bus_is_open,
    .pause = bus_pause,
    .resume = bus_resume,
    .send = bus_send,
    .can_send = bus_can_send,
    .on_connect = bus_on_connect,
    .connect_result = bus_connect_result,
    .unread = bus_unread,
};

static int32_t mock_create(void *self, struct bp_dev *dev,
                           const struct bp_host *host)
{
    ((struct mock *)self)->dev = dev;
    return 0;
}

static void mock_reset(void *self, uint32_t kind)
{
}

static const void *mock_query(void *self, const char *id)
{
    return strcmp(id, BP_VMBUS) == 0 ? &bus : NULL;
}

const struct bp_device_desc vmbus_mock_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BUS,
    .id = "vmbus-mock",
    .title = "a VMBus without rings",
    .instance_size = sizeof(struct mock),
    .state_version = 1,
    .create = mock_create,
    .reset = mock_reset,
    .query = mock_query,
    .lane_rank = 1,
};

/* --- the test's side ------------------------------------------------------*/

void mock_add(struct bench *b, const char *id, const char *const *settings)
{
    const struct bp_device_desc *desc = plugins_find(bench_vm(b)->plugins, id);
    GError *error = NULL;

    if (!desc)
        FAIL("there is no device '%s'", id);
    if (!bench_try_add(b, desc, id, settings, &error))
        FAIL("%s", error->message);
}

struct bench *mock_bench(const char *id, const char *const *settings)
{
    struct bench *b = bench_empty();

    CHECK(bench_try_add(b, &vmbus_mock_desc, "vmbus", NULL, NULL));
    mock_add(b, id, settings);
    bench_power_on(b);
    bench_start(b);
    return b;
}

struct mock_channel *mock_channel(unsigned n)
{
    for (unsigned i = 0; i < MOCK_CHANNELS; i++) {
        if (channels[i].used && n-- == 0)
            return &channels[i];
    }
    return NULL;
}

static bool enter(struct mock_channel *c)
{
    return device_enter(device_of(c->dev));
}

static void leave(struct bench *b, struct mock_channel *c)
{
    device_leave(device_of(c->dev));
    bench_run(b);
}

bool mock_open(struct bench *b, struct mock_channel *c)
{
    struct bp_vmbus_open open = { .size = sizeof(open), .version = 0x50003 };

    CHECK(enter(c));
    bool ok = c->ops->opened(c->ctx, &open) == 0;
    c->open = ok;
    leave(b, c);
    return ok;
}

bool mock_close(struct bench *b, struct mock_channel *c)
{
    CHECK(enter(c));
    c->open = false;
    c->closing = true;
    c->ops->closing(c->ctx);
    leave(b, c);
    return !c->closing;
}

int32_t mock_put(struct bench *b, struct mock_channel *c, const void *data,
                 uint32_t bytes)
{
    uint32_t padded = (bytes + 7) & ~7u;
    uint8_t *copy = g_malloc0(padded + 1);
    struct bp_vmbus_packet p = { .size = sizeof(p),
                                 .type = BP_VMBUS_INBAND,
                                 .data = copy,
                                 .bytes = padded };

    memcpy(copy, data, bytes);
    CHECK(enter(c));
    int32_t result = c->ops->packet(c->ctx, &p);
    leave(b, c);
    g_free(copy);
    return result;
}

GBytes *mock_take(struct bench *b, struct mock_channel *c)
{
    bench_run(b);
    return g_queue_pop_head(&c->sent);
}

void mock_make_room(struct bench *b, struct mock_channel *c, unsigned room)
{
    c->room = room;
    CHECK(enter(c));
    if (c->ops->writable)
        c->ops->writable(c->ctx);
    leave(b, c);
}

void mock_connect(struct bench *b, const struct bp_guid *endpoint,
                  const struct bp_guid *service)
{
    connect_status = UINT32_MAX;
    CHECK(connect_fn != NULL);
    CHECK(device_enter(device_of(connect_dev)));
    connect_fn(connect_ctx, endpoint, service);
    device_leave(device_of(connect_dev));
    bench_run(b);
}

uint32_t mock_connect_status(void)
{
    return connect_status;
}
