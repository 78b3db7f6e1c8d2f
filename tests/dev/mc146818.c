/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mc146818 against the MC146818A datasheet: tables 2 (data modes), 4 and 5
 * (divider, periodic rates), "Update cycle", "Interrupts", "Alarms".
 */
#include "tests/dev/ports.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000000000ull
#define US     1000ull

enum {
    SEC,
    SEC_ALARM,
    MIN,
    MIN_ALARM,
    HOUR,
    HOUR_ALARM,
    WEEKDAY,
    DAY,
    MONTH,
    YEAR,
    A,
    B,
    C,
    D,
    CENTURY = 0x32
};

#define UIP  0x80
#define SET  0x80
#define PIE  0x40
#define AIE  0x20
#define UIE  0x10
#define SQWE 0x08
#define DM   0x04
#define H24  0x02
#define IRQF 0x80
#define PF   0x40
#define AF   0x20
#define UF   0x10

static uint8_t get(uint8_t index)
{
    out8(0x70, index);
    return in8(0x71);
}

static void put(uint8_t index, uint8_t v)
{
    out8(0x70, index);
    out8(0x71, v);
}

static void power_on(void)
{
    b = bench_create("mc146818", NULL);
}

static bool irq(void)
{
    return bench_line(b, "isa", 8);
}

/* Sets the clock as a driver does; "CCYY-MM-DD hh:mm:ss" in hexadecimal is
 * BCD, so the bytes are those of the text. */
static void set_time(const char *text)
{
    unsigned cc, yy, mm, dd, h, m, s;

    CHECK_EQ(sscanf(text, "%2x%2x-%2x-%2x %2x:%2x:%2x", &cc, &yy, &mm, &dd, &h,
                    &m, &s),
             7);
    put(B, get(B) | SET);
    put(CENTURY, cc);
    put(YEAR, yy);
    put(MONTH, mm);
    put(DAY, dd);
    put(HOUR, h);
    put(MIN, m);
    put(SEC, s);
    put(B, get(B) & ~SET);
}

static const char *time_now(void)
{
    static char text[64];

    snprintf(text, sizeof text, "%02x%02x-%02x-%02x %02x:%02x:%02x",
             get(CENTURY), get(YEAR), get(MONTH), get(DAY), get(HOUR), get(MIN),
             get(SEC));
    return text;
}

/* --- time ---------------------------------------------------------------- */

static const struct {
    uint64_t wall;
    const char *text;
    uint8_t weekday;
} walls[] = {
    { 0, "1970-01-01 00:00:00", 5 },
    { 951782400, "2000-02-29 00:00:00", 3 },
    { 1709210096, "2024-02-29 12:34:56", 5 },
    { 4107542399, "2100-02-28 23:59:59", 1 },
};

TEST_P(clock_starts_with_wall_time_in_bcd, walls)
{
    b = bench_empty();
    bench_set_wall(b, row->wall * SECOND);
    bench_add_device(b, "mc146818", "rtc", NULL);
    CHECK_STR_EQ(time_now(), row->text);
    CHECK_EQ(get(WEEKDAY), row->weekday);
    CHECK_EQ(get(B), H24);
    CHECK_EQ(get(D), 0x80);
}

static const struct {
    const char *before, *after;
} rollovers[] = {
    { "2023-06-15 10:20:29", "2023-06-15 10:20:30" },
    { "2023-06-15 10:20:59", "2023-06-15 10:21:00" },
    { "2023-06-15 10:59:59", "2023-06-15 11:00:00" },
    { "2023-06-15 23:59:59", "2023-06-16 00:00:00" },
    { "2023-01-31 23:59:59", "2023-02-01 00:00:00" },
    { "2023-02-28 23:59:59", "2023-03-01 00:00:00" },
    { "2024-02-28 23:59:59", "2024-02-29 00:00:00" },
    { "2024-02-29 23:59:59", "2024-03-01 00:00:00" },
    { "2000-02-28 23:59:59", "2000-02-29 00:00:00" },
    { "2023-04-30 23:59:59", "2023-05-01 00:00:00" },
    { "2023-07-31 23:59:59", "2023-08-01 00:00:00" },
    { "2023-12-31 23:59:59", "2024-01-01 00:00:00" },
    { "1999-12-31 23:59:59", "2000-01-01 00:00:00" },
    { "2099-12-31 23:59:59", "2100-01-01 00:00:00" },
};

TEST_P(second_rolls_over, rollovers)
{
    power_on();
    set_time(row->before);
    CHECK_STR_EQ(time_now(), row->before);
    bench_step(b, SECOND);
    CHECK_STR_EQ(time_now(), row->after);
}

/* Table 2: hour 0..23 in the four data modes. */
static const struct {
    uint8_t mode;
    uint8_t hour[24];
} data_modes[] = {
    { H24, { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
             0x08, 0x09, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
             0x16, 0x17, 0x18, 0x19, 0x20, 0x21, 0x22, 0x23 } },
    { 0, { 0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
           0x08, 0x09, 0x10, 0x11, 0x92, 0x81, 0x82, 0x83,
           0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91 } },
    { DM | H24, { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                  0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
                  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17 } },
    { DM, { 0x0c, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
            0x08, 0x09, 0x0a, 0x0b, 0x8c, 0x81, 0x82, 0x83,
            0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b } },
};

TEST_P(hours_are_counted_in_the_data_mode, data_modes)
{
    power_on();
    put(B, SET | row->mode);
    put(DAY, 1);
    put(MONTH, 1);
    put(HOUR, row->hour[0]);
    put(MIN, 0);
    put(SEC, 0);
    put(B, row->mode);
    for (unsigned h = 0; h < 24; h++) {
        test_note("hour %u", h);
        CHECK_EQ(get(HOUR), row->hour[h]);
        bench_step(b, 3600 * SECOND);
    }
}

TEST_P(hours_are_set_in_the_data_mode, data_modes)
{
    power_on();
    for (unsigned h = 0; h < 24; h++) {
        put(B, SET | row->mode);
        put(HOUR, row->hour[h]);
        put(B, row->mode);
        test_note("hour %u", h);
        CHECK_EQ(get(HOUR), row->hour[h]);
        bench_step(b, 3600 * SECOND);
        CHECK_EQ(get(HOUR), row->hour[(h + 1) % 24]);
    }
}

TEST(binary_mode_counts_all_registers_in_binary)
{
    power_on();
    set_time("2049-11-29 22:58:57");
    put(B, H24 | DM);
    CHECK_EQ(get(SEC), 57);
    CHECK_EQ(get(MIN), 58);
    CHECK_EQ(get(HOUR), 22);
    CHECK_EQ(get(DAY), 29);
    CHECK_EQ(get(MONTH), 11);
    CHECK_EQ(get(YEAR), 49);
    CHECK_EQ(get(CENTURY), 20);
}

TEST(day_of_the_week_counts_from_what_was_set)
{
    static const uint8_t next[] = { 6, 7, 1, 2 };

    power_on();
    set_time("2023-06-15 00:00:00");
    put(WEEKDAY, 5);
    for (unsigned i = 0; i < 4; i++) {
        bench_step(b, 86400 * SECOND);
        CHECK_EQ(get(WEEKDAY), next[i]);
    }
}

TEST(setting_the_date_leaves_the_day_of_the_week)
{
    power_on();
    put(WEEKDAY, 3);
    set_time("2023-06-15 00:00:00");
    CHECK_EQ(get(WEEKDAY), 3);
}

TEST(time_can_be_written_while_it_runs)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(MIN, 0x44);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:44:30");
    bench_step(b, 30 * SECOND);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:45:00");
}

/* --- SET, divider, update in progress ------------------------------------ */

TEST(set_stops_the_time)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(B, SET | H24);
    bench_step(b, 100 * SECOND);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:20:30");
    CHECK_EQ(get(C) & (UF | AF), 0);
    put(B, H24);
    bench_step(b, 2 * SECOND);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:20:32");
}

TEST(set_clears_uie)
{
    power_on();
    put(B, H24 | UIE | AIE | PIE);
    put(B, H24 | UIE | AIE | PIE | SET);
    CHECK_EQ(get(B), H24 | AIE | PIE | SET);
}

TEST(set_does_not_move_the_phase_of_updates)
{
    power_on();
    bench_step(b, SECOND * 3 / 10);
    set_time("2023-06-15 10:20:30");
    bench_step(b, SECOND * 7 / 10 - 1);
    CHECK_EQ(get(SEC), 0x30);
    bench_step(b, 1);
    CHECK_EQ(get(SEC), 0x31);
}

TEST(flags_stay_clear_while_time_is_being_set)
{
    power_on();
    get(C);
    put(B, SET | H24);
    put(SEC_ALARM, 0xff);
    put(MIN_ALARM, 0xff);
    put(HOUR_ALARM, 0xff);
    put(YEAR, 0x50);
    CHECK_EQ(get(C) & (AF | UF), 0);
}

static const uint8_t divider_resets[] = { 0x60, 0x70 };

TEST_P(first_update_comes_half_a_second_after_divider_reset, divider_resets)
{
    power_on();
    put(A, *row | 6);
    set_time("2023-06-15 10:20:30");
    bench_step(b, 10 * SECOND + 123456);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:20:30");
    put(A, 0x26);
    bench_step(b, SECOND / 2 - 1);
    CHECK_EQ(get(SEC), 0x30);
    bench_step(b, 1);
    CHECK_EQ(get(SEC), 0x31);
}

/* ns before the update, and UIP then: tBUC 244 us + tUC 1984 us. */
static const struct {
    uint64_t before;
    bool uip;
} uips[] = {
    { SECOND, false },  { 2229 * US, false }, { 2227 * US, true },
    { 244 * US, true }, { 1, true },
};

TEST_P(update_in_progress_announces_the_update, uips)
{
    power_on();
    bench_step(b, 3 * SECOND - row->before);
    CHECK_EQ(get(A) & UIP, row->uip ? UIP : 0);
    put(B, SET | H24);
    CHECK_EQ(get(A) & UIP, 0);
}

TEST(uip_cannot_be_written)
{
    power_on();
    put(A, UIP | 0x26);
    CHECK_EQ(get(A), 0x26);
}

/* --- interrupts ---------------------------------------------------------- */

static const struct {
    uint8_t enable, flag;
} sources[] = {
    { 0, 0 },
    { PIE, PF },
    { AIE, AF },
    { UIE, UF },
    { PIE | AIE, PF | AF },
    { PIE | AIE | UIE, PF | AF | UF },
};

/* All three flags are set; enables decide about the line. */
TEST_P(irq_8_is_the_or_of_enabled_flags, sources)
{
    power_on();
    put(SEC_ALARM, 0xff);
    put(MIN_ALARM, 0xff);
    put(HOUR_ALARM, 0xff);
    put(B, H24 | row->enable);
    bench_step(b, SECOND);
    CHECK_EQ(irq(), row->enable != 0);
    CHECK_EQ(get(C), PF | AF | UF | (row->enable ? IRQF : 0));
    CHECK(!irq());
    CHECK_EQ(get(C), 0);
}

TEST(enabling_an_interrupt_whose_flag_is_set_raises_the_line)
{
    power_on();
    bench_step(b, SECOND);
    CHECK(!irq());
    put(B, H24 | UIE);
    CHECK(irq());
}

TEST(update_ended_interrupt_comes_every_second)
{
    power_on();
    put(B, H24 | UIE);
    bench_edges(b, "isa", 8);
    for (unsigned i = 0; i < 10; i++) {
        bench_step(b, SECOND - 1);
        CHECK_EQ(bench_edges(b, "isa", 8), 0);
        bench_step(b, 1);
        CHECK_EQ(bench_edges(b, "isa", 8), 1);
        CHECK_EQ(get(C) & (IRQF | UF), IRQF | UF);
    }
}

/* Table 5 for a time base of 32.768 kHz: Hz. */
static const struct {
    uint8_t rs;
    unsigned hz;
} rates[] = {
    { 0, 0 },    { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 4, 4096 }, { 5, 2048 },
    { 6, 1024 }, { 7, 512 }, { 8, 256 }, { 9, 128 },  { 10, 64 },  { 11, 32 },
    { 12, 16 },  { 13, 8 },  { 14, 4 },  { 15, 2 },
};

TEST_P(periodic_interrupt_has_the_rate_of_the_table, rates)
{
    unsigned n = 0;

    power_on();
    put(A, 0x20 | row->rs);
    get(C);
    put(B, H24 | PIE);
    bench_edges(b, "isa", 8);
    while (bench_now(b) < SECOND + 1000 && bench_step_to_timer(b)) {
        if (bench_now(b) <= SECOND + 1000)
            n += bench_edges(b, "isa", 8);
        get(C);
    }
    CHECK_EQ(n, row->hz);
}

TEST(periodic_flag_is_set_without_its_interrupt)
{
    power_on();
    put(A, 0x2f);
    get(C);
    bench_step(b, SECOND / 2 - 1);
    CHECK_EQ(get(C) & PF, 0);
    bench_step(b, 1);
    CHECK_EQ(get(C) & (PF | IRQF), PF);
}

TEST(divider_reset_stops_the_periodic_interrupt)
{
    power_on();
    put(A, 0x66);
    get(C);
    put(B, H24 | PIE);
    bench_step(b, SECOND);
    CHECK(!irq());
    CHECK_EQ(get(C), 0);
}

/* Alarm registers, and the time of the first alarm after 10:20:30. */
static const struct {
    uint8_t hour, minute, second;
    const char *at;
} alarms[] = {
    { 0x10, 0x21, 0x15, "10:21:15" }, { 0xff, 0xff, 0x40, "10:20:40" },
    { 0xff, 0xff, 0x29, "10:21:29" }, { 0xc0, 0x20, 0x30, "11:20:30" },
    { 0xff, 0x25, 0xff, "10:25:00" }, { 0xff, 0xff, 0xff, "10:20:31" },
    { 0x10, 0xc5, 0x00, "10:21:00" }, { 0x12, 0x00, 0x00, "12:00:00" },
    { 0x00, 0x00, 0x01, "00:00:01" }, { 0x10, 0x20, 0x30, "10:20:30" },
};

TEST_P(alarm_comes_when_all_registers_match_or_do_not_care, alarms)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(HOUR_ALARM, row->hour);
    put(MIN_ALARM, row->minute);
    put(SEC_ALARM, row->second);
    get(C);
    put(B, H24 | AIE);
    CHECK(!irq());
    for (unsigned i = 0; i < 86400 && !irq(); i++)
        CHECK(bench_step_to_timer(b));
    CHECK_STR_EQ(time_now() + 11, row->at);
    CHECK_EQ(get(C) & (AF | IRQF), AF | IRQF);
    /* The time moves on to the next one: not before a second has passed. */
    bench_step(b, SECOND - 1);
    CHECK_EQ(get(C) & AF, 0);
}

static const struct {
    uint8_t mode, alarm;
    uint8_t before, hour;
} alarm_modes[] = {
    { 0, 0x81, 0x92, 0x81 },
    { DM, 0x8c, 0x0b, 0x8c },
    { DM | H24, 13, 12, 13 },
    { 0, 0x12, 0x91, 0x12 },
};

TEST_P(alarm_is_compared_in_the_data_mode, alarm_modes)
{
    power_on();
    put(B, SET | row->mode);
    put(HOUR, row->before);
    put(MIN, row->mode & DM ? 59 : 0x59);
    put(SEC, row->mode & DM ? 58 : 0x58);
    put(HOUR_ALARM, row->alarm);
    put(MIN_ALARM, 0);
    put(SEC_ALARM, 0);
    put(B, row->mode);
    get(C);
    bench_step(b, SECOND);
    CHECK_EQ(get(C) & AF, 0);
    bench_step(b, SECOND);
    CHECK_EQ(get(C) & AF, AF);
    CHECK_EQ(get(HOUR), row->hour);
}

TEST(alarm_flag_is_set_though_nobody_looked_for_hours)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(HOUR_ALARM, 0x11);
    put(MIN_ALARM, 0x00);
    put(SEC_ALARM, 0x00);
    get(C);
    bench_step(b, 20 * 3600 * SECOND);
    CHECK_EQ(get(C), AF | UF | PF);
}

TEST(new_alarm_is_not_compared_with_the_past)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(HOUR_ALARM, 0x01);
    put(MIN_ALARM, 0x01);
    put(SEC_ALARM, 0x01);
    get(C);
    bench_step(b, 10 * SECOND);
    put(HOUR_ALARM, 0x10);
    put(MIN_ALARM, 0x20);
    put(SEC_ALARM, 0x35);
    CHECK_EQ(get(C) & AF, 0);
}

/* --- memory -------------------------------------------------------------- */

TEST(flag_registers_are_read_only)
{
    power_on();
    put(C, 0xff);
    CHECK_EQ(get(C), 0);
    put(D, 0x00);
    CHECK_EQ(get(D), 0x80);
}

TEST(two_banks_of_memory_keep_their_bytes)
{
    power_on();
    for (unsigned i = 0x0e; i < 0x80; i++)
        if (i != CENTURY)
            put(i, i ^ 0x55);
    for (unsigned i = 0; i < 0x80; i++) {
        out8(0x72, i);
        out8(0x73, i ^ 0xaa);
    }
    for (unsigned i = 0x0e; i < 0x80; i++)
        if (i != CENTURY)
            CHECK_EQ(get(i), i ^ 0x55);
    for (unsigned i = 0; i < 0x80; i++) {
        out8(0x72, i);
        CHECK_EQ(in8(0x73), i ^ 0xaa);
    }
}

TEST(nmi_mask_bit_is_not_part_of_the_index)
{
    power_on();
    put(0x40, 0x12);
    CHECK_EQ(get(0x80 | 0x40), 0x12);
    CHECK_EQ(in8(0x70), 0xff);
}

static const struct {
    const char *below, *above, *cpus, *floppy0, *floppy1;
    uint8_t index, value;
} boards[] = {
    { "128M", "0", "1", "none", "none", 0x15, 0x80 },
    { "128M", "0", "1", "none", "none", 0x16, 0x02 },
    { "16M", "0", "1", "none", "none", 0x17, 0x00 }, /* 15 MiB, in KiB */
    { "16M", "0", "1", "none", "none", 0x18, 0x3c },
    { "128M", "0", "1", "none", "none", 0x30, 0xff }, /* no more than 64M */
    { "128M", "0", "1", "none", "none", 0x31, 0xff },
    { "128M", "0", "1", "none", "none", 0x34, 0x00 }, /* 64 KiB beyond 16M */
    { "128M", "0", "1", "none", "none", 0x35, 0x07 },
    { "2G", "5G", "1", "none", "none", 0x5b, 0x00 },
    { "2G", "5G", "1", "none", "none", 0x5c, 0x40 },
    { "2G", "5G", "1", "none", "none", 0x5d, 0x01 },
    { "128M", "0", "4", "none", "none", 0x5f, 0x03 },
    { "128M", "0", "1", "1.44m", "1.2m", 0x10, 0x42 },
    { "128M", "0", "1", "1.44m", "none", 0x14, 0x07 },
    { "128M", "0", "1", "1.44m", "1.2m", 0x14, 0x47 },
    { "128M", "0", "1", "none", "none", 0x14, 0x06 },
};

static char *setting(char *out, size_t n, const char *name, const char *value)
{
    snprintf(out, n, "%s=%s", name, value);
    return out;
}

TEST_P(cmos_describes_the_board, boards)
{
    char s[5][40];
    uint16_t sum = 0;

    b = bench_create("mc146818", setting(s[0], 40, "ram-below-4g", row->below),
                     setting(s[1], 40, "ram-above-4g", row->above),
                     setting(s[2], 40, "cpus", row->cpus),
                     setting(s[3], 40, "floppy0", row->floppy0),
                     setting(s[4], 40, "floppy1", row->floppy1), NULL);
    CHECK_EQ(get(row->index), row->value);
    for (unsigned i = 0x10; i < 0x2e; i++)
        sum += get(i);
    CHECK_EQ(get(0x2e) << 8 | get(0x2f), sum);
}

TEST(reset_keeps_time_and_memory_and_clears_enables)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(0x40, 0x77);
    put(B, H24 | PIE | AIE | UIE | SQWE);
    bench_step(b, SECOND);
    CHECK(irq());
    bench_reset(b, 0);
    CHECK(!irq());
    CHECK_EQ(get(B), H24);
    CHECK_EQ(get(C), 0);
    CHECK_EQ(get(0x40), 0x77);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:20:31");
}

TEST(clock_goes_on_after_save_and_load)
{
    power_on();
    set_time("2023-06-15 10:20:30");
    put(B, H24 | UIE);
    bench_step(b, SECOND * 3 / 2);
    get(C);
    bench_save_load(b);
    CHECK_STR_EQ(time_now(), "2023-06-15 10:20:31");
    bench_step(b, SECOND / 2 - 1);
    CHECK(!irq());
    bench_step(b, 1);
    CHECK(irq());
    CHECK_STR_EQ(time_now(), "2023-06-15 10:20:32");
}
