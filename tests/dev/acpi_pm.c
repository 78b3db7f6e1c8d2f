/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi-pm against ACPI 6.4 section 4.8 (fixed registers) and Microsoft's
 * "Virtual Machine Generation ID".
 */
#include "tests/dev/ports.h"

#include "vm/vm.h"

#define STS   0x400
#define EN    0x402
#define CNTRL 0x404
#define TMR   0x408
#define GPSTS 0x40c
#define GPEN  0x40e
#define RESET 0x433

#define ID_AT  0x9f000u
#define SECOND 1000000000ull
#define HZ     3579545ull
#define HALF   ((1ull << 31) * SECOND / HZ) /* ns until bit 31 changes */

static const uint8_t id[16] = {
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
    0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10
};

static void power_on(void)
{
    b = bench_create("acpi-pm", "generation=0123456789abcdeffedcba9876543210",
                     "generation-at=0x9f000", NULL);
    bench_start(b);
    bench_requests(b);
}

static bool sci(void)
{
    return bench_line(b, "isa", 9);
}

TEST(acpi_is_the_only_mode)
{
    power_on();
    CHECK_EQ(in16(CNTRL), 1);
    out16(CNTRL, 0);
    CHECK_EQ(in16(CNTRL), 1);
}

TEST(power_button_raises_sci_until_it_is_acknowledged)
{
    power_on();
    CHECK(bench_press_button(b));
    CHECK_EQ(in16(STS), 0x100);
    CHECK(!sci());
    out16(EN, 0x100);
    CHECK(sci());
    out8(STS, 0xff); /* the other byte of the register */
    CHECK(sci());
    out16(STS, 0x100);
    CHECK(!sci());
}

TEST(timer_has_32_bits_and_tells_of_overflow)
{
    power_on();
    bench_step(b, SECOND);
    CHECK_EQ(in32(TMR), HZ);
    out16(EN, 1);
    bench_step(b, HALF - SECOND - 1000);
    CHECK(!sci());
    bench_step(b, 2000);
    CHECK(sci());
    CHECK_EQ(in32(TMR) >> 31, 1);
    out16(STS, 1);
    CHECK(!sci());
}

TEST(sleep_type_0_is_soft_off_and_others_are_nothing)
{
    power_on();
    out16(CNTRL, 0x2000 | 1 << 10);
    CHECK_EQ(bench_requests(b), 0);
    out16(CNTRL, 0x2000);
    CHECK_EQ(bench_requests(b), VM_REQUEST_END);
}

TEST(reset_register_takes_one_value)
{
    power_on();
    out8(RESET, 2);
    CHECK_EQ(bench_requests(b), 0);
    out8(RESET, 1);
    CHECK_EQ(bench_requests(b), VM_REQUEST_RESET);
}

TEST(generation_id_is_in_memory_and_changes_are_told)
{
    power_on();
    CHECK_MEM_EQ(bench_ram(b) + ID_AT, id, sizeof(id));
    CHECK_EQ(in16(GPSTS), 0);
    out16(GPEN, 1);
    memset(bench_ram(b) + ID_AT, 0, sizeof(id));
    bench_save_load(b);
    bench_start(b);
    CHECK_MEM_EQ(bench_ram(b) + ID_AT, id, sizeof(id));
    CHECK_EQ(in16(GPSTS), 1);
    CHECK(sci());
    out16(GPSTS, 1);
    CHECK(!sci());
}

TEST(registers_survive_save_and_load)
{
    power_on();
    out16(EN, 0x521);
    out16(CNTRL, 0x1c02);
    bench_press_button(b);
    bench_step(b, 12345678);
    uint32_t before = in32(TMR);
    bench_save_load(b);
    CHECK_EQ(in16(EN), 0x521);
    CHECK_EQ(in16(CNTRL), 0x1c03);
    CHECK_EQ(in16(STS), 0x100);
    CHECK_EQ(in32(TMR), before);
    CHECK(sci());
}
