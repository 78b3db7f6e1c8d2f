/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of core/mem share: the flattened map.
 *
 * There is one view for reads and one for writes: sorted ranges that do not
 * overlap.  A range carries all that an access needs, so nothing of a region
 * is touched after the views' lock was dropped, and the lock is never held
 * while a device is called.
 */
#ifndef MEM_VIEW_H
#define MEM_VIEW_H

#include "mem/map.h"

#include <pthread.h>

struct range {
    uint64_t first, last; /* guest-physical, inclusive */
    uint64_t start;       /* of the region: device offset 0 */
    struct memory *mem;   /* NULL: device, or hole when ops is too */
    uint64_t mem_offset;  /* of `start` inside mem */
    const struct region_ops *ops;
    void *opaque;
    bool readonly;
    const struct region *region; /* for map_describe only */
};

struct view {
    struct range *ranges;
    unsigned count;
};

enum { VIEW_READ, VIEW_WRITE, VIEW_COUNT };

struct map {
    /* Held from map_begin to map_commit; recursive. */
    pthread_mutex_t change;
    unsigned depth;
    bool stale;
    struct region **regions; /* highest priority first, then newest */
    unsigned region_count;

    pthread_rwlock_t views_lock;
    struct view views[VIEW_COUNT];
    struct memory **memories; /* one entry a memory region */
    unsigned memory_count;

    map_invalidate_fn *invalidate;
    map_code_hit_fn *code_hit;
    void *engine;
    uint64_t unassigned; /* atomic */
};

/* The range at gpa; for a hole its extent with mem and ops NULL. */
void view_find(struct map *map, unsigned view, uint64_t gpa, struct range *out);

static inline uint8_t *range_host(const struct range *r, uint64_t gpa)
{
    return r->mem->host + r->mem_offset + (gpa - r->start);
}

#endif
