/* SPDX-License-Identifier: Apache-2.0 */
/* Between acpi.c and acpi_dsdt.c: headers of system description tables. */
#ifndef VM_ACPI_DSDT_H
#define VM_ACPI_DSDT_H

#include <glib.h>
#include <stdint.h>

/* 36 bytes, length and checksum still 0. */
void acpi_put_header(GByteArray *b, const char *signature, uint8_t revision);
/* Fills in both for the table from `start` to the end of `b`. */
void acpi_finish(GByteArray *b, guint start);

#endif
