/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading.  Entries, GPADLs and kept completions are written into
 * tables of the state struct before it is saved; after it was loaded they
 * are made anew from there, once everything in it was checked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus_own.h"

static const struct bp_field answer_fields[] = {
    BP_FIELD(struct answer, type, "type"),
    BP_FIELD(struct answer, bytes, "bytes"),
    BP_FIELD_BLOB(struct answer, body, "body"),
    BP_FIELD_END,
};

static const struct bp_field channel_fields[] = {
    BP_FIELD(struct saved_channel, state, "state"),
    BP_FIELD(struct saved_channel, flags, "flags"),
    BP_FIELD(struct saved_channel, subchannel, "subchannel"),
    BP_FIELD_BLOB(struct saved_channel, type, "type"),
    BP_FIELD_BLOB(struct saved_channel, instance, "instance"),
    BP_FIELD(struct saved_channel, open_id, "open_id"),
    BP_FIELD(struct saved_channel, ring_gpadl, "ring_gpadl"),
    BP_FIELD(struct saved_channel, target_vp, "target_vp"),
    BP_FIELD(struct saved_channel, downstream_page, "downstream_page"),
    BP_FIELD(struct saved_channel, owner, "owner"),
    BP_FIELD(struct saved_channel, broken, "broken"),
    BP_FIELD(struct saved_channel, paused, "paused"),
    BP_FIELD(struct saved_channel, waiting, "waiting"),
    BP_FIELD(struct saved_channel, wanted, "wanted"),
    BP_FIELD(struct saved_channel, in_own, "in_own"),
    BP_FIELD(struct saved_channel, out_own, "out_own"),
    BP_FIELD(struct saved_channel, kept, "kept"),
    BP_FIELD_END,
};

static const struct bp_field gpadl_fields[] = {
    BP_FIELD(struct saved_gpadl, relid, "relid"),
    BP_FIELD(struct saved_gpadl, id, "id"),
    BP_FIELD(struct saved_gpadl, state, "state"),
    BP_FIELD(struct saved_gpadl, gone, "gone"),
    BP_FIELD(struct saved_gpadl, range_count, "range_count"),
    BP_FIELD(struct saved_gpadl, word_count, "word_count"),
    BP_FIELD(struct saved_gpadl, have, "have"),
    BP_FIELD_END,
};

const struct bp_field vmbus_fields[] = {
    BP_FIELD(struct vmbus, st.version, "version"),
    BP_FIELD(struct vmbus, st.message_vp, "message_vp"),
    BP_FIELD(struct vmbus, st.message_sint, "message_sint"),
    BP_FIELD(struct vmbus, st.connection, "connection"),
    BP_FIELD(struct vmbus, st.then, "then"),
    BP_FIELD(struct vmbus, st.offers, "offers"),
    BP_FIELD(struct vmbus, st.all_offers, "all_offers"),
    BP_FIELD(struct vmbus, st.next_version, "next_version"),
    BP_FIELD(struct vmbus, st.next_vp, "next_vp"),
    BP_FIELD(struct vmbus, st.next_sint, "next_sint"),
    BP_FIELD(struct vmbus, st.interrupt_page, "interrupt_page"),
    BP_FIELD(struct vmbus, st.next_page, "next_page"),
    BP_FIELD(struct vmbus, st.reserved, "reserved"),
    BP_FIELD(struct vmbus, st.connecting, "connecting"),
    BP_FIELD(struct vmbus, st.answer_count, "answer_count"),
    BP_FIELD_TRIMMED_TABLE(struct vmbus, st.answer, "answer", ANSWERS,
                           answer_fields),
    BP_FIELD_TRIMMED_TABLE(struct vmbus, st.channel, "channel", RELIDS,
                           channel_fields),
    BP_FIELD(struct vmbus, st.gpadl_count, "gpadl_count"),
    BP_FIELD_TRIMMED_TABLE(struct vmbus, st.gpadl, "gpadl", GPADLS,
                           gpadl_fields),
    BP_FIELD_TRIMMED_BLOB(struct vmbus, st.words, "words"),
    BP_FIELD_TRIMMED_BLOB(struct vmbus, st.kept, "kept"),
    BP_FIELD_END,
};

/* --- saving --------------------------------------------------------------*/

static void save_kept(struct vmbus *s, const struct bp_vmbus_channel *ch,
                      uint32_t *at)
{
    for (const struct kept *k = ch->kept; k; k = k->next) {
        uint8_t *to = s->st.kept + *at;

        memcpy(to, &k->bytes, 4);
        memcpy(to + 8, &k->transaction, 8);
        memcpy(to + 16, k->data, k->bytes);
        *at += kept_size(k->bytes);
    }
}

static void save_channel(struct vmbus *s, const struct entry *e, uint32_t *at)
{
    struct saved_channel *to = &s->st.channel[e->relid];
    const struct bp_vmbus_channel *ch = e->ch;

    to->state = e->state;
    to->flags = e->flags;
    to->subchannel = e->subchannel;
    memcpy(to->type, &e->type, sizeof(to->type));
    memcpy(to->instance, &e->instance, sizeof(to->instance));
    to->open_id = e->open_id;
    to->ring_gpadl = e->ring_gpadl;
    to->target_vp = e->target_vp;
    to->downstream_page = e->downstream_page;
    if (!ch || ch->state == OWNER_SHUT)
        return;
    to->owner = ch->state;
    if (ch->state != OWNER_SERVING)
        return;
    to->broken = ch->broken;
    to->paused = ch->paused;
    to->waiting = ch->waiting;
    to->wanted = ch->wanted;
    to->in_own = ch->page ? ch->in.own : ch->in_own;
    to->out_own = ch->page ? ch->out.own : ch->out_own;
    to->kept = ch->kept_count;
    save_kept(s, ch, at);
}

/* The last first: loading puts each in front of the list. */
static void save_gpadls(struct vmbus *s, const struct entry *e, uint32_t *at)
{
    uint32_t n = 0;

    for (const struct gpadl *g = e->gpadls; g; g = g->next)
        n++;
    s->st.gpadl_count += n;
    n = s->st.gpadl_count;
    for (const struct gpadl *g = e->gpadls; g; g = g->next) {
        struct saved_gpadl *to = &s->st.gpadl[--n];

        to->relid = e->relid;
        to->id = g->id;
        to->state = g->state;
        to->gone = (uint8_t)g->gone;
        to->range_count = g->range_count;
        to->word_count = g->word_count;
        to->have = g->have;
    }
    for (; n < s->st.gpadl_count; n++) {
        const struct gpadl *g = gpadl_find(e, s->st.gpadl[n].id);

        memcpy(s->st.words + *at * 8, g->word, g->word_count * 8);
        *at += g->word_count;
    }
}

void vmbus_save(void *self)
{
    struct vmbus *s = self;
    uint32_t words = 0, kept = 0;

    vmbus_end_orphans(s);
    memset(s->st.channel, 0, sizeof(s->st.channel));
    memset(s->st.gpadl, 0, sizeof(s->st.gpadl));
    memset(s->st.words, 0, sizeof(s->st.words));
    memset(s->st.kept, 0, sizeof(s->st.kept));
    s->st.gpadl_count = 0;
    for (unsigned i = 1; i < RELIDS; i++) {
        if (!s->entry[i])
            continue;
        save_channel(s, s->entry[i], &kept);
        save_gpadls(s, s->entry[i], &words);
    }
}

/* --- loading -------------------------------------------------------------*/

static int32_t refuse(struct vmbus *s, const char *what)
{
    return s->host->fail(s->dev, -EINVAL, "its saved %s makes no sense", what);
}

static int32_t check_bus(struct vmbus *s)
{
    const struct vmbus_state *st = &s->st;

    if (st->connection > BUS_LEAVING || st->then > THEN_CONTACT ||
        st->offers > 1 || st->all_offers > 1 || !st->message_sint ||
        st->message_sint >= BP_HV_SINTS || st->next_sint >= BP_HV_SINTS ||
        (s->processors &&
         (st->message_vp >= s->processors || st->next_vp >= s->processors)))
        return refuse(s, "connection");
    if (st->answer_count > ANSWERS || st->reserved > ANSWERS ||
        st->answer_count + st->reserved > ANSWERS ||
        st->connecting > st->reserved || st->gpadl_count > GPADLS)
        return refuse(s, "queue");
    for (uint32_t i = 0; i < st->answer_count; i++) {
        if (st->answer[i].bytes > sizeof(st->answer[i].body))
            return refuse(s, "message");
    }
    return 0;
}

/* What a device's channel may be when the entry is in a state. */
static bool fits(uint8_t state, uint8_t owner)
{
    switch (state) {
    case ENTRY_CLOSED: return owner == OWNER_SHUT;
    case ENTRY_OPEN: return owner == OWNER_SERVING;
    case ENTRY_CLOSING: return owner == OWNER_CLOSING;
    default: return false; /* never at rest */
    }
}

static int32_t load_entry(struct vmbus *s, uint16_t relid)
{
    const struct saved_channel *from = &s->st.channel[relid];
    struct bp_guid type, instance;
    struct entry *e;

    if (!from->state)
        return 0;
    if (!fits(from->state, from->owner) || from->broken > 1 ||
        from->paused > 1 || from->waiting > 1 ||
        (from->flags & ENTRY_GONE &&
         (from->state != ENTRY_CLOSED || from->flags & ENTRY_NEED_OFFER)))
        return refuse(s, "channel");
    memcpy(&type, from->type, sizeof(type));
    memcpy(&instance, from->instance, sizeof(instance));
    e = vmbus_entry_new(s, &type, &instance, from->subchannel, relid);
    if (!e)
        return -ENOMEM;
    e->state = from->state;
    e->flags = from->flags & (ENTRY_OFFERED | ENTRY_NEED_OFFER |
                              ENTRY_NEED_RESCIND | ENTRY_GONE);
    if (!(e->flags & ENTRY_GONE))
        e->flags |= ENTRY_ORPHAN;
    e->open_id = from->open_id;
    e->ring_gpadl = from->ring_gpadl;
    e->target_vp = from->target_vp;
    e->downstream_page = from->downstream_page;
    return 0;
}

static int32_t load_gpadl(struct vmbus *s, const struct saved_gpadl *from,
                          uint32_t *at)
{
    struct entry *e = from->relid < RELIDS ? s->entry[from->relid] : NULL;
    bool building = from->state == GPADL_BUILDING;
    struct gpadl *g;

    if (!e || !from->word_count || from->word_count > GPADL_WORDS - *at ||
        from->have > from->word_count || !from->range_count ||
        from->range_count > GPADL_RANGES || from->state > GPADL_TEARING ||
        !from->state || gpadl_find(e, from->id) ||
        building != (from->have < from->word_count) ||
        (building && s->building_count == BUILDING))
        return refuse(s, "GPADL");
    g = gpadl_new(s, e, from->id, from->word_count, from->range_count);
    if (!g)
        return -ENOMEM;
    g->have = from->have;
    g->gone = from->gone;
    memcpy(g->word, s->st.words + *at * 8, from->word_count * 8);
    *at += from->word_count;
    if (building)
        s->building[s->building_count++] = g;
    else if (!gpadl_check(g))
        return refuse(s, "GPADL");
    g->state = from->state;
    return 0;
}

/* Kept completions stand in the order of their channels. */
static int32_t find_kept(struct vmbus *s, uint16_t relid, uint32_t *at,
                         struct bp_vmbus_channel *ch)
{
    for (uint32_t n = s->st.channel[relid].kept; n; n--) {
        const uint8_t *from = s->st.kept + *at;
        uint64_t transaction;
        uint32_t bytes;

        if (*at + 16 > KEPT_BYTES)
            return -EINVAL;
        memcpy(&bytes, from, 4);
        memcpy(&transaction, from + 8, 8);
        if (bytes > KEPT_ONE || *at + kept_size(bytes) > KEPT_BYTES)
            return -EINVAL;
        *at += kept_size(bytes);
        if (ch)
            channel_keep(ch, transaction, from + 16, bytes);
    }
    return 0;
}

static int32_t check_kept(struct vmbus *s)
{
    uint32_t at = 0;

    for (uint16_t i = 1; i < RELIDS; i++) {
        if (s->st.channel[i].kept > KEPT || find_kept(s, i, &at, NULL) < 0)
            return refuse(s, "completion");
    }
    return 0;
}

/* --- channels find their saved selves ------------------------------------*/

static struct entry *orphan_of(struct vmbus *s,
                               const struct bp_vmbus_channel *ch)
{
    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (e && e->flags & ENTRY_ORPHAN &&
            e->subchannel == ch->offer.subchannel &&
            !memcmp(&e->type, &ch->offer.type, sizeof(e->type)) &&
            !memcmp(&e->instance, &ch->offer.instance, sizeof(e->instance)))
            return e;
    }
    return NULL;
}

static void restore_kept(struct vmbus *s, struct bp_vmbus_channel *ch,
                         uint16_t relid)
{
    uint32_t at = 0;

    for (uint16_t i = 1; i < relid; i++)
        find_kept(s, i, &at, NULL);
    find_kept(s, relid, &at, ch);
}

/* Its rings are mapped and served from start() on. */
static void restore_rings(struct vmbus *s, struct entry *e,
                          struct bp_vmbus_channel *ch)
{
    const struct saved_channel *from = &s->st.channel[e->relid];

    ch->state = from->owner;
    if (ch->state != OWNER_SERVING)
        return;
    ch->downstream_page = from->downstream_page;
    ch->broken = from->broken;
    ch->paused = from->paused;
    ch->waiting = from->waiting;
    ch->wanted = from->wanted;
    ch->in_own = from->in_own;
    ch->out_own = from->out_own;
    if (!ch->packet)
        ch->packet = malloc(RING_MAX_PACKET);
    if (!ch->packet || s->hv->event_port(ch->dev, EVENT_CONNECTION + e->relid,
                                         1, channel_event, ch) < 0)
        ch->broken = true;
    restore_kept(s, ch, e->relid);
}

/* Rings lie in pages that are there.  lock. */
static struct gpadl *saved_ring(const struct vmbus *s, struct entry *e)
{
    struct gpadl *g = gpadl_find(e, e->ring_gpadl);
    uint32_t pages = g && g->state != GPADL_BUILDING ? gpadl_pages(g) : 0;

    if (!s->processors || pages < 4 || e->downstream_page < 2 ||
        e->downstream_page >= pages || pages - e->downstream_page < 2)
        return NULL;
    return g;
}

bool vmbus_take_orphan(struct vmbus *s, struct bp_vmbus_channel *ch)
{
    struct entry *e;
    struct gpadl *ring;

    pthread_mutex_lock(&s->lock);
    e = s->orphans ? orphan_of(s, ch) : NULL;
    ring = e && e->state == ENTRY_OPEN ? saved_ring(s, e) : NULL;
    if (e)
        e->flags &= (uint8_t)~ENTRY_ORPHAN;
    if (ring)
        __atomic_fetch_add(&ring->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&s->lock);
    if (!e)
        return false;
    e->ch = ch;
    ch->entry = e;
    ch->ring_gpadl = ring;
    __atomic_store_n(&ch->target_vp, e->target_vp, __ATOMIC_RELEASE);
    __atomic_store_n(&ch->relid, e->relid, __ATOMIC_RELEASE);
    restore_rings(s, e, ch);
    return true;
}

void vmbus_end_orphans(struct vmbus *s)
{
    pthread_mutex_lock(&s->lock);
    s->orphans = false;
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (!e || !(e->flags & ENTRY_ORPHAN))
            continue;
        e->flags &= ~(ENTRY_ORPHAN | ENTRY_NEED_OFFER);
        e->flags |= ENTRY_GONE;
        if (e->flags & ENTRY_OFFERED)
            e->flags |= ENTRY_NEED_RESCIND;
        e->state = ENTRY_CLOSED;
        vmbus_rested(s, e);
    }
}

/* --- the whole -----------------------------------------------------------*/

/* Nothing of the present is left; the machine stands. */
static void forget(struct vmbus *s)
{
    __atomic_fetch_add(&s->epoch, 1, __ATOMIC_ACQ_REL);
    for (unsigned i = 1; i < RELIDS; i++) {
        if (s->entry[i])
            vmbus_entry_free(s, s->entry[i]);
    }
    for (struct bp_vmbus_channel *ch = s->channels; ch; ch = ch->next) {
        channel_shut(ch);
        ch->entry = NULL;
        buffers_detach(ch);
    }
}

static bool has_rings(struct vmbus *s)
{
    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (e && e->state == ENTRY_OPEN && !saved_ring(s, e))
            return false;
    }
    return true;
}

int32_t vmbus_loaded(void *self, uint32_t version)
{
    struct vmbus *s = self;
    int32_t rc = check_bus(s);
    uint32_t words = 0;

    (void)version;
    forget(s);
    legacy_connect(s);
    for (uint16_t i = 1; i < RELIDS && rc == 0; i++)
        rc = load_entry(s, i);
    for (uint32_t i = 0; i < s->st.gpadl_count && rc == 0; i++)
        rc = load_gpadl(s, &s->st.gpadl[i], &words);
    if (rc == 0)
        rc = check_kept(s);
    if (rc == 0 && !has_rings(s))
        rc = refuse(s, "ring");
    if (rc < 0) {
        forget(s);
        return rc;
    }
    __atomic_store_n(&s->stopped, 1, __ATOMIC_RELEASE);
    pthread_mutex_lock(&s->lock);
    s->orphans = true;
    pthread_mutex_unlock(&s->lock);
    for (struct bp_vmbus_channel *ch = s->channels; ch; ch = ch->next) {
        if (!vmbus_take_orphan(s, ch))
            vmbus_adopt(s, ch);
    }
    return 0;
}
