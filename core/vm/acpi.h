/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of the Generation 1 board, for firmware that places them
 * (SeaBIOS by "etc/table-loader").
 */
#ifndef VM_ACPI_H
#define VM_ACPI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct acpi_board {
    unsigned cpus;
    uint32_t pci_hole_start; /* first address behind low memory */
    unsigned isa_slot;       /* PCI slot of the PIIX4 */
    unsigned serial_ports;   /* 0..2 */
    unsigned floppies;       /* 0: no controller is described */
    bool vmbus;
};

/* SeaBIOS places the PIIX4 power management ports here. */
#define ACPI_PM_BASE 0x600

struct acpi_blobs {
    GByteArray *rsdp;   /* file "etc/acpi/rsdp" */
    GByteArray *tables; /* file "etc/acpi/tables" */
    GByteArray *loader; /* file "etc/table-loader" */
};

/* The DSDT alone, with its header and checksum (for tests). */
GByteArray *acpi_build_dsdt(const struct acpi_board *board);
/* The caller owns the three arrays. */
void acpi_build(const struct acpi_board *board, struct acpi_blobs *out);

#endif
