/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the guest: the connection and the life of channels. */
#include <errno.h>
#include <string.h>

#include "vmbus_own.h"

static const uint32_t versions[] = {
    VMBUS_0_13, VMBUS_1_1, VMBUS_2_4,           VMBUS_3_0,           VMBUS_4_0,
    VMBUS_4_1,  VMBUS_5_0, VMBUS_VERSION(5, 1), VMBUS_VERSION(5, 2), VMBUS_5_3,
};

static bool is_known(uint32_t version)
{
    for (unsigned i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i] == version)
            return true;
    }
    return false;
}

/* The entry that the guest means; NULL when it was not offered that. */
static struct entry *entry_of(struct vmbus *s, uint32_t relid, const char *what)
{
    struct entry *e = relid < RELIDS ? s->entry[relid] : NULL;

    if (e && e->flags & ENTRY_OFFERED)
        return e;
    s->log->guest_error(s->dev, "%s of channel %u, which it was not offered",
                        what, relid);
    return NULL;
}

/* --- the connection ------------------------------------------------------*/

static void answer_contact(struct vmbus *s)
{
    bool known = is_known(s->st.next_version);
    struct vmbus_version_response r = { .supported = known };

    s->st.connection = known ? BUS_CONNECTED : BUS_IDLE;
    s->st.version = known ? s->st.next_version : 0;
    s->st.message_vp = s->st.next_vp;
    s->st.message_sint = s->st.next_sint;
    s->st.interrupt_page = s->st.next_page;
    s->st.next_version = s->st.next_vp = s->st.next_sint = 0;
    s->st.next_page = 0;
    legacy_connect(s);
    if (s->st.version >= VMBUS_5_0)
        r.connection = VMBUS_CONNECTION_4;
    else
        r.connection = s->st.version;
    vmbus_answer(s, VMBUS_VERSION_RESPONSE, &r, sizeof(r));
}

/* Everything of the last connection is at rest. */
static void left(struct vmbus *s)
{
    uint8_t then = s->st.then;

    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (!e)
            continue;
        gpadls_drop(s, e);
        e->open_id = e->ring_gpadl = e->downstream_page = e->target_vp = 0;
        if (e->flags & ENTRY_GONE)
            vmbus_entry_free(s, e);
    }
    s->st.then = THEN_NOTHING;
    s->st.connection = BUS_IDLE;
    s->st.version = 0;
    if (then == THEN_UNLOADED)
        vmbus_answer(s, VMBUS_UNLOAD_COMPLETE, NULL, 0);
    else if (then == THEN_CONTACT)
        answer_contact(s);
}

static bool all_rest(struct vmbus *s)
{
    for (unsigned i = 1; i < RELIDS; i++) {
        if (s->entry[i] && s->entry[i]->state != ENTRY_CLOSED)
            return false;
    }
    return true;
}

static void close_entry(struct vmbus *s, struct entry *e)
{
    if (e->state == ENTRY_OPENING) {
        e->flags |= ENTRY_CLOSE_WANTED;
    } else if (e->state == ENTRY_OPEN) {
        e->state = ENTRY_CLOSING;
        post_close(s, e);
    }
}

void vmbus_leave(struct vmbus *s, uint8_t then)
{
    s->st.connection = BUS_LEAVING;
    s->st.then = then;
    s->st.offers = s->st.all_offers = 0;
    /* Nobody waits any more for what was asked before. */
    s->st.reserved = s->st.connecting = 0;
    s->st.answer_count = 0;
    memset(s->st.answer, 0, sizeof(s->st.answer));
    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (!e)
            continue;
        e->flags &= ENTRY_GONE | ENTRY_CLOSE_WANTED | ENTRY_ORPHAN;
        close_entry(s, e);
    }
    if (all_rest(s))
        left(s);
}

void vmbus_rested(struct vmbus *s, struct entry *e)
{
    if (s->st.connection == BUS_LEAVING) {
        if (all_rest(s))
            left(s);
        return;
    }
    gpadls_rested(s, e);
    /* Nobody knows of it, and nobody will. */
    if (e->flags & ENTRY_GONE && !(e->flags & ENTRY_OFFERED))
        vmbus_entry_free(s, e);
}

static void on_contact(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_contact m;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    s->st.next_version = m.version;
    s->st.next_vp = m.version >= VMBUS_3_0 ? m.target_vp : 0;
    s->st.next_page = m.version < VMBUS_2_4 ? m.interrupt_page : 0;
    s->st.next_sint =
        m.version >= VMBUS_5_0 ? m.interrupt_page & 0xff : VMBUS_SINT;
    if (s->st.next_vp >= s->processors)
        s->st.next_vp = 0;
    if (!s->st.next_sint || s->st.next_sint >= BP_HV_SINTS)
        s->st.next_sint = VMBUS_SINT;
    vmbus_leave(s, THEN_CONTACT);
}

static void on_unload(struct vmbus *s, const void *body, uint32_t bytes)
{
    (void)body, (void)bytes;
    vmbus_leave(s, THEN_UNLOADED);
}

static void on_request_offers(struct vmbus *s, const void *body, uint32_t bytes)
{
    (void)body, (void)bytes;
    if (s->st.offers) {
        s->log->guest_error(s->dev, "it asks for the offers again");
        return;
    }
    s->st.offers = s->st.all_offers = 1;
    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (e && vmbus_may_offer(s, e))
            e->flags |= ENTRY_NEED_OFFER;
    }
}

/* --- channels ------------------------------------------------------------*/

static void answer_open(struct vmbus *s, const struct entry *e, uint32_t status)
{
    struct vmbus_open_result r = { e->relid, e->open_id, status };

    vmbus_answer(s, VMBUS_OPEN_RESULT, &r, sizeof(r));
}

static bool is_processor(const struct vmbus *s, uint32_t vp)
{
    return vp < s->processors || vp == VMBUS_NO_INTERRUPT;
}

/* Both rings have a control page and some data. */
static struct gpadl *ring_of(struct vmbus *s, const struct vmbus_open *m)
{
    struct gpadl *g = gpadl_get(s, m->relid, m->gpadl);
    uint32_t pages = g ? gpadl_pages(g) : 0;

    if (pages >= 4 && m->downstream_page >= 2 && m->downstream_page < pages &&
        pages - m->downstream_page >= 2)
        return g;
    if (g)
        gpadl_unref(g);
    return NULL;
}

static void on_open(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_open m;
    struct entry *e;
    struct gpadl *ring;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    if (s->st.version < VMBUS_2_4)
        m.target_vp = 0; /* it says something else there */
    e = entry_of(s, m.relid, "open");
    if (!e)
        return;
    ring = e->state == ENTRY_CLOSED && e->ch && is_processor(s, m.target_vp)
               ? ring_of(s, &m)
               : NULL;
    if (!ring) {
        struct vmbus_open_result r = { m.relid, m.open_id,
                                       STATUS_INVALID_PARAMETER };

        s->log->guest_error(s->dev, "channel %u cannot be opened like this",
                            m.relid);
        vmbus_answer(s, VMBUS_OPEN_RESULT, &r, sizeof(r));
        return;
    }
    e->state = ENTRY_OPENING;
    e->open_id = m.open_id;
    e->ring_gpadl = m.gpadl;
    e->target_vp = m.target_vp;
    e->downstream_page = m.downstream_page;
    s->st.reserved++;
    post_open(s, e, ring, &m);
}

static void unreserve(struct vmbus *s)
{
    if (s->st.reserved)
        s->st.reserved--;
}

void vmbus_opened(struct vmbus *s, struct entry *e, int32_t error)
{
    bool close = e->flags & ENTRY_CLOSE_WANTED;

    if (s->st.connection == BUS_CONNECTED) {
        unreserve(s);
        answer_open(s, e, error ? STATUS_UNSUCCESSFUL : STATUS_OK);
    }
    e->flags &= (uint8_t)~ENTRY_CLOSE_WANTED;
    e->state = error ? ENTRY_CLOSED : ENTRY_OPEN;
    if (error)
        vmbus_rested(s, e);
    else if (close)
        close_entry(s, e);
}

static void on_close(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_relid m;
    struct entry *e;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    e = entry_of(s, m.relid, "close");
    if (e)
        close_entry(s, e);
}

/* The guest is done with a channel: one that was rescinded, or a socket. */
static void on_released(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_relid m;
    struct entry *e;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    e = entry_of(s, m.relid, "release");
    if (!e)
        return;
    e->flags &= (uint8_t) ~(ENTRY_OFFERED | ENTRY_NEED_RESCIND);
    close_entry(s, e);
    if (e->state == ENTRY_CLOSED) {
        gpadls_drop(s, e);
        vmbus_rested(s, e);
    }
}

static void answer_modify(struct vmbus *s, uint32_t relid, uint32_t status)
{
    struct vmbus_modify_response r = { relid, status };

    if (s->st.version >= VMBUS_5_3)
        vmbus_answer(s, VMBUS_MODIFY_RESPONSE, &r, sizeof(r));
}

static void on_modify(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_modify m;
    struct entry *e;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    e = entry_of(s, m.relid, "change");
    if (!e)
        return;
    if (e->state != ENTRY_OPEN || !e->ch || !is_processor(s, m.target_vp) ||
        e->flags & ENTRY_MODIFYING) {
        answer_modify(s, m.relid, STATUS_INVALID_PARAMETER);
        return;
    }
    e->target_vp = m.target_vp;
    e->flags |= ENTRY_MODIFYING;
    s->st.reserved++;
    post_retarget(s, e);
}

void vmbus_retargeted(struct vmbus *s, struct entry *e)
{
    if (!(e->flags & ENTRY_MODIFYING))
        return;
    e->flags &= (uint8_t)~ENTRY_MODIFYING;
    unreserve(s);
    answer_modify(s, e->relid, STATUS_OK);
}

void vmbus_closed(struct vmbus *s, struct entry *e)
{
    if (e->state != ENTRY_CLOSING)
        return;
    e->state = ENTRY_CLOSED;
    vmbus_rested(s, e);
}

void vmbus_gone(struct vmbus *s, struct entry *e)
{
    bool connected = s->st.connection == BUS_CONNECTED;

    if (e->flags & ENTRY_MODIFYING)
        vmbus_retargeted(s, e);
    if (e->state == ENTRY_OPENING && connected) {
        unreserve(s);
        answer_open(s, e, STATUS_UNSUCCESSFUL);
    }
    e->ch->entry = NULL;
    e->ch = NULL;
    e->flags &= (uint8_t) ~(ENTRY_NEED_OFFER | ENTRY_CLOSE_WANTED);
    e->flags |= ENTRY_GONE;
    if (e->flags & ENTRY_OFFERED)
        e->flags |= ENTRY_NEED_RESCIND;
    e->state = ENTRY_CLOSED;
    if (s->st.connection == BUS_IDLE)
        vmbus_entry_free(s, e);
    else
        vmbus_rested(s, e);
}

/* --- TL connect ----------------------------------------------------------*/

static void on_tl_connect(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_tl_connect m;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    if (!s->connector) {
        struct vmbus_tl_result r = { m.endpoint, m.service,
                                     STATUS_CONNECTION_REFUSED };

        vmbus_answer(s, VMBUS_TL_RESULT, &r, sizeof(r));
        return;
    }
    s->st.reserved++;
    s->st.connecting++;
    post_connect(s, &m);
}

void vmbus_connect_answered(struct vmbus *s, const struct vmbus_tl_result *m)
{
    if (!s->st.connecting)
        return; /* the guest that asked is gone */
    s->st.connecting--;
    unreserve(s);
    vmbus_answer(s, VMBUS_TL_RESULT, m, sizeof(*m));
}

/* --- all messages --------------------------------------------------------*/

static void on_gpadl_header(struct vmbus *s, const void *body, uint32_t bytes)
{
    gpadl_header(s, body, bytes);
}

static void on_gpadl_body(struct vmbus *s, const void *body, uint32_t bytes)
{
    gpadl_body(s, body, bytes);
}

static void on_gpadl_teardown(struct vmbus *s, const void *body, uint32_t bytes)
{
    struct vmbus_gpadl_teardown m;

    (void)bytes;
    memcpy(&m, body, sizeof(m));
    gpadl_teardown(s, &m);
}

static const struct message {
    void (*fn)(struct vmbus *s, const void *body, uint32_t bytes);
    uint32_t bytes;   /* of the body, at least */
    uint32_t version; /* that has it; 0: needs no connection */
} messages[] = {
    [VMBUS_REQUEST_OFFERS] = { on_request_offers, 0, VMBUS_0_13 },
    [VMBUS_OPEN] = { on_open, sizeof(struct vmbus_open), VMBUS_0_13 },
    [VMBUS_CLOSE] = { on_close, sizeof(struct vmbus_relid), VMBUS_0_13 },
    [VMBUS_GPADL_HEADER] = { on_gpadl_header, sizeof(struct vmbus_gpadl_header),
                             VMBUS_0_13 },
    [VMBUS_GPADL_BODY] = { on_gpadl_body, sizeof(struct vmbus_gpadl_body),
                           VMBUS_0_13 },
    [VMBUS_GPADL_TEARDOWN] = { on_gpadl_teardown,
                               sizeof(struct vmbus_gpadl_teardown),
                               VMBUS_0_13 },
    [VMBUS_RELID_RELEASED] = { on_released, sizeof(struct vmbus_relid),
                               VMBUS_0_13 },
    [VMBUS_CONTACT] = { on_contact, sizeof(struct vmbus_contact), 0 },
    [VMBUS_UNLOAD] = { on_unload, 0, 0 },
    [VMBUS_TL_CONNECT] = { on_tl_connect, sizeof(struct vmbus_tl_connect),
                           VMBUS_4_0 },
    [VMBUS_MODIFY] = { on_modify, sizeof(struct vmbus_modify), VMBUS_4_1 },
};

int32_t vmbus_message(void *ctx, uint32_t type, const void *payload,
                      uint32_t bytes)
{
    struct vmbus *s = ctx;
    struct vmbus_header h = { 0, 0 };
    const struct message *m = NULL;

    if (bytes >= sizeof(h))
        memcpy(&h, payload, sizeof(h));
    if (h.type < sizeof(messages) / sizeof(messages[0]) && messages[h.type].fn)
        m = &messages[h.type];
    if (type != VMBUS_MESSAGE_TYPE || !m || bytes - sizeof(h) < m->bytes) {
        s->log->guest_error(s->dev, "message %u of %u bytes makes no sense",
                            h.type, bytes);
        return 0;
    }
    if (m->version &&
        (s->st.connection != BUS_CONNECTED || s->st.version < m->version)) {
        s->log->guest_error(s->dev, "message %u comes at the wrong time",
                            h.type);
        return 0;
    }
    if (!vmbus_may_answer(s))
        return -EAGAIN;
    m->fn(s, (const uint8_t *)payload + sizeof(h), bytes - (uint32_t)sizeof(h));
    vmbus_pump(s);
    return 0;
}
