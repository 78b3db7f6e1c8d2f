/* SPDX-License-Identifier: Apache-2.0 */
#include "ring_packet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12
#define PFN_BITS   40 /* 52 bits of physical address */

/* What follows the descriptor of a GPA-direct packet. */
struct gpa_head {
    uint32_t reserved;
    uint32_t range_count;
};

struct gpa_range { /* then a page number for each page it touches */
    uint32_t bytes;
    uint32_t offset; /* in the first page */
};

struct walk {
    const uint8_t *at, *end;
    struct ring_pieces *pieces;
    struct bp_vmbus_packet *out;
    const char **why;
};

static int32_t wrong(const struct walk *w, const char *why)
{
    *w->why = why;
    return -EPROTO;
}

static bool take(struct walk *w, void *to, size_t n)
{
    if ((size_t)(w->end - w->at) < n)
        return false;
    memcpy(to, w->at, n);
    w->at += n;
    return true;
}

static bool make_room(struct ring_pieces *p, uint32_t pieces)
{
    struct bp_gpa_range *list;

    if (pieces <= p->room)
        return true;
    list = realloc(p->list, pieces * sizeof(*list));
    if (!list)
        return false;
    p->list = list;
    p->room = pieces;
    return true;
}

static void add_piece(struct walk *w, uint64_t gpa, uint64_t bytes)
{
    struct bp_gpa_range *list = w->pieces->list;
    uint32_t n = w->out->range_count;

    w->out->range_bytes += bytes;
    if (n && list[n - 1].gpa + list[n - 1].bytes == gpa) {
        list[n - 1].bytes += bytes;
        return;
    }
    list[n] = (struct bp_gpa_range){ gpa, bytes };
    w->out->range_count++;
}

static int32_t parse_range(struct walk *w)
{
    uint64_t page_bytes = 1u << PAGE_SHIFT, left, offset, run, pfn;
    struct gpa_range r;

    if (!take(w, &r, sizeof(r)))
        return wrong(w, "has more ranges than it is long");
    if (r.offset >= page_bytes)
        return wrong(w, "has a range that does not begin in its page");
    if (r.bytes > RING_MAX_TRANSFER ||
        w->out->range_bytes + r.bytes > RING_MAX_TRANSFER)
        return wrong(w, "is for more than a packet may transfer");
    offset = r.offset;
    for (left = r.bytes; left; left -= run, offset = 0) {
        if (!take(w, &pfn, sizeof(pfn)))
            return wrong(w, "has fewer pages than its range is long");
        if (pfn >> PFN_BITS)
            return wrong(w, "has a page outside of physical memory");
        run = page_bytes - offset < left ? page_bytes - offset : left;
        add_piece(w, (pfn << PAGE_SHIFT) + offset, run);
    }
    return 0;
}

static int32_t parse_ranges(struct walk *w)
{
    uint32_t most = (uint32_t)(w->end - w->at) / 8;
    struct gpa_head head;
    int32_t rc = 0;

    if (!take(w, &head, sizeof(head)))
        return wrong(w, "has no list of ranges");
    if (!make_room(w->pieces, most))
        return -ENOMEM;
    w->out->ranges = w->pieces->list;
    if (head.range_count > most)
        return wrong(w, "has more ranges than it is long");
    for (uint32_t i = 0; i < head.range_count && rc == 0; i++)
        rc = parse_range(w);
    return rc;
}

int32_t ring_parse(const uint8_t *raw, uint32_t bytes,
                   struct ring_pieces *pieces, struct bp_vmbus_packet *out,
                   const char **why)
{
    struct ring_descriptor d;
    struct walk w = { raw + RING_DESCRIPTOR, NULL, pieces, out, why };

    memcpy(&d, raw, sizeof(d));
    *out = (struct bp_vmbus_packet){
        .size = sizeof(*out),
        .type = d.type,
        .flags = d.flags,
        .transaction = d.transaction,
        .data = raw + d.offset8 * 8u,
        .bytes = bytes - d.offset8 * 8u,
    };
    w.end = out->data;
    switch (d.type) {
    case BP_VMBUS_INBAND:
    case BP_VMBUS_COMPLETION: return 0;
    case BP_VMBUS_GPA_DIRECT: return parse_ranges(&w);
    default: return wrong(&w, "is of a type that guests do not send");
    }
}
