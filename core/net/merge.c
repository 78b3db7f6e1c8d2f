/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several TCP segments in one frame, for guests that said that they take it:
 * the reverse of segmentation, and with the same rules, so that cutting the
 * result gives what came (but for IPv4 identification).
 *
 * Merged are only segments whose checksums were found right.  The result's
 * TCP checksum is not: its receiver is told that the checksum was right.
 */
#include <glib.h>
#include <string.h>

#include "net/frame.h"

#define TCP_ACK 0x10u
#define TCP_PSH 0x08u
/* An IP packet is 65535 bytes at most. */
#define MAX_MERGED 65000u

#define CHECKED (BP_NET_L4_CSUM | BP_NET_IP_CSUM)

static bool is_plain_segment(const struct net_frame *f,
                             const struct net_layout *l)
{
    uint32_t checked = l->version == 4 ? CHECKED : BP_NET_L4_CSUM;
    uint8_t flags = f->data[l->l4 + 13];

    return l->version && l->protocol == IP_TCP && !l->fragment &&
           (f->flags & checked) == checked && l->end > l->payload &&
           (flags & ~TCP_PSH) == TCP_ACK;
}

/* The same connection, and all the same in the headers but what merging
 * changes: length, identification, checksums, sequence, PSH.  The ACK number
 * and the window may differ: the newer ones are taken. */
static bool is_same(const struct net_frame *a, const struct net_frame *b,
                    const struct net_layout *l)
{
    const uint8_t *p = a->data, *q = b->data;
    uint32_t ip = l->l3, tcp = l->l4;

    if (memcmp(p, q, ip) != 0)
        return false;
    if (l->version == 4) {
        /* Version to TOS, flags to protocol, addresses and options. */
        if (memcmp(p + ip, q + ip, 2) != 0 ||
            memcmp(p + ip + 6, q + ip + 6, 4) != 0 ||
            memcmp(p + ip + 12, q + ip + 12, tcp - ip - 12) != 0)
            return false;
    } else if (memcmp(p + ip, q + ip, 4) != 0 ||
               memcmp(p + ip + 6, q + ip + 6, tcp - ip - 6) != 0) {
        return false;
    }
    /* Ports; header length; options. */
    return memcmp(p + tcp, q + tcp, 4) == 0 && p[tcp + 12] == q[tcp + 12] &&
           memcmp(p + tcp + 20, q + tcp + 20, l->payload - tcp - 20) == 0;
}

static struct net_frame *grow(struct net_frame *f, uint32_t needed)
{
    uint32_t room = MIN(f->room * 4, MAX_MERGED);

    if (needed <= f->room)
        return f;
    room = MAX(room, needed);
    f = g_realloc(f, sizeof(*f) + room);
    f->room = room;
    return f;
}

static void append(struct net_frame *t, const struct net_layout *tl,
                   const struct net_frame *f, const struct net_layout *l)
{
    uint32_t bytes = l->end - l->payload;
    struct net_layout whole = *tl;
    uint8_t *tcp = t->data + tl->l4;
    const uint8_t *newer = f->data + l->l4;

    memcpy(t->data + tl->end, f->data + l->payload, bytes);
    t->bytes = whole.end = tl->end + bytes;
    memcpy(tcp + 8, newer + 8, 4);   /* acknowledgement */
    tcp[13] |= newer[13] & TCP_PSH;  /* so much is complete */
    memcpy(tcp + 14, newer + 14, 2); /* window */
    if (tl->version == 4)
        net_put16(t->data + tl->l3 + 2, whole.end - whole.l3);
    else
        net_put16(t->data + tl->l3 + 4, whole.end - whole.l3 - 40);
    net_ip_sum_set(t, &whole);
}

bool net_merge(struct net_list *list, struct net_frame *f)
{
    struct net_frame *t = *list->newest;
    struct net_layout tl, l;

    if (t->vlan != f->vlan || ((t->flags ^ f->flags) & BP_NET_VLAN) ||
        !net_frame_layout(f, false, &l) || !is_plain_segment(f, &l) ||
        !net_frame_layout(t, false, &tl) || !is_plain_segment(t, &tl))
        return false;
    uint32_t have = tl.end - tl.payload, more = l.end - l.payload;
    if (tl.payload != l.payload || tl.l4 != l.l4 || tl.end + more > MAX_MERGED)
        return false;
    uint32_t mss = t->flags & BP_NET_SEGMENT ? t->mss : have;
    /* Like segmentation makes them: all but the last have the same size, and
     * only the last may have PSH. */
    if (more > mss || have % mss || (t->data[tl.l4 + 13] & TCP_PSH) ||
        net_be32(t->data + tl.l4 + 4) + have != net_be32(f->data + l.l4 + 4) ||
        !is_same(t, f, &l))
        return false;
    list->bytes -= t->room;
    t = grow(t, tl.end + more);
    list->bytes += t->room;
    *list->newest = t;
    list->last = &t->next;
    append(t, &tl, f, &l);
    t->flags |= BP_NET_SEGMENT;
    t->mss = (uint16_t)mss;
    net_frame_free(f);
    return true;
}
