/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables of a Generation 2 machine, at fixed places. */
#ifndef VM_ACPI_GEN2_H
#define VM_ACPI_GEN2_H

#include <glib.h>
#include <stdint.h>

struct acpi_gen2 {
    unsigned cpus;
    unsigned serial_ports; /* 0..2 */
    uint64_t tables;       /* guest-physical address of the result */
    uint64_t generation;   /* ... of the generation id */
    /* Memory that channels of the VMBus may ask for, inclusive. */
    uint32_t low_first, low_last;
    uint64_t high_first, high_last;
};

#define ACPI_GEN2_PM_BASE 0x400

/* An RSDP, and behind it everything that it leads to.  The caller owns it. */
GByteArray *acpi_gen2_build(const struct acpi_gen2 *board);

#endif
