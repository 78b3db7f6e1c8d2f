/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to the guest.  Answers wait in a queue of fixed size; a message of
 * the guest that may need an answer is refused while there is no place.
 * Offers and rescinds are flags of their entries.
 */
#include <errno.h>
#include <string.h>

#include "vmbus_own.h"

struct message {
    struct vmbus_header head;
    uint8_t body[BP_HV_MESSAGE_BYTES - sizeof(struct vmbus_header)];
};

bool vmbus_may_answer(struct vmbus *s)
{
    return s->st.answer_count + s->st.reserved < ANSWERS;
}

void vmbus_answer(struct vmbus *s, uint32_t type, const void *body,
                  uint32_t bytes)
{
    struct answer *a = &s->st.answer[s->st.answer_count];

    if (s->st.answer_count >= ANSWERS || bytes > sizeof(a->body))
        return;
    *a = (struct answer){ .type = type, .bytes = bytes };
    if (bytes)
        memcpy(a->body, body, bytes);
    s->st.answer_count++;
}

bool vmbus_may_offer(const struct vmbus *s, const struct entry *e)
{
    uint32_t flags = e->ch ? e->ch->offer.flags : 0;

    /* Sockets came with 4.0, sub-channels with 2.4. */
    return e->ch &&
           (s->st.version >= VMBUS_4_0 || !(flags & BP_VMBUS_HVSOCK)) &&
           (s->st.version >= VMBUS_2_4 || !e->subchannel);
}

static uint32_t make_offer(const struct entry *e, struct message *m)
{
    const struct bp_vmbus_offer *from = &e->ch->offer;
    struct vmbus_offer o = {
        .type = from->type,
        .instance = from->instance,
        .flags = (uint16_t)from->flags,
        .mmio_megabytes = from->mmio_megabytes,
        .subchannel = from->subchannel,
        .relid = e->relid,
        .dedicated_interrupt = 1,
        .connection = EVENT_CONNECTION + e->relid,
    };

    memcpy(o.user, from->user, sizeof(o.user));
    m->head.type = VMBUS_OFFER;
    memcpy(m->body, &o, sizeof(o));
    return sizeof(o);
}

static struct entry *flagged(struct vmbus *s, uint8_t flag)
{
    for (unsigned i = 1; i < RELIDS; i++) {
        if (s->entry[i] && s->entry[i]->flags & flag)
            return s->entry[i];
    }
    return NULL;
}

/* Guests make a sub-channel part of a device that they know already. */
static struct entry *next_offer(struct vmbus *s)
{
    for (unsigned i = 1; i < RELIDS; i++) {
        struct entry *e = s->entry[i];

        if (e && e->flags & ENTRY_NEED_OFFER && !e->subchannel)
            return e;
    }
    return flagged(s, ENTRY_NEED_OFFER);
}

/* A message and what is done with it once the guest has it. */
struct next {
    struct message m;
    uint32_t bytes; /* of the body */
    struct entry *offered, *rescinded;
};

static bool next_message(struct vmbus *s, struct next *n)
{
    const struct answer *a = &s->st.answer[0];

    memset(n, 0, sizeof(*n));
    if (s->st.answer_count) {
        n->m.head.type = a->type;
        n->bytes = a->bytes;
        memcpy(n->m.body, a->body, a->bytes);
        return true;
    }
    if (s->st.connection != BUS_CONNECTED)
        return false;
    n->offered = next_offer(s);
    if (n->offered) {
        n->bytes = make_offer(n->offered, &n->m);
        return true;
    }
    n->rescinded = flagged(s, ENTRY_NEED_RESCIND);
    if (n->rescinded) {
        struct vmbus_relid r = { n->rescinded->relid };

        n->m.head.type = VMBUS_RESCIND;
        memcpy(n->m.body, &r, sizeof(r));
        n->bytes = sizeof(r);
        return true;
    }
    n->m.head.type = VMBUS_ALL_OFFERS;
    return s->st.all_offers;
}

static void sent(struct vmbus *s, const struct next *n)
{
    if (n->offered) {
        n->offered->flags &= (uint8_t)~ENTRY_NEED_OFFER;
        n->offered->flags |= ENTRY_OFFERED;
    } else if (n->rescinded) {
        n->rescinded->flags &= (uint8_t)~ENTRY_NEED_RESCIND;
    } else if (s->st.answer_count) {
        s->st.answer_count--;
        memmove(&s->st.answer[0], &s->st.answer[1],
                s->st.answer_count * sizeof(s->st.answer[0]));
        memset(&s->st.answer[s->st.answer_count], 0, sizeof(s->st.answer[0]));
    } else {
        s->st.all_offers = 0;
    }
}

void vmbus_pump(struct vmbus *s)
{
    struct next n;
    int32_t rc;

    if (!s->processors || __atomic_load_n(&s->stopped, __ATOMIC_ACQUIRE))
        return;
    while (next_message(s, &n)) {
        rc = s->hv->post(s->dev, s->st.message_vp, s->st.message_sint,
                         VMBUS_MESSAGE_TYPE, &n.m,
                         (uint32_t)sizeof(n.m.head) + n.bytes);
        if (rc == -EAGAIN)
            return; /* vmbus_room() comes */
        if (rc < 0)
            s->log->guest_error(s->dev,
                                "message %u is lost: the guest has not set "
                                "up its message page",
                                n.m.head.type);
        sent(s, &n);
    }
}

void vmbus_room(void *ctx, uint32_t vp, uint32_t sint)
{
    struct vmbus *s = ctx;

    if (vp == s->st.message_vp && sint == s->st.message_sint)
        vmbus_pump(s);
}
