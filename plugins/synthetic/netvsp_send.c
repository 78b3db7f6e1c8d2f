/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RNDIS messages from the guest.
 *
 * One packet of the channel carries one or more of them: in a section of the
 * send buffer, in ranges of guest memory, or begun in a section and
 * continued in ranges.  All of it is one sequence of pieces here.  Headers
 * are copied, checked and then used; a frame's bytes are handed to the port
 * as host memory, which copies them once.
 */
#include <errno.h>
#include <string.h>

#include "netvsp.h"

/* What is declared in the answer to RNDIS_INITIALIZE, with some room. */
#define MAX_TRANSFER 0x40000u
#define MAX_MESSAGES 64u
#define MAX_PIECES   80u
#define MAX_CONTROL  4096u
/* RNDIS_PACKET: heads and per-packet information that is looked at. */
#define MAX_HEAD 512u

struct source {
    struct netvsp *s;
    uint32_t count;
    uint64_t bytes;
    struct bp_gpa_range piece[MAX_PIECES];
};

/* --- the sequence ---------------------------------------------------------*/

static bool add_section(struct source *src, uint32_t index, uint32_t bytes)
{
    struct netvsp *s = src->s;
    struct bp_vmbus_buffer *b = netvsp_send_buffer(s);

    if (!b || index >= s->st.send_sections || bytes > SEND_SECTION)
        return false;
    int32_t n = s->bus->buffer_ranges(b, (uint64_t)index * SEND_SECTION, bytes,
                                      src->piece, MAX_PIECES);
    if (n < 0)
        return false;
    src->count = (uint32_t)n;
    src->bytes = bytes;
    return true;
}

static bool add_ranges(struct source *src, const struct bp_vmbus_packet *p)
{
    if (p->range_bytes > MAX_TRANSFER ||
        p->range_count > MAX_PIECES - src->count)
        return false;
    for (uint32_t i = 0; i < p->range_count; i++)
        src->piece[src->count++] = p->ranges[i];
    src->bytes += p->range_bytes;
    return true;
}

/* The piece with this offset of the sequence; *in is the offset in it. */
static uint32_t piece_at(const struct source *src, uint64_t offset,
                         uint64_t *in)
{
    uint32_t i = 0;

    while (i < src->count && offset >= src->piece[i].bytes)
        offset -= src->piece[i++].bytes;
    *in = offset;
    return i;
}

/* Copies a part that is inside of the sequence; false: it is no memory. */
static bool copy(const struct source *src, uint64_t offset, void *to,
                 uint32_t bytes)
{
    uint64_t in;
    uint8_t *at = to;

    for (uint32_t i = piece_at(src, offset, &in); bytes && i < src->count;
         i++, in = 0) {
        uint64_t n = src->piece[i].bytes - in;
        n = n < bytes ? n : bytes;
        if (src->s->dma->read(src->s->dev, src->piece[i].gpa + in, at,
                              (uint32_t)n) < 0)
            return false;
        at += n;
        bytes -= (uint32_t)n;
    }
    return !bytes;
}

/* --- frames ---------------------------------------------------------------*/

/* Host memory of a part of the sequence. */
struct view {
    uint32_t count;
    uint64_t gpa[MAX_PIECES];
    struct bp_iovec iov[MAX_PIECES];
};

static void unmap(const struct source *src, struct view *v)
{
    for (uint32_t i = 0; i < v->count; i++)
        src->s->dma->unmap(src->s->dev, v->gpa[i], v->iov[i].base,
                           v->iov[i].bytes, 0, 0);
}

static bool map(const struct source *src, uint64_t offset, uint64_t bytes,
                struct view *v)
{
    const struct bp_dma *dma = src->s->dma;
    uint64_t in;

    v->count = 0;
    for (uint32_t i = piece_at(src, offset, &in); bytes && i < src->count;) {
        uint64_t n = src->piece[i].bytes - in;
        uint64_t gpa = src->piece[i].gpa + in;
        void *host;
        n = n < bytes ? n : bytes;
        int64_t got = v->count < MAX_PIECES
                          ? dma->map(src->s->dev, gpa, n, 0, &host)
                          : -E2BIG;
        if (got <= 0) {
            unmap(src, v);
            return false;
        }
        v->gpa[v->count] = gpa;
        v->iov[v->count++] = (struct bp_iovec){ host, (uint64_t)got };
        bytes -= (uint64_t)got;
        in += (uint64_t)got;
        if (in == src->piece[i].bytes) {
            i++;
            in = 0;
        }
    }
    return !bytes;
}

/* One piece of per-packet information; those that mean nothing here are
 * passed over. */
static void look_at_info(struct bp_net_frame *f, uint32_t type, uint32_t value)
{
    switch (type) {
    case PPI_CHECKSUM:
        if (value & (TX_TCP | TX_UDP))
            f->flags |= BP_NET_L4_CSUM;
        if (value & TX_IP)
            f->flags |= BP_NET_IP_CSUM;
        break;
    case PPI_LARGE_SEND:
        value &= LARGE_SEND_MSS;
        f->flags |= BP_NET_SEGMENT;
        f->mss = (uint16_t)(value < UINT16_MAX ? value : UINT16_MAX);
        break;
    case PPI_VLAN:
        f->flags |= BP_NET_VLAN;
        f->vlan = (uint16_t)((value & 7) << 13 | (value & 8) << 9 |
                             (value >> 4 & 0xfff));
        break;
    }
}

static bool look_at_all_info(struct bp_net_frame *f, const uint8_t *info,
                             uint32_t bytes)
{
    while (bytes) {
        if (bytes < PPI_HEAD)
            return false;
        uint32_t size = wire_u32(info), offset = wire_u32(info + 8);
        if (size < PPI_HEAD || size > bytes || offset > size)
            return false;
        if (size - offset >= 4)
            look_at_info(f, wire_u32(info + 4), wire_u32(info + offset));
        info += size;
        bytes -= size;
    }
    return true;
}

/* An RNDIS_PACKET of `bytes` at `at`; an NVSP status. */
static uint32_t send_frame(struct source *src, uint64_t at, uint32_t bytes)
{
    struct netvsp *s = src->s;
    uint32_t have = bytes < MAX_HEAD ? bytes : MAX_HEAD;
    uint8_t head[MAX_HEAD];
    struct bp_net_frame f = { .size = sizeof(f) };
    struct view v;

    if (bytes < RNDIS_HEAD + RNDIS_PACKET_BYTES || !copy(src, at, head, have))
        return NVSP_INVALID_RNDIS;
    const uint8_t *body = head + RNDIS_HEAD;
    uint32_t room = bytes - RNDIS_HEAD;
    uint32_t data_at = wire_u32(body), data_bytes = wire_u32(body + 4);
    uint32_t info_at = wire_u32(body + 20), info_bytes = wire_u32(body + 24);
    if (data_at > room || data_bytes > room - data_at || !data_bytes ||
        data_bytes > BP_NET_FRAME_MAX)
        return NVSP_INVALID_RNDIS;
    if (info_bytes &&
        (info_at < RNDIS_PACKET_BYTES || info_at > have - RNDIS_HEAD ||
         info_bytes > have - RNDIS_HEAD - info_at ||
         !look_at_all_info(&f, body + info_at, info_bytes)))
        return NVSP_INVALID_RNDIS;
    if (!map(src, at + RNDIS_HEAD + data_at, data_bytes, &v))
        return NVSP_INVALID_RNDIS;
    f.iov = v.iov;
    f.iov_count = v.count;
    int32_t rc = s->net->send(s->port, &f);
    unmap(src, &v);
    if (rc == 0)
        s->st.sent++;
    else
        s->st.send_errors++;
    /* A network may lose frames, and has no link at times. */
    return rc == -EINVAL || rc == -EMSGSIZE ? NVSP_INVALID_RNDIS : NVSP_SUCCESS;
}

/* --- messages -------------------------------------------------------------*/

static uint32_t control(struct source *src, uint64_t at, uint32_t bytes)
{
    uint8_t message[MAX_CONTROL];

    if (bytes > MAX_CONTROL || !copy(src, at, message, bytes))
        return NVSP_INVALID_RNDIS;
    netvsp_control(src->s, message, bytes);
    return NVSP_SUCCESS;
}

/* All messages of the sequence, one behind the other. */
static uint32_t take_messages(struct source *src, bool data)
{
    uint32_t status = NVSP_SUCCESS;
    uint64_t at = 0;
    uint8_t head[RNDIS_HEAD];

    for (unsigned n = 0; n < MAX_MESSAGES && src->bytes - at >= RNDIS_HEAD;
         n++) {
        if (!copy(src, at, head, sizeof(head)))
            return NVSP_INVALID_RNDIS;
        uint32_t type = wire_u32(head), bytes = wire_u32(head + 4);
        if (bytes < RNDIS_HEAD || bytes > src->bytes - at)
            return NVSP_INVALID_RNDIS;
        if (!data)
            return control(src, at, bytes);
        uint32_t one = type == RNDIS_PACKET && src->s->st.initialized
                           ? send_frame(src, at, bytes)
                           : NVSP_INVALID_RNDIS;
        status = one == NVSP_SUCCESS ? status : one;
        at += bytes;
    }
    return status;
}

static bool find_source(struct source *src, const struct bp_vmbus_packet *p)
{
    uint32_t section = wire_u32(p->data + 8), bytes = wire_u32(p->data + 12);

    src->count = 0;
    src->bytes = 0;
    if (section != NVSP_NO_SECTION && !add_section(src, section, bytes))
        return false;
    return p->type != BP_VMBUS_GPA_DIRECT || add_ranges(src, p);
}

int32_t netvsp_rndis_packet(struct netvsp_channel *c,
                            const struct bp_vmbus_packet *p)
{
    struct netvsp *s = c->s;
    struct source src = { .s = s };
    uint32_t status = NVSP_INVALID_RNDIS;
    uint8_t m[NVSP_BYTES_6_1] = { 0 };

    if (p->bytes < 16 || !s->st.has_receive)
        return -EPROTO;
    bool data = wire_u32(p->data + 4) == NVSP_DATA;
    if (data && !s->net->room(s->port)) {
        s->send_waits = true;
        return -EAGAIN;
    }
    if (find_source(&src, p))
        status = take_messages(&src, data);
    if (status != NVSP_SUCCESS)
        s->log->guest_error(s->dev,
                            "a packet of channel %u has no RNDIS "
                            "message that can be sent",
                            c->index);
    if (p->flags & BP_VMBUS_WANTS_COMPLETION) {
        wire_put32(m, NVSP_RNDIS_PACKET_COMPLETE);
        wire_put32(m + 4, status);
        s->bus->complete(c->ch, p->transaction, m, netvsp_message_bytes(s));
    }
    return 0;
}
