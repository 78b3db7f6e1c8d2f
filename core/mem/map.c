/* SPDX-License-Identifier: Apache-2.0 */
/* Regions, and how they are flattened into views. */
#include "mem/view.h"

#include <glib.h>
#include <inttypes.h>

struct region {
    struct map *map;
    char *name;
    uint64_t gpa, size;
    int priority;
    bool enabled;
    bool wraps; /* moved to where it does not fit: not there */
    unsigned claims;
    struct memory *mem;
    uint64_t mem_offset;
    bool readonly;
    const struct region_ops *ops;       /* of a device */
    const struct region_ops *write_ops; /* of a memory, for writes */
    void *opaque;
};

/* --- look-up ------------------------------------------------------------- */

/* Index of the first range that ends at or behind gpa. */
static unsigned search(const struct view *v, uint64_t gpa)
{
    unsigned low = 0, high = v->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (v->ranges[mid].last < gpa)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void view_find(struct map *map, unsigned view, uint64_t gpa, struct range *out)
{
    const struct view *v = &map->views[view];
    unsigned i;

    pthread_rwlock_rdlock(&map->views_lock);
    i = search(v, gpa);
    if (i < v->count && v->ranges[i].first <= gpa) {
        *out = v->ranges[i];
    } else {
        *out = (struct range){
            .first = i ? v->ranges[i - 1].last + 1 : 0,
            .last = i < v->count ? v->ranges[i].first - 1 : UINT64_MAX,
        };
    }
    pthread_rwlock_unlock(&map->views_lock);
}

void map_find_range(struct map *map, uint64_t gpa, unsigned claim,
                    struct map_hit *hit, uint64_t *first, uint64_t *last)
{
    uint64_t page = gpa & ~(uint64_t)(PAGE_BYTES - 1);
    struct range r;
    uint64_t offset;

    *hit = (struct map_hit){ 0 };
    *first = *last = page;
    view_find(map, claim == REGION_WRITE ? VIEW_WRITE : VIEW_READ, gpa, &r);
    if (!r.mem || r.first > page || r.last - page < PAGE_BYTES - 1)
        return;
    offset = r.mem_offset + (page - r.start);
    if (offset % PAGE_BYTES)
        return;
    *first = (r.first + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    *last =
        page + ((r.last - page + 1) & ~(uint64_t)(PAGE_BYTES - 1)) - PAGE_BYTES;
    offset -= page - *first;
    hit->mem = r.mem;
    hit->mem_page = offset >> PAGE_SHIFT;
    hit->host = r.mem->host + offset;
    hit->readonly = r.readonly;
}

void map_find(struct map *map, uint64_t gpa, unsigned claim,
              struct map_hit *hit)
{
    uint64_t page = gpa & ~(uint64_t)(PAGE_BYTES - 1), first, last;

    map_find_range(map, gpa, claim, hit, &first, &last);
    if (hit->mem) {
        hit->mem_page += (page - first) >> PAGE_SHIFT;
        hit->host += page - first;
    }
}

/* --- flattening ---------------------------------------------------------- */

static bool is_visible(const struct region *r, unsigned claim)
{
    return r->enabled && !r->wraps && (r->claims & claim);
}

static uint64_t last_of(const struct region *r)
{
    return r->gpa + (r->size - 1);
}

static int compare_addresses(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * All addresses where some region begins or where the one behind it would,
 * sorted; what is between two neighbours belongs to one region as a whole.
 */
static unsigned find_borders(const struct map *map, unsigned claim,
                             uint64_t *borders)
{
    unsigned n = 0, unique = 0;

    for (unsigned i = 0; i < map->region_count; i++) {
        const struct region *r = map->regions[i];

        if (!is_visible(r, claim))
            continue;
        borders[n++] = r->gpa;
        if (last_of(r) != UINT64_MAX)
            borders[n++] = last_of(r) + 1;
    }
    qsort(borders, n, sizeof *borders, compare_addresses);
    for (unsigned i = 0; i < n; i++) {
        if (i == 0 || borders[i] != borders[i - 1])
            borders[unique++] = borders[i];
    }
    return unique;
}

static const struct region *winner(const struct map *map, unsigned claim,
                                   uint64_t gpa)
{
    for (unsigned i = 0; i < map->region_count; i++) {
        const struct region *r = map->regions[i];

        if (is_visible(r, claim) && gpa >= r->gpa && gpa <= last_of(r))
            return r;
    }
    return NULL;
}

static struct range make_range(const struct region *r, unsigned claim,
                               uint64_t first, uint64_t last)
{
    struct range range = {
        .first = first,
        .last = last,
        .start = r->gpa,
        .region = r,
        .opaque = r->opaque,
        .ops = r->ops,
    };

    if (claim == REGION_WRITE && r->write_ops) {
        range.ops = r->write_ops;
    } else if (r->mem) {
        range.mem = r->mem;
        range.mem_offset = r->mem_offset;
        range.readonly = r->readonly;
    }
    return range;
}

static struct view flatten(const struct map *map, unsigned claim)
{
    uint64_t *borders = g_new(uint64_t, 2 * map->region_count + 1);
    unsigned n = find_borders(map, claim, borders);
    struct view v = { g_new(struct range, n + 1), 0 };
    struct range *prev = NULL;

    for (unsigned i = 0; i < n; i++) {
        const struct region *r = winner(map, claim, borders[i]);
        uint64_t last = i + 1 < n ? borders[i + 1] - 1 : UINT64_MAX;

        if (!r)
            continue;
        if (prev && prev->region == r && prev->last + 1 == borders[i]) {
            prev->last = last;
            continue;
        }
        prev = &v.ranges[v.count++];
        *prev = make_range(r, claim, borders[i], last);
    }
    g_free(borders);
    return v;
}

static bool same_range(const struct range *a, const struct range *b)
{
    return a->first == b->first && a->last == b->last && a->start == b->start &&
           a->mem == b->mem && a->mem_offset == b->mem_offset &&
           a->ops == b->ops && a->opaque == b->opaque &&
           a->readonly == b->readonly && a->region == b->region;
}

static bool same_view(const struct view *a, const struct view *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        if (!same_range(&a->ranges[i], &b->ranges[i]))
            return false;
    }
    return true;
}

static void swap_views(struct map *map)
{
    struct view fresh[VIEW_COUNT] = {
        [VIEW_READ] = flatten(map, REGION_READ),
        [VIEW_WRITE] = flatten(map, REGION_WRITE),
    };
    bool same = true;

    /* Only this thread writes views: it may compare without the lock. */
    for (int i = 0; i < VIEW_COUNT; i++)
        same = same && same_view(&fresh[i], &map->views[i]);
    pthread_rwlock_wrlock(&map->views_lock);
    for (int i = 0; i < VIEW_COUNT; i++) {
        struct view old = map->views[i];

        map->views[i] = fresh[i];
        fresh[i] = old;
    }
    pthread_rwlock_unlock(&map->views_lock);
    for (int i = 0; i < VIEW_COUNT; i++)
        g_free(fresh[i].ranges);
    /* The lock is free again: vCPUs get on while this waits for them. */
    if (!same && map->invalidate)
        map->invalidate(map->engine, NULL, 0, UINT64_MAX);
}

void map_begin(struct map *map)
{
    pthread_mutex_lock(&map->change);
    map->depth++;
}

void map_commit(struct map *map)
{
    if (map->depth == 1 && map->stale) {
        map->stale = false;
        swap_views(map);
    }
    map->depth--;
    pthread_mutex_unlock(&map->change);
}

/* --- regions ------------------------------------------------------------- */

static bool does_wrap(uint64_t gpa, uint64_t size)
{
    return size == 0 || size - 1 > UINT64_MAX - gpa;
}

static void insert_region(struct map *map, struct region *r)
{
    unsigned i = map->region_count++;

    map->regions = g_renew(struct region *, map->regions, map->region_count);
    for (; i > 0 && map->regions[i - 1]->priority <= r->priority; i--)
        map->regions[i] = map->regions[i - 1];
    map->regions[i] = r;
    map->stale = true;
}

static struct region *add_region(struct map *map, const struct region *what)
{
    struct region *r;

    if (does_wrap(what->gpa, what->size))
        return NULL;
    r = g_new(struct region, 1);
    *r = *what;
    r->map = map;
    r->name = g_strdup(what->name);
    r->enabled = true;
    r->claims = REGION_READ | REGION_WRITE;
    map_begin(map);
    insert_region(map, r);
    map_commit(map);
    return r;
}

static void note_memory(struct map *map, struct memory *mem)
{
    pthread_rwlock_wrlock(&map->views_lock);
    map->memories =
        g_renew(struct memory *, map->memories, map->memory_count + 1);
    map->memories[map->memory_count++] = mem;
    pthread_rwlock_unlock(&map->views_lock);
}

static void forget_memory(struct map *map, struct memory *mem)
{
    unsigned i = 0;

    pthread_rwlock_wrlock(&map->views_lock);
    while (map->memories[i] != mem)
        i++;
    map->memories[i] = map->memories[--map->memory_count];
    pthread_rwlock_unlock(&map->views_lock);
}

struct region *map_add_memory(struct map *map, const char *name, uint64_t gpa,
                              uint64_t size, struct memory *mem,
                              uint64_t mem_offset, int priority, bool readonly)
{
    struct region what = {
        .name = (char *)(uintptr_t)name,
        .gpa = gpa,
        .size = size,
        .priority = priority,
        .mem = mem,
        .mem_offset = mem_offset,
        .readonly = readonly,
    };
    struct region *r;

    if (mem_offset > mem->size || size > mem->size - mem_offset)
        return NULL;
    r = add_region(map, &what);
    if (r)
        note_memory(map, mem);
    return r;
}

struct region *map_add_mmio(struct map *map, const char *name, uint64_t gpa,
                            uint64_t size, const struct region_ops *ops,
                            void *opaque, int priority)
{
    struct region what = {
        .name = (char *)(uintptr_t)name,
        .gpa = gpa,
        .size = size,
        .priority = priority,
        .ops = ops,
        .opaque = opaque,
    };

    return add_region(map, &what);
}

void region_set_write_ops(struct region *r, const struct region_ops *ops,
                          void *opaque)
{
    map_begin(r->map);
    r->write_ops = ops;
    r->opaque = opaque;
    r->map->stale = true;
    map_commit(r->map);
}

void region_enable(struct region *r, bool enabled)
{
    map_begin(r->map);
    if (r->enabled != enabled) {
        r->enabled = enabled;
        r->map->stale = true;
    }
    map_commit(r->map);
}

void region_move(struct region *r, uint64_t gpa)
{
    map_begin(r->map);
    if (r->gpa != gpa) {
        r->gpa = gpa;
        r->wraps = does_wrap(gpa, r->size);
        r->map->stale = true;
    }
    map_commit(r->map);
}

void region_set_claims(struct region *r, unsigned claims)
{
    map_begin(r->map);
    if (r->claims != claims) {
        r->claims = claims;
        r->map->stale = true;
    }
    map_commit(r->map);
}

uint64_t region_gpa(const struct region *r)
{
    return r->gpa;
}

void region_destroy(struct region *r)
{
    struct map *map;
    unsigned i = 0;

    if (!r)
        return;
    map = r->map;
    map_begin(map);
    while (map->regions[i] != r)
        i++;
    for (map->region_count--; i < map->region_count; i++)
        map->regions[i] = map->regions[i + 1];
    /* At once, even inside a batch: views must not name what is gone. */
    map->stale = false;
    swap_views(map);
    if (r->mem)
        forget_memory(map, r->mem);
    g_free(r->name);
    g_free(r);
    map_commit(map);
}

/* --- the map ------------------------------------------------------------- */

struct map *map_create(void)
{
    struct map *map = g_new0(struct map, 1);
    pthread_mutexattr_t recursive;
    pthread_rwlockattr_t writer_first;

    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&map->change, &recursive);
    pthread_mutexattr_destroy(&recursive);
    /* A change must not starve behind vCPUs that look things up. */
    pthread_rwlockattr_init(&writer_first);
    pthread_rwlockattr_setkind_np(&writer_first,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&map->views_lock, &writer_first);
    pthread_rwlockattr_destroy(&writer_first);
    return map;
}

void map_destroy(struct map *map)
{
    if (!map)
        return;
    for (unsigned i = 0; i < map->region_count; i++) {
        g_free(map->regions[i]->name);
        g_free(map->regions[i]);
    }
    for (int i = 0; i < VIEW_COUNT; i++)
        g_free(map->views[i].ranges);
    g_free(map->regions);
    g_free(map->memories);
    pthread_rwlock_destroy(&map->views_lock);
    pthread_mutex_destroy(&map->change);
    g_free(map);
}

void map_set_engine(struct map *map, map_invalidate_fn *invalidate,
                    map_code_hit_fn *code_hit, void *opaque)
{
    map->invalidate = invalidate;
    map->code_hit = code_hit;
    map->engine = opaque;
}

uint64_t map_unassigned(struct map *map)
{
    return __atomic_load_n(&map->unassigned, __ATOMIC_RELAXED);
}

static void describe_view(const struct view *v, GString *text)
{
    for (unsigned i = 0; i < v->count; i++) {
        const struct range *r = &v->ranges[i];

        g_string_append_printf(text, "  %016" PRIx64 "-%016" PRIx64 " %5d %s",
                               r->first, r->last, r->region->priority,
                               r->region->name);
        if (r->mem)
            g_string_append_printf(text, " = %s+%" PRIx64 "%s", r->mem->name,
                                   r->mem_offset + (r->first - r->start),
                                   r->readonly ? " read-only" : "");
        g_string_append_c(text, '\n');
    }
}

char *map_describe(struct map *map)
{
    GString *text = g_string_new("reads:\n");

    map_begin(map);
    describe_view(&map->views[VIEW_READ], text);
    g_string_append(text, "writes:\n");
    describe_view(&map->views[VIEW_WRITE], text);
    map_commit(map);
    return g_string_free(text, FALSE);
}
