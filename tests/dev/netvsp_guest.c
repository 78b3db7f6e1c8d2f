/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/netvsp_guest.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "tests/lib/test.h"
#include "vm/bench_hv.h"
#include "vm/vm.h"

#define PAGE 4096u
#define RING 8u

const struct bp_guid net_guid = { { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5,
                                    0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65,
                                    0xed, 0x0e } };

struct bench *ng_bench(uint32_t processors, bool large)
{
    struct bench *b = vg_bench(processors);

    bench_add_net(b, "net0", large);
    bench_add_device(b, "netvsp", "netvsp0", "net=net0", NULL);
    return b;
}

struct net_guest *ng_open(struct bench *b)
{
    struct net_guest *n = g_new0(struct net_guest, 1);

    n->b = b;
    n->g = vg_connect(b, VG_5_3);
    n->g->scattered = true;
    n->ch = vg_open(n->g, vg_offer(n->g, &net_guid, 0), RING);
    n->message_bytes = NVSP_BYTES;
    n->kept = g_queue_new();
    n->got = g_queue_new();
    return n;
}

void ng_end(struct net_guest *n)
{
    g_queue_free(n->kept);
    g_queue_free_full(n->got, g_free);
    g_free(n->receive_page);
    g_free(n->send_page);
    vg_end(n->g);
    g_free(n);
}

/* --- NVSP -----------------------------------------------------------------*/

void ng_ask(struct net_guest *n, const uint32_t *words, uint32_t count,
            uint32_t *answer, uint32_t answer_count)
{
    uint8_t m[NVSP_BYTES_6_1] = { 0 };
    struct vg_packet p;

    memcpy(m, words, count * 4u);
    CHECK(vg_send(n->ch, 0x77, m, n->message_bytes, answer != NULL));
    if (!answer)
        return;
    vg_completion(n->ch, 0x77, &p);
    CHECK_GE(p.bytes, NVSP_BYTES);
    memcpy(answer, p.data, answer_count * 4u);
}

uint32_t ng_init(struct net_guest *n, uint32_t low, uint32_t high)
{
    const uint32_t words[] = { NVSP_INIT, low, high };
    uint32_t a[4];

    ng_ask(n, words, 3, a, 4);
    CHECK_EQ(a[0], NVSP_INIT_COMPLETE);
    if (a[3] == NVSP_SUCCESS) {
        n->version = a[1];
        if (n->version >= NVSP_6_1)
            n->message_bytes = NVSP_BYTES_6_1;
    }
    return a[3];
}

void ng_configure(struct net_guest *n, uint32_t frame_bytes, uint64_t caps)
{
    const uint32_t words[] = { NVSP_NDIS_CONFIG, frame_bytes, 0, (uint32_t)caps,
                               (uint32_t)(caps >> 32) };

    ng_ask(n, words, 5, NULL, 0);
}

static uint64_t *pages_of(struct net_guest *n, uint32_t pages, uint32_t *gpadl)
{
    uint64_t *list = g_new(uint64_t, pages);

    for (uint32_t i = 0; i < pages; i++)
        list[i] = vg_page(n->g, NULL);
    *gpadl = vg_gpadl(n->g, n->ch->offer.relid, list, pages);
    return list;
}

uint32_t ng_receive_buffer(struct net_guest *n, uint32_t pages)
{
    uint32_t a[7];

    if (!n->receive_page || n->receive_pages != pages) {
        g_free(n->receive_page);
        n->receive_page = pages_of(n, pages, &n->receive_gpadl);
        n->receive_pages = pages;
    }
    const uint32_t words[] = { NVSP_RECEIVE_BUFFER, n->receive_gpadl, NG_ID };
    ng_ask(n, words, 3, a, 7);
    CHECK_EQ(a[0], NVSP_RECEIVE_BUFFER_COMPLETE);
    if (a[1] == NVSP_SUCCESS) {
        CHECK_EQ(a[2], 1);
        CHECK_EQ(a[3], 0);
        n->section_bytes = a[4];
        n->section_count = a[5];
        CHECK_LE((uint64_t)a[4] * a[5], (uint64_t)pages * PAGE);
    }
    return a[1];
}

uint32_t ng_send_buffer(struct net_guest *n, uint32_t pages)
{
    uint32_t a[3];

    if (!n->send_page) {
        n->send_page = pages_of(n, pages, &n->send_gpadl);
        n->send_pages = pages;
    }
    const uint32_t words[] = { NVSP_SEND_BUFFER, n->send_gpadl, 0 };
    ng_ask(n, words, 3, a, 3);
    CHECK_EQ(a[0], NVSP_SEND_BUFFER_COMPLETE);
    if (a[1] == NVSP_SUCCESS)
        CHECK_EQ(a[2], 6144);
    return a[1];
}

struct net_guest *ng_start(struct bench *b, uint32_t version)
{
    struct net_guest *n = ng_open(b);
    const uint32_t ndis[] = { NVSP_NDIS_VERSION, 6,
                              version >= NVSP_5 ? 30 : 1 };
    uint8_t m[24] = { RNDIS_INITIALIZE, 0, 0, 0, 24, 0, 0, 0, 1 };
    const uint32_t filter =
        FILTER_DIRECTED | FILTER_BROADCAST | FILTER_ALL_MULTICAST;

    CHECK_EQ(ng_init(n, version, version), NVSP_SUCCESS);
    if (version >= NVSP_2)
        ng_configure(n, 1514, version >= NVSP_6_1 ? NVSP_CAP_RSC : 0);
    ng_ask(n, ndis, 3, NULL, 0);
    CHECK_EQ(ng_receive_buffer(n, 128), NVSP_SUCCESS);
    CHECK_EQ(ng_send_buffer(n, 32), NVSP_SUCCESS);
    ng_control(n, m, sizeof(m));
    g_free(ng_answer(n, RNDIS_INITIALIZE));
    CHECK_EQ(ng_set(n, 0x0001010e, &filter, 4), RNDIS_SUCCESS);
    return n;
}

/* --- RNDIS ----------------------------------------------------------------*/

static void read_buffer(struct net_guest *n, uint32_t offset, void *to,
                        uint32_t bytes)
{
    uint8_t *at = to;

    CHECK_LE((uint64_t)offset + bytes, (uint64_t)n->receive_pages * PAGE);
    for (; bytes; bytes--, offset++)
        *at++ = vg_ram(n->g, n->receive_page[offset / PAGE])[offset % PAGE];
}

static void take_packet(struct net_guest *n, struct vg_channel *ch,
                        const struct vg_packet *p)
{
    CHECK_EQ(p->type, BP_VMBUS_TRANSFER_PAGES);
    CHECK_EQ(p->set, NG_ID);
    CHECK_EQ(p->flags, BP_VMBUS_WANTS_COMPLETION);
    CHECK_EQ(wire_u32(p->data), NVSP_RNDIS_PACKET);
    CHECK_EQ(wire_u32(p->data + 8), NVSP_NO_SECTION);
    CHECK_GE(p->bytes, n->message_bytes);
    n->largest = MAX(n->largest, p->piece_count);
    for (uint32_t i = 0; i < p->piece_count; i++) {
        const struct bp_vmbus_piece *piece = &p->pieces[i];
        struct got *m = g_malloc0(sizeof(*m) + piece->bytes);
        CHECK_LE(piece->bytes, n->section_bytes);
        CHECK_EQ(piece->offset % n->section_bytes, 0);
        CHECK_LT(piece->offset / n->section_bytes, n->section_count);
        m->bytes = piece->bytes;
        m->kind = wire_u32(p->data + 4);
        m->pieces = p->piece_count;
        m->channel = ch->offer.subchannel;
        read_buffer(n, piece->offset, m->data, m->bytes);
        CHECK_LE(wire_u32(m->data + 4), m->bytes);
        g_queue_push_tail(n->got, m);
    }
}

static void complete(struct net_guest *n, struct vg_channel *ch,
                     uint64_t transaction)
{
    uint8_t m[8] = { NVSP_RNDIS_PACKET_COMPLETE, 0, 0, 0, NVSP_SUCCESS };

    CHECK(vg_send_completion(ch, transaction, m, sizeof(m)));
    (void)n;
}

void ng_poll(struct net_guest *n, struct vg_channel *ch)
{
    struct vg_packet p;

    while (vg_receive(ch, &p)) {
        uint64_t transaction = p.transaction;
        take_packet(n, ch, &p);
        if (n->keep)
            g_queue_push_tail(n->kept, GUINT_TO_POINTER(transaction + 1));
        else
            complete(n, ch, transaction);
    }
}

void ng_complete(struct net_guest *n, struct vg_channel *ch)
{
    while (!g_queue_is_empty(n->kept))
        complete(n, ch, GPOINTER_TO_UINT(g_queue_pop_head(n->kept)) - 1);
}

struct got *ng_take(struct net_guest *n)
{
    ng_poll(n, n->ch);
    return g_queue_pop_head(n->got);
}

/* Takes what comes until the completion of a message; its status. */
static uint32_t status_of(struct net_guest *n, uint64_t transaction)
{
    struct vg_packet p;

    while (vg_receive(n->ch, &p)) {
        uint64_t t = p.transaction;
        if (p.type == BP_VMBUS_COMPLETION) {
            CHECK_EQ(t, transaction);
            CHECK_GE(p.bytes, n->message_bytes);
            CHECK_EQ(wire_u32(p.data), NVSP_RNDIS_PACKET_COMPLETE);
            return wire_u32(p.data + 4);
        }
        take_packet(n, n->ch, &p);
        if (n->keep)
            g_queue_push_tail(n->kept, GUINT_TO_POINTER(t + 1));
        else
            complete(n, n->ch, t);
    }
    FAIL("packet %#" PRIx64 " is not completed", transaction);
}

void ng_control(struct net_guest *n, const void *message, uint32_t bytes)
{
    uint8_t m[NVSP_BYTES_6_1] = { NVSP_RNDIS_PACKET };
    uint8_t *ram;
    uint64_t gpa = vg_pages(n->g, 2, &ram);
    uint32_t id = NG_CONTROL + n->next_id++;

    wire_put32(m + 4, NVSP_CONTROL);
    wire_put32(m + 8, NVSP_NO_SECTION);
    memcpy(ram + 100, message, bytes);
    CHECK(vg_send_gpa(n->ch, id, m, n->message_bytes, gpa + 100, bytes));
    status_of(n, id);
}

struct got *ng_answer(struct net_guest *n, uint32_t type)
{
    struct got *m = NULL;

    ng_poll(n, n->ch);
    for (GList *l = n->got->head; l && !m; l = l->next) {
        m = l->data;
        if (m->kind != NVSP_CONTROL)
            m = NULL;
    }
    CHECK(m);
    g_queue_remove(n->got, m);
    CHECK_EQ(wire_u32(m->data), type | RNDIS_COMPLETE);
    CHECK_EQ(wire_u32(m->data + 4), m->bytes);
    return m;
}

static struct got *ask(struct net_guest *n, uint32_t type, uint32_t oid,
                       const void *in, uint32_t in_bytes)
{
    uint8_t m[2048] = { 0 };
    uint32_t id = 0x5000 + n->next_id;

    wire_put32(m, type);
    wire_put32(m + 4, 28 + in_bytes);
    wire_put32(m + 8, id);
    wire_put32(m + 12, oid);
    wire_put32(m + 16, in_bytes);
    wire_put32(m + 20, 20);
    if (in_bytes)
        memcpy(m + 28, in, in_bytes);
    ng_control(n, m, 28 + in_bytes);
    struct got *a = ng_answer(n, type);
    CHECK_EQ(wire_u32(a->data + 8), id);
    return a;
}

uint32_t ng_query(struct net_guest *n, uint32_t oid, const void *in,
                  uint32_t in_bytes, void *out, uint32_t *bytes)
{
    struct got *a = ask(n, RNDIS_QUERY, oid, in, in_bytes);
    uint32_t status = wire_u32(a->data + 12);
    uint32_t length = wire_u32(a->data + 16), at = wire_u32(a->data + 20);

    CHECK_EQ(a->bytes, 24 + length);
    if (status == RNDIS_SUCCESS && length) {
        CHECK_EQ(at, 16);
        memcpy(out, a->data + 8 + at, length);
    }
    *bytes = length;
    g_free(a);
    return status;
}

uint32_t ng_query_u32(struct net_guest *n, uint32_t oid)
{
    uint8_t out[512];
    uint32_t bytes;

    CHECK_EQ(ng_query(n, oid, NULL, 0, out, &bytes), RNDIS_SUCCESS);
    CHECK_EQ(bytes, 4);
    return wire_u32(out);
}

uint32_t ng_set(struct net_guest *n, uint32_t oid, const void *value,
                uint32_t bytes)
{
    struct got *a = ask(n, RNDIS_SET, oid, value, bytes);
    uint32_t status = wire_u32(a->data + 12);

    g_free(a);
    return status;
}

/* --- frames ---------------------------------------------------------------*/

uint32_t ng_packet(uint8_t *out, const void *frame, uint32_t bytes,
                   const struct ng_info *info, uint32_t infos)
{
    uint32_t info_bytes = infos * PPI_BYTES;
    uint8_t *at = out + RNDIS_HEAD + RNDIS_PACKET_BYTES;

    memset(out, 0, RNDIS_HEAD + RNDIS_PACKET_BYTES);
    wire_put32(out, RNDIS_PACKET);
    wire_put32(out + 4, RNDIS_HEAD + RNDIS_PACKET_BYTES + info_bytes + bytes);
    wire_put32(out + 8, RNDIS_PACKET_BYTES + info_bytes);
    wire_put32(out + 12, bytes);
    wire_put32(out + 28, infos ? RNDIS_PACKET_BYTES : 0);
    wire_put32(out + 32, info_bytes);
    for (uint32_t i = 0; i < infos; i++, at += PPI_BYTES) {
        wire_put32(at, PPI_BYTES);
        wire_put32(at + 4, info[i].type);
        wire_put32(at + 8, PPI_HEAD);
        wire_put32(at + 12, info[i].value);
    }
    memcpy(at, frame, bytes);
    return wire_u32(out + 4);
}

void ng_put_section(struct net_guest *n, uint32_t section, const void *data,
                    uint32_t bytes)
{
    const uint8_t *from = data;
    uint32_t offset = section * 6144;

    for (; bytes; bytes--, offset++)
        vg_ram(n->g, n->send_page[offset / PAGE])[offset % PAGE] = *from++;
}

static void head(struct net_guest *n, uint8_t *m, uint32_t section,
                 uint32_t bytes)
{
    memset(m, 0, NVSP_BYTES_6_1);
    wire_put32(m, NVSP_RNDIS_PACKET);
    wire_put32(m + 4, NVSP_DATA);
    wire_put32(m + 8, section);
    wire_put32(m + 12, bytes);
    (void)n;
}

uint32_t ng_send_section(struct net_guest *n, uint32_t section, uint32_t bytes)
{
    uint8_t m[NVSP_BYTES_6_1];

    head(n, m, section, bytes);
    CHECK(vg_send(n->ch, 0x99, m, n->message_bytes, true));
    return status_of(n, 0x99);
}

uint32_t ng_send_memory(struct net_guest *n, const void *data, uint32_t bytes)
{
    uint8_t m[NVSP_BYTES_6_1];
    uint32_t pages = (bytes + 60 + PAGE - 1) / PAGE;
    uint64_t *list = g_new(uint64_t, pages);
    const uint8_t *from = data;

    for (uint32_t i = 0; i < pages; i++)
        list[i] = vg_page(n->g, NULL);
    for (uint32_t i = 0; i < bytes; i++)
        vg_ram(n->g, list[(60 + i) / PAGE])[(60 + i) % PAGE] = from[i];
    head(n, m, NVSP_NO_SECTION, 0);
    CHECK(vg_send_pages(n->ch, 0x98, m, n->message_bytes, list, 60, bytes));
    g_free(list);
    return status_of(n, 0x98);
}

struct net_frame *ng_frame(struct net_guest *n)
{
    struct net_port *p = bench_net(n->b, "net0");

    /* One at a time: what else there is goes back. */
    struct net_frame *f = net_port_take(p);
    if (f && f->next) {
        pthread_mutex_lock(&p->lock);
        for (struct net_frame *o = f->next, *next; o; o = next) {
            next = o->next;
            net_list_add(&p->out, o);
        }
        pthread_mutex_unlock(&p->lock);
        f->next = NULL;
    }
    bench_run(n->b);
    return f;
}

const uint8_t *ng_frame_of(const struct got *m, uint32_t *bytes)
{
    CHECK_EQ(m->kind, NVSP_DATA);
    CHECK_EQ(wire_u32(m->data), RNDIS_PACKET);
    uint32_t at = wire_u32(m->data + 8);
    *bytes = wire_u32(m->data + 12);
    CHECK_LE((uint64_t)at + *bytes + 8, m->bytes);
    return m->data + 8 + at;
}

bool ng_info_of(const struct got *m, uint32_t type, uint32_t *value)
{
    uint32_t at = wire_u32(m->data + 28), left = wire_u32(m->data + 32);

    for (at += 8; left; left -= PPI_BYTES, at += PPI_BYTES) {
        CHECK_EQ(wire_u32(m->data + at), PPI_BYTES);
        if (wire_u32(m->data + at + 4) != type)
            continue;
        *value = wire_u32(m->data + at + wire_u32(m->data + at + 8));
        return true;
    }
    return false;
}
