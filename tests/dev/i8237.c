/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8237 against the 8237A datasheet ("Register Description", "Active Cycle"
 * modes, "Software Commands") and the AT's page registers.
 */
#include "tests/dev/ports.h"

#include <string.h>

#include "bus/isa_dma.h"
#include "sched/lane.h"
#include "vm/vm.h"

#define DEMAND      0x00
#define SINGLE      0x40
#define BLOCK       0x80
#define CASCADE     0xc0
#define DOWN        0x20
#define AUTO        0x10
#define TO_MEMORY   0x04
#define FROM_MEMORY 0x08
#define VERIFY      0x00
#define ILLEGAL     0x0c

static struct lane *lane;
static struct isa_dma_channel *channel;
static uint8_t buffer[256];
static unsigned told;
static bool tc;

/* Port of register `reg` of the controller that has channel n. */
static uint16_t port(unsigned n, unsigned reg)
{
    return n < 4 ? reg : 0xc0 + 2 * reg;
}

static const uint8_t page_port[8] = { 0x87, 0x83, 0x81, 0x82,
                                      0x8f, 0x8b, 0x89, 0x8a };

static void became_ready(void *ctx)
{
    told++;
}

/* A device on channel n; channel 4 cascades as a BIOS leaves it. */
static void power_on(unsigned n)
{
    b = bench_create("i8237", NULL);
    lane = lane_create(bench_vm(b)->lanes, "drive", LANE_DEVICE);
    channel = isa_dma_attach(bench_vm(b)->isa_dma, n, lane, became_ready, NULL);
    out8(0xd6, CASCADE);
    out8(0xd4, 0x00);
    for (unsigned i = 0; i < sizeof buffer; i++)
        buffer[i] = 0x80 ^ i;
}

static void write16(unsigned n, unsigned reg, uint16_t v)
{
    out8(port(n, 12), 0);
    out8(port(n, reg), v);
    out8(port(n, reg), v >> 8);
}

static uint16_t read16(unsigned n, unsigned reg)
{
    uint8_t low;

    out8(port(n, 12), 0);
    low = in8(port(n, reg));
    return low | in8(port(n, reg)) << 8;
}

static uint16_t address_of(unsigned n)
{
    return read16(n, 2 * (n & 3));
}

static uint16_t count_of(unsigned n)
{
    return read16(n, 2 * (n & 3) + 1);
}

static void program(unsigned n, uint8_t mode, uint8_t page, uint16_t address,
                    uint16_t count)
{
    out8(port(n, 10), 4 | (n & 3));
    out8(port(n, 11), mode | (n & 3));
    write16(n, 2 * (n & 3), address);
    write16(n, 2 * (n & 3) + 1, count);
    out8(page_port[n], page);
    out8(port(n, 10), n & 3);
}

static uint32_t transfer(uint32_t bytes, uint32_t direction)
{
    uint32_t moved;

    lane_enter(lane);
    moved = isa_dma_transfer(channel, buffer, bytes, direction, &tc);
    lane_leave(lane);
    return moved;
}

static bool ready(void)
{
    bool r;

    lane_enter(lane);
    r = isa_dma_ready(channel);
    lane_leave(lane);
    return r;
}

/* --- channels and pages -------------------------------------------------- */

static const struct {
    unsigned channel;
    uint8_t page;
    uint16_t address;
    uint32_t gpa;
} places[] = {
    { 0, 0x12, 0x3456, 0x123456 }, { 1, 0x01, 0xfff0, 0x01fff0 },
    { 2, 0x07, 0x0000, 0x070000 }, { 3, 0x80, 0x8000, 0x808000 },
    { 5, 0x12, 0x3456, 0x1268ac }, { 6, 0x13, 0x8000, 0x130000 },
    { 7, 0x21, 0x0001, 0x200002 },
};

TEST_P(channel_reaches_page_and_address, places)
{
    unsigned unit = row->channel < 4 ? 1 : 2;

    power_on(row->channel);
    program(row->channel, SINGLE | TO_MEMORY, row->page, row->address, 3);
    CHECK_EQ(transfer(4 * unit, BP_DMA_TO_GUEST), 4 * unit);
    CHECK_MEM_EQ(bench_ram(b) + row->gpa, buffer, 4 * unit);
    CHECK_EQ(bench_ram(b)[row->gpa + 4 * unit], 0);
    CHECK(tc);
}

static const unsigned channels[] = { 0, 1, 2, 3, 5, 6, 7 };

TEST_P(channel_moves_memory_to_the_device, channels)
{
    unsigned unit = *row < 4 ? 1 : 2;

    power_on(*row);
    for (unsigned i = 0; i < 64; i++)
        bench_ram(b)[0x20000 + i] = 3 * i;
    program(*row, SINGLE | FROM_MEMORY, 2, 0, 15);
    CHECK_EQ(transfer(8 * unit, BP_DMA_FROM_GUEST), 8 * unit);
    CHECK(!tc);
    CHECK_MEM_EQ(buffer, bench_ram(b) + 0x20000, 8 * unit);
    CHECK_EQ(transfer(100, BP_DMA_FROM_GUEST), 8 * unit);
    CHECK(tc);
    CHECK_MEM_EQ(buffer, bench_ram(b) + 0x20000 + 8 * unit, 8 * unit);
}

TEST(page_registers_are_sixteen_bytes_of_storage)
{
    power_on(2);
    for (unsigned i = 0; i < 16; i++)
        out8(0x80 + i, 0xa0 + i);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(in8(0x80 + i), 0xa0 + i);
}

/* --- modes --------------------------------------------------------------- */

/* Four units from address 100h on, count 3. */
static const struct {
    uint8_t mode;
    uint32_t direction;
    uint32_t moved;
    uint16_t address, count; /* afterwards */
    bool tc, masked;
} modes[] = {
    { DEMAND | TO_MEMORY, BP_DMA_TO_GUEST, 4, 0x104, 0xffff, true, true },
    { SINGLE | TO_MEMORY, BP_DMA_TO_GUEST, 4, 0x104, 0xffff, true, true },
    { BLOCK | TO_MEMORY, BP_DMA_TO_GUEST, 4, 0x104, 0xffff, true, true },
    { SINGLE | FROM_MEMORY, BP_DMA_FROM_GUEST, 4, 0x104, 0xffff, true, true },
    { SINGLE | DOWN | TO_MEMORY, BP_DMA_TO_GUEST, 4, 0xfc, 0xffff, true, true },
    { SINGLE | AUTO | TO_MEMORY, BP_DMA_TO_GUEST, 4, 0x100, 3, true, false },
    { SINGLE | AUTO | DOWN | FROM_MEMORY, BP_DMA_FROM_GUEST, 4, 0x100, 3, true,
      false },
    { SINGLE | VERIFY, BP_DMA_TO_GUEST, 4, 0x104, 0xffff, true, true },
    { SINGLE | VERIFY, BP_DMA_FROM_GUEST, 4, 0x104, 0xffff, true, true },
    { SINGLE | TO_MEMORY, BP_DMA_FROM_GUEST, 0, 0x100, 3, false, false },
    { SINGLE | FROM_MEMORY, BP_DMA_TO_GUEST, 0, 0x100, 3, false, false },
    { SINGLE | ILLEGAL, BP_DMA_TO_GUEST, 0, 0x100, 3, false, false },
    { SINGLE | ILLEGAL, BP_DMA_FROM_GUEST, 0, 0x100, 3, false, false },
    { CASCADE | TO_MEMORY, BP_DMA_TO_GUEST, 0, 0x100, 3, false, false },
};

TEST_P(mode_register_governs_the_transfer, modes)
{
    power_on(1);
    program(1, row->mode, 0, 0x100, 3);
    CHECK_EQ(transfer(16, row->direction), row->moved);
    CHECK_EQ(tc, row->tc);
    CHECK_EQ(address_of(1), row->address);
    CHECK_EQ(count_of(1), row->count);
    CHECK_EQ(in8(15) >> 1 & 1, row->masked);
    CHECK_EQ(in8(8) & 15, row->tc ? 2 : 0);
}

TEST(verify_touches_neither_memory_nor_buffer)
{
    uint8_t before[sizeof buffer];

    power_on(1);
    memcpy(before, buffer, sizeof before);
    memset(bench_ram(b) + 0x100, 0x77, 16);
    program(1, SINGLE | VERIFY, 0, 0x100, 7);
    CHECK_EQ(transfer(8, BP_DMA_FROM_GUEST), 8);
    CHECK_MEM_EQ(buffer, before, sizeof before);
    program(1, SINGLE | VERIFY, 0, 0x100, 7);
    CHECK_EQ(transfer(8, BP_DMA_TO_GUEST), 8);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(bench_ram(b)[0x100 + i], 0x77);
}

TEST(decrement_goes_down_through_memory)
{
    power_on(3);
    program(3, SINGLE | DOWN | TO_MEMORY, 1, 0x0002, 4);
    CHECK_EQ(transfer(5, BP_DMA_TO_GUEST), 5);
    CHECK_EQ(bench_ram(b)[0x10002], buffer[0]);
    CHECK_EQ(bench_ram(b)[0x10001], buffer[1]);
    CHECK_EQ(bench_ram(b)[0x10000], buffer[2]);
    CHECK_EQ(bench_ram(b)[0x1ffff], buffer[3]); /* the page does not change */
    CHECK_EQ(bench_ram(b)[0x1fffe], buffer[4]);
}

TEST(decrement_keeps_the_bytes_of_a_word_in_order)
{
    power_on(5);
    program(5, SINGLE | DOWN | TO_MEMORY, 2, 0x0001, 1);
    CHECK_EQ(transfer(4, BP_DMA_TO_GUEST), 4);
    CHECK_MEM_EQ(bench_ram(b) + 0x20002, buffer, 2);
    CHECK_MEM_EQ(bench_ram(b) + 0x20000, buffer + 2, 2);
}

TEST(address_wraps_inside_its_page)
{
    power_on(2);
    program(2, SINGLE | TO_MEMORY, 3, 0xfffe, 3);
    CHECK_EQ(transfer(4, BP_DMA_TO_GUEST), 4);
    CHECK_MEM_EQ(bench_ram(b) + 0x3fffe, buffer, 2);
    CHECK_MEM_EQ(bench_ram(b) + 0x30000, buffer + 2, 2);
    CHECK_EQ(bench_ram(b)[0x40000], 0);
    CHECK_EQ(address_of(2), 2);
}

TEST(word_address_wraps_inside_its_128_kib)
{
    power_on(6);
    program(6, SINGLE | TO_MEMORY, 2, 0xffff, 1);
    CHECK_EQ(transfer(4, BP_DMA_TO_GUEST), 4);
    CHECK_MEM_EQ(bench_ram(b) + 0x3fffe, buffer, 2);
    CHECK_MEM_EQ(bench_ram(b) + 0x20000, buffer + 2, 2);
}

TEST(word_channel_moves_no_half_word)
{
    power_on(7);
    program(7, SINGLE | TO_MEMORY, 2, 0, 9);
    CHECK_EQ(transfer(5, BP_DMA_TO_GUEST), 4);
    CHECK_EQ(address_of(7), 2);
    CHECK_EQ(count_of(7), 7);
}

TEST(autoinitialise_starts_anew_after_terminal_count)
{
    power_on(1);
    program(1, SINGLE | AUTO | TO_MEMORY, 0, 0x1000, 7);
    CHECK_EQ(transfer(20, BP_DMA_TO_GUEST), 8);
    CHECK(tc);
    buffer[0] = 0x55;
    CHECK_EQ(transfer(1, BP_DMA_TO_GUEST), 1);
    CHECK(!tc);
    CHECK_EQ(bench_ram(b)[0x1000], 0x55);
    CHECK_EQ(count_of(1), 6);
}

/* --- masks, command, status ---------------------------------------------- */

TEST(masks_have_their_commands)
{
    power_on(2);
    out8(15, 0x00);
    CHECK_EQ(in8(15), 0);
    out8(10, 4 | 2);
    CHECK_EQ(in8(15), 4);
    CHECK(!ready());
    out8(10, 4 | 0);
    CHECK_EQ(in8(15), 5);
    out8(10, 2);
    CHECK_EQ(in8(15), 1);
    CHECK(ready());
    out8(15, 0x0e);
    CHECK_EQ(in8(15), 0x0e);
    CHECK(!ready());
    out8(14, 0);
    CHECK_EQ(in8(15), 0);
    CHECK(ready());
}

TEST(masked_channel_moves_nothing)
{
    power_on(2);
    program(2, SINGLE | TO_MEMORY, 0, 0x100, 7);
    out8(10, 4 | 2);
    CHECK_EQ(transfer(4, BP_DMA_TO_GUEST), 0);
    CHECK_EQ(count_of(2), 7);
}

TEST(device_hears_that_its_channel_is_unmasked)
{
    power_on(2);
    told = 0;
    out8(10, 3);
    CHECK_EQ(told, 0);
    out8(10, 2);
    CHECK_GE(told, 1);
}

/* Which controller a command register stops. */
static const struct {
    uint16_t port;
    unsigned channel;
    bool stopped;
} commands[] = {
    { 0x08, 2, true },
    { 0x08, 5, false },
    { 0xd0, 2, true },
    { 0xd0, 5, true },
};

TEST_P(command_register_disables_a_controller_and_what_it_cascades, commands)
{
    power_on(row->channel);
    program(row->channel, SINGLE | TO_MEMORY, 0, 0x100, 7);
    CHECK(ready());
    out8(row->port, 0x04);
    CHECK_EQ(ready(), !row->stopped);
    out8(row->port, 0x00);
    CHECK(ready());
}

TEST(masked_channel_4_stops_the_first_controller)
{
    power_on(2);
    program(2, SINGLE | TO_MEMORY, 0, 0x100, 7);
    out8(0xd4, 4);
    CHECK(!ready());
    out8(0xd4, 0);
    CHECK(ready());
}

TEST(reading_status_clears_terminal_counts_but_not_requests)
{
    power_on(3);
    out8(9, 4 | 1);
    program(3, SINGLE | TO_MEMORY, 0, 0x100, 0);
    CHECK_EQ(transfer(1, BP_DMA_TO_GUEST), 1);
    CHECK_EQ(in8(8), 0x28);
    CHECK_EQ(in8(8), 0x20);
    out8(9, 1);
    CHECK_EQ(in8(8), 0x00);
}

TEST(terminal_count_ends_a_software_request)
{
    power_on(3);
    out8(9, 4 | 3);
    CHECK_EQ(in8(8), 0x80);
    program(3, BLOCK | TO_MEMORY, 0, 0x100, 0);
    transfer(1, BP_DMA_TO_GUEST);
    CHECK_EQ(in8(8), 0x08);
}

static const unsigned controllers[] = { 1, 5 };

TEST_P(master_clear_masks_all_and_keeps_addresses, controllers)
{
    power_on(*row);
    program(*row, SINGLE | TO_MEMORY, 1, 0x1234, 0x5678);
    out8(port(*row, 9), 4);
    out8(port(*row, 8), 0x04);
    out8(port(*row, 0), 0x11); /* flip-flop in the middle */
    out8(port(*row, 13), 0);
    CHECK_EQ(in8(port(*row, 15)), 0x0f);
    CHECK_EQ(in8(port(*row, 8)), 0);
    CHECK_EQ(in8(port(*row, 2)), 0x34);
    CHECK_EQ(in8(port(*row, 2)), 0x12);
    CHECK_EQ(count_of(*row), 0x5678);
    out8(port(*row, 14), 0);
    out8(0xd4, 0);
    CHECK(ready());
}

TEST(flip_flop_is_shared_by_reads_and_writes)
{
    power_on(2);
    write16(2, 4, 0x1234);
    out8(12, 0);
    CHECK_EQ(in8(4), 0x34);
    out8(4, 0x99); /* the high byte */
    CHECK_EQ(in8(4), 0x34);
    CHECK_EQ(in8(4), 0x99);
}

TEST(each_controller_has_its_own_flip_flop)
{
    power_on(2);
    write16(2, 4, 0x1234);
    write16(5, 2, 0x5678);
    out8(12, 0);
    out8(0xd8, 0);
    CHECK_EQ(in8(4), 0x34);
    CHECK_EQ(in8(0xc4), 0x78);
    CHECK_EQ(in8(4), 0x12);
    CHECK_EQ(in8(0xc4), 0x56);
}

TEST(writing_one_byte_leaves_the_other_of_the_current_register)
{
    power_on(1);
    program(1, SINGLE | TO_MEMORY, 0, 0x10ff, 0x1ff);
    transfer(2, BP_DMA_TO_GUEST);
    CHECK_EQ(address_of(1), 0x1101);
    out8(12, 0);
    out8(2, 0x44);
    CHECK_EQ(address_of(1), 0x1144);
}

TEST(reset_masks_everything)
{
    power_on(1);
    program(1, SINGLE | TO_MEMORY, 0, 0x100, 7);
    CHECK(ready());
    bench_reset(b, 0);
    CHECK_EQ(in8(15), 0x0f);
    CHECK_EQ(in8(0xde), 0x0f);
    CHECK(!ready());
}

TEST(transfer_goes_on_after_save_and_load)
{
    power_on(6);
    program(6, SINGLE | AUTO | TO_MEMORY, 4, 0x80, 3);
    CHECK_EQ(transfer(4, BP_DMA_TO_GUEST), 4);
    out8(0xcc, 0x34); /* half of an address */
    bench_save_load(b);
    out8(0xcc, 0x12);
    CHECK_EQ(address_of(7), 0x1234);
    CHECK_EQ(transfer(16, BP_DMA_TO_GUEST), 4);
    CHECK(tc);
    CHECK_MEM_EQ(bench_ram(b) + 0x40104, buffer, 4);
    CHECK_EQ(address_of(6), 0x80);
    CHECK_EQ(count_of(6), 3);
}
