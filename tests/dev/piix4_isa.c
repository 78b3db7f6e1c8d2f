/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piix4-isa against the 82371AB datasheet: PIRQRC (4.1.10), port 92h, reset
 * control (CF9h), power-on values of function 0.
 */
#include "tests/dev/ports.h"

#include "vm/vm.h"

static uint32_t get(unsigned offset, unsigned size)
{
    return bench_pci_read(b, 7, 0, offset, size);
}

static void route(unsigned pirq, uint8_t v)
{
    bench_pci_write(b, 7, 0, 0x60 + pirq, 1, v);
}

static void power_on(void)
{
    b = bench_create("piix4-isa", NULL);
    bench_requests(b);
}

/* Lines that are high, a bit each. */
static uint16_t lines(void)
{
    uint16_t v = 0;

    for (unsigned n = 0; n < 16; n++)
        v |= bench_line(b, "isa", n) << n;
    return v;
}

/* --- interrupt routing --------------------------------------------------- */

/* Value of PIRQRC: IRQ that rises, 0 for none ("reserved"). */
static const struct {
    uint8_t route;
    unsigned irq;
} routes[] = {
    { 0x00, 0 },  { 0x01, 0 },  { 0x02, 0 },  { 0x03, 3 }, { 0x04, 4 },
    { 0x05, 5 },  { 0x06, 6 },  { 0x07, 7 },  { 0x08, 0 }, { 0x09, 9 },
    { 0x0a, 10 }, { 0x0b, 11 }, { 0x0c, 12 }, { 0x0d, 0 }, { 0x0e, 14 },
    { 0x0f, 15 }, { 0x80, 0 },  { 0x8b, 0 },
};

TEST_P(pirq_is_routed_as_its_register_says, routes)
{
    for (unsigned pirq = 0; pirq < 4; pirq++) {
        power_on();
        route(pirq, row->route);
        CHECK_EQ(get(0x60 + pirq, 1), row->route);
        CHECK_EQ(lines(), 0);
        bench_drive(b, "pirq", pirq, true);
        CHECK_EQ(lines(), row->irq ? 1 << row->irq : 0);
        bench_drive(b, "pirq", pirq, false);
        CHECK_EQ(lines(), 0);
        bench_destroy(b);
    }
}

TEST(pirqs_share_an_interrupt)
{
    power_on();
    route(0, 11);
    route(3, 11);
    bench_drive(b, "pirq", 0, true);
    bench_drive(b, "pirq", 3, true);
    CHECK_EQ(lines(), 1 << 11);
    bench_drive(b, "pirq", 0, false);
    CHECK_EQ(lines(), 1 << 11);
    bench_drive(b, "pirq", 3, false);
    CHECK_EQ(lines(), 0);
}

TEST(asserted_pirq_moves_with_its_route)
{
    power_on();
    bench_drive(b, "pirq", 2, true);
    CHECK_EQ(lines(), 0); /* off after reset */
    route(2, 10);
    CHECK_EQ(lines(), 1 << 10);
    bench_pci_write(b, 7, 0, 0x60, 4, 0x8005808b);
    CHECK_EQ(lines(), 1 << 5);
    route(2, 0x80);
    CHECK_EQ(lines(), 0);
}

TEST(route_has_no_other_bits)
{
    power_on();
    for (unsigned i = 0; i < 4; i++) {
        route(i, 0xff);
        CHECK_EQ(get(0x60 + i, 1), 0x8f);
    }
}

TEST(asserted_pirq_survives_save_and_load)
{
    power_on();
    route(1, 9);
    bench_drive(b, "pirq", 1, true);
    bench_save_load(b);
    CHECK_EQ(lines(), 1 << 9);
    route(1, 0x0c);
    CHECK_EQ(lines(), 1 << 12);
}

/* --- resets and A20 ------------------------------------------------------ */

static const struct {
    uint8_t first, second;
    unsigned resets; /* bit 0 after the first, bit 1 the second */
} resets[] = {
    { 0x00, 0x00, 0 }, { 0x02, 0x06, 2 }, { 0x06, 0x06, 1 },
    { 0x04, 0x00, 1 }, { 0x04, 0x02, 1 }, { 0x02, 0x02, 0 },
};

TEST_P(reset_control_resets_when_rcpu_rises, resets)
{
    power_on();
    out8(0xcf9, row->first);
    CHECK_EQ(bench_requests(b), row->resets & 1 ? VM_REQUEST_RESET : 0);
    out8(0xcf9, row->second);
    CHECK_EQ(bench_requests(b), row->resets & 2 ? VM_REQUEST_RESET : 0);
}

TEST(reset_control_keeps_its_type)
{
    power_on();
    CHECK_EQ(in8(0xcf9), 0);
    out8(0xcf9, 0x02);
    CHECK_EQ(in8(0xcf9), 0x02);
    bench_reset(b, 0);
    CHECK_EQ(in8(0xcf9), 0);
}

TEST(reset_control_does_not_hide_the_configuration_address)
{
    power_on();
    out32(0xcf8, 0x80003800);
    CHECK_EQ(in32(0xcf8), 0x80003800);
    CHECK_EQ(in32(0xcfc), 0x71108086);
    CHECK_EQ(bench_requests(b), 0);
}

TEST_P(port_92h_resets_when_its_bit_rises, resets)
{
    power_on();
    out8(0x92, row->first >> 2);
    CHECK_EQ(bench_requests(b), row->resets & 1 ? VM_REQUEST_RESET : 0);
    out8(0x92, row->second >> 2);
    CHECK_EQ(bench_requests(b), row->resets & 2 ? VM_REQUEST_RESET : 0);
}

TEST(port_92h_gates_a20)
{
    power_on();
    CHECK(bench_line(b, "a20", 0));
    out8(0x92, 0x00);
    CHECK(!bench_line(b, "a20", 0));
    CHECK_EQ(in8(0x92), 0x00);
    out8(0x92, 0x02);
    CHECK(bench_line(b, "a20", 0));
    CHECK_EQ(in8(0x92), 0x02);
    out8(0x92, 0x00);
    bench_reset(b, 0);
    CHECK(bench_line(b, "a20", 0));
}

/* --- configuration ------------------------------------------------------- */

static const struct {
    uint8_t offset, size;
    uint32_t value;
} values[] = {
    { 0x00, 4, 0x71108086 }, { 0x06, 2, 0x0280 },     { 0x0a, 2, 0x0601 },
    { 0x4c, 1, 0x4d },       { 0x4e, 2, 0x0003 },     { 0x60, 4, 0x80808080 },
    { 0x64, 1, 0x10 },       { 0x69, 1, 0x02 },       { 0x6a, 2, 0x0000 },
    { 0x80, 1, 0x00 },       { 0x82, 1, 0x00 },       { 0x90, 2, 0x0000 },
    { 0x92, 4, 0x00000000 }, { 0xb0, 4, 0x00000000 }, { 0xcb, 1, 0x21 },
};

TEST_P(register_has_its_value_after_reset, values)
{
    power_on();
    for (unsigned again = 0; again < 2; again++) {
        CHECK_EQ(get(row->offset, row->size), row->value);
        bench_pci_write(b, 7, 0, row->offset, row->size, 0xffffffff);
        bench_reset(b, 0);
    }
}

TEST(slot_is_a_property)
{
    b = bench_create("piix4-isa", "slot=3", NULL);
    CHECK_EQ(bench_pci_read(b, 3, 0, 0, 4), 0x71108086);
    CHECK_EQ(bench_pci_read(b, 7, 0, 0, 4), 0xffffffff);
}
