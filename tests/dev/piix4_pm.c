/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piix4-pm against the 82371AB datasheet: 7.1 (configuration), 7.2 (power
 * management I/O registers), 7.4 (SMBus), and ACPI 1.0b chapter 4.
 */
#include "tests/dev/ports.h"

#include "vm/vm.h"

#define PM    0x600
#define STS   (PM + 0x00)
#define EN    (PM + 0x02)
#define CNTRL (PM + 0x04)
#define TMR   (PM + 0x08)
#define GPSTS (PM + 0x0c)
#define GPEN  (PM + 0x0e)
#define SMB   0x700

#define SECOND 1000000000ull
#define HZ     3579545ull
#define HALF   ((1ull << 23) * SECOND / HZ) /* ns until bit 23 changes */

static void config(unsigned offset, unsigned size, uint32_t v)
{
    bench_pci_write(b, 7, 3, offset, size, v);
}

static void power_on(void)
{
    b = bench_create("piix4-pm", NULL);
    config(0x40, 4, PM);
    config(0x80, 1, 1);
    bench_requests(b);
}

static bool sci(void)
{
    return bench_line(b, "isa", 9);
}

/* --- where the registers are --------------------------------------------- */

TEST(registers_appear_where_the_base_says)
{
    b = bench_create("piix4-pm", NULL);
    CHECK_EQ(bench_pci_read(b, 7, 3, 0x40, 4), 1);
    CHECK_EQ(in16(EN), 0xffff);
    config(0x40, 4, 0xffffffff);
    CHECK_EQ(bench_pci_read(b, 7, 3, 0x40, 4), 0xffc1);
    config(0x40, 4, PM);
    CHECK_EQ(in16(EN), 0xffff); /* still disabled */
    config(0x80, 1, 1);
    CHECK_EQ(in16(EN), 0x0000);
    out16(EN, 0x0100);
    config(0x40, 4, 0x4000);
    CHECK_EQ(in16(EN), 0xffff);
    CHECK_EQ(in16(0x4002), 0x0100);
    config(0x80, 1, 0);
    CHECK_EQ(in16(0x4002), 0xffff);
}

TEST(reset_moves_the_registers_away)
{
    power_on();
    out16(EN, 0x0100);
    bench_reset(b, 0);
    CHECK_EQ(in16(EN), 0xffff);
    config(0x40, 4, PM);
    config(0x80, 1, 1);
    CHECK_EQ(in16(EN), 0x0000);
}

TEST(place_and_contents_survive_save_and_load)
{
    power_on();
    out16(EN, 0x0100);
    out32(PM + 0x34, 0x12345678);
    bench_step(b, SECOND);
    bench_save_load(b);
    CHECK_EQ(in16(EN), 0x0100);
    CHECK_EQ(in32(PM + 0x34), 0x12345678);
    CHECK_EQ(in32(TMR), HZ);
}

/* --- timer --------------------------------------------------------------- */

static const struct {
    uint64_t ns;
    uint32_t ticks;
} times[] = {
    { 0, 0 },
    { SECOND, 3579545 },
    { 4 * SECOND, 14318180 },
    { 5 * SECOND, 17897725 - 0x1000000 }, /* 24 bits */
    { 3600 * SECOND, (3600 * HZ) & 0xffffff },
};

TEST_P(timer_counts_at_its_rate_in_24_bits, times)
{
    power_on();
    bench_step(b, row->ns - bench_now(b));
    CHECK_EQ(in32(TMR), row->ticks);
    CHECK_EQ(in16(TMR), row->ticks & 0xffff);
    CHECK_EQ(in8(TMR + 2), row->ticks >> 16);
    CHECK_EQ(in8(TMR + 3), 0);
    out32(TMR, 0);
    CHECK_EQ(in32(TMR), row->ticks);
}

TEST(overflow_status_is_set_when_bit_23_changes)
{
    power_on();
    bench_step(b, HALF - 1000);
    CHECK_EQ(in16(STS) & 1, 0);
    bench_step(b, 2000);
    CHECK_EQ(in16(STS) & 1, 1);
    out16(STS, 1);
    CHECK_EQ(in16(STS) & 1, 0);
    bench_step(b, HALF - 2000);
    CHECK_EQ(in16(STS) & 1, 0);
    bench_step(b, 2000);
    CHECK_EQ(in16(STS) & 1, 1);
}

TEST(overflow_interrupts_when_it_is_enabled)
{
    power_on();
    out16(CNTRL, 1);
    out16(EN, 1);
    bench_edges(b, "isa", 9);
    for (unsigned i = 1; i <= 4; i++) {
        CHECK(bench_step_to_timer(b));
        CHECK(sci());
        CHECK_LE(bench_now(b), i * HALF + 2000);
        CHECK_GE(bench_now(b), i * HALF);
        out16(STS, 1);
        CHECK(!sci());
    }
    out16(EN, 0);
    CHECK(!bench_step_to_timer(b));
}

/* --- status, enables, SCI ------------------------------------------------ */

static const struct {
    uint16_t en, cntrl;
    bool sci;
} scis[] = {
    { 0x0100, 1, true },
    { 0x0100, 0, false },
    { 0x0000, 1, false },
    { 0x0421, 1, false },
};

TEST_P(power_button_raises_sci_when_enabled, scis)
{
    power_on();
    out16(EN, row->en);
    out16(CNTRL, row->cntrl);
    CHECK(bench_press_button(b));
    CHECK_EQ(in16(STS), 0x0100);
    CHECK_EQ(sci(), row->sci);
    out16(STS, 0x0100);
    CHECK_EQ(in16(STS), 0);
    CHECK(!sci());
    CHECK_EQ(bench_requests(b), 0); /* the guest decides */
}

TEST(enabling_after_the_button_raises_sci)
{
    power_on();
    bench_press_button(b);
    out16(CNTRL, 1);
    CHECK(!sci());
    out16(EN, 0x0100);
    CHECK(sci());
    out16(CNTRL, 0);
    CHECK(!sci());
}

/* A write of one byte must not clear bits in the other. */
static const struct {
    uint16_t port, written;
    unsigned size;
    uint16_t sts; /* of 0101h */
} clears[] = {
    { STS, 0x01, 1, 0x0100 },     { STS, 0xff, 1, 0x0100 },
    { STS + 1, 0x01, 1, 0x0001 }, { STS + 1, 0xff, 1, 0x0001 },
    { STS, 0x0000, 2, 0x0101 },   { STS, 0x0100, 2, 0x0001 },
    { STS, 0xffff, 2, 0x0000 },   { STS, 0x8c30, 2, 0x0101 },
};

TEST_P(status_bits_are_cleared_by_writing_ones, clears)
{
    power_on();
    bench_step(b, HALF + 2000);
    bench_press_button(b);
    CHECK_EQ(in16(STS), 0x0101);
    bench_out(b, row->port, row->size, row->written);
    CHECK_EQ(in16(STS), row->sts);
}

static const struct {
    uint16_t port;
    uint16_t mask;
} writable[] = {
    { EN, 0x0521 },
    { CNTRL, 0x1c03 },
    { GPSTS, 0x0000 },
};

TEST_P(register_has_its_writable_bits, writable)
{
    power_on();
    out16(row->port, 0xffff & ~0x2000);
    CHECK_EQ(in16(row->port), row->mask);
    out16(row->port, 0);
    CHECK_EQ(in16(row->port), 0);
    out8(row->port, 0xff);
    CHECK_EQ(in16(row->port), row->mask & 0xff);
    out8(row->port + 1, 0xff & ~0x20);
    CHECK_EQ(in16(row->port), row->mask);
}

TEST(one_dword_holds_status_and_enable)
{
    power_on();
    bench_press_button(b);
    out32(STS, 0x01000100);
    CHECK_EQ(in32(STS), 0x01000000);
}

TEST(odd_word_is_its_two_bytes)
{
    power_on();
    out16(EN, 0x0521);
    bench_press_button(b);
    CHECK_EQ(in16(STS + 1), 0x2101);
    out16(STS + 1, 0x0001);
    CHECK_EQ(in32(STS), 0x05000000);
}

/* --- power --------------------------------------------------------------- */

static const struct {
    uint16_t cntrl;
    bool off;
} suspends[] = {
    { 0x2000, true },  { 0x2001, true },  { 0x0000, false }, { 0x0401, false },
    { 0x2400, false }, { 0x2800, false }, { 0x3400, false },
};

TEST_P(suspend_enable_with_type_0_is_soft_off, suspends)
{
    power_on();
    out16(CNTRL, row->cntrl);
    CHECK_EQ(bench_requests(b), row->off ? VM_REQUEST_END : 0);
    CHECK_EQ(in16(CNTRL), row->cntrl & 0x1c03); /* SUS_EN reads 0 */
}

TEST(soft_off_by_a_byte_write)
{
    power_on();
    out8(CNTRL + 1, 0x20);
    CHECK_EQ(bench_requests(b), VM_REQUEST_END);
}

TEST(acpi_is_switched_by_the_apm_port)
{
    power_on();
    out8(0xb2, 0xf1);
    CHECK_EQ(in16(CNTRL) & 1, 1);
    CHECK_EQ(in8(0xb2), 0xf1);
    out8(0xb2, 0x12);
    CHECK_EQ(in16(CNTRL) & 1, 1);
    out8(0xb2, 0xf0);
    CHECK_EQ(in16(CNTRL) & 1, 0);
    out8(0xb3, 0x5a);
    CHECK_EQ(in8(0xb3), 0x5a);
}

/* --- SMBus --------------------------------------------------------------- */

TEST(smbus_has_nobody_who_answers)
{
    power_on();
    CHECK_EQ(in8(SMB), 0xff);
    config(0x90, 4, SMB);
    config(0xd2, 1, 1);
    CHECK_EQ(in8(SMB), 0x00);
    out8(SMB + 4, 0xa1); /* address */
    CHECK_EQ(in8(SMB + 4), 0xa1);
    out8(SMB + 2, 0x08);
    CHECK_EQ(in8(SMB), 0x00);
    out8(SMB + 2, 0x48);      /* start a byte-data transfer */
    CHECK_EQ(in8(SMB), 0x04); /* device error, not busy */
    CHECK_EQ(in8(SMB + 2), 0x08);
    out8(SMB, 0x1e);
    CHECK_EQ(in8(SMB), 0x00);
}

TEST(function_has_its_identification)
{
    power_on();
    CHECK_EQ(bench_pci_read(b, 7, 3, 0x00, 4), 0x71138086);
    CHECK_EQ(bench_pci_read(b, 7, 3, 0x0a, 2), 0x0680);
    CHECK_EQ(bench_pci_read(b, 7, 3, 0x3d, 1), 1);
}
