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
#include "display/screen.h"
#include "hv/ports.h"
#include "input/input.h"
#include "net/port.h"
#include "plugin/control.h"
#include "plugin/device.h"
#include "plugin/watch.h"
#include "vm/direct_boot.h"
#include "vm/error.h"
#include "vm/firmware.h"
#include "vm/hot_ram.h"
#include "vm/vm.h"

#define HOLE_START   0xa0000ull
#define ONE_MIB      (1ull << 20)
#define FOUR_GIB     (1ull << 32)
#define LOW_FIRMWARE (128ull << 10)

static void memory_entry_free(gpointer opaque)
{
    struct vm_memory *m = opaque;

    g_free(m->name);
    g_free(m);
}

static bool add_ram_region(struct vm *vm, const char *name, uint64_t gpa,
                           uint64_t bytes, uint64_t offset)
{
    struct region *r = map_add_memory(vm->map, name, gpa, bytes, vm->ram,
                                      offset, BP_PRIO_RAM, false);

    if (r)
        g_ptr_array_add(vm->roms, r);
    return r != NULL;
}

/*
 * What is behind A0000-FFFFF is seen only through windows that the host
 * bridge opens (PAM, SMRAM), so that writes to closed ones are lost; unless
 * the board is flat.
 */
static bool place_ram(struct vm *vm, uint64_t all, uint64_t below, bool flat)
{
    uint64_t low = flat ? below : MIN(below, HOLE_START);
    bool ok = add_ram_region(vm, "ram-low", 0, low, 0);

    if (!flat && below > ONE_MIB)
        ok = ok && add_ram_region(vm, "ram", ONE_MIB, below - ONE_MIB, ONE_MIB);
    if (all > below)
        ok = ok && add_ram_region(vm, "ram-high", FOUR_GIB, all - below, below);
    return ok;
}

static bool add_ram(struct vm *vm, const struct board_options *o,
                    GError **error)
{
    uint64_t below = MIN(o->ram_bytes, o->ram_below_4g);

    vm->ram = memory_create("ram", o->ram_bytes);
    if (!vm->ram)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "there is no room for %" PRIu64 " MiB of guest "
                       "memory: %s",
                       o->ram_bytes >> 20, g_strerror(errno));
    vm->ram_below_4g = below;
    if (!place_ram(vm, o->ram_bytes, below, o->flat))
        return vm_fail(error, VM_ERROR_CONFIG, "guest memory cannot be placed");
    return hot_ram_create(vm, o->ram_max, o->ram_below_4g, error);
}

bool board_create(struct vm *vm, const struct board_options *o, GError **error)
{
    pthread_mutex_init(&vm->lock, NULL);
    pthread_cond_init(&vm->changed, NULL);
    vm->deterministic = o->deterministic;
    vm->a20_mask = UINT64_MAX;
    vm->devices = g_ptr_array_new();
    vm->drives = g_ptr_array_new();
    vm->ports = g_ptr_array_new();
    vm->nets = g_ptr_array_new();
    vm->screens = screens_create();
    vm->roms = g_ptr_array_new();
    vm->memories = g_ptr_array_new_with_free_func(memory_entry_free);
    vm->map = map_create();
    vm->pio = pio_create();
    vm->lanes = lanes_create(o->lane_threads);
    vm->clocks = clocks_create(o->deterministic);
    clocks_set_lanes(vm->clocks, vm->lanes);
    vm->wires = wires_create();
    vm->isa_dma = isa_dma_create();
    vm->inputs = inputs_create();
    vm->control = control_create(vm);
    vm->hv_ports = hv_ports_create();
    if (o->pci)
        vm->pci = pci_bus_create(vm->map, vm->pio, vm->wires);
    return add_ram(vm, o, error);
}

static bool add_rom(struct vm *vm, const char *name, uint64_t gpa,
                    uint64_t bytes, struct memory *mem, uint64_t offset)
{
    struct region *r = map_add_memory(vm->map, name, gpa, bytes, mem, offset,
                                      BP_PRIO_ROM, true);

    if (r)
        g_ptr_array_add(vm->roms, r);
    return r != NULL;
}

bool board_add_firmware(struct vm *vm, const void *data, uint64_t bytes,
                        GError **error)
{
    uint64_t low = MIN(bytes, LOW_FIRMWARE);

    vm->firmware_rom = memory_create("firmware", bytes);
    if (!vm->firmware_rom)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "there is no memory for firmware of %" PRIu64
                       " bytes: %s",
                       bytes, g_strerror(errno));
    memcpy(vm->firmware_rom->host, data, bytes);
    return (add_rom(vm, "firmware", FOUR_GIB - bytes, bytes, vm->firmware_rom,
                    0) &&
            add_rom(vm, "firmware-low", ONE_MIB - low, low, vm->firmware_rom,
                    bytes - low)) ||
           vm_fail(error, VM_ERROR_CONFIG, "the firmware cannot be placed");
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
    for (guint i = 0; i < vm->ports->len; i++)
        char_port_hold(vm->ports->pdata[i], false);
    for (guint i = 0; i < vm->nets->len; i++)
        net_port_hold(vm->nets->pdata[i], false);
}

void board_stop_devices(struct vm *vm)
{
    for (guint i = 0; i < vm->ports->len; i++)
        char_port_hold(vm->ports->pdata[i], true);
    for (guint i = 0; i < vm->nets->len; i++)
        net_port_hold(vm->nets->pdata[i], true);
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

void board_destroy(struct vm *vm)
{
    /* Back ends first: nothing may call into a device that is going. */
    for (guint i = 0; i < vm->ports->len; i++) {
        struct char_port *p = vm->ports->pdata[i];
        if (p->ops && p->ops->close)
            p->ops->close(p->backend);
        p->ops = NULL;
    }
    for (guint i = 0; i < vm->nets->len; i++)
        net_port_disconnect(vm->nets->pdata[i]);
    board_drain(vm);
    while (vm->devices->len) {
        guint last = vm->devices->len - 1;
        device_destroy(g_ptr_array_remove_index(vm->devices, last));
    }
    for (guint i = 0; i < vm->ports->len; i++)
        char_port_destroy(vm->ports->pdata[i]);
    for (guint i = 0; i < vm->nets->len; i++)
        net_port_destroy(vm->nets->pdata[i]);
    for (guint i = 0; i < vm->drives->len; i++)
        block_drive_destroy(vm->drives->pdata[i]);
    control_destroy(vm->control);
    watches_destroy(vm->watches);
    firmware_free_items(vm);
    direct_boot_free(vm->direct_boot);
    if (vm->pci)
        pci_bus_destroy(vm->pci);
    while (vm->roms->len)
        region_destroy(g_ptr_array_remove_index(vm->roms, vm->roms->len - 1));
    isa_dma_destroy(vm->isa_dma);
    inputs_destroy(vm->inputs);
    hv_ports_destroy(vm->hv_ports);
    wires_destroy(vm->wires);
    clocks_destroy(vm->clocks);
    lanes_destroy(vm->lanes);
    pio_destroy(vm->pio);
    struct memory *hot = vm->hot_ram ? vm->hot_ram->mem : NULL;
    hot_ram_destroy(vm);
    map_destroy(vm->map);
    memory_destroy(hot);
    memory_destroy(vm->firmware_rom);
    memory_destroy(vm->ram);
    g_ptr_array_free(vm->roms, TRUE);
    g_ptr_array_free(vm->memories, TRUE);
    g_ptr_array_free(vm->devices, TRUE);
    g_ptr_array_free(vm->drives, TRUE);
    g_ptr_array_free(vm->ports, TRUE);
    g_ptr_array_free(vm->nets, TRUE);
    screens_destroy(vm->screens);
    pthread_cond_destroy(&vm->changed);
    pthread_mutex_destroy(&vm->lock);
}
