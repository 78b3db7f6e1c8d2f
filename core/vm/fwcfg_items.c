/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: QEMU docs/specs/fw_cfg and the readers in SeaBIOS
 * (src/fw/paravirt.c, src/boot.c): key numbers, file names, device paths.
 */
#include "vm/fwcfg_items.h"

#include <string.h>

#include "vm/acpi.h"
#include "vm/firmware.h"
#include "vm/smbios.h"

enum {
    KEY_RAM_SIZE = 0x03,
    KEY_CPUS = 0x05,
    KEY_NUMA = 0x0d,
    KEY_BOOT_MENU = 0x0e,
    KEY_MAX_CPUS = 0x0f,
    KEY_IRQ0_OVERRIDE = 0x8002,
};

#define E820_RAM 1
#define FOUR_GIB (1ull << 32)

static void put_le(GByteArray *b, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        guint8 byte = v >> 8 * i;

        g_byte_array_append(b, &byte, 1);
    }
}

static void add_number(struct vm *vm, uint32_t key, uint64_t v, unsigned bytes)
{
    GByteArray *b = g_byte_array_new();

    put_le(b, v, bytes);
    firmware_add_bytes(vm, key, NULL, g_byte_array_free_to_bytes(b));
}

static void add_file(struct vm *vm, const char *name, GByteArray *b)
{
    firmware_add_bytes(vm, FIRMWARE_FILE, name, g_byte_array_free_to_bytes(b));
}

static void add_e820(struct vm *vm, const struct pc_board *board)
{
    GByteArray *b = g_byte_array_new();

    put_le(b, 0, 8);
    put_le(b, board->ram_below_4g, 8);
    put_le(b, E820_RAM, 4);
    if (board->ram_above_4g) {
        put_le(b, FOUR_GIB, 8);
        put_le(b, board->ram_above_4g, 8);
        put_le(b, E820_RAM, 4);
    }
    add_file(vm, "etc/e820", b);
}

static void add_acpi(struct vm *vm, const struct pc_board *board)
{
    const struct acpi_board b = {
        .cpus = board->cpus,
        .pci_hole_start = (uint32_t)board->pci_hole,
        .isa_slot = board->isa_slot,
        .serial_ports = board->serial_ports,
        .floppies = board->floppies,
        .vmbus = board->vmbus,
    };
    struct acpi_blobs blobs;

    acpi_build(&b, &blobs);
    add_file(vm, "etc/acpi/rsdp", blobs.rsdp);
    add_file(vm, "etc/acpi/tables", blobs.tables);
    add_file(vm, "etc/table-loader", blobs.loader);
}

static void add_smbios(struct vm *vm, const struct pc_board *board)
{
    struct smbios_board b = {
        .name = board->name,
        .cpus = board->cpus,
        .memory = board->ram_below_4g + board->ram_above_4g,
        .ide_paths = board->ide_paths,
    };
    GByteArray *anchor, *tables;

    memcpy(b.uuid, board->uuid, sizeof(b.uuid));
    smbios_build(&b, &anchor, &tables);
    add_file(vm, "etc/smbios/smbios-anchor", anchor);
    add_file(vm, "etc/smbios/smbios-tables", tables);
}

/* Open Firmware paths of what a letter stands for, one a line. */
static void append_boot_paths(GString *s, char letter, unsigned isa_slot)
{
    static const struct {
        unsigned channel, unit;
    } order[4] = {
        { 0, 0 },
        { 0, 1 },
        { 1, 0 },
        { 1, 1 },
    };

    switch (letter) {
    case 'a':
        g_string_append_printf(s, "/pci@i0cf8/isa@%x/fdc@03f0/floppy@0\n",
                               isa_slot);
        break;
    case 'c':
    case 'd':
        /* Disks come first on the primary channel, CDs on the secondary. */
        for (unsigned i = 0; i < 4; i++) {
            unsigned n = letter == 'c' ? i : i ^ 2;

            g_string_append_printf(s, "/pci@i0cf8/ide@%x,1/drive@%x/disk@%x\n",
                                   isa_slot, order[n].channel, order[n].unit);
        }
        break;
    case 'k': g_string_append(s, "/rom@genroms/linuxboot.bin\n"); break;
    }
}

static void add_boot_order(struct vm *vm, const struct pc_board *board)
{
    g_autoptr(GString) s = g_string_new(NULL);

    for (const char *p = board->boot; p && *p; p++)
        append_boot_paths(s, *p, board->isa_slot);
    /* Lines are separated, not ended; the text has its NUL. */
    if (s->len)
        g_string_truncate(s, s->len - 1);
    firmware_add_item(vm, FIRMWARE_FILE, "bootorder", s->str, s->len + 1);
}

void fwcfg_items_add(struct vm *vm, const struct pc_board *board)
{
    add_number(vm, KEY_RAM_SIZE, board->ram_below_4g + board->ram_above_4g, 8);
    add_number(vm, KEY_CPUS, board->cpus, 2);
    add_number(vm, KEY_MAX_CPUS, board->cpus, 2);
    add_number(vm, KEY_NUMA, 0, 8);
    add_number(vm, KEY_BOOT_MENU, 0, 2);
    add_number(vm, KEY_IRQ0_OVERRIDE, 1, 4);
    add_e820(vm, board);
    add_acpi(vm, board);
    add_smbios(vm, board);
    add_boot_order(vm, board);
}
