/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPADLs: guest memory under a handle, and devices' view of it as a buffer.
 *
 * What the guest may occupy is bounded by words (GPADL_WORDS for all), by the
 * number of GPADLs, and by the number of those that are not complete.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus_own.h"

#define PAGE     4096u
#define PFN_BITS 40

/* --- objects -------------------------------------------------------------*/

struct gpadl *gpadl_new(struct vmbus *s, struct entry *e, uint32_t id,
                        uint32_t word_count, uint32_t range_count)
{
    uint32_t words = __atomic_load_n(&s->words, __ATOMIC_RELAXED);
    uint32_t count = __atomic_load_n(&s->gpadl_count, __ATOMIC_RELAXED);
    struct gpadl *g;

    if (word_count > GPADL_WORDS - words || count >= GPADLS)
        return NULL;
    g = calloc(1, sizeof(*g) + word_count * sizeof(g->word[0]));
    if (!g)
        return NULL;
    __atomic_fetch_add(&s->words, word_count, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->gpadl_count, 1, __ATOMIC_RELAXED);
    g->bus = s;
    g->refs = 1;
    g->id = id;
    g->relid = e->relid;
    g->state = GPADL_BUILDING;
    g->range_count = (uint16_t)range_count;
    g->word_count = word_count;
    pthread_mutex_lock(&s->lock);
    g->next = e->gpadls;
    e->gpadls = g;
    pthread_mutex_unlock(&s->lock);
    return g;
}

void gpadl_unref(struct gpadl *g)
{
    if (__atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL))
        return;
    __atomic_fetch_sub(&g->bus->words, g->word_count, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&g->bus->gpadl_count, 1, __ATOMIC_RELAXED);
    free(g);
}

struct gpadl *gpadl_find(const struct entry *e, uint32_t id)
{
    struct gpadl *g;

    for (g = e->gpadls; g && g->id != id; g = g->next)
        ;
    return g;
}

struct gpadl *gpadl_get(struct vmbus *s, uint32_t relid, uint32_t id)
{
    struct entry *e;
    struct gpadl *g;

    pthread_mutex_lock(&s->lock);
    e = relid < RELIDS ? s->entry[relid] : NULL;
    g = e ? gpadl_find(e, id) : NULL;
    if (g && g->state != GPADL_READY)
        g = NULL;
    if (g)
        __atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&s->lock);
    return g;
}

static void building_remove(struct vmbus *s, const struct gpadl *g)
{
    for (uint32_t i = 0; i < s->building_count; i++) {
        if (s->building[i] == g) {
            s->building[i] = s->building[--s->building_count];
            return;
        }
    }
}

/* Out of its entry; who still uses it finds it gone. */
static void drop(struct vmbus *s, struct entry *e, struct gpadl *g)
{
    struct gpadl **p;

    building_remove(s, g);
    pthread_mutex_lock(&s->lock);
    for (p = &e->gpadls; *p && *p != g; p = &(*p)->next)
        ;
    if (*p)
        *p = g->next;
    pthread_mutex_unlock(&s->lock);
    __atomic_store_n(&g->gone, 1, __ATOMIC_RELEASE);
    gpadl_unref(g);
}

void gpadls_drop(struct vmbus *s, struct entry *e)
{
    while (e->gpadls)
        drop(s, e, e->gpadls);
}

/* --- ranges --------------------------------------------------------------*/

struct range { /* one of a GPADL, taken apart */
    uint32_t bytes, offset, pages;
    const uint64_t *page;
};

/* The range whose head is word `at`; the next one's head, 0: it is none. */
static uint32_t range_at(const struct gpadl *g, uint32_t at, struct range *r)
{
    if (at >= g->word_count)
        return 0;
    r->bytes = (uint32_t)g->word[at];
    r->offset = (uint32_t)(g->word[at] >> 32);
    r->pages = (uint32_t)(((uint64_t)r->offset + r->bytes + PAGE - 1) / PAGE);
    r->page = &g->word[at + 1];
    if (r->pages > g->word_count - at - 1)
        return 0;
    return at + 1 + r->pages;
}

bool gpadl_check(struct gpadl *g)
{
    uint32_t at = 0;
    struct range r;

    g->bytes = 0;
    for (unsigned i = 0; i < g->range_count; i++) {
        at = range_at(g, at, &r);
        if (!at || !r.bytes || r.offset >= PAGE)
            return false;
        for (uint32_t p = 0; p < r.pages; p++) {
            if (r.page[p] >> PFN_BITS)
                return false;
        }
        g->bytes += r.bytes;
    }
    return at == g->word_count;
}

uint32_t gpadl_pages(const struct gpadl *g)
{
    struct range r;

    if (g->range_count != 1 || !range_at(g, 0, &r) || r.offset ||
        r.bytes % PAGE)
        return 0;
    return r.pages;
}

uint64_t gpadl_page(const struct gpadl *g, uint32_t page)
{
    return g->word[1 + page] * PAGE;
}

/* --- messages ------------------------------------------------------------*/

static void created(struct vmbus *s, uint32_t relid, uint32_t id,
                    uint32_t status)
{
    struct vmbus_gpadl_created r = { relid, id, status };

    if (status)
        s->log->guest_error(s->dev, "GPADL %x of channel %u is refused: %x", id,
                            relid, status);
    vmbus_answer(s, VMBUS_GPADL_CREATED, &r, sizeof(r));
}

/* Takes what a message has of words; answers when they are all there. */
static void receive(struct vmbus *s, struct entry *e, struct gpadl *g,
                    const uint8_t *from, uint32_t bytes)
{
    uint32_t words = bytes / 8;
    uint32_t status = STATUS_OK, relid = e->relid, id = g->id;

    if (words > g->word_count - g->have)
        words = g->word_count - g->have;
    memcpy(&g->word[g->have], from, words * 8u);
    g->have += words;
    if (g->have < g->word_count)
        return;
    building_remove(s, g);
    if (gpadl_check(g)) {
        pthread_mutex_lock(&s->lock);
        g->state = GPADL_READY;
        pthread_mutex_unlock(&s->lock);
    } else {
        status = STATUS_INVALID_PARAMETER;
        drop(s, e, g);
    }
    created(s, relid, id, status);
}

static struct gpadl *building_of(struct vmbus *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->building_count; i++) {
        if (s->building[i]->id == id)
            return s->building[i];
    }
    return NULL;
}

/* Bodies name only the GPADL, so one id can only be built once at a time. */
void gpadl_header(struct vmbus *s, const uint8_t *m, uint32_t bytes)
{
    struct vmbus_gpadl_header h;
    struct entry *e;
    struct gpadl *g;

    memcpy(&h, m, sizeof(h));
    e = h.relid < RELIDS ? s->entry[h.relid] : NULL;
    if (!e || !(e->flags & ENTRY_OFFERED) || gpadl_find(e, h.gpadl) ||
        building_of(s, h.gpadl) || h.range_bytes % 8 || !h.range_bytes ||
        !h.range_count || h.range_count > GPADL_RANGES) {
        created(s, h.relid, h.gpadl, STATUS_INVALID_PARAMETER);
        return;
    }
    g = s->building_count < BUILDING
            ? gpadl_new(s, e, h.gpadl, h.range_bytes / 8u, h.range_count)
            : NULL;
    if (!g) {
        created(s, h.relid, h.gpadl, STATUS_INSUFFICIENT_RESOURCES);
        return;
    }
    s->building[s->building_count++] = g;
    receive(s, e, g, m + sizeof(h), bytes - (uint32_t)sizeof(h));
}

void gpadl_body(struct vmbus *s, const uint8_t *m, uint32_t bytes)
{
    struct vmbus_gpadl_body h;
    struct gpadl *g;

    memcpy(&h, m, sizeof(h));
    g = building_of(s, h.gpadl);
    if (!g) {
        s->log->guest_error(s->dev,
                            "pages for GPADL %x, which is not being "
                            "made",
                            h.gpadl);
        return;
    }
    receive(s, s->entry[g->relid], g, m + sizeof(h),
            bytes - (uint32_t)sizeof(h));
}

static void torndown(struct vmbus *s, uint32_t id)
{
    struct vmbus_gpadl_torndown r = { id };

    vmbus_answer(s, VMBUS_GPADL_TORNDOWN, &r, sizeof(r));
}

/* Does the channel, open or about to be, have its rings there? */
static bool is_ring(const struct entry *e, const struct gpadl *g)
{
    return e->state != ENTRY_CLOSED && e->ring_gpadl == g->id;
}

void gpadl_teardown(struct vmbus *s, const struct vmbus_gpadl_teardown *m)
{
    struct entry *e = m->relid < RELIDS ? s->entry[m->relid] : NULL;
    struct gpadl *g = e ? gpadl_find(e, m->gpadl) : NULL;

    if (!g || g->state != GPADL_READY) {
        s->log->guest_error(s->dev,
                            "teardown of GPADL %x, which channel %u "
                            "does not have",
                            m->gpadl, m->relid);
        /* Who asks for what is not there may wait for the answer, too. */
        if (!g)
            torndown(s, m->gpadl);
        return;
    }
    pthread_mutex_lock(&s->lock);
    g->state = GPADL_TEARING;
    pthread_mutex_unlock(&s->lock);
    s->st.reserved++;
    if (!is_ring(e, g))
        __atomic_store_n(&g->gone, 1, __ATOMIC_RELEASE);
    if (is_ring(e, g) || e->state == ENTRY_CLOSING)
        return; /* gpadls_rested() */
    if (e->ch && __atomic_load_n(&g->refs, __ATOMIC_ACQUIRE) > 1)
        post_gpadl_gone(s, e, g);
    else
        gpadl_torndown(s, e, g);
}

void gpadl_torndown(struct vmbus *s, struct entry *e, struct gpadl *g)
{
    uint32_t id = g->id;

    drop(s, e, g);
    if (s->st.connection != BUS_CONNECTED)
        return;
    if (s->st.reserved)
        s->st.reserved--;
    torndown(s, id);
}

void gpadls_rested(struct vmbus *s, struct entry *e)
{
    struct gpadl *next;

    for (struct gpadl *g = e->gpadls; g; g = next) {
        next = g->next;
        if (g->state == GPADL_TEARING)
            gpadl_torndown(s, e, g);
    }
}

/* --- buffers (owner's lane) ----------------------------------------------*/

struct bp_vmbus_buffer *buffer_open(struct bp_vmbus_channel *ch, uint32_t gpadl)
{
    uint32_t relid = __atomic_load_n(&ch->relid, __ATOMIC_ACQUIRE);
    struct gpadl *g = relid ? gpadl_get(ch->bus, relid, gpadl) : NULL;
    struct bp_vmbus_buffer *b = g ? calloc(1, sizeof(*b)) : NULL;

    if (!b) {
        if (g)
            gpadl_unref(g);
        return NULL;
    }
    b->ch = ch;
    b->gpadl = g;
    b->next = ch->buffers;
    ch->buffers = b;
    return b;
}

static void detach(struct bp_vmbus_buffer *b)
{
    if (b->gpadl)
        gpadl_unref(b->gpadl);
    b->gpadl = NULL;
}

void buffer_close(struct bp_vmbus_buffer *b)
{
    struct bp_vmbus_buffer **p;

    for (p = &b->ch->buffers; *p && *p != b; p = &(*p)->next)
        ;
    if (*p)
        *p = b->next;
    detach(b);
    free(b);
}

void buffers_detach(struct bp_vmbus_channel *ch)
{
    for (struct bp_vmbus_buffer *b = ch->buffers; b; b = b->next)
        detach(b);
}

void buffers_free(struct bp_vmbus_channel *ch)
{
    while (ch->buffers)
        buffer_close(ch->buffers);
}

uint64_t buffer_bytes(struct bp_vmbus_buffer *b)
{
    return b->gpadl ? b->gpadl->bytes : 0;
}

static int32_t check(const struct bp_vmbus_buffer *b, uint64_t offset,
                     uint64_t bytes)
{
    if (!b->gpadl || __atomic_load_n(&b->gpadl->gone, __ATOMIC_ACQUIRE))
        return -ENOENT;
    if (offset > b->gpadl->bytes || bytes > b->gpadl->bytes - offset)
        return -ERANGE;
    return 0;
}

/* The guest-physical address of a checked offset, and how many bytes go on
 * from there in its page. */
static uint64_t locate(const struct gpadl *g, uint64_t offset, uint64_t *run)
{
    struct range r = { 0 };
    uint32_t at = range_at(g, 0, &r);
    uint64_t in;

    while (offset >= r.bytes) {
        offset -= r.bytes;
        at = range_at(g, at, &r);
    }
    in = r.offset + offset;
    *run = PAGE - in % PAGE;
    if (*run > r.bytes - offset)
        *run = r.bytes - offset;
    return r.page[in / PAGE] * PAGE + in % PAGE;
}

int32_t buffer_read(struct bp_vmbus_buffer *b, uint64_t offset, void *dst,
                    uint32_t bytes)
{
    int32_t rc = check(b, offset, bytes);
    const struct vmbus *s = b->ch->bus;
    uint8_t *to = dst;
    uint64_t run, gpa;

    for (; rc == 0 && bytes; bytes -= (uint32_t)run, offset += run, to += run) {
        gpa = locate(b->gpadl, offset, &run);
        run = run < bytes ? run : bytes;
        rc = s->dma->read(b->ch->dev, gpa, to, (uint32_t)run);
    }
    return rc;
}

int32_t buffer_write(struct bp_vmbus_buffer *b, uint64_t offset,
                     const void *src, uint32_t bytes)
{
    int32_t rc = check(b, offset, bytes);
    const struct vmbus *s = b->ch->bus;
    const uint8_t *from = src;
    uint64_t run, gpa;

    for (; rc == 0 && bytes;
         bytes -= (uint32_t)run, offset += run, from += run) {
        gpa = locate(b->gpadl, offset, &run);
        run = run < bytes ? run : bytes;
        rc = s->dma->write(b->ch->dev, gpa, from, (uint32_t)run);
    }
    return rc;
}

int32_t buffer_ranges(struct bp_vmbus_buffer *b, uint64_t offset,
                      uint64_t bytes, struct bp_gpa_range *out, uint32_t max)
{
    int32_t rc = check(b, offset, bytes);
    uint32_t n = 0;
    uint64_t run, gpa;

    if (rc < 0)
        return rc;
    for (; bytes; bytes -= run, offset += run) {
        gpa = locate(b->gpadl, offset, &run);
        run = run < bytes ? run : bytes;
        if (n && out[n - 1].gpa + out[n - 1].bytes == gpa) {
            out[n - 1].bytes += run;
            continue;
        }
        if (n == max)
            return -E2BIG;
        out[n++] = (struct bp_gpa_range){ gpa, run };
    }
    return (int32_t)n;
}
