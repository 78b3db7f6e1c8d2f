/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATA disks, the commands beside reading and writing: power, SET MULTIPLE, SET
 * FEATURES, geometry, buffer, SMART (ATA/ATAPI-6 chapter 8).
 */
#include "tests/dev/ide_ports.h"

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

/* --- other commands ------------------------------------------------------ */

static const struct {
    uint8_t command;
} simple[] = {
    { 0x10 }, { 0x1f }, { 0x70 }, { 0x40 }, { 0x41 }, { 0xe7 }, { 0xea },
    { 0xe0 }, { 0xe1 }, { 0xe2 }, { 0xe3 }, { 0x94 }, { 0x95 }, { 0xf5 },
};

TEST_P(command_without_data_ends_with_an_interrupt, simple)
{
    power_on();
    task_file(1, 0, USE_LBA);
    CHECK_EQ(command(row->command), READY);
    CHECK(irq14());
    CHECK_EQ(in8(ERROR), 0);
}

static const struct {
    uint8_t command, mode;
} powers[] = {
    { 0xe1, 0xff },
    { 0xe0, 0x00 },
    { 0x94, 0x00 },
    { 0x40, 0xff },
};

TEST_P(power_mode_is_reported, powers)
{
    power_on();
    command(0xe0);
    task_file(1, 0, USE_LBA);
    command(row->command);
    CHECK_EQ(command(0xe5), READY);
    CHECK_EQ(in8(COUNT), row->mode);
}

static const struct {
    uint8_t count, status;
} multiples[] = {
    { 1, READY }, { 2, READY },  { 8, READY },   { 16, READY },
    { 0, READY }, { 3, FAILED }, { 17, FAILED }, { 32, FAILED },
};

TEST_P(set_multiple_takes_powers_of_two_up_to_16, multiples)
{
    uint8_t id[512];

    power_on();
    out8(COUNT, row->count);
    CHECK_EQ(command(0xc6), row->status);
    identify(id);
    CHECK_EQ(word(id, 59),
             row->status == READY && row->count ? 0x100 | row->count : 0);
}

/* SET FEATURES: subcommand, count, and IDENTIFY words then. */
static const struct {
    uint8_t feature, count, status;
    unsigned word;
    uint16_t mask, value;
} features[] = {
    { 0x02, 0, READY, 85, 0x0020, 0x0020 },
    { 0x82, 0, READY, 85, 0x0020, 0x0000 },
    { 0xaa, 0, READY, 85, 0x0040, 0x0040 },
    { 0x55, 0, READY, 85, 0x0040, 0x0000 },
    { 0x66, 0, READY, 85, 0x0020, 0x0020 },
    { 0xcc, 0, READY, 85, 0x0020, 0x0020 },
    { 0x03, 0x20, READY, 63, 0x0707, 0x0107 },
    { 0x03, 0x22, READY, 63, 0x0707, 0x0407 },
    { 0x03, 0x22, READY, 88, 0x0707, 0x0007 },
    { 0x03, 0x41, READY, 88, 0x0707, 0x0207 },
    { 0x03, 0x42, READY, 63, 0x0707, 0x0007 },
    { 0x03, 0x0c, READY, 88, 0x0707, 0x0407 }, /* PIO 4 leaves DMA alone */
    { 0x03, 0x00, READY, 88, 0x0707, 0x0407 },
    { 0x03, 0x23, FAILED, 63, 0x0707, 0x0007 },
    { 0x03, 0x45, FAILED, 88, 0x0707, 0x0407 },
    { 0x03, 0x80, FAILED, 88, 0x0707, 0x0407 },
    { 0x99, 0, FAILED, 85, 0x0020, 0x0020 },
};

TEST_P(set_features_changes_what_identify_says, features)
{
    uint8_t id[512];

    power_on();
    out8(FEATURE, row->feature);
    out8(COUNT, row->count);
    CHECK_EQ(command(0xef), row->status);
    CHECK_EQ(in8(ERROR), row->status == FAILED ? ABRT : 0);
    identify(id);
    CHECK_EQ(word(id, row->word) & row->mask, row->value);
}

TEST(geometry_can_be_set)
{
    uint8_t id[512], sector[512];

    power_on();
    out8(DEVICE, 0x07); /* 8 heads */
    out8(COUNT, 32);
    CHECK_EQ(command(0x91), READY);
    identify(id);
    CHECK_EQ(word(id, 54), SECTORS / 256);
    CHECK_EQ(word(id, 55), 8);
    CHECK_EQ(word(id, 56), 32);
    CHECK_EQ(word(id, 57) | word(id, 58) << 16, SECTORS / 256 * 256);
    CHECK_EQ(word(id, 1), 80); /* the default stays */
    out8(DEVICE, 3);
    out8(COUNT, 1);
    out8(LBA_LOW, 5);
    out8(LBA_MID, 2);
    out8(LBA_HIGH, 0);
    CHECK_EQ(command(0x20), WANTS);
    read_data(sector, 512);
    CHECK_MEM_EQ(sector, disk + ((2 * 8 + 3) * 32 + 4) * 512, 512);
    out8(COUNT, 0);
    CHECK_EQ(command(0x91), FAILED);
}

TEST(buffer_gives_back_what_was_written_to_it)
{
    uint8_t data[512], back[512];

    power_on();
    fill_pattern(data, 512);
    CHECK_EQ(command(0xe8), WANTS);
    write_data(data, 512);
    CHECK_EQ(wait_idle(), READY);
    CHECK(irq14());
    CHECK_EQ(command(0xe4), WANTS);
    read_data(back, 512);
    CHECK_MEM_EQ(back, data, 512);
}

/* --- SMART --------------------------------------------------------------- */

static uint8_t smart(uint8_t feature)
{
    out8(FEATURE, feature);
    out8(LBA_MID, 0x4f);
    out8(LBA_HIGH, 0xc2);
    return command(0xb0);
}

TEST(smart_says_that_the_disk_is_well)
{
    power_on();
    CHECK_EQ(smart(0xda), READY);
    CHECK_EQ(in8(LBA_MID), 0x4f);
    CHECK_EQ(in8(LBA_HIGH), 0xc2);
}

static const uint8_t smart_pages[] = { 0xd0, 0xd1, 0xd5 };

TEST_P(smart_page_has_a_checksum, smart_pages)
{
    uint8_t page[512], sum = 0;

    power_on();
    out8(LBA_LOW, 0);
    CHECK_EQ(smart(*row), WANTS);
    read_data(page, 512);
    for (unsigned i = 0; i < 512; i++)
        sum += page[i];
    CHECK_EQ(sum, 0);
    CHECK_EQ(in8(STATUS), READY);
}

TEST(smart_can_be_disabled)
{
    uint8_t id[512];

    power_on();
    CHECK_EQ(smart(0xd9), READY);
    CHECK_EQ(smart(0xda), FAILED);
    CHECK_EQ(in8(ERROR), ABRT);
    identify(id);
    CHECK_EQ(word(id, 85) & 1, 0);
    CHECK_EQ(smart(0xd8), READY);
    CHECK_EQ(smart(0xda), READY);
}

TEST(smart_needs_its_key)
{
    power_on();
    out8(FEATURE, 0xda);
    out8(LBA_MID, 0);
    out8(LBA_HIGH, 0);
    CHECK_EQ(command(0xb0), FAILED);
    CHECK_EQ(in8(ERROR), ABRT);
}
