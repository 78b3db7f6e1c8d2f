/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP segmentation in software, for guests that leave it to the device.
 *
 * Each part gets the headers of the whole; what differs is length, sequence
 * number, IPv4 identification, checksums, and three flags: CWR is the first
 * part's, FIN and PSH are the last one's (RFC 3168, 6.1.2; RFC 9293, 3.8.2).
 */
#include <string.h>

#include "net/frame.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

static void put_length(struct net_frame *f, const struct net_layout *l)
{
    uint8_t *ip = f->data + l->l3;

    if (l->version == 4)
        net_put16(ip + 2, l->end - l->l3);
    else
        net_put16(ip + 4, l->end - l->l3 - 40);
}

void net_make_whole(struct net_frame *f, const struct net_layout *l)
{
    put_length(f, l);
    net_ip_sum_set(f, l);
    net_l4_sum_set(f, l);
}

static struct net_frame *cut(const struct net_frame *f,
                             const struct net_layout *l, uint32_t offset,
                             uint32_t bytes, uint32_t index)
{
    struct net_frame *part = net_frame_new(l->payload + bytes);
    struct net_layout at = *l;
    uint8_t *ip = part->data + l->l3, *tcp = part->data + l->l4;
    bool last = offset + bytes == l->end - l->payload;

    memcpy(part->data, f->data, l->payload);
    memcpy(part->data + l->payload, f->data + l->payload + offset, bytes);
    part->bytes = at.end = l->payload + bytes;
    part->vlan = f->vlan;
    part->flags = f->flags & BP_NET_VLAN;
    net_put32(tcp + 4, net_be32(tcp + 4) + offset);
    if (l->version == 4)
        net_put16(ip + 4, (net_be16(ip + 4) + index) & 0xffff);
    if (index)
        tcp[13] &= (uint8_t)~TCP_CWR;
    if (!last)
        tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    net_make_whole(part, &at);
    return part;
}

void net_segment(struct net_frame *f, const struct net_layout *l, uint32_t mss,
                 struct net_list *out)
{
    uint32_t payload = l->end - l->payload;

    if (payload <= mss) {
        net_make_whole(f, l);
        net_list_add(out, f);
        return;
    }
    for (uint32_t at = 0, n = 0; at < payload; at += mss, n++) {
        uint32_t bytes = payload - at < mss ? payload - at : mss;
        net_list_add(out, cut(f, l, at, bytes, n));
    }
    net_frame_free(f);
}
