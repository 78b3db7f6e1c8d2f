/* SPDX-License-Identifier: Apache-2.0 */
/* netvsp as a well-behaved driver sees it: agreement and control. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "tests/dev/netvsp_guest.h"
#include "vm/vm.h"

/* --- versions -------------------------------------------------------------*/

static const struct {
    uint32_t low, high, agreed; /* 0: none */
} versions[] = {
    { 2, 2, 2 },
    { 0x30002, 0x30002, 0x30002 },
    { 0x40000, 0x40000, 0x40000 },
    { 0x50000, 0x50000, 0x50000 },
    { 0x60000, 0x60000, 0x60000 },
    { 0x60001, 0x60001, 0x60001 },
    { 2, 0xffffffff, 0x60001 },
    { 2, 0x4ffff, 0x40000 },
    { 0x70000, 0x70000, 0 },
    { 3, 0x30001, 0 },
    { 0x60001, 2, 0 },
};

TEST_P(version, versions)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_open(b);

    CHECK_EQ(ng_init(n, row->low, row->high),
             row->agreed ? NVSP_SUCCESS : NVSP_UNSUPPORTED);
    CHECK_EQ(n->version, row->agreed);
    /* Once agreed, it stays. */
    if (row->agreed && row->agreed != 2)
        CHECK_EQ(ng_init(n, 2, 2), NVSP_UNSUPPORTED);
    ng_end(n);
    bench_destroy(b);
}

TEST(steps_down_as_linux_does)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_open(b);

    CHECK_EQ(ng_init(n, 0x80000, 0x80000), NVSP_UNSUPPORTED);
    CHECK_EQ(ng_init(n, 0x60001, 0x60001), NVSP_SUCCESS);
    ng_end(n);
    bench_destroy(b);
}

/* --- buffers --------------------------------------------------------------*/

static const struct {
    uint32_t frame, section;
} sections[] = {
    { 1514, 1728 },
    { 9014, 9216 },
    { 65535, 65792 },
    { 594, 832 },
};

TEST_P(sections_follow_the_mtu, sections)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_open(b);

    ng_init(n, NVSP_6_1, NVSP_6_1);
    ng_configure(n, row->frame, 0);
    CHECK_EQ(ng_receive_buffer(n, 600), NVSP_SUCCESS);
    CHECK_EQ(n->section_bytes, row->section);
    CHECK_EQ(n->section_count, MIN(600 * 4096 / row->section, 4096));
    ng_end(n);
    bench_destroy(b);
}

TEST(buffers_in_and_out_of_order)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_open(b);
    const uint32_t revoke[] = { NVSP_REVOKE_RECEIVE_BUFFER, NG_ID };
    const uint32_t wrong[] = { NVSP_SEND_BUFFER, 0xdead };
    uint32_t a[3];

    CHECK_EQ(ng_receive_buffer(n, 64), NVSP_FAILED); /* no version yet */
    ng_init(n, NVSP_5, NVSP_5);
    CHECK_EQ(ng_receive_buffer(n, 4), NVSP_FAILED); /* too small */
    CHECK_EQ(ng_receive_buffer(n, 64), NVSP_SUCCESS);
    CHECK_EQ(ng_receive_buffer(n, 64), NVSP_FAILED); /* there is one */
    ng_ask(n, revoke, 2, NULL, 0);
    CHECK_EQ(ng_receive_buffer(n, 64), NVSP_SUCCESS);
    ng_ask(n, wrong, 2, a, 3);
    CHECK_EQ(a[1], NVSP_FAILED);
    CHECK_EQ(ng_send_buffer(n, 8), NVSP_SUCCESS);
    ng_end(n);
    bench_destroy(b);
}

/* --- objects --------------------------------------------------------------*/

static const struct {
    uint32_t oid, value;
} numbers[] = {
    { 0x00010102, 0 },    { 0x00010103, 0 },         { 0x00010104, 0 },
    { 0x00010106, 1500 }, { 0x00010107, 100000000 }, { 0x0001010c, 0x155d },
    { 0x0001010e, 0xd },  { 0x00010111, 1514 },      { 0x00010114, 0 },
    { 0x00010115, 8 },    { 0x01010104, 32 },        { 0x00020101, 0 },
};

TEST_P(objects_that_are_numbers, numbers)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);

    CHECK_EQ(ng_query_u32(n, row->oid), row->value);
    ng_end(n);
    bench_destroy(b);
}

TEST(all_that_is_listed_is_there)
{
    struct bench *b = ng_bench(2, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t list[512], out[512];
    uint32_t bytes, ignored;

    CHECK_EQ(ng_query(n, 0x00010101, NULL, 0, list, &bytes), RNDIS_SUCCESS);
    CHECK_GE(bytes, 4 * 40);
    for (uint32_t i = 0; i < bytes; i += 4) {
        uint32_t oid = wire_u32(list + i);
        uint32_t q = ng_query(n, oid, NULL, 0, out, &ignored);
        uint32_t s = ng_set(n, oid, list, 4);
        test_note("object %08x", oid);
        CHECK(q == RNDIS_SUCCESS || s != RNDIS_NOT_SUPPORTED);
    }
    CHECK_EQ(ng_query(n, 0x12345678, NULL, 0, out, &ignored),
             RNDIS_NOT_SUPPORTED);
    CHECK_EQ(ng_set(n, 0x12345678, list, 4), RNDIS_NOT_SUPPORTED);
    ng_end(n);
    bench_destroy(b);
}

TEST(station_address)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_5);
    uint8_t mac[6], out[512], set[80] = { 0 };
    uint32_t bytes;
    static const char name[] = "NetworkAddress", value[] = "0215Ab0c0d0e";

    memcpy(mac, bench_net(b, "net0")->mac, 6);
    CHECK_EQ(ng_query(n, 0x01010101, NULL, 0, out, &bytes), RNDIS_SUCCESS);
    CHECK_EQ(bytes, 6);
    CHECK_MEM_EQ(out, mac, 6);
    wire_put32(set, 20);
    wire_put32(set + 4, 28);
    wire_put32(set + 8, 2);
    wire_put32(set + 12, 48);
    wire_put32(set + 16, 24);
    for (unsigned i = 0; i < 14; i++)
        set[20 + 2 * i] = (uint8_t)name[i];
    for (unsigned i = 0; i < 12; i++)
        set[48 + 2 * i] = (uint8_t)value[i];
    CHECK_EQ(ng_set(n, 0x0001021b, set, 72), RNDIS_SUCCESS);
    CHECK_EQ(ng_query(n, 0x01010102, NULL, 0, out, &bytes), RNDIS_SUCCESS);
    CHECK_MEM_EQ(out, "\x02\x15\xab\x0c\x0d\x0e", 6);
    CHECK_EQ(ng_query(n, 0x01010101, NULL, 0, out, &bytes), RNDIS_SUCCESS);
    CHECK_MEM_EQ(out, mac, 6);
    set[49] = 1; /* no digit */
    CHECK_EQ(ng_set(n, 0x0001021b, set, 72), RNDIS_INVALID_DATA);
    wire_put32(set + 12, 72); /* outside */
    CHECK_EQ(ng_set(n, 0x0001021b, set, 72), RNDIS_INVALID_DATA);
    ng_end(n);
    bench_destroy(b);
}

static const struct {
    uint32_t version, asked, size, revision;
    bool rsc;
} offloads[] = {
    { NVSP_6_1, 156, 156, 3, true },  { NVSP_5, 156, 156, 3, false },
    { NVSP_4, 144, 144, 2, false },   { NVSP_2, 112, 112, 1, false },
    { NVSP_6_1, 144, 144, 2, false }, { NVSP_6_1, 0, 156, 3, true },
};

TEST_P(offload_capabilities, offloads)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, row->version);
    uint8_t in[4] = { NDIS_OFFLOAD, (uint8_t)row->revision };
    uint8_t out[512];
    uint32_t bytes;

    wire_put16(in + 2, (uint16_t)row->asked);
    CHECK_EQ(ng_query(n, 0xfc01020d, in, row->asked ? 4 : 0, out, &bytes),
             RNDIS_SUCCESS);
    CHECK_EQ(bytes, row->size);
    CHECK_EQ(out[0], NDIS_OFFLOAD);
    CHECK_EQ(out[1], row->revision);
    CHECK_EQ(wire_u16(out + 2), row->size);
    CHECK_EQ(wire_u32(out + 8) & 0x55, 0x55);  /* IPv4 TCP, UDP, options */
    CHECK_EQ(wire_u32(out + 24) & 0x55, 0x55); /* IPv6 */
    CHECK_EQ(wire_u32(out + 80), 2);           /* LSO v2 */
    CHECK_GE(wire_u32(out + 84), 60000);
    CHECK_EQ(wire_u32(out + 104), 5);
    if (row->size == 156)
        CHECK_EQ(out[144], row->rsc);
    ng_end(n);
    bench_destroy(b);
}

TEST(resets_and_keepalives)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_5);
    uint8_t keepalive[12] = { RNDIS_KEEPALIVE, 0, 0, 0, 12, 0, 0, 0, 9 };
    uint8_t reset[12] = { RNDIS_RESET, 0, 0, 0, 12 };
    uint8_t halt[12] = { RNDIS_HALT, 0, 0, 0, 12, 0, 0, 0, 4 };
    uint8_t query[28] = { RNDIS_QUERY, 0, 0, 0, 28 };

    ng_control(n, keepalive, 12);
    struct got *a = ng_answer(n, RNDIS_KEEPALIVE);
    CHECK_EQ(wire_u32(a->data + 8), 9);
    g_free(a);
    ng_control(n, reset, 12);
    g_free(ng_answer(n, RNDIS_RESET));
    CHECK_EQ(ng_query_u32(n, 0x0001010e), 0xd); /* the filter is kept */
    ng_control(n, halt, 12);
    ng_control(n, query, 28); /* not before it is initialized again */
    CHECK(!ng_take(n));
    ng_end(n);
    bench_destroy(b);
}

TEST(link_is_told)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);

    bench_net_link(b, "net0", false);
    struct got *m = ng_take(n);
    CHECK(m && m->kind == NVSP_CONTROL);
    CHECK_EQ(wire_u32(m->data), RNDIS_INDICATE);
    CHECK_EQ(wire_u32(m->data + 8), RNDIS_DISCONNECTED);
    g_free(m);
    CHECK_EQ(ng_query_u32(n, 0x00010114), 1);
    bench_net_link(b, "net0", true);
    m = ng_take(n);
    CHECK_EQ(wire_u32(m->data + 8), RNDIS_CONNECTED);
    g_free(m);
    CHECK(!ng_take(n));
    ng_end(n);
    bench_destroy(b);
}

/* A guest that does not read answers: they wait, some are lost, and the
 * adapter works when it reads again. */
TEST(unread_answers)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t query[28] = { RNDIS_QUERY, 0, 0, 0, 28, 0, 0, 0, 1 };
    unsigned answers = 0;
    struct got *m;

    wire_put32(query + 12, 0x00010106);
    wire_put32(query + 20, 20);
    n->keep = true;
    for (unsigned i = 0; i < 100; i++)
        ng_control(n, query, 28);
    bench_save_load(b);
    bench_start(b);
    n->keep = false;
    ng_complete(n, n->ch);
    while ((m = ng_take(n))) {
        answers++;
        g_free(m);
    }
    CHECK_EQ(answers, 16 + 8);
    CHECK_EQ(ng_query_u32(n, 0x00010106), 1500);
    ng_end(n);
    bench_destroy(b);
}

TEST(closed_and_opened_again)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t out[512];
    uint32_t bytes, offload[6] = { 0x00180380u, 0x04040404u };

    CHECK_EQ(ng_query(n, 0x01010102, NULL, 0, out, &bytes), RNDIS_SUCCESS);
    ng_set(n, 0xfc01020c, offload, 24);
    vg_close(n->ch);
    n->ch = vg_open(n->g, vg_offer(n->g, &net_guid, 0), 8);
    n->message_bytes = NVSP_BYTES;
    CHECK_EQ(ng_init(n, NVSP_2, NVSP_2), NVSP_SUCCESS);
    ng_end(n);
    bench_destroy(b);
}

TEST(two_adapters)
{
    struct bench *b = ng_bench(1, false);

    bench_add_net(b, "net1", false);
    bench_add_device(b, "netvsp", "netvsp1", "net=net1", "number=1", NULL);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    const struct vmbus_offer *first = vg_offer(g, &net_guid, 0);
    const struct vmbus_offer *second = vg_offer(g, &net_guid, 1);
    CHECK(memcmp(&first->instance, &second->instance, 16) != 0);
    vg_end(g);
    bench_destroy(b);
}
