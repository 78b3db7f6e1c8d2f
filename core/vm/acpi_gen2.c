/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSDP, XSDT, FADT, FACS, MADT and DSDT of the Generation 2 board, whose
 * place in memory is known, so that nobody needs to link them.
 *
 * In ASL the DSDT would read:
 *
 *   Scope (\_SB) {
 *     Device (VMOD) { _HID ACPI0004, _CRS: the memory windows
 *       Device (VMBS) { _HID MSFT1000, _CID VMBus, _CRS IRQ 5 } }
 *     Device (RTC_) .. Device (COM1) ..
 *     Device (GENC) { _CID VM_Gen_Counter, ADDR }
 *   }
 *   Method (\_GPE._E00) { Notify (\_SB.GENC, 80h) }
 *   Name (\_S5, Package { 0, 0, 0, 0 })
 *
 * Sources: ACPI 6.4 chapter 5; reference/hyperv.md 2.6.
 */
#include "vm/acpi_gen2.h"

#include <string.h>

#include "vm/acpi_table.h"
#include "vm/aml.h"

#define NOTIFY_OP 0x86

#define RSDP_BYTES      36u
#define RSDP_V1_BYTES   20u
#define RSDP_SUM        8u
#define RSDP_EXT_SUM    32u
#define TABLE_ALIGNMENT 64u

#define FADT_BYTES    244u
#define FADT_REVISION 4
/* WBINVD, C1, sleep button by method, 32-bit timer, reset register, platform
 * clock */
#define FADT_FLAGS     (1u | 1u << 2 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 15)
#define BOOT_NO_VGA    0x0004 /* and bits 0, 1 clear: no ISA bus, no 8042 */
#define RESET_PORT     (ACPI_GEN2_PM_BASE + 0x33)
#define RESET_VALUE    1
#define SCI            9
#define NOT_SUPPORTED  0x0fff /* latency of C2, C3 */
#define CMOS_CENTURY   0x32
#define ADDRESS_SYSIO  1
#define VMBUS_OLD_IRQ  5 /* for guests that know no interrupt vector of it */
#define GENERATION_GPE "_E00"

static void put64(GByteArray *b, uint64_t v)
{
    acpi_put32(b, v);
    acpi_put32(b, v >> 32);
}

/* --- DSDT ---------------------------------------------------------------- */

static void put_windows(struct aml *a, const struct acpi_gen2 *board)
{
    aml_begin_device(a, "VMOD");
    aml_name_string(a, "_HID", "ACPI0004");
    aml_name_integer(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_dword_memory(a, board->low_first, board->low_last, false);
    aml_res_qword_memory(a, board->high_first, board->high_last);
    aml_end_resources(a);

    acpi_put_vmbus(a, VMBUS_OLD_IRQ);
    aml_end(a);
}

static void put_port_device(struct aml *a, const char *name, const char *id,
                            unsigned uid, uint16_t port, uint8_t ports,
                            unsigned irq)
{
    aml_begin_device(a, name);
    aml_name_eisaid(a, "_HID", id);
    aml_name_integer(a, "_UID", uid);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_io(a, port, ports);
    aml_res_irq(a, irq);
    aml_end_resources(a);
    aml_end(a);
}

static void put_generation(struct aml *a, uint64_t at)
{
    aml_begin_device(a, "GENC");
    aml_name_string(a, "_HID", "MSFT1002");
    aml_name_string(a, "_CID", "VM_Gen_Counter");
    aml_name_string(a, "_DDN", "VM_Gen_Counter");
    aml_name(a, "ADDR");
    aml_begin_package(a, 2);
    aml_integer(a, (uint32_t)at);
    aml_integer(a, at >> 32);
    aml_end(a);
    aml_end(a);
}

static GByteArray *build_dsdt(const struct acpi_gen2 *board)
{
    struct aml a;

    aml_init(&a);
    acpi_put_header(a.out, "DSDT", 2);
    aml_begin_scope(&a, "\\_SB_");
    put_windows(&a, board);
    put_port_device(&a, "RTC_", "PNP0B00", 0, 0x70, 2, 8);
    if (board->serial_ports > 0)
        put_port_device(&a, "COM1", "PNP0501", 1, 0x3f8, 8, 4);
    if (board->serial_ports > 1)
        put_port_device(&a, "COM2", "PNP0501", 2, 0x2f8, 8, 3);
    put_generation(&a, board->generation);
    aml_end(&a);
    aml_begin_scope(&a, "\\_GPE");
    aml_begin_method(&a, GENERATION_GPE, 0);
    aml_byte(&a, NOTIFY_OP);
    aml_path(&a, "\\\x2e_SB_GENC");
    aml_integer(&a, 0x80);
    aml_end(&a);
    aml_end(&a);
    acpi_put_soft_off(&a);
    acpi_finish(a.out, 0);
    return aml_take(&a);
}

/* --- the other tables ---------------------------------------------------- */

static void put_facs(GByteArray *b)
{
    g_byte_array_append(b, (const guint8 *)"FACS", 4);
    acpi_put32(b, 64);
    acpi_put_zeros(b, 24);
    acpi_put8(b, 2); /* version */
    acpi_put_zeros(b, 31);
}

/* Generic address: an I/O port, or none. */
static void put_address(GByteArray *b, uint16_t port, uint8_t bits)
{
    acpi_put8(b, bits ? ADDRESS_SYSIO : 0);
    acpi_put8(b, bits);
    acpi_put8(b, 0);
    acpi_put8(b, 0); /* access size: any */
    put64(b, port);
}

static void put_fadt_extended(GByteArray *b, uint64_t facs, uint64_t dsdt)
{
    put_address(b, RESET_PORT, 8);
    acpi_put8(b, RESET_VALUE);
    acpi_put_zeros(b, 3);
    put64(b, facs);
    put64(b, dsdt);
    put_address(b, ACPI_GEN2_PM_BASE, 32);
    put_address(b, 0, 0);
    put_address(b, ACPI_GEN2_PM_BASE + 4, 16);
    put_address(b, 0, 0);
    put_address(b, 0, 0);
    put_address(b, ACPI_GEN2_PM_BASE + 8, 32);
    put_address(b, ACPI_GEN2_PM_BASE + 12, 32);
    put_address(b, 0, 0);
}

static void put_fadt(GByteArray *b, uint64_t facs, uint64_t dsdt)
{
    guint start = b->len;

    acpi_put_header(b, "FACP", FADT_REVISION);
    acpi_put32(b, facs);
    acpi_put32(b, dsdt);
    acpi_put8(b, 0);
    acpi_put8(b, 0); /* profile: not said */
    acpi_put16(b, SCI);
    acpi_put_zeros(b, 8); /* no SMI command: ACPI is always on */
    acpi_put_pm_ports(b, ACPI_GEN2_PM_BASE);
    acpi_put16(b, NOT_SUPPORTED);
    acpi_put16(b, NOT_SUPPORTED);
    acpi_put_zeros(b, 8); /* flush size and stride, duty, alarms */
    acpi_put8(b, CMOS_CENTURY);
    acpi_put16(b, BOOT_NO_VGA);
    acpi_put8(b, 0);
    acpi_put32(b, FADT_FLAGS);
    put_fadt_extended(b, facs, dsdt);
    g_assert(b->len - start == FADT_BYTES);
    acpi_finish(b, start);
}

static uint8_t sum_of(const GByteArray *b, guint bytes)
{
    uint8_t sum = 0;

    for (guint i = 0; i < bytes; i++)
        sum += b->data[i];
    return sum;
}

static void put_rsdp(GByteArray *b, uint64_t xsdt)
{
    GByteArray *r = g_byte_array_new();

    g_byte_array_append(r, (const guint8 *)"RSD PTR ", 8);
    acpi_put8(r, 0);
    g_byte_array_append(r, (const guint8 *)"BCKPLN", 6);
    acpi_put8(r, 2);
    acpi_put32(r, 0); /* no RSDT */
    acpi_put32(r, RSDP_BYTES);
    put64(r, xsdt);
    acpi_put_zeros(r, 4);
    r->data[RSDP_SUM] = -sum_of(r, RSDP_V1_BYTES);
    r->data[RSDP_EXT_SUM] = -sum_of(r, RSDP_BYTES);
    memcpy(b->data, r->data, RSDP_BYTES);
    g_byte_array_unref(r);
}

static uint64_t begin_table(GByteArray *b, const struct acpi_gen2 *board)
{
    acpi_put_zeros(b, -b->len % TABLE_ALIGNMENT);
    return board->tables + b->len;
}

GByteArray *acpi_gen2_build(const struct acpi_gen2 *board)
{
    GByteArray *b = g_byte_array_new();
    GByteArray *dsdt = build_dsdt(board);
    uint64_t facs, dsdt_at, fadt, madt, xsdt;

    acpi_put_zeros(b, RSDP_BYTES);
    facs = begin_table(b, board);
    put_facs(b);
    dsdt_at = begin_table(b, board);
    g_byte_array_append(b, dsdt->data, dsdt->len);
    g_byte_array_unref(dsdt);
    fadt = begin_table(b, board);
    put_fadt(b, facs, dsdt_at);
    madt = begin_table(b, board);
    acpi_put_madt(b, board->cpus, false);
    xsdt = begin_table(b, board);
    guint start = b->len;
    acpi_put_header(b, "XSDT", 1);
    put64(b, fadt);
    put64(b, madt);
    acpi_finish(b, start);
    put_rsdp(b, xsdt);
    return b;
}
