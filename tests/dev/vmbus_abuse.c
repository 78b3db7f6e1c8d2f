/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus and a guest that does not keep to the protocol.  After each abuse a
 * second device's channel, opened before, must still work, and the bus must
 * still serve a contact.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "tests/dev/vmbus_echo.h"
#include "vm/bench.h"
#include "vm/bench_hv.h"

struct scene {
    struct bench *b;
    struct vmbus_guest *g;
    struct vg_channel *ch, *other;
};

static struct scene begin(void)
{
    struct scene s = { .b = echo_bench(2) };

    echo_add(s.b, 1);
    s.g = vg_connect(s.b, VG_5_3);
    s.other = vg_open(s.g, vg_offer(s.g, &echo_type, 1), 4);
    s.ch = vg_open(s.g, vg_offer(s.g, &echo_type, 0), 4);
    return s;
}

static void check_other(struct scene *s)
{
    struct vg_packet p;

    CHECK(vg_send(s->other, 0x77, "alive", 5, true));
    vg_completion(s->other, 0x77, &p);
    CHECK_MEM_EQ(p.data, "alive", 5);
}

static void end(struct scene *s)
{
    struct vg_packet p;

    check_other(s);
    echo_set_mode(s->b, ECHO_COMPLETE);
    bench_save_load(s->b);
    check_other(s);
    CHECK(vg_contact(s->g, VG_4_0, 0));
    vg_request_offers(s->g);
    CHECK_EQ(s->g->offers, 2);
    struct vg_channel *ch = vg_open(s->g, vg_offer(s->g, &echo_type, 0), 4);
    CHECK(vg_send(ch, 1, "new", 3, true));
    vg_completion(ch, 1, &p);
    vg_unload(s->g);
    vg_end(s->g);
    bench_destroy(s->b);
}

/* --- messages ------------------------------------------------------------*/

TEST(messages_of_every_type_and_length)
{
    struct scene s = begin();
    uint8_t body[232];

    for (int fill = 0; fill < 2; fill++) {
        memset(body, fill ? 0xff : 0, sizeof(body));
        for (uint32_t type = 0; type < 40; type++) {
            for (uint32_t n = 0; n <= sizeof(body); n += 1 + n / 5) {
                if (type == VMBUS_UNLOAD || type == VMBUS_CONTACT)
                    continue;
                int32_t rc = vg_post(s.g, type, body, n);
                CHECK(rc == 0 || rc == -EAGAIN);
                vg_poll(s.g);
                s.g->queued = 0;
            }
        }
    }
    end(&s);
}

TEST(messages_without_a_head_or_of_another_type)
{
    struct scene s = begin();
    uint32_t head[2] = { VMBUS_UNLOAD, 0 };

    for (uint32_t n = 0; n < 8; n++)
        bench_hv_post(s.b, s.g->connection, VMBUS_MESSAGE_TYPE, head, n);
    bench_hv_post(s.b, s.g->connection, 2, head, sizeof(head));
    CHECK(!vg_take(s.g, VMBUS_UNLOAD_COMPLETE, NULL, 0));
    end(&s);
}

TEST(everything_before_the_contact)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_new(b);
    uint8_t body[232] = { 1 };

    for (uint32_t type = 0; type < 40; type++) {
        if (type != VMBUS_CONTACT && type != VMBUS_UNLOAD)
            CHECK_EQ(vg_post(g, type, body, sizeof(body)), 0);
    }
    vg_poll(g);
    CHECK_EQ(g->queued, 0);
    CHECK_EQ(g->offers, 0);
    vg_unload(g);
    vg_end(g);
    bench_destroy(b);
}

TEST(a_guest_that_takes_no_messages_is_told_to_wait)
{
    struct scene s = begin();
    uint64_t words[2] = { 4096, 0x500 };
    struct vmbus_gpadl_header h = { s.ch->offer.relid, 0, 16, 1 };
    uint8_t m[28];
    int32_t rc = 0;
    unsigned n;

    memcpy(m + 12, words, 16);
    for (n = 0; n < 1000 && rc == 0; n++) {
        h.gpadl = 1000 + n;
        memcpy(m, &h, 12);
        rc = vg_post(s.g, VMBUS_GPADL_HEADER, m, sizeof(m));
    }
    CHECK_EQ(rc, -EAGAIN);
    CHECK_GT(n, 32);
    /* All that were taken are answered, in order. */
    struct bench_hv_message got;
    for (unsigned i = 0; i < n - 1; i++) {
        uint32_t id;
        CHECK(bench_hv_message(s.b, 0, VMBUS_SINT, &got));
        memcpy(&id, got.payload + 12, 4);
        CHECK_EQ(id, 1000 + i);
    }
    CHECK(!bench_hv_message(s.b, 0, VMBUS_SINT, &got));
    end(&s);
}

TEST(a_guest_without_a_message_page)
{
    struct scene s = begin();
    uint32_t relid = s.ch->offer.relid;

    bench_hv_synic(s.b, 0, false);
    vg_try_teardown(s.g, relid, 0x1234);
    echo_destroy(s.b);
    echo_recreate(s.b);
    bench_hv_synic(s.b, 0, true);
    s.g->queued = 0;
    vg_unload(s.g);
    CHECK(vg_contact(s.g, VG_5_3, 0));
    vg_request_offers(s.g);
    s.other = vg_open(s.g, vg_offer(s.g, &echo_type, 1), 4);
    end(&s);
}

TEST(wild_contacts)
{
    struct bench *b = echo_bench(2);
    struct vmbus_guest *g = vg_new(b);
    struct vmbus_contact m = { .version = VG_5_3,
                               .target_vp = UINT32_MAX,
                               .interrupt_page = UINT64_MAX,
                               .monitor_page = { UINT64_MAX, UINT64_MAX } };
    struct vmbus_version_response r;

    CHECK_EQ(vg_post(g, VMBUS_CONTACT, &m, sizeof(m)), 0);
    CHECK(vg_take(g, VMBUS_VERSION_RESPONSE, &r, sizeof(r)));
    CHECK_EQ(r.supported, 1);
    for (uint32_t i = 0; i < 200; i++) {
        m.version = i * 0x10001u;
        m.target_vp = i % 3;
        m.interrupt_page = i;
        CHECK_EQ(vg_post(g, VMBUS_CONTACT, &m, sizeof(m)), 0);
        bench_hv_synic(b, 0, true);
        bench_hv_synic(b, 1, true);
    }
    CHECK(vg_contact(g, VG_5_3, 1));
    vg_end(g);
    bench_destroy(b);
}

TEST(offers_asked_for_twice)
{
    struct scene s = begin();

    CHECK_EQ(vg_post(s.g, VMBUS_REQUEST_OFFERS, NULL, 0), 0);
    vg_poll(s.g); /* fails when a channel is offered again */
    end(&s);
}

/* --- GPADLs --------------------------------------------------------------*/

static const struct {
    uint32_t range_bytes, range_count;
    uint64_t words[8];
    bool good;
} gpadls[] = {
    { 16, 1, { 4096, 0x500 }, true },
    { 16, 1, { 1, 0x500 }, true },
    { 16, 1, { 0xfffull << 32 | 1, 0x500 }, true },
    { 24, 1, { 0xfffull << 32 | 2, 0x500, 0x501 }, true },
    { 32, 2, { 4096, 0x500, 4096, 0x500 }, true }, /* the same page twice */
    { 16, 1, { 4096, 0xffffffff }, true },         /* found out by access */
    { 0, 1, { 0 }, false },
    { 16, 0, { 4096, 0x500 }, false },
    { 16, 65535, { 4096, 0x500 }, false },
    { 12, 1, { 4096, 0x500 }, false },
    { 8, 1, { 4096 }, false },
    { 8, 1, { 0 }, false },
    { 16, 1, { 0, 0x500 }, false },
    { 16, 1, { 4097, 0x500 }, false },
    { 16, 1, { 0xfffull << 32 | 2, 0x500 }, false },
    { 16, 1, { 0x1000ull << 32 | 1, 0x500 }, false },
    { 16, 1, { 0xffffffffull << 32 | 4096, 0x500 }, false },
    { 16, 1, { 0xffffffff, 0x500 }, false },
    { 16, 1, { UINT64_MAX, 0x500 }, false },
    { 16, 1, { 4096, 1ull << 40 }, false },
    { 16, 1, { 4096, UINT64_MAX }, false },
    { 24, 1, { 4096, 0x500, 0x501 }, false }, /* a page too many */
    { 24, 2, { 4096, 0x500, 4096 }, false },
    { 32, 1, { 4096, 0x500, 4096, 0x500 }, false },
};

TEST_P(gpadl_shapes, gpadls)
{
    struct scene s = begin();
    uint32_t status = vg_try_gpadl(s.g, s.ch->offer.relid, 0x55, row->words,
                                   row->range_bytes, row->range_count);

    CHECK_EQ(status == 0, row->good);
    CHECK_NE(status, UINT32_MAX);
    if (row->good)
        CHECK(vg_try_teardown(s.g, s.ch->offer.relid, 0x55));
    end(&s);
}

TEST(gpadl_ids_and_channels_that_are_taken)
{
    struct scene s = begin();
    uint64_t words[2] = { 4096, 0x500 };
    uint32_t relid = s.ch->offer.relid;

    CHECK_EQ(vg_try_gpadl(s.g, relid, 9, words, 16, 1), 0);
    CHECK_NE(vg_try_gpadl(s.g, relid, 9, words, 16, 1), 0);
    CHECK_EQ(vg_try_gpadl(s.g, s.other->offer.relid, 9, words, 16, 1), 0);
    CHECK_NE(vg_try_gpadl(s.g, relid, s.ch->gpadl, words, 16, 1), 0);
    CHECK_NE(vg_try_gpadl(s.g, 0, 10, words, 16, 1), 0);
    CHECK_NE(vg_try_gpadl(s.g, 500, 10, words, 16, 1), 0);
    CHECK_NE(vg_try_gpadl(s.g, UINT32_MAX, 10, words, 16, 1), 0);
    CHECK(vg_try_teardown(s.g, relid, 9));
    CHECK(vg_try_teardown(s.g, s.other->offer.relid, 9));
    end(&s);
}

/* Memory and handles are bounded, and come back. */
TEST(gpadls_without_end)
{
    struct scene s = begin();
    uint32_t relid = s.ch->offer.relid, n, status = 0;
    uint64_t *words = g_new0(uint64_t, 8191);

    for (uint32_t round = 0; round < 2; round++) {
        words[0] = 4096;
        for (n = 0; n < 5000 && !status; n++)
            status = vg_try_gpadl(s.g, relid, 0x10000 + n, words, 16, 1);
        CHECK_GT(n, 1000);
        CHECK_LT(n, 5000);
        for (uint32_t i = 0; i < n - 1; i++)
            CHECK(vg_try_teardown(s.g, relid, 0x10000 + i));
        words[0] = 8190 * 4096;
        status = 0;
        for (n = 0; n < 100 && !status; n++)
            status = vg_try_gpadl(s.g, relid, 0x10000 + n, words, 8191 * 8, 1);
        CHECK_GT(n, 10);
        CHECK_LT(n, 100);
        for (uint32_t i = 0; i < n - 1; i++)
            CHECK(vg_try_teardown(s.g, relid, 0x10000 + i));
        status = 0;
    }
    g_free(words);
    end(&s);
}

TEST(gpadls_that_are_never_finished)
{
    struct scene s = begin();
    struct vmbus_gpadl_header h = { s.ch->offer.relid, 0, 8000, 1 };
    struct vmbus_gpadl_created r;
    unsigned n = 0;

    for (h.gpadl = 1; h.gpadl < 1000; h.gpadl++) {
        CHECK_EQ(vg_post(s.g, VMBUS_GPADL_HEADER, &h, sizeof(h)), 0);
        n += vg_take(s.g, VMBUS_GPADL_CREATED, &r, sizeof(r));
    }
    CHECK_GT(n, 500);
    CHECK_NE(r.status, 0);
    /* Bodies and teardowns of what is not there. */
    struct vmbus_gpadl_body body = { 1, 5000 };
    CHECK_EQ(vg_post(s.g, VMBUS_GPADL_BODY, &body, sizeof(body)), 0);
    struct vmbus_gpadl_teardown t = { s.ch->offer.relid, 1 };
    CHECK_EQ(vg_post(s.g, VMBUS_GPADL_TEARDOWN, &t, sizeof(t)), 0);
    end(&s);
}

/* --- opens ---------------------------------------------------------------*/

static const struct {
    uint32_t pages, split, vp;
    bool good;
} opens[] = {
    { 4, 2, 0, true },           { 4, 2, VMBUS_NO_INTERRUPT, true },
    { 9, 2, 1, true },           { 9, 7, 1, true },
    { 4, 1, 0, false },          { 4, 3, 0, false },
    { 4, 4, 0, false },          { 4, 0, 0, false },
    { 3, 2, 0, false },          { 1, 0, 0, false },
    { 4, UINT32_MAX, 0, false }, { 4, 2, 2, false },
    { 4, 2, 0xfffffffe, false },
};

static uint32_t open_with(struct scene *s, uint32_t gpadl, uint32_t split,
                          uint32_t vp)
{
    struct vmbus_open m = { .relid = s->ch->offer.relid,
                            .gpadl = gpadl,
                            .target_vp = vp,
                            .downstream_page = split };
    struct vmbus_open_result r = { .status = UINT32_MAX };

    CHECK_EQ(vg_post(s->g, VMBUS_OPEN, &m, sizeof(m)), 0);
    CHECK(vg_take(s->g, VMBUS_OPEN_RESULT, &r, sizeof(r)));
    return r.status;
}

TEST_P(open_shapes, opens)
{
    struct scene s = begin();
    struct vg_channel *first = s.ch;
    uint64_t pages[16];

    for (uint32_t i = 0; i < row->pages; i++)
        pages[i] = vg_page(s.g, NULL);
    uint32_t id = vg_gpadl(s.g, first->offer.relid, pages, row->pages);
    CHECK_NE(open_with(&s, id, row->split, row->vp), 0); /* it is open */
    struct vmbus_relid m = { first->offer.relid };
    CHECK_EQ(vg_post(s.g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    CHECK_EQ(open_with(&s, id, row->split, row->vp) == 0, row->good);
    end(&s);
}

static const struct {
    uint64_t words[8];
    uint32_t bytes, count;
    uint32_t in, out;
} rings[] = {
    /* Part of a page; two ranges; pages that are no memory; wild indices */
    { { 0x800ull << 32 | 3 * 4096, 0x500, 0x501, 0x502, 0x503 }, 40, 1, 0, 0 },
    { { 2 * 4096, 0x500, 0x501, 2 * 4096, 0x502, 0x503 }, 48, 2, 0, 0 },
    { { 4 * 4096, 0xfffff, 0xfffff, 0xfffff, 0xfffff }, 40, 1, 0, 0 },
    { { 4 * 4096, 0x500, 0x501, 0x502, 0xffffffffff }, 40, 1, 0, 0 },
    { { 4 * 4096, 0x500, 0x501, 0x502, 0x503 }, 40, 1, 4096, 0 },
    { { 4 * 4096, 0x500, 0x501, 0x502, 0x503 }, 40, 1, 0, 4 },
};

TEST_P(opens_that_cannot_work, rings)
{
    struct scene s = begin();
    struct vmbus_relid m = { s.ch->offer.relid };

    CHECK_EQ(vg_post(s.g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    CHECK_EQ(vg_try_gpadl(s.g, m.relid, 3, row->words, row->bytes, row->count),
             0);
    *(uint32_t *)vg_ram(s.g, 0x502000) = row->in;
    *(uint32_t *)vg_ram(s.g, 0x500004) = row->out;
    CHECK_NE(open_with(&s, 3, 2, 0), 0);
    CHECK(vg_try_teardown(s.g, m.relid, 3));
    end(&s);
}

/* All of a ring in one page, and both rings in the pages of another's. */
TEST(overlapping_rings)
{
    struct scene s = begin();
    struct vmbus_relid m = { s.ch->offer.relid };
    uint64_t words[5] = { 4 * 4096 };

    CHECK_EQ(vg_post(s.g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    for (int i = 1; i < 5; i++)
        words[i] = 0x600;
    CHECK_EQ(vg_try_gpadl(s.g, m.relid, 3, words, 40, 1), 0);
    CHECK_EQ(open_with(&s, 3, 2, 0), 0);
    for (uint32_t i = 0; i < 2000; i++) {
        *(uint32_t *)vg_ram(s.g, 0x600000 + i * 52 % 4096 / 4 * 4) = i * 8;
        *(uint32_t *)vg_ram(s.g, 0x600000) = i * 8 % 4096;
        vg_signal(s.ch);
    }
    CHECK_EQ(vg_post(s.g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    CHECK(vg_try_teardown(s.g, m.relid, 3));
    end(&s);
}

/* --- rings ---------------------------------------------------------------*/

static const uint32_t indices[] = {
    1,          4,          7,          3 * 4096,   3 * 4096 + 8,
    0x7fffffff, 0x80000000, 0xfffffff8, UINT32_MAX,
};

TEST_P(wild_write_index, indices)
{
    struct scene s = begin();

    vg_ring_out(s.ch)->in = *row;
    vg_signal(s.ch);
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    /* It stays like this until it is opened again. */
    vg_ring_out(s.ch)->in = 0;
    CHECK(vg_send(s.ch, 1, "x", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    vg_close(s.ch);
    end(&s);
}

TEST_P(wild_read_index, indices)
{
    struct scene s = begin();

    echo_set_mode(s.b, ECHO_SEND);
    vg_ring_in(s.ch)->out = *row;
    for (int i = 0; i < 500; i++)
        vg_send(s.ch, 1, "xxxxxxxxxxxxxxxxx", 17, true);
    vg_close(s.ch);
    end(&s);
}

static const struct {
    uint16_t offset8, length8;
    uint32_t in;
} lengths[] = {
    { 0, 3, 64 }, { 1, 3, 64 }, { 4, 3, 64 },        { 2, 1, 64 },
    { 2, 0, 64 }, { 2, 8, 64 }, { 2, 7, 56 },        { 2, 0xffff, 64 },
    { 2, 3, 8 },  { 2, 3, 16 }, { 2, 0x2001, 4096 }, { 0xffff, 0xffff, 64 },
};

TEST_P(wild_packet_lengths, lengths)
{
    struct scene s = begin();
    struct ring_descriptor d = { .type = BP_VMBUS_INBAND,
                                 .offset8 = row->offset8,
                                 .length8 = row->length8 };

    vg_poke(s.ch, false, 0, &d, sizeof(d));
    vg_ring_out(s.ch)->in = row->in;
    vg_signal(s.ch);
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    vg_close(s.ch);
    end(&s);
}

static const struct {
    uint64_t head[6];
    uint32_t bytes;
} direct[] = {
    { { 0 }, 0 },
    { { 1ull << 32 }, 8 },
    { { 0xffffffffull << 32, 4096, 0x500 }, 24 },
    { { 2ull << 32, 4096, 0x500 }, 24 },
    { { 1ull << 32, 8192, 0x500 }, 24 },
    { { 1ull << 32, 0xffffffff, 0x500 }, 24 },
    { { 1ull << 32, 0x1000ull << 32 | 16, 0x500, 0x500 }, 32 },
    { { 1ull << 32, 0xffffffffull << 32 | 16, 0x500, 0x500 }, 32 },
    { { 1ull << 32, 4096, 1ull << 40 }, 24 },
    { { 1ull << 32, 4096, UINT64_MAX }, 24 },
};

TEST_P(wild_ranges, direct)
{
    struct scene s = begin();
    struct ring_descriptor d = { .type = BP_VMBUS_GPA_DIRECT };
    struct vg_packet p;

    CHECK(vg_send_raw(s.ch, &d, row->head, row->bytes, "x", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    /* The ring goes on behind it. */
    CHECK(vg_send(s.ch, 2, "y", 1, true));
    vg_completion(s.ch, 2, &p);
    vg_close(s.ch);
    end(&s);
}

TEST(ranges_of_no_bytes)
{
    struct scene s = begin();
    struct ring_descriptor d = { .type = BP_VMBUS_GPA_DIRECT };
    uint64_t head[] = { 3ull << 32, 0, 0, 0xfffull << 32 };

    CHECK(vg_send_raw(s.ch, &d, head, sizeof(head), "x", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 1);
    CHECK_EQ(echo_of(s.b, 0)->last.range_bytes, 0);
    end(&s);
}

TEST(packets_of_unknown_types)
{
    struct scene s = begin();
    struct vg_packet p;

    for (uint32_t t = 0; t < 300; t++) {
        struct ring_descriptor d = { .type = (uint16_t)(t < 256 ? t : t * 77) };
        if (d.type == BP_VMBUS_INBAND || d.type == BP_VMBUS_GPA_DIRECT ||
            d.type == BP_VMBUS_COMPLETION)
            continue;
        CHECK(vg_send_raw(s.ch, &d, NULL, 0, "xxxxxxxxxxxxxxxx", 16, true));
    }
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    CHECK(vg_send(s.ch, 2, "y", 1, true));
    vg_completion(s.ch, 2, &p);
    end(&s);
}

TEST(a_device_that_refuses_packets)
{
    struct scene s = begin();

    echo_set_mode(s.b, ECHO_REFUSE);
    for (int i = 0; i < 500; i++)
        CHECK(vg_send(s.ch, 2, "y", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 500);
    end(&s);
}

/* The guest never reads completions of requests that the device holds. */
TEST(completions_are_not_kept_without_end)
{
    struct scene s = begin();

    for (int i = 0; i < 20; i++) {
        echo_set_mode(s.b, ECHO_HOLD);
        for (int k = 0; k < 2000; k++)
            vg_send(s.ch, 1, "x", 1, true);
        echo_finish(s.b);
    }
    vg_close(s.ch);
    end(&s);
}
