/* SPDX-License-Identifier: Apache-2.0 */
/* bp.mmio/1 */
#include "plugin/host.h"

#include <errno.h>
#include <inttypes.h>

#include "mem/map.h"
#include "plugin/device.h"
#include "vm/vm.h"

/* Of one device's memory: far above video memory, far below what would hurt
 * the host. */
#define MAX_DEVICE_MEMORY (1ull << 30)

static uint64_t region_read(void *opaque, uint64_t offset, unsigned size)
{
    struct bp_region *r = opaque;

    if (!device_enter(r->dev))
        return UINT64_MAX;
    uint64_t value =
        r->ops->read ? r->ops->read(r->ctx, offset, size) : UINT64_MAX;
    device_leave(r->dev);
    return value;
}

static void region_write(void *opaque, uint64_t offset, uint64_t value,
                         unsigned size)
{
    struct bp_region *r = opaque;

    if (!device_enter(r->dev))
        return;
    if (r->ops->write)
        r->ops->write(r->ctx, offset, value, size);
    device_leave(r->dev);
}

/* Writes to memory whose reads stay direct. */
static void trapped_write(void *opaque, uint64_t offset, uint64_t value,
                          unsigned size)
{
    struct bp_region *r = opaque;

    if (!device_enter(r->dev))
        return;
    if (r->write_ops->write)
        r->write_ops->write(r->write_ctx, offset, value, size);
    device_leave(r->dev);
}

static const struct region_ops device_ops = { region_read, region_write };
static const struct region_ops trap_ops = { region_read, trapped_write };

static void release_region(void *claim)
{
    struct bp_region *r = claim;

    if (r->region)
        region_destroy(r->region);
    if (r->owned && r->mem) {
        GPtrArray *all = r->dev->vm->memories;
        for (guint i = 0; i < all->len; i++) {
            struct vm_memory *m = all->pdata[i];
            if (m->mem == r->mem) {
                g_ptr_array_remove_index(all, i);
                break;
            }
        }
        memory_destroy(r->mem);
    }
    g_free(r->name);
    g_free(r);
}

static struct bp_region *region_new(struct bp_dev *dev, const char *name,
                                    uint64_t bytes)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    struct bp_region *r = g_new0(struct bp_region, 1);
    r->dev = d;
    r->name = g_strdup_printf("%s.%s", d->name, name);
    r->bytes = bytes;
    r->enabled = true;
    r->claims = BP_CLAIM_READ | BP_CLAIM_WRITE;
    return r;
}

/* Records the region, or undoes it when the map did not take it. */
static struct bp_region *region_finish(struct bp_region *r, uint64_t gpa,
                                       uint32_t flags)
{
    struct device *d = r->dev;

    if (!r->region) {
        device_refuse(d,
                      "region '%s' (%" PRIx64 ", %" PRIu64
                      " bytes) cannot be placed",
                      r->name, gpa, r->bytes);
        release_region(r);
        return NULL;
    }
    if (flags & BP_REGION_DISABLED) {
        r->enabled = false;
        region_enable(r->region, false);
    }
    g_ptr_array_add(d->regions, r);
    device_claim(d, release_region, r);
    return r;
}

static struct bp_region *host_add_device(struct bp_dev *dev, const char *name,
                                         uint64_t gpa, uint64_t bytes,
                                         int32_t priority, uint32_t flags,
                                         const struct bp_mmio_ops *ops,
                                         void *ctx)
{
    struct bp_region *r = region_new(dev, name, bytes);

    if (!r)
        return NULL;
    r->ops = ops;
    r->ctx = ctx;
    r->region = map_add_mmio(r->dev->vm->map, r->name, gpa, bytes, &device_ops,
                             r, priority);
    return region_finish(r, gpa, flags);
}

static struct bp_region *host_add_memory(struct bp_dev *dev, const char *name,
                                         uint64_t gpa, uint64_t bytes,
                                         int32_t priority, uint32_t flags,
                                         uint8_t **host)
{
    struct bp_region *r = region_new(dev, name, bytes);

    if (!r)
        return NULL;
    struct vm *vm = r->dev->vm;
    if (bytes <= MAX_DEVICE_MEMORY)
        r->mem = memory_create(r->name, bytes);
    if (!r->mem) {
        device_refuse(r->dev,
                      "there is no memory of %" PRIu64 " bytes for '%s'", bytes,
                      r->name);
        release_region(r);
        return NULL;
    }
    r->owned = true;
    r->region = map_add_memory(vm->map, r->name, gpa, bytes, r->mem, 0,
                               priority, flags & BP_REGION_READONLY);
    struct vm_memory *m = g_new0(struct vm_memory, 1);
    m->name = g_strdup(r->name);
    m->mem = r->mem;
    g_ptr_array_add(vm->memories, m);
    *host = r->mem->host;
    return region_finish(r, gpa, flags);
}

static struct bp_region *host_add_ram_window(struct bp_dev *dev,
                                             const char *name, uint64_t gpa,
                                             uint64_t bytes, int32_t priority)
{
    struct bp_region *r = region_new(dev, name, bytes);

    if (!r)
        return NULL;
    struct vm *vm = r->dev->vm;
    if (vm->ram && gpa < vm->ram_below_4g && bytes <= vm->ram_below_4g - gpa) {
        r->mem = vm->ram;
        r->mem_offset = gpa;
        r->region = map_add_memory(vm->map, r->name, gpa, bytes, r->mem, gpa,
                                   priority, false);
    }
    if (r->region) {
        r->claims = 0;
        region_set_claims(r->region, 0);
    }
    return region_finish(r, gpa, 0);
}

static struct bp_region *host_add_alias(struct bp_dev *dev, const char *name,
                                        uint64_t gpa, uint64_t bytes,
                                        int32_t priority, uint32_t flags,
                                        struct bp_region *of, uint64_t offset)
{
    struct bp_region *r = region_new(dev, name, bytes);

    if (!r)
        return NULL;
    if (of->mem && offset <= of->bytes && bytes <= of->bytes - offset) {
        r->mem = of->mem;
        r->mem_offset = of->mem_offset + offset;
        r->region =
            map_add_memory(r->dev->vm->map, r->name, gpa, bytes, r->mem,
                           r->mem_offset, priority, flags & BP_REGION_READONLY);
    }
    return region_finish(r, gpa, flags);
}

static void host_trap_writes(struct bp_region *r, const struct bp_mmio_ops *ops,
                             void *ctx)
{
    if (!r->mem)
        return;
    r->write_ops = ops;
    r->write_ctx = ctx;
    region_set_write_ops(r->region, ops ? &trap_ops : NULL, r);
}

static void host_set_claims(struct bp_region *r, uint32_t claims)
{
    unsigned mask = (claims & BP_CLAIM_READ ? REGION_READ : 0) |
                    (claims & BP_CLAIM_WRITE ? REGION_WRITE : 0);

    if (r->claims == claims)
        return;
    r->claims = claims;
    region_set_claims(r->region, mask);
}

static void host_enable(struct bp_region *r, int32_t enabled)
{
    if (r->enabled == !!enabled)
        return;
    r->enabled = enabled;
    region_enable(r->region, enabled);
}

static void host_move(struct bp_region *r, uint64_t gpa)
{
    if (region_gpa(r->region) != gpa && gpa <= UINT64_MAX - r->bytes)
        region_move(r->region, gpa);
}

static void host_begin(struct bp_dev *dev)
{
    map_begin(device_of(dev)->vm->map);
}

static void host_commit(struct bp_dev *dev)
{
    map_commit(device_of(dev)->vm->map);
}

/* The pages of a region that lie inside it, as pages of its memory. */
static uint64_t clip(const struct bp_region *r, uint64_t *first, uint64_t pages)
{
    uint64_t all = r->bytes / PAGE_BYTES;

    if (!r->mem || *first >= all)
        return 0;
    pages = MIN(pages, all - *first);
    *first += r->mem_offset / PAGE_BYTES;
    return pages;
}

static void host_track(struct bp_region *r, int32_t on)
{
    uint64_t first = 0, pages = clip(r, &first, UINT64_MAX);

    if (pages)
        memory_track(r->dev->vm->map, r->mem, first, pages, on);
}

static void host_fetch_dirty(struct bp_region *r, uint64_t first,
                             uint64_t pages, uint8_t *dirty)
{
    uint64_t n = clip(r, &first, pages);

    if (n)
        memory_fetch_dirty(r->dev->vm->map, r->mem, first, n, dirty);
    for (; n < pages; n++)
        dirty[n] = 0;
}

static void host_mark_dirty(struct bp_region *r, uint64_t first, uint64_t pages)
{
    uint64_t n = clip(r, &first, pages);

    if (n)
        memory_touched(r->dev->vm->map, r->mem, first * PAGE_BYTES,
                       n * PAGE_BYTES);
}

const struct bp_mmio host_mmio = {
    .size = sizeof(struct bp_mmio),
    .add_device = host_add_device,
    .add_memory = host_add_memory,
    .add_ram_window = host_add_ram_window,
    .add_alias = host_add_alias,
    .trap_writes = host_trap_writes,
    .set_claims = host_set_claims,
    .enable = host_enable,
    .move = host_move,
    .begin = host_begin,
    .commit = host_commit,
    .track = host_track,
    .fetch_dirty = host_fetch_dirty,
    .mark_dirty = host_mark_dirty,
};
