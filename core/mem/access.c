/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses through the map: one at a time for vCPUs, runs of them for DMA. */
#include "mem/view.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "lib/log.h"

/* Devices get DMA in pieces of the size that a PCI master uses. */
#define DMA_WIDTH 4

static uint64_t ones(unsigned size)
{
    return size < 8 ? (UINT64_C(1) << (8 * size)) - 1 : UINT64_MAX;
}

static bool is_hole(const struct range *r)
{
    return !r->mem && !r->ops;
}

static void count_hole(struct map *map, const char *what, uint64_t gpa,
                       unsigned size)
{
    __atomic_fetch_add(&map->unassigned, 1, __ATOMIC_RELAXED);
    log_debug("map", "%s of %u bytes at %" PRIx64 ": nobody is there", what,
              size, gpa);
}

/* --- memory: naturally aligned accesses are single ones for other CPUs --- */

static uint64_t load(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    if ((uintptr_t)p % size) {
        memcpy(&value, p, size);
        return value;
    }
    switch (size) {
    case 1: return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

static void store(uint8_t *p, uint64_t value, unsigned size)
{
    if ((uintptr_t)p % size) {
        memcpy(p, &value, size);
        return;
    }
    switch (size) {
    case 1: __atomic_store_n(p, (uint8_t)value, __ATOMIC_RELAXED); break;
    case 2:
        __atomic_store_n((uint16_t *)p, (uint16_t)value, __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)p, (uint32_t)value, __ATOMIC_RELAXED);
        break;
    default: __atomic_store_n((uint64_t *)p, value, __ATOMIC_RELAXED); break;
    }
}

/* --- devices: halves until they are aligned ------------------------------ */

static uint64_t device_read(const struct range *r, uint64_t offset,
                            unsigned size)
{
    unsigned half = size / 2;
    uint64_t low;

    if (offset % size == 0)
        return r->ops->read ? r->ops->read(r->opaque, offset, size) & ones(size)
                            : ones(size);
    low = device_read(r, offset, half);
    return low | device_read(r, offset + half, half) << (8 * half);
}

static void device_write(const struct range *r, uint64_t offset, uint64_t value,
                         unsigned size)
{
    unsigned half = size / 2;

    if (offset % size == 0) {
        if (r->ops->write)
            r->ops->write(r->opaque, offset, value & ones(size), size);
        return;
    }
    device_write(r, offset, value & ones(half), half);
    device_write(r, offset + half, value >> (8 * half), half);
}

/* --- one access ---------------------------------------------------------- */

uint64_t map_io_read(struct map *map, uint64_t gpa, unsigned size)
{
    unsigned half = size / 2;
    struct range r;
    uint64_t low;

    view_find(map, VIEW_READ, gpa, &r);
    if (r.last - gpa < size - 1) {
        low = map_io_read(map, gpa, half);
        return low | map_io_read(map, gpa + half, half) << (8 * half);
    }
    if (r.mem)
        return load(range_host(&r, gpa), size);
    if (r.ops)
        return device_read(&r, gpa - r.start, size);
    count_hole(map, "read", gpa, size);
    return ones(size);
}

static void memory_write(struct map *map, const struct range *r, uint64_t gpa,
                         uint64_t value, unsigned size)
{
    if (r->readonly)
        return;
    store(range_host(r, gpa), value, size);
    memory_touched(map, r->mem, r->mem_offset + (gpa - r->start), size);
}

void map_io_write(struct map *map, uint64_t gpa, uint64_t value, unsigned size)
{
    unsigned half = size / 2;
    struct range r;

    view_find(map, VIEW_WRITE, gpa, &r);
    if (r.last - gpa < size - 1) {
        map_io_write(map, gpa, value & ones(half), half);
        map_io_write(map, gpa + half, value >> (8 * half), half);
    } else if (r.mem) {
        memory_write(map, &r, gpa, value, size);
    } else if (r.ops) {
        device_write(&r, gpa - r.start, value, size);
    } else {
        count_hole(map, "write", gpa, size);
    }
}

/* --- DMA ----------------------------------------------------------------- */

/* The most that one aligned access at gpa can move. */
static unsigned piece(uint64_t gpa, uint64_t n)
{
    unsigned width = DMA_WIDTH;

    while (width > n || gpa % width)
        width /= 2;
    return width;
}

static void dma_read_device(const struct range *r, uint64_t gpa, uint8_t *dst,
                            uint64_t n)
{
    while (n) {
        unsigned width = piece(gpa, n);
        uint64_t value = device_read(r, gpa - r->start, width);

        memcpy(dst, &value, width);
        gpa += width;
        dst += width;
        n -= width;
    }
}

static void dma_write_device(const struct range *r, uint64_t gpa,
                             const uint8_t *src, uint64_t n)
{
    while (n) {
        unsigned width = piece(gpa, n);
        uint64_t value = 0;

        memcpy(&value, src, width);
        device_write(r, gpa - r->start, value, width);
        gpa += width;
        src += width;
        n -= width;
    }
}

/* Bytes from gpa on, at most n, that are in the range. */
static uint64_t run_length(const struct range *r, uint64_t gpa, uint64_t n)
{
    return r->last - gpa < n ? r->last - gpa + 1 : n;
}

bool map_dma_read(struct map *map, uint64_t gpa, void *dst, size_t n)
{
    uint8_t *to = dst;
    bool answered = true;
    struct range r;

    for (uint64_t run; n; gpa += run, to += run, n -= run) {
        view_find(map, VIEW_READ, gpa, &r);
        run = run_length(&r, gpa, n);
        if (r.mem) {
            memcpy(to, range_host(&r, gpa), run);
        } else if (r.ops) {
            dma_read_device(&r, gpa, to, run);
        } else {
            count_hole(map, "DMA read", gpa, 1);
            memset(to, 0xff, run);
            answered = false;
        }
    }
    return answered;
}

bool map_dma_write(struct map *map, uint64_t gpa, const void *src, size_t n)
{
    const uint8_t *from = src;
    bool answered = true;
    struct range r;

    for (uint64_t run; n; gpa += run, from += run, n -= run) {
        view_find(map, VIEW_WRITE, gpa, &r);
        run = run_length(&r, gpa, n);
        if (r.mem && !r.readonly) {
            memcpy(range_host(&r, gpa), from, run);
            memory_touched(map, r.mem, r.mem_offset + (gpa - r.start), run);
        } else if (r.ops) {
            dma_write_device(&r, gpa, from, run);
        } else if (is_hole(&r)) {
            count_hole(map, "DMA write", gpa, 1);
            answered = false;
        }
    }
    return answered;
}

uint64_t map_dma_direct(struct map *map, uint64_t gpa, uint64_t n, bool write,
                        void **host)
{
    struct range r;

    view_find(map, write ? VIEW_WRITE : VIEW_READ, gpa, &r);
    if (n == 0 || !r.mem || (write && r.readonly))
        return 0;
    *host = range_host(&r, gpa);
    return run_length(&r, gpa, n);
}

void map_dma_done(struct map *map, const void *host, uint64_t n)
{
    const uint8_t *p = host;
    struct memory *mem = NULL;

    pthread_rwlock_rdlock(&map->views_lock);
    for (unsigned i = 0; i < map->memory_count && !mem; i++) {
        struct memory *m = map->memories[i];

        if (p >= m->host && p < m->host + m->size)
            mem = m;
    }
    pthread_rwlock_unlock(&map->views_lock);
    if (mem)
        memory_touched(map, mem, (uint64_t)(p - mem->host), n);
}
