/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/hot_ram.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <backplane/mmio.h>

#include "mem/map.h"
#include "vm/error.h"
#include "vm/vm.h"

#define FOUR_GIB (UINT64_C(1) << 32)
/* Windows of devices begin here on Generation 2. */
#define END UINT64_C(0xfe00000000)

static void add_memory(struct vm *vm, struct memory *mem)
{
    struct vm_memory *m = g_new0(struct vm_memory, 1);

    m->name = g_strdup("ram-hot");
    m->mem = mem;
    g_ptr_array_add(vm->memories, m);
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + HOT_RAM_BLOCK - 1) & ~(HOT_RAM_BLOCK - 1);
}

static void place(struct hot_ram *h, const struct vm *vm, uint64_t low_end)
{
    uint64_t above = vm->ram->size - vm->ram_below_4g;

    h->high_gpa = round_up(FOUR_GIB + above);
    h->low_gpa = round_up(vm->ram_below_4g);
    if (!above && low_end > h->low_gpa)
        h->low_blocks = (unsigned)MIN((low_end - h->low_gpa) / HOT_RAM_BLOCK,
                                      h->max_blocks);
}

uint64_t hot_ram_gpa(const struct hot_ram *h, unsigned block)
{
    return block < h->low_blocks
               ? h->low_gpa + block * HOT_RAM_BLOCK
               : h->high_gpa + (block - h->low_blocks) * HOT_RAM_BLOCK;
}

uint64_t hot_ram_low_end(const struct vm *vm)
{
    const struct hot_ram *h = vm->hot_ram;

    return h && h->low_blocks ? h->low_gpa + h->low_blocks * HOT_RAM_BLOCK
                              : vm->ram_below_4g;
}

bool hot_ram_create(struct vm *vm, uint64_t bytes, uint64_t low_end,
                    GError **error)
{
    uint64_t blocks =
        bytes > vm->ram->size ? (bytes - vm->ram->size) / HOT_RAM_BLOCK : 0;

    if (!blocks)
        return true;
    struct hot_ram *h = g_new0(struct hot_ram, 1);
    h->max_blocks = (unsigned)blocks;
    place(h, vm, low_end);
    h->regions = g_ptr_array_new();
    vm->hot_ram = h;
    if (blocks * HOT_RAM_BLOCK > END - h->high_gpa)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a machine has no more than %" PRIu64 " GiB of memory",
                       (END - FOUR_GIB) >> 30);
    h->mem = memory_create("ram-hot", blocks * HOT_RAM_BLOCK);
    if (!h->mem)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "there is no room for %" PRIu64 " MiB of memory to "
                       "come: %s",
                       (blocks * HOT_RAM_BLOCK) >> 20, g_strerror(errno));
    add_memory(vm, h->mem);
    return true;
}

static bool plug(struct vm *vm)
{
    struct hot_ram *h = vm->hot_ram;
    uint64_t offset = h->regions->len * HOT_RAM_BLOCK;
    struct region *r =
        map_add_memory(vm->map, "ram-hot", hot_ram_gpa(h, h->regions->len),
                       HOT_RAM_BLOCK, h->mem, offset, BP_PRIO_RAM, false);

    if (r)
        g_ptr_array_add(h->regions, r);
    return r != NULL;
}

static void unplug(struct vm *vm)
{
    struct hot_ram *h = vm->hot_ram;
    guint last = h->regions->len - 1;

    region_destroy(g_ptr_array_remove_index(h->regions, last));
    memory_discard(vm->map, h->mem, last * HOT_RAM_BLOCK, HOT_RAM_BLOCK);
}

bool hot_ram_set(struct vm *vm, unsigned blocks)
{
    struct hot_ram *h = vm->hot_ram;
    bool ok = true;

    if (!h || blocks > h->max_blocks)
        return blocks == 0;
    if (blocks == h->regions->len)
        return true;
    map_begin(vm->map);
    while (ok && h->regions->len < blocks)
        ok = plug(vm);
    while (h->regions->len > blocks)
        unplug(vm);
    map_commit(vm->map);
    return ok;
}

void hot_ram_destroy(struct vm *vm)
{
    struct hot_ram *h = vm->hot_ram;

    if (!h)
        return;
    while (h->regions->len)
        region_destroy(
            g_ptr_array_remove_index(h->regions, h->regions->len - 1));
    g_ptr_array_free(h->regions, TRUE);
    g_free(h);
    vm->hot_ram = NULL;
}
