/* SPDX-License-Identifier: Apache-2.0 */
#include "net/backends.h"

#define TYPE_IPV4 0x0800u
#define TYPE_ARP  0x0806u
#define TYPE_IPV6 0x86ddu

/* Ethernet and IPv4 addresses, and all of it there (RFC 826). */
static bool is_sane_arp(const struct net_frame *f)
{
    const uint8_t *a = f->data + ETHERNET_HEADER;

    return f->bytes >= ETHERNET_HEADER + 28 && net_be16(a) == 1 &&
           net_be16(a + 2) == TYPE_IPV4 && a[4] == 6 && a[5] == 4;
}

/* A fragment may not reach beyond the largest datagram. */
static bool is_sane_fragment(const struct net_frame *f,
                             const struct net_layout *l)
{
    const uint8_t *ip = f->data + l->l3;

    if (l->version != 4)
        return !l->fragment; /* libslirp has no IPv6 reassembly */
    uint32_t offset = (net_be16(ip + 6) & 0x1fffu) * 8;
    uint32_t bytes = l->end - l->l4;
    bool more = net_be16(ip + 6) & 0x2000;
    return offset + bytes <= UINT16_MAX - 60u &&
           (!l->fragment || (bytes && (!more || bytes % 8 == 0)));
}

static bool is_sane_udp(const struct net_frame *f, const struct net_layout *l)
{
    uint32_t bytes = net_be16(f->data + l->l4 + 4);

    return bytes >= 8 && bytes <= l->end - l->l4;
}

bool net_user_frame_is_sane(const struct net_frame *f)
{
    struct net_layout l;

    if (f->bytes < ETHERNET_HEADER)
        return false;
    uint32_t type = net_be16(f->data + 12);
    if (type == TYPE_ARP)
        return is_sane_arp(f);
    if ((type != TYPE_IPV4 && type != TYPE_IPV6) ||
        !net_frame_layout(f, false, &l) || !is_sane_fragment(f, &l))
        return false;
    /* Without options: source routes and the like have no use here. */
    if (l.version == 4 && l.l4 - l.l3 != 20 && l.protocol != 2)
        return false;
    if (!l.fragment && l.protocol == IP_UDP && !is_sane_udp(f, &l))
        return false;
    return !(l.protocol == IP_ICMP6 && l.end - l.l4 < 8);
}
