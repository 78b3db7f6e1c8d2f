/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CD drive on the PIIX4's primary channel: the PACKET protocol of
 * ATA/ATAPI-6 (8.23, 9.8, 9.9), identification, tray and medium.  What the
 * commands reply is in scsi_cd.c.
 */
#include "tests/dev/ide_ports.h"

#include <errno.h>

#define BLOCKS 1000u
#define MEMORY 0x100000u

#define COD 1
#define IO  2

static uint8_t *disc;

static void power_on(void)
{
    b = bench_empty();
    bench_add_drive(b, "cd", 1, BLOCKS * 2048ull, &disc);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=cd", NULL);
    fill_pattern(disc, BLOCKS * 2048ull);
    enable_controller();
    out32(BM_TABLE, TABLE);
}

struct cdb {
    uint8_t b[12];
};

static const struct cdb test_unit_ready = { { 0x00 } };
static const struct cdb inquiry = { { 0x12, 0, 0, 0, 36 } };
static const struct cdb request_sense = { { 0x03, 0, 0, 0, 18 } };
static const struct cdb open_tray = { { 0x1b, 0, 0, 0, 2 } };
static const struct cdb close_tray = { { 0x1b, 0, 0, 0, 3 } };
static const struct cdb lock = { { 0x1e, 0, 0, 0, 1 } };
static const struct cdb unlock = { { 0x1e, 0, 0, 0, 0 } };
static const struct cdb get_event = { { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 } };

static struct cdb read_10(uint32_t lba, uint16_t blocks)
{
    return (struct cdb){ { 0x28, 0, lba >> 24, lba >> 16, lba >> 8, lba, 0,
                           blocks >> 8, blocks } };
}

/* Sends a packet; the status when the drive has done with it. */
static uint8_t packet(struct cdb cdb, uint8_t feature, uint16_t limit)
{
    out8(FEATURE, feature);
    out8(LBA_MID, limit);
    out8(LBA_HIGH, limit >> 8);
    out8(COMMAND, 0xa0);
    CHECK_EQ(wait_idle(), WANTS);
    CHECK_EQ(in8(COUNT), COD);
    CHECK(!irq14()); /* no interrupt for the packet itself */
    write_data(cdb.b, 12);
    return wait_idle();
}

static unsigned byte_count(void)
{
    return in8(LBA_MID) | in8(LBA_HIGH) << 8;
}

/* All data of a command by PIO; the number of bytes. */
static unsigned fetch(struct cdb cdb, uint8_t *to)
{
    uint8_t status = packet(cdb, 0, 0xfffe);
    unsigned n = 0;

    while (status & DRQ) {
        unsigned bytes = byte_count();

        CHECK_EQ(in8(COUNT), IO);
        read_data(to + n, bytes);
        n += bytes;
        status = wait_idle();
    }
    CHECK_EQ(status, READY);
    CHECK_EQ(in8(COUNT), IO | COD);
    in8(STATUS);
    return n;
}

static unsigned sense(void)
{
    uint8_t s[18];

    CHECK_EQ(fetch(request_sense, s), 18);
    return s[2] << 16 | s[12] << 8 | s[13];
}

static uint8_t simple(struct cdb cdb)
{
    uint8_t status = packet(cdb, 0, 0xfffe);

    CHECK(irq14());
    in8(STATUS);
    return status;
}

/* --- presence ------------------------------------------------------------ */

static void check_signature(void)
{
    CHECK_EQ(in8(STATUS), 0x00);
    CHECK_EQ(in8(ERROR), 1);
    CHECK_EQ(in8(COUNT), 1);
    CHECK_EQ(in8(LBA_LOW), 1);
    CHECK_EQ(in8(LBA_MID), 0x14);
    CHECK_EQ(in8(LBA_HIGH), 0xeb);
}

TEST(packet_drive_shows_its_signature_after_each_reset)
{
    power_on();
    check_signature();
    out8(LBA_MID, 0x55);
    out8(CONTROL, SRST);
    out8(CONTROL, 0);
    check_signature();
    out8(LBA_MID, 0x55);
    out8(COMMAND, 0x08);
    check_signature();
    CHECK(!irq14());
    out8(LBA_MID, 0x55);
    out8(COMMAND, 0x90);
    CHECK(irq14());
    check_signature();
}

/* How a driver tells a packet drive from a disk. */
static const uint8_t disk_commands[] = { 0xec, 0x20 };

TEST_P(disk_command_aborts_with_the_signature, disk_commands)
{
    power_on();
    out8(LBA_MID, 0);
    out8(LBA_HIGH, 0);
    CHECK_EQ(command(*row), FAILED);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), ABRT);
    CHECK_EQ(byte_count(), 0xeb14);
}

static const uint8_t unknown[] = { 0x30, 0xc8, 0xc6, 0xb0, 0x00 };

TEST_P(command_of_disks_aborts, unknown)
{
    power_on();
    CHECK_EQ(command(*row), FAILED);
    CHECK_EQ(in8(ERROR), ABRT);
}

static const struct {
    unsigned word;
    uint16_t mask, value;
} words[] = {
    { 0, 0xffff, 0x85c0 },  /* ATAPI, CD, removable, 12-byte packets */
    { 49, 0x0300, 0x0300 }, /* LBA, DMA */
    { 53, 0x0006, 0x0006 }, { 63, 0x0007, 0x0007 }, { 80, 0x0010, 0x0010 },
    { 82, 0x0210, 0x0210 }, /* DEVICE RESET, PACKET */
    { 83, 0xc000, 0x4000 }, { 85, 0x0210, 0x0210 }, { 88, 0x0707, 0x0407 },
};

TEST_P(identify_packet_word_says_what_the_drive_is, words)
{
    uint8_t id[512];
    unsigned i = 2 * row->word;

    power_on();
    CHECK_EQ(command(0xa1), WANTS);
    CHECK(irq14());
    read_data(id, 512);
    CHECK_EQ((id[i] | id[i + 1] << 8) & row->mask, row->value);
    CHECK_EQ(in8(STATUS), READY);
}

/* --- the protocol -------------------------------------------------------- */

TEST(packet_without_data_ends_with_an_interrupt)
{
    power_on();
    CHECK_EQ(packet(test_unit_ready, 0, 0), READY);
    CHECK(irq14());
    CHECK_EQ(in8(COUNT), IO | COD);
    CHECK_EQ(in8(ERROR), 0);
    CHECK_EQ(in8(STATUS), READY);
    CHECK(!irq14());
}

/* Limit, and the sizes of the data blocks of four sectors; 0 ends. */
static const struct {
    uint16_t limit;
    uint16_t sizes[6];
} limits[] = {
    { 0x2000, { 8192 } },
    { 0xfffe, { 8192 } },
    { 0xffff, { 8192 } },
    { 0x0000, { 8192 } },
    { 0x0800, { 2048, 2048, 2048, 2048 } },
    { 0x0c00, { 3072, 3072, 2048 } },
    { 0x1001, { 4096, 4096 } }, /* odd: one less */
};

TEST_P(data_come_in_blocks_of_the_byte_count_limit, limits)
{
    uint8_t data[8192], status;
    unsigned at = 0;

    power_on();
    status = packet(read_10(17, 4), 0, row->limit);
    for (unsigned i = 0; row->sizes[i]; i++) {
        CHECK_EQ(status, WANTS);
        CHECK(irq14());
        CHECK_EQ(in8(COUNT), IO);
        CHECK_EQ(byte_count(), row->sizes[i]);
        in8(STATUS);
        read_data(data + at, row->sizes[i]);
        at += row->sizes[i];
        status = wait_idle();
    }
    CHECK_EQ(status, READY);
    CHECK(irq14());
    CHECK_EQ(in8(COUNT), IO | COD);
    CHECK_MEM_EQ(data, disc + 17 * 2048, 8192);
}

TEST(limit_of_one_byte_does_not_stop_the_drive)
{
    uint8_t data[36];

    power_on();
    CHECK_EQ(packet(inquiry, 0, 1), WANTS);
    CHECK_GE(byte_count(), 2);
    while (in8(CONTROL) & DRQ)
        read_data(data, 2);
    CHECK_EQ(in8(STATUS), READY);
}

static const struct {
    uint16_t blocks;
} lengths[] = {
    { 1 }, { 31 }, { 32 }, { 33 }, { 100 },
};

TEST_P(long_reads_arrive_whole, lengths)
{
    static uint8_t data[100 * 2048];

    power_on();
    CHECK_EQ(fetch(read_10(5, row->blocks), data), row->blocks * 2048u);
    CHECK_MEM_EQ(data, disc + 5 * 2048, row->blocks * 2048u);
}

TEST(raw_sectors_arrive_with_their_headers)
{
    const struct cdb read_cd = { { 0xbe, 0, 0, 0, 0, 9, 0, 0, 30, 0xf8 } };
    static uint8_t data[30 * 2352];

    power_on();
    CHECK_EQ(fetch(read_cd, data), sizeof data);
    for (unsigned i = 0; i < 30; i++) {
        CHECK_EQ(data[i * 2352 + 1], 0xff);
        CHECK_EQ(data[i * 2352 + 15], 1);
        CHECK_MEM_EQ(data + i * 2352 + 16, disc + (9 + i) * 2048, 2048);
    }
}

TEST(packet_takes_no_other_command_meanwhile)
{
    power_on();
    out8(COMMAND, 0xa0);
    out8(COMMAND, 0xa1);
    CHECK_EQ(in8(COUNT), COD);
    write_data(test_unit_ready.b, 12);
    CHECK_EQ(wait_idle(), READY);
}

/* --- DMA ----------------------------------------------------------------- */

static const uint16_t dma_blocks[] = { 1, 4, 32, 33, 100 };

TEST_P(packet_reads_by_dma, dma_blocks)
{
    uint32_t bytes = *row * 2048u;
    unsigned n = 0;

    power_on();
    for (uint32_t at = 0; at < bytes; at += 65536, n++)
        prd(n, MEMORY + at, bytes - at < 65536 ? bytes - at : 65536,
            at + 65536 >= bytes);
    out8(FEATURE, 1);
    out8(COMMAND, 0xa0);
    CHECK_EQ(wait_idle(), WANTS);
    write_data(read_10(3, *row).b, 12);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(wait_idle(), READY);
    CHECK(irq14());
    CHECK_EQ(in8(COUNT), IO | COD);
    CHECK_EQ(in8(BM_STATUS), 0x20 | BM_IRQ);
    CHECK_MEM_EQ(bench_ram(b) + MEMORY, disc + 3 * 2048, bytes);
    CHECK_EQ(bench_ram(b)[MEMORY + bytes], 0);
}

TEST(reply_comes_by_dma_too)
{
    power_on();
    prd(0, MEMORY, 36, true);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(packet(inquiry, 1, 0), READY);
    CHECK(irq14());
    CHECK_EQ(bench_ram(b)[MEMORY], 0x05);
    CHECK_MEM_EQ(bench_ram(b) + MEMORY + 8, "BCKPLANE", 8);
    CHECK_EQ(in8(BM_STATUS), 0x20 | BM_IRQ);
}

/* --- errors -------------------------------------------------------------- */

static const struct {
    struct cdb cdb;
    uint8_t error;
    unsigned sense;
} failures[] = {
    { { { 0xff } }, 0x54, 0x52000 },
    { { { 0x28, 0, 0, 0, 0x03, 0xe8, 0, 0, 1 } }, 0x54, 0x52100 },
    { { { 0x12, 1 } }, 0x54, 0x52400 },
};

TEST_P(check_condition_puts_the_sense_key_in_the_error_register, failures)
{
    power_on();
    CHECK_EQ(packet(row->cdb, 0, 0xfffe), FAILED);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), row->error);
    CHECK_EQ(in8(COUNT), IO | COD);
    in8(STATUS);
    CHECK_EQ(sense(), row->sense);
    CHECK_EQ(simple(test_unit_ready), READY);
}

static const uint8_t by_dma[] = { 0, 1 };

TEST_P(read_error_is_a_medium_error, by_dma)
{
    power_on();
    prd(0, MEMORY, 2048, true);
    bench_drive_fail(b, "cd", -EIO);
    out8(BM, BM_START | BM_READ);
    CHECK_EQ(packet(read_10(0, 1), *row, 0xfffe), FAILED);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), 0x34);
    out8(BM, 0);
    in8(STATUS);
    bench_drive_fail(b, "cd", 0);
    CHECK_EQ(sense(), 0x31100);
}

/* --- device reset -------------------------------------------------------- */

TEST(device_reset_ends_a_read)
{
    uint8_t data[2048];

    power_on();
    out8(COMMAND, 0xa0);
    wait_idle();
    write_data(read_10(0, 1).b, 12);
    CHECK_EQ(in8(CONTROL) & BSY, BSY);
    out8(COMMAND, 0x08);
    CHECK_EQ(wait_idle(), 0x00);
    check_signature();
    CHECK(!irq14());
    CHECK_EQ(fetch(read_10(7, 1), data), 2048);
    CHECK_MEM_EQ(data, disc + 7 * 2048, 2048);
}

TEST(device_reset_ends_a_data_phase)
{
    power_on();
    CHECK_EQ(packet(read_10(0, 1), 0, 0xfffe), WANTS);
    out8(COMMAND, 0x08);
    check_signature();
    CHECK_EQ(in16(DATA), 0);
    CHECK_EQ(simple(test_unit_ready), READY);
}

TEST(device_reset_keeps_the_tray_locked)
{
    power_on();
    CHECK_EQ(simple(lock), READY);
    out8(COMMAND, 0x08);
    CHECK(!bench_change_medium(b, "cd", 0, NULL));
}

/* --- tray and medium ----------------------------------------------------- */

TEST(drive_without_medium_is_not_ready)
{
    b = bench_empty();
    bench_add_drive(b, "cd", 1, 0, NULL);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=cd", NULL);
    enable_controller();
    CHECK_EQ(simple(test_unit_ready), FAILED);
    CHECK_EQ(sense(), 0x23a00);
    CHECK_EQ(simple(read_10(0, 1)), FAILED);
    CHECK_EQ(sense(), 0x23a00);
}

TEST(new_medium_is_attention_then_ready)
{
    uint8_t data[2048], *fresh;

    power_on();
    CHECK(bench_change_medium(b, "cd", 0, NULL));
    CHECK_EQ(simple(test_unit_ready), FAILED);
    CHECK_EQ(sense(), 0x23a00);
    CHECK(bench_change_medium(b, "cd", 64 * 2048, &fresh));
    memset(fresh, 0x5a, 64 * 2048);
    CHECK_EQ(simple(test_unit_ready), FAILED);
    CHECK_EQ(sense(), 0x62800);
    CHECK_EQ(simple(test_unit_ready), READY);
    CHECK_EQ(fetch(read_10(63, 1), data), 2048);
    CHECK_EQ(data[2047], 0x5a);
    CHECK_EQ(simple(read_10(64, 1)), FAILED);
    CHECK_EQ(sense(), 0x52100);
}

TEST(guest_opens_and_closes_the_tray)
{
    uint8_t event[8];

    power_on();
    CHECK_EQ(simple(open_tray), READY);
    CHECK_EQ(simple(test_unit_ready), FAILED);
    CHECK_EQ(sense(), 0x23a00);
    CHECK_EQ(fetch(get_event, event), 8);
    CHECK_EQ(event[5], 0x01); /* open, no medium */
    CHECK_EQ(simple(close_tray), READY);
    CHECK_EQ(fetch(get_event, event), 8);
    CHECK_EQ(event[4], 2); /* new medium */
    CHECK_EQ(event[5], 0x02);
    CHECK_EQ(simple(test_unit_ready), FAILED);
    CHECK_EQ(sense(), 0x62800);
    CHECK_EQ(simple(test_unit_ready), READY);
}

TEST(locked_medium_stays_and_the_guest_hears_of_the_button)
{
    uint8_t event[8];

    power_on();
    CHECK_EQ(simple(lock), READY);
    CHECK(!bench_change_medium(b, "cd", 0, NULL));
    CHECK_EQ(fetch(get_event, event), 8);
    CHECK_EQ(event[4], 1); /* eject request */
    CHECK_EQ(event[5], 2);
    CHECK_EQ(simple(open_tray), FAILED);
    CHECK_EQ(sense(), 0x55302);
    CHECK_EQ(simple(unlock), READY);
    CHECK(bench_change_medium(b, "cd", 0, NULL));
    CHECK_EQ(simple(test_unit_ready), FAILED);
}

/* --- with a disk on the same cable --------------------------------------- */

TEST(slave_drive_works_beside_a_disk)
{
    uint8_t *disk, data[2048];

    b = bench_empty();
    bench_add_drive(b, "disk", 0, 512 * 4096, &disk);
    bench_add_drive(b, "cd", 1, BLOCKS * 2048ull, &disc);
    bench_add_device(b, "piix4-ide", "ide", "primary-master=disk",
                     "primary-slave=cd", NULL);
    fill_pattern(disc, BLOCKS * 2048ull);
    fill_pattern(disk, 512 * 4096);
    enable_controller();
    CHECK_EQ(in8(STATUS), READY);
    out8(DEVICE, SLAVE);
    CHECK_EQ(in8(STATUS), 0x00);
    CHECK_EQ(fetch(read_10(20, 1), data), 2048);
    CHECK_MEM_EQ(data, disc + 20 * 2048, 2048);
    task_file(1, 9, USE_LBA);
    CHECK_EQ(command(0x20), WANTS);
    read_data(data, 512);
    CHECK_MEM_EQ(data, disk + 9 * 512, 512);
}

/* --- save and load ------------------------------------------------------- */

TEST(data_phase_and_sense_survive_save_and_load)
{
    uint8_t data[4096];

    power_on();
    CHECK_EQ(packet(read_10(30, 2), 0, 2048), WANTS);
    read_data(data, 1000);
    bench_save_load(b);
    read_data(data + 1000, 1048);
    CHECK_EQ(wait_idle(), WANTS);
    CHECK_EQ(byte_count(), 2048);
    read_data(data + 2048, 2048);
    CHECK_EQ(wait_idle(), READY);
    CHECK_MEM_EQ(data, disc + 30 * 2048, 4096);
    CHECK_EQ(packet((struct cdb){ { 0xff } }, 0, 0), FAILED);
    bench_save_load(b);
    in8(STATUS);
    CHECK_EQ(sense(), 0x52000);
}

TEST(packet_that_is_half_written_survives_save_and_load)
{
    power_on();
    out8(COMMAND, 0xa0);
    CHECK_EQ(wait_idle(), WANTS);
    write_data(test_unit_ready.b, 6);
    bench_save_load(b);
    write_data(test_unit_ready.b + 6, 6);
    CHECK_EQ(wait_idle(), READY);
    CHECK(irq14());
}
