/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netvsp: a network adapter on VMBus.
 *
 * Sources: Linux drivers/net/hyperv (the other end); Microsoft "Remote NDIS
 * Specification" 1.1; NDIS reference.
 *
 * Files: netvsp_channel.c is NVSP, the agreement; netvsp_rndis.c, _oid.c and
 * _offload.c are the control messages in it; netvsp_send.c and _receive.c
 * move frames; netvsp_rss.c chooses the channel of a received one.
 *
 * Modelled: NVSP 1, 2, 4, 5, 6, 6.1; sub-channels and receive-side scaling;
 * checksums, segmentation (LSO v1 and v2), merging (RSC), VLAN tags, packet
 * filter, station address, link.
 * Not modelled: virtual functions (SR-IOV), virtual machine queues, chimney
 * and IPsec offloads, PacketDirect, wake-up.  RSC is off unless the guest
 * turns it on for IPv4 and IPv6.
 *
 * Everything runs on the device's lane: the guest's packets on the thread of
 * the processor that signalled them, frames from the network on a worker.
 */
#include <errno.h>
#include <string.h>

#include "export.h"
#include "netvsp.h"

#define DEFAULT_FRAME 1514u

/* --- what waits -----------------------------------------------------------*/

static void go_on(void *ctx)
{
    struct netvsp *s = ctx;

    s->posted = false;
    netvsp_tell_table(s);
    netvsp_tell_link(s);
    netvsp_send_replies(s);
    netvsp_receive(s);
}

void netvsp_post(struct netvsp *s)
{
    if (s->posted)
        return;
    s->posted = true;
    s->lane->post(s->dev, go_on, s);
}

static void net_received(void *ctx)
{
    struct netvsp *s = ctx;

    if (!s->receive_waits)
        netvsp_receive(s);
}

static void net_writable(void *ctx)
{
    struct netvsp *s = ctx;

    s->send_waits = false;
    for (unsigned i = 0; i < NETVSP_CHANNELS; i++) {
        if (s->channel[i].ch)
            s->bus->resume(s->channel[i].ch);
    }
}

static void net_changed(void *ctx)
{
    netvsp_tell_link(ctx);
}

static const struct bp_net_events net_events = {
    .size = sizeof(struct bp_net_events),
    .received = net_received,
    .writable = net_writable,
    .changed = net_changed,
};

/* --- an adapter without a network -----------------------------------------*/

static void no_info(struct bp_net_port *p, struct bp_net_info *info)
{
    (void)p;
    *info = (struct bp_net_info){ .size = info->size, .mtu = 1500 };
}

static void no_listen(struct bp_net_port *p, const struct bp_net_events *ev,
                      void *ctx)
{
    (void)p, (void)ev, (void)ctx;
}

static int32_t no_send(struct bp_net_port *p, const struct bp_net_frame *frame)
{
    (void)p, (void)frame;
    return -ENETDOWN;
}

static int32_t no_room(struct bp_net_port *p)
{
    (void)p;
    return 1;
}

static const struct bp_net_frame *no_next(struct bp_net_port *p)
{
    (void)p;
    return NULL;
}

static void no_taken(struct bp_net_port *p)
{
    (void)p;
}

static void no_accept(struct bp_net_port *p, uint32_t flags, uint32_t bytes)
{
    (void)p, (void)flags, (void)bytes;
}

static const struct bp_net no_network = {
    .size = sizeof(struct bp_net),
    .info = no_info,
    .listen = no_listen,
    .send = no_send,
    .room = no_room,
    .next = no_next,
    .taken = no_taken,
    .accept = no_accept,
};

/* --- buffers --------------------------------------------------------------*/

static struct bp_vmbus_buffer *buffer_of(struct netvsp *s,
                                         struct bp_vmbus_buffer **b,
                                         uint8_t there, uint32_t gpadl)
{
    if (!*b && there)
        *b = s->bus->buffer_open(s->channel[0].ch, gpadl);
    return *b;
}

struct bp_vmbus_buffer *netvsp_receive_buffer(struct netvsp *s)
{
    return buffer_of(s, &s->receive_buffer, s->st.has_receive,
                     s->st.receive_gpadl);
}

struct bp_vmbus_buffer *netvsp_send_buffer(struct netvsp *s)
{
    return buffer_of(s, &s->send_buffer, s->st.has_send, s->st.send_gpadl);
}

static void close_buffers(struct netvsp *s)
{
    if (s->receive_buffer)
        s->bus->buffer_close(s->receive_buffer);
    if (s->send_buffer)
        s->bus->buffer_close(s->send_buffer);
    s->receive_buffer = s->send_buffer = NULL;
}

void netvsp_accept(struct netvsp *s)
{
    uint32_t flags = BP_NET_VLAN;

    if (s->st.rsc_ipv4 && s->st.rsc_ipv6)
        flags |= BP_NET_SEGMENT;
    s->net->accept(s->port, flags, s->st.frame_bytes);
}

/* --- life -----------------------------------------------------------------*/

void netvsp_forget(struct netvsp *s)
{
    struct bp_net_info info = { .size = sizeof(info) };
    uint32_t subchannels = s->st.subchannels;

    close_buffers(s);
    memset(&s->st, 0, sizeof(s->st));
    s->st.subchannels = subchannels;
    s->st.frame_bytes = DEFAULT_FRAME;
    s->st.rx_checksums = 1;
    s->net->info(s->port, &info);
    memcpy(s->st.mac, info.mac, sizeof(s->st.mac));
    s->send_waits = s->receive_waits = false;
    netvsp_accept(s);
}

static int32_t netvsp_create(void *self, struct bp_dev *dev,
                             const struct bp_host *host)
{
    struct netvsp *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->lane = host->query(host, BP_LANE);
    s->dma = host->query(host, BP_DMA);
    s->net = s->port ? host->query(host, BP_NET) : &no_network;
    s->hv = host->query(host, BP_HV);
    s->bus = host->device_query(dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return host->fail(dev, -ENODEV, "the machine has no VMBus");
    return 0;
}

static int32_t netvsp_realize(void *self)
{
    struct netvsp *s = self;
    uint32_t processors = s->hv->processors(s->dev);

    if (!s->queues)
        s->queues = processors;
    if (s->queues > NETVSP_CHANNELS)
        s->queues = NETVSP_CHANNELS;
    for (uint32_t i = 0; i < NETVSP_CHANNELS; i++) {
        s->channel[i].s = s;
        s->channel[i].index = i;
    }
    s->net->listen(s->port, &net_events, s);
    return netvsp_offer(s, 0) ? 0 : -EBUSY;
}

static void netvsp_reset(void *self, uint32_t kind)
{
    struct netvsp *s = self;

    (void)kind;
    netvsp_drop_subchannels(s);
    netvsp_forget(s);
}

static bool is_sane(const struct netvsp_state *st)
{
    if (st->subchannels >= NETVSP_CHANNELS || st->first_reply >= REPLIES ||
        st->reply_count > REPLIES || st->multicast_count > MULTICAST ||
        st->rss_entries > RSS_TABLE ||
        (st->rss_entries & (st->rss_entries - 1)) ||
        (st->rss && !st->rss_entries) || st->frame_bytes < 82 ||
        st->frame_bytes > BP_NET_FRAME_MAX)
        return false;
    for (uint32_t i = 0; i < REPLIES; i++) {
        if (st->reply[i].bytes > REPLY_BYTES)
            return false;
    }
    for (uint32_t i = 0; i < st->rss_entries; i++) {
        if (st->rss_table[i] >= NETVSP_CHANNELS)
            return false;
    }
    return !st->has_receive ||
           (st->section_count >= 2 * CONTROL_SECTIONS &&
            st->section_count <= SECTIONS && st->section_bytes >= REPLY_BYTES &&
            st->section_bytes <= 2 * BP_NET_FRAME_MAX);
}

static int32_t netvsp_loaded(void *self, uint32_t version)
{
    struct netvsp *s = self;

    (void)version;
    if (!is_sane(&s->st) || !netvsp_link_sections(s))
        return -EINVAL;
    for (uint32_t i = 1; i <= s->st.subchannels; i++) {
        if (!netvsp_offer(s, i))
            return -EBUSY;
    }
    netvsp_accept(s);
    return 0;
}

static void netvsp_start(void *self)
{
    struct netvsp *s = self;

    /* What waited for the back end of another process. */
    net_writable(s);
    netvsp_post(s);
}

static const struct bp_field reply_fields[] = {
    BP_FIELD(struct reply, bytes, "bytes"),
    BP_FIELD_BLOB(struct reply, data, "data"),
    BP_FIELD_END,
};

static const struct bp_field netvsp_fields[] = {
    BP_FIELD(struct netvsp, st.version, "version"),
    BP_FIELD(struct netvsp, st.ndis_version, "ndis_version"),
    BP_FIELD(struct netvsp, st.frame_bytes, "frame_bytes"),
    BP_FIELD(struct netvsp, st.capabilities, "capabilities"),
    BP_FIELD(struct netvsp, st.has_receive, "has_receive"),
    BP_FIELD(struct netvsp, st.has_send, "has_send"),
    BP_FIELD(struct netvsp, st.receive_id, "receive_id"),
    BP_FIELD(struct netvsp, st.send_id, "send_id"),
    BP_FIELD(struct netvsp, st.receive_gpadl, "receive_gpadl"),
    BP_FIELD(struct netvsp, st.send_gpadl, "send_gpadl"),
    BP_FIELD(struct netvsp, st.section_bytes, "section_bytes"),
    BP_FIELD(struct netvsp, st.section_count, "section_count"),
    BP_FIELD_TRIMMED_BLOB(struct netvsp, st.use, "use"),
    BP_FIELD_ARRAY(struct netvsp, st.next, "next"),
    BP_FIELD(struct netvsp, st.send_sections, "send_sections"),
    BP_FIELD(struct netvsp, st.initialized, "initialized"),
    BP_FIELD(struct netvsp, st.link_told, "link_told"),
    BP_FIELD(struct netvsp, st.rx_checksums, "rx_checksums"),
    BP_FIELD(struct netvsp, st.rsc_ipv4, "rsc_ipv4"),
    BP_FIELD(struct netvsp, st.rsc_ipv6, "rsc_ipv6"),
    BP_FIELD_BLOB(struct netvsp, st.mac, "mac"),
    BP_FIELD(struct netvsp, st.filter, "filter"),
    BP_FIELD(struct netvsp, st.multicast_count, "multicast_count"),
    BP_FIELD_BLOB(struct netvsp, st.multicast, "multicast"),
    BP_FIELD(struct netvsp, st.first_reply, "first_reply"),
    BP_FIELD(struct netvsp, st.reply_count, "reply_count"),
    BP_FIELD_TABLE(struct netvsp, st.reply, "reply", REPLIES, reply_fields),
    BP_FIELD(struct netvsp, st.subchannels, "subchannels"),
    BP_FIELD(struct netvsp, st.rss, "rss"),
    BP_FIELD(struct netvsp, st.table_told, "table_told"),
    BP_FIELD(struct netvsp, st.hash_types, "hash_types"),
    BP_FIELD_BLOB(struct netvsp, st.rss_key, "rss_key"),
    BP_FIELD(struct netvsp, st.rss_entries, "rss_entries"),
    BP_FIELD_BLOB(struct netvsp, st.rss_table, "rss_table"),
    BP_FIELD(struct netvsp, st.sent, "sent"),
    BP_FIELD(struct netvsp, st.received, "received"),
    BP_FIELD(struct netvsp, st.send_errors, "send_errors"),
    BP_FIELD(struct netvsp, st.receive_dropped, "receive_dropped"),
    BP_FIELD(struct netvsp, st.no_section, "no_section"),
    BP_FIELD_END,
};

static const struct bp_property netvsp_properties[] = {
    { .name = "net",
      .help = "network port",
      .type = BP_PROP_NET,
      .offset = offsetof(struct netvsp, port) },
    { .name = "number",
      .help = "tells adapters of one machine apart",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct netvsp, number),
      .max = 255 },
    { .name = "queues",
      .help = "channels, up to 8; 0: one for each processor",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct netvsp, queues),
      .max = NETVSP_CHANNELS },
    { .name = NULL },
};

static const char *const netvsp_requires[] = { BP_LOG, BP_LANE, BP_DMA,
                                               BP_NET, BP_HV,   NULL };

static const struct bp_device_desc netvsp_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_NETWORK,
    .id = "netvsp",
    .title = "network adapter on VMBus",
    .instance_size = sizeof(struct netvsp),
    .state_offset = offsetof(struct netvsp, st),
    .state_size = sizeof(struct netvsp_state),
    .state_version = 1,
    .fields = netvsp_fields,
    .properties = netvsp_properties,
    .requires_ = netvsp_requires,
    .create = netvsp_create,
    .realize = netvsp_realize,
    .reset = netvsp_reset,
    .loaded = netvsp_loaded,
    .start = netvsp_start,
};

EXPORT_DEVICES("netvsp", "network adapter on VMBus", &netvsp_desc);
