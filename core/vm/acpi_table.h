/* SPDX-License-Identifier: Apache-2.0 */
/* What the ACPI tables of both machines are written with (ACPI 6.4 chapter
 * 5). */
#ifndef VM_ACPI_TABLE_H
#define VM_ACPI_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct aml;

#define ACPI_HEADER_BYTES 36u
#define ACPI_HEADER_SUM   9u /* where the checksum is */

/* Little-endian. */
void acpi_put8(GByteArray *b, uint8_t v);
void acpi_put16(GByteArray *b, uint16_t v);
void acpi_put32(GByteArray *b, uint32_t v);
void acpi_put_zeros(GByteArray *b, unsigned n);

/* 36 bytes, length and checksum still 0. */
void acpi_put_header(GByteArray *b, const char *signature, uint8_t revision);
/* Fills in both for the table from `start` to the end of `b`. */
void acpi_finish(GByteArray *b, guint start);

/* A whole MADT: local APICs, the I/O APIC, and what of a PC's interrupts is
 * different from ISA; pc: with PIC and PIT. */
void acpi_put_madt(GByteArray *b, unsigned cpus, bool pc);

/* The part of a FADT that gives the ports of power management, in the order
 * of the PIIX4, and their lengths. */
void acpi_put_pm_ports(GByteArray *b, uint16_t base);

/*
 * The device of the VMBus.  Guests take the memory that channels ask for out
 * of the windows of the bus above, but Linux looks there only if this one has
 * a _CRS, even an empty one.  irq: for guests that know no other way to an
 * interrupt, 0: none.
 */
void acpi_put_vmbus(struct aml *a, unsigned irq);

/* \_S5: sleep type 0 is soft off. */
void acpi_put_soft_off(struct aml *a);

#endif
