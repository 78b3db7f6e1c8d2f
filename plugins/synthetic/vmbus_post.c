/* SPDX-License-Identifier: Apache-2.0 */
/* Work that the lanes of the bus and of the channels' owners give each
 * other. */
#include <stdlib.h>
#include <string.h>

#include "vmbus_own.h"

struct post {
    void (*fn)(struct post *p);
    struct vmbus *bus;
    struct bp_vmbus_channel *ch; /* NULL: it is about no channel */
    uint32_t epoch;
    int32_t error;
    struct gpadl *gpadl; /* with a reference */
    struct bp_vmbus_open open;
    uint32_t relid, downstream_page;
    struct vmbus_tl_result tl;
};

static struct post *post_new(struct vmbus *s, struct bp_vmbus_channel *ch,
                             void (*fn)(struct post *p))
{
    struct post *p = calloc(1, sizeof(*p));

    if (!p) {
        s->log->log(s->dev, BP_LOG_ERROR, "there is no memory for a message");
        return NULL;
    }
    p->fn = fn;
    p->bus = s;
    p->ch = ch;
    p->epoch = __atomic_load_n(&s->epoch, __ATOMIC_ACQUIRE);
    if (ch)
        channel_ref(ch);
    return p;
}

static void run_post(void *ctx)
{
    struct post *p = ctx;

    if (p->epoch == __atomic_load_n(&p->bus->epoch, __ATOMIC_ACQUIRE))
        p->fn(p);
    if (p->gpadl)
        gpadl_unref(p->gpadl);
    if (p->ch)
        channel_unref(p->ch);
    free(p);
}

static void to_bus(struct post *p)
{
    if (p)
        p->bus->lane->post(p->bus->dev, run_post, p);
}

static void to_owner(struct post *p)
{
    if (p)
        p->bus->lane->post(p->ch->dev, run_post, p);
}

/* --- open ----------------------------------------------------------------*/

static void opened(struct post *p)
{
    if (p->ch->entry) {
        vmbus_opened(p->bus, p->ch->entry, p->error);
        vmbus_pump(p->bus);
    }
}

static void open_it(struct post *p)
{
    struct post *back;
    int32_t error;

    if (p->ch->dead)
        return; /* "gone" is on its way */
    error = channel_open(p->ch, p->gpadl, p->downstream_page, &p->open);
    p->gpadl = NULL;
    back = post_new(p->bus, p->ch, opened);
    if (back)
        back->error = error;
    to_bus(back);
}

void post_open(struct vmbus *s, struct entry *e, struct gpadl *ring,
               const struct vmbus_open *m)
{
    struct post *p = post_new(s, e->ch, open_it);

    if (!p) {
        gpadl_unref(ring);
        return;
    }
    __atomic_store_n(&e->ch->target_vp, m->target_vp, __ATOMIC_RELEASE);
    p->gpadl = ring;
    p->downstream_page = m->downstream_page;
    p->open.size = sizeof(p->open);
    p->open.version = s->st.version;
    p->open.target_vp = m->target_vp;
    memcpy(p->open.user, m->user, sizeof(p->open.user));
    to_owner(p);
}

/* --- close ---------------------------------------------------------------*/

static void close_it(struct post *p)
{
    if (!p->ch->dead)
        channel_close(p->ch);
}

void post_close(struct vmbus *s, struct entry *e)
{
    if (e->ch)
        to_owner(post_new(s, e->ch, close_it));
}

static void closed(struct post *p)
{
    if (p->ch->entry) {
        vmbus_closed(p->bus, p->ch->entry);
        vmbus_pump(p->bus);
    }
}

void post_closed(struct bp_vmbus_channel *ch)
{
    to_bus(post_new(ch->bus, ch, closed));
}

/* --- target processor ----------------------------------------------------*/

static void retargeted(struct post *p)
{
    if (p->ch->entry) {
        vmbus_retargeted(p->bus, p->ch->entry);
        vmbus_pump(p->bus);
    }
}

/* On the owner's lane, so that no signal to the old one is under way. */
static void retarget_it(struct post *p)
{
    to_bus(post_new(p->bus, p->ch, retargeted));
}

void post_retarget(struct vmbus *s, struct entry *e)
{
    __atomic_store_n(&e->ch->target_vp, e->target_vp, __ATOMIC_RELEASE);
    to_owner(post_new(s, e->ch, retarget_it));
}

/* --- GPADLs --------------------------------------------------------------*/

static void gpadl_unused(struct post *p)
{
    struct entry *e = p->ch->entry;
    struct gpadl *g = e ? e->gpadls : NULL;

    for (; g && g != p->gpadl; g = g->next)
        ;
    if (g) {
        gpadl_torndown(p->bus, e, g);
        vmbus_pump(p->bus);
    }
}

/* Every access of the owner that began before it was gone has ended. */
static void gpadl_gone(struct post *p)
{
    struct post *back = post_new(p->bus, p->ch, gpadl_unused);

    if (back) {
        back->gpadl = p->gpadl;
        p->gpadl = NULL;
    }
    to_bus(back);
}

void post_gpadl_gone(struct vmbus *s, struct entry *e, struct gpadl *g)
{
    struct post *p = post_new(s, e->ch, gpadl_gone);

    if (p) {
        __atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
        p->gpadl = g;
    }
    to_owner(p);
}

/* --- start and stop ------------------------------------------------------*/

static void run_ring(struct post *p)
{
    if (!p->ch->dead)
        channel_run(p->ch);
}

static void stop_ring(struct post *p)
{
    if (!p->ch->dead)
        channel_unmap(p->ch);
}

static void serve_ring(struct post *p)
{
    if (!p->ch->dead && p->ch->state == OWNER_SERVING)
        channel_event(p->ch, 0);
}

void post_serve_entry(struct vmbus *s, struct entry *e)
{
    if (e->ch)
        to_owner(post_new(s, e->ch, serve_ring));
}

void post_ring(struct vmbus *s, struct entry *e, bool run)
{
    if (e->ch)
        to_owner(post_new(s, e->ch, run ? run_ring : stop_ring));
}

/* --- coming and going ----------------------------------------------------*/

static void created(struct post *p)
{
    if (!p->ch->entry && !p->ch->left) {
        vmbus_adopt(p->bus, p->ch);
        vmbus_pump(p->bus);
    }
}

void post_created(struct bp_vmbus_channel *ch)
{
    to_bus(post_new(ch->bus, ch, created));
}

static void gone(struct post *p)
{
    p->ch->left = true;
    if (p->ch->entry) {
        vmbus_gone(p->bus, p->ch->entry);
        vmbus_pump(p->bus);
    }
}

void post_gone(struct bp_vmbus_channel *ch)
{
    to_bus(post_new(ch->bus, ch, gone));
}

/* --- TL connect ----------------------------------------------------------*/

static void connect_it(struct post *p)
{
    p->bus->connect(p->bus->connect_ctx, &p->tl.endpoint, &p->tl.service);
}

void post_connect(struct vmbus *s, const struct vmbus_tl_connect *m)
{
    struct post *p = post_new(s, NULL, connect_it);

    if (!p)
        return;
    p->tl.endpoint = m->endpoint;
    p->tl.service = m->service;
    s->lane->post(s->connector, run_post, p);
}

static void connect_answered(struct post *p)
{
    vmbus_connect_answered(p->bus, &p->tl);
    vmbus_pump(p->bus);
}

void post_connect_result(struct vmbus *s, const struct vmbus_tl_result *m)
{
    struct post *p = post_new(s, NULL, connect_answered);

    if (p)
        p->tl = *m;
    to_bus(p);
}
