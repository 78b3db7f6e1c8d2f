/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assembly of the Generation 1 PC: 440FX host bridge, PIIX4 at 0:7, the
 * PC/AT's ISA devices, VGA, and SeaBIOS.
 */
#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "lib/log.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "vm/assembly.h"
#include "vm/board.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/firmware.h"
#include "vm/fwcfg_items.h"
#include "vm/hot_ram.h"
#include "vm/linux_kernel.h"
#include "vm/machine.h"
#include "vm/storage.h"
#include "vm/multiboot.h"
#include "vm/vm.h"

#define ISA_SLOT      7u
#define RAM_BELOW_4G  (3ull << 30)
#define IDE_PLACES    4u
#define FLOPPY_PLACES 2u
#define MAX_FIRMWARE  (16u << 20)

struct gen1 {
    struct assembly a;
    struct block_drive *ide[IDE_PLACES];
    bool second_path[IDE_PLACES]; /* on VMBus as well */
    struct block_drive *floppy[FLOPPY_PLACES];
};

/* --- files ----------------------------------------------------------------*/

static bool add_firmware(struct gen1 *g)
{
    bool seabios = strcmp(g->a.config->firmware, "seabios") == 0;
    char *path = seabios ? find_firmware("bios-256k.bin")
                         : g_strdup(g->a.config->firmware);
    char *image = NULL;
    gsize bytes;
    GError *why = NULL;
    bool ok = false;

    if (!path) {
        vm_fail(g->a.error, VM_ERROR_CONFIG,
                "SeaBIOS (bios-256k.bin) is not installed (apt package: "
                "seabios)");
    } else if (!g_file_get_contents(path, &image, &bytes, &why)) {
        vm_fail(g->a.error, VM_ERROR_CONFIG,
                "firmware '%s' cannot be read: "
                "%s",
                path, why->message);
        g_error_free(why);
    } else if (bytes == 0 || bytes % 65536 || bytes > MAX_FIRMWARE) {
        vm_fail(g->a.error, VM_ERROR_CONFIG,
                "firmware '%s' has %" G_GSIZE_FORMAT
                " bytes; it must be a multiple of 64 KiB up to 16 MiB",
                path, bytes);
    } else {
        ok = board_add_firmware(g->a.vm, image, bytes, g->a.error);
    }
    g_free(image);
    g_free(path);
    return ok;
}

/* --- drives and ports -----------------------------------------------------*/

/* Takes the first free of four places, in this order. */
static bool place_drives(struct gen1 *g, enum config_drive_kind kind,
                         const char *stem, const unsigned *order)
{
    unsigned n = 0;

    for (guint i = 0; i < g->a.config->drives->len; i++) {
        const struct config_drive *from = g->a.config->drives->pdata[i];
        if (from->kind != kind)
            continue;
        char *name = g_strdup_printf("%s%u", stem, n++);
        if (config_is_scsi(g->a.config, from)) {
            g_free(name);
            continue;
        }
        struct block_drive *d = assembly_drive(&g->a, name, from);
        g_free(name);
        if (!d)
            return false;
        unsigned p = 0;
        while (g->ide[order[p]])
            p++;
        g->ide[order[p]] = d;
        g->second_path[order[p]] = from->second_path;
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
    for (guint i = 0; i < g->a.config->drives->len; i++) {
        const struct config_drive *from = g->a.config->drives->pdata[i];
        char name[16];
        if (from->kind != CONFIG_FLOPPY)
            continue;
        g_snprintf(name, sizeof(name), "floppy%u", n);
        g->floppy[n] = assembly_drive(&g->a, name, from);
        if (!g->floppy[n++])
            return false;
    }
    return true;
}

/* --- devices --------------------------------------------------------------*/

static bool add_bridges(struct gen1 *g)
{
    char memory[48];

    g_snprintf(memory, sizeof(memory), "memory=%" PRIu64, g->a.config->memory);
    return add(&g->a, "i440fx", "model=440fx", memory, NULL) &&
           add(&g->a, "piix4-isa", "slot=7", NULL);
}

static bool add_isa_devices(struct gen1 *g)
{
    const struct vm *vm = g->a.vm;
    char below[48], above[48], cpus[24];

    g_snprintf(below, sizeof(below), "ram-below-4g=%" PRIu64, vm->ram_below_4g);
    g_snprintf(above, sizeof(above), "ram-above-4g=%" PRIu64,
               g->a.config->memory - vm->ram_below_4g);
    g_snprintf(cpus, sizeof(cpus), "cpus=%u", g->a.config->cpus);
    return add(&g->a, "i8259", NULL) && add(&g->a, "ioapic", NULL) &&
           add(&g->a, "i8254", NULL) && add(&g->a, "i8237", NULL) &&
           add(&g->a, "mc146818", below, above, cpus,
               g->floppy[0] ? "floppy0=1.44m" : "floppy0=none",
               g->floppy[1] ? "floppy1=1.44m" : "floppy1=none", NULL) &&
           add(&g->a, "i8042", NULL);
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
    bool ok =
        assembly_add(&g->a, "piix4-ide", NULL, (const char *const *)settings);
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
    return add(&g->a, "i82077", first, second, NULL);
}

static bool add_vga(struct gen1 *g)
{
    if (!assembly_has(&g->a, "vga"))
        return true;
    char *rom = find_firmware("vgabios-stdvga.bin");
    char *setting = rom ? g_strconcat("romfile=", rom, NULL) : NULL;
    if (!rom)
        log_line(NULL, LOG_WARN, "machine",
                 "the VGA BIOS "
                 "(vgabios-stdvga.bin, apt package: seabios) is missing: "
                 "the screen stays dark");
    /* hyperv_fb comes up only beside the card that Hyper-V has. */
    bool hyperv = g->a.config->hv && plugins_find(g->a.vm->plugins, "synthvid");
    bool ok =
        add(&g->a, "vga", hyperv ? "hyperv=on" : "hyperv=off", setting, NULL);
    g_free(setting);
    g_free(rom);
    return ok;
}

static bool add_ide_paths(struct gen1 *g)
{
    struct block_drive *drives[IDE_PLACES];

    for (unsigned i = 0; i < IDE_PLACES; i++)
        drives[i] = g->second_path[i] ? g->ide[i] : NULL;
    return storage_add_ide_paths(&g->a, drives);
}

static bool add_devices(struct gen1 *g)
{
    return add_bridges(g) && add_isa_devices(g) && add_ide(g) &&
           add(&g->a, "piix4-pm", "slot=7", NULL) && add_vga(g) &&
           assembly_serials(&g->a) && add_floppies(g) &&
           add(&g->a, "fw-cfg", NULL) &&
           add(&g->a, "debug-port",
               g->a.config->debugcon ? "char=debugcon" : NULL, NULL) &&
           (!g->a.config->isa_debug_exit || add(&g->a, "exit-port", NULL)) &&
           assembly_synthetic(&g->a) && add_ide_paths(g) &&
           assembly_user_devices(&g->a) && assembly_realize(&g->a);
}

/* --- what the firmware is told --------------------------------------------*/

static bool add_multiboot(struct gen1 *g, struct linux_kernel *k)
{
    char *start_code = find_firmware("multiboot.bin");
    bool ok = start_code ? multiboot_setup(k, start_code, g->a.error)
                         : vm_fail(g->a.error, VM_ERROR_CONFIG,
                                   "the start code multiboot.bin is missing");

    g_free(start_code);
    return ok;
}

static bool add_kernel(struct gen1 *g)
{
    const struct vm_config *c = g->a.config;
    struct linux_kernel k = { 0 };
    char *rom = find_firmware("linuxboot.bin");
    bool ok = rom || vm_fail(g->a.error, VM_ERROR_CONFIG,
                             "the option ROM linuxboot.bin is missing");

    ok = ok &&
         linux_kernel_load(&k, c->kernel, c->initrd, c->append,
                           g->a.vm->ram_below_4g, g->a.error) &&
         (!k.multiboot || add_multiboot(g, &k)) &&
         linux_kernel_add(g->a.vm, &k, rom, g->a.error);
    linux_kernel_clear(&k);
    g_free(rom);
    return ok;
}

static bool add_items(struct gen1 *g)
{
    const struct vm_config *c = g->a.config;
    char *boot =
        g_strconcat(c->kernel ? "k" : "", c->boot ? c->boot : "adc", NULL);
    struct pc_board board = {
        .name = c->name,
        .cpus = c->cpus,
        .ram_below_4g = g->a.vm->ram_below_4g,
        .ram_above_4g = c->memory - g->a.vm->ram_below_4g,
        .pci_hole = hot_ram_low_end(g->a.vm),
        .isa_slot = ISA_SLOT,
        .serial_ports = MIN(g->a.serials, 2u),
        .floppies = (g->floppy[0] != NULL) + (g->floppy[1] != NULL),
        .vmbus = device_find(g->a.vm, "vmbus") != NULL,
        .ide_paths = storage_has_ide_paths(g->a.vm),
        .boot = boot,
    };
    bool ok = true;

    assembly_uuid(&g->a, board.uuid);
    fwcfg_items_add(g->a.vm, &board);
    if (c->kernel)
        ok = add_kernel(g);
    g_free(boot);
    return ok;
}

/* --- all of it ------------------------------------------------------------*/

bool gen1_assemble(struct assembly *a)
{
    struct gen1 g = { .a = *a };
    struct board_options o = {
        .ram_below_4g = RAM_BELOW_4G,
        .pci = true,
    };

    return assembly_board(a, &o) && make_drives(&g) &&
           assembly_ports(&g.a, 1) && add_devices(&g) && add_firmware(&g) &&
           add_items(&g) && assembly_processors(&g.a);
}
