/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to the guest.
 *
 * The receive buffer is cut into sections of equal size.  A frame goes into
 * one, behind its RNDIS header; merged TCP segments take as many as they
 * need.  A transfer-page packet names the sections of up to PIECES of them,
 * and they are the guest's until it completes the packet, whose transaction
 * number is its first section's.  Sections of one packet are linked.
 *
 * A frame stays in the port until there are sections for it and room in the
 * ring for its packet, so nothing is in between when the machine is saved.
 * The last sections are for control messages, so that a flood of frames does
 * not keep those away.
 */
#include <errno.h>
#include <string.h>

#include "netvsp.h"

/* Frames of one run; then others have their turn. */
#define BATCH 256u
#define INFO  (4u * PPI_BYTES)
#define HEAD  (RNDIS_HEAD + RNDIS_PACKET_BYTES)

/* --- sections -------------------------------------------------------------*/

static uint32_t frame_sections(const struct netvsp *s)
{
    return s->st.section_count - CONTROL_SECTIONS;
}

static uint16_t *free_list(struct netvsp *s, uint32_t section)
{
    return section < frame_sections(s) ? &s->free_first : &s->control_free;
}

static void release(struct netvsp *s, uint16_t i)
{
    uint16_t *list = free_list(s, i);

    s->st.use[i] = SECTION_FREE;
    s->st.next[i] = *list;
    *list = i;
    s->free_count += list == &s->free_first;
}

static uint16_t take(struct netvsp *s, bool control)
{
    uint16_t *list = control ? &s->control_free : &s->free_first;
    uint16_t i = *list;

    if (i == NO_SECTION)
        return i;
    *list = s->st.next[i];
    s->st.next[i] = NO_SECTION;
    s->st.use[i] = SECTION_FURTHER;
    s->free_count -= !control;
    return i;
}

static void release_chain(struct netvsp *s, uint16_t i)
{
    while (i != NO_SECTION) {
        uint16_t next = s->st.next[i];
        release(s, i);
        i = next;
    }
}

/* Every section in use is part of exactly one packet. */
static bool chains_are_right(const struct netvsp_state *st)
{
    uint8_t seen[SECTIONS] = { 0 };

    for (uint32_t i = 0; i < st->section_count; i++) {
        if (st->use[i] != SECTION_FIRST)
            continue;
        for (uint32_t k = i; k != NO_SECTION; k = st->next[k]) {
            if (k >= st->section_count || seen[k] ||
                st->use[k] != (k == i ? SECTION_FIRST : SECTION_FURTHER))
                return false;
            seen[k] = 1;
        }
    }
    for (uint32_t i = 0; i < st->section_count; i++) {
        if (st->use[i] > SECTION_FURTHER ||
            (st->use[i] == SECTION_FURTHER && !seen[i]))
            return false;
    }
    return true;
}

bool netvsp_link_sections(struct netvsp *s)
{
    s->free_first = s->control_free = NO_SECTION;
    s->free_count = 0;
    if (!s->st.has_receive)
        return true;
    if (!chains_are_right(&s->st))
        return false;
    /* The lowest first: memory that is used again stays in the caches. */
    for (uint32_t i = s->st.section_count; i > 0; i--) {
        if (s->st.use[i - 1] == SECTION_FREE)
            release(s, (uint16_t)(i - 1));
    }
    return true;
}

/* --- packets --------------------------------------------------------------*/

static int32_t transfer(struct netvsp_channel *c, uint32_t kind, uint16_t first,
                        const struct bp_vmbus_piece *pieces, uint32_t count)
{
    struct netvsp *s = c->s;
    uint8_t m[NVSP_BYTES_6_1] = { 0 };
    const struct bp_iovec iov = { m, netvsp_message_bytes(s) };
    const struct bp_vmbus_send packet = {
        .size = sizeof packet,
        .type = BP_VMBUS_TRANSFER_PAGES,
        .flags = BP_VMBUS_WANTS_COMPLETION,
        .transaction = first,
        .iov = &iov,
        .iov_count = 1,
        .set = s->st.receive_id,
        .piece_count = (uint16_t)count,
        .pieces = pieces,
    };

    wire_put32(m, NVSP_RNDIS_PACKET);
    wire_put32(m + 4, kind);
    wire_put32(m + 8, NVSP_NO_SECTION);
    int32_t rc = s->bus->send(c->ch, &packet);
    if (rc == 0)
        s->st.use[first] = SECTION_FIRST;
    return rc;
}

void netvsp_receive_done(struct netvsp *s, uint64_t transaction)
{
    struct netvsp_state *st = &s->st;

    if (!st->has_receive || transaction >= st->section_count ||
        st->use[transaction] != SECTION_FIRST) {
        s->log->guest_error(s->dev, "the guest completes a packet that it was "
                                    "not sent");
        return;
    }
    release_chain(s, (uint16_t)transaction);
    if (st->reply_count)
        netvsp_send_replies(s);
    /* Not for each of them, when it was all of them that were missing. */
    if (s->receive_waits && s->free_count > frame_sections(s) / 4)
        netvsp_post(s);
}

/* --- control messages -----------------------------------------------------*/

/* False: it has to wait. */
static bool send_reply(struct netvsp *s, const struct reply *r)
{
    uint16_t i = take(s, true);
    const struct bp_vmbus_piece piece = { r->bytes, i * s->st.section_bytes };
    struct bp_vmbus_buffer *b = netvsp_receive_buffer(s);

    if (i == NO_SECTION)
        return false;
    if (b)
        s->bus->buffer_write(b, piece.offset, r->data, r->bytes);
    if (b && transfer(&s->channel[0], NVSP_CONTROL, i, &piece, 1) == 0)
        return true;
    release(s, i);
    return false;
}

void netvsp_send_replies(struct netvsp *s)
{
    struct netvsp_state *st = &s->st;

    while (st->reply_count && st->has_receive &&
           send_reply(s, &st->reply[st->first_reply])) {
        st->first_reply = (st->first_reply + 1) % REPLIES;
        st->reply_count--;
    }
}

void netvsp_reply(struct netvsp *s, const void *data, uint32_t bytes)
{
    struct netvsp_state *st = &s->st;

    if (st->reply_count == REPLIES) {
        s->log->guest_error(s->dev, "the guest asks and does not read answers; "
                                    "one is lost");
        return;
    }
    uint32_t at = (st->first_reply + st->reply_count++) % REPLIES;
    st->reply[at].bytes = bytes;
    memcpy(st->reply[at].data, data, bytes);
    netvsp_send_replies(s);
}

/* --- frames ---------------------------------------------------------------*/

static bool is_wanted(const struct netvsp_state *st, const uint8_t *to)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };

    if (st->filter & FILTER_PROMISCUOUS)
        return true;
    if (!(to[0] & 1))
        return (st->filter & FILTER_DIRECTED) && !memcmp(to, st->mac, 6);
    if (!memcmp(to, broadcast, 6))
        return (st->filter & FILTER_BROADCAST) != 0;
    if (st->filter & FILTER_ALL_MULTICAST)
        return true;
    for (uint32_t i = 0; i < st->multicast_count; i++) {
        if ((st->filter & FILTER_MULTICAST) && !memcmp(to, st->multicast[i], 6))
            return true;
    }
    return false;
}

static uint32_t put_info(uint8_t *at, uint32_t type, uint32_t value)
{
    wire_put32(at, PPI_BYTES);
    wire_put32(at + 4, type);
    wire_put32(at + 8, PPI_HEAD);
    wire_put32(at + 12, value);
    return PPI_BYTES;
}

static uint32_t checksum_info(const struct bp_net_frame *f)
{
    const uint8_t *d = f->iov[0].base;
    bool v6 = d[12] == 0x86;
    uint32_t info = f->flags & BP_NET_IP_CSUM ? RX_IP_GOOD : 0;
    uint8_t protocol = v6 ? d[20] : d[23];

    if (f->flags & BP_NET_L4_CSUM)
        info |= protocol == 17 ? RX_UDP_GOOD : RX_TCP_GOOD;
    if (f->flags & BP_NET_SEGMENT)
        info |= RX_TCP_INVALID;
    return info;
}

struct part {       /* of a frame, in one section */
    uint32_t bytes; /* of the frame */
    uint32_t id;    /* ID_PART ..; 0: it is whole */
    uint32_t hash;
    bool first, hashed;
};

/* Its RNDIS header, which ends at `end`; the header's length. */
static uint32_t put_head(struct netvsp *s, const struct bp_net_frame *f,
                         const struct part *p, uint8_t *end)
{
    uint8_t info[INFO];
    uint32_t n = 0;

    if (p->first && s->st.rx_checksums &&
        (f->flags & (BP_NET_L4_CSUM | BP_NET_IP_CSUM)))
        n += put_info(info + n, PPI_CHECKSUM, checksum_info(f));
    if (p->first && (f->flags & BP_NET_VLAN))
        n += put_info(info + n, PPI_VLAN,
                      f->vlan >> 13 | (f->vlan >> 9 & 8) |
                          (f->vlan & 0xfffu) << 4);
    if (p->first && p->hashed)
        n += put_info(info + n, PPI_HASH, p->hash);
    if (p->id)
        n += put_info(info + n, PPI_INTERNAL_ID,
                      ID_VERSION | p->id << 8 | (uint32_t)s->merged_id << 16);
    uint8_t *at = end - n - HEAD;
    memset(at, 0, HEAD);
    wire_put32(at, RNDIS_PACKET);
    wire_put32(at + 4, HEAD + n + p->bytes);
    wire_put32(at + 8, RNDIS_PACKET_BYTES + n);
    wire_put32(at + 12, p->bytes);
    if (n) {
        wire_put32(at + 28, RNDIS_PACKET_BYTES);
        wire_put32(at + 32, n);
        memcpy(at + HEAD, info, n);
    }
    return HEAD + n;
}

static void add_piece(struct netvsp_channel *c, uint16_t section,
                      uint32_t bytes)
{
    struct netvsp *s = c->s;

    if (!c->count)
        c->first = section;
    else
        s->st.next[c->last] = section;
    c->last = section;
    c->piece[c->count++] =
        (struct bp_vmbus_piece){ bytes, section * s->st.section_bytes };
}

/* -EAGAIN: there is no room, and writable() will tell.  In any case nothing
 * is left of the packet here. */
static int32_t flush(struct netvsp_channel *c)
{
    int32_t rc = 0;

    if (c->count)
        rc = transfer(c, NVSP_DATA, c->first, c->piece, c->count);
    if (rc < 0)
        release_chain(c->s, c->first);
    c->count = 0;
    return rc;
}

/* How many sections the frame needs. */
static uint32_t sections_for(const struct netvsp *s,
                             const struct bp_net_frame *f)
{
    uint32_t room = s->st.section_bytes - HEAD - INFO;

    return (f->bytes + room - 1) / room;
}

/* Puts the frame into sections that are there. */
static void place(struct netvsp_channel *c, const struct bp_net_frame *f,
                  uint32_t sections, struct part p)
{
    struct netvsp *s = c->s;
    uint8_t *data = f->iov[0].base, head[HEAD + INFO] = { 0 };
    uint32_t room = s->st.section_bytes - HEAD - INFO;
    struct bp_vmbus_buffer *b = netvsp_receive_buffer(s);

    if (sections > 1)
        s->merged_id++;
    for (uint32_t i = 0; i < sections; i++) {
        uint32_t at = i * room, left = f->bytes - at;
        uint16_t section = take(s, false);
        uint64_t to = (uint64_t)section * s->st.section_bytes;
        p.bytes = left < room ? left : room;
        p.first = i == 0;
        if (sections > 1)
            p.id = ID_PART | (i ? 0 : ID_FIRST) |
                   (i + 1 == sections ? ID_LAST : 0);
        /* In front of the frame there is room for a header. */
        uint8_t *end = i ? head + sizeof(head) : data;
        uint32_t n = put_head(s, f, &p, end);
        if (!i) {
            s->bus->buffer_write(b, to, end - n, n + p.bytes);
        } else {
            s->bus->buffer_write(b, to, end - n, n);
            s->bus->buffer_write(b, to + n, data + at, p.bytes);
        }
        add_piece(c, section, n + p.bytes);
    }
}

/* False: it has to wait, and stays in the port. */
static bool deliver(struct netvsp *s, const struct bp_net_frame *f)
{
    struct part p = { .bytes = f->bytes };
    struct netvsp_channel *c =
        netvsp_queue_of(s, f->iov[0].base, f->bytes, &p.hash, &p.hashed);
    uint32_t n = sections_for(s, f);

    if (n > PIECES || n > frame_sections(s) || !netvsp_receive_buffer(s)) {
        s->st.receive_dropped++;
        return true;
    }
    if (n > s->free_count) {
        s->st.no_section++;
        return false;
    }
    if (c->count + n > PIECES)
        flush(c);
    /* With room for a full packet, what is added now is sent later. */
    bool certain =
        c->count || s->bus->can_send(c->ch, NVSP_BYTES_6_1 + 8 + 8 * PIECES);
    place(c, f, n, p);
    int32_t rc = certain ? 0 : flush(c);
    if (rc == 0)
        s->st.received++;
    else if (rc != -EAGAIN)
        s->st.receive_dropped++;
    return rc != -EAGAIN;
}

void netvsp_receive(struct netvsp *s)
{
    const struct netvsp_state *st = &s->st;
    const struct bp_net_frame *f;
    unsigned n = 0;

    s->receive_waits = false;
    while (n++ < BATCH && (f = s->net->next(s->port))) {
        bool ready = st->has_receive && st->initialized;
        if (ready && is_wanted(st, f->iov[0].base) && !deliver(s, f)) {
            s->receive_waits = true;
            break;
        }
        s->net->taken(s->port);
    }
    for (unsigned i = 0; i < NETVSP_CHANNELS; i++)
        flush(&s->channel[i]);
    if (n > BATCH)
        netvsp_post(s);
}
