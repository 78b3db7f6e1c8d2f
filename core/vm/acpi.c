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

#include "vm/acpi_dsdt.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"

#define HEADER_BYTES  36
#define HEADER_LENGTH 4
#define HEADER_SUM    9

#define LOADER_ENTRY 128
#define LOADER_FILE  56
#define ZONE_HIGH    1
#define ZONE_FSEG    2

#define FADT_BYTES 116
#define FADT_FLAGS 0x8025u /* WBINVD, PROC_C1, SLP_BUTTON, platform clock */

#define LAPIC_BASE  0xfee00000u
#define IOAPIC_BASE 0xfec00000u

static void put8(GByteArray *b, uint8_t v)
{
    g_byte_array_append(b, &v, 1);
}

static void put16(GByteArray *b, uint16_t v)
{
    put8(b, v);
    put8(b, v >> 8);
}

static void put32(GByteArray *b, uint32_t v)
{
    put16(b, v);
    put16(b, v >> 16);
}

static void put_zeros(GByteArray *b, unsigned n)
{
    while (n--)
        put8(b, 0);
}

static void set32(GByteArray *b, guint at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        b->data[at + i] = v >> 8 * i;
}

void acpi_put_header(GByteArray *b, const char *signature, uint8_t revision)
{
    g_byte_array_append(b, (const guint8 *)signature, 4);
    put32(b, 0); /* length: acpi_finish */
    put8(b, revision);
    put8(b, 0); /* checksum */
    g_byte_array_append(b, (const guint8 *)"BCKPLNBACKPLN1", 14);
    put32(b, 1);
    g_byte_array_append(b, (const guint8 *)"BPLN", 4);
    put32(b, 1);
}

void acpi_finish(GByteArray *b, guint start)
{
    uint8_t sum = 0;

    set32(b, start + HEADER_LENGTH, b->len - start);
    for (guint i = start; i < b->len; i++)
        sum += b->data[i];
    b->data[start + HEADER_SUM] -= sum;
}

/* --- loader commands ----------------------------------------------------- */

static void loader_name(GByteArray *l, const char *file)
{
    guint at = l->len;

    put_zeros(l, LOADER_FILE);
    strcpy((char *)l->data + at, file);
}

static void loader_pad(GByteArray *l)
{
    put_zeros(l, (LOADER_ENTRY - l->len % LOADER_ENTRY) % LOADER_ENTRY);
}

static void loader_allocate(GByteArray *l, const char *file, uint32_t alignment,
                            uint8_t zone)
{
    put32(l, 1);
    loader_name(l, file);
    put32(l, alignment);
    put8(l, zone);
    loader_pad(l);
}

static void loader_pointer(GByteArray *l, const char *holder, uint32_t offset)
{
    put32(l, 2);
    loader_name(l, holder);
    loader_name(l, TABLES_FILE);
    put32(l, offset);
    put8(l, 4);
    loader_pad(l);
}

static void loader_checksum(GByteArray *l, const char *file, uint32_t sum_at,
                            uint32_t start, uint32_t bytes)
{
    put32(l, 3);
    loader_name(l, file);
    put32(l, sum_at);
    put32(l, start);
    put32(l, bytes);
    loader_pad(l);
}

/* A table with pointers in it: its sum is made after they were added. */
static void loader_table_sum(GByteArray *l, GByteArray *tables, guint start)
{
    tables->data[start + HEADER_SUM] = 0;
    loader_checksum(l, TABLES_FILE, start + HEADER_SUM, start,
                    tables->len - start);
}

/* --- tables -------------------------------------------------------------- */

static void put_facs(GByteArray *b)
{
    g_byte_array_append(b, (const guint8 *)"FACS", 4);
    put32(b, 64);
    put_zeros(b, 56);
}

static void put_fadt(GByteArray *b, uint32_t facs, uint32_t dsdt)
{
    acpi_put_header(b, "FACP", 1);
    put32(b, facs);
    put32(b, dsdt);
    put8(b, 1); /* interrupt model: dual 8259 */
    put8(b, 0);
    put16(b, 9);    /* SCI */
    put32(b, 0xb2); /* SMI command port ... */
    put8(b, 0xf1);  /* ... ACPI enable, disable */
    put8(b, 0xf0);
    put8(b, 0);
    put8(b, 0);
    put32(b, ACPI_PM_BASE); /* PM1a event */
    put32(b, 0);
    put32(b, ACPI_PM_BASE + 4); /* PM1a control */
    put32(b, 0);
    put32(b, 0);
    put32(b, ACPI_PM_BASE + 8);  /* timer */
    put32(b, ACPI_PM_BASE + 12); /* GPE 0 */
    put32(b, 0);
    put8(b, 4); /* lengths: PM1 event, control, PM2, timer */
    put8(b, 2);
    put8(b, 0);
    put8(b, 4);
    put8(b, 4); /* GPE 0, GPE 1, its base */
    put8(b, 0);
    put8(b, 0);
    put8(b, 0);
    put16(b, 0x0fff); /* C2, C3 latency: not supported */
    put16(b, 0x0fff);
    put16(b, 0); /* flush size, stride */
    put16(b, 0);
    put8(b, 0); /* duty offset, width */
    put8(b, 0);
    put8(b, 0); /* CMOS: day alarm, month alarm, century */
    put8(b, 0);
    put8(b, 0x32);
    put_zeros(b, 3);
    put32(b, FADT_FLAGS);
}

static void put_override(GByteArray *b, uint8_t irq, uint32_t gsi,
                         uint16_t flags)
{
    put8(b, 2);
    put8(b, 10);
    put8(b, 0);
    put8(b, irq);
    put32(b, gsi);
    put16(b, flags);
}

static void put_madt(GByteArray *b, unsigned cpus)
{
    acpi_put_header(b, "APIC", 1);
    put32(b, LAPIC_BASE);
    put32(b, 1); /* the 8259 pair is there too */
    for (unsigned i = 0; i < cpus; i++) {
        put8(b, 0);
        put8(b, 8);
        put8(b, i);
        put8(b, i); /* APIC id */
        put32(b, 1);
    }
    put8(b, 1); /* I/O APIC */
    put8(b, 12);
    put8(b, 0);
    put8(b, 0);
    put32(b, IOAPIC_BASE);
    put32(b, 0);
    put_override(b, 0, 2, 0); /* the timer comes in on input 2 */
    for (unsigned irq = 5; irq <= 11; irq++)
        if (irq == 5 || irq >= 9)
            put_override(b, irq, irq, 0x0d); /* level, active high */
    put8(b, 4);                              /* NMI on LINT1 of all */
    put8(b, 6);
    put8(b, 0xff);
    put16(b, 0);
    put8(b, 1);
}

static void put_rsdp(GByteArray *b, uint32_t rsdt)
{
    g_byte_array_append(b, (const guint8 *)"RSD PTR ", 8);
    put8(b, 0);
    g_byte_array_append(b, (const guint8 *)"BCKPLN", 6);
    put8(b, 0); /* ACPI 1.0 form: RSDT only */
    put32(b, rsdt);
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
    put_madt(t, board->cpus);
    acpi_finish(t, madt);

    rsdt = t->len;
    acpi_put_header(t, "RSDT", 1);
    put32(t, fadt);
    put32(t, madt);
    acpi_finish(t, rsdt);
    loader_pointer(l, TABLES_FILE, rsdt + HEADER_BYTES);
    loader_pointer(l, TABLES_FILE, rsdt + HEADER_BYTES + 4);
    loader_table_sum(l, t, rsdt);

    out->rsdp = g_byte_array_new();
    put_rsdp(out->rsdp, rsdt);
    loader_pointer(l, RSDP_FILE, 16);
    loader_checksum(l, RSDP_FILE, 8, 0, 20);
    out->tables = t;
    out->loader = l;
}
