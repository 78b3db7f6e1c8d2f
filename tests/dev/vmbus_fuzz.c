/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance against the bus: control messages with what the device does at the
 * same time, and what stands in rings.  Each round ends with a guest that
 * behaves and must be served.
 */
#include "tests/dev/vmbus_fuzz.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "state/stream.h"
#include "tests/dev/vmbus_echo.h"
#include "tests/lib/saved_section.h"
#include "tests/lib/test.h"
#include "vm/bench.h"
#include "vm/bench_hv.h"

#define STEPS 400

struct scene {
    struct fuzz f;
    struct bench *b;
    struct vmbus_guest *g;
};

/* --- control messages ----------------------------------------------------*/

static uint32_t any_relid(struct scene *s)
{
    return fuzz_one_in(&s->f, 8) ? fuzz_value(&s->f) : fuzz_below(&s->f, 8);
}

static uint32_t any_gpadl(struct scene *s)
{
    return fuzz_one_in(&s->f, 8) ? fuzz_value(&s->f) : fuzz_below(&s->f, 6);
}

/* One range of whole pages, as rings are, or something like it. */
static uint32_t any_ranges(struct scene *s, uint64_t *words)
{
    uint32_t pages = 1 + fuzz_below(&s->f, 24);

    words[0] = pages * 4096ull;
    for (uint32_t i = 0; i < pages; i++)
        words[1 + i] = 0x400 + fuzz_below(&s->f, 64);
    if (fuzz_one_in(&s->f, 3))
        fuzz_mutate(&s->f, words, (pages + 1) * 8);
    return (pages + 1) * 8;
}

static uint32_t gpadl_message(struct scene *s, uint8_t *m)
{
    uint64_t words[32];
    uint32_t n = any_ranges(s, words);
    struct vmbus_gpadl_header h = { any_relid(s), any_gpadl(s), (uint16_t)n,
                                    1 };

    if (fuzz_one_in(&s->f, 6))
        h.range_bytes = (uint16_t)(n + fuzz_below(&s->f, 32) * 8);
    if (fuzz_one_in(&s->f, 20))
        h.range_count = (uint16_t)fuzz_value(&s->f);
    memcpy(m, &h, sizeof(h));
    memcpy(m + sizeof(h), words, n);
    return (uint32_t)sizeof(h) + n;
}

static uint32_t body_message(struct scene *s, uint8_t *m)
{
    struct vmbus_gpadl_body h = { 1, any_gpadl(s) };
    uint64_t words[32];

    any_ranges(s, words);
    memcpy(m, &h, sizeof(h));
    memcpy(m + sizeof(h), words, 200);
    return 8 + fuzz_below(&s->f, 26) * 8;
}

static uint32_t open_message(struct scene *s, uint8_t *m)
{
    struct vmbus_open o = { .relid = any_relid(s),
                            .open_id = fuzz_u32(&s->f),
                            .gpadl = any_gpadl(s),
                            .target_vp = fuzz_below(&s->f, 3),
                            .downstream_page = 1 + fuzz_below(&s->f, 6) };

    memcpy(m, &o, sizeof(o));
    return sizeof(o);
}

static void any_message(struct scene *s)
{
    uint8_t m[232] = { 0 };
    uint32_t type = fuzz_below(&s->f, 28), n = fuzz_below(&s->f, 233);
    uint32_t two[2] = { any_relid(s), any_gpadl(s) };
    struct vmbus_contact contact = {
        .version = fuzz_one_in(&s->f, 4) ? VMBUS_0_13 : VG_5_3,
        .interrupt_page = fuzz_one_in(&s->f, 4) ? fuzz_value(&s->f) : 0x400002,
    };

    memcpy(m, two, sizeof(two));
    switch (fuzz_below(&s->f, 12)) {
    case 0:
    case 1:
    case 2:
        type = VMBUS_GPADL_HEADER;
        n = gpadl_message(s, m);
        break;
    case 3:
        type = VMBUS_GPADL_BODY;
        n = body_message(s, m);
        break;
    case 4:
    case 5:
    case 6:
        type = VMBUS_OPEN;
        n = open_message(s, m);
        break;
    case 7:
        if (!fuzz_one_in(&s->f, 8))
            break;
        type = VMBUS_CONTACT;
        memcpy(m, &contact, sizeof(contact));
        n = sizeof(contact);
        break;
    case 8: type = VMBUS_REQUEST_OFFERS; break;
    case 9: type = VMBUS_CLOSE; break;
    case 10: type = VMBUS_GPADL_TEARDOWN; break;
    default: break;
    }
    if (type == VMBUS_UNLOAD && !fuzz_one_in(&s->f, 4))
        return;
    if (fuzz_one_in(&s->f, 16))
        fuzz_mutate(&s->f, m, sizeof(m));
    vg_post(s->g, type, m, n);
}

static void take_messages(struct scene *s)
{
    struct bench_hv_message m;

    for (uint32_t n = fuzz_below(&s->f, 8); n; n--)
        bench_hv_message(s->b, fuzz_below(&s->f, 2), VMBUS_SINT, &m);
}

static void flip_slow(struct echo *e, void *arg)
{
    (void)arg;
    e->slow_close = !e->slow_close;
    e->open_result = e->slow_close && e->opened % 3 == 0 ? -EIO : 0;
}

static void device_acts(struct scene *s)
{
    struct echo *e = echo_of(s->b, 0);

    switch (fuzz_below(&s->f, 8)) {
    case 0:
        if (e->ch)
            echo_destroy(s->b);
        break;
    case 1:
    case 2:
        if (!e->ch)
            echo_recreate(s->b);
        break;
    case 3:
    case 4:
        if (e->ch)
            echo_close_done(s->b);
        break;
    case 5: echo_do(s->b, 0, flip_slow, NULL); break;
    case 6:
        if (e->st.subs < ECHO_SUBS)
            echo_add_sub(s->b);
        break;
    case 7:
        if (e->ch)
            echo_set_mode(s->b, fuzz_below(&s->f, ECHO_DESTROY));
        break;
    }
}

static void poke_memory(struct scene *s)
{
    uint32_t page = 0x400 + fuzz_below(&s->f, 64);
    uint32_t word = fuzz_below(&s->f, 5);
    uint32_t value = fuzz_value(&s->f);

    memcpy(vg_ram(s->g, page * 4096ull + word * 4), &value, 4);
}

static void step(struct scene *s)
{
    switch (fuzz_below(&s->f, 16)) {
    case 0: take_messages(s); break;
    case 1: device_acts(s); break;
    case 2: poke_memory(s); break;
    case 3:
        bench_hv_signal(s->b,
                        fuzz_one_in(&s->f, 4) ? VMBUS_EVENTS
                                              : 0x10000 + fuzz_below(&s->f, 12),
                        0);
        break;
    case 4:
        if (fuzz_one_in(&s->f, 10))
            bench_save_load(s->b);
        else if (fuzz_one_in(&s->f, 10))
            bench_reset(s->b, BP_RESET_COLD);
        break;
    default: any_message(s); break;
    }
}

static void must_serve(struct scene *s)
{
    struct vg_packet p;
    struct bench_hv_message m;

    echo_of(s->b, 0)->slow_close = false;
    echo_of(s->b, 0)->open_result = 0;
    echo_of(s->b, 1)->slow_close = false;
    if (echo_of(s->b, 0)->ch)
        echo_close_done(s->b);
    for (int i = 0; i < 200; i++) {
        bench_hv_message(s->b, 0, VMBUS_SINT, &m);
        bench_hv_message(s->b, 1, VMBUS_SINT, &m);
    }
    CHECK(vg_contact(s->g, VG_5_3, 0));
    vg_request_offers(s->g);
    struct bp_guid instance = echo_instance;
    instance.b[15] = 1;
    for (uint32_t i = 0; i < s->g->offers; i++) {
        if (memcmp(&s->g->offer[i].instance, &instance, sizeof(instance)))
            continue;
        struct vg_channel *ch = vg_open(s->g, &s->g->offer[i], 4);
        CHECK(vg_send(ch, 5, "alive", 5, true));
        vg_completion(ch, 5, &p);
        vg_unload(s->g);
        return;
    }
    FAIL("the second device's channel is not offered");
}

TEST(control_messages)
{
    struct scene s;

    fuzz_begin(&s.f, 2);
    while (fuzz_round(&s.f)) {
        s.b = echo_bench(2);
        echo_add(s.b, 1);
        s.g = vg_new(s.b);
        if (!fuzz_one_in(&s.f, 10)) {
            CHECK(vg_contact(s.g, VG_5_3, 0));
            vg_request_offers(s.g);
        }
        for (int i = 0; i < STEPS; i++)
            step(&s);
        must_serve(&s);
        vg_end(s.g);
        bench_destroy(s.b);
    }
}

/* --- rings ---------------------------------------------------------------*/

/* A packet as it should be, then perhaps a little different. */
static void put_packet(struct scene *s, struct vg_channel *ch)
{
    uint64_t head[34] = { 0 };
    uint8_t payload[300];
    uint32_t pages = fuzz_below(&s->f, 32), bytes = fuzz_below(&s->f, 300);
    struct ring_descriptor d = {
        .type = fuzz_one_in(&s->f, 2) ? BP_VMBUS_GPA_DIRECT : BP_VMBUS_INBAND,
        .flags = BP_VMBUS_WANTS_COMPLETION,
        .transaction = fuzz_u32(&s->f),
    };
    uint32_t head_bytes = 0, at = ch->out_in;

    fuzz_bytes(&s->f, payload, bytes);
    if (d.type == BP_VMBUS_GPA_DIRECT) {
        head[0] = 1ull << 32;
        head[1] = pages * 4096ull;
        for (uint32_t i = 0; i < pages; i++)
            head[2 + i] = fuzz_below(&s->f, 0x1000);
        head_bytes = (2 + pages) * 8;
        if (fuzz_one_in(&s->f, 4))
            fuzz_mutate(&s->f, head, head_bytes);
    }
    if (fuzz_one_in(&s->f, 10))
        d.type = (uint16_t)fuzz_value(&s->f);
    if (!vg_send_raw(ch, &d, head, head_bytes, payload, bytes, false))
        return;
    if (fuzz_one_in(&s->f, 12)) {
        uint16_t value = (uint16_t)fuzz_value(&s->f);
        vg_poke(ch, false, at + 2 * fuzz_below(&s->f, 4), &value, 2);
    }
}

static void change_ring(struct scene *s, struct vg_channel *ch)
{
    struct ring_control *c =
        fuzz_one_in(&s->f, 2) ? vg_ring_out(ch) : vg_ring_in(ch);
    uint32_t value = fuzz_value(&s->f);

    switch (fuzz_below(&s->f, 8)) {
    case 0: c->in = value; break;
    case 1: c->out = value; break;
    case 2: c->mask = value; break;
    case 3: c->pending = value; break;
    case 4: c->in = value % (3 * 4096) & ~7u; break;
    case 5: c->out = value % (3 * 4096) & ~7u; break;
    default: vg_poke(ch, fuzz_one_in(&s->f, 2), value, &value, 4); break;
    }
}

/* Reads what is there without minding what it is. */
static void drain(struct scene *s, struct vg_channel *ch)
{
    struct ring_control *c = vg_ring_in(ch);

    c->out = fuzz_one_in(&s->f, 3) ? c->in : (c->out + 64) % (3 * 4096);
    ch->in_out = c->out;
    vg_signal(ch);
}

static void ring_step(struct scene *s, struct vg_channel *ch, uint32_t wild)
{
    switch (fuzz_below(&s->f, 10)) {
    case 0:
        if (fuzz_below(&s->f, 100) < wild)
            change_ring(s, ch);
        break;
    case 1:
    case 2: drain(s, ch); break;
    case 3:
    case 4: vg_signal(ch); break;
    case 5: echo_set_mode(s->b, fuzz_below(&s->f, ECHO_DESTROY)); break;
    case 6: echo_finish(s->b); break;
    case 7:
        if (fuzz_one_in(&s->f, 10))
            bench_save_load(s->b);
        break;
    default: put_packet(s, ch); break;
    }
}

TEST(rings)
{
    struct scene s;

    fuzz_begin(&s.f, 2);
    while (fuzz_round(&s.f)) {
        s.b = echo_bench(2);
        echo_add(s.b, 1);
        s.g = vg_connect(s.b, VG_5_3);
        s.g->scattered = fuzz_one_in(&s.f, 2);
        struct bp_guid instance = echo_instance;
        for (uint32_t i = 0; i < s.g->offers; i++) {
            if (memcmp(&s.g->offer[i].instance, &instance, sizeof(instance)))
                continue;
            struct vg_channel *ch = vg_open(s.g, &s.g->offer[i], 4);
            uint32_t wild = fuzz_one_in(&s.f, 2) ? 0 : 30;
            for (int n = 0; n < STEPS; n++)
                ring_step(&s, ch, wild);
            vg_close(ch);
            break;
        }
        must_serve(&s);
        vg_end(s.g);
        bench_destroy(s.b);
    }
}

/* --- saved state ---------------------------------------------------------*/

/* Changes the bus's section, and its checksum with it. */
static void change_section(struct scene *s, uint8_t *data, size_t bytes)
{
    struct saved_section section = saved_section_of(data, bytes, "vmbus");

    fuzz_mutate(&s->f, section.content, section.length);
    saved_section_seal(&section);
}

static uint8_t *busy_bus(struct scene *s, size_t *bytes)
{
    struct vg_channel *ch;
    uint64_t page = 0x500000;

    s->b = echo_bench(2);
    echo_add(s->b, 1);
    s->g = vg_connect(s->b, VG_5_3);
    ch = vg_open(s->g, vg_offer(s->g, &echo_type, 0), 4);
    vg_gpadl(s->g, ch->offer.relid, &page, 1);
    vg_open(s->g, vg_offer(s->g, &echo_type, 1), 3);
    echo_add_sub(s->b);
    echo_set_mode(s->b, ECHO_HOLD);
    for (int i = 0; i < 500; i++)
        vg_send(ch, 1, "x", 1, true);
    echo_finish(s->b);
    struct vmbus_gpadl_header h = { ch->offer.relid, 77, 800, 1 };
    vg_post(s->g, VMBUS_GPADL_HEADER, &h, sizeof(h));
    vg_post(s->g, VMBUS_GPADL_TEARDOWN, &h, 8); /* refused: not complete */
    return bench_save(s->b, bytes);
}

TEST(saved_state)
{
    struct scene s;
    unsigned good = 0, bad = 0;
    size_t bytes;

    fuzz_begin(&s.f, 2);
    uint8_t *data = busy_bus(&s, &bytes);
    while (fuzz_round(&s.f)) {
        uint8_t *copy = g_memdup2(data, bytes);
        GError *error = NULL;

        change_section(&s, copy, bytes);
        if (bench_try_load(s.b, copy, bytes, &error)) {
            good++;
            for (unsigned i = 0; i < 12; i++)
                bench_hv_signal(s.b, 0x10000 + i, 0);
            bench_save_load(s.b);
            for (int i = 0; i < 20; i++)
                step(&s);
        } else {
            bad++;
            CHECK(error);
        }
        g_clear_error(&error);
        g_free(copy);
    }
    CHECK(bench_try_load(s.b, data, bytes, NULL));
    bench_save_load(s.b);
    must_serve(&s);
    CHECK_GT(good, 0);
    CHECK_GT(bad, 0);
    g_free(data);
    vg_end(s.g);
    bench_destroy(s.b);
}
