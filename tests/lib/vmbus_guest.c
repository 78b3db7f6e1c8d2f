/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/vmbus_guest.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "tests/lib/test.h"
#include "vm/bench.h"
#include "vm/bench_hv.h"

#define PAGE       4096u
#define FIRST_PAGE (4u << 20)
#define RESCINDED  0xffffu
#define IN_HEADER  26u /* pages that fit into a GPADL header message */
#define IN_BODY    28u

/* --- the bench ------------------------------------------------------------*/

struct bench *vg_bench(uint32_t processors)
{
    struct bench *b = bench_empty();

    bench_hv(b, processors);
    bench_add_device(b, "vmbus", "vmbus", NULL);
    return b;
}

/* --- messages -------------------------------------------------------------*/

int32_t vg_post(struct vmbus_guest *g, uint32_t type, const void *body,
                uint32_t bytes)
{
    uint8_t m[BP_HV_MESSAGE_BYTES] = { (uint8_t)type };

    CHECK_LE(bytes + 8, sizeof(m));
    memcpy(m, &type, sizeof(type));
    if (bytes)
        memcpy(m + 8, body, bytes);
    return bench_hv_post(g->bench, g->connection, VMBUS_MESSAGE_TYPE, m,
                         bytes + 8);
}

static void take_offer(struct vmbus_guest *g, const struct bench_hv_message *m)
{
    struct vmbus_offer *o = &g->offer[g->offers];

    CHECK_EQ(m->bytes, 8 + sizeof(*o));
    CHECK_LT(g->offers, VG_OFFERS);
    memcpy(o, m->payload + 8, sizeof(*o));
    for (uint32_t i = 0; i < g->offers; i++) {
        if (g->offer[i].relid == o->relid && g->offer[i].flags != RESCINDED)
            FAIL("channel %u is offered twice", o->relid);
    }
    g->offers++;
}

static void take_rescind(struct vmbus_guest *g, const void *body)
{
    struct vmbus_relid r;

    memcpy(&r, body, sizeof(r));
    for (uint32_t i = 0; i < g->offers; i++) {
        if (g->offer[i].relid == r.relid && g->offer[i].flags != RESCINDED) {
            g->offer[i].flags = RESCINDED;
            return;
        }
    }
    FAIL("channel %u is rescinded, which was not offered", r.relid);
}

void vg_poll(struct vmbus_guest *g)
{
    struct bench_hv_message m;

    while (bench_hv_message(g->bench, g->message_vp, g->message_sint, &m)) {
        struct vmbus_header h;

        CHECK_EQ(m.type, VMBUS_MESSAGE_TYPE);
        CHECK_GE(m.bytes, sizeof(h));
        memcpy(&h, m.payload, sizeof(h));
        if (h.type == VMBUS_OFFER) {
            take_offer(g, &m);
        } else if (h.type == VMBUS_RESCIND) {
            take_rescind(g, m.payload + 8);
        } else if (h.type == VMBUS_ALL_OFFERS) {
            g->all_offers = true;
        } else {
            struct vg_message *to = &g->queue[g->queued];

            if (g->queued == G_N_ELEMENTS(g->queue))
                FAIL("nobody takes the host's messages");
            to->type = h.type;
            to->bytes = m.bytes - 8;
            memset(to->body, 0, sizeof(to->body));
            memcpy(to->body, m.payload + 8, to->bytes);
            g->queued++;
        }
    }
}

bool vg_take(struct vmbus_guest *g, uint32_t type, void *body, uint32_t bytes)
{
    vg_poll(g);
    for (uint32_t i = 0; i < g->queued; i++) {
        if (g->queue[i].type != type)
            continue;
        if (bytes)
            memcpy(body, g->queue[i].body, bytes);
        g->queued--;
        memmove(&g->queue[i], &g->queue[i + 1],
                (g->queued - i) * sizeof(g->queue[0]));
        return true;
    }
    return false;
}

/* --- connection -----------------------------------------------------------*/

struct vmbus_guest *vg_new(struct bench *b)
{
    struct vmbus_guest *g = g_new0(struct vmbus_guest, 1);

    bench_start(b);
    g->bench = b;
    g->ram = bench_ram(b);
    g->next_page = FIRST_PAGE;
    g->message_sint = VMBUS_SINT;
    g->connection = VMBUS_CONNECTION_1;
    g->next_gpadl = 0xe1e10;
    g->next_open_id = 100;
    return g;
}

bool vg_contact(struct vmbus_guest *g, uint32_t version, uint32_t target_vp)
{
    struct vmbus_contact m = { .version = version, .target_vp = target_vp };
    struct vmbus_version_response r;

    g->connection = version >= VG_5_0 ? VMBUS_CONNECTION_4 : VMBUS_CONNECTION_1;
    if (version >= VG_5_0)
        m.interrupt_page = VMBUS_SINT;
    g->interrupt_page = version < VG_2_4 ? vg_page(g, NULL) : 0;
    if (version < VG_5_0)
        m.interrupt_page = g->interrupt_page;
    m.monitor_page[0] = vg_page(g, NULL);
    m.monitor_page[1] = vg_page(g, NULL);
    vg_poll(g); /* what the last one did not take */
    g->message_vp = version >= VG_3_0 ? target_vp : 0;
    g->offers = g->queued = 0;
    g->all_offers = false;
    CHECK_EQ(vg_post(g, VMBUS_CONTACT, &m, sizeof(m)), 0);
    if (!vg_take(g, VMBUS_VERSION_RESPONSE, &r, sizeof(r)))
        FAIL("the host does not answer the contact");
    g->version = r.supported ? version : 0;
    if (r.supported && version >= VG_5_0)
        g->connection = r.connection;
    return r.supported;
}

void vg_request_offers(struct vmbus_guest *g)
{
    CHECK_EQ(vg_post(g, VMBUS_REQUEST_OFFERS, NULL, 0), 0);
    vg_poll(g);
    if (!g->all_offers)
        FAIL("the host does not say that all offers were delivered");
}

struct vmbus_guest *vg_connect(struct bench *b, uint32_t version)
{
    struct vmbus_guest *g = vg_new(b);

    if (!vg_contact(g, version, 0))
        FAIL("the host does not speak version %u.%u", version >> 16,
             version & 0xffff);
    vg_request_offers(g);
    return g;
}

void vg_unload(struct vmbus_guest *g)
{
    CHECK_EQ(vg_post(g, VMBUS_UNLOAD, NULL, 0), 0);
    if (!vg_take(g, VMBUS_UNLOAD_COMPLETE, NULL, 0))
        FAIL("the host does not answer the unload");
    g->offers = g->queued = 0;
    g->all_offers = false;
    while (g->channels)
        vg_forget(g->channels);
}

void vg_end(struct vmbus_guest *g)
{
    while (g->channels)
        vg_forget(g->channels);
    g_free(g);
}

const struct vmbus_offer *vg_try_offer(struct vmbus_guest *g,
                                       const struct bp_guid *type, uint32_t n)
{
    vg_poll(g);
    for (uint32_t i = 0; i < g->offers; i++) {
        const struct vmbus_offer *o = &g->offer[i];

        if (o->flags != RESCINDED && !o->subchannel &&
            !memcmp(&o->type, type, sizeof(*type)) && n-- == 0)
            return o;
    }
    return NULL;
}

const struct vmbus_offer *vg_offer(struct vmbus_guest *g,
                                   const struct bp_guid *type, uint32_t n)
{
    const struct vmbus_offer *o = vg_try_offer(g, type, n);

    if (!o)
        FAIL("there is no offer %u of this type", n);
    return o;
}

const struct vmbus_offer *vg_subchannel(struct vmbus_guest *g,
                                        const struct vmbus_offer *primary,
                                        uint16_t index)
{
    vg_poll(g);
    for (uint32_t i = 0; i < g->offers; i++) {
        const struct vmbus_offer *o = &g->offer[i];

        if (o->flags != RESCINDED && o->subchannel == index &&
            !memcmp(&o->type, &primary->type, sizeof(o->type)) &&
            !memcmp(&o->instance, &primary->instance, sizeof(o->instance)))
            return o;
    }
    FAIL("there is no sub-channel %u", index);
}

bool vg_is_rescinded(struct vmbus_guest *g, uint32_t relid)
{
    bool rescinded = false;

    vg_poll(g);
    for (uint32_t i = 0; i < g->offers; i++) {
        if (g->offer[i].relid == relid)
            rescinded = g->offer[i].flags == RESCINDED;
    }
    return rescinded;
}

void vg_release(struct vmbus_guest *g, uint32_t relid)
{
    struct vmbus_relid m = { relid };

    CHECK_EQ(vg_post(g, VMBUS_RELID_RELEASED, &m, sizeof(m)), 0);
}

/* --- memory ---------------------------------------------------------------*/

uint8_t *vg_ram(struct vmbus_guest *g, uint64_t gpa)
{
    CHECK_LT(gpa, BENCH_RAM);
    return g->ram + gpa;
}

uint64_t vg_pages(struct vmbus_guest *g, uint32_t n, uint8_t **ram)
{
    uint64_t gpa = g->next_page;

    if (gpa + (uint64_t)n * PAGE > BENCH_RAM)
        FAIL("the guest has no page left");
    g->next_page += (uint64_t)n * PAGE;
    memset(vg_ram(g, gpa), 0, (size_t)n * PAGE);
    if (ram)
        *ram = vg_ram(g, gpa);
    return gpa;
}

uint64_t vg_page(struct vmbus_guest *g, uint8_t **ram)
{
    if (g->scattered)
        vg_pages(g, 1, NULL);
    return vg_pages(g, 1, ram);
}

static void post_words(struct vmbus_guest *g, uint32_t id,
                       const uint64_t *words, uint32_t n)
{
    for (uint32_t number = 1, run; n; n -= run, words += run, number++) {
        uint8_t m[8 + IN_BODY * 8];
        struct vmbus_gpadl_body h = { number, id };

        run = MIN(n, IN_BODY);
        memcpy(m, &h, sizeof(h));
        memcpy(m + 8, words, run * 8);
        CHECK_EQ(vg_post(g, VMBUS_GPADL_BODY, m, 8 + run * 8), 0);
    }
}

uint32_t vg_try_gpadl(struct vmbus_guest *g, uint32_t relid, uint32_t id,
                      const void *ranges, uint32_t range_bytes,
                      uint32_t range_count)
{
    struct vmbus_gpadl_header h = { relid, id, (uint16_t)range_bytes,
                                    (uint16_t)range_count };
    uint8_t m[12 + (IN_HEADER + 1) * 8];
    uint32_t first = MIN(range_bytes, (IN_HEADER + 1) * 8);
    struct vmbus_gpadl_created r;

    memcpy(m, &h, sizeof(h));
    memcpy(m + 12, ranges, first);
    CHECK_EQ(vg_post(g, VMBUS_GPADL_HEADER, m, 12 + first), 0);
    post_words(g, id, (const uint64_t *)ranges + first / 8,
               (range_bytes - first) / 8);
    if (!vg_take(g, VMBUS_GPADL_CREATED, &r, sizeof(r)))
        return UINT32_MAX;
    CHECK_EQ(r.relid, relid);
    CHECK_EQ(r.gpadl, id);
    return r.status;
}

uint32_t vg_gpadl(struct vmbus_guest *g, uint32_t relid, const uint64_t *pages,
                  uint32_t count)
{
    uint64_t *words = g_new(uint64_t, count + 1);
    uint32_t id = g->next_gpadl++;

    words[0] = count * PAGE;
    for (uint32_t i = 0; i < count; i++)
        words[i + 1] = pages[i] / PAGE;
    uint32_t status = vg_try_gpadl(g, relid, id, words, (count + 1) * 8, 1);
    g_free(words);
    if (status)
        FAIL("the host refuses a GPADL of %u pages: %x", count, status);
    return id;
}

bool vg_try_teardown(struct vmbus_guest *g, uint32_t relid, uint32_t id)
{
    struct vmbus_gpadl_teardown m = { relid, id };
    struct vmbus_gpadl_torndown r;

    CHECK_EQ(vg_post(g, VMBUS_GPADL_TEARDOWN, &m, sizeof(m)), 0);
    if (!vg_take(g, VMBUS_GPADL_TORNDOWN, &r, sizeof(r)))
        return false;
    CHECK_EQ(r.gpadl, id);
    return true;
}

/* --- channels -------------------------------------------------------------*/

static struct vg_channel *channel_new(struct vmbus_guest *g,
                                      const struct vmbus_offer *offer,
                                      uint32_t pages)
{
    struct vg_channel *ch = g_new0(struct vg_channel, 1);

    ch->g = g;
    ch->offer = *offer;
    ch->pages = 2 * pages;
    ch->split = pages;
    ch->page = g_new0(uint64_t, ch->pages);
    for (uint32_t i = 0; i < ch->pages; i++)
        ch->page[i] = vg_page(g, NULL);
    vg_ring_out(ch)->features = RING_FEATURE_PENDING;
    vg_ring_in(ch)->features = RING_FEATURE_PENDING;
    ch->next = g->channels;
    g->channels = ch;
    return ch;
}

struct vg_channel *vg_try_open(struct vmbus_guest *g,
                               const struct vmbus_offer *offer, uint32_t pages,
                               uint32_t target_vp, const void *user,
                               uint32_t *status)
{
    struct vg_channel *ch = channel_new(g, offer, pages);
    struct vmbus_open m = { .relid = offer->relid,
                            .open_id = g->next_open_id++,
                            .target_vp = target_vp,
                            .downstream_page = ch->split };
    struct vmbus_open_result r;

    ch->target_vp = target_vp;
    ch->gpadl = m.gpadl = vg_gpadl(g, m.relid, ch->page, ch->pages);
    if (user)
        memcpy(m.user, user, sizeof(m.user));
    CHECK_EQ(vg_post(g, VMBUS_OPEN, &m, sizeof(m)), 0);
    if (!vg_take(g, VMBUS_OPEN_RESULT, &r, sizeof(r)))
        FAIL("the host does not answer the open of channel %u", m.relid);
    CHECK_EQ(r.relid, m.relid);
    CHECK_EQ(r.open_id, m.open_id);
    *status = r.status;
    if (!r.status)
        return ch;
    CHECK(vg_try_teardown(g, m.relid, ch->gpadl));
    vg_forget(ch);
    return NULL;
}

struct vg_channel *vg_open(struct vmbus_guest *g,
                           const struct vmbus_offer *offer, uint32_t pages)
{
    uint32_t status;
    struct vg_channel *ch = vg_try_open(g, offer, pages, 0, NULL, &status);

    if (!ch)
        FAIL("channel %u does not open: %x", offer->relid, status);
    return ch;
}

void vg_close(struct vg_channel *ch)
{
    struct vmbus_relid m = { ch->offer.relid };

    CHECK_EQ(vg_post(ch->g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    if (!vg_try_teardown(ch->g, m.relid, ch->gpadl))
        FAIL("the rings of channel %u are not given back", m.relid);
    vg_forget(ch);
}

void vg_forget(struct vg_channel *ch)
{
    struct vg_channel **p;

    for (p = &ch->g->channels; *p && *p != ch; p = &(*p)->next)
        ;
    if (*p)
        *p = ch->next;
    g_free(ch->page);
    g_free(ch);
}

/* --- rings ----------------------------------------------------------------*/

struct ring_control *vg_ring_out(struct vg_channel *ch)
{
    return (struct ring_control *)vg_ram(ch->g, ch->page[0]);
}

struct ring_control *vg_ring_in(struct vg_channel *ch)
{
    return (struct ring_control *)vg_ram(ch->g, ch->page[ch->split]);
}

static uint32_t data_bytes(const struct vg_channel *ch, bool in)
{
    return ((in ? ch->pages - ch->split : ch->split) - 1) * PAGE;
}

static uint8_t *byte_at(struct vg_channel *ch, bool in, uint32_t offset)
{
    uint32_t first = in ? ch->split : 0;

    offset %= data_bytes(ch, in);
    return vg_ram(ch->g, ch->page[first + 1 + offset / PAGE]) + offset % PAGE;
}

void vg_poke(struct vg_channel *ch, bool in, uint32_t offset, const void *from,
             uint32_t bytes)
{
    const uint8_t *p = from;

    for (uint32_t i = 0; i < bytes; i++)
        *byte_at(ch, in, offset + i) = p[i];
}

static void peek(struct vg_channel *ch, uint32_t offset, void *to,
                 uint32_t bytes)
{
    uint8_t *p = to;

    for (uint32_t i = 0; i < bytes; i++)
        p[i] = *byte_at(ch, true, offset + i);
}

/* The byte of a channel's bit in one half of the interrupt page. */
static uint8_t *interrupt_byte(struct vg_channel *ch, bool for_host)
{
    return vg_ram(ch->g, ch->g->interrupt_page + (for_host ? 2048 : 0) +
                             ch->offer.relid / 8);
}

void vg_signal(struct vg_channel *ch)
{
    if (ch->g->version == VMBUS_0_13) {
        *interrupt_byte(ch, true) |= (uint8_t)(1 << ch->offer.relid % 8);
        bench_hv_signal(ch->g->bench, VMBUS_EVENTS, 0);
        return;
    }
    bench_hv_signal(ch->g->bench, ch->offer.connection, 0);
}

/* Room of a ring from its writer's index to its reader's. */
static uint32_t room(uint32_t bytes, uint32_t in, uint32_t out)
{
    return in >= out ? bytes - (in - out) : out - in;
}

bool vg_send_raw(struct vg_channel *ch, const struct ring_descriptor *d,
                 const void *head, uint32_t head_bytes, const void *payload,
                 uint32_t bytes, bool signal)
{
    struct ring_control *c = vg_ring_out(ch);
    uint32_t size = data_bytes(ch, false), padded = (bytes + 7) & ~7u;
    uint32_t need = RING_DESCRIPTOR + head_bytes + padded + RING_FOOTER;
    uint32_t at = ch->out_in;
    struct ring_descriptor full = *d;
    uint64_t footer = (uint64_t)at << 32;

    if (room(size, at, c->out) <= need) {
        c->pending = need;
        return false;
    }
    c->pending = 0;
    full.offset8 = (uint16_t)((RING_DESCRIPTOR + head_bytes) / 8);
    full.length8 = (uint16_t)(full.offset8 + padded / 8);
    vg_poke(ch, false, at, &full, sizeof(full));
    vg_poke(ch, false, at + 16, head, head_bytes);
    vg_poke(ch, false, at + 16 + head_bytes, payload, bytes);
    vg_poke(ch, false, at + need - 8, &footer, 8);
    ch->out_in = (at + need) % size;
    __atomic_store_n(&c->in, ch->out_in, __ATOMIC_SEQ_CST);
    if (signal && !c->mask && c->out == at)
        vg_signal(ch);
    return true;
}

bool vg_send(struct vg_channel *ch, uint64_t transaction, const void *payload,
             uint32_t bytes, bool wants_completion)
{
    struct ring_descriptor d = { .type = BP_VMBUS_INBAND,
                                 .flags = wants_completion,
                                 .transaction = transaction };

    return vg_send_raw(ch, &d, NULL, 0, payload, bytes, true);
}

bool vg_send_completion(struct vg_channel *ch, uint64_t transaction,
                        const void *payload, uint32_t bytes)
{
    struct ring_descriptor d = { .type = BP_VMBUS_COMPLETION,
                                 .transaction = transaction };

    return vg_send_raw(ch, &d, NULL, 0, payload, bytes, true);
}

bool vg_send_pages(struct vg_channel *ch, uint64_t transaction,
                   const void *payload, uint32_t bytes, const uint64_t *pages,
                   uint32_t offset, uint32_t length)
{
    struct ring_descriptor d = { .type = BP_VMBUS_GPA_DIRECT,
                                 .flags = BP_VMBUS_WANTS_COMPLETION,
                                 .transaction = transaction };
    uint32_t n = (offset + length + PAGE - 1) / PAGE;
    uint64_t *head = g_new0(uint64_t, 2 + n);

    head[0] = 1ull << 32; /* reserved, range count */
    head[1] = (uint64_t)offset << 32 | length;
    for (uint32_t i = 0; i < n; i++)
        head[2 + i] = pages[i] / PAGE;
    bool sent = vg_send_raw(ch, &d, head, (2 + n) * 8, payload, bytes, true);
    g_free(head);
    return sent;
}

bool vg_send_gpa(struct vg_channel *ch, uint64_t transaction,
                 const void *payload, uint32_t bytes, uint64_t gpa,
                 uint32_t length)
{
    uint32_t offset = gpa % PAGE, n = (offset + length + PAGE - 1) / PAGE;
    uint64_t *pages = g_new(uint64_t, n + 1);

    for (uint32_t i = 0; i < n; i++)
        pages[i] = gpa - offset + (uint64_t)i * PAGE;
    bool sent =
        vg_send_pages(ch, transaction, payload, bytes, pages, offset, length);
    g_free(pages);
    return sent;
}

static void split_transfer(struct vg_channel *ch, struct vg_packet *p)
{
    memcpy(&p->set, ch->buffer + 16, 2);
    memcpy(&p->piece_count, ch->buffer + 20, 4);
    p->pieces = (const struct bp_vmbus_piece *)(ch->buffer + 24);
    CHECK_EQ(p->data - ch->buffer, 24 + p->piece_count * 8);
}

bool vg_receive(struct vg_channel *ch, struct vg_packet *p)
{
    struct ring_control *c = vg_ring_in(ch);
    uint32_t size = data_bytes(ch, true), out = ch->in_out, before, now;
    struct ring_descriptor d;

    bench_run(ch->g->bench);
    if (c->in == out)
        return false;
    CHECK_LT(c->in, size);
    peek(ch, out, &d, sizeof(d));
    CHECK_GE(d.offset8, 2);
    CHECK_GE(d.length8, d.offset8);
    CHECK_LE(d.length8 * 8u + 8, size - room(size, c->in, out));
    peek(ch, out, ch->buffer, d.length8 * 8u);
    *p = (struct vg_packet){ .type = d.type,
                             .flags = d.flags,
                             .transaction = d.transaction,
                             .data = ch->buffer + d.offset8 * 8u,
                             .bytes = (d.length8 - d.offset8) * 8u };
    if (d.type == BP_VMBUS_TRANSFER_PAGES)
        split_transfer(ch, p);
    uint64_t footer;
    peek(ch, out + d.length8 * 8u, &footer, 8);
    CHECK_EQ(footer, (uint64_t)out << 32);
    before = room(size, c->in, out);
    ch->in_out = (out + d.length8 * 8u + 8) % size;
    __atomic_store_n(&c->out, ch->in_out, __ATOMIC_SEQ_CST);
    now = room(size, c->in, ch->in_out);
    if (c->pending && before <= c->pending && now > c->pending)
        vg_signal(ch);
    return true;
}

void vg_completion(struct vg_channel *ch, uint64_t transaction,
                   struct vg_packet *p)
{
    if (!vg_receive(ch, p))
        FAIL("there is no completion");
    CHECK_EQ(p->type, BP_VMBUS_COMPLETION);
    CHECK_EQ(p->transaction, transaction);
}

bool vg_interrupted(struct vg_channel *ch)
{
    uint8_t bit = (uint8_t)(1 << ch->offer.relid % 8);

    if (ch->g->interrupt_page) {
        bool flag = bench_hv_flag(ch->g->bench, 0, VMBUS_SINT, 0);
        bool set = *interrupt_byte(ch, false) & bit;

        *interrupt_byte(ch, false) &= (uint8_t)~bit;
        return flag && set;
    }
    return bench_hv_flag(ch->g->bench, ch->target_vp, VMBUS_SINT,
                         ch->offer.relid);
}
