/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, checksums, segmentation and merging, against slow versions. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "net/backends.h"
#include "net/frame.h"
#include "tests/lib/packets.h"

static struct net_frame *make(const struct packet *p, bool sums)
{
    struct net_frame *f = net_frame_new(packet_header_bytes(p) + p->payload);

    f->bytes = packet_build(p, sums, f->data);
    CHECK_EQ(f->bytes, f->room);
    return f;
}

TEST(sums_of_all_lengths_and_alignments)
{
    uint8_t data[300];

    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37 + 200);
    for (uint32_t start = 0; start < 8; start++) {
        for (uint32_t n = 0; n < 280; n++) {
            uint16_t fast = net_sum_finish(net_sum(0, data + start, n));
            CHECK_EQ(GUINT16_FROM_BE(fast),
                     packet_slow_sum(data + start, n, 0));
        }
    }
}

static const struct packet kinds[] = {
    { .payload = 1000, .seed = 1 },
    { .payload = 1001, .seed = 2, .v6 = true },
    { .payload = 33, .seed = 3, .udp = true },
    { .payload = 0, .seed = 4, .udp = true, .v6 = true },
    { .payload = 7, .seed = 5, .vlan = 0x2005 },
};

TEST_P(layouts_and_checksums, kinds)
{
    struct net_frame *f = make(row, true);
    struct net_layout l;

    CHECK(net_frame_layout(f, false, &l));
    CHECK_EQ(l.version, row->v6 ? 6 : 4);
    CHECK_EQ(l.payload, packet_header_bytes(row));
    CHECK_EQ(l.end, f->bytes);
    CHECK_EQ(l.protocol, row->udp ? 17 : 6);
    CHECK(net_l4_sum_is_right(f, &l));
    CHECK(row->v6 || net_ip_sum_is_right(f, &l));
    struct net_frame *bare = make(row, false);
    bare->data[l.l4 + (row->udp ? 6 : 16)] = 0x5a; /* does not count */
    net_ip_sum_set(bare, &l);
    net_l4_sum_set(bare, &l);
    CHECK_MEM_EQ(bare->data, f->data, f->bytes);
    bare->data[f->bytes - 1] ^= 1;
    CHECK(!net_l4_sum_is_right(bare, &l));
    net_frame_free(bare);
    net_frame_free(f);
}

/* Each length and each damaged byte of the headers: no access beyond the
 * frame (the sanitizer looks), and never an end beyond it. */
TEST_P(damaged_headers, kinds)
{
    struct net_frame *f = make(row, true);
    uint32_t header = packet_header_bytes(row);

    for (uint32_t bytes = 0; bytes < f->bytes; bytes++) {
        struct net_frame *cut = net_frame_copy(f->data, bytes);
        struct net_layout l;
        if (net_frame_layout(cut, false, &l))
            CHECK(!l.version);
        net_user_frame_is_sane(cut);
        net_frame_free(cut);
    }
    for (uint32_t at = 12; at < header; at++) {
        for (unsigned v = 0; v < 256; v++) {
            struct net_frame *bad = net_frame_copy(f->data, f->bytes);
            struct net_layout l;
            bad->data[at] = (uint8_t)v;
            if (net_frame_layout(bad, v & 1, &l)) {
                CHECK_LE(l.end, bad->bytes);
                CHECK_LE(l.l3, l.l4);
                CHECK_LE(l.l4, l.payload);
                CHECK_LE(l.payload, l.end);
            }
            net_user_frame_is_sane(bad);
            net_frame_free(bad);
        }
    }
    net_frame_free(f);
}

TEST(fragments_and_extensions)
{
    const struct packet p = { .payload = 64, .udp = true };
    struct net_frame *f = make(&p, true);
    struct net_layout l;

    CHECK(net_user_frame_is_sane(f));
    f->data[14 + 6] = 0x20; /* more follow */
    CHECK(net_frame_layout(f, false, &l));
    CHECK(l.fragment);
    CHECK_EQ(l.payload, l.l4);
    CHECK(net_user_frame_is_sane(f));
    f->data[14 + 6] = 0x1f; /* at 65528: it would end beyond 65535 */
    f->data[14 + 7] = 0xff;
    CHECK(!net_user_frame_is_sane(f));
    net_frame_free(f);

    const struct packet six = { .payload = 64, .udp = true, .v6 = true };
    f = make(&six, true);
    f->data[14 + 6] = 60; /* options, then what their first byte says */
    memset(f->data + 14 + 40, 0, 8);
    f->data[14 + 40] = 17;
    f->data[14 + 53] = 60; /* UDP length */
    CHECK(net_frame_layout(f, false, &l));
    CHECK_EQ(l.l4, 14 + 48);
    CHECK_EQ(l.protocol, 17);
    f->data[14 + 41] = 255; /* longer than the packet */
    CHECK(!net_frame_layout(f, false, &l));
    net_frame_free(f);
}

static const struct {
    bool v6;
    uint32_t payload, mss, parts;
} cuts[] = {
    { false, 64000, 1448, 45 }, { true, 61234, 1428, 43 },
    { false, 1448, 1448, 1 },   { false, 1449, 1448, 2 },
    { false, 100, 1448, 1 },    { true, 2, 1, 2 },
};

#define FIN 0x01u
#define PSH 0x08u
#define ACK 0x10u
#define CWR 0x80u

/* Segments as RFC 9293 has them; together they are what was sent; merging
 * makes one of them again. */
TEST_P(segments_and_back, cuts)
{
    const struct packet p = { .v6 = row->v6,
                              .payload = row->payload,
                              .seed = 9,
                              .sequence = 0xfffff000,
                              .flags = FIN | PSH | ACK | CWR };
    struct net_frame *f = make(&p, false);
    struct net_layout l;
    struct net_list out;
    uint32_t header = packet_header_bytes(&p), at = 0;

    net_list_init(&out);
    /* Lengths of the headers do not count. */
    memset(f->data + 14 + (row->v6 ? 4 : 2), 0, 2);
    CHECK(net_frame_layout(f, true, &l));
    net_segment(f, &l, row->mss, &out);
    CHECK_EQ(out.count, row->parts);
    for (struct net_frame *s = out.first; s; s = s->next) {
        uint32_t n = s->bytes - header;
        uint32_t flags = ACK | (at ? 0 : CWR);
        if (at + n == row->payload)
            flags |= FIN | PSH;
        CHECK_LE(n, row->mss);
        CHECK(packet_is_right(s->data, s->bytes));
        CHECK_EQ(net_be32(s->data + l.l4 + 4), (uint32_t)(0xfffff000 + at));
        CHECK_EQ(s->data[l.l4 + 13], flags);
        if (!row->v6)
            CHECK_EQ(net_be16(s->data + 18), (0xfffe + at / row->mss) & 0xffff);
        for (uint32_t i = 0; i < n; i++)
            CHECK_EQ(s->data[header + i], packet_pattern(9, at + i));
        at += n;
    }
    CHECK_EQ(at, row->payload);
    net_list_clear(&out);
}

static struct net_frame *segment(uint32_t at, uint32_t n, uint32_t flags)
{
    const struct packet p = { .payload = n,
                              .sequence = 5000 + at,
                              .flags = flags };
    struct net_frame *f = make(&p, true);

    for (uint32_t i = 0; i < n; i++)
        f->data[f->bytes - n + i] = packet_pattern(1, at + i);
    f->flags = BP_NET_L4_CSUM | BP_NET_IP_CSUM;
    return f;
}

TEST(merges_what_belongs_together)
{
    struct net_list l;
    struct net_layout at;

    net_list_init(&l);
    net_list_add(&l, segment(0, 1000, ACK));
    net_list_add(&l, segment(1000, 1000, ACK));
    CHECK(net_merge(&l, segment(2000, 1000, ACK)));
    CHECK(net_merge(&l, segment(3000, 1000, ACK)));
    CHECK(net_merge(&l, segment(4000, 300, ACK | PSH)));
    CHECK_EQ(l.count, 2);
    struct net_frame *whole = l.first->next;
    CHECK_EQ(whole->mss, 1000);
    CHECK(whole->flags & BP_NET_SEGMENT);
    CHECK(net_frame_layout(whole, false, &at));
    CHECK(net_ip_sum_is_right(whole, &at));
    CHECK_EQ(at.end - at.payload, 3300);
    CHECK(whole->data[at.l4 + 13] & PSH);
    for (uint32_t i = 0; i < 3300; i++)
        CHECK_EQ(whole->data[at.payload + i], packet_pattern(1, 1000 + i));
    /* The list is whole after its last frame moved. */
    net_list_add(&l, segment(9000, 10, ACK));
    CHECK_EQ(l.count, 3);
    net_frame_free(net_list_take(&l));
    net_frame_free(net_list_take(&l));
    CHECK(net_merge(&l, segment(9010, 10, ACK)));
    CHECK_EQ(l.first->bytes, 14 + 20 + 32 + 20);
    net_frame_free(net_list_take(&l));
    CHECK(!net_list_take(&l));
    CHECK_EQ(l.bytes, 0);
    net_list_clear(&l);
}

static const struct {
    const char *what;
    uint32_t at, n, flags;
    int damaged; /* a byte of the frame; 0: none */
    bool unchecked;
} strangers[] = {
    { "a gap", 1001, 100, ACK, 0, false },
    { "a repetition", 0, 100, ACK, 0, false },
    { "longer than the first", 1000, 1001, ACK, 0, false },
    { "nothing in it", 1000, 0, ACK, 0, false },
    { "FIN", 1000, 100, ACK | FIN, 0, false },
    { "another sender", 1000, 100, ACK, 6, false },
    { "another address", 1000, 100, ACK, 14 + 12, false },
    { "another TOS", 1000, 100, ACK, 14 + 1, false },
    { "another TTL", 1000, 100, ACK, 14 + 8, false },
    { "another port", 1000, 100, ACK, 34, false },
    { "other options", 1000, 100, ACK, 34 + 25, false },
    { "a wrong checksum", 1000, 100, ACK, 0, true },
};

TEST_P(does_not_merge_others, strangers)
{
    struct net_list l;
    struct net_frame *f = segment(row->at, row->n, row->flags);

    net_list_init(&l);
    net_list_add(&l, segment(0, 1000, ACK));
    if (row->damaged)
        f->data[row->damaged] ^= 1;
    if (row->unchecked)
        f->flags = BP_NET_IP_CSUM;
    CHECK(!net_merge(&l, f));
    net_frame_free(f);
    net_list_clear(&l);
}

TEST(merging_has_an_end)
{
    struct net_list l;
    uint32_t n = 0;

    net_list_init(&l);
    net_list_add(&l, segment(0, 1448, ACK));
    while (n < 60) {
        struct net_frame *f = segment(++n * 1448, 1448, ACK);
        if (!net_merge(&l, f)) {
            net_frame_free(f);
            break;
        }
    }
    CHECK_EQ(n, 44);
    CHECK_LE(l.first->bytes, 65535 + 14);
    net_list_clear(&l);
}
