/* SPDX-License-Identifier: Apache-2.0 */
/* Frames through netvsp, both ways. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "tests/dev/netvsp_guest.h"
#include "vm/vm.h"

static uint8_t frame[70000], message[80000], other[70000];

static void check_frame(struct net_guest *n, const void *data, uint32_t bytes)
{
    struct net_frame *f = ng_frame(n);

    CHECK(f);
    CHECK_EQ(f->bytes, bytes);
    CHECK_MEM_EQ(f->data, data, bytes);
    net_frame_free(f);
}

/* --- to the network -------------------------------------------------------*/

static const uint32_t sizes[] = { 14, 60, 1000, 1514, 6000, 9014 };

TEST_P(sent_from_section_and_memory, sizes)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);

    for (uint32_t i = 12; i < *row; i++)
        frame[i] = packet_pattern(3, i);
    uint32_t bytes = ng_packet(message, frame, *row, NULL, 0);
    if (bytes <= 6144) {
        ng_put_section(n, 5, message, bytes);
        CHECK_EQ(ng_send_section(n, 5, bytes), NVSP_SUCCESS);
        check_frame(n, frame, *row);
    }
    CHECK_EQ(ng_send_memory(n, message, bytes), NVSP_SUCCESS);
    check_frame(n, frame, *row);
    CHECK(!ng_frame(n));
    ng_end(n);
    bench_destroy(b);
}

TEST(several_in_one_section)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint32_t at = 0;

    for (uint32_t i = 0; i < 8; i++) {
        uint32_t bytes = 100 + 31 * i;
        memset(frame, (int)(0x10 + i), bytes);
        uint32_t m = ng_packet(message + at, frame, bytes, NULL, 0);
        m += -m & 7u; /* each begins at a multiple of 8 */
        wire_put32(message + at + 4, m);
        at += m;
    }
    ng_put_section(n, 0, message, at);
    CHECK_EQ(ng_send_section(n, 0, at), NVSP_SUCCESS);
    for (uint32_t i = 0; i < 8; i++) {
        memset(frame, (int)(0x10 + i), 1000);
        check_frame(n, frame, 100 + 31 * i);
    }
    ng_end(n);
    bench_destroy(b);
}

/* The header in a section, the frame in memory behind it. */
TEST(begun_in_a_section)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t m[NVSP_BYTES_6_1] = { NVSP_RNDIS_PACKET }, *ram;
    uint64_t gpa = vg_pages(n->g, 2, &ram);
    struct vg_packet p;

    for (uint32_t i = 0; i < 5000; i++)
        frame[i] = packet_pattern(8, i);
    ng_packet(message, frame, 5000, NULL, 0);
    ng_put_section(n, 1, message, 44);
    memcpy(ram + 700, frame, 5000);
    wire_put32(m + 8, 1);
    wire_put32(m + 12, 44);
    CHECK(vg_send_gpa(n->ch, 4, m, sizeof(m), gpa + 700, 5000));
    vg_completion(n->ch, 4, &p);
    CHECK_EQ(wire_u32(p.data + 4), NVSP_SUCCESS);
    check_frame(n, frame, 5000);
    ng_end(n);
    bench_destroy(b);
}

static const struct {
    struct packet packet;
    uint32_t checksum;
} sums[] = {
    { { .payload = 900, .flags = 0x18 }, TX_IS_IPV4 | TX_TCP | 34 << 16 },
    { { .payload = 901, .udp = true }, TX_IS_IPV4 | TX_UDP | TX_IP | 34 << 16 },
    { { .payload = 77, .v6 = true }, TX_IS_IPV6 | TX_TCP | 54 << 16 },
    { { .payload = 3, .v6 = true, .udp = true },
      TX_IS_IPV6 | TX_UDP | 54 << 16 },
};

TEST_P(checksums_are_completed, sums)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint32_t bytes = packet_build(&row->packet, true, other);

    packet_build(&row->packet, false, frame);
    if (!(row->checksum & TX_IP) && !row->packet.v6)
        memcpy(frame + 14, other + 14, 20); /* the guest's own */
    const struct ng_info info = { PPI_CHECKSUM, row->checksum };
    uint32_t m = ng_packet(message, frame, bytes, &info, 1);
    CHECK_EQ(ng_send_memory(n, message, m), NVSP_SUCCESS);
    check_frame(n, other, bytes);
    ng_end(n);
    bench_destroy(b);
}

static const struct {
    bool large, v6, v1;
} segments[] = { { false, false, false },
                 { false, true, false },
                 { true, false, false },
                 { true, true, false },
                 { false, false, true } };

TEST_P(large_segments, segments)
{
    struct bench *b = ng_bench(1, row->large);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    const struct packet p = { .v6 = row->v6, .payload = 60000, .flags = 0x18 };
    uint32_t header = packet_header_bytes(&p), got = 0;
    uint32_t bytes = packet_build(&p, false, frame);

    memset(frame + 14 + (row->v6 ? 4 : 2), 0, 2);
    const struct ng_info info = { PPI_LARGE_SEND,
                                  1400 | (header - 32) << 20 |
                                      (row->v1 ? 0 : 1u << 30) |
                                      (row->v6 ? 1u << 31 : 0) };
    uint32_t m = ng_packet(message, frame, bytes, &info, 1);
    CHECK_EQ(ng_send_memory(n, message, m), NVSP_SUCCESS);
    for (struct net_frame *f; (f = ng_frame(n)); net_frame_free(f)) {
        CHECK(packet_is_right(f->data, f->bytes));
        CHECK(row->large || f->bytes <= header + 1400);
        for (uint32_t i = header; i < f->bytes; i++, got++)
            CHECK_EQ(f->data[i], packet_pattern(0, got));
    }
    CHECK_EQ(got, 60000);
    ng_end(n);
    bench_destroy(b);
}

TEST(tags)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    const struct packet plain = { .payload = 50, .udp = true };
    const struct packet tagged = { .payload = 50, .udp = true, .vlan = 0xb064 };
    uint32_t bytes = packet_build(&plain, true, frame), value;
    uint32_t with = packet_build(&tagged, true, other);
    /* Priority 5, DEI, number 100 */
    const struct ng_info info = { PPI_VLAN, 5 | 8 | 100 << 4 };

    uint32_t m = ng_packet(message, frame, bytes, &info, 1);
    CHECK_EQ(ng_send_memory(n, message, m), NVSP_SUCCESS);
    check_frame(n, other, with);
    memset(other, 255, 6);
    bench_net_send(b, "net0", other, with);
    struct got *g = ng_take(n);
    CHECK(g);
    const uint8_t *f = ng_frame_of(g, &m);
    CHECK_EQ(m, bytes);
    CHECK_MEM_EQ(f + 6, frame + 6, bytes - 6);
    CHECK(ng_info_of(g, PPI_VLAN, &value));
    CHECK_EQ(value, 5 | 8 | 100 << 4);
    g_free(g);
    ng_end(n);
    bench_destroy(b);
}

/* The back end is behind: packets stay in the ring, none is lost. */
TEST(waits_for_the_network)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    uint8_t m[NVSP_BYTES_6_1] = { NVSP_RNDIS_PACKET };
    uint32_t sent = 0, came = 0;

    memset(frame, 0, 1514);
    uint32_t bytes = ng_packet(message, frame, 1514, NULL, 0);
    ng_put_section(n, 0, message, bytes);
    wire_put32(m + 12, bytes);
    while (sent < 4000) {
        struct vg_packet p;
        if (!vg_send(n->ch, sent, m, sizeof(m), true))
            break;
        sent++;
        while (vg_receive(n->ch, &p))
            CHECK_EQ(p.type, BP_VMBUS_COMPLETION);
    }
    CHECK_LT(sent, 4000);
    bench_save_load(b);
    bench_start(b);
    for (unsigned turn = 0; turn < 100; turn++) {
        struct vg_packet p;
        struct net_frame *f = net_port_take(bench_net(b, "net0"));
        for (struct net_frame *i = f; i; i = i->next)
            came++;
        net_frames_free(f);
        bench_run(b);
        while (vg_receive(n->ch, &p))
            CHECK_EQ(p.type, BP_VMBUS_COMPLETION);
    }
    CHECK_EQ(came, sent);
    ng_end(n);
    bench_destroy(b);
}

/* --- to the guest ---------------------------------------------------------*/

static uint32_t for_guest(struct net_guest *n, const struct packet *p)
{
    uint32_t bytes = packet_build(p, true, frame);

    memcpy(frame, bench_net(n->b, "net0")->mac, 6);
    return bytes;
}

TEST(received_with_checksums)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    const struct packet tcp = { .payload = 1000 };
    const struct packet udp = { .payload = 1000, .udp = true, .v6 = true };
    uint32_t bytes = for_guest(n, &tcp), length, value;

    bench_net_send(b, "net0", frame, bytes);
    CHECK(vg_interrupted(n->ch));
    struct got *m = ng_take(n);
    CHECK(m);
    CHECK_MEM_EQ(ng_frame_of(m, &length), frame, bytes);
    CHECK_EQ(length, bytes);
    CHECK(ng_info_of(m, PPI_CHECKSUM, &value));
    CHECK_EQ(value, RX_TCP_GOOD | RX_IP_GOOD);
    CHECK(!ng_info_of(m, PPI_HASH, &value));
    g_free(m);
    frame[bytes - 1] ^= 1; /* now it is wrong */
    bench_net_send(b, "net0", frame, bytes);
    m = ng_take(n);
    CHECK(ng_info_of(m, PPI_CHECKSUM, &value));
    CHECK_EQ(value, RX_IP_GOOD);
    g_free(m);
    bytes = for_guest(n, &udp);
    bench_net_send(b, "net0", frame, bytes);
    m = ng_take(n);
    CHECK(ng_info_of(m, PPI_CHECKSUM, &value));
    CHECK_EQ(value, RX_UDP_GOOD);
    g_free(m);
    CHECK_EQ(ng_query_u32(n, 0x00020102), 3);
    ng_end(n);
    bench_destroy(b);
}

static const struct {
    uint32_t filter;
    const char *to;
    bool wanted;
} filters[] = {
    { 0x0d, "\xff\xff\xff\xff\xff\xff", true },
    { 0x0d, NULL, true },
    { 0x0d, "\x02\x00\x00\x00\x00\x09", false },
    { 0x0d, "\x01\x00\x5e\x00\x00\x09", true },
    { 0x20, "\x02\x00\x00\x00\x00\x09", true },
    { 0x01, "\xff\xff\xff\xff\xff\xff", false },
    { 0x02, "\x01\x00\x5e\x00\x00\x05", true },
    { 0x02, "\x01\x00\x5e\x00\x00\x09", false },
    { 0x00, NULL, false },
};

TEST_P(packet_filter, filters)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_5);
    uint8_t f[60] = { 0 };

    CHECK_EQ(ng_set(n, 0x01010103, "\x01\x00\x5e\x00\x00\x05", 6),
             RNDIS_SUCCESS);
    CHECK_EQ(ng_set(n, 0x0001010e, &row->filter, 4), RNDIS_SUCCESS);
    memcpy(f, row->to ? (const void *)row->to : bench_net(b, "net0")->mac, 6);
    bench_net_send(b, "net0", f, sizeof(f));
    struct got *m = ng_take(n);
    CHECK_EQ(m != NULL, row->wanted);
    g_free(m);
    ng_end(n);
    bench_destroy(b);
}

/* Many at once share packets; a guest that keeps them all gets no more, and
 * nothing is lost when it gives them back. */
TEST(sections_are_given_back)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    struct net_port *port = bench_net(b, "net0");
    uint8_t f[100];
    uint32_t came = 0, sent = n->section_count * 2;
    struct got *m;

    memset(f, 255, sizeof(f));
    n->keep = true;
    for (uint32_t i = 0; i < sent; i++) {
        wire_put32(f + 50, i);
        net_port_receive(port, net_frame_copy(f, sizeof(f)), false);
    }
    net_port_deliver(bench_net(b, "net0"));
    bench_run(b);
    ng_poll(n, n->ch);
    CHECK_EQ(g_queue_get_length(n->got), n->section_count - 16);
    CHECK_GT(n->largest, 30);
    CHECK_EQ(ng_query_u32(n, 0x00010106), 1500); /* control goes through */
    bench_save_load(b);
    bench_start(b);
    for (unsigned turn = 0; turn < 10; turn++) {
        ng_complete(n, n->ch);
        ng_poll(n, n->ch);
    }
    while ((m = g_queue_pop_head(n->got))) {
        uint32_t bytes;
        if (m->kind == NVSP_DATA) {
            CHECK_EQ(wire_u32(ng_frame_of(m, &bytes) + 50), came);
            came++;
        }
        g_free(m);
    }
    CHECK_EQ(came, sent);
    ng_end(n);
    bench_destroy(b);
}

static void merge_on(struct net_guest *n)
{
    uint8_t params[24] = { NDIS_DEFAULT, 3, 24 };

    memset(params + 5, 4, 4);
    params[22] = params[23] = 2;
    CHECK_EQ(ng_set(n, 0xfc01020c, params, sizeof(params)), RNDIS_SUCCESS);
}

TEST(merged_segments)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    struct net_port *port = bench_net(b, "net0");
    uint32_t got = 0, id, value, bytes, parts = 0, whole = 0;
    struct got *m;

    merge_on(n);
    n->keep = true;
    for (uint32_t i = 0; i < 20; i++) {
        const struct packet p = { .payload = 1400,
                                  .sequence = i * 1400,
                                  .seed = (uint8_t)i,
                                  .flags = i == 19 ? 0x18 : 0x10 };
        bytes = for_guest(n, &p);
        net_port_receive(port, net_frame_copy(frame, bytes), false);
    }
    net_port_deliver(port);
    bench_run(b);
    while ((m = ng_take(n))) {
        const uint8_t *f = ng_frame_of(m, &bytes);
        bool first = !whole && !parts;
        if (!ng_info_of(m, PPI_INTERNAL_ID, &id)) {
            whole++;
            first = true;
        } else {
            CHECK_EQ(id & 0xff, ID_VERSION);
            CHECK(id >> 8 & ID_PART);
            first = id >> 8 & ID_FIRST;
            parts++;
        }
        if (first) {
            CHECK(ng_info_of(m, PPI_CHECKSUM, &value));
            CHECK(value & RX_TCP_GOOD);
        }
        for (uint32_t i = first ? 66 : 0; i < bytes; i++, got++)
            CHECK_EQ(f[i], packet_pattern((uint8_t)(got / 1400), got % 1400));
        g_free(m);
    }
    CHECK_EQ(got, 20 * 1400);
    CHECK_GE(parts, 15);
    CHECK_LE(g_queue_get_length(n->kept), 3);
    ng_end(n);
    bench_destroy(b);
}

/* Without its consent a guest gets segments as they came. */
TEST(not_merged_unasked)
{
    struct bench *b = ng_bench(1, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);

    for (uint32_t i = 0; i < 4; i++) {
        const struct packet p = { .payload = 700,
                                  .sequence = i * 700,
                                  .flags = 0x10 };
        uint32_t bytes = for_guest(n, &p);
        net_port_receive(bench_net(b, "net0"), net_frame_copy(frame, bytes),
                         false);
    }
    net_port_deliver(bench_net(b, "net0"));
    bench_run(b);
    ng_poll(n, n->ch);
    CHECK_EQ(g_queue_get_length(n->got), 4);
    ng_end(n);
    bench_destroy(b);
}

/* --- scaling --------------------------------------------------------------*/

static const uint8_t key[40] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint32_t set_rss(struct net_guest *n, uint32_t types, uint32_t channels)
{
    uint8_t v[40 + 4 * 128 + 40] = { NDIS_RSS_PARAMETERS, 2, 40 };

    wire_put32(v + 8, HASH_TOEPLITZ | types);
    wire_put16(v + 12, 4 * 128);
    wire_put32(v + 16, 40);
    wire_put16(v + 20, 40);
    wire_put32(v + 24, 40 + 4 * 128);
    for (uint32_t i = 0; i < 128; i++)
        wire_put32(v + 40 + 4 * i, i % channels);
    memcpy(v + 40 + 4 * 128, key, 40);
    return ng_set(n, 0x00010204, v, sizeof(v));
}

static const struct {
    const char *to, *from;
    uint16_t to_port, from_port;
    uint32_t addresses, ports;
} hashes[] = {
    /* NDIS reference, "Verifying the RSS Hash Calculation" */
    { "\xa1\x8e\x64\x50", "\x42\x09\x95\xbb", 1766, 2794, 0x323e8fc2,
      0x51ccc178 },
    { "\x41\x45\x8c\x53", "\xc7\x5c\x6f\x02", 4739, 14230, 0xd718262a,
      0xc626b0ea },
    { "\x0c\x16\xcf\xb8", "\x18\x13\xc6\x5f", 38024, 12898, 0xd2d0a5de,
      0x5c2b394a },
    { "\xd1\x8e\xa3\x06", "\x26\x1b\xcd\x1e", 2217, 48228, 0x82989176,
      0xafc7327f },
    { "\xca\xbc\x7f\x02", "\x99\x27\xa3\xbf", 1303, 44251, 0x5d1809c5,
      0x10e828a2 },
};

TEST_P(toeplitz, hashes)
{
    struct bench *b = ng_bench(2, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    const struct packet p = { .payload = 10 };

    for (unsigned tcp = 0; tcp < 2; tcp++) {
        uint32_t bytes = for_guest(n, &p), value;
        CHECK_EQ(set_rss(n, tcp ? HASH_IPV4 | HASH_TCP_IPV4 : HASH_IPV4, 1),
                 RNDIS_SUCCESS);
        memcpy(frame + 26, row->from, 4);
        memcpy(frame + 30, row->to, 4);
        net_put16(frame + 34, row->from_port);
        net_put16(frame + 36, row->to_port);
        bench_net_send(b, "net0", frame, bytes);
        struct got *m = ng_take(n);
        CHECK(ng_info_of(m, PPI_HASH, &value));
        CHECK_EQ(value, tcp ? row->ports : row->addresses);
        g_free(m);
    }
    ng_end(n);
    bench_destroy(b);
}

static void open_subchannels(struct net_guest *n, uint32_t wanted,
                             uint32_t given, struct vg_channel **sub)
{
    const uint32_t words[] = { NVSP_SUBCHANNELS, 1, wanted };
    uint32_t a[3];

    ng_ask(n, words, 3, a, 3);
    CHECK_EQ(a[1], NVSP_SUCCESS);
    CHECK_EQ(a[2], given);
    vg_poll(n->g);
    for (uint16_t i = 1; i <= given; i++)
        sub[i] = vg_open(n->g, vg_subchannel(n->g, &n->ch->offer, i), 8);
}

/* Connections are spread, each stays on its channel, also when saved. */
TEST(scaling)
{
    struct bench *b = ng_bench(4, false);
    struct net_guest *n = ng_start(b, NVSP_6_1);
    struct vg_channel *sub[4] = { n->ch };
    uint32_t on[4] = { 0 };
    struct vg_packet p;
    struct got *m;

    open_subchannels(n, 3, 3, sub);
    CHECK(vg_receive(n->ch, &p)); /* where to send on */
    CHECK_EQ(p.type, BP_VMBUS_INBAND);
    CHECK_EQ(wire_u32(p.data), NVSP_SEND_INDIRECTION);
    CHECK_EQ(wire_u32(p.data + 4), 16);
    for (uint32_t i = 0; i < 16; i++)
        CHECK_EQ(wire_u32(p.data + wire_u32(p.data + 8) + 4 * i), i % 4);
    CHECK_EQ(set_rss(n, HASH_IPV4 | HASH_TCP_IPV4, 4), RNDIS_SUCCESS);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < 64; i++) {
            const struct packet t = { .payload = 20 };
            uint32_t bytes = for_guest(n, &t);
            net_put16(frame + 34, 5000 + i);
            net_port_receive(bench_net(b, "net0"), net_frame_copy(frame, bytes),
                             false);
        }
        net_port_deliver(bench_net(b, "net0"));
        bench_run(b);
        for (uint32_t i = 0; i < 4; i++)
            ng_poll(n, sub[i]);
        while ((m = g_queue_pop_head(n->got))) {
            on[m->channel]++;
            g_free(m);
        }
        bench_save_load(b);
        bench_start(b);
    }
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_GE(on[i], 16);
        CHECK_EQ(on[i] % 2, 0); /* the same both times */
    }
    /* Frames go out on any channel. */
    uint32_t bytes = ng_packet(message, frame, 60, NULL, 0);
    uint8_t s[NVSP_BYTES_6_1] = { NVSP_RNDIS_PACKET };
    ng_put_section(n, 2, message, bytes);
    wire_put32(s + 8, 2);
    wire_put32(s + 12, bytes);
    CHECK(vg_send(sub[3], 7, s, sizeof(s), true));
    vg_completion(sub[3], 7, &p);
    check_frame(n, frame, 60);
    /* The primary closes: the others go. */
    for (uint32_t i = 1; i < 4; i++)
        vg_close(sub[i]);
    vg_close(n->ch);
    vg_poll(n->g);
    CHECK(!vg_try_offer(n->g, &net_guid, 1));
    n->ch = vg_open(n->g, vg_offer(n->g, &net_guid, 0), 8);
    ng_end(n);
    bench_destroy(b);
}

TEST(no_more_channels_than_processors)
{
    struct bench *b = ng_bench(2, false);
    struct net_guest *n = ng_start(b, NVSP_5);
    struct vg_channel *sub[8];
    uint8_t out[512];
    uint32_t bytes;

    CHECK_EQ(ng_query(n, 0x00010203, NULL, 0, out, &bytes), RNDIS_SUCCESS);
    CHECK_EQ(bytes, 18);
    CHECK_EQ(wire_u32(out + 12), 2);
    CHECK_EQ(wire_u16(out + 16), 128);
    open_subchannels(n, 100, 1, sub);
    ng_end(n);
    bench_destroy(b);
}
