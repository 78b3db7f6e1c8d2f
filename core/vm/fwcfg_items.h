/* SPDX-License-Identifier: Apache-2.0 */
/* What a Generation 1 board tells SeaBIOS through fw_cfg. */
#ifndef VM_FWCFG_ITEMS_H
#define VM_FWCFG_ITEMS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;

struct pc_board {
    const char *name;
    unsigned cpus;
    uint64_t ram_below_4g, ram_above_4g;
    uint64_t pci_hole; /* where the window of PCI may begin */
    unsigned isa_slot;
    unsigned serial_ports, floppies;
    bool vmbus, ide_paths;
    const char *boot; /* letters in order: a floppy, c disk, d CD,
                                 * k the --kernel option ROM */
    uint8_t uuid[16];
};

/* E820, ACPI, SMBIOS, processor counts, boot order. */
void fwcfg_items_add(struct vm *vm, const struct pc_board *board);

#endif
