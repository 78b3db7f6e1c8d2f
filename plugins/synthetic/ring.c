/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <errno.h>
#include <string.h>

static uint32_t fetch(const uint32_t *shared)
{
    return __atomic_load_n(shared, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *shared, uint32_t value)
{
    __atomic_store_n(shared, value, __ATOMIC_RELEASE);
}

static void fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool is_index(const struct ring *r, uint32_t index)
{
    return index < r->bytes && index % 8 == 0;
}

/* From `from` on to `to`, around the end. */
static uint32_t distance(const struct ring *r, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : r->bytes - from + to;
}

static uint32_t forward(const struct ring *r, uint32_t index, uint32_t n)
{
    index += n;
    return index >= r->bytes ? index - r->bytes : index;
}

static void set_pages(struct ring *r, uint8_t *const *pages, uint32_t count)
{
    uint32_t i = 1;

    r->control = (struct ring_control *)pages[0];
    r->page = pages + 1;
    r->bytes = (count - 1) * RING_PAGE;
    while (i < count - 1 && pages[i + 1] == pages[i] + RING_PAGE)
        i++;
    r->flat = i == count - 1 ? pages[1] : NULL;
}

bool ring_init_reader(struct ring *r, uint8_t *const *pages, uint32_t count,
                      uint32_t own)
{
    set_pages(r, pages, count);
    r->own = own == RING_FROM_GUEST ? fetch(&r->control->out) : own;
    r->published = r->seen = r->own;
    return is_index(r, r->own);
}

bool ring_init_writer(struct ring *r, uint8_t *const *pages, uint32_t count,
                      uint32_t own)
{
    set_pages(r, pages, count);
    r->own = own == RING_FROM_GUEST ? fetch(&r->control->in) : own;
    r->published = r->own;
    r->seen = fetch(&r->control->out);
    publish(&r->control->features, RING_FEATURE_PENDING);
    return is_index(r, r->own) && is_index(r, r->seen);
}

/* --- copying -------------------------------------------------------------*/

/* Bytes in one piece at an offset, and where they are. */
static uint32_t piece_at(const struct ring *r, uint32_t at, uint32_t n,
                         uint8_t **host)
{
    uint32_t left = r->flat ? r->bytes - at : RING_PAGE - at % RING_PAGE;

    *host = r->flat ? r->flat + at : r->page[at / RING_PAGE] + at % RING_PAGE;
    return n < left ? n : left;
}

static void copy_out(const struct ring *r, uint32_t at, uint8_t *to, uint32_t n)
{
    uint8_t *host;

    for (uint32_t run; n; n -= run, to += run, at = forward(r, at, run)) {
        run = piece_at(r, at, n, &host);
        memcpy(to, host, run);
    }
}

static uint32_t copy_in(struct ring *r, uint32_t at, const void *from,
                        uint32_t n)
{
    const uint8_t *p = from;
    uint8_t *host;

    for (uint32_t run; n; n -= run, p += run, at = forward(r, at, run)) {
        run = piece_at(r, at, n, &host);
        memcpy(host, p, run);
    }
    return at;
}

/* --- reading -------------------------------------------------------------*/

/* Bytes that the guest wrote and we have not read; -EPROTO. */
static int64_t readable(struct ring *r)
{
    uint32_t in;

    if (r->seen == r->own) {
        in = fetch(&r->control->in);
        if (!is_index(r, in))
            return -EPROTO;
        r->seen = in;
    }
    return distance(r, r->own, r->seen);
}

int32_t ring_peek(struct ring *r, uint8_t *to)
{
    int64_t there = readable(r);
    struct ring_descriptor d;
    uint32_t length;

    if (there <= 0)
        return (int32_t)there;
    if (there < RING_DESCRIPTOR + RING_FOOTER)
        return -EPROTO;
    copy_out(r, r->own, (uint8_t *)&d, RING_DESCRIPTOR);
    length = d.length8 * 8u;
    if (length > RING_MAX_PACKET || length + RING_FOOTER > there ||
        d.offset8 < RING_DESCRIPTOR / 8 || d.offset8 > d.length8)
        return -EPROTO;
    memcpy(to, &d, RING_DESCRIPTOR);
    copy_out(r, forward(r, r->own, RING_DESCRIPTOR), to + RING_DESCRIPTOR,
             length - RING_DESCRIPTOR);
    return (int32_t)length;
}

void ring_skip(struct ring *r, uint32_t length)
{
    r->own = forward(r, r->own, length + RING_FOOTER);
}

bool ring_publish_read(struct ring *r)
{
    uint32_t in, pending, before, now;

    if (r->own == r->published)
        return false;
    publish(&r->control->out, r->own);
    fence();
    pending = fetch(&r->control->pending);
    in = fetch(&r->control->in);
    before = r->bytes - distance(r, r->published, is_index(r, in) ? in : 0);
    now = r->bytes - distance(r, r->own, is_index(r, in) ? in : 0);
    r->published = r->own;
    return pending && before <= pending && now > pending;
}

void ring_set_mask(struct ring *r, bool masked)
{
    publish(&r->control->mask, masked);
    if (!masked)
        fence();
}

bool ring_has_packets(struct ring *r)
{
    return readable(r) != 0;
}

/* --- writing -------------------------------------------------------------*/

static uint32_t padded(uint32_t n)
{
    return (n + 7) & ~7u;
}

uint32_t ring_need(uint32_t header, uint32_t payload)
{
    return RING_DESCRIPTOR + header + padded(payload) + RING_FOOTER;
}

static uint32_t room(const struct ring *r)
{
    return r->bytes - distance(r, r->seen, r->own);
}

/* An index that makes no sense: a guest that stops its own ring. */
static void see_reader(struct ring *r)
{
    uint32_t out = fetch(&r->control->out);

    if (is_index(r, out))
        r->seen = out;
}

bool ring_has_room(struct ring *r, uint32_t need)
{
    if (room(r) > need)
        return true;
    see_reader(r);
    return room(r) > need;
}

uint32_t ring_unread(struct ring *r)
{
    see_reader(r);
    return r->bytes - room(r);
}

void ring_put(struct ring *r, const struct ring_descriptor *d,
              const void *header, uint32_t header_bytes,
              const struct bp_iovec *iov, uint32_t iov_count)
{
    static const uint8_t zeros[8];
    struct ring_descriptor head = *d;
    uint64_t footer = (uint64_t)r->own << 32;
    uint32_t at = forward(r, r->own, RING_DESCRIPTOR), payload = 0;

    at = copy_in(r, at, header, header_bytes);
    for (uint32_t i = 0; i < iov_count; i++) {
        at = copy_in(r, at, iov[i].base, (uint32_t)iov[i].bytes);
        payload += (uint32_t)iov[i].bytes;
    }
    at = copy_in(r, at, zeros, padded(payload) - payload);
    at = copy_in(r, at, &footer, RING_FOOTER);
    head.offset8 = (uint16_t)((RING_DESCRIPTOR + header_bytes) / 8);
    head.length8 = (uint16_t)(head.offset8 + padded(payload) / 8);
    copy_in(r, r->own, &head, RING_DESCRIPTOR);
    r->own = at;
}

bool ring_publish_write(struct ring *r)
{
    uint32_t before = r->published;

    if (r->own == before)
        return false;
    publish(&r->control->in, r->own);
    r->published = r->own;
    fence();
    if (fetch(&r->control->mask))
        return false;
    return fetch(&r->control->out) == before;
}

void ring_wait_for_room(struct ring *r, uint32_t need)
{
    publish(&r->control->pending, need);
    fence();
}
