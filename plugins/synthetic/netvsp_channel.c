/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVSP: what the two ends of the channel agree on before frames flow.
 *
 * The guest asks in-band and gets an answer in the completion: version, its
 * NDIS version and configuration, the two shared buffers, sub-channels.  A
 * message out of order is answered with a failure where it has an answer.
 */
#include <errno.h>
#include <string.h>

#include "netvsp.h"

static const struct bp_guid net_type = { { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf,
                                           0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2,
                                           0xf9, 0x65, 0xed, 0x0e } };
/* The last byte is the adapter's number. */
static const struct bp_guid net_instance = {
    { 0x3a, 0x1c, 0x8f, 0x6d, 0x52, 0xe7, 0x4b, 0x41, 0x9e, 0x0d, 0x5b, 0x0c,
      0x2f, 0x77, 0xa4, 0x00 }
};

bool netvsp_offer(struct netvsp *s, uint32_t index)
{
    struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .flags = BP_VMBUS_ENUMERATE,
        .type = net_type,
        .instance = net_instance,
        .subchannel = (uint16_t)index,
    };
    struct netvsp_channel *c = &s->channel[index];

    offer.instance.b[15] = (uint8_t)s->number;
    c->ch = s->bus->create(s->vmbus, s->dev, &offer, &netvsp_ops, c);
    return c->ch != NULL;
}

void netvsp_drop_subchannels(struct netvsp *s)
{
    for (uint32_t i = 1; i < NETVSP_CHANNELS; i++) {
        struct netvsp_channel *c = &s->channel[i];
        if (c->ch)
            s->bus->destroy(c->ch);
        c->ch = NULL;
        c->count = 0;
    }
    s->st.subchannels = 0;
}

uint32_t netvsp_message_bytes(const struct netvsp *s)
{
    return s->st.version >= NVSP_6_1 ? NVSP_BYTES_6_1 : NVSP_BYTES;
}

/* --- answers --------------------------------------------------------------*/

static void answer(struct netvsp_channel *c, const struct bp_vmbus_packet *p,
                   const uint32_t *words, uint32_t count)
{
    struct netvsp *s = c->s;
    uint8_t m[NVSP_BYTES_6_1] = { 0 };

    if (!(p->flags & BP_VMBUS_WANTS_COMPLETION))
        return;
    for (uint32_t i = 0; i < count; i++)
        wire_put32(m + 4 * i, words[i]);
    s->bus->complete(c->ch, p->transaction, m, netvsp_message_bytes(s));
}

static void initialize(struct netvsp_channel *c,
                       const struct bp_vmbus_packet *p)
{
    static const uint32_t versions[] = { NVSP_6_1, NVSP_6, NVSP_5,
                                         NVSP_4,   NVSP_2, NVSP_1 };
    struct netvsp *s = c->s;
    uint32_t low = wire_u32(p->data + 4), high = wire_u32(p->data + 8);
    uint32_t words[] = { NVSP_INIT_COMPLETE, 0, 34, NVSP_UNSUPPORTED };

    for (unsigned i = 0;
         !s->st.version && i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i] >= low && versions[i] <= high)
            s->st.version = versions[i];
    }
    if (s->st.version >= low && s->st.version <= high && s->st.version) {
        words[1] = s->st.version;
        words[3] = NVSP_SUCCESS;
    }
    answer(c, p, words, 4);
}

static int32_t configure(struct netvsp *s, const struct bp_vmbus_packet *p)
{
    uint32_t frame = wire_u32(p->data + 4);

    if (p->bytes < 20 || s->st.version < NVSP_2 || frame < 82 ||
        frame > BP_NET_FRAME_MAX)
        return -EINVAL;
    s->st.frame_bytes = frame;
    s->st.capabilities = wire_u64(p->data + 12);
    netvsp_accept(s);
    return 0;
}

/* --- buffers --------------------------------------------------------------*/

/* A frame of the guest's network, and its RNDIS header. */
static uint32_t section_bytes_for(uint32_t frame)
{
    return (frame + 200 + 63) & ~63u;
}

static bool take_receive_buffer(struct netvsp *s,
                                const struct bp_vmbus_packet *p)
{
    struct netvsp_state *st = &s->st;

    if (p->bytes < 10 || !st->version || st->has_receive)
        return false;
    s->receive_buffer =
        s->bus->buffer_open(s->channel[0].ch, wire_u32(p->data + 4));
    if (!s->receive_buffer)
        return false;
    uint64_t bytes = s->bus->buffer_bytes(s->receive_buffer);
    st->section_bytes = section_bytes_for(st->frame_bytes);
    uint64_t n = bytes / st->section_bytes;
    st->section_count = n < SECTIONS ? (uint32_t)n : SECTIONS;
    if (st->section_count < 2 * CONTROL_SECTIONS) {
        s->bus->buffer_close(s->receive_buffer);
        s->receive_buffer = NULL;
        return false;
    }
    st->receive_gpadl = wire_u32(p->data + 4);
    st->receive_id = wire_u16(p->data + 8);
    st->has_receive = 1;
    memset(st->use, SECTION_FREE, sizeof(st->use));
    netvsp_link_sections(s);
    return true;
}

static void receive_buffer(struct netvsp_channel *c,
                           const struct bp_vmbus_packet *p)
{
    struct netvsp *s = c->s;
    uint32_t words[7] = { NVSP_RECEIVE_BUFFER_COMPLETE, NVSP_FAILED };

    if (take_receive_buffer(s, p)) {
        words[1] = NVSP_SUCCESS;
        words[2] = 1; /* group of sections, from the beginning: */
        words[4] = s->st.section_bytes;
        words[5] = s->st.section_count;
        words[6] = s->st.section_bytes * s->st.section_count;
    }
    answer(c, p, words, 7);
}

static void send_buffer(struct netvsp_channel *c,
                        const struct bp_vmbus_packet *p)
{
    struct netvsp *s = c->s;
    struct netvsp_state *st = &s->st;
    uint32_t words[] = { NVSP_SEND_BUFFER_COMPLETE, NVSP_FAILED, SEND_SECTION };

    if (p->bytes >= 10 && st->version && !st->has_send) {
        s->send_buffer =
            s->bus->buffer_open(s->channel[0].ch, wire_u32(p->data + 4));
        if (s->send_buffer) {
            st->send_gpadl = wire_u32(p->data + 4);
            st->send_id = wire_u16(p->data + 8);
            st->has_send = 1;
            st->send_sections =
                (uint32_t)(s->bus->buffer_bytes(s->send_buffer) / SEND_SECTION);
            words[1] = NVSP_SUCCESS;
        }
    }
    answer(c, p, words, 3);
}

static void close_buffer(struct netvsp *s, struct bp_vmbus_buffer **b)
{
    if (*b)
        s->bus->buffer_close(*b);
    *b = NULL;
}

static void revoke(struct netvsp *s, uint32_t type)
{
    if (type == NVSP_REVOKE_RECEIVE_BUFFER) {
        close_buffer(s, &s->receive_buffer);
        s->st.has_receive = 0;
        for (unsigned i = 0; i < NETVSP_CHANNELS; i++)
            s->channel[i].count = 0;
    } else {
        close_buffer(s, &s->send_buffer);
        s->st.has_send = 0;
    }
}

/* --- sub-channels ---------------------------------------------------------*/

static uint32_t offer_subchannels(struct netvsp *s, uint32_t wanted)
{
    struct netvsp_state *st = &s->st;

    while (st->subchannels < wanted && st->subchannels + 1 < s->queues) {
        uint32_t i = st->subchannels + 1;
        if (!netvsp_offer(s, i))
            break;
        st->subchannels = i;
    }
    return st->subchannels;
}

static void subchannels(struct netvsp_channel *c,
                        const struct bp_vmbus_packet *p)
{
    struct netvsp *s = c->s;
    uint32_t words[] = { NVSP_SUBCHANNELS, NVSP_FAILED, 0 };

    if (p->bytes >= 12 && s->st.version >= NVSP_5 && !s->st.subchannels &&
        wire_u32(p->data + 4) == 1 /* allocate */) {
        words[1] = NVSP_SUCCESS;
        words[2] = offer_subchannels(s, wire_u32(p->data + 8));
    }
    answer(c, p, words, 3);
}

/* Which channel to send on, for each value of a hash. */
void netvsp_tell_table(struct netvsp *s)
{
    uint8_t m[NVSP_BYTES_6_1 + 4 * NVSP_INDIRECTION] = { 0 };

    if (s->st.table_told || !s->st.subchannels)
        return;
    for (uint32_t i = 1; i <= s->st.subchannels; i++) {
        if (!s->channel[i].ch || !s->bus->is_open(s->channel[i].ch))
            return;
    }
    wire_put32(m, NVSP_SEND_INDIRECTION);
    wire_put32(m + 4, NVSP_INDIRECTION);
    wire_put32(m + 8, NVSP_BYTES_6_1); /* where the table is */
    for (uint32_t i = 0; i < NVSP_INDIRECTION; i++)
        wire_put32(m + NVSP_BYTES_6_1 + 4 * i, i % (s->st.subchannels + 1));
    s->st.table_told =
        wire_send(s->bus, s->channel[0].ch, m, sizeof(m)) != -EAGAIN;
}

/* --- packets --------------------------------------------------------------*/

static int32_t message(struct netvsp_channel *c,
                       const struct bp_vmbus_packet *p)
{
    struct netvsp *s = c->s;
    uint32_t type = wire_u32(p->data);

    if (type == NVSP_RNDIS_PACKET)
        return netvsp_rndis_packet(c, p);
    if (c->index)
        return -EPROTO;
    switch (type) {
    case NVSP_INIT:
        if (p->bytes < 12)
            return -EINVAL;
        initialize(c, p);
        return 0;
    case NVSP_NDIS_VERSION:
        if (p->bytes < 12)
            return -EINVAL;
        s->st.ndis_version =
            wire_u32(p->data + 4) << 16 | (wire_u32(p->data + 8) & 0xffff);
        return 0;
    case NVSP_NDIS_CONFIG: return configure(s, p);
    case NVSP_RECEIVE_BUFFER: receive_buffer(c, p); return 0;
    case NVSP_SEND_BUFFER: send_buffer(c, p); return 0;
    case NVSP_REVOKE_RECEIVE_BUFFER:
    case NVSP_REVOKE_SEND_BUFFER: revoke(s, type); return 0;
    case NVSP_SUBCHANNELS: subchannels(c, p); return 0;
    case NVSP_SWITCH_DATA_PATH:
        /* There is only one; the guest waits for an empty completion. */
        if (p->flags & BP_VMBUS_WANTS_COMPLETION)
            s->bus->complete(c->ch, p->transaction, NULL, 0);
        return 0;
    }
    return -EPROTO;
}

static int32_t net_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct netvsp_channel *c = ctx;

    if (p->type == BP_VMBUS_COMPLETION) {
        netvsp_receive_done(c->s, p->transaction);
        return 0;
    }
    if ((p->type != BP_VMBUS_INBAND && p->type != BP_VMBUS_GPA_DIRECT) ||
        p->bytes < 4)
        return -EPROTO;
    return message(c, p);
}

static int32_t net_opened(void *ctx, const struct bp_vmbus_open *open)
{
    struct netvsp_channel *c = ctx;

    (void)open;
    c->count = 0;
    if (!c->index)
        netvsp_forget(c->s);
    netvsp_post(c->s);
    return 0;
}

static void net_closing(void *ctx)
{
    struct netvsp_channel *c = ctx;

    c->count = 0;
    if (!c->index) {
        netvsp_drop_subchannels(c->s);
        netvsp_forget(c->s);
    }
    c->s->bus->close_done(c->ch);
}

static void net_writable(void *ctx)
{
    struct netvsp_channel *c = ctx;

    netvsp_tell_table(c->s);
    netvsp_send_replies(c->s);
    if (c->s->receive_waits)
        netvsp_receive(c->s);
}

const struct bp_vmbus_channel_ops netvsp_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = net_opened,
    .closing = net_closing,
    .packet = net_packet,
    .writable = net_writable,
};
