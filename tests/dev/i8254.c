/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8254 against the 82C54 datasheet: "Mode Definitions" (figures of modes 0-5),
 * "Read Operations", "Gate Pin Operations Summary".  Counter 2 is looked at
 * through port 61h, clock by clock; counter 0 through IRQ 0.
 */
#include "tests/dev/ports.h"

#include <stdio.h>
#include <string.h>

#define HZ     1193182ull
#define PORT_B 0x61
#define GATE2  0x01
#define OUT2   0x20

#define LOW_BYTE  0x10
#define HIGH_BYTE 0x20
#define BOTH      0x30

static uint64_t tick;

/* To the beginning of a clock, counted from power-on. */
static void to_tick(uint64_t to)
{
    uint64_t ns = to * 1000000000ull / HZ + 1;

    bench_step(b, ns - bench_now(b));
    tick = to;
}

static void clocks(uint64_t n)
{
    to_tick(tick + n);
}

static void power_on(void)
{
    b = bench_create("i8254", NULL);
    to_tick(1000);
    out8(PORT_B, GATE2);
}

static bool out2(void)
{
    return in8(PORT_B) & OUT2;
}

static void gate2(bool high)
{
    out8(PORT_B, high ? GATE2 : 0);
}

static void control(unsigned counter, unsigned rw, unsigned mode, bool bcd)
{
    out8(0x43, counter << 6 | rw | mode << 1 | bcd);
}

static void write_count(unsigned counter, uint16_t v)
{
    out8(0x40 + counter, v);
    out8(0x40 + counter, v >> 8);
}

static void program(unsigned counter, unsigned mode, bool bcd, uint16_t v)
{
    control(counter, BOTH, mode, bcd);
    write_count(counter, v);
}

static uint16_t read_count(unsigned counter)
{
    uint8_t low;

    out8(0x43, counter << 6);
    low = in8(0x40 + counter);
    return low | in8(0x40 + counter) << 8;
}

static uint8_t read_status(unsigned counter)
{
    out8(0x43, 0xe0 | 2u << counter);
    return in8(0x40 + counter);
}

static void trigger(void)
{
    gate2(false);
    gate2(true);
}

/* OUT 2 of this and the following clocks: H or L each. */
static void check_wave(const char *wave)
{
    for (unsigned i = 0; wave[i]; i++) {
        test_note("clock %u of %s", i, wave);
        CHECK_EQ(out2(), wave[i] == 'H');
        clocks(1);
    }
}

/* --- modes --------------------------------------------------------------- */

/* Clock 0 is the one in which the count was written, or (modes 1 and 5) the
 * first after the trigger. */
static const struct {
    unsigned mode;
    uint16_t count;
    const char *wave;
} waves[] = {
    { 0, 4, "LLLLLHHHHHHH" },     { 0, 1, "LLHHHH" },
    { 1, 3, "LLLHHHHH" },         { 1, 1, "LHHH" },
    { 2, 4, "HHHHLHHHLHHHLH" },   { 2, 3, "HHHLHHLHHL" },
    { 2, 2, "HHLHLHLH" },         { 3, 4, "HHHLLHHLLHHLL" },
    { 3, 5, "HHHHLLHHHLLHHHLL" }, { 3, 2, "HHLHLHLHL" },
    { 4, 3, "HHHHLHHHHHHH" },     { 4, 1, "HHLHHHH" },
    { 5, 3, "HHHLHHHHHH" },       { 6, 3, "HHHLHHLHHL" },
    { 7, 4, "HHHLLHHLLHHLL" },
};

TEST_P(output_has_the_wave_form_of_its_mode, waves)
{
    power_on();
    program(2, row->mode, false, row->count);
    if (row->mode == 1 || row->mode == 5) {
        CHECK(out2());
        clocks(3);
        CHECK(out2());
        trigger();
        clocks(1);
    }
    check_wave(row->wave);
}

static const struct {
    unsigned mode;
    bool high;
} initial[] = {
    { 0, false }, { 1, true }, { 2, true },
    { 3, true },  { 4, true }, { 5, true },
};

TEST_P(control_word_sets_output, initial)
{
    power_on();
    program(2, 0, false, 2);
    clocks(10);
    CHECK(out2());
    control(2, BOTH, row->mode, false);
    CHECK_EQ(out2(), row->high);
    clocks(100);
    CHECK_EQ(out2(), row->high);
}

/* CE from the clock after the one in which the count was written. */
static const struct {
    unsigned mode;
    bool bcd;
    uint16_t count;
    uint16_t ce[8];
} sequences[] = {
    { 0, false, 4, { 4, 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd } },
    { 0, true, 0x0101, { 0x101, 0x100, 0x99, 0x98, 0x97, 0x96, 0x95, 0x94 } },
    { 0, true, 2, { 2, 1, 0, 0x9999, 0x9998, 0x9997, 0x9996, 0x9995 } },
    { 0, false, 0, { 0, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0xfffb, 0xfffa } },
    { 1, false, 2, { 2, 1, 0, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0xfffb } },
    { 2, false, 3, { 3, 2, 1, 3, 2, 1, 3, 2 } },
    { 2, true, 0x10, { 0x10, 9, 8, 7, 6, 5, 4, 3 } },
    { 2, true, 0, { 0, 0x9999, 0x9998, 0x9997, 0x9996, 0x9995, 0x9994 } },
    { 3, false, 4, { 4, 2, 4, 2, 4, 2, 4, 2 } },
    { 3, false, 5, { 4, 2, 0, 4, 2, 4, 2, 0 } },
    { 3, false, 0, { 0, 0xfffe, 0xfffc, 0xfffa, 0xfff8, 0xfff6, 0xfff4 } },
    { 3, true, 0x12, { 0x12, 0x10, 8, 6, 4, 2, 0x12, 0x10 } },
    { 4, false, 2, { 2, 1, 0, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0xfffb } },
    { 5, false, 2, { 2, 1, 0, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0xfffb } },
};

TEST_P(counting_element_goes_through_its_sequence, sequences)
{
    power_on();
    program(2, row->mode, row->bcd, row->count);
    if (row->mode == 1 || row->mode == 5)
        trigger();
    clocks(1);
    for (unsigned i = 0; i < 7; i++) {
        test_note("clock %u", i + 1);
        CHECK_EQ(read_count(2), row->ce[i]);
        clocks(1);
    }
}

static const struct {
    uint16_t count;
    bool bcd;
    uint64_t n;
} largest[] = {
    { 0, false, 65536 },
    { 0, true, 10000 },
    { 0xffff, false, 65535 },
    { 0x9999, true, 9999 },
};

TEST_P(count_of_zero_is_the_largest, largest)
{
    power_on();
    program(2, 0, row->bcd, row->count);
    clocks(row->n);
    CHECK(!out2());
    clocks(1);
    CHECK(out2());
}

/* --- gate ---------------------------------------------------------------- */

/* "Gate Pin Operations Summary": gate falls two clocks after the first count,
 * rises three clocks later.  Waves: from the fall, and from the rise. */
static const struct {
    unsigned mode;
    uint16_t count;
    const char *while_low, *after_rise;
} gates[] = {
    { 0, 4, "LLL", "LLHHHH" },       /* goes on where it was */
    { 1, 8, "LLL", "LLLLLLLLLHHH" }, /* runs on; starts again */
    { 2, 4, "HHH", "HHHHLHHHLH" },   /* high at once; starts again */
    { 3, 4, "HHH", "HHHLLHHLL" },     { 4, 4, "HHH", "HHLHHHHH" },
    { 5, 8, "HHH", "HHHHHHHHHLHHH" },
};

TEST_P(gate_acts_as_in_the_summary, gates)
{
    power_on();
    program(2, row->mode, false, row->count);
    if (row->mode == 1 || row->mode == 5)
        trigger();
    clocks(3);
    gate2(false);
    check_wave(row->while_low);
    gate2(true);
    check_wave(row->after_rise);
}

TEST(one_shot_ends_while_gate_is_low)
{
    power_on();
    program(2, 1, false, 4);
    trigger();
    clocks(2);
    gate2(false);
    clocks(2);
    CHECK(!out2());
    clocks(1);
    CHECK(out2());
}

TEST(count_written_while_gate_is_low_waits_for_it)
{
    power_on();
    gate2(false);
    program(2, 0, false, 3);
    clocks(50);
    CHECK(!out2());
    CHECK_EQ(read_count(2), 3);
    gate2(true);
    clocks(2);
    CHECK(!out2());
    clocks(1);
    CHECK(out2());
}

TEST(gate_low_makes_square_wave_high_in_its_low_half)
{
    power_on();
    program(2, 3, false, 10);
    clocks(7);
    CHECK(!out2());
    gate2(false);
    CHECK(out2());
}

/* --- new counts ---------------------------------------------------------- */

/* A count of 6 runs since four clocks when `next` is written. */
static const struct {
    unsigned mode;
    uint16_t next;
    const char *wave;
} rewrites[] = {
    { 0, 3, "LLLLHHHH" }, /* at the next clock */
    { 4, 3, "HHHHLHHHH" },
    { 1, 3, "LLLHHHHHH" }, /* after the next trigger */
    { 5, 3, "HHHLHHHHH" },
    { 2, 3, "HHLHHLHHLHH" }, /* at the end of the period */
    { 3, 2, "LLLHLHLHL" },   /* at the end of the half */
    { 3, 8, "LLLHHHHLLLLHHHH" },
};

TEST_P(new_count_takes_effect_when_its_mode_says, rewrites)
{
    power_on();
    program(2, row->mode, false, 6);
    if (row->mode == 1 || row->mode == 5)
        trigger();
    clocks(4);
    write_count(2, row->next);
    check_wave(row->wave);
}

TEST(square_wave_takes_new_count_in_the_middle_of_its_period)
{
    power_on();
    program(2, 3, false, 12);
    clocks(3);
    write_count(2, 4);
    /* Six high clocks end, then halves of two. */
    check_wave("HHHHLLHHLLHH");
}

TEST(first_byte_of_new_count_stops_mode_0)
{
    power_on();
    program(2, 0, false, 5);
    clocks(3);
    CHECK_EQ(read_count(2), 3);
    out8(0x42, 9);
    clocks(20);
    CHECK_EQ(read_count(2), 3);
    CHECK(!out2());
    out8(0x42, 0);
    clocks(9);
    CHECK(!out2());
    clocks(1);
    CHECK(out2());
}

TEST(first_byte_of_new_count_makes_ended_mode_0_low)
{
    power_on();
    program(2, 0, false, 5);
    clocks(30);
    CHECK(out2());
    out8(0x42, 9);
    CHECK(!out2());
}

TEST(first_byte_of_new_count_does_not_stop_mode_4)
{
    power_on();
    program(2, 4, false, 5);
    clocks(3);
    out8(0x42, 9);
    clocks(1);
    CHECK_EQ(read_count(2), 2);
}

TEST(one_shot_is_triggered_again_by_gate)
{
    power_on();
    program(2, 1, false, 4);
    trigger();
    clocks(3);
    trigger();
    clocks(1);
    check_wave("LLLLHH");
}

/* --- reading ------------------------------------------------------------- */

static const struct {
    unsigned rw;
    uint8_t written, first, second;
} widths[] = {
    { LOW_BYTE, 0x34, 0x34, 0x34 },
    { HIGH_BYTE, 0x34, 0x34, 0x34 },
};

TEST_P(one_byte_counters_read_and_write_that_byte, widths)
{
    power_on();
    gate2(false);
    control(2, row->rw, 0, false);
    out8(0x42, row->written);
    clocks(5);
    CHECK_EQ(in8(0x42), row->first);
    CHECK_EQ(in8(0x42), row->second);
    out8(0x43, 0x80);
    CHECK_EQ(in8(0x42), row->first);
    out8(0x43, 0x80 | BOTH);
    gate2(false);
    CHECK_EQ(read_count(2),
             row->rw == LOW_BYTE ? row->written : row->written << 8);
}

TEST(both_bytes_are_read_low_first)
{
    power_on();
    gate2(false);
    program(2, 0, false, 0x1234);
    clocks(5);
    CHECK_EQ(in8(0x42), 0x34);
    CHECK_EQ(in8(0x42), 0x12);
    CHECK_EQ(in8(0x42), 0x34);
}

TEST(latch_holds_until_it_is_read)
{
    power_on();
    program(2, 0, false, 0x1000);
    clocks(1);
    out8(0x43, 0x80);
    clocks(0x300);
    CHECK_EQ(in8(0x42), 0x00);
    clocks(0x300);
    CHECK_EQ(in8(0x42), 0x10);
    CHECK_EQ(in8(0x42), 0x00);
    CHECK_EQ(in8(0x42), 0x0a);
}

TEST(second_latch_before_reading_is_ignored)
{
    power_on();
    program(2, 0, false, 0x1000);
    clocks(1);
    out8(0x43, 0x80);
    clocks(0x300);
    out8(0x43, 0x80);
    CHECK_EQ(in8(0x42), 0x00);
    out8(0x43, 0x80);
    CHECK_EQ(in8(0x42), 0x10);
}

TEST(control_word_drops_the_latch)
{
    power_on();
    program(2, 0, false, 0x1000);
    clocks(1);
    out8(0x43, 0x80);
    program(2, 0, false, 0x2222);
    clocks(1);
    CHECK_EQ(in8(0x42), 0x22);
}

static const struct {
    unsigned rw, mode;
    bool bcd;
} words[] = {
    { BOTH, 0, false }, { LOW_BYTE, 1, true }, { HIGH_BYTE, 2, false },
    { BOTH, 3, true },  { BOTH, 4, false },    { BOTH, 5, false },
    { BOTH, 6, false }, { BOTH, 7, true },
};

TEST_P(status_gives_the_control_word_back, words)
{
    power_on();
    control(2, row->rw, row->mode, row->bcd);
    CHECK_EQ(read_status(2) & 0x3f, row->rw | row->mode << 1 | row->bcd);
}

TEST(status_shows_output)
{
    power_on();
    program(2, 0, false, 4);
    clocks(4);
    CHECK_EQ(read_status(2) & 0x80, 0);
    clocks(1);
    CHECK_EQ(read_status(2) & 0x80, 0x80);
}

/* Null count: from a write until the count is in CE. */
static const struct {
    unsigned mode;
    unsigned clocks; /* after the write, until it is clear */
} first_nulls[] = {
    { 0, 1 },
    { 2, 1 },
    { 3, 1 },
    { 4, 1 },
};

TEST_P(null_count_clears_when_the_count_is_loaded, first_nulls)
{
    power_on();
    control(2, BOTH, row->mode, false);
    clocks(10);
    CHECK_EQ(read_status(2) & 0x40, 0x40);
    write_count(2, 100);
    CHECK_EQ(read_status(2) & 0x40, 0x40);
    clocks(row->clocks);
    CHECK_EQ(read_status(2) & 0x40, 0);
}

static const unsigned triggered[] = { 1, 5 };

TEST_P(null_count_waits_for_the_trigger, triggered)
{
    power_on();
    program(2, *row, false, 100);
    clocks(50);
    CHECK_EQ(read_status(2) & 0x40, 0x40);
    trigger();
    clocks(1);
    CHECK_EQ(read_status(2) & 0x40, 0);
    write_count(2, 50);
    clocks(10);
    CHECK_EQ(read_status(2) & 0x40, 0x40);
}

TEST(null_count_waits_for_the_end_of_the_period)
{
    power_on();
    program(2, 2, false, 10);
    clocks(4);
    write_count(2, 20);
    clocks(6);
    CHECK_EQ(read_status(2) & 0x40, 0x40);
    clocks(1);
    CHECK_EQ(read_status(2) & 0x40, 0);
    CHECK_EQ(read_count(2), 20);
}

TEST(read_back_gives_status_before_count)
{
    power_on();
    program(2, 0, false, 0x1234);
    clocks(1);
    out8(0x43, 0xc8); /* both of counter 2 */
    clocks(99);
    CHECK_EQ(in8(0x42), BOTH);
    CHECK_EQ(in8(0x42), 0x34);
    CHECK_EQ(in8(0x42), 0x12);
}

TEST(read_back_latches_several_counters_at_once)
{
    power_on();
    program(0, 0, false, 0x1111);
    program(1, 0, false, 0x2222);
    program(2, 0, false, 0x3333);
    clocks(1);
    out8(0x43, 0xda); /* counts of 0 and 2 */
    clocks(0x111);
    CHECK_EQ(in8(0x40), 0x11);
    CHECK_EQ(in8(0x40), 0x11);
    CHECK_EQ(in8(0x41), 0x11); /* not latched: it went on */
    CHECK_EQ(in8(0x41), 0x21);
    CHECK_EQ(in8(0x42), 0x33);
    CHECK_EQ(in8(0x42), 0x33);
}

TEST(second_status_latch_before_reading_is_ignored)
{
    power_on();
    program(2, 0, false, 4);
    out8(0x43, 0xe8);
    clocks(100);
    out8(0x43, 0xe8);
    CHECK_EQ(in8(0x42), 0x40 | BOTH);
}

TEST(control_register_cannot_be_read)
{
    power_on();
    CHECK_EQ(in8(0x43), 0xff);
}

/* --- IRQ 0 --------------------------------------------------------------- */

static const struct {
    unsigned mode;
    uint16_t count;
    unsigned edges; /* in exactly a second */
} rates[] = {
    { 2, 11932, 99 }, /* 1193182 / 11932 = 99.998 */
    { 3, 11932, 99 },  { 2, 0, 18 },      { 3, 0, 18 },
    { 2, 1193, 1000 }, { 3, 1193, 1000 },
};

TEST_P(irq_0_comes_at_the_programmed_rate, rates)
{
    power_on();
    program(0, row->mode, false, row->count);
    bench_edges(b, "isa", 0);
    bench_step(b, 1000000000);
    CHECK_EQ(bench_edges(b, "isa", 0), row->edges);
}

static const struct {
    unsigned mode;
    uint64_t first, second; /* rising edges, clocks after the write */
} instants[] = {
    { 0, 1001, 0 },
    { 2, 1001, 2001 },
    { 3, 1001, 2001 },
    { 4, 1002, 0 },
};

TEST_P(irq_0_rises_at_the_very_clock, instants)
{
    power_on();
    program(0, row->mode, false, 1000);
    bench_edges(b, "isa", 0);
    clocks(row->first - 1);
    CHECK_EQ(bench_edges(b, "isa", 0), 0);
    /* The strobe of mode 4 is shorter than the least distance of events. */
    clocks(row->mode == 4 ? 24 : 1);
    CHECK_EQ(bench_edges(b, "isa", 0), 1);
    if (!row->second) {
        clocks(100000);
        CHECK_EQ(bench_edges(b, "isa", 0), 0);
        return;
    }
    clocks(row->second - row->first - 1);
    CHECK_EQ(bench_edges(b, "isa", 0), 0);
    clocks(1);
    CHECK_EQ(bench_edges(b, "isa", 0), 1);
}

TEST(square_wave_is_high_and_low_for_half_a_period_on_irq_0)
{
    power_on();
    program(0, 3, false, 1000);
    clocks(500);
    CHECK_EQ(bench_line(b, "isa", 0), 1);
    clocks(1);
    CHECK_EQ(bench_line(b, "isa", 0), 0);
    clocks(499);
    CHECK_EQ(bench_line(b, "isa", 0), 0);
    clocks(1);
    CHECK_EQ(bench_line(b, "isa", 0), 1);
}

TEST(new_count_changes_irq_0_at_the_end_of_the_period)
{
    power_on();
    program(0, 2, false, 2000);
    clocks(500);
    write_count(0, 1000);
    bench_edges(b, "isa", 0);
    clocks(1500);
    CHECK_EQ(bench_edges(b, "isa", 0), 0);
    clocks(1);
    CHECK_EQ(bench_edges(b, "isa", 0), 1);
    clocks(999);
    CHECK_EQ(bench_edges(b, "isa", 0), 0);
    clocks(1);
    CHECK_EQ(bench_edges(b, "isa", 0), 1);
}

static const struct {
    unsigned mode;
    uint16_t count;
} floods[] = {
    { 2, 1 }, { 2, 2 }, { 3, 1 }, { 3, 2 }, { 3, 3 },
};

TEST_P(absurd_rate_does_not_flood_the_host, floods)
{
    power_on();
    program(0, row->mode, false, row->count);
    bench_edges(b, "isa", 0);
    bench_step(b, 100000000);
    CHECK_LE(bench_edges(b, "isa", 0), 5001);
}

TEST(stopping_counter_0_stops_its_interrupts)
{
    power_on();
    program(0, 2, false, 1000);
    clocks(5000);
    control(0, BOTH, 0, false);
    bench_edges(b, "isa", 0);
    clocks(50000);
    CHECK_EQ(bench_edges(b, "isa", 0), 0);
    CHECK(!bench_step_to_timer(b));
}

/* --- port 61h and the rest ----------------------------------------------- */

TEST(port_61h_keeps_its_low_four_bits)
{
    power_on();
    for (unsigned v = 0; v < 256; v++) {
        out8(PORT_B, v);
        CHECK_EQ(in8(PORT_B) & 0xcf, v & 0x0f);
    }
}

TEST(port_61h_toggles_with_each_refresh)
{
    unsigned changes = 0;
    uint8_t was;

    power_on();
    was = in8(PORT_B) & 0x10;
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t now;

        bench_step(b, 1000);
        now = in8(PORT_B) & 0x10;
        changes += now != was;
        was = now;
    }
    CHECK_GE(changes, 660); /* every 15.085 us in 10 ms */
    CHECK_LE(changes, 665);
}

TEST(state_survives_saving_in_the_middle_of_everything)
{
    power_on();
    program(0, 2, false, 2000);
    program(2, 3, false, 7);
    clocks(3);
    out8(0x43, 0x80);
    out8(0x42, 4); /* half of a new count */
    bench_edges(b, "isa", 0);
    bench_save_load(b);
    CHECK_EQ(in8(0x42), 2);
    CHECK_EQ(in8(0x42), 0);
    out8(0x42, 0);
    check_wave("HHLLHHLLHHL");
    clocks(2001 - 3 - 11 - 1);
    CHECK_EQ(bench_edges(b, "isa", 0), 0);
    clocks(1);
    CHECK_EQ(bench_edges(b, "isa", 0), 1);
}
