/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATA disks on the PIIX4's primary channel, against ATA/ATAPI-6: commands and
 * their errors (chapter 8), IDENTIFY DEVICE words (8.15), PIO protocols (9).
 * The bus master is in piix4_ide.c.
 */
#include "tests/dev/ide_ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/block.h"
#include "vm/vm.h"

#define SECTORS 80640u /* 80 cylinders, 16 heads, 63 sectors */

static uint8_t *disk;

static void power_on(void)
{
    b = bench_empty();
    bench_add_drive(b, "disk", 0, SECTORS * 512ull, &disk);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=disk", NULL);
    fill_pattern(disk, SECTORS * 512ull);
    enable_controller();
}

static uint32_t task_lba(void)
{
    return in8(LBA_LOW) | in8(LBA_MID) << 8 | in8(LBA_HIGH) << 16 |
           (in8(DEVICE) & 15) << 24;
}

/* --- a disk of any size, whose sectors contain their number -------------- */

static uint64_t written_lba, written_value;

static void sparse_submit(struct block_medium *m, struct bp_block_request *r)
{
    uint64_t lba = r->offset / 512;

    for (uint32_t i = 0; i < r->iov_count; i++) {
        uint8_t *p = r->iov[i].base;

        for (uint64_t k = 0; k < r->iov[i].bytes; k += 512, lba++) {
            if (r->op == BP_BLOCK_READ) {
                memset(p + k, 0, 512);
                memcpy(p + k, &lba, 8);
            } else {
                written_lba = lba;
                memcpy(&written_value, p + k, 8);
            }
        }
    }
    block_request_done(r, 0);
}

static void sparse_close(struct block_medium *m)
{
    free(m);
}

static const struct block_medium_ops sparse_ops = {
    .name = "sparse",
    .submit = sparse_submit,
    .close = sparse_close,
};

static void power_on_sparse(uint64_t sectors)
{
    struct block_medium *m = calloc(1, sizeof *m);
    struct block_drive *d;

    b = bench_empty();
    bench_add_drive(b, "disk", 0, 0, NULL);
    m->ops = &sparse_ops;
    m->bytes = sectors * 512;
    m->logical_block = m->physical_block = 512;
    d = bench_vm(b)->drives->pdata[0];
    d->medium = m;
    bench_add_device(b, "piix4-ide", "ide", "primary-master=disk", NULL);
    enable_controller();
}

/* --- presence and reset -------------------------------------------------- */

static const struct {
    uint8_t select;
    uint8_t status, error, count, low, mid, high, device;
} signatures[] = {
    { 0x00, READY, 1, 1, 1, 0, 0, 0xa0 },
    /* the master answers for a slave that is not there */
    { SLAVE, 0x00, 0, 0, 0, 0, 0, 0xb0 },
};

static void check_signature(uint8_t select, uint8_t status, uint8_t error,
                            uint8_t count, uint8_t low, uint8_t mid,
                            uint8_t high, uint8_t device)
{
    out8(DEVICE, select);
    CHECK_EQ(in8(CONTROL), status);
    CHECK_EQ(in8(STATUS), status);
    CHECK_EQ(in8(ERROR), error);
    CHECK_EQ(in8(COUNT), count);
    CHECK_EQ(in8(LBA_LOW), low);
    CHECK_EQ(in8(LBA_MID), mid);
    CHECK_EQ(in8(LBA_HIGH), high);
    CHECK_EQ(in8(DEVICE), device);
}

TEST_P(drive_shows_its_signature_after_each_reset, signatures)
{
    power_on();
    for (unsigned kind = 0; kind < 3; kind++) {
        test_note("reset %u", kind);
        check_signature(row->select, row->status, row->error, row->count,
                        row->low, row->mid, row->high, row->device);
        task_file(0x55, 0x123456, USE_LBA);
        command(0xff);
        if (kind == 0) {
            out8(CONTROL, SRST);
            out8(CONTROL, 0);
        } else if (kind == 1) {
            bench_reset(b, 0);
            enable_controller();
        } else {
            command(0x90);
        }
        wait_idle();
    }
}

TEST(software_reset_is_busy_until_its_bit_falls)
{
    power_on();
    out8(CONTROL, SRST);
    CHECK_EQ(in8(CONTROL), BSY);
    bench_step(b, 1000000);
    CHECK_EQ(in8(CONTROL), BSY);
    out8(CONTROL, 0);
    CHECK_EQ(in8(CONTROL), READY);
    CHECK(!irq14());
}

TEST(software_reset_ends_a_command)
{
    power_on();
    task_file(1, 0, USE_LBA);
    out8(COMMAND, 0x20);
    CHECK_EQ(in8(CONTROL) & BSY, BSY);
    out8(CONTROL, SRST);
    out8(CONTROL, 0);
    CHECK_EQ(wait_idle(), READY);
    CHECK(!irq14());
    CHECK_EQ(in8(LBA_LOW), 1);
    task_file(1, 3, USE_LBA);
    CHECK_EQ(command(0x20), WANTS);
}

TEST(machine_reset_in_the_middle_of_a_command_loses_nothing)
{
    uint8_t sector[512];

    power_on();
    task_file(1, 0, USE_LBA);
    out8(COMMAND, 0x20);
    bench_reset(b, 0);
    enable_controller();
    wait_idle();
    task_file(1, 3, USE_LBA);
    CHECK_EQ(command(0x20), WANTS);
    read_data(sector, 512);
    CHECK_MEM_EQ(sector, disk + 3 * 512, 512);
}

TEST(channel_without_drives_is_empty)
{
    b = bench_create("piix4-ide", NULL);
    enable_controller();
    CHECK_EQ(in8(STATUS) & (BSY | DRQ), 0);
    CHECK_EQ(in8(CONTROL) & (BSY | DRQ), 0);
    out8(LBA_LOW, 0x55);
    CHECK_NE(in8(LBA_LOW), 0x55);
    out8(COMMAND, 0xec);
    CHECK_EQ(in8(STATUS) & (BSY | DRQ), 0);
    CHECK(!irq14());
}

TEST(absent_slave_executes_nothing)
{
    power_on();
    out8(DEVICE, SLAVE);
    out8(COMMAND, 0xec);
    bench_step(b, 1000000);
    CHECK_EQ(in8(STATUS), 0);
    CHECK(!irq14());
    out8(DEVICE, 0);
    CHECK_EQ(in8(STATUS), READY);
}

TEST(diagnostic_is_executed_whichever_drive_is_selected)
{
    power_on();
    out8(DEVICE, SLAVE);
    out8(COMMAND, 0x90);
    CHECK(irq14());
    check_signature(0, READY, 1, 1, 1, 0, 0, 0xa0);
}

/* --- IDENTIFY DEVICE ----------------------------------------------------- */

static const struct {
    unsigned word;
    uint16_t mask, value;
} words[] = {
    { 0, 0x8040, 0x0040 }, /* ATA, not removable */
    { 1, 0xffff, 80 },
    { 3, 0xffff, 16 },
    { 6, 0xffff, 63 },
    { 47, 0xffff, 0x8010 }, /* 16 sectors a block at most */
    { 49, 0x0300, 0x0300 }, /* LBA, DMA */
    { 53, 0x0007, 0x0007 },
    { 54, 0xffff, 80 },
    { 55, 0xffff, 16 },
    { 56, 0xffff, 63 },
    { 57, 0xffff, SECTORS & 0xffff },
    { 58, 0xffff, SECTORS >> 16 },
    { 59, 0x01ff, 0x0000 },
    { 60, 0xffff, SECTORS & 0xffff },
    { 61, 0xffff, SECTORS >> 16 },
    { 63, 0x0007, 0x0007 },
    { 64, 0x0003, 0x0003 },
    { 80, 0x0040, 0x0040 }, /* ATA-6 */
    { 82, 0x7069, 0x7069 },
    { 83, 0xf400, 0x7400 },
    { 84, 0xc000, 0x4000 },
    { 85, 0x7069, 0x7069 },
    { 86, 0x3400, 0x3400 },
    { 87, 0xc000, 0x4000 },
    { 88, 0x0707, 0x0407 }, /* UDMA 2 is selected */
    { 93, 0xe001, 0x6001 }, /* 80 conductors */
    { 100, 0xffff, SECTORS & 0xffff },
    { 101, 0xffff, SECTORS >> 16 },
    { 102, 0xffff, 0 },
    { 103, 0xffff, 0 },
};

TEST_P(identify_word_says_what_the_disk_is, words)
{
    uint8_t id[512];

    power_on();
    identify(id);
    CHECK_EQ(word(id, row->word) & row->mask, row->value);
}

TEST(identify_has_names_and_a_checksum)
{
    uint8_t id[512], sum = 0;

    power_on();
    identify(id);
    CHECK_MEM_EQ(id + 54, "aBkclpna eAHDRIDKS", 18);
    CHECK_EQ(id[510], 0xa5);
    for (unsigned i = 0; i < 512; i++)
        sum += id[i];
    CHECK_EQ(sum, 0);
}

static const struct {
    uint64_t sectors;
    uint16_t cylinders;
    uint32_t lba28;
} capacities[] = {
    { 1008 * 100, 100, 1008 * 100 },   { 16514064, 16383, 16514064 },
    { 100000000, 16383, 100000000 },   { 0x0fffffff, 16383, 0x0fffffff },
    { 0x10000000, 16383, 0x0fffffff }, { 1ull << 37, 16383, 0x0fffffff },
};

TEST_P(identify_gives_the_capacity_three_ways, capacities)
{
    uint8_t id[512];
    uint64_t lba48 = 0;

    power_on_sparse(row->sectors);
    identify(id);
    for (unsigned i = 4; i-- > 0;)
        lba48 = lba48 << 16 | word(id, 100 + i);
    CHECK_EQ(word(id, 1), row->cylinders);
    CHECK_EQ(word(id, 60) | word(id, 61) << 16, row->lba28);
    CHECK_EQ(lba48, row->sectors);
}

/* READ NATIVE MAX ADDRESS: the last sector that can be addressed. */
TEST_P(native_max_is_the_last_address, capacities)
{
    uint64_t last = row->sectors - 1, lba;

    power_on_sparse(row->sectors);
    out8(DEVICE, USE_LBA);
    CHECK_EQ(command(0xf8), READY);
    CHECK_EQ(task_lba(), row->lba28 - 1);
    CHECK_EQ(command(0x27), READY);
    lba = in8(LBA_LOW) | in8(LBA_MID) << 8 | in8(LBA_HIGH) << 16;
    out8(CONTROL, HOB);
    lba |= (uint64_t)in8(LBA_LOW) << 24 | (uint64_t)in8(LBA_MID) << 32 |
           (uint64_t)in8(LBA_HIGH) << 40;
    CHECK_EQ(lba, last);
}

/* --- PIO reads and writes ------------------------------------------------ */

enum { CHS, LBA28, LBA48 };

static void set_address(int kind, uint32_t count, uint32_t lba)
{
    if (kind == LBA48) {
        task_file_ext(count, lba);
    } else if (kind == LBA28) {
        task_file(count, lba, USE_LBA);
    } else {
        out8(DEVICE, lba / 63 % 16);
        out8(COUNT, count);
        out8(LBA_LOW, lba % 63 + 1);
        out8(LBA_MID, lba / 1008);
        out8(LBA_HIGH, lba / 1008 >> 8);
    }
}

static const struct {
    uint8_t read, write;
    int kind;
    unsigned multiple;
    uint32_t lba, count;
} transfers[] = {
    { 0x20, 0x30, LBA28, 0, 0, 1 },
    { 0x21, 0x31, LBA28, 0, 7, 3 },
    { 0x20, 0x30, LBA28, 0, SECTORS - 1, 1 },
    { 0x20, 0x30, LBA28, 0, 1000, 256 }, /* count 0 */
    { 0x20, 0x30, CHS, 0, 0, 1 },
    { 0x20, 0x30, CHS, 0, 62, 2 },   /* to the next head */
    { 0x20, 0x30, CHS, 0, 1007, 2 }, /* to the next cylinder */
    { 0x20, 0x30, CHS, 0, SECTORS - 2, 2 },
    { 0x24, 0x34, LBA48, 0, 12345, 5 },
    { 0x24, 0x34, LBA48, 0, 100, 300 },
    { 0xc4, 0xc5, LBA28, 16, 20, 16 },
    { 0xc4, 0xc5, LBA28, 16, 20, 37 }, /* the last block is short */
    { 0xc4, 0xc5, LBA28, 2, 9, 1 },
    { 0xc4, 0xc5, CHS, 4, 60, 8 },
    { 0x29, 0x39, LBA48, 8, 77, 20 },
};

static void begin(uint8_t multiple, int kind, uint32_t count, uint32_t lba)
{
    if (multiple) {
        out8(COUNT, multiple);
        CHECK_EQ(command(0xc6), READY);
        in8(STATUS);
    }
    set_address(kind, count, lba);
}

TEST_P(sectors_are_read_in_blocks_with_an_interrupt_each, transfers)
{
    unsigned most = row->multiple ? row->multiple : 1;
    uint32_t done = 0;
    uint8_t sector[16 * 512];

    power_on();
    begin(row->multiple, row->kind, row->count, row->lba);
    out8(COMMAND, row->read);
    while (done < row->count) {
        uint32_t n = row->count - done < most ? row->count - done : most;

        CHECK(!irq14());
        CHECK_EQ(wait_idle(), WANTS);
        CHECK(irq14());
        CHECK_EQ(in8(STATUS), WANTS);
        CHECK(!irq14());
        read_data(sector, n * 512);
        CHECK_MEM_EQ(sector, disk + 512ull * (row->lba + done), n * 512);
        done += n;
    }
    CHECK_EQ(in8(STATUS), READY);
    CHECK(!irq14()); /* none after the last block */
}

TEST_P(sectors_are_written_in_blocks_with_an_interrupt_after_each, transfers)
{
    unsigned most = row->multiple ? row->multiple : 1;
    uint32_t done = 0, bytes = row->count * 512;
    uint8_t *data = malloc(bytes), before[512];
    uint8_t *at;

    power_on();
    at = disk + 512ull * row->lba;
    for (uint32_t i = 0; i < bytes; i++)
        data[i] = i * 13 + i / 512;
    if (row->lba)
        memcpy(before, at - 512, 512);
    begin(row->multiple, row->kind, row->count, row->lba);
    out8(COMMAND, row->write);
    CHECK_EQ(in8(CONTROL), WANTS);
    CHECK(!irq14()); /* none before the first block */
    while (done < row->count) {
        uint32_t n = row->count - done < most ? row->count - done : most;

        CHECK_EQ(in8(CONTROL), WANTS);
        write_data(data + done * 512, n * 512);
        done += n;
        CHECK_EQ(wait_idle(), done < row->count ? WANTS : READY);
        CHECK(irq14());
        in8(STATUS);
        CHECK(!irq14());
    }
    CHECK_MEM_EQ(at, data, bytes);
    if (row->lba)
        CHECK_MEM_EQ(at - 512, before, 512);
    free(data);
}

static const unsigned data_widths[] = { 1, 2, 4 };

TEST_P(data_port_takes_any_width, data_widths)
{
    uint8_t sector[512];

    power_on();
    task_file(2, 5, USE_LBA);
    out8(COMMAND, 0x20);
    for (unsigned n = 0; n < 2; n++) {
        CHECK_EQ(wait_idle(), WANTS);
        for (unsigned i = 0; i < 512; i += *row) {
            uint32_t v = bench_in(b, DATA, *row);

            memcpy(sector + i, &v, *row);
        }
        CHECK_MEM_EQ(sector, disk + (5 + n) * 512, 512);
    }
    task_file(1, 9, USE_LBA);
    out8(COMMAND, 0x30);
    for (unsigned i = 0; i < 512; i += *row) {
        uint32_t v;

        memcpy(&v, sector + i, *row);
        bench_out(b, DATA, *row, v);
    }
    CHECK_EQ(wait_idle(), READY);
    CHECK_MEM_EQ(disk + 9 * 512, sector, 512);
}

TEST(data_port_is_empty_without_drq)
{
    power_on();
    CHECK_EQ(in16(DATA), 0);
    out16(DATA, 0x1234);
    CHECK_EQ(in8(STATUS), READY);
    task_file(1, 5, USE_LBA);
    out8(COMMAND, 0x30);
    CHECK_EQ(in16(DATA), 0); /* the wrong direction */
    CHECK_EQ(in8(CONTROL), WANTS);
}

static const struct {
    uint64_t lba;
    uint32_t count;
} far[] = {
    { 0x0fffffff, 2 },
    { 0x10000000, 1 },
    { 0x123456789a, 1 },
    { (1ull << 37) - 1, 1 },
};

TEST_P(lba48_reaches_beyond_28_bits, far)
{
    uint8_t sector[512];
    uint64_t v;

    power_on_sparse(1ull << 37);
    task_file_ext(row->count, row->lba);
    out8(COMMAND, 0x24);
    for (unsigned i = 0; i < row->count; i++) {
        CHECK_EQ(wait_idle(), WANTS);
        read_data(sector, 512);
        memcpy(&v, sector, 8);
        CHECK_EQ(v, row->lba + i);
    }
    task_file_ext(1, row->lba);
    out8(COMMAND, 0x34);
    memset(sector, 0xa5, 512);
    write_data(sector, 512);
    CHECK_EQ(wait_idle(), READY);
    CHECK_EQ(written_lba, row->lba);
    CHECK_EQ(written_value, 0xa5a5a5a5a5a5a5a5);
}

TEST(hob_bit_shows_the_previous_register_contents)
{
    power_on();
    task_file_ext(0x1234, 0x665544332211);
    CHECK_EQ(in8(COUNT), 0x34);
    CHECK_EQ(in8(LBA_LOW), 0x11);
    CHECK_EQ(in8(LBA_MID), 0x22);
    CHECK_EQ(in8(LBA_HIGH), 0x33);
    out8(CONTROL, HOB);
    CHECK_EQ(in8(COUNT), 0x12);
    CHECK_EQ(in8(LBA_LOW), 0x44);
    CHECK_EQ(in8(LBA_MID), 0x55);
    CHECK_EQ(in8(LBA_HIGH), 0x66);
    out8(DEVICE, USE_LBA); /* a write to the block ends it */
    CHECK_EQ(in8(COUNT), 0x34);
}

/* --- errors -------------------------------------------------------------- */

static const struct {
    uint8_t command;
    int kind;
    uint32_t lba, count;
    uint8_t error;
} failures[] = {
    { 0x20, LBA28, SECTORS, 1, IDNF },
    { 0x20, LBA28, SECTORS - 1, 2, IDNF },
    { 0x20, LBA28, 0x0fffffff, 256, IDNF },
    { 0x30, LBA28, SECTORS, 1, IDNF },
    { 0x24, LBA48, SECTORS, 1, IDNF },
    { 0x34, LBA48, SECTORS, 1, IDNF },
    { 0x40, LBA28, SECTORS, 1, IDNF },
    { 0x42, LBA48, SECTORS, 1, IDNF },
    { 0xc8, LBA28, SECTORS, 1, IDNF },
    { 0xca, LBA28, SECTORS, 1, IDNF },
    { 0x25, LBA48, SECTORS, 1, IDNF },
    { 0x35, LBA48, SECTORS, 1, IDNF },
    { 0x20, CHS, SECTORS, 1, IDNF },
    { 0xc4, LBA28, 0, 1, ABRT }, /* no SET MULTIPLE before */
    { 0xc5, LBA28, 0, 1, ABRT },
    { 0x00, LBA28, 0, 1, ABRT }, /* NOP always aborts */
    { 0x08, LBA28, 0, 1, ABRT }, /* packet drives only */
    { 0xa0, LBA28, 0, 1, ABRT },
    { 0xa1, LBA28, 0, 1, ABRT },
    { 0xff, LBA28, 0, 1, ABRT },
};

TEST_P(command_fails_with_its_error, failures)
{
    power_on();
    set_address(row->kind, row->count, row->lba);
    CHECK_EQ(command(row->command), FAILED);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), row->error);
    CHECK_EQ(in8(STATUS), FAILED);
    CHECK(!irq14());
    out8(DEVICE, 0);
    CHECK_EQ(command(0x10), READY); /* the next command clears it */
}

/* Sectors are counted from 1, heads and sectors have limits. */
static const struct {
    uint8_t head, sector;
    uint8_t status;
} chs[] = {
    { 0, 1, WANTS },  { 0, 63, WANTS },  { 15, 63, WANTS },
    { 0, 0, FAILED }, { 0, 64, FAILED },
};

TEST_P(chs_addresses_stay_in_the_geometry, chs)
{
    power_on();
    out8(DEVICE, row->head);
    out8(COUNT, 1);
    out8(LBA_LOW, row->sector);
    out8(LBA_MID, 0);
    out8(LBA_HIGH, 0);
    CHECK_EQ(command(0x20), row->status);
    CHECK_EQ(in8(ERROR), row->status == FAILED ? IDNF : 0);
}

static const struct {
    uint8_t command, error;
} io_errors[] = {
    { 0x20, UNC },
    { 0x24, UNC },
    { 0xe7, ABRT },
    { 0xea, ABRT },
};

TEST_P(error_of_the_medium_is_reported, io_errors)
{
    power_on();
    bench_drive_fail(b, "disk", -EIO);
    task_file_ext(1, 1234);
    CHECK_EQ(command(row->command), FAILED);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), row->error);
    if (row->error == UNC)
        CHECK_EQ(task_lba() & 0xffffff, 1234);
    bench_drive_fail(b, "disk", 0);
    task_file_ext(1, 1234);
    CHECK_EQ(command(0x24), WANTS);
}

TEST(error_in_the_middle_names_the_sector)
{
    uint8_t sector[512];

    power_on();
    task_file(8, 1000, USE_LBA);
    CHECK_EQ(command(0x20), WANTS);
    read_data(sector, 512);
    CHECK_EQ(wait_idle(), WANTS);
    bench_drive_fail(b, "disk", -EIO);
    read_data(sector, 512);
    CHECK_EQ(wait_idle(), FAILED);
    CHECK_EQ(in8(ERROR), UNC);
    CHECK_EQ(task_lba(), 1002);
}

TEST(failed_write_aborts)
{
    uint8_t sector[512] = { 0 };

    power_on();
    bench_drive_fail(b, "disk", -EIO);
    task_file(1, 1000, USE_LBA);
    CHECK_EQ(command(0x30), WANTS);
    write_data(sector, 512);
    CHECK_EQ(wait_idle(), FAILED);
    CHECK_EQ(in8(ERROR), ABRT);
    CHECK(irq14());
}

static const uint8_t writes[] = { 0x30, 0x34, 0xca, 0x35, 0xc5 };

TEST_P(read_only_disk_aborts_writes, writes)
{
    struct block_drive *d;

    b = bench_empty();
    bench_add_drive(b, "disk", 0, SECTORS * 512ull, &disk);
    d = bench_vm(b)->drives->pdata[0];
    d->medium->flags |= BP_BLOCK_READONLY;
    bench_add_device(b, "piix4-ide", "ide", "primary-master=disk", NULL);
    enable_controller();
    out8(COUNT, 4);
    command(0xc6);
    task_file_ext(1, 0);
    CHECK_EQ(command(*row), FAILED);
    CHECK_EQ(in8(ERROR), ABRT);
    task_file_ext(1, 0);
    CHECK_EQ(command(0x24), WANTS);
}

/* --- save and load ------------------------------------------------------- */

TEST(read_goes_on_after_save_and_load)
{
    uint8_t data[4 * 512];

    power_on();
    task_file(4, 50, USE_LBA);
    CHECK_EQ(command(0x20), WANTS);
    read_data(data, 700 & ~1); /* into the second sector, once it is there */
    CHECK_EQ(wait_idle(), WANTS);
    read_data(data + 512, 188);
    bench_save_load(b);
    read_data(data + 700, 324);
    for (unsigned n = 2; n < 4; n++) {
        CHECK_EQ(wait_idle(), WANTS);
        read_data(data + n * 512, 512);
    }
    CHECK_MEM_EQ(data, disk + 50 * 512, sizeof data);
}

TEST(write_goes_on_after_save_and_load)
{
    uint8_t data[2 * 512];

    power_on();
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = i * 3;
    task_file(2, 50, USE_LBA);
    CHECK_EQ(command(0x30), WANTS);
    write_data(data, 100);
    bench_save_load(b);
    write_data(data + 100, 412);
    CHECK_EQ(wait_idle(), WANTS);
    write_data(data + 512, 512);
    CHECK_EQ(wait_idle(), READY);
    CHECK_MEM_EQ(disk + 50 * 512, data, sizeof data);
}
