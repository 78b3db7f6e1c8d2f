/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/acpi_table.h"

#include "vm/aml.h"

#define LENGTH_AT   4
#define LAPIC_BASE  0xfee00000u
#define IOAPIC_BASE 0xfec00000u

void acpi_put8(GByteArray *b, uint8_t v)
{
    g_byte_array_append(b, &v, 1);
}

void acpi_put16(GByteArray *b, uint16_t v)
{
    acpi_put8(b, v);
    acpi_put8(b, v >> 8);
}

void acpi_put32(GByteArray *b, uint32_t v)
{
    acpi_put16(b, v);
    acpi_put16(b, v >> 16);
}

void acpi_put_zeros(GByteArray *b, unsigned n)
{
    while (n--)
        acpi_put8(b, 0);
}

static void set32(GByteArray *b, guint at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        b->data[at + i] = v >> 8 * i;
}

void acpi_put_header(GByteArray *b, const char *signature, uint8_t revision)
{
    g_byte_array_append(b, (const guint8 *)signature, 4);
    acpi_put32(b, 0); /* length: acpi_finish */
    acpi_put8(b, revision);
    acpi_put8(b, 0); /* checksum */
    g_byte_array_append(b, (const guint8 *)"BCKPLNBACKPLN1", 14);
    acpi_put32(b, 1);
    g_byte_array_append(b, (const guint8 *)"BPLN", 4);
    acpi_put32(b, 1);
}

void acpi_finish(GByteArray *b, guint start)
{
    uint8_t sum = 0;

    set32(b, start + LENGTH_AT, b->len - start);
    for (guint i = start; i < b->len; i++)
        sum += b->data[i];
    b->data[start + ACPI_HEADER_SUM] -= sum;
}

static void put_override(GByteArray *b, uint8_t irq, uint32_t gsi,
                         uint16_t flags)
{
    acpi_put8(b, 2);
    acpi_put8(b, 10);
    acpi_put8(b, 0);
    acpi_put8(b, irq);
    acpi_put32(b, gsi);
    acpi_put16(b, flags);
}

void acpi_put_madt(GByteArray *b, unsigned cpus, bool pc)
{
    guint start = b->len;

    acpi_put_header(b, "APIC", 1);
    acpi_put32(b, LAPIC_BASE);
    acpi_put32(b, pc); /* the 8259 pair is there too */
    for (unsigned i = 0; i < cpus; i++) {
        acpi_put8(b, 0);
        acpi_put8(b, 8);
        acpi_put8(b, i);
        acpi_put8(b, i); /* APIC id */
        acpi_put32(b, 1);
    }
    acpi_put8(b, 1); /* I/O APIC */
    acpi_put8(b, 12);
    acpi_put8(b, 0);
    acpi_put8(b, 0);
    acpi_put32(b, IOAPIC_BASE);
    acpi_put32(b, 0);
    if (pc)
        put_override(b, 0, 2, 0); /* the timer comes in on input 2 */
    for (unsigned irq = 5; irq <= 11; irq++)
        if (irq == 9 || (pc && (irq == 5 || irq > 9)))
            put_override(b, irq, irq, 0x0d); /* level, active high */
    acpi_put8(b, 4);                         /* NMI on LINT1 of all */
    acpi_put8(b, 6);
    acpi_put8(b, 0xff);
    acpi_put16(b, 0);
    acpi_put8(b, 1);
    acpi_finish(b, start);
}

void acpi_put_pm_ports(GByteArray *b, uint16_t base)
{
    acpi_put32(b, base); /* PM1a event */
    acpi_put32(b, 0);
    acpi_put32(b, base + 4); /* PM1a control */
    acpi_put32(b, 0);
    acpi_put32(b, 0);
    acpi_put32(b, base + 8);  /* timer */
    acpi_put32(b, base + 12); /* GPE 0 */
    acpi_put32(b, 0);
    acpi_put8(b, 4); /* lengths: PM1 event, control, PM2, timer */
    acpi_put8(b, 2);
    acpi_put8(b, 0);
    acpi_put8(b, 4);
    acpi_put8(b, 4); /* GPE 0, GPE 1, its base */
    acpi_put_zeros(b, 3);
}

void acpi_put_vmbus(struct aml *a, unsigned irq)
{
    aml_begin_device(a, "VMBS");
    aml_name_string(a, "_HID", "MSFT1000");
    aml_name_string(a, "_CID", "VMBus");
    aml_name_integer(a, "_UID", 0);
    aml_name_integer(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    if (irq)
        aml_res_irq(a, irq);
    aml_end_resources(a);
    aml_end(a);
}

void acpi_put_soft_off(struct aml *a)
{
    aml_name(a, "\\_S5_");
    aml_begin_package(a, 4);
    for (unsigned i = 0; i < 4; i++)
        aml_integer(a, 0);
    aml_end(a);
}
