/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that the guest sees, and who wrote what.
 *
 * A page that somebody tracks is TRACKED (the next writer must say so) or
 * DIRTY (one did).  A writer stores first and looks at the flags after, with
 * a full barrier between; memory_fetch_dirty flips DIRTY back to TRACKED
 * first and reads the page after.  So one of the two sees the other: the
 * bytes are in what the fetcher reads, or the page is reported next time.
 * vCPUs store without looking while their translation is valid; that is why
 * flipping ends with an invalidation.
 */
#include "mem/view.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Untouched parts of it take no memory. */
static void *map_zeroes(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, uint64_t bytes)
{
    if (p)
        munmap(p, bytes);
}

static bool map_memory(struct memory *mem)
{
    uint64_t pages = mem->size >> PAGE_SHIFT;
    void *host;

    mem->fd = memfd_create(mem->name, MFD_CLOEXEC);
    if (mem->fd < 0 || ftruncate(mem->fd, (off_t)mem->size) != 0)
        return false;
    host = mmap(NULL, mem->size, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_NORESERVE, mem->fd, 0);
    if (host == MAP_FAILED)
        return false;
    mem->host = host;
    mem->page_flags = map_zeroes(pages);
    mem->code_gen = map_zeroes(pages * sizeof *mem->code_gen);
    mem->code_lines = map_zeroes(pages * sizeof *mem->code_lines);
    return mem->page_flags && mem->code_gen && mem->code_lines;
}

struct memory *memory_create(const char *name, uint64_t size)
{
    struct memory *mem;
    int error;

    if (size == 0 || size % PAGE_BYTES || size > INT64_MAX) {
        errno = EINVAL;
        return NULL;
    }
    mem = g_new0(struct memory, 1);
    mem->name = g_strdup(name);
    mem->size = size;
    if (!map_memory(mem)) {
        error = errno;
        memory_destroy(mem);
        errno = error;
        return NULL;
    }
    return mem;
}

void memory_destroy(struct memory *mem)
{
    uint64_t pages;

    if (!mem)
        return;
    pages = mem->size >> PAGE_SHIFT;
    unmap(mem->host, mem->size);
    unmap(mem->page_flags, pages);
    unmap(mem->code_gen, pages * sizeof *mem->code_gen);
    unmap(mem->code_lines, pages * sizeof *mem->code_lines);
    if (mem->fd >= 0)
        close(mem->fd);
    g_free(mem->name);
    g_free(mem);
}

void memory_discard(struct map *map, struct memory *mem, uint64_t offset,
                    uint64_t bytes)
{
    if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)offset, (off_t)bytes) != 0)
        memset(mem->host + offset, 0, bytes);
    memory_touched(map, mem, offset, bytes);
}

uint64_t memory_next_used(const struct memory *mem, uint64_t offset,
                          uint64_t *end)
{
    off_t next = offset < mem->size ? lseek(mem->fd, (off_t)offset, SEEK_DATA)
                                    : (off_t)mem->size;
    off_t hole = next >= 0 ? lseek(mem->fd, next, SEEK_HOLE) : -1;

    *end = hole >= 0 ? MIN((uint64_t)hole, mem->size) : mem->size;
    if (next >= 0)
        return MIN((uint64_t)next, mem->size);
    return errno == ENXIO ? mem->size : offset;
}

/* --- writes -------------------------------------------------------------- */

void memory_written(struct map *map, struct memory *mem, uint64_t page)
{
    uint8_t *flags = &mem->page_flags[page];
    uint8_t old = __atomic_load_n(flags, __ATOMIC_RELAXED);
    uint8_t new;

    do {
        new = (uint8_t)((old & ~MEM_TRACKED) | MEM_DIRTY);
    } while (!__atomic_compare_exchange_n(flags, &old, new, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (old & MEM_CODE)
        __atomic_fetch_add(&mem->code_gen[page], 1, __ATOMIC_SEQ_CST);
}

static void touch_page(struct map *map, struct memory *mem, uint64_t page)
{
    /* Adds nothing, but is the barrier between the store and the look. */
    uint8_t flags =
        __atomic_fetch_or(&mem->page_flags[page], 0, __ATOMIC_SEQ_CST);

    if (flags & (MEM_CODE | MEM_TRACKED))
        memory_written(map, mem, page);
    /* The mark outlives the code: a page that once held some and is a
     * device's buffer now has no lines.  Who decodes sets lines before it
     * reads bytes. */
    if ((flags & MEM_CODE) && map->code_hit &&
        __atomic_load_n(&mem->code_lines[page], __ATOMIC_SEQ_CST))
        map->code_hit(map->engine, mem, page);
}

void memory_touched(struct map *map, struct memory *mem, uint64_t offset,
                    uint64_t n)
{
    uint64_t page, last;

    if (n == 0 || offset >= mem->size)
        return;
    n = MIN(n, mem->size - offset);
    last = (offset + n - 1) >> PAGE_SHIFT;
    for (page = offset >> PAGE_SHIFT; page <= last; page++)
        touch_page(map, mem, page);
}

/* --- tracking ------------------------------------------------------------ */

static void invalidate(struct map *map, struct memory *mem, uint64_t first_page,
                       uint64_t pages)
{
    if (map->invalidate && pages)
        map->invalidate(map->engine, mem, first_page, pages);
}

/* Pages of the range that exist. */
static uint64_t clip(const struct memory *mem, uint64_t first_page,
                     uint64_t pages)
{
    uint64_t all = mem->size >> PAGE_SHIFT;

    return first_page >= all ? 0 : MIN(pages, all - first_page);
}

/* Clears and sets flags at once. */
static void change_flags(uint8_t *flags, uint8_t clear, uint8_t set)
{
    uint8_t old = __atomic_load_n(flags, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(flags, &old,
                                        (uint8_t)((old & ~clear) | set), true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

void memory_track(struct map *map, struct memory *mem, uint64_t first_page,
                  uint64_t pages, bool on)
{
    uint8_t *flags = mem->page_flags + first_page;

    pages = clip(mem, first_page, pages);
    for (uint64_t i = 0; i < pages; i++) {
        if (on)
            change_flags(&flags[i], MEM_DIRTY, MEM_TRACKED);
        else
            change_flags(&flags[i], MEM_DIRTY | MEM_TRACKED, 0);
    }
    if (on)
        invalidate(map, mem, first_page, pages);
}

void memory_fetch_dirty(struct map *map, struct memory *mem,
                        uint64_t first_page, uint64_t pages, uint8_t *dirty)
{
    uint8_t *flags = mem->page_flags + first_page;
    uint64_t here = clip(mem, first_page, pages);
    uint64_t first = here, last = 0;

    memset(dirty, 0, pages);
    for (uint64_t i = 0; i < here; i++) {
        if (!(__atomic_load_n(&flags[i], __ATOMIC_RELAXED) & MEM_DIRTY))
            continue;
        change_flags(&flags[i], MEM_DIRTY, MEM_TRACKED);
        dirty[i] = 1;
        first = MIN(first, i);
        last = i;
    }
    if (first < here)
        invalidate(map, mem, first_page + first, last - first + 1);
}
