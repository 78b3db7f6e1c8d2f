/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assembly of the Generation 1 PC: 440FX host bridge, PIIX4 at 0:7, the
 * PC/AT's ISA devices, VGA, and SeaBIOS.
 */
#include <config.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "bus/wire.h"
#include "char/port.h"
#include "irq/lapic.h"
#include "lib/log.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "sched/vcpu.h"
#include "vm/board.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/firmware.h"
#include "vm/fwcfg_items.h"
#include "vm/linux_kernel.h"
#include "vm/machine.h"
#include "vm/vm.h"

#define ISA_SLOT     7u
#define RAM_BELOW_4G (3ull << 30)
#define LANE_THREADS 2u
/* Guest time is the same on every host, so saved machines may move. */
#define TSC_HZ        1000000000ull
#define IDE_PLACES    4u
#define FLOPPY_PLACES 2u
#define MAX_FIRMWARE  (16u << 20)

struct gen1 {
    struct vm *vm;
    const struct vm_config *config;
    struct block_drive *ide[IDE_PLACES];
    struct block_drive *floppy[FLOPPY_PLACES];
    unsigned serials;
    GError **error;
};

/* --- files ----------------------------------------------------------------*/

/* The first of these folders that has the file; NULL: none. */
static char *find_firmware(const char *name)
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

static bool add_firmware(struct gen1 *g)
{
    bool seabios = strcmp(g->config->firmware, "seabios") == 0;
    char *path = seabios ? find_firmware("bios-256k.bin")
                         : g_strdup(g->config->firmware);
    char *image = NULL;
    gsize bytes;
    GError *why = NULL;
    bool ok = false;

    if (!path) {
        vm_fail(g->error, VM_ERROR_CONFIG,
                "SeaBIOS (bios-256k.bin) is not installed (apt package: "
                "seabios)");
    } else if (!g_file_get_contents(path, &image, &bytes, &why)) {
        vm_fail(g->error, VM_ERROR_CONFIG,
                "firmware '%s' cannot be read: "
                "%s",
                path, why->message);
        g_error_free(why);
    } else if (bytes == 0 || bytes % 65536 || bytes > MAX_FIRMWARE) {
        vm_fail(g->error, VM_ERROR_CONFIG,
                "firmware '%s' has %" G_GSIZE_FORMAT
                " bytes; it must be a multiple of 64 KiB up to 16 MiB",
                path, bytes);
    } else {
        ok = board_add_firmware(g->vm, image, bytes, g->error);
    }
    g_free(image);
    g_free(path);
    return ok;
}

/* --- drives and ports -----------------------------------------------------*/

static struct block_drive *make_drive(struct gen1 *g, const char *name,
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
    };

    g_ptr_array_add(g->vm->drives, d);
    if (g->vm->deterministic)
        block_drive_set_clocks(d, g->vm->clocks);
    if (from->path[0] && !block_drive_insert(d, &o, g->error))
        return NULL;
    return d;
}

/* Takes the first free of four places, in this order. */
static bool place_drives(struct gen1 *g, enum config_drive_kind kind,
                         const char *stem, const unsigned *order)
{
    unsigned n = 0;

    for (guint i = 0; i < g->config->drives->len; i++) {
        const struct config_drive *from = g->config->drives->pdata[i];
        if (from->kind != kind)
            continue;
        char *name = g_strdup_printf("%s%u", stem, n++);
        struct block_drive *d = make_drive(g, name, from);
        g_free(name);
        if (!d)
            return false;
        unsigned p = 0;
        while (g->ide[order[p]])
            p++;
        g->ide[order[p]] = d;
    }
    return true;
}

static bool make_drives(struct gen1 *g)
{
    static const unsigned cd_order[] = { 2, 3, 0, 1 };
    static const unsigned disk_order[] = { 0, 1, 2, 3 };
    unsigned n = 0;

    if (!place_drives(g, CONFIG_CDROM, "cd", cd_order) ||
        !place_drives(g, CONFIG_DISK, "disk", disk_order))
        return false;
    for (guint i = 0; i < g->config->drives->len; i++) {
        const struct config_drive *from = g->config->drives->pdata[i];
        char name[16];
        if (from->kind != CONFIG_FLOPPY)
            continue;
        g_snprintf(name, sizeof(name), "floppy%u", n);
        g->floppy[n] = make_drive(g, name, from);
        if (!g->floppy[n++])
            return false;
    }
    return true;
}

static bool make_port(struct gen1 *g, const char *name, const char *spec)
{
    struct char_port *p = char_port_create(name);

    g_ptr_array_add(g->vm->ports, p);
    /* Until the machine runs, and after it was restored. */
    char_port_hold(p, true);
    return !spec || char_port_open(p, spec, g->error);
}

static bool make_ports(struct gen1 *g)
{
    const GPtrArray *serials = g->config->serials;

    g->serials = MAX(serials->len, 1u);
    for (unsigned i = 0; i < g->serials; i++) {
        char name[16];
        g_snprintf(name, sizeof(name), "serial%u", i);
        if (!make_port(g, name, i < serials->len ? serials->pdata[i] : NULL))
            return false;
    }
    return !g->config->debugcon ||
           make_port(g, "debugcon", g->config->debugcon);
}

/* --- devices --------------------------------------------------------------*/

static bool refuse_type(struct gen1 *g, const char *id)
{
    const char *like = plugins_similar(g->vm->plugins, id);

    return vm_fail(g->error, VM_ERROR_CONFIG,
                   "there is no device type '%s'%s%s%s; `backplane plugins` "
                   "lists them",
                   id, like ? " (did you mean '" : "", like ? like : "",
                   like ? "'?)" : "");
}

static bool add_settings(struct gen1 *g, const char *id, const char *name,
                         const char *const *settings)
{
    const struct bp_device_desc *desc = plugins_find(g->vm->plugins, id);

    if (!desc)
        return refuse_type(g, id);
    return device_create(g->vm, name ? name : id, desc, settings, g->error) !=
           NULL;
}

/* The settings end at the first NULL. */
#define add(g, id, ...) \
    add_settings(g, id, NULL, (const char *const[]){ __VA_ARGS__ })

/* A part without which the machine still works, in a small installation. */
static bool has(struct gen1 *g, const char *id)
{
    if (plugins_find(g->vm->plugins, id))
        return true;
    log_line(NULL, LOG_WARN, "machine",
             "there is no plugin with '%s': the machine goes without", id);
    return false;
}

/* The synthetic devices, in an installation that has them. */
static bool add_vmbus_devices(struct gen1 *g)
{
    return !plugins_find(g->vm->plugins, "vmbus") || add(g, "vmbus", NULL);
}

static bool add_bridges(struct gen1 *g)
{
    char memory[48];

    g_snprintf(memory, sizeof(memory), "memory=%" PRIu64, g->config->memory);
    return add(g, "i440fx", "model=440fx", memory, NULL) &&
           add(g, "piix4-isa", "slot=7", NULL);
}

static bool add_isa_devices(struct gen1 *g)
{
    const struct vm *vm = g->vm;
    char below[48], above[48], cpus[24];

    g_snprintf(below, sizeof(below), "ram-below-4g=%" PRIu64, vm->ram_below_4g);
    g_snprintf(above, sizeof(above), "ram-above-4g=%" PRIu64,
               g->config->memory - vm->ram_below_4g);
    g_snprintf(cpus, sizeof(cpus), "cpus=%u", g->config->cpus);
    return add(g, "i8259", NULL) && add(g, "ioapic", NULL) &&
           add(g, "i8254", NULL) && add(g, "i8237", NULL) &&
           add(g, "mc146818", below, above, cpus,
               g->floppy[0] ? "floppy0=1.44m" : "floppy0=none",
               g->floppy[1] ? "floppy1=1.44m" : "floppy1=none", NULL) &&
           add(g, "i8042", NULL);
}

static bool add_ide(struct gen1 *g)
{
    static const char *const places[] = {
        "primary-master",
        "primary-slave",
        "secondary-master",
        "secondary-slave",
    };
    char *settings[IDE_PLACES + 2] = { NULL };
    unsigned n = 0;

    settings[n++] = g_strdup("slot=7");
    for (unsigned i = 0; i < IDE_PLACES; i++) {
        if (g->ide[i])
            settings[n++] =
                g_strdup_printf("%s=%s", places[i], g->ide[i]->name);
    }
    bool ok = add_settings(g, "piix4-ide", NULL, (const char *const *)settings);
    while (n)
        g_free(settings[--n]);
    return ok;
}

static bool add_floppies(struct gen1 *g)
{
    char first[40], second[40];

    if (!g->floppy[0])
        return true;
    g_snprintf(first, sizeof(first), "floppy0=%s", g->floppy[0]->name);
    g_snprintf(second, sizeof(second), "floppy1=%s",
               g->floppy[1] ? g->floppy[1]->name : "");
    return add(g, "i82077", first, second, NULL);
}

static bool add_vga(struct gen1 *g)
{
    if (!has(g, "vga"))
        return true;
    char *rom = find_firmware("vgabios-stdvga.bin");
    char *setting = rom ? g_strconcat("romfile=", rom, NULL) : NULL;
    if (!rom)
        log_line(NULL, LOG_WARN, "machine",
                 "the VGA BIOS "
                 "(vgabios-stdvga.bin, apt package: seabios) is missing: "
                 "the screen stays dark");
    bool ok = add(g, "vga", setting, NULL);
    g_free(setting);
    g_free(rom);
    return ok;
}

static bool add_serials(struct gen1 *g)
{
    static const struct {
        const char *port, *irq;
    } at[] = {
        { "port=0x3f8", "irq=4" },
        { "port=0x2f8", "irq=3" },
        { "port=0x3e8", "irq=4" },
        { "port=0x2e8", "irq=3" },
    };

    for (unsigned i = 0; i < g->serials; i++) {
        char name[16], port[32];
        g_snprintf(name, sizeof(name), "uart%u", i);
        g_snprintf(port, sizeof(port), "char=serial%u", i);
        const char *settings[] = { at[i].port, at[i].irq, port, NULL };
        if (!add_settings(g, "ns16550", name, settings))
            return false;
    }
    return true;
}

static bool add_user_devices(struct gen1 *g)
{
    for (guint i = 0; i < g->config->devices->len; i++) {
        const struct config_device *from = g->config->devices->pdata[i];
        char *name = g_strdup(from->name ? from->name : from->type);
        for (unsigned n = 1; !from->name && device_find(g->vm, name); n++) {
            g_free(name);
            name = g_strdup_printf("%s-%u", from->type, n);
        }
        g_ptr_array_add(from->settings, NULL);
        bool ok = add_settings(g, from->type, name,
                               (const char *const *)from->settings->pdata);
        g_ptr_array_remove_index(from->settings, from->settings->len - 1);
        g_free(name);
        if (!ok)
            return false;
    }
    return true;
}

static bool add_devices(struct gen1 *g)
{
    bool ok = add_bridges(g) && add_isa_devices(g) && add_ide(g) &&
              add(g, "piix4-pm", "slot=7", NULL) && add_vga(g) &&
              add_serials(g) && add_floppies(g) && add(g, "fw-cfg", NULL) &&
              add(g, "debug-port", g->config->debugcon ? "char=debugcon" : NULL,
                  NULL) &&
              (!g->config->isa_debug_exit || add(g, "exit-port", NULL)) &&
              add_vmbus_devices(g) && add_user_devices(g);

    for (guint i = 0; ok && i < g->vm->devices->len; i++)
        ok = device_realize(g->vm->devices->pdata[i], g->error);
    return ok;
}

/* --- what the firmware is told --------------------------------------------*/

static bool add_items(struct gen1 *g)
{
    const struct vm_config *c = g->config;
    char *boot =
        g_strconcat(c->kernel ? "k" : "", c->boot ? c->boot : "adc", NULL);
    struct pc_board board = {
        .name = c->name,
        .cpus = c->cpus,
        .ram_below_4g = g->vm->ram_below_4g,
        .ram_above_4g = c->memory - g->vm->ram_below_4g,
        .isa_slot = ISA_SLOT,
        .serial_ports = MIN(g->serials, 2u),
        .floppies = (g->floppy[0] != NULL) + (g->floppy[1] != NULL),
        .vmbus = device_find(g->vm, "vmbus") != NULL,
        .boot = boot,
    };
    GChecksum *md5 = g_checksum_new(G_CHECKSUM_MD5);
    gsize uuid_bytes = sizeof(board.uuid);
    bool ok = true;

    /* The same machine has the same UUID at each start. */
    g_checksum_update(md5, (const guchar *)c->name, -1);
    g_checksum_get_digest(md5, board.uuid, &uuid_bytes);
    board.uuid[6] = (board.uuid[6] & 0x0f) | 0x30; /* version 3 */
    board.uuid[8] = (board.uuid[8] & 0x3f) | 0x80;
    g_checksum_free(md5);
    fwcfg_items_add(g->vm, &board);
    if (c->kernel) {
        char *rom = find_firmware("linuxboot.bin");
        ok = rom ? linux_kernel_add(g->vm, c->kernel, c->initrd, c->append,
                                    g->vm->ram_below_4g, rom, g->error)
                 : vm_fail(g->error, VM_ERROR_CONFIG,
                           "the option ROM linuxboot.bin is missing");
        g_free(rom);
    }
    g_free(boot);
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

static bool connect_processors(struct gen1 *g)
{
    struct vm *vm = g->vm;

    vm->tsc_hz = TSC_HZ;
    vm->message = send_message;
    vm->message_opaque = vm;
    vm->jit = g->config->jit;
    vm->jit_check = g->config->jit_check;
    vm->perf_map = g->config->perf_map;
    if (!vcpus_create(vm, g->config->cpus, g->config->cpu, g->error))
        return false;
    wire_input_add(vm->wires, "intr", 0, NULL, intr_changed, vm);
    wire_input_add(vm->wires, "nmi", 0, NULL, nmi_changed, vm);
    wire_input_add(vm->wires, "smi", 0, NULL, smi_changed, vm);
    wire_input_add(vm->wires, "a20", 0, NULL, a20_changed, vm);
    return true;
}

/* --- all of it ------------------------------------------------------------*/

/* 2024-01-01: a deterministic machine knows no today. */
#define DEFAULT_RTC_BASE 1704067200000000000ll

static void set_wall_clock(struct vm *vm, const struct vm_config *c)
{
    int64_t base = c->has_rtc_base ? c->rtc_base : DEFAULT_RTC_BASE;

    if (c->has_rtc_base || c->deterministic)
        clock_set_wall_offset(vm->clocks,
                              base -
                                  (int64_t)clock_now(vm->clocks, CLOCK_WALL));
}

static bool assemble(struct gen1 *g)
{
    const struct vm_config *c = g->config;
    struct board_options o = {
        .ram_bytes = c->memory,
        .ram_below_4g = RAM_BELOW_4G,
        .deterministic = c->deterministic,
        .lane_threads = c->deterministic ? 0 : LANE_THREADS,
        .pci = true,
    };

    if (!board_create(g->vm, &o, g->error))
        return false;
    set_wall_clock(g->vm, c);
    return make_drives(g) && make_ports(g) && add_devices(g) &&
           add_firmware(g) && add_items(g) && connect_processors(g);
}

struct vm *gen1_create(const struct vm_config *config, struct plugins *plugins,
                       GError **error)
{
    struct vm *vm = g_new0(struct vm, 1);
    struct gen1 g = { .vm = vm, .config = config, .error = error };

    vm->config = config;
    vm->plugins = plugins;
    vm->name = config->name;
    if (!config_check(config, error)) {
        g_free(vm);
        return NULL;
    }
    if (!assemble(&g)) {
        machine_destroy(vm);
        return NULL;
    }
    vm_reset(vm);
    return vm;
}
