/* SPDX-License-Identifier: Apache-2.0 */
#include "net/port.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sched/lane.h"
#include "state/stream.h"
#include "vm/error.h"

/* Memory of waiting frames.  To the host: a device asks for room before each
 * of its packets, and one packet of it may go beyond. */
#define OUT_BYTES     (1u << 20)
#define OUT_BYTES_MAX (4u << 20)
#define OUT_FRAMES    1024u
/* To the guest: some windows of 64 KiB for back ends that can wait. */
#define IN_BYTES      (2u << 20)
#define IN_BYTES_MAX  (8u << 20)
#define IN_FRAMES     1024u
#define IN_FRAMES_MAX 8192u
#define MAX_PIECES    512u /* of a frame's vector */

struct net_port *net_port_create(const char *name)
{
    struct net_port *p = g_new0(struct net_port, 1);

    p->name = g_strdup(name);
    p->link = p->carrier = true;
    p->mtu = 1500;
    p->longest = 1514;
    p->drained = true;
    net_list_init(&p->out);
    net_list_init(&p->in);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void net_port_disconnect(struct net_port *p)
{
    if (p->ops && p->ops->close)
        p->ops->close(p->backend);
    p->ops = NULL;
}

void net_port_destroy(struct net_port *p)
{
    if (!p)
        return;
    net_port_disconnect(p);
    net_list_clear(&p->out);
    net_list_clear(&p->in);
    pthread_mutex_destroy(&p->lock);
    g_free(p->name);
    g_free(p);
}

void net_port_connect(struct net_port *p, const struct net_backend_ops *ops,
                      void *backend)
{
    p->backend = backend;
    p->ops = ops;
}

void net_port_attach(struct net_port *p, struct lane *lane)
{
    pthread_mutex_lock(&p->lock);
    p->lane = lane;
    if (!lane) {
        p->events = NULL;
        p->looked = p->received_posted = false;
        p->writable_posted = p->changed_posted = false;
        p->drained = true;
    }
    pthread_mutex_unlock(&p->lock);
}

/* --- what the device is told ----------------------------------------------*/

/* Clears the mark of a posted call; the events to make it with, or NULL. */
static const struct bp_net_events *begin_event(struct net_port *p, bool *posted)
{
    pthread_mutex_lock(&p->lock);
    const struct bp_net_events *ev = p->held ? NULL : p->events;
    *posted = false;
    pthread_mutex_unlock(&p->lock);
    return ev;
}

static void tell_received(void *opaque)
{
    struct net_port *p = opaque;
    const struct bp_net_events *ev = begin_event(p, &p->received_posted);

    if (ev && ev->received)
        ev->received(p->ctx);
}

static void tell_writable(void *opaque)
{
    struct net_port *p = opaque;
    const struct bp_net_events *ev = begin_event(p, &p->writable_posted);

    if (ev && ev->writable)
        ev->writable(p->ctx);
}

static void tell_changed(void *opaque)
{
    struct net_port *p = opaque;
    const struct bp_net_events *ev = begin_event(p, &p->changed_posted);

    if (ev && ev->changed)
        ev->changed(p->ctx);
}

/* With the lock held. */
static void post(struct net_port *p, void (*fn)(void *), bool *posted)
{
    if (*posted || p->held || !p->lane || !p->events)
        return;
    *posted = true;
    lane_post(p->lane, fn, p);
}

static void post_received(struct net_port *p)
{
    if (!p->drained || !p->in.count)
        return;
    if (p->lane && p->events && !p->held)
        p->drained = false;
    post(p, tell_received, &p->received_posted);
}

static void post_writable(struct net_port *p)
{
    if (!p->refused || p->out.bytes > OUT_BYTES / 2 ||
        p->out.count > OUT_FRAMES / 2)
        return;
    if (p->lane && p->events && !p->held)
        p->refused = false;
    post(p, tell_writable, &p->writable_posted);
}

void net_port_listen(struct net_port *p, const struct bp_net_events *ev,
                     void *ctx)
{
    pthread_mutex_lock(&p->lock);
    p->events = ev;
    p->ctx = ctx;
    post_received(p);
    pthread_mutex_unlock(&p->lock);
}

void net_port_hold(struct net_port *p, bool held)
{
    pthread_mutex_lock(&p->lock);
    bool let_go = p->held && !held;
    p->held = held;
    if (let_go) {
        /* A call that was posted before found it held and did nothing. */
        p->drained = p->drained || p->in.count;
        post_received(p);
        post_writable(p);
        post(p, tell_changed, &p->changed_posted);
    }
    pthread_mutex_unlock(&p->lock);
    if (let_go && p->ops && p->ops->wake)
        p->ops->wake(p->backend);
}

static bool is_up(const struct net_port *p)
{
    return p->link && p->carrier;
}

static void set_switch(struct net_port *p, bool *which, bool up)
{
    pthread_mutex_lock(&p->lock);
    bool before = is_up(p);
    *which = up;
    if (before != is_up(p)) {
        if (before) {
            net_list_clear(&p->out);
            post_writable(p);
        }
        post(p, tell_changed, &p->changed_posted);
    }
    pthread_mutex_unlock(&p->lock);
}

void net_port_set_link(struct net_port *p, bool up)
{
    set_switch(p, &p->link, up);
}

void net_port_carrier(struct net_port *p, bool up)
{
    set_switch(p, &p->carrier, up);
}

void net_port_info(struct net_port *p, struct bp_net_info *info)
{
    uint32_t size = MIN(info->size, (uint32_t)sizeof(*info));
    struct bp_net_info all = {
        .size = info->size,
        .mtu = p->mtu,
        .link_bits = 10000000000ull,
    };

    memcpy(all.mac, p->mac, sizeof(all.mac));
    pthread_mutex_lock(&p->lock);
    all.flags = is_up(p) ? BP_NET_LINK_UP : 0;
    pthread_mutex_unlock(&p->lock);
    memcpy(info, &all, size);
}

/* --- from the device to the host ------------------------------------------*/

static int32_t gather(const struct bp_net_frame *from, struct net_frame **out)
{
    uint64_t bytes = 0;
    uint32_t tag = from->flags & BP_NET_VLAN ? VLAN_TAG : 0;

    if (from->iov_count > MAX_PIECES)
        return -EMSGSIZE;
    for (uint32_t i = 0; i < from->iov_count; i++) {
        if (from->iov[i].bytes > BP_NET_FRAME_MAX)
            return -EMSGSIZE;
        bytes += from->iov[i].bytes;
    }
    if (bytes < ETHERNET_HEADER || bytes + tag > BP_NET_FRAME_MAX)
        return -EMSGSIZE;
    struct net_frame *f = net_frame_new((uint32_t)bytes + tag);
    uint8_t *at = f->data + tag;
    for (uint32_t i = 0; i < from->iov_count; i++) {
        memcpy(at, from->iov[i].base, from->iov[i].bytes);
        at += from->iov[i].bytes;
    }
    if (tag) {
        /* Behind the two addresses. */
        memmove(f->data, f->data + VLAN_TAG, 12);
        net_put16(f->data + 12, 0x8100);
        net_put16(f->data + 14, from->vlan);
    }
    f->bytes = (uint32_t)bytes + tag;
    *out = f;
    return 0;
}

/* Completes the frame as the device asked; the results are in `out`, or it is
 * freed. */
static int32_t complete(struct net_port *p, struct net_frame *f,
                        const struct bp_net_frame *from, struct net_list *out)
{
    bool large = from->flags & BP_NET_SEGMENT;
    bool l4 = from->flags & BP_NET_L4_CSUM;
    struct net_layout l;

    if (!(from->flags & (BP_NET_SEGMENT | BP_NET_L4_CSUM | BP_NET_IP_CSUM))) {
        net_list_add(out, f);
        return 0;
    }
    if (!net_frame_layout(f, large, &l) || !l.version ||
        ((large || l4) && (l.fragment || l.payload == l.l4)) ||
        (large &&
         (l.protocol != IP_TCP || !from->mss || l.end - l.l3 > UINT16_MAX))) {
        net_frame_free(f);
        return -EINVAL;
    }
    bool whole =
        p->ops && (l.version == 4 ? p->ops->large_ipv4 : p->ops->large_ipv6);
    if (large && !whole) {
        net_segment(f, &l, MAX(from->mss, 64), out);
        return 0;
    }
    if (large) {
        net_make_whole(f, &l);
        f->mss = from->mss;
        f->flags |= BP_NET_SEGMENT;
    } else {
        if (from->flags & BP_NET_IP_CSUM)
            net_ip_sum_set(f, &l);
        if (l4)
            net_l4_sum_set(f, &l);
    }
    net_list_add(out, f);
    return 0;
}

/* Frames of `ready` go to the queue; it takes all or none. */
static int32_t enqueue(struct net_port *p, struct net_list *ready,
                       uint32_t bytes, bool large)
{
    int32_t status = 0;
    bool wake = false;

    pthread_mutex_lock(&p->lock);
    if (!is_up(p)) {
        status = -ENETDOWN;
    } else if (p->out.bytes + ready->bytes > OUT_BYTES_MAX) {
        status = -ENOBUFS;
    } else {
        wake = !p->out.count;
        p->n.sent++;
        p->n.sent_bytes += bytes;
        p->n.sent_large += large;
        /* Nobody at the other end: frames go nowhere. */
        for (struct net_frame *f; p->ops && (f = net_list_take(ready));)
            net_list_add(&p->out, f);
    }
    p->n.send_lost += status != 0;
    pthread_mutex_unlock(&p->lock);
    net_list_clear(ready);
    if (wake && p->ops && p->ops->wake)
        p->ops->wake(p->backend);
    return status;
}

int32_t net_port_send(struct net_port *p, const struct bp_net_frame *from)
{
    struct net_list ready;
    struct net_frame *f;
    uint32_t bytes = 0;
    int32_t status = gather(from, &f);

    net_list_init(&ready);
    if (!status) {
        bytes = f->bytes;
        status = complete(p, f, from, &ready);
    }
    if (status) {
        pthread_mutex_lock(&p->lock);
        p->n.send_lost++;
        pthread_mutex_unlock(&p->lock);
        return status;
    }
    return enqueue(p, &ready, bytes, from->flags & BP_NET_SEGMENT);
}

int32_t net_port_room(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    bool room = p->out.bytes < OUT_BYTES && p->out.count < OUT_FRAMES;
    if (!room)
        p->refused = true;
    pthread_mutex_unlock(&p->lock);
    return room;
}

struct net_frame *net_port_take(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    struct net_frame *first = p->held ? NULL : p->out.first;
    if (first) {
        net_list_init(&p->out);
        post_writable(p);
    }
    pthread_mutex_unlock(&p->lock);
    return first;
}

bool net_port_is_held(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    bool held = p->held;
    pthread_mutex_unlock(&p->lock);
    return held;
}

/* --- from the host to the device ------------------------------------------*/

static void strip_tag(struct net_frame *f)
{
    if (f->bytes < ETHERNET_HEADER + VLAN_TAG ||
        net_be16(f->data + 12) != 0x8100)
        return;
    f->vlan = net_be16(f->data + 14);
    f->flags |= BP_NET_VLAN;
    memmove(f->data + 12, f->data + 16, f->bytes - 16);
    f->bytes -= VLAN_TAG;
}

/* Marks what is right; false: this is no frame for anybody. */
static bool look(struct net_frame *f, bool trusted)
{
    struct net_layout l;

    f->flags &= BP_NET_VLAN | BP_NET_SEGMENT;
    /* Nonsense is the guest's to judge, except when there is no header. */
    if (!net_frame_layout(f, false, &l))
        return f->bytes >= ETHERNET_HEADER;
    if (l.version == 4 && (trusted || net_ip_sum_is_right(f, &l)))
        f->flags |= BP_NET_IP_CSUM;
    if (l.version && !l.fragment && l.payload > l.l4 &&
        (trusted || net_l4_sum_is_right(f, &l)))
        f->flags |= BP_NET_L4_CSUM;
    return true;
}

/* With the lock held. */
static bool has_place(struct net_port *p, const struct net_frame *f)
{
    return p->events && is_up(p) && p->in.count < IN_FRAMES_MAX &&
           p->in.bytes + f->bytes < IN_BYTES_MAX &&
           (f->bytes <= p->longest || (f->flags & BP_NET_SEGMENT));
}

void net_port_receive(struct net_port *p, struct net_frame *f, bool trusted)
{
    bool taken = false;

    pthread_mutex_lock(&p->lock);
    uint32_t accepts = p->accepts;
    pthread_mutex_unlock(&p->lock);
    if (accepts & BP_NET_VLAN)
        strip_tag(f);
    bool good = look(f, trusted);
    pthread_mutex_lock(&p->lock);
    if (good && has_place(p, f)) {
        p->n.received++;
        p->n.received_bytes += f->bytes;
        /* What the device has in hand is not touched. */
        bool may_merge = (p->accepts & BP_NET_SEGMENT) &&
                         p->in.count > (p->looked ? 1u : 0u);
        if (may_merge && net_merge(&p->in, f))
            p->n.merged++;
        else
            net_list_add(&p->in, f);
        taken = true;
    } else {
        p->n.receive_lost++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!taken)
        net_frame_free(f);
}

void net_port_deliver(struct net_port *p)
{
    struct lane *lane = NULL;

    pthread_mutex_lock(&p->lock);
    if (p->drained && p->in.count && p->lane && p->events && !p->held &&
        !p->received_posted) {
        lane = p->lane;
        p->drained = false;
        p->received_posted = true;
    }
    pthread_mutex_unlock(&p->lock);
    if (lane)
        lane_post_soon(lane, tell_received, p);
}

bool net_port_is_full(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    bool full =
        p->events && (p->in.count >= IN_FRAMES || p->in.bytes >= IN_BYTES);
    pthread_mutex_unlock(&p->lock);
    return full;
}

const struct bp_net_frame *net_port_next(struct net_port *p)
{
    const struct bp_net_frame *view = NULL;

    pthread_mutex_lock(&p->lock);
    struct net_frame *f = p->held ? NULL : p->in.first;
    p->looked = f != NULL;
    if (f) {
        f->iov = (struct bp_iovec){ f->data, f->bytes };
        f->view = (struct bp_net_frame){
            .size = sizeof(f->view),
            .flags = f->flags,
            .mss = f->mss,
            .vlan = f->vlan,
            .bytes = f->bytes,
            .iov = &f->iov,
            .iov_count = 1,
        };
        view = &f->view;
    } else {
        p->drained = true;
    }
    pthread_mutex_unlock(&p->lock);
    return view;
}

void net_port_taken(struct net_port *p)
{
    struct net_frame *f = NULL;
    bool wake = false;

    pthread_mutex_lock(&p->lock);
    if (p->looked) {
        bool full = p->in.count >= IN_FRAMES || p->in.bytes >= IN_BYTES;
        f = net_list_take(&p->in);
        p->looked = false;
        wake = full && p->in.count < IN_FRAMES && p->in.bytes < IN_BYTES;
    }
    pthread_mutex_unlock(&p->lock);
    net_frame_free(f);
    /* The back end may be waiting with what it has for the guest. */
    if (wake && p->ops && p->ops->wake)
        p->ops->wake(p->backend);
}

void net_port_accept(struct net_port *p, uint32_t flags, uint32_t bytes)
{
    pthread_mutex_lock(&p->lock);
    p->accepts = flags;
    p->longest = MIN(bytes, BP_NET_FRAME_MAX);
    pthread_mutex_unlock(&p->lock);
}

/* --- for the user ---------------------------------------------------------*/

void net_port_describe(struct net_port *p, GString *out)
{
    pthread_mutex_lock(&p->lock);
    const struct net_counters n = p->n;
    bool link = p->link, carrier = p->carrier;
    pthread_mutex_unlock(&p->lock);
    g_string_append_printf(
        out, "%s  %s  mac %02x:%02x:%02x:%02x:%02x:%02x  link %s%s\n", p->name,
        p->ops ? p->ops->name : "none", p->mac[0], p->mac[1], p->mac[2],
        p->mac[3], p->mac[4], p->mac[5], link ? "on" : "off",
        carrier ? "" : " (nobody at the other end)");
    g_string_append_printf(out,
                           "  sent      %" PRIu64 " frames, %" PRIu64
                           " bytes, %" PRIu64 " of them large; lost %" PRIu64
                           "\n",
                           n.sent, n.sent_bytes, n.sent_large, n.send_lost);
    g_string_append_printf(out,
                           "  received  %" PRIu64 " frames, %" PRIu64
                           " bytes, %" PRIu64 " of them merged; lost %" PRIu64
                           "\n",
                           n.received, n.received_bytes, n.merged,
                           n.receive_lost);
    if (p->ops && p->ops->describe)
        p->ops->describe(p->backend, out);
}

/* --- saved state ----------------------------------------------------------*/

void net_port_save(struct net_port *p, struct state_writer *w)
{
    state_put_u64(w, "link", p->link);
}

bool net_port_load(struct net_port *p, struct state_reader *r, GError **error)
{
    uint64_t link;

    if (!state_get_u64(r, "link", &link) || link > 1)
        return vm_fail(error, VM_ERROR_RUN,
                       "network port '%s': what it saved is damaged", p->name);
    pthread_mutex_lock(&p->lock);
    p->link = link;
    pthread_mutex_unlock(&p->lock);
    return true;
}
