/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piix4-ide: the PCI function (82371AB, section 5) and its bus master
 * (SFF-8038i) with ATA disks behind it.
 */
#include "tests/dev/ide_ports.h"

#include <errno.h>

#define SECTORS 4096u
#define MEMORY  0x100000u /* where transfers go */

static uint8_t *disk, *slave;

static void power_on(void)
{
    b = bench_empty();
    bench_add_drive(b, "disk", 0, SECTORS * 512ull, &disk);
    bench_add_drive(b, "slave", 0, SECTORS * 512ull, &slave);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=disk",
                     "primary-slave=slave", NULL);
    fill_pattern(disk, SECTORS * 512ull);
    enable_controller();
    out32(BM_TABLE, TABLE);
}

static void start_dma(uint8_t cmd, uint32_t lba, uint16_t count)
{
    task_file_ext(count, lba);
    out8(COMMAND, cmd);
}

/* --- PCI ----------------------------------------------------------------- */

static const struct {
    uint8_t offset, size;
    uint32_t value;
} values[] = {
    { 0x00, 4, 0x71118086 }, { 0x06, 2, 0x0280 },     { 0x09, 1, 0x80 },
    { 0x0a, 2, 0x0101 },     { 0x20, 4, 0x00000001 }, { 0x40, 4, 0 },
    { 0x44, 1, 0 },          { 0x48, 1, 0 },          { 0x4a, 2, 0 },
};

TEST_P(configuration_register_has_its_value_after_reset, values)
{
    power_on();
    for (unsigned i = 0x40; i < 0x4c; i++)
        bench_pci_write(b, 7, 1, i, 1, 0xff);
    bench_reset(b, 0);
    CHECK_EQ(bench_pci_read(b, 7, 1, row->offset, row->size), row->value);
}

static const struct {
    uint16_t command, primary, secondary;
    bool first, second;
} decodes[] = {
    { 0x0001, 0x8000, 0x8000, true, true },
    { 0x0001, 0x8000, 0x0000, true, false },
    { 0x0001, 0x0000, 0x8000, false, true },
    { 0x0000, 0x8000, 0x8000, false, false },
};

TEST_P(channel_is_decoded_when_enabled, decodes)
{
    b = bench_empty();
    bench_add_drive(b, "a", 0, 512 * 4096, NULL);
    bench_add_drive(b, "b", 0, 512 * 4096, NULL);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=a",
                     "secondary-master=b", NULL);
    bench_pci_write(b, 7, 1, 0x40, 2, row->primary);
    bench_pci_write(b, 7, 1, 0x42, 2, row->secondary);
    bench_pci_write(b, 7, 1, 0x04, 2, row->command);
    CHECK_EQ(in8(0x1f7), row->first ? READY : 0xff);
    CHECK_EQ(in8(0x3f6), row->first ? READY : 0xff);
    CHECK_EQ(in8(0x177), row->second ? READY : 0xff);
    CHECK_EQ(in8(0x376), row->second ? READY : 0xff);
}

TEST(channels_have_their_own_interrupts)
{
    b = bench_empty();
    bench_add_drive(b, "a", 0, 512 * 4096, NULL);
    bench_add_drive(b, "b", 0, 512 * 4096, NULL);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=a",
                     "secondary-slave=b", NULL);
    enable_controller();
    out8(0x1f7, 0xec);
    CHECK(bench_line(b, "isa", 14));
    CHECK(!bench_line(b, "isa", 15));
    in8(0x1f7);
    out8(0x176, SLAVE);
    out8(0x177, 0xec);
    CHECK(!bench_line(b, "isa", 14));
    CHECK(bench_line(b, "isa", 15));
}

/* --- bus master registers ------------------------------------------------ */

TEST(bus_master_registers_keep_their_bits)
{
    power_on();
    out32(BM_TABLE, 0xffffffff);
    CHECK_EQ(in32(BM_TABLE), 0xfffffffc);
    out8(BM, 0xfe);
    CHECK_EQ(in8(BM), BM_READ);
    CHECK_EQ(in8(BM_STATUS), 0x60); /* two drives that can do DMA */
    out8(BM_STATUS, 0x00);
    CHECK_EQ(in8(BM_STATUS), 0x00);
    out8(BM_STATUS, 0xff);
    CHECK_EQ(in8(BM_STATUS), 0x60);
    CHECK_EQ(in8(BM + 8), 0x00); /* the secondary one's */
    CHECK_EQ(in8(BM_STATUS + 8), 0x00);
}

TEST(interrupt_bit_is_cleared_by_writing_one)
{
    power_on();
    out8(COMMAND, 0xec);
    CHECK_EQ(in8(BM_STATUS), 0x60 | BM_IRQ);
    in8(STATUS);
    CHECK_EQ(in8(BM_STATUS), 0x60 | BM_IRQ);
    out8(BM_STATUS, 0x60);
    CHECK_EQ(in8(BM_STATUS), 0x60 | BM_IRQ);
    out8(BM_STATUS, 0x60 | BM_IRQ);
    CHECK_EQ(in8(BM_STATUS), 0x60);
}

TEST(nien_keeps_the_interrupt_from_line_and_bus_master)
{
    power_on();
    out8(CONTROL, NIEN);
    CHECK_EQ(command(0xec), WANTS);
    CHECK(!irq14());
    CHECK_EQ(in8(BM_STATUS) & BM_IRQ, 0);
    out8(CONTROL, 0); /* it was only held back */
    CHECK(irq14());
    CHECK_EQ(in8(BM_STATUS) & BM_IRQ, BM_IRQ);
}

TEST(alternate_status_does_not_acknowledge)
{
    power_on();
    CHECK_EQ(command(0xec), WANTS);
    CHECK_EQ(in8(CONTROL), WANTS);
    CHECK(irq14());
    CHECK_EQ(in8(STATUS), WANTS);
    CHECK(!irq14());
}

/* --- transfers ----------------------------------------------------------- */

/* Sizes of the table's regions; they follow each other with gaps of 64 KiB. */
static const struct {
    uint16_t count;    /* sectors */
    uint32_t sizes[9]; /* 0 ends */
} tables[] = {
    { 1, { 512 } },
    { 8, { 4096 } },
    { 8, { 2, 4, 6, 1024, 3058, 2 } },
    { 3, { 510, 2, 514, 510 } },
    { 128, { 65536 } }, /* a size of 0 */
    { 256, { 65536, 65534, 2 } },
    { 300, { 32768, 65536, 55296 } },
    { 2, { 1022, 2 } },
};

static uint32_t set_table(const uint32_t *sizes)
{
    unsigned n = 0;

    for (; sizes[n]; n++)
        prd(n, MEMORY + n * 0x20000, sizes[n], !sizes[n + 1]);
    return n;
}

static const struct {
    uint8_t read, write;
    bool start_first;
} orders[] = {
    { 0x25, 0x35, false },
    { 0x25, 0x35, true },
};

static void run_dma(uint8_t cmd, uint32_t lba, uint16_t count, bool start_first)
{
    bool read = cmd == 0x25;

    out8(BM_STATUS, 0x60 | BM_IRQ | BM_ERROR);
    if (start_first)
        out8(BM, BM_START | (read ? BM_READ : 0));
    start_dma(cmd, lba, count);
    if (!start_first) {
        CHECK_EQ(in8(CONTROL), WANTS);
        out8(BM, BM_START | (read ? BM_READ : 0));
    }
    CHECK_EQ(in8(BM_STATUS) & BM_ACTIVE, BM_ACTIVE);
    CHECK_EQ(wait_idle(), READY);
    CHECK(irq14());
    CHECK_EQ(in8(BM_STATUS), 0x60 | BM_IRQ);
    out8(BM, 0);
    CHECK_EQ(in8(STATUS), READY);
    CHECK(!irq14());
}

TEST_P(dma_reads_through_the_table, tables)
{
    for (unsigned o = 0; o < 2; o++) {
        uint32_t at = 0;

        test_note("order %u", o);
        power_on();
        set_table(row->sizes);
        run_dma(orders[o].read, 100, row->count, orders[o].start_first);
        for (unsigned n = 0; row->sizes[n]; n++) {
            uint8_t *p = bench_ram(b) + MEMORY + n * 0x20000;

            CHECK_MEM_EQ(p, disk + 51200 + at, row->sizes[n]);
            CHECK_EQ(p[row->sizes[n]], 0);
            at += row->sizes[n];
        }
        CHECK_EQ(at, row->count * 512u);
        bench_destroy(b);
    }
}

TEST_P(dma_writes_through_the_table, tables)
{
    for (unsigned o = 0; o < 2; o++) {
        uint32_t at = 0;
        uint8_t before, after;

        test_note("order %u", o);
        power_on();
        set_table(row->sizes);
        for (unsigned n = 0; row->sizes[n]; n++)
            memset(bench_ram(b) + MEMORY + n * 0x20000, 0x40 + n,
                   row->sizes[n]);
        before = disk[51199];
        after = disk[51200 + row->count * 512];
        run_dma(orders[o].write, 100, row->count, orders[o].start_first);
        for (unsigned n = 0; row->sizes[n]; n++) {
            CHECK_EQ(disk[51200 + at], 0x40 + n);
            at += row->sizes[n];
            CHECK_EQ(disk[51200 + at - 1], 0x40 + n);
        }
        CHECK_EQ(disk[51199], before);
        CHECK_EQ(disk[51200 + row->count * 512], after);
        bench_destroy(b);
    }
}

static const uint8_t dma_reads[] = { 0xc8, 0xc9 };

TEST_P(dma_has_28_bit_commands, dma_reads)
{
    power_on();
    prd(0, MEMORY, 512, true);
    task_file(1, 77, USE_LBA);
    out8(COMMAND, *row);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle(), READY);
    CHECK_MEM_EQ(bench_ram(b) + MEMORY, disk + 77 * 512, 512);
    memset(bench_ram(b) + MEMORY, 0x99, 512);
    out8(BM, 0);
    task_file(1, 78, USE_LBA);
    out8(COMMAND, *row + 2);
    out8(BM, BM_START);
    CHECK_EQ(wait_idle(), READY);
    CHECK_EQ(disk[78 * 512], 0x99);
}

TEST(slave_does_dma_too)
{
    power_on();
    slave[5 * 512] = 0x77;
    prd(0, MEMORY, 512, true);
    task_file(1, 5, USE_LBA | SLAVE);
    out8(COMMAND, 0xc8);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle(), READY);
    CHECK_EQ(bench_ram(b)[MEMORY], 0x77);
}

/* SFF-8038i, table "Interrupt / Active": the three ways to end. */
TEST(table_longer_than_the_transfer_leaves_the_bus_master_active)
{
    power_on();
    prd(0, MEMORY, 4096, true);
    start_dma(0x25, 0, 1);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle(), READY);
    CHECK(irq14());
    CHECK_EQ(in8(BM_STATUS), 0x60 | BM_IRQ | BM_ACTIVE);
    CHECK_MEM_EQ(bench_ram(b) + MEMORY, disk, 512);
    CHECK_EQ(bench_ram(b)[MEMORY + 512], 0);
    out8(BM, 0);
    CHECK_EQ(in8(BM_STATUS), 0x60 | BM_IRQ);
}

TEST(table_shorter_than_the_transfer_ends_without_interrupt)
{
    power_on();
    prd(0, MEMORY, 512, true);
    start_dma(0x25, 0, 4);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle() & DRQ, DRQ);
    bench_step(b, 10000000);
    CHECK(!irq14());
    CHECK_EQ(in8(BM_STATUS), 0x60);
    CHECK_MEM_EQ(bench_ram(b) + MEMORY, disk, 512);
    out8(BM, 0);
    out8(CONTROL, SRST); /* as a driver gets it back */
    out8(CONTROL, 0);
    CHECK_EQ(wait_idle(), READY);
    prd(0, MEMORY, 2048, true);
    run_dma(0x25, 8, 4, false);
}

static const struct {
    uint8_t command;
    uint32_t table, address;
} faults[] = {
    { 0x25, TABLE, 0xf0000000 }, /* the region is no memory */
    { 0x35, TABLE, 0xf0000000 },
    { 0x25, 0xf0000000, MEMORY }, /* the table is not */
    { 0x35, 0xf0000000, MEMORY },
};

TEST_P(memory_fault_sets_the_error_bit, faults)
{
    power_on();
    prd(0, row->address, 512, true);
    out32(BM_TABLE, row->table);
    start_dma(row->command, 0, 1);
    out8(BM, BM_START | (row->command == 0x25 ? BM_READ : 0));
    CHECK_EQ(wait_idle() & (ERR | BSY), ERR);
    CHECK_EQ(in8(BM_STATUS) & (BM_ERROR | BM_ACTIVE), BM_ERROR);
    out8(BM_STATUS, 0x60 | BM_ERROR | BM_IRQ);
    CHECK_EQ(in8(BM_STATUS), 0x60);
}

TEST(nothing_moves_while_bus_mastering_is_off)
{
    power_on();
    bench_pci_write(b, 7, 1, 0x04, 2, 0x0001);
    prd(0, MEMORY, 512, true);
    start_dma(0x25, 0, 1);
    out8(BM, BM_START | BM_READ);
    wait_idle();
    CHECK_EQ(bench_ram(b)[MEMORY + 1], 0);
}

static const struct {
    uint8_t command, error;
} io_errors[] = {
    { 0x25, UNC },
    { 0x35, ABRT },
};

TEST_P(error_of_the_medium_ends_dma, io_errors)
{
    power_on();
    bench_drive_fail(b, "disk", -EIO);
    prd(0, MEMORY, 512, true);
    start_dma(row->command, 9, 1);
    out8(BM, BM_START | (row->command == 0x25 ? BM_READ : 0));
    CHECK_EQ(wait_idle(), FAILED);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), row->error);
    CHECK_EQ(in8(BM_STATUS) & BM_IRQ, BM_IRQ);
    out8(BM, 0);
    in8(STATUS);
    bench_drive_fail(b, "disk", 0);
    run_dma(0x25, 0, 1, false);
}

TEST(stopping_the_bus_master_holds_the_transfer)
{
    power_on();
    prd(0, MEMORY, 1024, true);
    out8(BM, BM_START | BM_READ);
    out8(BM, 0);
    start_dma(0x25, 0, 2);
    bench_step(b, 10000000);
    CHECK_EQ(in8(CONTROL), WANTS);
    CHECK(!irq14());
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle(), READY);
    CHECK_MEM_EQ(bench_ram(b) + MEMORY, disk, 1024);
}

TEST(table_of_tiny_regions_takes_bounded_time)
{
    power_on();
    for (unsigned n = 0; n < 0x2000; n++)
        prd(n, MEMORY, 2, false);
    start_dma(0x25, 0, 0); /* 32 MiB of it */
    out8(BM, BM_START | BM_READ);
    for (unsigned i = 0; i < 1000; i++)
        bench_step(b, 1000000);
    CHECK_EQ(in8(CONTROL) & BSY, 0);
}

TEST(dma_that_waits_for_the_bus_master_survives_save_and_load)
{
    power_on();
    prd(0, MEMORY, 1024, true);
    start_dma(0x25, 40, 2);
    bench_save_load(b);
    CHECK_EQ(in8(CONTROL), WANTS);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle(), READY);
    CHECK(irq14());
    CHECK_MEM_EQ(bench_ram(b) + MEMORY, disk + 40 * 512, 1024);
}
