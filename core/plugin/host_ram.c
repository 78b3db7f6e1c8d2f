/* SPDX-License-Identifier: Apache-2.0 */
/* bp.ram/1 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <backplane/ram.h>

#include "mem/map.h"
#include "plugin/device.h"
#include "plugin/host.h"
#include "vm/hot_ram.h"
#include "vm/vm.h"

static void host_layout(struct bp_dev *dev, struct bp_ram_layout *out)
{
    const struct vm *vm = device_of(dev)->vm;
    const struct hot_ram *h = vm->hot_ram;

    *out = (struct bp_ram_layout){
        .size = sizeof(*out),
        .hot_blocks = h ? h->max_blocks : 0,
        .startup = vm->ram->size,
        .low_gpa = h ? h->low_gpa : 0,
        .high_gpa = h ? h->high_gpa : 0,
        .low_blocks = h ? h->low_blocks : 0,
        .block_bytes = HOT_RAM_BLOCK,
    };
}

static void release_hot(void *claim)
{
    struct vm *vm = claim;

    if (vm->hot_ram)
        vm->hot_ram->owner = NULL;
}

static int32_t host_set_hot(struct bp_dev *dev, uint32_t blocks)
{
    struct device *d = device_of(dev);
    struct hot_ram *h = d->vm->hot_ram;

    if (h && h->owner && h->owner != d)
        return -EBUSY;
    if (h && !h->owner) {
        h->owner = d;
        device_claim(d, release_hot, d->vm);
    }
    return hot_ram_set(d->vm, blocks) ? 0 : -ERANGE;
}

/* Main memory from gpa on: how many bytes, at what offset in *mem. */
static uint64_t find_ram(struct vm *vm, uint64_t gpa, uint64_t bytes,
                         struct memory **mem, uint64_t *offset)
{
    struct map_hit hit;
    uint64_t first, last;

    map_find_range(vm->map, gpa, REGION_WRITE, &hit, &first, &last);
    if (!hit.mem || hit.readonly ||
        (hit.mem != vm->ram && !(vm->hot_ram && hit.mem == vm->hot_ram->mem)))
        return 0;
    *mem = hit.mem;
    *offset = (hit.mem_page << PAGE_SHIFT) + (gpa - first);
    return MIN(bytes, last + PAGE_BYTES - gpa);
}

static bool is_ram(struct vm *vm, uint64_t gpa, uint64_t bytes)
{
    while (bytes) {
        struct memory *mem;
        uint64_t offset, n = find_ram(vm, gpa, bytes, &mem, &offset);
        if (!n)
            return false;
        gpa += n;
        bytes -= n;
    }
    return true;
}

static int32_t host_discard(struct bp_dev *dev, uint64_t gpa, uint64_t bytes)
{
    struct vm *vm = device_of(dev)->vm;

    if (gpa % PAGE_BYTES || bytes % PAGE_BYTES || bytes > UINT64_MAX - gpa ||
        !is_ram(vm, gpa, bytes))
        return -ERANGE;
    while (bytes) {
        struct memory *mem;
        uint64_t offset, n = find_ram(vm, gpa, bytes, &mem, &offset);
        if (!n) /* the map has just changed */
            return -ERANGE;
        memory_discard(vm->map, mem, offset, n);
        gpa += n;
        bytes -= n;
    }
    return 0;
}

/* 1000 when the host does not say. */
static uint32_t host_available(struct bp_dev *dev)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long total = 0, available = 0;
    char line[128];

    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "MemTotal: %llu", &total) == 1)
            continue;
        if (sscanf(line, "MemAvailable: %llu", &available) == 1)
            break;
    }
    if (file)
        fclose(file);
    return total && available <= total ? (uint32_t)(available * 1000 / total)
                                       : 1000;
}

const struct bp_ram host_ram = {
    .size = sizeof(struct bp_ram),
    .layout = host_layout,
    .set_hot = host_set_hot,
    .discard = host_discard,
    .host_available = host_available,
};
