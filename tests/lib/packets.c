/* SPDX-License-Identifier: Apache-2.0 */
/* Written apart from core/net, so that the two check each other. */
#include "tests/lib/packets.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

uint8_t packet_pattern(uint8_t seed, uint32_t at)
{
    return (uint8_t)(seed + at * 5 + at / 253);
}

uint16_t packet_slow_sum(const uint8_t *data, uint32_t bytes, uint32_t sum)
{
    for (uint32_t i = 0; i < bytes; i++) {
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* The sum with the pseudo-header; the segment is l4[0..bytes). */
static uint16_t l4_sum(bool v6, const uint8_t *ip, const uint8_t *l4,
                       uint32_t bytes, uint8_t protocol)
{
    uint8_t pseudo[40] = { 0 };
    uint32_t n = v6 ? 32 : 8;

    memcpy(pseudo, ip + (v6 ? 8 : 12), n);
    put32(pseudo + n, bytes);
    pseudo[n + 7] = protocol;
    uint32_t start = (uint16_t)~packet_slow_sum(pseudo, n + 8, 0);
    return packet_slow_sum(l4, bytes, start);
}

uint32_t packet_header_bytes(const struct packet *p)
{
    return 14 + (p->vlan ? 4 : 0) + (p->v6 ? 40 : 20) + (p->udp ? 8 : 32);
}

static uint8_t *put_ip(const struct packet *p, bool sums, uint8_t *ip,
                       uint32_t bytes)
{
    uint8_t protocol = p->udp ? 17 : 6;

    if (p->v6) {
        memset(ip, 0, 40);
        ip[0] = 0x60;
        put16(ip + 4, bytes);
        ip[6] = protocol;
        ip[7] = 64;
        ip[8] = ip[24] = 0xfe;
        ip[23] = 1;
        ip[39] = 2;
        return ip + 40;
    }
    memset(ip, 0, 20);
    ip[0] = 0x45;
    put16(ip + 2, bytes + 20);
    put16(ip + 4, 0xfffe); /* the identification wraps soon */
    ip[8] = 64;
    ip[9] = protocol;
    put32(ip + 12, 0x0a00020f);
    put32(ip + 16, 0x0a000202);
    if (sums)
        put16(ip + 10, packet_slow_sum(ip, 20, 0));
    return ip + 20;
}

uint32_t packet_build(const struct packet *p, bool sums, uint8_t *out)
{
    static const uint8_t to[6] = { 2, 0, 0, 0, 0, 1 };
    static const uint8_t from[6] = { 2, 0, 0, 0, 0, 2 };
    static const uint8_t zero[6];
    uint32_t header = p->udp ? 8 : 32;
    uint8_t *at = out + 12;

    memcpy(out, memcmp(p->to, zero, 6) ? p->to : to, 6);
    memcpy(out + 6, from, 6);
    if (p->vlan) {
        put16(at, 0x8100);
        put16(at + 2, p->vlan);
        at += 4;
    }
    put16(at, p->v6 ? 0x86dd : 0x0800);
    uint8_t *ip = at + 2;
    uint8_t *l4 = put_ip(p, sums, ip, header + p->payload);
    memset(l4, 0, header);
    put16(l4, 1000);
    put16(l4 + 2, 2000);
    if (p->udp) {
        put16(l4 + 4, header + p->payload);
    } else {
        put32(l4 + 4, p->sequence);
        put32(l4 + 8, 0x01020304);
        l4[12] = 0x80;
        l4[13] = (uint8_t)p->flags;
        put16(l4 + 14, 0x7fff);
        memcpy(l4 + 20,
               "\1\1\x8\xa"
               "12345678",
               12);
    }
    for (uint32_t i = 0; i < p->payload; i++)
        l4[header + i] = packet_pattern(p->seed, i);
    if (sums)
        put16(l4 + (p->udp ? 6 : 16),
              l4_sum(p->v6, ip, l4, header + p->payload, p->udp ? 17 : 6));
    return (uint32_t)(l4 - out) + header + p->payload;
}

bool packet_is_right(const uint8_t *frame, uint32_t bytes)
{
    const uint8_t *ip = frame + 14;
    bool v6 = frame[12] == 0x86;
    uint32_t header = v6 ? 40 : (ip[0] & 15u) * 4;
    uint32_t total = v6 ? 40u + ip[4] * 256u + ip[5] : ip[2] * 256u + ip[3];

    if (total + 14 > bytes)
        return false;
    if (!v6 && packet_slow_sum(ip, header, 0) != 0)
        return false;
    return l4_sum(v6, ip, ip + header, total - header, v6 ? ip[6] : ip[9]) == 0;
}
