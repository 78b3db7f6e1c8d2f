/* SPDX-License-Identifier: Apache-2.0 */
/* The bus as a well-behaved guest sees it. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "tests/dev/vmbus_echo.h"
#include "vm/bench.h"
#include "vm/bench_hv.h"

/* --- contact --------------------------------------------------------------*/

static const struct {
    uint32_t major, minor;
    bool known;
} versions[] = {
    { 0, 13, true }, { 1, 1, true }, { 1, 0, false }, { 2, 4, true },
    { 3, 0, true },  { 4, 0, true }, { 4, 1, true },  { 5, 0, true },
    { 5, 1, true },  { 5, 2, true }, { 5, 3, true },  { 5, 4, false },
    { 6, 0, false },
};

TEST_P(version, versions)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_new(b);

    CHECK_EQ(vg_contact(g, VMBUS_VERSION(row->major, row->minor), 0),
             row->known);
    if (row->known) {
        vg_request_offers(g);
        struct vg_channel *ch = vg_open(g, vg_offer(g, &echo_type, 0), 4);
        struct vg_packet p;
        CHECK_EQ(echo_of(b, 0)->last_open.version,
                 VMBUS_VERSION(row->major, row->minor));
        vg_interrupted(ch);
        CHECK(vg_send(ch, 5, "hello", 5, true));
        CHECK(vg_interrupted(ch));
        CHECK(!vg_interrupted(ch));
        vg_completion(ch, 5, &p);
        CHECK_EQ(p.bytes, 8);
        CHECK_MEM_EQ(p.data, "hello\0\0\0", 8);
        bench_save_load(b);
        CHECK(vg_interrupted(ch));
        CHECK(vg_send(ch, 6, "again", 5, true));
        vg_completion(ch, 6, &p);
        vg_close(ch);
        vg_unload(g);
    }
    vg_end(g);
    bench_destroy(b);
}

TEST(steps_down_to_a_known_version)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_new(b);

    CHECK(!vg_contact(g, VMBUS_VERSION(7, 0), 0));
    CHECK(!vg_contact(g, VMBUS_VERSION(6, 0), 0));
    CHECK(vg_contact(g, VG_5_3, 0));
    CHECK_EQ(g->connection, VMBUS_CONNECTION_4);
    vg_end(g);
    bench_destroy(b);
}

TEST(messages_come_to_the_processor_of_the_contact)
{
    struct bench *b = echo_bench(4);
    struct vmbus_guest *g = vg_new(b);

    CHECK(vg_contact(g, VG_5_0, 3));
    vg_request_offers(g);
    CHECK_EQ(g->message_vp, 3);
    vg_offer(g, &echo_type, 0);
    vg_end(g);
    bench_destroy(b);
}

/* --- offers ---------------------------------------------------------------*/

TEST(an_offer_says_what_the_device_said)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    const struct vmbus_offer *o = vg_offer(g, &echo_type, 0);

    CHECK_MEM_EQ(&o->instance, &echo_instance, sizeof(o->instance));
    CHECK_EQ(o->flags, BP_VMBUS_ENUMERATE);
    CHECK_EQ(o->mmio_megabytes, 8);
    CHECK_MEM_EQ(o->user, "user data", 9);
    CHECK_EQ(o->subchannel, 0);
    CHECK_EQ(o->monitor_allocated, 0);
    CHECK_EQ(o->dedicated_interrupt, 1);
    CHECK_GT(o->relid, 0);
    CHECK_GT(o->connection, VMBUS_CONNECTION_4);
    vg_end(g);
    bench_destroy(b);
}

TEST(nothing_is_offered_before_it_is_asked_for)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_new(b);

    CHECK(vg_contact(g, VG_5_3, 0));
    vg_poll(g);
    CHECK_EQ(g->offers, 0);
    vg_end(g);
    bench_destroy(b);
}

TEST(many_devices)
{
    struct bench *b = vg_bench(1);

    for (unsigned i = 0; i < 10; i++)
        echo_add(b, i);
    struct vmbus_guest *g = vg_connect(b, VG_4_0);
    CHECK_EQ(g->offers, 10);
    for (unsigned i = 0; i < 10; i++) {
        struct vg_channel *ch = vg_open(g, vg_offer(g, &echo_type, i), 2);
        struct vg_packet p;
        CHECK(vg_send(ch, i, &i, sizeof(i), true));
        vg_completion(ch, i, &p);
    }
    vg_unload(g);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(echo_of(b, i)->closing, 1);
    vg_end(g);
    bench_destroy(b);
}

/* --- channels -------------------------------------------------------------*/

TEST(open_tells_the_device)
{
    struct bench *b = echo_bench(4);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    uint8_t user[120] = "for the device";
    uint32_t status;

    struct vg_channel *ch =
        vg_try_open(g, vg_offer(g, &echo_type, 0), 4, 2, user, &status);
    const struct echo *e = echo_of(b, 0);
    CHECK(ch);
    CHECK_EQ(e->opened, 1);
    CHECK_EQ(e->last_open.target_vp, 2);
    CHECK_MEM_EQ(e->last_open.user, user, sizeof(user));
    CHECK(e->vmbus->is_open(e->ch));
    vg_close(ch);
    CHECK_EQ(e->closing, 1);
    CHECK(!e->vmbus->is_open(e->ch));
    vg_end(g);
    bench_destroy(b);
}

TEST(a_device_may_refuse_an_open)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    uint32_t status;

    echo_of(b, 0)->open_result = -5;
    CHECK(!vg_try_open(g, vg_offer(g, &echo_type, 0), 4, 0, NULL, &status));
    CHECK_NE(status, 0);
    CHECK_EQ(echo_of(b, 0)->closing, 0);
    echo_of(b, 0)->open_result = 0;
    vg_close(vg_open(g, vg_offer(g, &echo_type, 0), 4));
    vg_end(g);
    bench_destroy(b);
}

TEST(open_and_close_many_times)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);

    for (int i = 0; i < 50; i++) {
        struct vg_channel *ch = vg_open(g, vg_offer(g, &echo_type, 0), 3);
        struct vg_packet p;
        for (int k = 0; k < 20; k++) {
            CHECK(vg_send(ch, (uint64_t)k, "x", 1, true));
            vg_completion(ch, (uint64_t)k, &p);
        }
        vg_close(ch);
    }
    CHECK_EQ(echo_of(b, 0)->closing, 50);
    vg_end(g);
    bench_destroy(b);
}

/* --- packets --------------------------------------------------------------*/

TEST(packets_of_all_lengths_around_the_end)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    uint8_t data[3000];
    struct vg_packet p;

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (int scattered = 0; scattered < 2; scattered++) {
        g->scattered = scattered;
        struct vg_channel *ch = vg_open(g, vg_offer(g, &echo_type, 0), 3);
        for (uint32_t n = 1; n < sizeof(data); n += 1 + n / 10) {
            CHECK(vg_send(ch, n, data, n, true));
            vg_completion(ch, n, &p);
            CHECK_EQ(p.bytes, (n + 7) / 8 * 8);
            CHECK_MEM_EQ(p.data, data, n);
        }
        vg_close(ch);
    }
    vg_end(g);
    bench_destroy(b);
}

TEST(gpa_direct_ranges_are_merged)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    struct vg_channel *ch = vg_open(g, vg_offer(g, &echo_type, 0), 4);
    const struct echo *e = echo_of(b, 0);
    const uint64_t pages[] = { 0x500000, 0x501000, 0x700000, 0x600000 };
    struct vg_packet p;

    CHECK(vg_send_gpa(ch, 1, "read", 4, 0x400200, 0x3000));
    CHECK_EQ(e->last.type, BP_VMBUS_GPA_DIRECT);
    CHECK_EQ(e->last.range_count, 1);
    CHECK_EQ(e->ranges[0].gpa, 0x400200);
    CHECK_EQ(e->ranges[0].bytes, 0x3000);
    CHECK_EQ(e->last.range_bytes, 0x3000);
    CHECK_EQ(e->last.bytes, 8);
    vg_completion(ch, 1, &p);
    CHECK(vg_send_pages(ch, 2, "more", 4, pages, 0x800, 0x3000));
    CHECK_EQ(e->last.range_count, 3);
    CHECK_EQ(e->ranges[0].gpa, 0x500800);
    CHECK_EQ(e->ranges[0].bytes, 0x1800);
    CHECK_EQ(e->ranges[1].gpa, 0x700000);
    CHECK_EQ(e->ranges[1].bytes, 0x1000);
    CHECK_EQ(e->ranges[2].gpa, 0x600000);
    CHECK_EQ(e->ranges[2].bytes, 0x800);
    vg_close(ch);
    vg_end(g);
    bench_destroy(b);
}

TEST(an_interrupt_only_when_the_guest_slept)
{
    struct bench *b = echo_bench(2);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    uint32_t status;
    struct vg_channel *ch =
        vg_try_open(g, vg_offer(g, &echo_type, 0), 4, 1, NULL, &status);
    struct vg_packet p;

    CHECK(ch);
    bench_hv_signals(b, 1);
    CHECK(vg_send(ch, 1, "a", 1, true));
    CHECK_EQ(bench_hv_signals(b, 1), 1);
    CHECK(vg_interrupted(ch));
    CHECK(vg_send(ch, 2, "b", 1, true));
    CHECK_EQ(bench_hv_signals(b, 1), 0);
    CHECK(vg_receive(ch, &p) && vg_receive(ch, &p) && !vg_receive(ch, &p));
    vg_ring_in(ch)->mask = 1;
    CHECK(vg_send(ch, 3, "c", 1, true));
    CHECK_EQ(bench_hv_signals(b, 1), 0);
    CHECK_EQ(vg_ring_out(ch)->mask, 0);
    vg_close(ch);
    vg_end(g);
    bench_destroy(b);
}

/* --- unload ---------------------------------------------------------------*/

TEST(contact_again_after_unload_and_without)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_3_0);

    for (int i = 0; i < 4; i++) {
        struct vg_channel *ch = vg_open(g, vg_offer(g, &echo_type, 0), 4);
        struct vg_packet p;
        CHECK(vg_send(ch, 1, "x", 1, true));
        vg_completion(ch, 1, &p);
        if (i % 2)
            vg_unload(g);
        CHECK(vg_contact(g, i % 2 ? VG_5_3 : VG_2_4, 0));
        CHECK_EQ(echo_of(b, 0)->closing, i + 1);
        vg_request_offers(g);
    }
    vg_end(g);
    bench_destroy(b);
}
