/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/bench_hv.h"

#include <errno.h>
#include <string.h>

#include "hv/hv.h"
#include "hv/ports.h"
#include "vm/bench_own.h"

struct slot {
    struct bench_hv_message message;
    bool full;
    bool waited; /* a device found it full */
};

struct synic {
    bool off;
    uint32_t signals;
    struct slot slot[BP_HV_SINTS];
    uint64_t flags[BP_HV_SINTS][BP_HV_EVENT_FLAGS / 64];
};

/* Devices of a bench run on one thread, as a rule; tests with several use
 * the lock. */
struct bench_hv {
    struct hv_sink sink;
    GMutex lock;
    struct synic vp[BENCH_VPS];
};

static struct synic *synic_of(struct bench_hv *h, uint32_t vp, uint32_t sint)
{
    return vp < h->sink.processors && sint < BP_HV_SINTS && !h->vp[vp].off
               ? &h->vp[vp]
               : NULL;
}

static int32_t sink_post(void *opaque, uint32_t vp, uint32_t sint,
                         uint32_t type, const void *payload, uint32_t bytes)
{
    struct bench_hv *h = opaque;
    int32_t rc = -ENODEV;

    g_mutex_lock(&h->lock);
    struct synic *s = synic_of(h, vp, sint);
    if (s && s->slot[sint].full) {
        s->slot[sint].waited = true;
        rc = -EAGAIN;
    } else if (s && bytes <= BP_HV_MESSAGE_BYTES) {
        struct slot *slot = &s->slot[sint];
        slot->full = true;
        slot->message.type = type;
        slot->message.bytes = bytes;
        memcpy(slot->message.payload, payload, bytes);
        rc = 0;
    }
    g_mutex_unlock(&h->lock);
    return rc;
}

static int32_t sink_signal(void *opaque, uint32_t vp, uint32_t sint,
                           uint32_t flag)
{
    struct bench_hv *h = opaque;
    int32_t rc = -ENODEV;

    g_mutex_lock(&h->lock);
    struct synic *s = synic_of(h, vp, sint);
    if (s && flag < BP_HV_EVENT_FLAGS) {
        s->flags[sint][flag / 64] |= 1ull << (flag % 64);
        s->signals++;
        rc = 0;
    }
    g_mutex_unlock(&h->lock);
    return rc;
}

static int32_t sink_raise(void *opaque, uint32_t vp, uint32_t sint)
{
    struct bench_hv *h = opaque;

    return synic_of(h, vp, sint) ? 0 : -ENODEV;
}

void bench_hv(struct bench *b, uint32_t processors)
{
    struct bench_hv *h = g_new0(struct bench_hv, 1);

    if (b->hv || processors > BENCH_VPS)
        bench_die("bench_hv: it is there, or there are too many processors");
    h->sink =
        (struct hv_sink){ processors, sink_post, sink_signal, sink_raise, h };
    g_mutex_init(&h->lock);
    b->hv = h;
    b->vm.hv_sink = &h->sink;
}

void bench_hv_free(struct bench *b)
{
    if (b->hv)
        g_mutex_clear(&b->hv->lock);
    g_free(b->hv);
    b->hv = NULL;
}

static struct bench_hv *need_hv(struct bench *b)
{
    if (!b->hv)
        bench_die("the bench shows no hypervisor: see bench_hv()");
    bench_power_on(b);
    return b->hv;
}

void bench_hv_synic(struct bench *b, uint32_t vp, bool on)
{
    struct bench_hv *h = need_hv(b);

    memset(&h->vp[vp], 0, sizeof(h->vp[vp]));
    h->vp[vp].off = !on;
}

int32_t bench_hv_post(struct bench *b, uint32_t connection, uint32_t type,
                      const void *payload, uint32_t bytes)
{
    need_hv(b);
    int32_t rc = hv_port_message(&b->vm, connection, type, payload, bytes);
    bench_run(b);
    return rc;
}

int32_t bench_hv_signal(struct bench *b, uint32_t connection, uint32_t flag)
{
    need_hv(b);
    int32_t rc = hv_port_signal(&b->vm, connection, flag);
    bench_run(b);
    return rc;
}

bool bench_hv_message(struct bench *b, uint32_t vp, uint32_t sint,
                      struct bench_hv_message *out)
{
    struct bench_hv *h = need_hv(b);
    bool full = false, waited = false;

    bench_run(b);
    g_mutex_lock(&h->lock);
    struct synic *s = synic_of(h, vp, sint);
    if (s && s->slot[sint].full) {
        full = true;
        waited = s->slot[sint].waited;
        *out = s->slot[sint].message;
        s->slot[sint].full = s->slot[sint].waited = false;
    }
    g_mutex_unlock(&h->lock);
    if (waited) {
        hv_ports_room(&b->vm, vp, sint);
        bench_run(b);
    }
    return full;
}

bool bench_hv_flag(struct bench *b, uint32_t vp, uint32_t sint, uint32_t flag)
{
    struct bench_hv *h = need_hv(b);
    bool set = false;

    bench_run(b);
    g_mutex_lock(&h->lock);
    struct synic *s = synic_of(h, vp, sint);
    if (s && flag < BP_HV_EVENT_FLAGS) {
        uint64_t bit = 1ull << (flag % 64);
        set = s->flags[sint][flag / 64] & bit;
        s->flags[sint][flag / 64] &= ~bit;
    }
    g_mutex_unlock(&h->lock);
    return set;
}

uint32_t bench_hv_signals(struct bench *b, uint32_t vp)
{
    struct bench_hv *h = need_hv(b);

    bench_run(b);
    g_mutex_lock(&h->lock);
    uint32_t n = vp < BENCH_VPS ? h->vp[vp].signals : 0;
    if (vp < BENCH_VPS)
        h->vp[vp].signals = 0;
    g_mutex_unlock(&h->lock);
    return n;
}
