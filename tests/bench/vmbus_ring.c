/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host does for a packet on VMBus, without a processor: a request
 * with a buffer of 4 KiB comes in and is completed at once (storage), one at
 * a time and 32 at a time; packets of 1500 bytes come in (network, out); and
 * transfer-page packets go out (network, in).  The guest's own part is as
 * short as it can be.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "hv/ports.h"
#include "tests/dev/vmbus_echo.h"
#include "vm/bench.h"

#define PACKETS 1000000u
#define PAGES   33u

struct scene {
    struct bench *b;
    struct vg_channel *ch;
    struct ring_control *out, *in;
    uint8_t *data; /* of the ring to the host */
    uint32_t bytes;
};

static void report(const char *name, gint64 since, uint32_t n)
{
    printf("%s %.0f ns/packet\n", name,
           (double)(g_get_monotonic_time() - since) * 1000 / n);
}

/* A packet that is as long as a divisor of the ring never wraps. */
static void put(struct scene *s, const void *packet, uint32_t bytes)
{
    uint32_t at = s->out->in;

    memcpy(s->data + at, packet, bytes);
    at += bytes;
    __atomic_store_n(&s->out->in, at == s->bytes ? 0 : at, __ATOMIC_SEQ_CST);
}

static void signal_host(struct scene *s)
{
    if (!s->out->mask)
        hv_port_signal(bench_vm(s->b), s->ch->offer.connection, 0);
}

static void requests(struct scene *s, const char *name, uint32_t depth)
{
    /* Descriptor, ranges, 72 bytes, footer: 128 */
    uint64_t packet[16] = { 0 };
    struct ring_descriptor d = { BP_VMBUS_GPA_DIRECT, 5, 15, 1, 1 };
    gint64 since;

    memcpy(packet, &d, sizeof(d));
    packet[2] = 1ull << 32;
    packet[3] = 4096;
    packet[4] = 0x500;
    since = g_get_monotonic_time();
    for (uint32_t i = 0; i < PACKETS; i += depth) {
        for (uint32_t k = 0; k < depth; k++)
            put(s, packet, sizeof(packet));
        signal_host(s);
        s->in->out = s->in->in;
    }
    report(name, since, PACKETS);
}

static void frames(struct scene *s)
{
    uint8_t packet[2048] = { 0 };
    struct ring_descriptor d = { BP_VMBUS_INBAND, 2, 255, 0, 1 };
    gint64 since;

    memcpy(packet, &d, sizeof(d));
    since = g_get_monotonic_time();
    for (uint32_t i = 0; i < PACKETS; i += 8) {
        for (uint32_t k = 0; k < 8; k++)
            put(s, packet, sizeof(packet));
        signal_host(s);
    }
    report("vmbus_in_2k", since, PACKETS);
}

static void send_many(struct echo *e, void *arg)
{
    static const struct bp_vmbus_piece piece = { 1514, 0 };
    struct scene *s = arg;
    uint8_t head[40] = { 0 };
    struct bp_iovec iov = { head, sizeof(head) };
    struct bp_vmbus_send m = { .size = sizeof(m),
                               .type = BP_VMBUS_TRANSFER_PAGES,
                               .flags = 1,
                               .iov = &iov,
                               .iov_count = 1,
                               .piece_count = 1,
                               .pieces = &piece };
    gint64 since = g_get_monotonic_time();

    for (uint32_t i = 0; i < PACKETS; i++) {
        if (e->vmbus->send(e->ch, &m) < 0)
            break;
        s->in->out = s->in->in;
    }
    report("vmbus_out_transfer", since, PACKETS);
}

int main(void)
{
    struct scene s = { .b = echo_bench(1) };
    struct vmbus_guest *g = vg_connect(s.b, VG_5_3);

    s.ch = vg_open(g, vg_offer(g, &echo_type, 0), PAGES);
    s.out = vg_ring_out(s.ch);
    s.in = vg_ring_in(s.ch);
    s.data = vg_ram(g, s.ch->page[1]);
    s.bytes = (PAGES - 1) * 4096;
    requests(&s, "vmbus_request_depth_1", 1);
    requests(&s, "vmbus_request_depth_32", 32);
    frames(&s);
    echo_do(s.b, 0, send_many, &s);
    vg_end(g);
    bench_destroy(s.b);
    return 0;
}
