/* SPDX-License-Identifier: Apache-2.0 */
/* netvsp and guests that do what no driver does. */
#include "tests/lib/test.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "tests/dev/netvsp_guest.h"
#include "vm/vm.h"

static uint8_t frame[70000], message[80000];

/* The adapter still works. */
static void check_works(struct net_guest *n)
{
    memset(frame, 0x33, 100);
    uint32_t bytes = ng_packet(message, frame, 100, NULL, 0);
    struct net_frame *f;

    while ((f = ng_frame(n)))
        net_frame_free(f);
    CHECK_EQ(ng_send_memory(n, message, bytes), NVSP_SUCCESS);
    f = ng_frame(n);
    CHECK(f && f->bytes == 100 && f->data[50] == 0x33);
    net_frame_free(f);
    CHECK_EQ(ng_query_u32(n, 0x00010106), 1500);
}

static const struct {
    const char *what;
    uint32_t at, value; /* of the RNDIS message */
} broken[] = {
    { "another type", 0, 9 },
    { "no length", 4, 0 },
    { "shorter than its head", 4, 43 },
    { "longer than the packet", 4, 5000 },
    { "data behind the end", 8, 200 },
    { "data offset wraps", 8, 0xfffffff0 },
    { "no data", 12, 0 },
    { "more data than there is", 12, 2000 },
    { "data length wraps", 12, 0xffffffff },
    { "information before the body's end", 28, 8 },
    { "information behind the end", 28, 3000 },
    { "information wraps", 28, 0xfffffff8 },
    { "more information than there is", 32, 3000 },
    { "too little for one", 32, 8 },
    { "information of no size", 44, 0 },
    { "information of a larger size", 44, 17 },
    { "its value outside", 52, 17 },
    { "its value's offset wraps", 52, 0xfffffffc },
};

TEST_P(broken_messages, broken)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    const struct ng_info info = { PPI_CHECKSUM, 0 };
    uint32_t bytes = ng_packet(message, frame, 100, &info, 1);

    wire_put32(message + row->at, row->value);
    ng_put_section(n, 0, message, bytes);
    CHECK_EQ(ng_send_section(n, 0, bytes), NVSP_INVALID_RNDIS);
    CHECK_EQ(ng_send_memory(n, message, bytes), NVSP_INVALID_RNDIS);
    CHECK(!ng_frame(n));
    check_works(n);
    ng_end(n);
    bench_destroy(b);
}

static const struct {
    const char *what;
    uint32_t section, bytes;
} places[] = {
    { "a section beyond the buffer", 21, 144 },
    { "a section far beyond", 0xfffffffe, 144 },
    { "more than a section", 0, 6145 },
    { "all of it", 0, 0xffffffff },
    { "nothing", 0, 0 },
};

TEST_P(wrong_places, places)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);

    uint32_t s = ng_send_section(n, row->section, row->bytes);
    CHECK(s == NVSP_INVALID_RNDIS || row->bytes == 0);
    CHECK(!ng_frame(n));
    check_works(n);
    ng_end(n);
    bench_destroy(b);
}

/* The guest takes the buffers away under the adapter. */
TEST(buffers_torn_down)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t f[60];

    memset(f, 255, sizeof(f));
    vg_try_teardown(n->g, n->ch->offer.relid, n->send_gpadl);
    vg_try_teardown(n->g, n->ch->offer.relid, n->receive_gpadl);
    CHECK_EQ(ng_send_section(n, 0, 100), NVSP_INVALID_RNDIS);
    bench_net_send(b, "net0", f, sizeof(f));
    bench_save_load(b);
    bench_start(b);
    bench_net_send(b, "net0", f, sizeof(f));
    ng_end(n);
    bench_destroy(b);
}

TEST(completions_of_nothing)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t f[60], m[8] = { NVSP_RNDIS_PACKET_COMPLETE };

    memset(f, 255, sizeof(f));
    n->keep = true;
    bench_net_send(b, "net0", f, sizeof(f));
    ng_poll(n, n->ch);
    for (uint64_t t = 0; t < 500; t++)
        CHECK(vg_send_completion(n->ch, t, m, sizeof(m)));
    CHECK(vg_send_completion(n->ch, UINT64_MAX, m, sizeof(m)));
    n->keep = false;
    for (unsigned i = 0; i < 1000; i++) {
        bench_net_send(b, "net0", f, sizeof(f));
        struct got *g = g_queue_pop_head(n->got);
        g_free(g ? g : ng_take(n));
    }
    check_works(n);
    ng_end(n);
    bench_destroy(b);
}

TEST(subchannels_asked_for_twice)
{
    struct bench *b = ng_bench(4, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint32_t words[] = { NVSP_SUBCHANNELS, 1, 2 }, a[3];

    ng_ask(n, words, 3, a, 3);
    CHECK_EQ(a[2], 2);
    ng_ask(n, words, 3, a, 3);
    CHECK_EQ(a[1], NVSP_FAILED);
    words[1] = 7; /* no such operation */
    ng_ask(n, words, 3, a, 3);
    CHECK_EQ(a[1], NVSP_FAILED);
    ng_end(n);
    bench_destroy(b);
}

static const struct {
    const char *what;
    uint32_t at, value;
} rss[] = {
    { "another object", 0, 0x0028021b },
    { "a table outside", 16, 2000 },
    { "a table that is none", 12, 0 },
    { "a table of 127", 12, 508 },
    { "a table of 129", 12, 516 },
    { "a channel that cannot be", 44, 8 },
    { "a channel that wraps", 44, 0x100 },
    { "a key outside", 24, 0xffffffff },
    { "a short key", 20, 16 },
};

TEST_P(scaling_parameters, rss)
{
    struct bench *b = ng_bench(2, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t v[600] = { NDIS_RSS_PARAMETERS, 2, 40 };

    wire_put32(v + 8, HASH_TOEPLITZ | HASH_IPV4);
    wire_put16(v + 12, 512);
    wire_put32(v + 16, 40);
    wire_put16(v + 20, 40);
    wire_put32(v + 24, 552);
    wire_put32(v + row->at, row->value);
    CHECK_EQ(ng_set(n, 0x00010204, v, sizeof(v)), RNDIS_INVALID_DATA);
    CHECK_EQ(ng_set(n, 0x00010204, v, 39), RNDIS_INVALID_LENGTH);
    check_works(n);
    ng_end(n);
    bench_destroy(b);
}

/* --- random ---------------------------------------------------------------*/

static GRand *r;

static uint32_t any(uint32_t limit)
{
    return (uint32_t)g_rand_int_range(r, 0, (gint32)limit);
}

/* Small numbers, limits and their neighbours. */
static uint32_t number(void)
{
    static const uint32_t some[] = {
        0, 1, 7, 8, 28, 36, 44, 100, 6144, 6145, 65535, 0x7fffffff, 0xffffffff,
    };

    return any(3) ? some[any(G_N_ELEMENTS(some))] + any(3) - 1 : g_rand_int(r);
}

static void random_message(uint8_t *m, uint32_t bytes)
{
    const struct packet p = {
        .payload = any(600), .udp = any(2), .v6 = any(2), .flags = any(64)
    };
    const struct ng_info info[2] = { { any(9), number() },
                                     { any(9), number() } };
    uint32_t n = packet_build(&p, false, frame);

    ng_packet(m, frame, n, info, any(3));
    if (!any(2))
        wire_put32(m, any(10));
    for (unsigned i = any(3); i; i--)
        wire_put32(m + 4 * any(20), number());
    if (!any(10)) {
        for (uint32_t i = 0; i < bytes; i++)
            m[i] = (uint8_t)g_rand_int(r);
    }
}

struct scratch { /* that is used again and again */
    uint64_t gpa;
    uint8_t *ram;
};

static void random_packet(struct net_guest *n, struct vg_channel *ch,
                          const struct scratch *mem)
{
    uint8_t m[64] = { 0 };
    uint32_t bytes = any(4) ? n->message_bytes : any(sizeof(m) / 8) * 8;
    static const uint32_t types[] = { 1,   100, 101, 103, 104, 106,
                                      107, 108, 125, 129, 133, 134 };

    wire_put32(m, any(3) ? 107 : types[any(G_N_ELEMENTS(types))]);
    wire_put32(m + 4, any(3) ? any(2) : number());
    wire_put32(m + 8, any(2) ? NVSP_NO_SECTION : any(24));
    wire_put32(m + 12, any(2) ? any(6144) : number());
    random_message(mem->ram, 4096);
    ng_put_section(n, any(21), mem->ram, 2000);
    switch (any(4)) {
    case 0: vg_send(ch, any(100), m, bytes, any(2)); break;
    case 1: vg_send_completion(ch, any(400), m, 8); break;
    default: vg_send_gpa(ch, any(100), m, bytes, mem->gpa, 1 + any(8000));
    }
}

static void drain(struct net_guest *n, struct vg_channel *ch)
{
    struct vg_packet p;
    uint8_t m[8] = { NVSP_RNDIS_PACKET_COMPLETE };

    while (vg_receive(ch, &p)) {
        if (p.type == BP_VMBUS_TRANSFER_PAGES && any(4))
            vg_send_completion(ch, p.transaction, m, sizeof(m));
    }
    net_frames_free(net_port_take(bench_net(n->b, "net0")));
    bench_run(n->b);
}

static void random_run(uint32_t seed, unsigned count)
{
    struct bench *b = ng_bench(2, seed & 1);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    struct scratch mem;
    struct net_port *port = bench_net(b, "net0");

    r = g_rand_new_with_seed(seed);
    mem.gpa = vg_pages(n->g, 3, &mem.ram);
    for (unsigned i = 0; i < count; i++) {
        test_note("seed %u, packet %u", seed, i);
        random_packet(n, n->ch, &mem);
        if (!any(3)) {
            const struct packet p = { .payload = any(1400), .flags = 0x10 };
            uint32_t bytes = packet_build(&p, true, frame);
            memset(frame, 255, 6);
            net_port_receive(port, net_frame_copy(frame, bytes), false);
            net_port_deliver(port);
            bench_run(b);
        }
        drain(n, n->ch);
        if (!any(500)) {
            bench_save_load(b);
            bench_start(b);
        }
    }
    g_rand_free(r);
    ng_end(n);
    bench_destroy(b);
}

/* BP_FUZZ_SECONDS makes it go on for so long. */
TEST(random_packets)
{
    const char *text = g_getenv("BP_FUZZ_SECONDS");
    unsigned seconds = text ? (unsigned)atoi(text) : 0;
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;

    test_time_limit(seconds + 120);
    for (uint32_t seed = 1; seed <= 4 || g_get_monotonic_time() < end; seed++)
        random_run(seed, 4000);
}
