/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports are resolved when a claim changes, so that an access is one look into
 * a table.  The table is read without a lock: a slot holds the range that
 * wins the port, and an access that races with a move checks for itself that
 * the port is inside the range's present place.
 */
#include "bus/pio.h"

#include <glib.h>
#include <pthread.h>

#include "lib/log.h"

#define PORTS 65536

struct pio_range {
    struct pio *pio;
    char *name;
    uint32_t first; /* atomic; the rest is under pio->lock */
    uint32_t count;
    unsigned sizes;
    int priority;
    uint64_t order; /* of claiming */
    bool enabled;
    const struct pio_ops *ops;
    void *opaque;
};

struct pio {
    struct pio_range *slots[PORTS]; /* atomic pointers */
    pthread_mutex_t lock;
    GPtrArray *ranges;
    uint64_t claims;
    uint64_t unassigned; /* atomic */
};

/* --- resolution ---------------------------------------------------------- */

static bool covers(const struct pio_range *r, uint32_t port)
{
    return r->enabled && port >= r->first && port - r->first < r->count;
}

static bool hides(const struct pio_range *a, const struct pio_range *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->order > b->order;
}

/* pio->lock is held. */
static void resolve(struct pio *pio, uint32_t first, uint32_t count)
{
    for (uint32_t port = first; port < first + count; port++) {
        struct pio_range *best = NULL;

        for (unsigned i = 0; i < pio->ranges->len; i++) {
            struct pio_range *r = pio->ranges->pdata[i];

            if (covers(r, port) && (!best || hides(r, best)))
                best = r;
        }
        __atomic_store_n(&pio->slots[port], best, __ATOMIC_RELEASE);
    }
}

struct pio_range *pio_claim(struct pio *pio, const char *name, uint16_t first,
                            uint32_t count, unsigned sizes, int priority,
                            const struct pio_ops *ops, void *opaque)
{
    struct pio_range *r;

    if (count == 0 || count > PORTS - (uint32_t)first || !(sizes & 7))
        return NULL;
    r = g_new0(struct pio_range, 1);
    r->pio = pio;
    r->name = g_strdup(name);
    r->first = first;
    r->count = count;
    r->sizes = sizes;
    r->priority = priority;
    r->enabled = true;
    r->ops = ops;
    r->opaque = opaque;
    pthread_mutex_lock(&pio->lock);
    r->order = pio->claims++;
    g_ptr_array_add(pio->ranges, r);
    resolve(pio, r->first, r->count);
    pthread_mutex_unlock(&pio->lock);
    return r;
}

void pio_range_enable(struct pio_range *r, bool enabled)
{
    pthread_mutex_lock(&r->pio->lock);
    if (r->enabled != enabled) {
        r->enabled = enabled;
        resolve(r->pio, r->first, r->count);
    }
    pthread_mutex_unlock(&r->pio->lock);
}

/* A place that the range does not fit in disables it. */
void pio_range_move(struct pio_range *r, uint16_t first)
{
    bool enabled;

    pthread_mutex_lock(&r->pio->lock);
    if (r->first != first) {
        enabled = r->enabled;
        r->enabled = false;
        resolve(r->pio, r->first, r->count);
        if (r->count <= PORTS - (uint32_t)first) {
            __atomic_store_n(&r->first, first, __ATOMIC_RELEASE);
            r->enabled = enabled;
            resolve(r->pio, r->first, r->count);
        }
    }
    pthread_mutex_unlock(&r->pio->lock);
}

void pio_release(struct pio_range *r)
{
    struct pio *pio;

    if (!r)
        return;
    pio = r->pio;
    pthread_mutex_lock(&pio->lock);
    g_ptr_array_remove(pio->ranges, r);
    resolve(pio, r->first, r->count);
    pthread_mutex_unlock(&pio->lock);
    g_free(r->name);
    g_free(r);
}

struct pio *pio_create(void)
{
    struct pio *pio = g_new0(struct pio, 1);

    pthread_mutex_init(&pio->lock, NULL);
    pio->ranges = g_ptr_array_new();
    return pio;
}

void pio_destroy(struct pio *pio)
{
    if (!pio)
        return;
    while (pio->ranges->len)
        pio_release(pio->ranges->pdata[pio->ranges->len - 1]);
    g_ptr_array_free(pio->ranges, TRUE);
    pthread_mutex_destroy(&pio->lock);
    g_free(pio);
}

/* --- access -------------------------------------------------------------- */

static uint32_t ones(unsigned size)
{
    return size < 4 ? (1u << (8 * size)) - 1 : UINT32_MAX;
}

/* The range at the port; *offset is inside it, *room bytes before its end. */
static struct pio_range *find(struct pio *pio, uint16_t port, uint32_t *offset,
                              uint32_t *room)
{
    struct pio_range *r = __atomic_load_n(&pio->slots[port], __ATOMIC_ACQUIRE);

    if (!r)
        return NULL;
    *offset = port - __atomic_load_n(&r->first, __ATOMIC_ACQUIRE);
    if (*offset >= r->count)
        return NULL;
    *room = r->count - *offset;
    return r;
}

/*
 * Taken as it is: a size of the device, wholly inside, and aligned, unless
 * the device takes nothing smaller (word registers at odd ports: the Bochs
 * VBE data port 1CF).
 */
static bool is_direct(const struct pio_range *r, uint16_t port, uint32_t room,
                      unsigned size)
{
    return (r->sizes & size) && room >= size &&
           (port % size == 0 || !(r->sizes & (size - 1)));
}

/*
 * The device takes only wider accesses: the one to make in place of an access
 * of `size`, or 0 when there is none that stays inside the range.
 */
static unsigned enclosing(const struct pio_range *r, uint32_t offset,
                          uint16_t port, unsigned size)
{
    unsigned wide = r->sizes & 2 && size < 2 ? 2 : 4;
    uint32_t into = port % wide;

    if (r->sizes & (2 * size - 1) || into + size > wide)
        return 0;
    return into <= offset && offset - into + wide <= r->count ? wide : 0;
}

static bool is_nobody(struct pio *pio, uint16_t port, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        if (__atomic_load_n(&pio->slots[(uint16_t)(port + i)],
                            __ATOMIC_RELAXED))
            return false;
    }
    return true;
}

static void count_unassigned(struct pio *pio, const char *what, uint16_t port,
                             unsigned size)
{
    __atomic_fetch_add(&pio->unassigned, 1, __ATOMIC_RELAXED);
    log_debug("pio", "%s of %u bytes at port %04x: nobody is there", what, size,
              port);
}

static uint32_t read_part(const struct pio_range *r, uint32_t offset,
                          uint16_t port, unsigned wide)
{
    uint32_t into = port % wide;

    return r->ops->read(r->opaque, (uint16_t)(offset - into), wide) >>
           (8 * into);
}

static void write_part(const struct pio_range *r, uint32_t offset,
                       uint16_t port, uint32_t value, unsigned wide,
                       unsigned size)
{
    uint32_t into = port % wide, shift = 8 * into, whole;

    whole = r->ops->read(r->opaque, (uint16_t)(offset - into), wide);
    whole &= ~(ones(size) << shift);
    whole |= (value & ones(size)) << shift;
    r->ops->write(r->opaque, (uint16_t)(offset - into), whole & ones(wide),
                  wide);
}

uint32_t pio_read(struct pio *pio, uint16_t port, unsigned size)
{
    unsigned half = size / 2, wide;
    uint32_t offset, room, low;
    struct pio_range *r = find(pio, port, &offset, &room);

    if (r && is_direct(r, port, room, size))
        return r->ops->read(r->opaque, (uint16_t)offset, size) & ones(size);
    if (r && (wide = enclosing(r, offset, port, size)))
        return read_part(r, offset, port, wide) & ones(size);
    if (is_nobody(pio, port, size)) {
        count_unassigned(pio, "read", port, size);
        return ones(size);
    }
    if (size == 1)
        return 0xff;
    low = pio_read(pio, port, half);
    return low | pio_read(pio, (uint16_t)(port + half), half) << (8 * half);
}

void pio_write(struct pio *pio, uint16_t port, uint32_t value, unsigned size)
{
    unsigned half = size / 2, wide;
    uint32_t offset, room;
    struct pio_range *r = find(pio, port, &offset, &room);

    value &= ones(size);
    if (r && is_direct(r, port, room, size)) {
        r->ops->write(r->opaque, (uint16_t)offset, value, size);
    } else if (r && (wide = enclosing(r, offset, port, size))) {
        write_part(r, offset, port, value, wide, size);
    } else if (is_nobody(pio, port, size)) {
        count_unassigned(pio, "write", port, size);
    } else if (size > 1) {
        pio_write(pio, port, value & ones(half), half);
        pio_write(pio, (uint16_t)(port + half), value >> (8 * half), half);
    }
}

uint64_t pio_unassigned(struct pio *pio)
{
    return __atomic_load_n(&pio->unassigned, __ATOMIC_RELAXED);
}

char *pio_describe(struct pio *pio)
{
    GString *text = g_string_new(NULL);
    uint32_t end;

    pthread_mutex_lock(&pio->lock);
    for (uint32_t port = 0; port < PORTS; port = end) {
        const struct pio_range *r = pio->slots[port];

        for (end = port + 1; end < PORTS && pio->slots[end] == r; end++)
            ;
        if (r)
            g_string_append_printf(text, "  %04x-%04x %5d %s\n", port, end - 1,
                                   r->priority, r->name);
    }
    pthread_mutex_unlock(&pio->lock);
    return g_string_free(text, FALSE);
}
