/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assembly of the Generation 2 machine: clock, I/O APIC, ACPI power
 * management, serial ports when asked for, and everything else on VMBus.
 *
 * Memory: RAM up to F8000000h, the rest from 4 GiB on; windows for VMBus
 * channels at F8000000h and at the top of 40 address bits.  Tables are in
 * the last 128 KiB of the first MiB.
 *
 * Without firmware a Linux kernel is started directly.  Firmware would get
 * its image at 1 MiB, a configuration behind it, ports 28h and 2Ch for its
 * questions (BIOS device of reference/hyperv.md 2.5), and the variable store
 * on the host; then gen2_assemble() calls it in place of direct_boot.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "block/block.h"
#include "lib/le.h"
#include "plugin/load.h"
#include "vm/acpi_gen2.h"
#include "vm/assembly.h"
#include "vm/board.h"
#include "vm/config.h"
#include "vm/direct_boot.h"
#include "vm/error.h"
#include "vm/linux_kernel.h"
#include "vm/machine.h"
#include "vm/smbios.h"
#include "vm/vm.h"

#define RAM_BELOW_4G 0xf8000000ull
#define FOUR_GIB     (1ull << 32)
#define LOW_LAST     0xfebfffffu /* the I/O APIC follows */
#define HIGH_FIRST   0xfe00000000ull
#define HIGH_LAST    0xffdfffffffull

/* Tables, below 1 MiB */
#define LOW_RAM       0xa0000u
#define RESERVED      0xe0000u
#define GENERATION_AT 0xe0000u
#define ACPI_AT       0xe0040u
#define SMBIOS_AT     0xf0000u /* the entry point, then the structures */
#define SMBIOS_TABLES 0xf0020u
#define ONE_MIB       0x100000u

/* A machine that is not to be repeated has another one at each start. */
static void make_generation(const struct assembly *a, char text[33])
{
    uint8_t id[16];

    if (a->config->deterministic || getrandom(id, sizeof(id), 0) != sizeof(id))
        assembly_uuid(a, id);
    for (unsigned i = 0; i < sizeof(id); i++)
        g_snprintf(text + 2 * i, 3, "%02x", id[i]);
}

static bool add_board(struct assembly *a)
{
    const struct vm *vm = a->vm;
    char below[48], above[48], cpus[24], id[33], generation[48], at[40];

    g_snprintf(below, sizeof(below), "ram-below-4g=%" PRIu64, vm->ram_below_4g);
    g_snprintf(above, sizeof(above), "ram-above-4g=%" PRIu64,
               a->config->memory - vm->ram_below_4g);
    g_snprintf(cpus, sizeof(cpus), "cpus=%u", a->config->cpus);
    make_generation(a, id);
    g_snprintf(generation, sizeof(generation), "generation=%s", id);
    g_snprintf(at, sizeof(at), "generation-at=%u", GENERATION_AT);
    return add(a, "ioapic", NULL) &&
           add(a, "mc146818", below, above, cpus, "floppy0=none",
               "floppy1=none", NULL) &&
           add(a, "acpi-pm", generation, at, NULL);
}

static bool add_devices(struct assembly *a)
{
    return add_board(a) && assembly_serials(a) &&
           (!a->config->isa_debug_exit || add(a, "exit-port", NULL)) &&
           assembly_synthetic(a) && assembly_user_devices(a) &&
           assembly_realize(a);
}

/* --- what firmware would leave behind -------------------------------------*/

static GByteArray *acpi_tables(const struct assembly *a)
{
    const struct acpi_gen2 board = {
        .cpus = a->config->cpus,
        .serial_ports = MIN(a->serials, 2u),
        .tables = ACPI_AT,
        .generation = GENERATION_AT,
        .low_first = (uint32_t)RAM_BELOW_4G,
        .low_last = LOW_LAST,
        .high_first = HIGH_FIRST,
        .high_last = HIGH_LAST,
    };

    return acpi_gen2_build(&board);
}

static uint8_t sum_of(const uint8_t *p, unsigned n)
{
    uint8_t sum = 0;

    while (n--)
        sum += *p++;
    return sum;
}

/* The entry point as firmware completes it: where the structures are, then
 * both checksums (SMBIOS 2.8 section 5.2.1). */
static void place_smbios(const struct assembly *a, struct direct_boot *boot)
{
    struct smbios_board b = {
        .name = a->config->name,
        .cpus = a->config->cpus,
        .memory = a->config->memory,
    };
    GByteArray *anchor, *tables;

    assembly_uuid(a, b.uuid);
    smbios_build(&b, &anchor, &tables);
    le32_put(anchor->data + 0x18, SMBIOS_TABLES);
    anchor->data[0x15] -= sum_of(anchor->data + 0x10, 0x0f);
    anchor->data[0x04] -= sum_of(anchor->data, 0x1f);
    direct_boot_place(boot, SMBIOS_AT, anchor);
    direct_boot_place(boot, SMBIOS_TABLES, tables);
}

static bool prepare_kernel(struct assembly *a)
{
    const struct vm_config *c = a->config;
    struct vm *vm = a->vm;
    struct linux_kernel k = { 0 };

    if (!linux_kernel_load(&k, c->kernel, c->initrd, c->append,
                           vm->ram_below_4g, a->error)) {
        linux_kernel_clear(&k);
        return false;
    }
    struct direct_boot *boot = direct_boot_new(vm, &k);
    vm->direct_boot = boot;
    direct_boot_range(boot, 0, LOW_RAM, DIRECT_RAM);
    direct_boot_range(boot, RESERVED, ONE_MIB - RESERVED, DIRECT_RESERVED);
    direct_boot_range(boot, ONE_MIB, vm->ram_below_4g - ONE_MIB, DIRECT_RAM);
    if (c->memory > vm->ram_below_4g)
        direct_boot_range(boot, FOUR_GIB, c->memory - vm->ram_below_4g,
                          DIRECT_RAM);
    direct_boot_place(boot, ACPI_AT, acpi_tables(a));
    direct_boot_rsdp(boot, ACPI_AT);
    place_smbios(a, boot);
    return true;
}

bool gen2_assemble(struct assembly *a)
{
    struct board_options o = {
        .ram_below_4g = RAM_BELOW_4G,
        .flat = true,
    };

    return assembly_board(a, &o) && assembly_ports(a, 0) && add_devices(a) &&
           prepare_kernel(a) && assembly_processors(a);
}
