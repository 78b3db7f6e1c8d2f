/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/board.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <backplane/mmio.h>

#include "block/block.h"
#include "bus/isa_dma.h"
#include "bus/pci.h"
#include "bus/wire.h"
#include "char/port.h"
#include "input/input.h"
#include "plugin/device.h"
#include "vm/error.h"
#include "vm/firmware.h"
#include "vm/vm.h"

static void memory_entry_free(gpointer opaque)
{
    struct vm_memory *m = opaque;

    g_free(m->name);
    g_free(m);
}

static bool add_ram(struct vm *vm, const struct board_options *o,
                    GError **error)
{
    uint64_t below = MIN(o->ram_bytes, o->ram_below_4g);

    vm->ram = memory_create("ram", o->ram_bytes);
    if (!vm->ram)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "there is no room for %" PRIu64 " MiB of guest "
                       "memory: %s", o->ram_bytes >> 20, g_strerror(errno));
    vm->ram_below_4g = below;
    map_add_memory(vm->map, "ram", 0, below, vm->ram, 0, BP_PRIO_RAM, false);
    if (o->ram_bytes > below)
        map_add_memory(vm->map, "ram-high", 1ull << 32, o->ram_bytes - below,
                       vm->ram, below, BP_PRIO_RAM, false);
    return true;
}

bool board_create(struct vm *vm, const struct board_options *o,
                  GError **error)
{
    pthread_mutex_init(&vm->lock, NULL);
    pthread_cond_init(&vm->changed, NULL);
    vm->deterministic = o->deterministic;
    vm->a20_mask = UINT64_MAX;
    vm->devices = g_ptr_array_new();
    vm->drives = g_ptr_array_new();
    vm->ports = g_ptr_array_new();
    vm->screens = g_ptr_array_new();
    vm->memories = g_ptr_array_new_with_free_func(memory_entry_free);
    vm->map = map_create();
    vm->pio = pio_create();
    vm->lanes = lanes_create(o->lane_threads);
    vm->clocks = clocks_create(o->deterministic);
    clocks_set_lanes(vm->clocks, vm->lanes);
    vm->wires = wires_create();
    vm->isa_dma = isa_dma_create();
    vm->inputs = inputs_create();
    if (o->pci)
        vm->pci = pci_bus_create(vm->map, vm->pio, vm->wires);
    return add_ram(vm, o, error);
}

bool board_add_rom(struct vm *vm, const char *name, uint64_t gpa,
                   const void *data, uint64_t bytes, int priority,
                   GError **error)
{
    uint64_t size = (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    struct memory *mem = memory_create(name, size);

    if (!mem)
        return vm_fail(error, VM_ERROR_CONFIG, "no memory for ROM '%s': %s",
                       name, g_strerror(errno));
    memcpy(mem->host, data, bytes);
    struct vm_memory *m = g_new0(struct vm_memory, 1);
    m->name = g_strdup(name);
    m->mem = mem;
    m->constant = true;
    m->region = map_add_memory(vm->map, name, gpa, size, mem, 0, priority,
                               true);
    g_ptr_array_add(vm->memories, m);
    return m->region || vm_fail(error, VM_ERROR_CONFIG,
                                "ROM '%s' cannot be placed", name);
}

void board_reset_devices(struct vm *vm)
{
    if (vm->pci)
        pci_bus_reset(vm->pci);
    for (guint i = 0; i < vm->devices->len; i++)
        device_reset(vm->devices->pdata[i], BP_RESET_COLD);
}

void board_start_devices(struct vm *vm)
{
    for (guint i = 0; i < vm->devices->len; i++)
        device_start(vm->devices->pdata[i]);
}

void board_stop_devices(struct vm *vm)
{
    for (guint i = vm->devices->len; i > 0; i--)
        device_stop(vm->devices->pdata[i - 1]);
}

void board_drain(struct vm *vm)
{
    /* A completion may start the next request, and a request ends with work
     * for a lane: twice round finds the end of a chain, since drain waits
     * for the drive to become idle. */
    lanes_drain(vm->lanes);
    for (guint i = 0; i < vm->drives->len; i++)
        block_drive_drain(vm->drives->pdata[i]);
    lanes_drain(vm->lanes);
}

static void free_roms(struct vm *vm)
{
    for (guint i = 0; i < vm->memories->len; i++) {
        struct vm_memory *m = vm->memories->pdata[i];
        if (m->region)
            region_destroy(m->region);
        memory_destroy(m->mem);
    }
    g_ptr_array_free(vm->memories, TRUE);
}

void board_destroy(struct vm *vm)
{
    /* Back ends first: nothing may call into a device that is going. */
    for (guint i = 0; i < vm->ports->len; i++) {
        struct char_port *p = vm->ports->pdata[i];
        if (p->ops && p->ops->close)
            p->ops->close(p->backend);
        p->ops = NULL;
    }
    board_drain(vm);
    while (vm->devices->len) {
        guint last = vm->devices->len - 1;
        device_destroy(g_ptr_array_remove_index(vm->devices, last));
    }
    for (guint i = 0; i < vm->ports->len; i++)
        char_port_destroy(vm->ports->pdata[i]);
    for (guint i = 0; i < vm->drives->len; i++)
        block_drive_destroy(vm->drives->pdata[i]);
    firmware_free_items(vm);
    if (vm->pci)
        pci_bus_destroy(vm->pci);
    free_roms(vm);
    isa_dma_destroy(vm->isa_dma);
    inputs_destroy(vm->inputs);
    wires_destroy(vm->wires);
    clocks_destroy(vm->clocks);
    lanes_destroy(vm->lanes);
    pio_destroy(vm->pio);
    map_destroy(vm->map);
    memory_destroy(vm->ram);
    g_ptr_array_free(vm->devices, TRUE);
    g_ptr_array_free(vm->drives, TRUE);
    g_ptr_array_free(vm->ports, TRUE);
    g_ptr_array_free(vm->screens, TRUE);
    pthread_cond_destroy(&vm->changed);
    pthread_mutex_destroy(&vm->lock);
}
