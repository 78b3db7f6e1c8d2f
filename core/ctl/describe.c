/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/describe.h"

#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "bus/pci.h"
#include "bus/pio.h"
#include "bus/wire.h"
#include "cpu/vcpu.h"
#include "hwaccel/accel.h"
#include "net/port.h"
#include "plugin/device.h"
#include "sched/lane.h"
#include "state/field.h"
#include "vm/storage.h"
#include "vm/vm.h"

const char describe_topics[] =
    "map, ports, pci, wires, cpu, devices, block, net, "
    "or the name of a device";

static char *describe_cpus(struct vm *vm)
{
    GString *s = g_string_new(NULL);
    bool running = vm->run_state == VM_RUNNING;

    vm_stop(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        const struct x86_state *st = &vm->vcpus[i]->st;
        static const char *const activity[] = { "running", "halted",
                                                "waits for SIPI", "shut down" };
        g_string_append_printf(s,
                               "cpu %u: %s cs:rip %04x:%016" PRIx64
                               " rflags %08" PRIx64 "\n  cr0 %08" PRIx64
                               " cr3 %" PRIx64 " cr4 %" PRIx64 " efer %" PRIx64
                               "\n",
                               i, activity[st->activity & 3],
                               st->seg[SEG_CS].selector, st->rip, st->rflags,
                               st->cr0, st->cr3, st->cr4, st->efer);
        for (unsigned r = 0; r < 16; r++)
            g_string_append_printf(s, "%sr%-2u %016" PRIx64 "%s",
                                   r % 4 ? " " : "  ", r, st->gpr[r],
                                   r % 4 == 3 ? "\n" : "");
    }
    if (vm->accel && vm->accel->describe) {
        char *more = vm->accel->describe(vm);
        g_string_append(s, more ? more : "");
        g_free(more);
    }
    if (running)
        vm_start(vm);
    return g_string_free(s, FALSE);
}

static char *describe_devices(struct vm *vm)
{
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < vm->devices->len; i++) {
        const struct device *d = vm->devices->pdata[i];
        g_string_append_printf(s, "%-16s %-12s %s", d->name, d->desc->id,
                               d->desc->title);
        if (d->guest_errors)
            g_string_append_printf(s, "; %" PRIu64 " guest errors",
                                   d->guest_errors);
        if (d->refused)
            g_string_append_printf(s, "; %" PRIu64 " accesses refused",
                                   d->refused);
        g_string_append_c(s, '\n');
    }
    return g_string_free(s, FALSE);
}

static char *describe_block(struct vm *vm)
{
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < vm->drives->len; i++) {
        struct block_drive *d = vm->drives->pdata[i];
        struct device *controller;
        uint32_t lun;
        char place[64] = "";
        if (storage_place(vm, d, &controller, &lun))
            g_snprintf(place, sizeof(place), " at %s, lun %" PRIu32,
                       controller->name, lun);
        g_string_append_printf(s,
                               "%-8s %s%s%s%s%s; read %" PRIu64
                               " requests, %" PRIu64 " bytes; wrote %" PRIu64
                               " requests, %" PRIu64 " bytes; %" PRIu64
                               " errors\n",
                               d->name,
                               d->shared   ? "(as beside it)"
                               : d->medium ? d->options.path
                                           : "(empty)",
                               place, d->options.snapshot ? ", snapshot" : "",
                               d->locked ? ", locked" : "",
                               d->tray_open ? ", open" : "", d->n_reads,
                               d->bytes_read, d->n_writes, d->bytes_written,
                               d->n_errors);
    }
    return g_string_free(s, FALSE);
}

static char *describe_net(struct vm *vm)
{
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < vm->nets->len; i++)
        net_port_describe(vm->nets->pdata[i], s);
    return g_string_free(s, FALSE);
}

/* The state of one device by its table. */
static char *describe_device(struct vm *vm, const char *name)
{
    struct device *d = device_find(vm, name);

    if (!d)
        return NULL;
    GString *s = g_string_new(NULL);
    lane_enter(d->lane);
    if (d->desc->fields)
        fields_describe(s, d->desc->fields, d->self, "");
    lane_leave(d->lane);
    return g_string_free(s, FALSE);
}

char *describe(struct vm *vm, const char *topic)
{
    if (strcmp(topic, "map") == 0)
        return map_describe(vm->map);
    if (strcmp(topic, "ports") == 0)
        return pio_describe(vm->pio);
    if (strcmp(topic, "pci") == 0)
        return pci_bus_describe(vm->pci);
    if (strcmp(topic, "wires") == 0)
        return wires_describe(vm->wires);
    if (strcmp(topic, "cpu") == 0)
        return describe_cpus(vm);
    if (strcmp(topic, "devices") == 0)
        return describe_devices(vm);
    if (strcmp(topic, "block") == 0)
        return describe_block(vm);
    if (strcmp(topic, "net") == 0)
        return describe_net(vm);
    return describe_device(vm, topic);
}
