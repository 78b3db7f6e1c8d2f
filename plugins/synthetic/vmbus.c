/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmbus: the bus between the guest and its synthetic devices, the host's
 * side: bp.vmbus/1 for devices, control messages and rings for the guest.
 *
 * Sources: hyperv.md 4.4-4.5; Linux drivers/hv and include/linux/hyperv.h
 * 6.1; OpenVMM vmbus_server (facts).  There is no specification.
 *
 * Modelled: versions 0.13, 1.1, and 2.4 to 5.3, offers, rescind, GPADLs,
 * channels with sub-channels, events for each channel, change of target
 * processor, unload and contact again, TL connect.
 * Not modelled: versions from 6.0 on; monitor pages (no channel is offered
 * with one, so guests signal events); reserved channels.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "vmbus_own.h"

/* --- entries -------------------------------------------------------------*/

static uint16_t free_relid(struct vmbus *s)
{
    for (uint16_t i = 1; i < RELIDS; i++) {
        if (!s->entry[i])
            return i;
    }
    return 0;
}

/* relid 0: any that is free.  NULL: there is none, or no memory. */
struct entry *vmbus_entry_new(struct vmbus *s, const struct bp_guid *type,
                              const struct bp_guid *instance,
                              uint16_t subchannel, uint16_t relid)
{
    struct entry *e;

    relid = relid ? relid : free_relid(s);
    e = relid ? calloc(1, sizeof(*e)) : NULL;
    if (!e)
        return NULL;
    e->relid = relid;
    e->state = ENTRY_CLOSED;
    e->type = *type;
    e->instance = *instance;
    e->subchannel = subchannel;
    pthread_mutex_lock(&s->lock);
    s->entry[relid] = e;
    pthread_mutex_unlock(&s->lock);
    return e;
}

void vmbus_entry_free(struct vmbus *s, struct entry *e)
{
    gpadls_drop(s, e);
    pthread_mutex_lock(&s->lock);
    s->entry[e->relid] = NULL;
    pthread_mutex_unlock(&s->lock);
    if (e->ch) {
        e->ch->entry = NULL;
        __atomic_store_n(&e->ch->relid, 0, __ATOMIC_RELEASE);
    }
    free(e);
}

void vmbus_adopt(struct vmbus *s, struct bp_vmbus_channel *ch)
{
    struct entry *e = vmbus_entry_new(s, &ch->offer.type, &ch->offer.instance,
                                      ch->offer.subchannel, 0);

    if (!e) {
        s->log->log(s->dev, BP_LOG_ERROR, "there is no channel id left");
        return;
    }
    e->ch = ch;
    ch->entry = e;
    __atomic_store_n(&ch->relid, e->relid, __ATOMIC_RELEASE);
    if (s->st.connection == BUS_CONNECTED && s->st.offers &&
        vmbus_may_offer(s, e))
        e->flags |= ENTRY_NEED_OFFER;
}

/* --- channels ------------------------------------------------------------*/

void channel_ref(struct bp_vmbus_channel *ch)
{
    __atomic_fetch_add(&ch->refs, 1, __ATOMIC_RELAXED);
}

void channel_unref(struct bp_vmbus_channel *ch)
{
    if (__atomic_sub_fetch(&ch->refs, 1, __ATOMIC_ACQ_REL))
        return;
    channel_drop_kept(ch);
    buffers_free(ch);
    free(ch->packet);
    free(ch->pieces.list);
    free(ch);
}

static bool same_name(const struct bp_vmbus_channel *ch,
                      const struct bp_vmbus_offer *o)
{
    return ch->offer.subchannel == o->subchannel &&
           !memcmp(&ch->offer.type, &o->type, sizeof(o->type)) &&
           !memcmp(&ch->offer.instance, &o->instance, sizeof(o->instance));
}

/* Into the list, unless its name is taken. */
static const char *add_channel(struct vmbus *s, struct bp_vmbus_channel *ch)
{
    const char *why = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->channel_count >= RELIDS - 1)
        why = "there are too many channels";
    for (struct bp_vmbus_channel *c = s->channels; c && !why; c = c->next) {
        if (same_name(c, &ch->offer))
            why = "there is a channel of this type and instance";
    }
    if (!why) {
        ch->next = s->channels;
        s->channels = ch;
        s->channel_count++;
    }
    pthread_mutex_unlock(&s->lock);
    return why;
}

static void remove_channel(struct vmbus *s, struct bp_vmbus_channel *ch)
{
    struct bp_vmbus_channel **p;

    pthread_mutex_lock(&s->lock);
    for (p = &s->channels; *p && *p != ch; p = &(*p)->next)
        ;
    if (*p) {
        *p = ch->next;
        s->channel_count--;
    }
    pthread_mutex_unlock(&s->lock);
}

static struct bp_vmbus_channel *vmbus_create_channel(
    void *vmbus, struct bp_dev *dev, const struct bp_vmbus_offer *offer,
    const struct bp_vmbus_channel_ops *ops, void *ctx)
{
    struct vmbus *s = vmbus;
    struct bp_vmbus_channel *ch = calloc(1, sizeof(*ch));
    const char *why = ch ? NULL : "there is no memory for a channel";

    if (ch) {
        ch->bus = s;
        ch->dev = dev;
        ch->offer = *offer;
        ch->ops = ops;
        ch->ctx = ctx;
        ch->refs = 1;
        ch->kept_end = &ch->kept;
        ch->target_vp = VMBUS_NO_INTERRUPT;
        why = add_channel(s, ch);
    }
    if (why) {
        free(ch);
        s->host->fail(dev, -EEXIST, "%s", why);
        return NULL;
    }
    if (!vmbus_take_orphan(s, ch))
        post_created(ch);
    return ch;
}

static void vmbus_destroy_channel(struct bp_vmbus_channel *ch)
{
    if (ch->dead)
        return;
    remove_channel(ch->bus, ch);
    channel_shut(ch);
    ch->dead = true;
    buffers_detach(ch);
    post_gone(ch);
    channel_unref(ch);
}

/* --- TL connect ----------------------------------------------------------*/

static int32_t vmbus_on_connect(void *vmbus, struct bp_dev *dev,
                                bp_vmbus_connect_fn *fn, void *ctx)
{
    struct vmbus *s = vmbus;

    if (s->connector && s->connector != dev)
        return -EBUSY;
    s->connector = dev;
    s->connect = fn;
    s->connect_ctx = ctx;
    return 0;
}

static void vmbus_connect_result(void *vmbus, const struct bp_guid *endpoint,
                                 const struct bp_guid *service, uint32_t status)
{
    struct vmbus_tl_result m = { *endpoint, *service, status };

    post_connect_result(vmbus, &m);
}

static const struct bp_vmbus vmbus_ops = {
    .size = sizeof(struct bp_vmbus),
    .create = vmbus_create_channel,
    .destroy = vmbus_destroy_channel,
    .close_done = channel_close_done,
    .is_open = channel_is_open,
    .pause = channel_pause,
    .resume = channel_resume,
    .send = channel_send,
    .complete = channel_complete,
    .can_send = channel_can_send,
    .buffer_open = buffer_open,
    .buffer_close = buffer_close,
    .buffer_bytes = buffer_bytes,
    .buffer_read = buffer_read,
    .buffer_write = buffer_write,
    .buffer_ranges = buffer_ranges,
    .on_connect = vmbus_on_connect,
    .connect_result = vmbus_connect_result,
    .unread = channel_unread,
};

/* --- the device ----------------------------------------------------------*/

static int32_t vmbus_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct vmbus *s = self;

    s->dev = dev;
    s->host = host;
    s->log = host->query(host, BP_LOG);
    s->lane = host->query(host, BP_LANE);
    s->dma = host->query(host, BP_DMA);
    s->hv = host->query(host, BP_HV);
    pthread_mutex_init(&s->lock, NULL);
    if (!BP_HAS(s->dma, touched))
        return host->fail(dev, -ENOTSUP, "the host cannot map for long");
    return 0;
}

/* A machine that does not show the interface gets a bus without a guest. */
static int32_t vmbus_realize(void *self)
{
    struct vmbus *s = self;

    s->processors = s->hv ? s->hv->processors(s->dev) : 0;
    if (!s->processors)
        return 0;
    if (s->hv->event_port(s->dev, VMBUS_EVENTS, 1, legacy_event, s) < 0 ||
        s->hv->message_port(s->dev, VMBUS_CONNECTION_1, vmbus_message, s) < 0 ||
        s->hv->message_port(s->dev, VMBUS_CONNECTION_4, vmbus_message, s) < 0)
        return s->host->fail(s->dev, -EBUSY, "its connections are taken");
    return s->hv->on_room(s->dev, vmbus_room, s);
}

static void vmbus_reset(void *self, uint32_t kind)
{
    struct vmbus *s = self;

    (void)kind;
    s->st.answer_count = 0;
    memset(s->st.answer, 0, sizeof(s->st.answer));
    s->st.reserved = s->st.connecting = 0;
    s->st.next_version = s->st.next_vp = s->st.next_sint = 0;
    s->st.interrupt_page = s->st.next_page = 0;
    s->st.version = s->st.message_vp = 0;
    s->st.message_sint = VMBUS_SINT;
    vmbus_leave(s, THEN_NOTHING);
}

static void for_open_channels(struct vmbus *s, bool run)
{
    for (unsigned i = 1; i < RELIDS; i++) {
        if (s->entry[i] && s->entry[i]->state == ENTRY_OPEN)
            post_ring(s, s->entry[i], run);
    }
}

static void vmbus_start(void *self)
{
    struct vmbus *s = self;

    vmbus_end_orphans(s);
    __atomic_store_n(&s->stopped, 0, __ATOMIC_RELEASE);
    for_open_channels(s, true);
    vmbus_pump(s);
}

static void vmbus_stop(void *self)
{
    struct vmbus *s = self;

    __atomic_store_n(&s->stopped, 1, __ATOMIC_RELEASE);
    for_open_channels(s, false);
}

static void vmbus_destroy(void *self)
{
    struct vmbus *s = self;

    for (unsigned i = 1; i < RELIDS; i++) {
        if (s->entry[i])
            vmbus_entry_free(s, s->entry[i]);
    }
    /* Of devices that did not destroy theirs; they are gone. */
    while (s->channels) {
        struct bp_vmbus_channel *ch = s->channels;

        s->channels = ch->next;
        if (!ch->dead && ch->ring_gpadl)
            gpadl_unref(ch->ring_gpadl);
        free(ch->page);
        channel_unref(ch);
    }
    pthread_mutex_destroy(&s->lock);
}

static const void *vmbus_query(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_VMBUS) == 0 ? &vmbus_ops : NULL;
}

static const char *const vmbus_requires[] = { BP_LOG, BP_LANE, BP_DMA, NULL };

static const struct bp_device_desc vmbus_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BUS,
    .id = "vmbus",
    .title = "VMBus",
    .instance_size = sizeof(struct vmbus),
    .state_offset = offsetof(struct vmbus, st),
    .state_size = sizeof(struct vmbus_state),
    .state_version = 1,
    .fields = vmbus_fields,
    .requires_ = vmbus_requires,
    .create = vmbus_create,
    .realize = vmbus_realize,
    .reset = vmbus_reset,
    .save = vmbus_save,
    .loaded = vmbus_loaded,
    .start = vmbus_start,
    .stop = vmbus_stop,
    .destroy = vmbus_destroy,
    .query = vmbus_query,
};

EXPORT_DEVICES("vmbus", "VMBus", &vmbus_desc);
