/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT of the Generation 1 board: PCI root with its windows and interrupt
 * routing, the four PIRQ links of the PIIX4, ISA devices, soft off.
 *
 * In ASL it would read:
 *
 *   Scope (\_SB) {
 *     Device (PCI0) { _HID PNP0A03 .. _CRS, _PRT
 *       Device (ISA) { OperationRegion 60h-63h; Device (RTC) .. } }
 *     Device (LNKA) { _HID PNP0C0F, _PRS, _STA, _DIS, _CRS, _SRS } ..
 *   }
 *   Name (\_S5, Package { 0, 0, 0, 0 })
 */
#include "vm/acpi.h"

#include "vm/acpi_table.h"
#include "vm/aml.h"

/* Opcodes used in the link methods. */
#define STORE_OP              0x70
#define AND_OP                0x7b
#define OR_OP                 0x7d
#define CREATE_DWORD_FIELD_OP 0x8a
#define RETURN_OP             0xa4
#define LOCAL0_OP             0x60
#define ARG0_OP               0x68
#define NULL_NAME             0x00
#define MULTI_NAME_3          "\x2f\x03"

#define PIRQ_OFF 0x80
/* Bytes of an extended interrupt descriptor before the number. */
#define INTERRUPT_AT 5

static const char *const pirq_field[4] = { "PRQ0", "PRQ1", "PRQ2", "PRQ3" };
static const char *const link_name[4] = { "LNKA", "LNKB", "LNKC", "LNKD" };

static void put_crs(struct aml *a, const struct acpi_board *board)
{
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_bus_numbers(a, 0, 0xff);
    aml_res_io(a, 0xcf8, 8);
    aml_res_word_io(a, 0x0000, 0x0cf7);
    aml_res_word_io(a, 0x0d00, 0xffff);
    aml_res_dword_memory(a, 0xa0000, 0xbffff, true);
    aml_res_dword_memory(a, board->pci_hole_start, 0xfebfffff, false);
    aml_end_resources(a);
}

/* INTA..INTD of slot n are wired to the links in turn, from n - 1 on. */
static void put_prt(struct aml *a)
{
    aml_name(a, "_PRT");
    aml_begin_package(a, 31 * 4);
    for (unsigned slot = 1; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            aml_begin_package(a, 4);
            aml_integer(a, slot << 16 | 0xffff);
            aml_integer(a, pin);
            aml_path(a, link_name[(slot - 1 + pin) & 3]);
            aml_integer(a, 0);
            aml_end(a);
        }
    }
    aml_end(a);
}

static void begin_isa_device(struct aml *a, const char *name, const char *id)
{
    aml_begin_device(a, name);
    aml_name_eisaid(a, "_HID", id);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
}

static void end_isa_device(struct aml *a)
{
    aml_end_resources(a);
    aml_end(a);
}

static void put_serial(struct aml *a, unsigned n)
{
    static const char *const name[2] = { "COM1", "COM2" };

    aml_begin_device(a, name[n]);
    aml_name_eisaid(a, "_HID", "PNP0501");
    aml_name_integer(a, "_UID", n + 1);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_io(a, n ? 0x2f8 : 0x3f8, 8);
    aml_res_irq(a, n ? 3 : 4);
    end_isa_device(a);
}

static void put_isa_devices(struct aml *a, const struct acpi_board *board)
{
    begin_isa_device(a, "PIC_", "PNP0000");
    aml_res_io(a, 0x20, 2);
    aml_res_io(a, 0xa0, 2);
    aml_res_io(a, 0x4d0, 2);
    end_isa_device(a);
    begin_isa_device(a, "TMR_", "PNP0100");
    aml_res_io(a, 0x40, 4);
    aml_res_irq(a, 0);
    end_isa_device(a);
    begin_isa_device(a, "DMAC", "PNP0200");
    aml_res_io(a, 0x00, 0x10);
    aml_res_io(a, 0x81, 0x0f);
    aml_res_io(a, 0xc0, 0x20);
    aml_res_dma(a, 4);
    end_isa_device(a);
    begin_isa_device(a, "RTC_", "PNP0B00");
    aml_res_io(a, 0x70, 2);
    aml_res_irq(a, 8);
    end_isa_device(a);
    begin_isa_device(a, "SPKR", "PNP0800");
    aml_res_io(a, 0x61, 1);
    end_isa_device(a);
    begin_isa_device(a, "FPU_", "PNP0C04");
    aml_res_io(a, 0xf0, 0x10);
    aml_res_irq(a, 13);
    end_isa_device(a);
    begin_isa_device(a, "KBD_", "PNP0303");
    aml_res_io(a, 0x60, 1);
    aml_res_io(a, 0x64, 1);
    aml_res_irq(a, 1);
    end_isa_device(a);
    begin_isa_device(a, "MOU_", "PNP0F13");
    aml_res_irq(a, 12);
    end_isa_device(a);
    for (unsigned n = 0; n < board->serial_ports && n < 2; n++)
        put_serial(a, n);
    if (board->floppies) {
        begin_isa_device(a, "FDC0", "PNP0700");
        aml_res_io(a, 0x3f2, 4);
        aml_res_io(a, 0x3f7, 1);
        aml_res_irq(a, 6);
        aml_res_dma(a, 2);
        end_isa_device(a);
    }
}

/* Return (If (PRQn & 80h) 9 Else Bh): present, and enabled or not. */
static void put_link_sta(struct aml *a, const char *field)
{
    aml_begin_method(a, "_STA", 0);
    aml_byte(a, AND_OP);
    aml_path(a, field);
    aml_integer(a, PIRQ_OFF);
    aml_byte(a, LOCAL0_OP);
    aml_begin_if(a);
    aml_byte(a, LOCAL0_OP);
    aml_byte(a, RETURN_OP);
    aml_integer(a, 0x09);
    aml_end(a);
    aml_byte(a, RETURN_OP);
    aml_integer(a, 0x0b);
    aml_end(a);
}

static void put_link(struct aml *a, unsigned n)
{
    static const uint32_t possible[] = { 5, 10, 11 };
    static const uint32_t none[] = { 0 };
    const char *field = pirq_field[n];

    aml_begin_device(a, link_name[n]);
    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_integer(a, "_UID", n + 1);
    aml_name(a, "_PRS");
    aml_begin_resources(a);
    aml_res_interrupts(a, possible, G_N_ELEMENTS(possible));
    aml_end_resources(a);
    put_link_sta(a, field);

    aml_begin_method(a, "_DIS", 0);
    aml_byte(a, OR_OP);
    aml_path(a, field);
    aml_integer(a, PIRQ_OFF);
    aml_path(a, field);
    aml_end(a);

    aml_begin_method(a, "_CRS", AML_SERIALIZED);
    aml_name(a, "BUF0");
    aml_begin_resources(a);
    aml_res_interrupts(a, none, 1);
    aml_end_resources(a);
    aml_byte(a, CREATE_DWORD_FIELD_OP);
    aml_path(a, "BUF0");
    aml_integer(a, INTERRUPT_AT);
    aml_path(a, "IRQ0");
    aml_byte(a, AND_OP); /* IRQ0 = PRQn & 15, 0 while it is off */
    aml_path(a, field);
    aml_integer(a, PIRQ_OFF | 0x0f);
    aml_byte(a, LOCAL0_OP);
    aml_begin_if(a);
    aml_byte(a, AND_OP);
    aml_byte(a, LOCAL0_OP);
    aml_integer(a, PIRQ_OFF);
    aml_byte(a, NULL_NAME);
    aml_byte(a, STORE_OP);
    aml_integer(a, 0);
    aml_byte(a, LOCAL0_OP);
    aml_end(a);
    aml_byte(a, STORE_OP);
    aml_byte(a, LOCAL0_OP);
    aml_path(a, "IRQ0");
    aml_byte(a, RETURN_OP);
    aml_path(a, "BUF0");
    aml_end(a);

    aml_begin_method(a, "_SRS", 1);
    aml_byte(a, CREATE_DWORD_FIELD_OP);
    aml_byte(a, ARG0_OP);
    aml_integer(a, INTERRUPT_AT);
    aml_path(a, "IRQ0");
    aml_byte(a, STORE_OP);
    aml_path(a, "IRQ0");
    aml_path(a, field);
    aml_end(a);
    aml_end(a);
}

GByteArray *acpi_build_dsdt(const struct acpi_board *board)
{
    struct aml a;

    aml_init(&a);
    acpi_put_header(a.out, "DSDT", 1);
    aml_begin_scope(&a, "\\_SB_");
    aml_begin_device(&a, "PCI0");
    aml_name_eisaid(&a, "_HID", "PNP0A03");
    aml_name_integer(&a, "_ADR", 0);
    aml_name_integer(&a, "_UID", 0);
    put_crs(&a, board);
    put_prt(&a);
    aml_begin_device(&a, "ISA_");
    aml_name_integer(&a, "_ADR", board->isa_slot << 16);
    aml_pci_config(&a, "PCFG", 0x60, 4);
    put_isa_devices(&a, board);
    aml_end(&a);
    if (board->vmbus) /* IRQ 5 is a PCI interrupt on this board */
        acpi_put_vmbus(&a, 0);
    aml_end(&a);
    /* Names are looked up outwards only: the links need the route registers
     * in a scope around theirs. */
    aml_field_bytes(&a, MULTI_NAME_3 "PCI0ISA_PCFG", pirq_field, 4);
    for (unsigned n = 0; n < 4; n++)
        put_link(&a, n);
    aml_end(&a);
    acpi_put_soft_off(&a);
    acpi_finish(a.out, 0);
    return aml_take(&a);
}
