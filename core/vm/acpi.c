/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSDP, RSDT, FADT, FACS and MADT, and the linker script by which SeaBIOS
 * places them.  The DSDT is in acpi_dsdt.c.
 *
 * Sources: ACPI 2.0 chapter 5; the loader commands as SeaBIOS reads them:
 * 128 bytes each, 1 = allocate {file, alignment, zone}, 2 = add pointer {file
 * that holds it, file it points into, offset, size}, 3 = add checksum {file,
 * offset of the sum, start, length}.
 */
#include "vm/acpi.h"

#include <string.h>

#include "vm/acpi_table.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"

#define LOADER_ENTRY 128
#define LOADER_FILE  56
#define ZONE_HIGH    1
#define ZONE_FSEG    2

#define FADT_BYTES 116
#define FADT_FLAGS 0x8025u /* WBINVD, PROC_C1, SLP_BUTTON, platform clock */

/* --- loader commands ----------------------------------------------------- */

static void loader_name(GByteArray *l, const char *file)
{
    guint at = l->len;

    acpi_put_zeros(l, LOADER_FILE);
    strcpy((char *)l->data + at, file);
}

static void loader_pad(GByteArray *l)
{
    acpi_put_zeros(l, (LOADER_ENTRY - l->len % LOADER_ENTRY) % LOADER_ENTRY);
}

static void loader_allocate(GByteArray *l, const char *file, uint32_t alignment,
                            uint8_t zone)
{
    acpi_put32(l, 1);
    loader_name(l, file);
    acpi_put32(l, alignment);
    acpi_put8(l, zone);
    loader_pad(l);
}

static void loader_pointer(GByteArray *l, const char *holder, uint32_t offset)
{
    acpi_put32(l, 2);
    loader_name(l, holder);
    loader_name(l, TABLES_FILE);
    acpi_put32(l, offset);
    acpi_put8(l, 4);
    loader_pad(l);
}

static void loader_checksum(GByteArray *l, const char *file, uint32_t sum_at,
                            uint32_t start, uint32_t bytes)
{
    acpi_put32(l, 3);
    loader_name(l, file);
    acpi_put32(l, sum_at);
    acpi_put32(l, start);
    acpi_put32(l, bytes);
    loader_pad(l);
}

/* A table with pointers in it: its sum is made after they were added. */
static void loader_table_sum(GByteArray *l, GByteArray *tables, guint start)
{
    tables->data[start + ACPI_HEADER_SUM] = 0;
    loader_checksum(l, TABLES_FILE, start + ACPI_HEADER_SUM, start,
                    tables->len - start);
}

/* --- tables -------------------------------------------------------------- */

static void put_facs(GByteArray *b)
{
    g_byte_array_append(b, (const guint8 *)"FACS", 4);
    acpi_put32(b, 64);
    acpi_put_zeros(b, 56);
}

static void put_fadt(GByteArray *b, uint32_t facs, uint32_t dsdt)
{
    acpi_put_header(b, "FACP", 1);
    acpi_put32(b, facs);
    acpi_put32(b, dsdt);
    acpi_put8(b, 1); /* interrupt model: dual 8259 */
    acpi_put8(b, 0);
    acpi_put16(b, 9);    /* SCI */
    acpi_put32(b, 0xb2); /* SMI command port ... */
    acpi_put8(b, 0xf1);  /* ... ACPI enable, disable */
    acpi_put8(b, 0xf0);
    acpi_put8(b, 0);
    acpi_put8(b, 0);
    acpi_put_pm_ports(b, ACPI_PM_BASE);
    acpi_put16(b, 0x0fff); /* C2, C3 latency: not supported */
    acpi_put16(b, 0x0fff);
    acpi_put16(b, 0); /* flush size, stride */
    acpi_put16(b, 0);
    acpi_put8(b, 0); /* duty offset, width */
    acpi_put8(b, 0);
    acpi_put8(b, 0); /* CMOS: day alarm, month alarm, century */
    acpi_put8(b, 0);
    acpi_put8(b, 0x32);
    acpi_put_zeros(b, 3);
    acpi_put32(b, FADT_FLAGS);
}

static void put_rsdp(GByteArray *b, uint32_t rsdt)
{
    g_byte_array_append(b, (const guint8 *)"RSD PTR ", 8);
    acpi_put8(b, 0);
    g_byte_array_append(b, (const guint8 *)"BCKPLN", 6);
    acpi_put8(b, 0); /* ACPI 1.0 form: RSDT only */
    acpi_put32(b, rsdt);
}

void acpi_build(const struct acpi_board *board, struct acpi_blobs *out)
{
    GByteArray *t = g_byte_array_new(), *l = g_byte_array_new();
    GByteArray *dsdt = acpi_build_dsdt(board);
    guint dsdt_at, fadt, madt, rsdt;

    loader_allocate(l, RSDP_FILE, 16, ZONE_FSEG);
    loader_allocate(l, TABLES_FILE, 64, ZONE_HIGH);

    put_facs(t);
    dsdt_at = t->len;
    g_byte_array_append(t, dsdt->data, dsdt->len);
    g_byte_array_unref(dsdt);

    fadt = t->len;
    put_fadt(t, 0, dsdt_at);
    acpi_finish(t, fadt);
    g_assert(t->len - fadt == FADT_BYTES);
    loader_pointer(l, TABLES_FILE, fadt + 36);
    loader_pointer(l, TABLES_FILE, fadt + 40);
    loader_table_sum(l, t, fadt);

    madt = t->len;
    acpi_put_madt(t, board->cpus, true);

    rsdt = t->len;
    acpi_put_header(t, "RSDT", 1);
    acpi_put32(t, fadt);
    acpi_put32(t, madt);
    acpi_finish(t, rsdt);
    loader_pointer(l, TABLES_FILE, rsdt + ACPI_HEADER_BYTES);
    loader_pointer(l, TABLES_FILE, rsdt + ACPI_HEADER_BYTES + 4);
    loader_table_sum(l, t, rsdt);

    out->rsdp = g_byte_array_new();
    put_rsdp(out->rsdp, rsdt);
    loader_pointer(l, RSDP_FILE, 16);
    loader_checksum(l, RSDP_FILE, 8, 0, 20);
    out->tables = t;
    out->loader = l;
}
