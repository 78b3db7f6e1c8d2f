/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioapic against the 82093AA datasheet, section 3 (registers) and 2.3
 * (interrupt mechanism), and a PC's wiring of ISA lines to inputs.
 */
#include "tests/dev/ports.h"

#define BASE   0xfec00000u
#define LEVEL  0x8000u
#define IRR    0x4000u
#define LOW    0x2000u
#define MASKED 0x10000u
#define PINS   24

static uint32_t get(uint8_t index)
{
    bench_write(b, BASE, 4, index);
    return bench_read(b, BASE + 0x10, 4);
}

static void put(uint8_t index, uint32_t v)
{
    bench_write(b, BASE, 4, index);
    bench_write(b, BASE + 0x10, 4, v);
}

static void entry(unsigned pin, uint32_t low, uint32_t high)
{
    put(0x11 + 2 * pin, high);
    put(0x10 + 2 * pin, low);
}

static void power_on(void)
{
    b = bench_create("ioapic", NULL);
}

static unsigned messages(void)
{
    struct bench_message m;
    unsigned n = 0;

    while (bench_message(b, &m))
        n++;
    return n;
}

static void line(unsigned n, bool level)
{
    bench_drive(b, n < 16 ? "isa" : "gsi", n, level);
}

/* --- registers ----------------------------------------------------------- */

TEST(all_inputs_are_masked_after_reset)
{
    power_on();
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < PINS; i++) {
            CHECK_EQ(get(0x10 + 2 * i), MASKED);
            CHECK_EQ(get(0x11 + 2 * i), 0);
            entry(i, 0x30, 0xffffffff);
        }
        put(0, 0x0f000000);
        bench_reset(b, 0);
        CHECK_EQ(get(0), 0);
    }
}

TEST(version_names_24_entries)
{
    power_on();
    CHECK_EQ(get(1) >> 16, PINS - 1);
    put(1, 0);
    CHECK_EQ(get(1) >> 16, PINS - 1);
}

TEST(id_has_four_bits_and_arbitration_id_follows)
{
    power_on();
    put(0, 0xffffffff);
    CHECK_EQ(get(0), 0x0f000000);
    put(0, 0x05000000);
    CHECK_EQ(get(0), 0x05000000);
    CHECK_EQ(get(2), 0x05000000);
    put(2, 0x0a000000);
    CHECK_EQ(get(2), 0x05000000);
}

TEST(select_register_reads_back)
{
    power_on();
    bench_write(b, BASE, 4, 0x17);
    CHECK_EQ(bench_read(b, BASE, 4), 0x17);
}

TEST(registers_that_are_none_read_0)
{
    power_on();
    put(0x40, 0xffffffff);
    CHECK_EQ(get(0x40), 0);
    CHECK_EQ(get(0x03), 0);
    CHECK_EQ(get(0xff), 0);
}

TEST(entry_has_its_writable_bits)
{
    power_on();
    for (unsigned i = 0; i < PINS; i++) {
        entry(i, 0xffffffff, 0xffffffff);
        /* status and remote IRR are read only, 31:17 and 55:32 reserved */
        CHECK_EQ(get(0x10 + 2 * i), 0x0001afff);
        CHECK_EQ(get(0x11 + 2 * i), 0xff000000);
    }
}

/* --- delivery ------------------------------------------------------------ */

static const struct {
    unsigned line, pin;
} wiring[] = {
    { 0, 2 },   { 1, 1 },   { 3, 3 },   { 4, 4 },   { 5, 5 },   { 6, 6 },
    { 7, 7 },   { 8, 8 },   { 9, 9 },   { 10, 10 }, { 11, 11 }, { 12, 12 },
    { 13, 13 }, { 14, 14 }, { 15, 15 }, { 16, 16 }, { 19, 19 }, { 23, 23 },
};

TEST_P(line_is_wired_to_its_input, wiring)
{
    struct bench_message m;

    power_on();
    for (unsigned i = 0; i < PINS; i++)
        entry(i, 0x40 + i, 0);
    line(row->line, true);
    CHECK(bench_message(b, &m));
    CHECK_EQ(m.vector, 0x40 + row->pin);
    CHECK(!bench_message(b, &m));
}

static const struct {
    uint32_t low, high;
    struct bench_message m;
} sends[] = {
    { 0x0031, 0x00000000, { 0, false, 0, 0x31, false } },
    { 0x0031, 0x03000000, { 3, false, 0, 0x31, false } },
    { 0x0931, 0xff000000, { 0xff, true, 1, 0x31, false } },
    { 0x0831, 0x0f000000, { 0x0f, true, 0, 0x31, false } },
    { 0x8031, 0x01000000, { 1, false, 0, 0x31, true } },
    { 0xa1fe, 0x01000000, { 1, false, 1, 0xfe, true } },
    { 0x0400, 0x00000000, { 0, false, 4, 0x00, false } },
    { 0x0500, 0x02000000, { 2, false, 5, 0x00, false } },
    { 0x0200, 0x00000000, { 0, false, 2, 0x00, false } },
};

TEST_P(message_says_what_the_entry_does, sends)
{
    struct bench_message m;

    power_on();
    entry(11, row->low, row->high);
    line(11, true);
    CHECK(bench_message(b, &m));
    CHECK_EQ(m.dest, row->m.dest);
    CHECK_EQ(m.logical, row->m.logical);
    CHECK_EQ(m.delivery_mode, row->m.delivery_mode);
    CHECK_EQ(m.vector, row->m.vector);
    CHECK_EQ(m.level, row->m.level);
}

TEST(edge_input_sends_once_for_each_edge)
{
    power_on();
    entry(4, 0x31, 0);
    line(4, true);
    CHECK_EQ(messages(), 1);
    bench_eoi(b, 0x31);
    CHECK_EQ(messages(), 0);
    line(4, false);
    CHECK_EQ(messages(), 0);
    line(4, true);
    CHECK_EQ(messages(), 1);
    CHECK_EQ(get(0x18) & IRR, 0);
}

TEST(edge_on_a_masked_input_is_lost)
{
    power_on();
    entry(4, MASKED | 0x31, 0);
    line(4, true);
    entry(4, 0x31, 0);
    CHECK_EQ(messages(), 0);
    line(4, false);
    line(4, true);
    CHECK_EQ(messages(), 1);
}

TEST(level_input_waits_for_eoi_and_sends_again)
{
    power_on();
    entry(17, LEVEL | LOW | 0x51, 0);
    line(17, true);
    CHECK_EQ(messages(), 1);
    CHECK_EQ(get(0x10 + 34) & IRR, IRR);
    line(17, false);
    line(17, true);
    CHECK_EQ(messages(), 0);
    bench_eoi(b, 0x52);
    CHECK_EQ(messages(), 0);
    bench_eoi(b, 0x51);
    CHECK_EQ(messages(), 1);
    line(17, false);
    CHECK_EQ(get(0x10 + 34) & IRR, IRR);
    bench_eoi(b, 0x51);
    CHECK_EQ(messages(), 0);
    CHECK_EQ(get(0x10 + 34) & IRR, 0);
}

TEST(level_on_a_masked_input_is_sent_when_unmasked)
{
    power_on();
    entry(17, LEVEL | MASKED | 0x51, 0);
    line(17, true);
    CHECK_EQ(messages(), 0);
    entry(17, LEVEL | 0x51, 0);
    CHECK_EQ(messages(), 1);
}

TEST(level_that_fell_while_masked_is_forgotten)
{
    power_on();
    entry(17, LEVEL | MASKED | 0x51, 0);
    line(17, true);
    line(17, false);
    entry(17, LEVEL | 0x51, 0);
    CHECK_EQ(messages(), 0);
}

TEST(masking_does_not_clear_remote_irr)
{
    power_on();
    entry(17, LEVEL | 0x51, 0);
    line(17, true);
    CHECK_EQ(messages(), 1);
    entry(17, LEVEL | MASKED | 0x51, 0);
    CHECK_EQ(get(0x10 + 34) & IRR, IRR);
    entry(17, LEVEL | 0x51, 0);
    CHECK_EQ(messages(), 0);
    bench_eoi(b, 0x51);
    CHECK_EQ(messages(), 1);
}

/* Linux ends interrupts so where it cannot send a directed EOI. */
TEST(switching_to_edge_and_back_clears_remote_irr)
{
    power_on();
    entry(17, LEVEL | 0x51, 0);
    line(17, true);
    CHECK_EQ(messages(), 1);
    entry(17, MASKED | 0x51, 0);
    CHECK_EQ(get(0x10 + 34) & IRR, 0);
    entry(17, LEVEL | 0x51, 0);
    CHECK_EQ(messages(), 1);
}

TEST(eoi_ends_every_entry_with_its_vector)
{
    power_on();
    entry(17, LEVEL | 0x51, 0);
    entry(18, LEVEL | 0x51, 0);
    entry(19, LEVEL | 0x52, 0);
    for (unsigned n = 17; n < 20; n++)
        line(n, true);
    CHECK_EQ(messages(), 3);
    bench_eoi(b, 0x51);
    CHECK_EQ(messages(), 2);
}

TEST(eoi_register_ends_a_vector_too)
{
    power_on();
    entry(17, LEVEL | 0x51, 0);
    line(17, true);
    CHECK_EQ(messages(), 1);
    line(17, false);
    bench_write(b, BASE + 0x40, 4, 0x51);
    CHECK_EQ(get(0x10 + 34) & IRR, 0);
}

/* Lines carry assertion, so both polarities see the same. */
static const uint32_t polarities[] = { 0, LOW };

TEST_P(polarity_does_not_turn_assertion_around, polarities)
{
    power_on();
    entry(20, LEVEL | *row | 0x51, 0);
    CHECK_EQ(messages(), 0);
    line(20, true);
    CHECK_EQ(messages(), 1);
}

TEST(pending_level_survives_save_and_load)
{
    power_on();
    entry(17, LEVEL | 0x51, 0x02000000);
    line(17, true);
    CHECK_EQ(messages(), 1);
    bench_save_load(b);
    CHECK_EQ(messages(), 0);
    bench_eoi(b, 0x51);
    CHECK_EQ(messages(), 1);
}
