/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i440fx against the 82441FX and 82443BX datasheets: PAM registers (table of
 * attribute bits and of segments) and the SMRAM control register.
 */
#include "tests/dev/ports.h"

#include <string.h>

#define SMRAM  0x72
#define OPEN   0x40
#define CLOSED 0x20
#define LOCK   0x10
#define ENABLE 0x08

static uint8_t get(unsigned offset)
{
    return bench_pci_read(b, 0, 0, offset, 1);
}

static void put(unsigned offset, uint8_t v)
{
    bench_pci_write(b, 0, 0, offset, 1, v);
}

static void power_on(void)
{
    b = bench_create("i440fx", NULL);
}

/* --- PAM ----------------------------------------------------------------- */

static const struct {
    uint32_t gpa, bytes;
    uint8_t reg;
    unsigned shift;
} windows[] = {
    { 0xf0000, 0x10000, 0x59, 4 }, { 0xc0000, 0x4000, 0x5a, 0 },
    { 0xc4000, 0x4000, 0x5a, 4 },  { 0xc8000, 0x4000, 0x5b, 0 },
    { 0xcc000, 0x4000, 0x5b, 4 },  { 0xd0000, 0x4000, 0x5c, 0 },
    { 0xd4000, 0x4000, 0x5c, 4 },  { 0xd8000, 0x4000, 0x5d, 0 },
    { 0xdc000, 0x4000, 0x5d, 4 },  { 0xe0000, 0x4000, 0x5e, 0 },
    { 0xe4000, 0x4000, 0x5e, 4 },  { 0xe8000, 0x4000, 0x5f, 0 },
    { 0xec000, 0x4000, 0x5f, 4 },
};

/* Is main memory read and written at gpa?  On this bench nothing else is. */
static bool reads_memory(uint32_t gpa)
{
    bench_ram(b)[gpa] = 0x5a;
    return bench_read(b, gpa, 1) == 0x5a;
}

static bool writes_memory(uint32_t gpa)
{
    bench_ram(b)[gpa] = 0x00;
    bench_write(b, gpa, 1, 0xa5);
    return bench_ram(b)[gpa] == 0xa5;
}

TEST_P(pam_window_opens_for_reads_and_writes_alone, windows)
{
    power_on();
    for (unsigned state = 0; state < 4; state++) {
        uint32_t last = row->gpa + row->bytes - 1;

        test_note("attribute bits %u", state);
        put(row->reg, state << row->shift);
        CHECK_EQ(get(row->reg), state << row->shift);
        CHECK_EQ(reads_memory(row->gpa), state & 1);
        CHECK_EQ(reads_memory(last), state & 1);
        CHECK_EQ(writes_memory(row->gpa), state >> 1);
        CHECK_EQ(writes_memory(last), state >> 1);
    }
}

TEST_P(pam_window_leaves_the_others_closed, windows)
{
    power_on();
    put(row->reg, 3 << row->shift);
    for (unsigned i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        bool same = windows[i].gpa == row->gpa;

        test_note("window %x", windows[i].gpa);
        CHECK_EQ(reads_memory(windows[i].gpa), same);
        CHECK_EQ(writes_memory(windows[i].gpa), same);
    }
    CHECK(!reads_memory(0xa0000));
    CHECK(reads_memory(0x9ffff));
    CHECK(reads_memory(0x100000));
}

TEST(writes_to_a_read_only_shadow_are_lost)
{
    power_on();
    put(0x5a, 0x03);
    bench_write(b, 0xc0000, 4, 0x12345678);
    put(0x5a, 0x01);
    bench_write(b, 0xc0000, 4, 0);
    CHECK_EQ(bench_read(b, 0xc0000, 4), 0x12345678);
}

TEST(one_dword_write_sets_four_pam_registers)
{
    power_on();
    bench_pci_write(b, 0, 0, 0x58, 4, 0x33333000);
    CHECK(reads_memory(0xf0000));
    CHECK(writes_memory(0xc4000));
    CHECK(reads_memory(0xcc000));
    CHECK(!reads_memory(0xd0000));
}

TEST(pam_registers_have_no_other_bits)
{
    power_on();
    for (unsigned i = 0x59; i <= 0x5f; i++) {
        put(i, 0xff);
        CHECK_EQ(get(i), i == 0x59 ? 0x30 : 0x33);
    }
}

TEST(reset_closes_all_windows)
{
    power_on();
    for (unsigned i = 0x59; i <= 0x5f; i++)
        put(i, 0x33);
    put(SMRAM, OPEN | ENABLE | 2);
    bench_reset(b, 0);
    for (unsigned i = 0; i < sizeof windows / sizeof windows[0]; i++)
        CHECK(!reads_memory(windows[i].gpa));
    CHECK(!reads_memory(0xa0000));
    CHECK_EQ(get(SMRAM), 0x02);
}

/* --- SMRAM --------------------------------------------------------------- */

static const struct {
    uint8_t written;
    bool visible;
} smrams[] = {
    { 0x00, false },
    { OPEN, false },
    { ENABLE, false },
    { ENABLE | OPEN, true },
    { CLOSED | ENABLE, false },
};

TEST_P(smram_is_visible_when_enabled_and_open, smrams)
{
    power_on();
    put(SMRAM, row->written);
    CHECK_EQ(get(SMRAM), row->written | 0x02);
    CHECK_EQ(reads_memory(0xa0000), row->visible);
    CHECK_EQ(reads_memory(0xbffff), row->visible);
    CHECK_EQ(writes_memory(0xa0000), row->visible);
    CHECK(!reads_memory(0xc0000));
}

/* Written before and together with D_LCK, and what can be written then. */
static const struct {
    uint8_t with_lock, after, value;
} locks[] = {
    { LOCK | ENABLE | OPEN, 0x00, LOCK | ENABLE | 0x02 },
    { LOCK | ENABLE | OPEN, OPEN | ENABLE, LOCK | ENABLE | 0x02 },
    { LOCK | ENABLE, ENABLE | CLOSED, LOCK | ENABLE | CLOSED | 0x02 },
    { LOCK, OPEN | ENABLE, LOCK | 0x02 },
    { LOCK | CLOSED | ENABLE, ENABLE, LOCK | ENABLE | 0x02 },
};

TEST_P(locked_smram_cannot_be_opened, locks)
{
    power_on();
    put(SMRAM, OPEN | ENABLE);
    CHECK(reads_memory(0xa0000));
    put(SMRAM, row->with_lock);
    CHECK(!reads_memory(0xa0000));
    put(SMRAM, row->after);
    CHECK_EQ(get(SMRAM), row->value);
    CHECK(!reads_memory(0xa0000));
}

TEST(lock_holds_over_save_and_load_and_ends_with_reset)
{
    power_on();
    put(0x5a, 0x01);
    put(SMRAM, LOCK | ENABLE);
    bench_save_load(b);
    put(SMRAM, OPEN | ENABLE);
    CHECK(!reads_memory(0xa0000));
    CHECK(reads_memory(0xc0000));
    bench_reset(b, 0);
    put(SMRAM, OPEN | ENABLE);
    CHECK(reads_memory(0xa0000));
}

/* --- identification ------------------------------------------------------ */

static const struct {
    const char *model;
    uint16_t device;
} models[] = {
    { "model=440fx", 0x1237 },
    { "model=440bx", 0x7190 },
    { "model=440bx-no-agp", 0x7192 },
};

TEST_P(model_has_its_id, models)
{
    b = bench_create("i440fx", row->model, NULL);
    CHECK_EQ(bench_pci_read(b, 0, 0, 0, 4), 0x8086u | row->device << 16);
    CHECK_EQ(bench_pci_read(b, 0, 0, 0x0a, 2), 0x0600);
}

static const struct {
    const char *memory;
    uint8_t last;
} sizes[] = {
    { "memory=64M", 8 },
    { "memory=128M", 16 },
    { "memory=1G", 128 },
    { "memory=4G", 255 },
};

TEST_P(row_boundaries_rise_to_the_size_of_memory, sizes)
{
    b = bench_create("i440fx", row->memory, NULL);
    for (unsigned i = 0x61; i <= 0x67; i++)
        CHECK_GE(get(i), get(i - 1));
    CHECK_EQ(get(0x67), row->last);
}
