/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: RFC 791, 768, 9293, 8200, 1071; IEEE 802.3, 802.1Q. */
#include "net/frame.h"

#include <glib.h>
#include <string.h>

#define TYPE_IPV4   0x0800u
#define TYPE_IPV6   0x86ddu
#define TYPE_VLAN   0x8100u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define TCP_HEADER  20u
#define UDP_HEADER  8u
/* Extension headers that are followed; a chain of more is not looked into. */
#define MAX_EXTENSIONS 8u

struct net_frame *net_frame_new(uint32_t room)
{
    struct net_frame *f = g_malloc(sizeof(*f) + room);

    f->next = NULL;
    f->bytes = 0;
    f->room = room;
    f->flags = 0;
    f->mss = f->vlan = 0;
    return f;
}

struct net_frame *net_frame_copy(const void *data, uint32_t bytes)
{
    struct net_frame *f = net_frame_new(bytes);

    memcpy(f->data, data, bytes);
    f->bytes = bytes;
    return f;
}

void net_frame_free(struct net_frame *f)
{
    g_free(f);
}

void net_frames_free(struct net_frame *first)
{
    struct net_frame *next;

    for (; first; first = next) {
        next = first->next;
        net_frame_free(first);
    }
}

void net_list_init(struct net_list *l)
{
    *l = (struct net_list){ .last = &l->first };
}

static uint64_t memory_of(const struct net_frame *f)
{
    return sizeof(*f) + f->room;
}

void net_list_add(struct net_list *l, struct net_frame *f)
{
    f->next = NULL;
    *l->last = f;
    l->newest = l->last;
    l->last = &f->next;
    l->count++;
    l->bytes += memory_of(f);
}

struct net_frame *net_list_take(struct net_list *l)
{
    struct net_frame *f = l->first;

    if (!f)
        return NULL;
    l->first = f->next;
    if (!l->first)
        l->last = &l->first;
    l->count--;
    l->bytes -= memory_of(f);
    if (l->newest == &f->next)
        l->newest = &l->first;
    f->next = NULL;
    return f;
}

void net_list_clear(struct net_list *l)
{
    net_frames_free(l->first);
    net_list_init(l);
}

/* --- headers --------------------------------------------------------------*/

/* The header at l4: sets payload; false when it does not fit. */
static bool look_l4(const struct net_frame *f, struct net_layout *l)
{
    const uint8_t *h = f->data + l->l4;
    uint32_t room = l->end - l->l4;
    uint32_t header = 0;

    if (l->fragment || (l->protocol != IP_TCP && l->protocol != IP_UDP)) {
        l->payload = l->l4;
        return true;
    }
    if (l->protocol == IP_TCP)
        header = room >= TCP_HEADER ? (uint32_t)(h[12] >> 4) * 4 : 0;
    else if (room >= UDP_HEADER)
        header = UDP_HEADER;
    if (header < (l->protocol == IP_TCP ? TCP_HEADER : UDP_HEADER) ||
        header > room)
        return false;
    l->payload = l->l4 + header;
    return true;
}

static bool look_ipv4(const struct net_frame *f, bool large,
                      struct net_layout *l)
{
    const uint8_t *h = f->data + l->l3;
    uint32_t room = f->bytes - l->l3;

    if (room < IPV4_HEADER || h[0] >> 4 != 4)
        return false;
    uint32_t header = (h[0] & 15u) * 4;
    uint32_t total = large ? room : net_be16(h + 2);
    if (header < IPV4_HEADER || header > total || total > room)
        return false;
    l->version = 4;
    l->protocol = h[9];
    l->fragment = (net_be16(h + 6) & 0x3fff) != 0;
    l->l4 = l->l3 + header;
    l->end = l->l3 + total;
    return look_l4(f, l);
}

static bool is_extension(uint8_t header)
{
    return header == 0 || header == 43 || header == 44 || header == 60;
}

static bool look_ipv6(const struct net_frame *f, bool large,
                      struct net_layout *l)
{
    const uint8_t *h = f->data + l->l3;
    uint32_t room = f->bytes - l->l3;

    if (room < IPV6_HEADER || h[0] >> 4 != 6)
        return false;
    uint32_t total = large ? room : IPV6_HEADER + net_be16(h + 4);
    if (total > room)
        return false;
    l->version = 6;
    l->end = l->l3 + total;
    l->l4 = l->l3 + IPV6_HEADER;
    l->protocol = h[6];
    for (unsigned i = 0; i < MAX_EXTENSIONS && is_extension(l->protocol); i++) {
        const uint8_t *e = f->data + l->l4;
        if (l->end - l->l4 < 8)
            return false;
        /* A fragment header is 8 bytes whatever its length says. */
        uint32_t bytes = l->protocol == 44 ? 8 : (e[1] + 1u) * 8;
        l->fragment = l->fragment || l->protocol == 44;
        if (bytes > l->end - l->l4)
            return false;
        l->protocol = e[0];
        l->l4 += bytes;
    }
    return look_l4(f, l);
}

bool net_frame_layout(const struct net_frame *f, bool large,
                      struct net_layout *l)
{
    uint32_t at = ETHERNET_HEADER - 2;

    *l = (struct net_layout){ .end = f->bytes };
    if (f->bytes < ETHERNET_HEADER)
        return false;
    uint32_t type = net_be16(f->data + at);
    if (type == TYPE_VLAN) {
        at += VLAN_TAG;
        if (f->bytes < at + 2)
            return false;
        type = net_be16(f->data + at);
    }
    l->l3 = l->l4 = l->payload = at + 2;
    if (type == TYPE_IPV4)
        return look_ipv4(f, large, l);
    if (type == TYPE_IPV6)
        return look_ipv6(f, large, l);
    return true;
}

/* --- checksums ------------------------------------------------------------*/

/*
 * Sums of 32-bit words in the host's order: ones' complement sums do not mind
 * how bytes are grouped nor in which order (RFC 1071, section 2), so long as
 * it is the same for the field that is stored.
 */
uint64_t net_sum(uint64_t sum, const void *data, uint32_t bytes)
{
    const uint8_t *p = data;
    uint64_t a = 0, b = 0;
    uint32_t w[8];

    for (; bytes >= sizeof(w); p += sizeof(w), bytes -= sizeof(w)) {
        memcpy(w, p, sizeof(w));
        a += (uint64_t)w[0] + w[1] + w[2] + w[3];
        b += (uint64_t)w[4] + w[5] + w[6] + w[7];
    }
    for (; bytes >= 4; p += 4, bytes -= 4) {
        memcpy(w, p, 4);
        a += w[0];
    }
    if (bytes) {
        w[0] = 0;
        memcpy(w, p, bytes);
        b += w[0];
    }
    return sum + a + b;
}

uint16_t net_sum_finish(uint64_t sum)
{
    sum = (sum >> 32) + (sum & 0xffffffffu);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~sum;
}

/* Addresses, length and protocol, as RFC 768 and RFC 8200 (8.1) have it. */
static uint64_t pseudo_sum(const struct net_frame *f,
                           const struct net_layout *l)
{
    const uint8_t *ip = f->data + l->l3;
    uint8_t tail[8] = { 0 };

    net_put32(tail, l->end - l->l4);
    tail[7] = l->protocol;
    uint64_t sum = net_sum(0, tail, sizeof(tail));
    return l->version == 4 ? net_sum(sum, ip + 12, 8)
                           : net_sum(sum, ip + 8, 32);
}

static uint64_t l4_sum(const struct net_frame *f, const struct net_layout *l)
{
    return net_sum(pseudo_sum(f, l), f->data + l->l4, l->end - l->l4);
}

bool net_l4_sum_is_right(const struct net_frame *f, const struct net_layout *l)
{
    /* A UDP sender may leave it out, with IPv4. */
    if (l->protocol == IP_UDP && l->version == 4 &&
        net_be16(f->data + l->l4 + 6) == 0)
        return true;
    return net_sum_finish(l4_sum(f, l)) == 0;
}

void net_l4_sum_set(struct net_frame *f, const struct net_layout *l)
{
    uint8_t *field = f->data + l->l4 + (l->protocol == IP_TCP ? 16 : 6);

    memset(field, 0, 2);
    uint16_t sum = net_sum_finish(l4_sum(f, l));
    if (l->protocol == IP_UDP && sum == 0)
        sum = 0xffff;
    memcpy(field, &sum, 2);
}

void net_pseudo_sum_set(struct net_frame *f, const struct net_layout *l)
{
    uint16_t sum = (uint16_t)~net_sum_finish(pseudo_sum(f, l));

    memcpy(f->data + l->l4 + 16, &sum, 2);
}

bool net_ip_sum_is_right(const struct net_frame *f, const struct net_layout *l)
{
    const uint8_t *ip = f->data + l->l3;

    return net_sum_finish(net_sum(0, ip, (ip[0] & 15u) * 4)) == 0;
}

void net_ip_sum_set(struct net_frame *f, const struct net_layout *l)
{
    uint8_t *ip = f->data + l->l3;

    if (l->version != 4)
        return;
    memset(ip + 10, 0, 2);
    uint16_t sum = net_sum_finish(net_sum(0, ip, (ip[0] & 15u) * 4));
    memcpy(ip + 10, &sum, 2);
}
