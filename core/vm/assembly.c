/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/assembly.h"

#include <config.h> /* not that of this folder */
#include <string.h>

#include "block/block.h"
#include "bus/wire.h"
#include "char/port.h"
#include "hv/hv.h"
#include "irq/lapic.h"
#include "lib/log.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "sched/vcpu.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/machine.h"
#include "vm/storage.h"
#include "vm/vm.h"

/* Guest time is the same on every host, so saved machines may move. */
#define TSC_HZ       1000000000ull
#define LANE_THREADS 2u

char *find_firmware(const char *name)
{
    char *program = g_file_read_link("/proc/self/exe", NULL);
    char *beside = program ? g_path_get_dirname(program) : g_strdup(".");
    char *own = g_build_filename(beside, "firmware", NULL);
    const char *folders[] = { own, BP_FIRMWARE_DIR, "/usr/share/seabios",
                              "/usr/share/qemu" };
    char *found = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(folders) && !found; i++) {
        char *path = g_build_filename(folders[i], name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            found = path;
        else
            g_free(path);
    }
    g_free(own);
    g_free(beside);
    g_free(program);
    return found;
}

struct block_drive *assembly_drive(struct assembly *a, const char *name,
                                   const struct config_drive *from)
{
    static const enum block_drive_kind kinds[] = {
        [CONFIG_DISK] = BLOCK_DISK,
        [CONFIG_CDROM] = BLOCK_CDROM,
        [CONFIG_FLOPPY] = BLOCK_FLOPPY,
    };
    struct block_drive *d = block_drive_create(name, kinds[from->kind]);
    struct block_options o = {
        .path = from->path,
        .readonly = from->readonly || from->kind == CONFIG_CDROM,
        .snapshot = from->snapshot,
        .cdrom = from->kind == CONFIG_CDROM,
        .block = from->block,
    };

    g_ptr_array_add(a->vm->drives, d);
    if (a->vm->deterministic)
        block_drive_set_clocks(d, a->vm->clocks);
    if (from->path[0] && !block_drive_insert(d, &o, a->error))
        return NULL;
    return d;
}

static bool make_port(struct assembly *a, const char *name, const char *spec)
{
    struct char_port *p = char_port_create(name);

    g_ptr_array_add(a->vm->ports, p);
    /* Until the machine runs, and after it was restored. */
    char_port_hold(p, true);
    return !spec || char_port_open(p, spec, a->error);
}

bool assembly_ports(struct assembly *a, unsigned fewest)
{
    const GPtrArray *serials = a->config->serials;

    a->serials = MAX(serials->len, fewest);
    for (unsigned i = 0; i < a->serials; i++) {
        char name[16];
        g_snprintf(name, sizeof(name), "serial%u", i);
        if (!make_port(a, name, i < serials->len ? serials->pdata[i] : NULL))
            return false;
    }
    return !a->config->debugcon ||
           make_port(a, "debugcon", a->config->debugcon);
}

static bool refuse_type(struct assembly *a, const char *id)
{
    const char *like = plugins_similar(a->vm->plugins, id);

    return vm_fail(a->error, VM_ERROR_CONFIG,
                   "there is no device type '%s'%s%s%s; `backplane plugins` "
                   "lists them",
                   id, like ? " (did you mean '" : "", like ? like : "",
                   like ? "'?)" : "");
}

bool assembly_add(struct assembly *a, const char *id, const char *name,
                  const char *const *settings)
{
    const struct bp_device_desc *desc = plugins_find(a->vm->plugins, id);

    if (!desc)
        return refuse_type(a, id);
    return device_create(a->vm, name ? name : id, desc, settings, a->error) !=
           NULL;
}

bool assembly_has(struct assembly *a, const char *id)
{
    if (plugins_find(a->vm->plugins, id))
        return true;
    log_line(NULL, LOG_WARN, "machine",
             "there is no plugin with '%s': the machine goes without", id);
    return false;
}

/* What each machine with a VMBus has on it, as far as there are plugins. */
static const char *const on_vmbus[] = {
    "synthvid",    "synthkbd", "synthmouse", "ic-heartbeat", "ic-shutdown",
    "ic-timesync", "ic-kvp",   "ic-vss",     "ic-fcopy",
};

static bool add_dynmem(struct assembly *a)
{
    GPtrArray *settings = a->config->dynmem;

    if (!plugins_find(a->vm->plugins, "dynmem"))
        return true;
    g_ptr_array_add(settings, NULL);
    bool ok =
        assembly_add(a, "dynmem", NULL, (const char *const *)settings->pdata);
    g_ptr_array_remove_index(settings, settings->len - 1);
    return ok;
}

/* Programs reach the guest beside the control socket. */
static bool add_hvsock(struct assembly *a)
{
    const struct vm_config *c = a->config;
    char *path = c->ctl && !c->deterministic
                     ? g_strdup_printf("path=%s-vsock", c->ctl)
                     : NULL;
    bool ok =
        !plugins_find(a->vm->plugins, "hvsock") || add(a, "hvsock", path, NULL);

    g_free(path);
    return ok;
}

/* The user wants it with other properties: assembly_user_devices(). */
static bool user_has(const struct assembly *a, const char *type)
{
    for (guint i = 0; i < a->config->devices->len; i++) {
        const struct config_device *d = a->config->devices->pdata[i];
        if (strcmp(d->type, type) == 0)
            return true;
    }
    return false;
}

static bool add_vmbus(struct assembly *a)
{
    if (!plugins_find(a->vm->plugins, "vmbus"))
        return true;
    if (!add(a, "vmbus", NULL))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(on_vmbus); i++)
        if (plugins_find(a->vm->plugins, on_vmbus[i]) &&
            !user_has(a, on_vmbus[i]) && !add(a, on_vmbus[i], NULL))
            return false;
    return add_dynmem(a) && add_hvsock(a);
}

bool assembly_synthetic(struct assembly *a)
{
    struct vm *vm = a->vm;

    if (!a->config->hv)
        return assembly_nics(a, false);
    vm->hv = hv_create(vm, a->config->cpus, a->config->hv_features);
    if (hv_has(vm->hv, HV_F_SYNIC) && !add_vmbus(a))
        return false;
    bool vmbus = device_find(vm, "vmbus") != NULL;
    return storage_add_scsi(a, vmbus) && assembly_nics(a, vmbus);
}

bool assembly_serials(struct assembly *a)
{
    static const struct {
        const char *port, *irq;
    } at[] = {
        { "port=0x3f8", "irq=4" },
        { "port=0x2f8", "irq=3" },
        { "port=0x3e8", "irq=4" },
        { "port=0x2e8", "irq=3" },
    };

    for (unsigned i = 0; i < a->serials; i++) {
        char name[16], port[32];
        g_snprintf(name, sizeof(name), "uart%u", i);
        g_snprintf(port, sizeof(port), "char=serial%u", i);
        const char *settings[] = { at[i].port, at[i].irq, port, NULL };
        if (!assembly_add(a, "ns16550", name, settings))
            return false;
    }
    return true;
}

bool assembly_user_devices(struct assembly *a)
{
    for (guint i = 0; i < a->config->devices->len; i++) {
        const struct config_device *from = a->config->devices->pdata[i];
        char *name = g_strdup(from->name ? from->name : from->type);
        for (unsigned n = 1; !from->name && device_find(a->vm, name); n++) {
            g_free(name);
            name = g_strdup_printf("%s-%u", from->type, n);
        }
        g_ptr_array_add(from->settings, NULL);
        bool ok = assembly_add(a, from->type, name,
                               (const char *const *)from->settings->pdata);
        g_ptr_array_remove_index(from->settings, from->settings->len - 1);
        g_free(name);
        if (!ok)
            return false;
    }
    return true;
}

bool assembly_realize(struct assembly *a)
{
    bool ok = true;

    for (guint i = 0; ok && i < a->vm->devices->len; i++)
        ok = device_realize(a->vm->devices->pdata[i], a->error);
    return ok;
}

/* --- processors -----------------------------------------------------------*/

static void intr_changed(void *opaque, unsigned number, bool level)
{
    vcpu_intr_line(opaque, level);
}

static void nmi_changed(void *opaque, unsigned number, bool level)
{
    if (level)
        vcpu_nmi(opaque);
}

static void smi_changed(void *opaque, unsigned number, bool level)
{
    if (level)
        vcpu_smi(opaque);
}

static void a20_changed(void *opaque, unsigned number, bool level)
{
    vcpus_a20(opaque, level);
}

static void send_message(void *opaque, uint32_t dest, bool logical,
                         unsigned delivery_mode, uint8_t vector, bool level)
{
    apic_deliver(opaque, dest, logical, delivery_mode, vector, level);
}

bool assembly_processors(struct assembly *a)
{
    struct vm *vm = a->vm;

    vm->tsc_hz = TSC_HZ;
    vm->message = send_message;
    vm->message_opaque = vm;
    vm->jit = a->config->jit;
    vm->jit_check = a->config->jit_check;
    vm->perf_map = a->config->perf_map;
    if (!vcpus_create(vm, a->config->cpus, a->config->cpu, a->error))
        return false;
    wire_input_add(vm->wires, "intr", 0, NULL, intr_changed, vm);
    wire_input_add(vm->wires, "nmi", 0, NULL, nmi_changed, vm);
    wire_input_add(vm->wires, "smi", 0, NULL, smi_changed, vm);
    wire_input_add(vm->wires, "a20", 0, NULL, a20_changed, vm);
    return true;
}

/* --- time and identity --------------------------------------------------*/

/* 2024-01-01: a deterministic machine knows no today. */
#define DEFAULT_RTC_BASE 1704067200000000000ll

static void set_clock(struct assembly *a)
{
    const struct vm_config *c = a->config;
    struct clocks *clocks = a->vm->clocks;
    int64_t now = (int64_t)clock_now(clocks, CLOCK_WALL);
    int64_t base = c->has_rtc_base ? c->rtc_base : DEFAULT_RTC_BASE;

    if (c->has_rtc_base || c->deterministic)
        clock_set_wall_offset(clocks, base - now);
}

bool assembly_board(struct assembly *a, struct board_options *board)
{
    const struct vm_config *c = a->config;

    board->ram_bytes = c->memory;
    board->ram_max = c->memory_max;
    board->deterministic = c->deterministic;
    board->lane_threads = c->deterministic ? 0 : LANE_THREADS;
    if (!board_create(a->vm, board, a->error))
        return false;
    set_clock(a);
    return true;
}

void assembly_uuid(const struct assembly *a, uint8_t uuid[16])
{
    GChecksum *md5 = g_checksum_new(G_CHECKSUM_MD5);
    gsize bytes = 16;

    g_checksum_update(md5, (const guchar *)a->config->name, -1);
    g_checksum_get_digest(md5, uuid, &bytes);
    uuid[6] = (uuid[6] & 0x0f) | 0x30; /* version 3 */
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    g_checksum_free(md5);
}

/* --- a whole machine ------------------------------------------------------*/

static void pause_now(void *opaque)
{
    vm_request_pause(opaque);
}

struct vm *machine_create(const struct vm_config *config,
                          struct plugins *plugins, GError **error)
{
    struct vm *vm = g_new0(struct vm, 1);
    struct assembly a = { .vm = vm, .config = config, .error = error };

    vm->config = config;
    vm->plugins = plugins;
    vm->name = config->name;
    if (!config_check(config, error)) {
        g_free(vm);
        return NULL;
    }
    if (!(config->generation == 2 ? gen2_assemble(&a) : gen1_assemble(&a))) {
        machine_destroy(vm);
        return NULL;
    }
    if (config->pause_at)
        timer_arm(timer_create_on(vm->clocks, CLOCK_VIRTUAL, NULL, "pause-at",
                                  pause_now, vm),
                  config->pause_at);
    vm_reset(vm);
    return vm;
}
