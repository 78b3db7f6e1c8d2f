/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8259 against the 8259A datasheet (initialisation, OCW1-3, priorities,
 * cascade) and the PIIX4's ELCR.
 */
#include "tests/dev/ports.h"

#define MASTER 0x20
#define SLAVE  0xa0

#define EOI         0x20
#define EOI_OF      0x60
#define ROTATE_EOI  0xa0
#define ROTATE_OF   0xe0
#define SET_LOWEST  0xc0
#define ROTATE_AEOI 0x80
#define KEEP_AEOI   0x00
#define READ_IRR    0x0a
#define READ_ISR    0x0b
#define POLL        0x0c
#define SMM_ON      0x68
#define SMM_OFF     0x48

#define AEOI 0x02
#define SFNM 0x10

static void init(uint8_t icw1, uint8_t icw4_master, uint8_t icw4_slave)
{
    out8(MASTER, icw1);
    out8(MASTER + 1, 0x20);
    out8(MASTER + 1, 0x04);
    out8(MASTER + 1, icw4_master);
    out8(SLAVE, icw1);
    out8(SLAVE + 1, 0x70);
    out8(SLAVE + 1, 0x02);
    out8(SLAVE + 1, icw4_slave);
}

static void power_on_as(uint8_t icw4_master, uint8_t icw4_slave)
{
    b = bench_create("i8259", NULL);
    init(0x11, icw4_master, icw4_slave);
}

static void power_on(void)
{
    power_on_as(0x01, 0x01);
}

static void line(unsigned n, bool level)
{
    bench_drive(b, "isa", n, level);
}

static void pulse(unsigned n)
{
    line(n, false);
    line(n, true);
}

static bool intr(void)
{
    return bench_line(b, "intr", 0);
}

static int vector_of(unsigned n)
{
    return n < 8 ? 0x20 + (int)n : 0x68 + (int)n;
}

/* Acknowledges and gives the line's number, -1 when INTR is low. */
static int take(void)
{
    int v;

    if (!intr())
        return -1;
    v = bench_acknowledge(b);
    CHECK((v >= 0x20 && v < 0x28) || (v >= 0x70 && v < 0x78));
    return v < 0x28 ? v - 0x20 : v - 0x68;
}

static uint8_t isr(uint16_t chip)
{
    out8(chip, READ_ISR);
    return in8(chip);
}

static uint8_t irr(uint16_t chip)
{
    out8(chip, READ_IRR);
    return in8(chip);
}

/* --- initialisation ------------------------------------------------------ */

/* Which ICWs are expected: the next write to the odd port is OCW1. */
static const struct {
    uint8_t icw1;
    unsigned more;
} sequences[] = {
    { 0x10, 2 }, /* ICW2, ICW3 */
    { 0x11, 3 }, /* ICW2, ICW3, ICW4 */
    { 0x12, 1 }, /* ICW2 */
    { 0x13, 2 }, /* ICW2, ICW4 */
};

TEST_P(init_sequence_has_the_words_that_icw1_says, sequences)
{
    b = bench_create("i8259", NULL);
    out8(MASTER, row->icw1);
    for (unsigned i = 0; i < row->more; i++) {
        out8(MASTER + 1, 0x01);
        CHECK_EQ(in8(MASTER + 1), 0);
    }
    out8(MASTER + 1, 0xa5);
    CHECK_EQ(in8(MASTER + 1), 0xa5);
}

TEST(icw1_clears_masks_service_and_modes)
{
    power_on();
    out8(MASTER, SET_LOWEST | 3);
    out8(MASTER + 1, 0xf0);
    pulse(1);
    CHECK_EQ(take(), 1);
    out8(MASTER, SMM_ON);
    CHECK_EQ(isr(MASTER), 0x02);
    init(0x11, 0x01, 0x01);
    CHECK_EQ(in8(MASTER + 1), 0);
    CHECK_EQ(in8(MASTER), 0); /* IRR is read again, and it is empty */
    CHECK_EQ(isr(MASTER), 0);
    pulse(0);
    pulse(7);
    CHECK_EQ(take(), 0); /* 7 is the lowest again */
}

TEST(line_that_is_high_at_icw1_gives_no_edge)
{
    power_on();
    line(3, true);
    init(0x11, 0x01, 0x01);
    CHECK(!intr());
    pulse(3);
    CHECK(intr());
}

TEST(icw1_without_icw4_ends_automatic_eoi)
{
    power_on_as(0x01 | AEOI, 0x01);
    out8(MASTER, 0x10);
    out8(MASTER + 1, 0x20);
    out8(MASTER + 1, 0x04);
    pulse(4);
    CHECK_EQ(take(), 4);
    CHECK_EQ(isr(MASTER), 0x10);
}

TEST(icw2_gives_only_the_high_five_bits)
{
    b = bench_create("i8259", NULL);
    out8(MASTER, 0x13);
    out8(MASTER + 1, 0x4d);
    out8(MASTER + 1, 0x01);
    pulse(6);
    CHECK_EQ(bench_acknowledge(b), 0x4e);
}

static const unsigned lines[] = { 0, 1,  3,  4,  5,  6,  7, 8,
                                  9, 10, 11, 12, 13, 14, 15 };

TEST_P(line_has_its_vector, lines)
{
    power_on();
    pulse(*row);
    CHECK(intr());
    CHECK_EQ(bench_acknowledge(b), vector_of(*row));
    CHECK(!intr());
    CHECK_EQ(isr(MASTER), *row < 8 ? 1 << *row : 0x04);
    CHECK_EQ(isr(SLAVE), *row < 8 ? 0 : 1 << (*row - 8));
    CHECK_EQ(irr(MASTER), 0);
    CHECK_EQ(irr(SLAVE), 0);
}

TEST(line_2_belongs_to_the_slave)
{
    power_on();
    pulse(2);
    CHECK(!intr());
    CHECK_EQ(irr(MASTER), 0);
}

/* --- edges, masks, spurious requests ------------------------------------- */

TEST(edge_line_interrupts_once_until_it_falls)
{
    power_on();
    line(5, true);
    CHECK_EQ(take(), 5);
    out8(MASTER, EOI);
    CHECK(!intr());
    line(5, false);
    CHECK(!intr());
    line(5, true);
    CHECK_EQ(take(), 5);
}

TEST(edge_during_service_waits_for_its_end)
{
    power_on();
    pulse(5);
    CHECK_EQ(take(), 5);
    pulse(5);
    CHECK_EQ(irr(MASTER), 0x20);
    CHECK(!intr());
    out8(MASTER, EOI);
    CHECK_EQ(take(), 5);
}

TEST(masked_request_is_remembered)
{
    power_on();
    out8(MASTER + 1, 0x20);
    pulse(5);
    CHECK(!intr());
    CHECK_EQ(irr(MASTER), 0x20);
    out8(MASTER + 1, 0);
    CHECK_EQ(take(), 5);
}

TEST(mask_of_the_cascade_holds_the_slave)
{
    power_on();
    out8(MASTER + 1, 0x04);
    pulse(10);
    CHECK(!intr());
    CHECK_EQ(irr(MASTER), 0x04);
    CHECK_EQ(irr(SLAVE), 0x04);
    out8(MASTER + 1, 0);
    CHECK_EQ(take(), 10);
}

/* "If the IR input goes low before [INTA] a default IR7 will occur." */
static const struct {
    unsigned line;
    bool level;
} withdrawn[] = {
    { 5, false },
    { 5, true },
    { 11, false },
    { 11, true },
};

TEST_P(request_that_falls_too_early_is_spurious_7, withdrawn)
{
    power_on();
    out16(0x4d0, row->level ? 0x0820 : 0);
    line(row->line, true);
    CHECK(intr());
    line(row->line, false);
    CHECK(!intr());
    CHECK_EQ(bench_acknowledge(b), 0x27);
    CHECK_EQ(isr(MASTER), 0); /* no service to end */
    CHECK_EQ(isr(SLAVE), 0);
}

TEST(true_interrupt_7_is_in_service)
{
    power_on();
    pulse(7);
    CHECK_EQ(bench_acknowledge(b), 0x27);
    CHECK_EQ(isr(MASTER), 0x80);
}

/* --- priorities ---------------------------------------------------------- */

/* Rank in the pair: 0, 1, slave 8..15, 3..7. */
static unsigned rank(unsigned n)
{
    return n < 2 ? n : n >= 8 ? n - 6 : n + 7;
}

TEST_P(only_higher_priority_interrupts_a_service, lines)
{
    for (unsigned i = 0; i < 15; i++) {
        unsigned n = lines[i];
        bool same_chip = n >= 8 && *row >= 8;

        if (n == *row)
            continue;
        test_note("service of %u, request of %u", *row, n);
        power_on();
        pulse(*row);
        CHECK_EQ(take(), *row);
        pulse(n);
        /* The master does not look at the slave while it serves it. */
        CHECK_EQ(intr(), !same_chip && rank(n) < rank(*row));
        bench_destroy(b);
    }
}

TEST(requests_are_served_in_order_of_priority)
{
    static const unsigned order[] = { 0,  1,  8, 9, 10, 11, 12, 13,
                                      14, 15, 3, 4, 5,  6,  7 };

    power_on();
    for (unsigned i = 0; i < 15; i++)
        pulse(lines[14 - i]);
    for (unsigned i = 0; i < 15; i++) {
        CHECK_EQ(take(), order[i]);
        if (order[i] >= 8)
            out8(SLAVE, EOI);
        out8(MASTER, EOI);
    }
    CHECK_EQ(take(), -1);
}

static const unsigned lowest[] = { 0, 1, 3, 4, 5, 6, 7 };

TEST_P(set_priority_makes_its_line_the_lowest, lowest)
{
    power_on();
    out8(MASTER, SET_LOWEST | *row);
    for (unsigned n = 0; n < 8; n++)
        if (n != 2)
            pulse(n);
    for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (*row + i) & 7;

        if (n == 2)
            continue;
        CHECK_EQ(take(), n);
        out8(MASTER, EOI);
    }
}

/* 1 interrupts 4 in its service; then one command. */
static const struct {
    uint8_t command;
    uint8_t isr;
    int first; /* of requests 0, 1, 3..7 */
} eois[] = {
    { EOI, 0x10, 0 },           { EOI_OF | 4, 0x02, 0 },
    { EOI_OF | 1, 0x10, 0 },    { EOI_OF | 3, 0x12, 0 },
    { ROTATE_EOI, 0x10, 3 },    { ROTATE_OF | 4, 0x02, 5 },
    { ROTATE_OF | 1, 0x10, 3 }, { SET_LOWEST | 5, 0x12, 6 },
    { 0x40, 0x12, 0 },
};

TEST_P(eoi_command_ends_and_rotates_as_it_says, eois)
{
    power_on();
    pulse(4);
    CHECK_EQ(take(), 4);
    pulse(1);
    CHECK_EQ(take(), 1);
    out8(MASTER, row->command);
    CHECK_EQ(isr(MASTER), row->isr);
    out8(MASTER, EOI_OF | 1);
    out8(MASTER, EOI_OF | 4);
    for (unsigned n = 0; n < 8; n++)
        if (n != 2)
            pulse(n);
    CHECK_EQ(take(), row->first);
}

TEST(non_specific_eoi_ends_the_highest_after_rotation)
{
    power_on();
    out8(MASTER, SET_LOWEST | 4); /* 5 6 7 0 1 2 3 4 */
    pulse(1);
    CHECK_EQ(take(), 1);
    pulse(6);
    CHECK_EQ(take(), 6);
    out8(MASTER, EOI);
    CHECK_EQ(isr(MASTER), 0x02);
}

TEST(automatic_eoi_leaves_nothing_in_service)
{
    power_on_as(0x01 | AEOI, 0x01);
    pulse(4);
    CHECK_EQ(take(), 4);
    CHECK_EQ(isr(MASTER), 0);
    pulse(6);
    CHECK_EQ(take(), 6);
}

static const struct {
    uint8_t command;
    int second;
} aeoi_rotation[] = {
    { ROTATE_AEOI, 5 },
    { KEEP_AEOI, 4 },
};

TEST_P(automatic_eoi_rotates_when_told, aeoi_rotation)
{
    power_on_as(0x01 | AEOI, 0x01);
    out8(MASTER, ROTATE_AEOI);
    out8(MASTER, row->command);
    pulse(4);
    pulse(5);
    CHECK_EQ(take(), 4);
    pulse(4);
    CHECK_EQ(take(), row->second);
}

/* --- special modes ------------------------------------------------------- */

TEST(special_mask_lets_lower_priorities_through)
{
    power_on();
    pulse(3);
    CHECK_EQ(take(), 3);
    pulse(6);
    CHECK(!intr());
    out8(MASTER + 1, 0x08);
    CHECK(!intr());
    out8(MASTER, SMM_ON);
    CHECK_EQ(take(), 6);
    out8(MASTER, SMM_OFF);
    pulse(5);
    CHECK(!intr()); /* 3 is in service as before */
}

TEST(special_mask_hides_its_service_from_eoi)
{
    power_on();
    pulse(3);
    CHECK_EQ(take(), 3);
    out8(MASTER + 1, 0x08);
    out8(MASTER, SMM_ON);
    pulse(6);
    CHECK_EQ(take(), 6);
    out8(MASTER, EOI);
    CHECK_EQ(isr(MASTER), 0x08);
    out8(MASTER, EOI);
    CHECK_EQ(isr(MASTER), 0x08);
    out8(MASTER, EOI_OF | 3);
    CHECK_EQ(isr(MASTER), 0);
}

/* OCW3 with ESMM clear leaves the special mask mode alone. */
TEST(ocw3_without_esmm_keeps_special_mask)
{
    power_on();
    pulse(3);
    CHECK_EQ(take(), 3);
    out8(MASTER + 1, 0x08);
    out8(MASTER, SMM_ON);
    out8(MASTER, 0x28);
    out8(MASTER, 0x08);
    pulse(6);
    CHECK(intr());
}

/* Special fully nested mode: the slave's higher lines interrupt its lower
 * ones, and still nothing below the cascade interrupts. */
static const struct {
    unsigned serving, request;
    bool interrupts;
} nested[] = {
    { 12, 9, true },  { 12, 14, false }, { 12, 12, false }, { 12, 0, true },
    { 12, 3, false }, { 12, 7, false },  { 3, 12, true },   { 1, 12, false },
};

TEST_P(special_fully_nested_mode_nests_the_slave, nested)
{
    power_on_as(0x01 | SFNM, 0x01);
    pulse(row->serving);
    CHECK_EQ(take(), row->serving);
    pulse(row->request);
    CHECK_EQ(intr(), row->interrupts);
    if (row->interrupts)
        CHECK_EQ(take(), row->request);
}

/* --- polling ------------------------------------------------------------- */

static const struct {
    uint16_t chip;
    unsigned line;
    uint8_t word, isr;
} polls[] = {
    { MASTER, 0, 0x80, 0x01 }, { MASTER, 5, 0x85, 0x20 },
    { MASTER, 7, 0x87, 0x80 }, { MASTER, 12, 0x82, 0x04 },
    { SLAVE, 12, 0x84, 0x10 }, { SLAVE, 5, 0x00, 0x00 },
};

TEST_P(poll_word_is_an_acknowledge, polls)
{
    power_on();
    pulse(row->line);
    out8(row->chip, POLL);
    CHECK_EQ(in8(row->chip), row->word);
    CHECK_EQ(isr(row->chip), row->isr);
    if (row->word)
        CHECK_EQ(irr(row->chip), row->chip == MASTER && row->line > 7 ? 4 : 0);
}

TEST(poll_is_over_after_one_read)
{
    power_on();
    out8(MASTER + 1, 0x5a);
    out8(MASTER, POLL);
    CHECK_EQ(in8(MASTER + 1), 0); /* any read is the poll */
    CHECK_EQ(in8(MASTER + 1), 0x5a);
}

/* --- level sense --------------------------------------------------------- */

static const struct {
    uint16_t written, read;
} elcrs[] = {
    { 0xffff, 0xdef8 }, /* 0, 1, 2, 8 and 13 are always edges */
    { 0x0000, 0x0000 },
    { 0x0c20, 0x0c20 },
};

TEST_P(elcr_has_only_the_bits_of_lines_that_may_be_levels, elcrs)
{
    power_on();
    out8(0x4d0, row->written);
    out8(0x4d1, row->written >> 8);
    CHECK_EQ(in8(0x4d0) | in8(0x4d1) << 8, row->read);
}

static const unsigned level_lines[] = { 5, 11 };

TEST_P(level_line_interrupts_as_long_as_it_is_high, level_lines)
{
    power_on();
    out8(0x4d0, 0x20);
    out8(0x4d1, 0x08);
    line(*row, true);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(take(), *row);
        CHECK(!intr());
        if (*row >= 8)
            out8(SLAVE, EOI);
        out8(MASTER, EOI);
    }
    CHECK(intr());
    line(*row, false);
    CHECK(!intr());
}

TEST(level_line_that_is_high_already_requests_when_elcr_is_set)
{
    power_on();
    line(5, true);
    CHECK_EQ(take(), 5);
    out8(MASTER, EOI);
    out8(0x4d0, 0x20);
    CHECK_EQ(take(), 5);
}

TEST(ltim_makes_all_lines_levels)
{
    power_on();
    init(0x19, 0x01, 0x01);
    line(1, true);
    CHECK_EQ(take(), 1);
    out8(MASTER, EOI);
    CHECK(intr());
    line(1, false);
    CHECK(!intr());
}

TEST(levels_are_known_after_icw1)
{
    power_on();
    out8(0x4d0, 0x20);
    line(5, true);
    init(0x11, 0x01, 0x01);
    CHECK_EQ(take(), 5);
}

TEST(pair_goes_on_after_save_and_load)
{
    power_on();
    out8(0x4d1, 0x0c);
    out8(SLAVE, SET_LOWEST | 2);
    pulse(6);
    CHECK_EQ(take(), 6);
    line(10, true);
    line(11, true);
    bench_save_load(b);
    CHECK_EQ(take(), 11);
    out8(SLAVE, EOI);
    line(11, false);
    out8(MASTER, EOI);
    CHECK_EQ(take(), 10);
    CHECK_EQ(isr(MASTER), 0x44);
}
