/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel on its owner's lane: rings, packets, completions.
 *
 * A turn of channel_serve() takes up to BATCH packets with the guest's
 * signals masked, and publishes both rings once at its end.  Rings are mapped
 * page by page when they are first needed after start, and never touched
 * while the machine stands.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus_own.h"

#define BATCH 64
/* Ranges of one transfer-page packet; no guest takes more. */
#define PIECES 375

/* --- the mapping ---------------------------------------------------------*/

void channel_unmap(struct bp_vmbus_channel *ch)
{
    const struct vmbus *s = ch->bus;

    if (!ch->page)
        return;
    ch->in_own = ch->in.own;
    ch->out_own = ch->out.own;
    for (uint32_t i = 0; i < ch->pages; i++)
        s->dma->unmap(s->dev, gpadl_page(ch->ring_gpadl, i), ch->page[i],
                      RING_PAGE, 1, 0);
    free(ch->page);
    ch->page = NULL;
}

static bool map_pages(struct bp_vmbus_channel *ch)
{
    const struct vmbus *s = ch->bus;
    uint32_t n = gpadl_pages(ch->ring_gpadl);
    void *host;

    ch->page = calloc(n, sizeof(*ch->page));
    for (ch->pages = 0; ch->page && ch->pages < n; ch->pages++) {
        uint64_t gpa = gpadl_page(ch->ring_gpadl, ch->pages);

        if (s->dma->map(s->dev, gpa, RING_PAGE, 1, &host) != RING_PAGE)
            return false;
        ch->page[ch->pages] = host;
    }
    return ch->page != NULL;
}

/* in_own and out_own say where the rings go on. */
static bool map_rings(struct bp_vmbus_channel *ch)
{
    uint32_t split = ch->downstream_page;
    uint32_t in_own = ch->in_own, out_own = ch->out_own;

    if (map_pages(ch) && ring_init_reader(&ch->in, ch->page, split, in_own) &&
        ring_init_writer(&ch->out, ch->page + split, ch->pages - split,
                         out_own))
        return true;
    channel_unmap(ch);
    ch->in_own = in_own;
    ch->out_own = out_own;
    return false;
}

/* Data that was written from this offset on: its pages are dirty, and void as
 * code. */
static void tell_written(struct bp_vmbus_channel *ch, uint32_t from)
{
    const struct vmbus *s = ch->bus;
    const struct ring *r = &ch->out;
    uint32_t pages = r->bytes / RING_PAGE, at = from / RING_PAGE;
    uint32_t bytes = r->own - from + (r->own < from ? r->bytes : 0);
    uint32_t n = (from % RING_PAGE + bytes + RING_PAGE - 1) / RING_PAGE;

    for (n = n < pages ? n : pages; n; n--) {
        s->dma->touched(s->dev, r->page[at], RING_PAGE);
        at = at + 1 == pages ? 0 : at + 1;
    }
}

static void tell_control(struct bp_vmbus_channel *ch, const struct ring *r)
{
    ch->bus->dma->touched(ch->bus->dev, r->control, sizeof(*r->control));
}

static void spoilt(struct bp_vmbus_channel *ch, const char *what)
{
    const struct vmbus *s = ch->bus;

    if (!ch->broken)
        s->log->guest_error(s->dev, "channel %u is stopped: %s", ch->relid,
                            what);
    ch->broken = true;
}

/* May the rings be used now? */
static bool is_live(struct bp_vmbus_channel *ch)
{
    if (ch->state != OWNER_SERVING || ch->broken ||
        __atomic_load_n(&ch->bus->stopped, __ATOMIC_ACQUIRE))
        return false;
    if (!ch->page && !map_rings(ch))
        spoilt(ch, "its rings are not in memory");
    return !ch->broken;
}

/* --- signals -------------------------------------------------------------*/

void channel_signal(struct bp_vmbus_channel *ch)
{
    const struct vmbus *s = ch->bus;
    uint32_t vp = __atomic_load_n(&ch->target_vp, __ATOMIC_ACQUIRE);

    if (vp != VMBUS_NO_INTERRUPT && !legacy_signal(ch->bus, ch->relid))
        s->hv->signal(s->dev, vp, VMBUS_SINT, ch->relid);
}

/* Shows the guest what was read and written since the last time. */
static void commit(struct bp_vmbus_channel *ch)
{
    uint32_t wrote_from = ch->out.published;
    bool signal;

    if (!ch->page)
        return;
    signal = ring_publish_read(&ch->in);
    signal |= ring_publish_write(&ch->out);
    if (wrote_from != ch->out.own) {
        tell_written(ch, wrote_from);
        tell_control(ch, &ch->out);
    }
    if (signal)
        channel_signal(ch);
}

/* --- kept completions ----------------------------------------------------*/

bool channel_keep(struct bp_vmbus_channel *ch, uint64_t transaction,
                  const void *data, uint32_t bytes)
{
    struct kept *k;

    if (ch->kept_count >= KEPT || bytes > KEPT_ONE)
        return false;
    k = malloc(sizeof(*k) + bytes);
    if (!k)
        return false;
    if (__atomic_add_fetch(&ch->bus->kept, kept_size(bytes), __ATOMIC_RELAXED) >
        KEPT_BYTES) {
        __atomic_fetch_sub(&ch->bus->kept, kept_size(bytes), __ATOMIC_RELAXED);
        free(k);
        return false;
    }
    k->next = NULL;
    k->transaction = transaction;
    k->bytes = bytes;
    if (bytes)
        memcpy(k->data, data, bytes);
    *ch->kept_end = k;
    ch->kept_end = &k->next;
    ch->kept_count++;
    return true;
}

static void drop_first(struct bp_vmbus_channel *ch)
{
    struct kept *k = ch->kept;

    ch->kept = k->next;
    if (!ch->kept)
        ch->kept_end = &ch->kept;
    ch->kept_count--;
    __atomic_fetch_sub(&ch->bus->kept, kept_size(k->bytes), __ATOMIC_RELAXED);
    free(k);
}

void channel_drop_kept(struct bp_vmbus_channel *ch)
{
    while (ch->kept)
        drop_first(ch);
}

/* Room for this much, or the guest will tell. */
static bool want_room(struct bp_vmbus_channel *ch, uint32_t need)
{
    if (ring_has_room(&ch->out, need))
        return true;
    commit(ch); /* the reader cannot read what it does not see */
    ch->waiting = true;
    ring_wait_for_room(&ch->out, need);
    tell_control(ch, &ch->out);
    return ring_has_room(&ch->out, need);
}

static void put_completion(struct bp_vmbus_channel *ch, uint64_t transaction,
                           const void *data, uint32_t bytes)
{
    struct ring_descriptor d = { .type = BP_VMBUS_COMPLETION,
                                 .transaction = transaction };
    struct bp_iovec iov = { (void *)(uintptr_t)data, bytes };

    ring_put(&ch->out, &d, NULL, 0, &iov, 1);
}

/* True: none is left. */
static bool flush_kept(struct bp_vmbus_channel *ch)
{
    while (ch->kept) {
        struct kept *k = ch->kept;

        if (!want_room(ch, ring_need(0, k->bytes)))
            return false;
        put_completion(ch, k->transaction, k->data, k->bytes);
        drop_first(ch);
    }
    return true;
}

/* --- serving -------------------------------------------------------------*/

static void channel_serve(struct bp_vmbus_channel *ch);

static void serve_later(void *ctx)
{
    struct bp_vmbus_channel *ch = ctx;

    ch->posted = false;
    channel_serve(ch);
    channel_unref(ch);
}

static void post_serve(struct bp_vmbus_channel *ch)
{
    if (ch->posted || ch->dead)
        return;
    ch->posted = true;
    channel_ref(ch);
    ch->bus->lane->post(ch->dev, serve_later, ch);
}

/* Takes one packet; false: there is none, or none can be taken now. */
static bool take_packet(struct bp_vmbus_channel *ch)
{
    const struct vmbus *s = ch->bus;
    struct bp_vmbus_packet p;
    const char *why = "has no place in memory";
    int32_t n = ring_peek(&ch->in, ch->packet), rc;

    if (n < 0)
        spoilt(ch, "what is in its ring is no packet");
    if (n <= 0)
        return false;
    rc = ring_parse(ch->packet, (uint32_t)n, &ch->pieces, &p, &why);
    if (rc < 0) {
        s->log->guest_error(s->dev, "a packet of channel %u %s", ch->relid,
                            why);
    } else {
        rc = ch->ops->packet(ch->ctx, &p);
        if (rc == -EAGAIN && ch->state == OWNER_SERVING) {
            ch->paused = true;
            return false;
        }
        if (rc < 0 && rc != -EAGAIN)
            s->log->guest_error(s->dev,
                                "a packet of channel %u is dropped: its "
                                "device does not expect it",
                                ch->relid);
    }
    if (ch->state != OWNER_SERVING || !ch->page)
        return false; /* closed or destroyed meanwhile */
    ring_skip(&ch->in, (uint32_t)n);
    return true;
}

/* send() may work again. */
static void tell_writable(struct bp_vmbus_channel *ch)
{
    uint32_t need = ch->wanted;

    if (!need || ch->kept || !want_room(ch, need))
        return;
    ch->wanted = 0;
    if (ch->ops->writable)
        ch->ops->writable(ch->ctx);
}

/* The writer's side of a turn: what waited for room. */
static void write_waiting(struct bp_vmbus_channel *ch)
{
    if (!flush_kept(ch))
        return;
    tell_writable(ch);
    if (!is_live(ch) || ch->kept || ch->wanted || !ch->waiting)
        return;
    ch->waiting = false;
    ring_wait_for_room(&ch->out, 0);
}

/* Packets until the ring is empty or the turn is over; true: again. */
static bool take_turn(struct bp_vmbus_channel *ch)
{
    unsigned n = 0;

    ring_set_mask(&ch->in, true);
    for (;;) {
        if (!flush_kept(ch) || ch->paused)
            return false; /* the guest's signal, or resume() */
        if (n++ == BATCH)
            return true;
        if (take_packet(ch))
            continue;
        if (!is_live(ch) || ch->paused)
            return false;
        commit(ch);
        ring_set_mask(&ch->in, false);
        if (!ring_has_packets(&ch->in))
            return false;
        ring_set_mask(&ch->in, true);
    }
}

static void channel_serve(struct bp_vmbus_channel *ch)
{
    bool again = false;

    if (ch->in_service)
        return;
    channel_ref(ch);
    ch->in_service = true;
    if (is_live(ch)) {
        write_waiting(ch);
        again = is_live(ch) && take_turn(ch);
    }
    ch->in_service = false;
    if (ch->page) {
        tell_control(ch, &ch->in);
        commit(ch);
    }
    if (again)
        post_serve(ch);
    channel_unref(ch);
}

void channel_event(void *ctx, uint32_t flag)
{
    (void)flag;
    channel_serve(ctx);
}

void channel_run(struct bp_vmbus_channel *ch)
{
    if (!is_live(ch))
        return;
    channel_serve(ch);
    if (ch->state == OWNER_SERVING)
        channel_signal(ch);
}

/* --- opening and closing -------------------------------------------------*/

static void let_go(struct bp_vmbus_channel *ch)
{
    channel_unmap(ch);
    channel_drop_kept(ch);
    if (ch->ring_gpadl)
        gpadl_unref(ch->ring_gpadl);
    ch->ring_gpadl = NULL;
}

int32_t channel_open(struct bp_vmbus_channel *ch, struct gpadl *ring,
                     uint32_t downstream_page, const struct bp_vmbus_open *open)
{
    const struct vmbus *s = ch->bus;
    int32_t rc = -EFAULT;

    ch->ring_gpadl = ring;
    ch->downstream_page = downstream_page;
    ch->in_own = ch->out_own = RING_FROM_GUEST;
    ch->broken = ch->paused = ch->waiting = false;
    ch->wanted = 0;
    if (!ch->packet) /* kept for ever: a packet may close its channel */
        ch->packet = malloc(RING_MAX_PACKET);
    if (ch->packet && map_rings(ch))
        rc = s->hv->event_port(ch->dev, EVENT_CONNECTION + ch->relid, 1,
                               channel_event, ch);
    if (rc < 0) {
        let_go(ch);
        return rc;
    }
    ch->state = OWNER_SERVING;
    rc = ch->ops->opened ? ch->ops->opened(ch->ctx, open) : 0;
    if (rc < 0)
        channel_shut(ch);
    else
        post_serve(ch);
    return rc;
}

void channel_shut(struct bp_vmbus_channel *ch)
{
    if (ch->state == OWNER_SERVING)
        ch->bus->hv->close_port(ch->dev, EVENT_CONNECTION + ch->relid);
    let_go(ch);
    ch->state = OWNER_SHUT;
}

void channel_close(struct bp_vmbus_channel *ch)
{
    if (ch->state != OWNER_SERVING)
        return;
    channel_shut(ch);
    ch->state = OWNER_CLOSING;
    if (ch->ops->closing)
        ch->ops->closing(ch->ctx);
    else
        channel_close_done(ch);
}

void channel_close_done(struct bp_vmbus_channel *ch)
{
    if (ch->state != OWNER_CLOSING || ch->dead)
        return;
    ch->state = OWNER_SHUT;
    buffers_detach(ch);
    post_closed(ch);
}

/* --- what devices call ---------------------------------------------------*/

int32_t channel_is_open(struct bp_vmbus_channel *ch)
{
    return ch->state == OWNER_SERVING;
}

void channel_pause(struct bp_vmbus_channel *ch)
{
    ch->paused = true;
}

void channel_resume(struct bp_vmbus_channel *ch)
{
    if (!ch->paused)
        return;
    ch->paused = false;
    if (ch->state == OWNER_SERVING)
        post_serve(ch);
}

/* What comes between descriptor and payload. */
struct transfer_head {
    uint16_t set;
    uint8_t owns;
    uint8_t reserved;
    uint32_t count;
    struct bp_vmbus_piece piece[PIECES];
};

static uint32_t header_bytes(const struct bp_vmbus_send *p)
{
    return p->type == BP_VMBUS_TRANSFER_PAGES
               ? 8 + p->piece_count * (uint32_t)sizeof(struct bp_vmbus_piece)
               : 0;
}

static void put(struct bp_vmbus_channel *ch, const struct bp_vmbus_send *p)
{
    struct ring_descriptor d = { .type = p->type,
                                 .flags = p->flags,
                                 .transaction = p->transaction };
    struct transfer_head head;

    if (p->type == BP_VMBUS_TRANSFER_PAGES) {
        head.set = p->set;
        head.owns = head.reserved = 0;
        head.count = p->piece_count;
        memcpy(head.piece, p->pieces, p->piece_count * sizeof(head.piece[0]));
    }
    ring_put(&ch->out, &d, &head, header_bytes(p), p->iov, p->iov_count);
}

/* -EAGAIN, and writable() comes when there is room. */
static int32_t wait_for(struct bp_vmbus_channel *ch, uint32_t need)
{
    if (ch->wanted < need)
        ch->wanted = need;
    return -EAGAIN;
}

int32_t channel_send(struct bp_vmbus_channel *ch, const struct bp_vmbus_send *p)
{
    uint64_t payload = 0;
    uint32_t need;

    if (ch->state != OWNER_SERVING || ch->broken)
        return -ENOTCONN;
    for (uint32_t i = 0; i < p->iov_count; i++)
        payload += p->iov[i].bytes;
    if (payload > RING_MAX_PACKET || p->piece_count > PIECES)
        return -EMSGSIZE;
    need = ring_need(header_bytes(p), (uint32_t)payload);
    if (need > RING_MAX_PACKET)
        return -EMSGSIZE;
    if (!is_live(ch))
        return ch->broken ? -ENOTCONN : wait_for(ch, need);
    if (!ring_may_fit(&ch->out, need))
        return -EMSGSIZE;
    if (ch->kept || ch->wanted || !want_room(ch, need))
        return wait_for(ch, need);
    put(ch, p);
    if (!ch->in_service)
        commit(ch);
    return 0;
}

void channel_complete(struct bp_vmbus_channel *ch, uint64_t transaction,
                      const void *data, uint32_t bytes)
{
    bool live;

    if (ch->state != OWNER_SERVING || ch->broken)
        return;
    live = is_live(ch);
    if (live && !ring_may_fit(&ch->out, ring_need(0, bytes))) {
        spoilt(ch, "its ring is too small for a completion");
    } else if (live && !ch->kept && want_room(ch, ring_need(0, bytes))) {
        put_completion(ch, transaction, data, bytes);
        if (!ch->in_service)
            commit(ch);
    } else if (!ch->broken && !channel_keep(ch, transaction, data, bytes)) {
        spoilt(ch, "more completions wait than its device has requests");
    }
}

int32_t channel_can_send(struct bp_vmbus_channel *ch, uint32_t bytes)
{
    return bytes <= RING_MAX_PACKET && is_live(ch) && !ch->kept &&
           !ch->wanted && ring_has_room(&ch->out, ring_need(0, bytes));
}

int32_t channel_unread(struct bp_vmbus_channel *ch)
{
    if (is_live(ch))
        return (int32_t)ring_unread(&ch->out);
    return ch->state == OWNER_SERVING && !ch->broken ? -EAGAIN : -ENOTCONN;
}
