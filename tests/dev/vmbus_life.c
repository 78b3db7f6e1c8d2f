/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may happen to a channel at the same time: rescind, close, unload,
 * contact, reset, saving, in each order; full rings; sub-channels; buffers.
 */
#include "tests/lib/saved_section.h"
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
    struct vg_channel *ch;
};

static struct scene begin(void)
{
    struct scene s = { .b = echo_bench(2) };

    s.g = vg_connect(s.b, VG_5_3);
    s.ch = vg_open(s.g, vg_offer(s.g, &echo_type, 0), 4);
    return s;
}

static void end(struct scene *s)
{
    vg_end(s->g);
    bench_destroy(s->b);
}

static void post_relid(struct scene *s, uint32_t type)
{
    struct vmbus_relid m = { s->ch->offer.relid };

    CHECK_EQ(vg_post(s->g, type, &m, sizeof(m)), 0);
}

/* The bus works again, from the contact on. */
static void works(struct scene *s)
{
    struct vg_packet p;

    CHECK(vg_contact(s->g, VG_5_3, 0));
    vg_request_offers(s->g);
    s->ch = vg_open(s->g, vg_offer(s->g, &echo_type, 0), 4);
    echo_set_mode(s->b, ECHO_COMPLETE);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(vg_send(s->ch, i, "works", 5, true));
        vg_completion(s->ch, i, &p);
    }
    vg_close(s->ch);
    vg_unload(s->g);
}

/* --- closing -------------------------------------------------------------*/

TEST(rings_come_back_when_the_device_is_done)
{
    struct scene s = begin();

    echo_of(s.b, 0)->slow_close = true;
    post_relid(&s, VMBUS_CLOSE);
    CHECK_EQ(echo_of(s.b, 0)->closing, 1);
    CHECK(!vg_try_teardown(s.g, s.ch->offer.relid, s.ch->gpadl));
    echo_close_done(s.b);
    struct vmbus_gpadl_torndown r;
    CHECK(vg_take(s.g, VMBUS_GPADL_TORNDOWN, &r, sizeof(r)));
    CHECK_EQ(r.gpadl, s.ch->gpadl);
    echo_of(s.b, 0)->slow_close = false;
    works(&s);
    end(&s);
}

TEST(teardown_of_open_rings_waits_for_the_close)
{
    struct scene s = begin();

    CHECK(!vg_try_teardown(s.g, s.ch->offer.relid, s.ch->gpadl));
    CHECK(vg_send(s.ch, 1, "x", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 1);
    post_relid(&s, VMBUS_CLOSE);
    CHECK(vg_take(s.g, VMBUS_GPADL_TORNDOWN, NULL, 0));
    works(&s);
    end(&s);
}

TEST(nothing_is_sent_into_a_closed_channel)
{
    struct scene s = begin();

    echo_set_mode(s.b, ECHO_HOLD);
    CHECK(vg_send(s.ch, 1, "x", 1, true));
    CHECK(vg_send(s.ch, 2, "x", 1, true));
    struct echo *e = echo_of(s.b, 0);
    uint32_t in = vg_ring_in(s.ch)->in;
    e->slow_close = true;
    post_relid(&s, VMBUS_CLOSE);
    e->vmbus->complete(e->ch, 1, "late", 4);
    struct bp_vmbus_send send = { .size = sizeof(send),
                                  .type = BP_VMBUS_INBAND };
    CHECK_EQ(e->vmbus->send(e->ch, &send), -ENOTCONN);
    CHECK_EQ(e->vmbus->can_send(e->ch, 8), 0);
    CHECK_EQ(vg_ring_in(s.ch)->in, in);
    CHECK_EQ(bench_hv_signal(s.b, s.ch->offer.connection, 0), -ENOENT);
    echo_close_done(s.b);
    end(&s);
}

/* Each thing that may end a channel, at each point of its life. */
enum ending { CLOSE, UNLOAD, CONTACT, RESET, DESTROY, RELOAD, ENDINGS };
static const struct {
    enum ending first, then;
    bool slow;
} endings[] = {
#define ROWS(a)                                                           \
    { a, CLOSE, false }, { a, UNLOAD, false }, { a, CONTACT, false },     \
        { a, RESET, false }, { a, DESTROY, false }, { a, RELOAD, false }, \
        { a, CLOSE, true }, { a, UNLOAD, true }, { a, CONTACT, true },    \
        { a, RESET, true }, { a, DESTROY, true },                         \
    {                                                                     \
        a, RELOAD, true                                                   \
    }
    ROWS(CLOSE), ROWS(UNLOAD), ROWS(CONTACT), ROWS(RESET), ROWS(DESTROY),
};

static void do_ending(struct scene *s, enum ending how)
{
    struct vmbus_contact m = { .version = VG_5_3, .interrupt_page = 2 };

    switch (how) {
    case CLOSE: post_relid(s, VMBUS_CLOSE); break;
    case UNLOAD: vg_post(s->g, VMBUS_UNLOAD, NULL, 0); break;
    case CONTACT: vg_post(s->g, VMBUS_CONTACT, &m, sizeof(m)); break;
    case RESET: bench_reset(s->b, BP_RESET_COLD); break;
    case DESTROY:
        if (echo_of(s->b, 0)->ch)
            echo_destroy(s->b);
        break;
    case RELOAD: bench_save_load(s->b); break;
    case ENDINGS: break;
    }
}

TEST_P(endings_in_each_order, endings)
{
    struct scene s = begin();

    test_note("%d then %d, slow %d", row->first, row->then, row->slow);
    echo_set_mode(s.b, ECHO_HOLD);
    CHECK(vg_send(s.ch, 1, "x", 1, true));
    echo_of(s.b, 0)->slow_close = row->slow;
    do_ending(&s, row->first);
    do_ending(&s, row->then);
    if (row->slow && echo_of(s.b, 0)->ch)
        echo_close_done(s.b);
    echo_of(s.b, 0)->slow_close = false;
    if (!echo_of(s.b, 0)->ch)
        echo_recreate(s.b);
    works(&s);
    end(&s);
}

/* --- rescind -------------------------------------------------------------*/

TEST(a_destroyed_channel_is_rescinded_and_comes_again)
{
    struct scene s = begin();
    uint32_t relid = s.ch->offer.relid;

    echo_destroy(s.b);
    CHECK(vg_is_rescinded(s.g, relid));
    CHECK(!vg_try_offer(s.g, &echo_type, 0));
    echo_recreate(s.b);
    const struct vmbus_offer *o = vg_offer(s.g, &echo_type, 0);
    CHECK_NE(o->relid, relid);
    CHECK(vg_try_teardown(s.g, relid, s.ch->gpadl));
    vg_release(s.g, relid);
    vg_close(vg_open(s.g, o, 2));
    echo_destroy(s.b);
    vg_release(s.g, o->relid);
    echo_recreate(s.b);
    CHECK_EQ(vg_offer(s.g, &echo_type, 0)->relid, relid);
    end(&s);
}

TEST(a_channel_destroyed_by_its_own_packet)
{
    struct scene s = begin();

    echo_set_mode(s.b, ECHO_DESTROY);
    for (int i = 0; i < 5; i++)
        CHECK(vg_send_raw(s.ch, &(struct ring_descriptor){ .type = 6 }, NULL, 0,
                          "x", 1, i == 4));
    vg_signal(s.ch);
    CHECK_EQ(echo_of(s.b, 0)->packets, 1);
    CHECK(vg_is_rescinded(s.g, s.ch->offer.relid));
    echo_recreate(s.b);
    works(&s);
    end(&s);
}

TEST(open_of_a_channel_that_is_going)
{
    struct bench *b = echo_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_5_3);
    const struct vmbus_offer o = *vg_offer(g, &echo_type, 0);
    uint32_t status;

    echo_destroy(b);
    CHECK(!vg_try_open(g, &o, 4, 0, NULL, &status));
    CHECK_NE(status, 0);
    vg_release(g, o.relid);
    /* Nothing of it is left. */
    struct vmbus_relid m = { o.relid };
    CHECK_EQ(vg_post(g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    vg_end(g);
    bench_destroy(b);
}

/* --- full rings ----------------------------------------------------------*/

TEST(completions_wait_for_room_and_packets_for_them)
{
    struct scene s = begin();
    struct vg_packet p;
    uint64_t sent = 0, done = 0;
    uint8_t data[200] = "";

    /* The guest does not read: what goes in ends somewhere. */
    while (vg_send(s.ch, sent, data, sizeof(data), true))
        CHECK_LT(++sent, 1000);
    unsigned taken = echo_of(s.b, 0)->packets;
    CHECK_LT(taken, sent);
    CHECK_GT(vg_ring_in(s.ch)->pending, 0);
    for (; done < sent; done++)
        vg_completion(s.ch, done, &p);
    CHECK_EQ(echo_of(s.b, 0)->packets, sent);
    CHECK_EQ(vg_ring_in(s.ch)->pending, 0);
    CHECK(vg_send(s.ch, 7, "again", 5, true));
    vg_completion(s.ch, 7, &p);
    end(&s);
}

TEST(held_requests_complete_into_a_full_ring)
{
    struct scene s = begin();
    struct vg_packet p;
    char big[2048] = "";

    echo_set_mode(s.b, ECHO_HOLD);
    for (uint64_t i = 0; i < 1000; i++)
        CHECK(vg_send(s.ch, i, "x", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 1000);
    echo_finish(s.b);
    echo_set_mode(s.b, ECHO_COMPLETE);
    bench_save_load(s.b);
    for (uint64_t i = 0; i < 500; i++)
        vg_completion(s.ch, i, &p);
    bench_save_load(s.b);
    CHECK(vg_send(s.ch, 1000, big, sizeof(big), true));
    for (uint64_t i = 500; i <= 1000; i++)
        vg_completion(s.ch, i, &p);
    CHECK(!vg_receive(s.ch, &p));
    end(&s);
}

static void fill(struct echo *e, void *arg)
{
    struct bp_iovec iov = { e->data, 100 };
    struct bp_vmbus_send m = {
        .size = sizeof(m), .type = BP_VMBUS_INBAND, .iov = &iov, .iov_count = 1
    };
    unsigned *n = arg;
    int32_t rc;

    while ((rc = e->vmbus->send(e->ch, &m)) == 0)
        ++*n;
    CHECK_EQ(rc, -EAGAIN);
    CHECK(!e->vmbus->can_send(e->ch, 8));
}

TEST(writable_comes_once_there_is_room)
{
    struct scene s = begin();
    struct vg_packet p;
    unsigned n = 0;

    echo_do(s.b, 0, fill, &n);
    CHECK_EQ(n, (3 * 4096 - 1) / (16 + 104 + 8));
    CHECK_EQ(echo_of(s.b, 0)->writable, 0);
    for (unsigned i = 0; i < n; i++)
        CHECK(vg_receive(s.ch, &p));
    CHECK_EQ(echo_of(s.b, 0)->writable, 1);
    CHECK(!vg_receive(s.ch, &p));
    /* And over a restore. */
    n = 0;
    echo_do(s.b, 0, fill, &n);
    bench_save_load(s.b);
    CHECK(vg_receive(s.ch, &p) && vg_receive(s.ch, &p));
    CHECK_EQ(echo_of(s.b, 0)->writable, 1);
    end(&s);
}

static void count_unread(struct echo *e, void *arg)
{
    *(int32_t *)arg = e->vmbus->unread(e->ch);
}

TEST(unread_is_what_the_guest_left)
{
    struct scene s = begin();
    struct vg_packet p;
    int32_t bytes;
    unsigned n = 0;

    echo_do(s.b, 0, count_unread, &bytes);
    CHECK_EQ(bytes, 0);
    echo_do(s.b, 0, fill, &n);
    echo_do(s.b, 0, count_unread, &bytes);
    CHECK_EQ(bytes, n * (16 + 104 + 8));
    CHECK(vg_receive(s.ch, &p));
    echo_do(s.b, 0, count_unread, &bytes);
    CHECK_EQ(bytes, (n - 1) * (16 + 104 + 8));
    /* An index that makes no sense changes nothing. */
    vg_ring_in(s.ch)->out = 0x7ffffff8;
    echo_do(s.b, 0, count_unread, &bytes);
    CHECK_EQ(bytes, (n - 1) * (16 + 104 + 8));
    end(&s);
}

static void too_large(struct echo *e, void *arg)
{
    struct bp_iovec iov = { e->data, 3 * 4096 };
    struct bp_vmbus_send m = {
        .size = sizeof(m), .type = BP_VMBUS_INBAND, .iov = &iov, .iov_count = 1
    };

    (void)arg;
    CHECK_EQ(e->vmbus->send(e->ch, &m), -EMSGSIZE);
    iov.bytes = 1u << 30;
    CHECK_EQ(e->vmbus->send(e->ch, &m), -EMSGSIZE);
}

TEST(packets_larger_than_the_ring_are_refused)
{
    struct scene s = begin();

    echo_do(s.b, 0, too_large, NULL);
    end(&s);
}

static void send_pieces(struct echo *e, void *arg)
{
    static const struct bp_vmbus_piece piece[] = { { 60, 0 }, { 1514, 4096 } };
    char head[] = "hea", tail[] = "der";
    struct bp_iovec iov[] = { { head, 3 }, { tail, 4 } };
    struct bp_vmbus_send m = { .size = sizeof(m),
                               .type = BP_VMBUS_TRANSFER_PAGES,
                               .flags = BP_VMBUS_WANTS_COMPLETION,
                               .transaction = 99,
                               .iov = iov,
                               .iov_count = 2,
                               .set = 0xcafe,
                               .piece_count = 2,
                               .pieces = piece };

    (void)arg;
    CHECK_EQ(e->vmbus->send(e->ch, &m), 0);
}

TEST(transfer_pages)
{
    struct scene s = begin();
    struct vg_packet p;

    echo_do(s.b, 0, send_pieces, NULL);
    CHECK(vg_receive(s.ch, &p));
    CHECK_EQ(p.type, BP_VMBUS_TRANSFER_PAGES);
    CHECK_EQ(p.flags, BP_VMBUS_WANTS_COMPLETION);
    CHECK_EQ(p.set, 0xcafe);
    CHECK_EQ(p.piece_count, 2);
    CHECK_EQ(p.pieces[1].bytes, 1514);
    CHECK_EQ(p.pieces[1].offset, 4096);
    CHECK_MEM_EQ(p.data, "header", 7);
    CHECK(vg_send_completion(s.ch, 99, "ok", 2));
    CHECK_EQ(echo_of(s.b, 0)->last.type, BP_VMBUS_COMPLETION);
    CHECK_EQ(echo_of(s.b, 0)->last.transaction, 99);
    end(&s);
}

/* --- flow of packets -----------------------------------------------------*/

TEST(a_busy_device_gets_the_packet_again)
{
    struct scene s = begin();
    struct vg_packet p;

    echo_set_mode(s.b, ECHO_BUSY);
    for (uint64_t i = 0; i < 10; i++)
        CHECK(vg_send(s.ch, i, "x", 1, true));
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    bench_save_load(s.b);
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    echo_set_mode(s.b, ECHO_COMPLETE);
    for (uint64_t i = 0; i < 10; i++)
        vg_completion(s.ch, i, &p);
    end(&s);
}

TEST(the_host_tells_of_room_when_it_is_asked)
{
    struct scene s = begin();

    echo_set_mode(s.b, ECHO_BUSY);
    while (vg_send(s.ch, 1, "x", 1, false))
        ;
    vg_interrupted(s.ch);
    echo_set_mode(s.b, ECHO_COMPLETE);
    CHECK(vg_interrupted(s.ch));
    CHECK(vg_send(s.ch, 1, "x", 1, false));
    end(&s);
}

TEST(more_packets_than_a_turn_takes)
{
    struct scene s = begin();

    echo_set_mode(s.b, ECHO_BUSY);
    for (int i = 0; i < 300; i++)
        CHECK(vg_send(s.ch, 1, "x", 1, false));
    echo_set_mode(s.b, ECHO_COMPLETE);
    CHECK_EQ(echo_of(s.b, 0)->packets, 300);
    CHECK_EQ(vg_ring_out(s.ch)->mask, 0);
    end(&s);
}

/* --- sub-channels --------------------------------------------------------*/

TEST(sub_channels_come_and_go)
{
    struct scene s = begin();

    echo_add_sub(s.b);
    echo_add_sub(s.b);
    struct vg_channel *one =
        vg_open(s.g, vg_subchannel(s.g, &s.ch->offer, 1), 4);
    struct vg_channel *two =
        vg_open(s.g, vg_subchannel(s.g, &s.ch->offer, 2), 4);
    CHECK(vg_send(two, 1, "two", 3, false));
    CHECK(vg_send(one, 1, "one", 3, false));
    CHECK_MEM_EQ(echo_of(s.b, 0)->data, "one", 3);
    bench_save_load(s.b);
    CHECK(vg_send(two, 1, "two", 3, false));
    CHECK_MEM_EQ(echo_of(s.b, 0)->data, "two", 3);
    CHECK_EQ(echo_of(s.b, 0)->packets, 1);
    vg_close(one);
    bench_reset(s.b, BP_RESET_COLD);
    CHECK(vg_contact(s.g, VG_5_3, 0));
    vg_request_offers(s.g);
    CHECK_EQ(s.g->offers, 1);
    end(&s);
}

/* Whatever ids they have. */
TEST(a_device_is_offered_before_its_sub_channels)
{
    struct scene s = begin();
    uint32_t relid = s.ch->offer.relid;

    echo_destroy(s.b);
    vg_poll(s.g);
    echo_recreate(s.b);
    vg_release(s.g, relid);
    echo_add_sub(s.b);
    CHECK(vg_contact(s.g, VG_5_3, 0));
    vg_request_offers(s.g);
    CHECK_EQ(s.g->offers, 2);
    CHECK_EQ(s.g->offer[0].subchannel, 0);
    CHECK_EQ(s.g->offer[1].subchannel, 1);
    CHECK_LT(s.g->offer[1].relid, s.g->offer[0].relid);
    end(&s);
}

/* --- TL connect ----------------------------------------------------------*/

static struct vmbus_tl_connect tl_connect(struct vmbus_guest *g)
{
    struct vmbus_tl_connect m = { { { 1, 2, 3 } }, { { 4, 5, 6 } } };

    CHECK_EQ(vg_post(g, VMBUS_TL_CONNECT, &m, sizeof(m)), 0);
    return m;
}

TEST(a_device_answers_connects)
{
    struct scene s = begin();
    struct vmbus_tl_connect m = tl_connect(s.g);
    struct vmbus_tl_result r;

    CHECK_EQ(echo_of(s.b, 0)->connects, 1);
    CHECK_MEM_EQ(&echo_of(s.b, 0)->endpoint, &m.endpoint, 16);
    CHECK_MEM_EQ(&echo_of(s.b, 0)->service, &m.service, 16);
    CHECK(!vg_take(s.g, VMBUS_TL_RESULT, &r, sizeof(r)));
    echo_connect_result(s.b, STATUS_CONNECTION_REFUSED);
    CHECK(vg_take(s.g, VMBUS_TL_RESULT, &r, sizeof(r)));
    CHECK_MEM_EQ(&r.endpoint, &m.endpoint, 16);
    CHECK_EQ(r.status, STATUS_CONNECTION_REFUSED);
    /* Nobody waits for a second answer, nor for one to who left. */
    echo_connect_result(s.b, 0);
    CHECK(!vg_take(s.g, VMBUS_TL_RESULT, &r, sizeof(r)));
    tl_connect(s.g);
    vg_unload(s.g);
    echo_connect_result(s.b, 0);
    CHECK(!vg_take(s.g, VMBUS_TL_RESULT, &r, sizeof(r)));
    works(&s);
    end(&s);
}

TEST(connects_that_nobody_answers_are_bounded)
{
    struct scene s = begin();
    struct vmbus_tl_connect m = { .service = { { 9 } } };
    int32_t rc = 0;
    unsigned n;

    for (n = 0; n < 1000 && rc == 0; n++)
        rc = vg_post(s.g, VMBUS_TL_CONNECT, &m, sizeof(m));
    CHECK_EQ(rc, -EAGAIN);
    CHECK_LT(n, 100);
    for (unsigned i = 0; i < n - 1; i++)
        echo_connect_result(s.b, 0);
    for (unsigned i = 0; i < n - 1; i++)
        CHECK(vg_take(s.g, VMBUS_TL_RESULT, NULL, 0));
    end(&s);
}

TEST(connects_without_sockets_are_refused)
{
    struct bench *b = vg_bench(1);
    struct vmbus_guest *g = vg_connect(b, VG_4_0);
    struct vmbus_tl_result r;

    tl_connect(g);
    CHECK(vg_take(g, VMBUS_TL_RESULT, &r, sizeof(r)));
    CHECK_EQ(r.status, STATUS_CONNECTION_REFUSED);
    CHECK(vg_contact(g, VG_3_0, 0));
    tl_connect(g);
    CHECK(!vg_take(g, VMBUS_TL_RESULT, &r, sizeof(r)));
    vg_end(g);
    bench_destroy(b);
}

/* --- target processor ----------------------------------------------------*/

static uint32_t modify(struct scene *s, uint32_t vp)
{
    struct vmbus_modify m = { s->ch->offer.relid, vp };
    struct vmbus_modify_response r = { 0, UINT32_MAX };

    CHECK_EQ(vg_post(s->g, VMBUS_MODIFY, &m, sizeof(m)), 0);
    vg_take(s->g, VMBUS_MODIFY_RESPONSE, &r, sizeof(r));
    return r.status;
}

TEST(the_target_processor_changes)
{
    struct scene s = begin();
    struct vg_packet p;

    CHECK_EQ(modify(&s, 1), 0);
    bench_hv_signals(s.b, 0);
    bench_hv_signals(s.b, 1);
    CHECK(vg_send(s.ch, 1, "x", 1, true));
    CHECK_EQ(bench_hv_signals(s.b, 0), 0);
    CHECK_EQ(bench_hv_signals(s.b, 1), 1);
    CHECK_NE(modify(&s, 2), 0); /* there is none */
    CHECK_EQ(modify(&s, VMBUS_NO_INTERRUPT), 0);
    vg_completion(s.ch, 1, &p);
    CHECK(vg_send(s.ch, 2, "x", 1, true));
    CHECK_EQ(bench_hv_signals(s.b, 1), 0);
    vg_completion(s.ch, 2, &p);
    end(&s);
}

/* --- buffers -------------------------------------------------------------*/

struct buffer_case {
    uint32_t id;
    struct bp_vmbus_buffer *b;
};

static void open_buffer(struct echo *e, void *arg)
{
    struct buffer_case *c = arg;

    c->b = e->vmbus->buffer_open(e->ch, c->id);
}

TEST(buffers_read_and_write_across_pages)
{
    struct scene s = begin();
    uint64_t page[5];
    uint8_t data[9000], back[9000];
    struct bp_gpa_range r[5];

    s.g->scattered = true;
    for (int i = 0; i < 5; i++)
        page[i] = vg_page(s.g, NULL);
    struct buffer_case c = { vg_gpadl(s.g, s.ch->offer.relid, page, 5), NULL };
    const struct bp_vmbus *v = echo_of(s.b, 0)->vmbus;
    echo_do(s.b, 0, open_buffer, &c);
    CHECK(c.b);
    CHECK_EQ(v->buffer_bytes(c.b), 5 * 4096);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 13);
    CHECK_EQ(v->buffer_write(c.b, 4000, data, sizeof(data)), 0);
    CHECK_EQ(v->buffer_read(c.b, 4000, back, sizeof(back)), 0);
    CHECK_MEM_EQ(data, back, sizeof(data));
    CHECK_MEM_EQ(vg_ram(s.g, page[0] + 4000), data, 96);
    CHECK_MEM_EQ(vg_ram(s.g, page[1]), data + 96, 4096);
    CHECK_EQ(v->buffer_ranges(c.b, 4000, 9000, r, 5), 4);
    CHECK_EQ(r[0].gpa, page[0] + 4000);
    CHECK_EQ(r[3].bytes, 9000 - 96 - 2 * 4096);
    CHECK_EQ(v->buffer_ranges(c.b, 4000, 9000, r, 3), -E2BIG);
    CHECK_EQ(v->buffer_read(c.b, 5 * 4096 - 1, back, 2), -ERANGE);
    CHECK_EQ(v->buffer_read(c.b, UINT64_MAX, back, 2), -ERANGE);
    CHECK_EQ(v->buffer_write(c.b, 5 * 4096, back, 0), 0);
    /* The guest takes it away. */
    CHECK(vg_try_teardown(s.g, s.ch->offer.relid, c.id));
    CHECK_EQ(v->buffer_read(c.b, 0, back, 1), -ENOENT);
    v->buffer_close(c.b);
    end(&s);
}

TEST(a_buffer_left_open_ends_with_its_channel)
{
    struct scene s = begin();
    uint64_t page = vg_page(s.g, NULL);
    struct buffer_case c = { vg_gpadl(s.g, s.ch->offer.relid, &page, 1), NULL };
    uint8_t byte;

    echo_do(s.b, 0, open_buffer, &c);
    CHECK(c.b);
    vg_close(s.ch);
    CHECK_EQ(echo_of(s.b, 0)->vmbus->buffer_read(c.b, 0, &byte, 1), -ENOENT);
    c.id = 77;
    echo_do(s.b, 0, open_buffer, &c);
    CHECK(!c.b);
    end(&s);
}

/* --- saving --------------------------------------------------------------*/

/* Two machines do the same, one is saved and loaded at each step. */
TEST(saving_at_each_step_changes_nothing)
{
    struct scene s[2] = { begin(), begin() };
    char *hash[2];
    struct vg_packet p;

    for (int step = 0; step < 12; step++) {
        for (int i = 0; i < 2; i++) {
            struct scene *c = &s[i];
            if (i)
                bench_save_load(c->b);
            switch (step) {
            case 0: echo_set_mode(c->b, ECHO_HOLD); break;
            case 1: CHECK(vg_send(c->ch, 1, "a", 1, true)); break;
            case 2: CHECK(vg_send(c->ch, 2, "b", 1, true)); break;
            case 3: echo_add_sub(c->b); break;
            case 4: vg_poll(c->g); break;
            case 5: echo_finish(c->b); break;
            case 6: vg_completion(c->ch, 1, &p); break;
            case 7: vg_completion(c->ch, 2, &p); break;
            case 8: vg_poll(c->g); break;
            case 9:
                echo_of(c->b, 0)->slow_close = true;
                post_relid(c, VMBUS_CLOSE);
                break;
            case 10:
                CHECK(!vg_try_teardown(c->g, c->ch->offer.relid, c->ch->gpadl));
                break;
            case 11: echo_close_done(c->b); break;
            }
            hash[i] = bench_hash(c->b);
        }
        test_note("step %d", step);
        CHECK_STR_EQ(hash[0], hash[1]);
        g_free(hash[0]);
        g_free(hash[1]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(vg_take(s[i].g, VMBUS_GPADL_TORNDOWN, NULL, 0));
        end(&s[i]);
    }
}

TEST(a_restored_guest_is_interrupted)
{
    struct scene s = begin();

    vg_interrupted(s.ch);
    bench_save_load(s.b);
    CHECK(vg_interrupted(s.ch));
    end(&s);
}

/* A packet that lay in the ring, and its signal was lost. */
TEST(a_restored_ring_is_looked_at)
{
    struct scene s = begin();
    struct ring_descriptor d = { .type = BP_VMBUS_INBAND };

    CHECK(vg_send_raw(s.ch, &d, NULL, 0, "x", 1, false));
    CHECK_EQ(echo_of(s.b, 0)->packets, 0);
    bench_save_load(s.b);
    bench_run(s.b);
    CHECK_EQ(echo_of(s.b, 0)->packets, 1);
    end(&s);
}

TEST(a_machine_is_saved_again_before_it_runs)
{
    struct scene s = begin();
    size_t bytes, again;

    echo_add_sub(s.b);
    vg_open(s.g, vg_subchannel(s.g, &s.ch->offer, 1), 4);
    for (int i = 0; i < 3; i++) {
        uint64_t page = vg_page(s.g, NULL);
        vg_gpadl(s.g, s.ch->offer.relid, &page, 1);
    }
    uint8_t *data = bench_save(s.b, &bytes);
    for (int i = 0; i < 3; i++) {
        CHECK(bench_try_load(s.b, data, bytes, NULL));
        g_free(data);
        data = bench_save(s.b, &again);
        CHECK_EQ(again, bytes);
    }
    g_free(data);
    bench_save_load(s.b);
    end(&s);
}

/* A state that wants the guest to be told of a channel that is gone: wherever
 * its flags (offered, gone) are, "to be offered" is added. */
TEST(a_channel_that_is_gone_is_not_offered_again)
{
    struct scene s = begin();
    unsigned tried = 0;
    size_t bytes;

    echo_destroy(s.b);
    CHECK(vg_is_rescinded(s.g, s.ch->offer.relid));
    uint8_t *data = bench_save(s.b, &bytes);
    struct saved_section bus = saved_section_of(data, bytes, "vmbus");
    for (size_t i = 0; i < bus.length; i++) {
        if (bus.content[i] != 0x09)
            continue;
        bus.content[i] |= 0x02;
        saved_section_seal(&bus);
        if (bench_try_load(s.b, data, bytes, NULL))
            bench_save_load(s.b);
        bus.content[i] = 0x09;
        tried++;
    }
    CHECK_GT(tried, 0);
    saved_section_seal(&bus);
    CHECK(bench_try_load(s.b, data, bytes, NULL));
    g_free(data);
    end(&s);
}

TEST(gpadls_half_made_are_saved)
{
    struct scene s = begin();
    uint64_t words[41] = { 40 * 4096 };
    struct vmbus_gpadl_header h = { s.ch->offer.relid, 5, sizeof(words), 1 };
    uint8_t m[12 + 20 * 8];
    struct vmbus_gpadl_body body = { 1, 5 };
    struct vmbus_gpadl_created r;

    for (int i = 1; i < 41; i++)
        words[i] = 0x400 + (unsigned)i * 2;
    memcpy(m, &h, 12);
    memcpy(m + 12, words, 20 * 8);
    CHECK_EQ(vg_post(s.g, VMBUS_GPADL_HEADER, m, sizeof(m)), 0);
    bench_save_load(s.b);
    memcpy(m, &body, 8);
    memcpy(m + 8, words + 20, 10 * 8);
    CHECK_EQ(vg_post(s.g, VMBUS_GPADL_BODY, m, 88), 0);
    bench_save_load(s.b);
    memcpy(m + 8, words + 30, 11 * 8);
    CHECK_EQ(vg_post(s.g, VMBUS_GPADL_BODY, m, 96), 0);
    CHECK(vg_take(s.g, VMBUS_GPADL_CREATED, &r, sizeof(r)));
    CHECK_EQ(r.status, 0);
    bench_save_load(s.b);
    CHECK(vg_try_teardown(s.g, s.ch->offer.relid, 5));
    end(&s);
}

/* The saved machine had a channel that its device does not make again. */
TEST(a_channel_without_a_device_is_rescinded)
{
    struct scene s = begin();

    echo_add_sub(s.b);
    const struct vmbus_offer *sub = vg_subchannel(s.g, &s.ch->offer, 1);
    uint32_t relid = sub->relid;
    vg_open(s.g, sub, 4);
    /* In the saved state the device has no sub-channel. */
    echo_of(s.b, 0)->st.subs = 0;
    bench_save_load(s.b);
    CHECK(vg_is_rescinded(s.g, relid));
    CHECK(!vg_is_rescinded(s.g, s.ch->offer.relid));
    vg_release(s.g, relid);
    end(&s);
}
