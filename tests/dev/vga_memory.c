/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VGA's memory against a model written from the reference ("Graphics
 * Controller Registers", write modes 0-3, read modes 0-1) one bit at a time:
 * nothing here is shared with the device.
 */
#include "tests/dev/vga_ports.h"

#include <stdlib.h>

#define PLANE 0x10000u

struct model {
    uint8_t plane[4][PLANE];
    uint8_t latch[4];
    uint8_t set_reset, enable_set_reset, compare, rotate, function, read_map;
    uint8_t write_mode, read_mode, dont_care, bit_mask, map_mask;
};

static struct model m;
static uint32_t seed = 12345;

static uint32_t random_number(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static bool bit(uint8_t v, unsigned n)
{
    return v >> n & 1;
}

/* What the ALU makes of a bit. */
static bool alu(bool v, bool latch)
{
    switch (m.function) {
    case 0: return v;
    case 1: return v && latch;
    case 2: return v || latch;
    default: return v != latch;
    }
}

static bool written_bit(unsigned plane, unsigned n, uint8_t v)
{
    bool latch = bit(m.latch[plane], n);
    bool rotated = bit(v, (n + m.rotate) % 8);
    bool in;

    switch (m.write_mode) {
    case 0:
        in = bit(m.enable_set_reset, plane) ? bit(m.set_reset, plane) : rotated;
        return bit(m.bit_mask, n) ? alu(in, latch) : latch;
    case 1: return latch;
    case 2: return bit(m.bit_mask, n) ? alu(bit(v, plane), latch) : latch;
    default:
        return bit(m.bit_mask, n) && rotated
                   ? alu(bit(m.set_reset, plane), latch)
                   : latch;
    }
}

static void model_write(uint32_t a, uint8_t v)
{
    for (unsigned p = 0; p < 4; p++) {
        uint8_t out = 0;

        if (!bit(m.map_mask, p))
            continue;
        for (unsigned n = 0; n < 8; n++)
            out |= written_bit(p, n, v) << n;
        m.plane[p][a] = out;
    }
}

static uint8_t model_read(uint32_t a)
{
    uint8_t out = 0;

    for (unsigned p = 0; p < 4; p++)
        m.latch[p] = m.plane[p][a];
    if (m.read_mode == 0)
        return m.latch[m.read_map];
    for (unsigned n = 0; n < 8; n++) {
        bool same = true;

        for (unsigned p = 0; p < 4; p++)
            if (bit(m.dont_care, p) && bit(m.latch[p], n) != bit(m.compare, p))
                same = false;
        out |= same << n;
    }
    return out;
}

/* Both get the model's registers. */
static void program(void)
{
    gr(0, m.set_reset);
    gr(1, m.enable_set_reset);
    gr(2, m.compare);
    gr(3, m.rotate | m.function << 3);
    gr(4, m.read_map);
    gr(5, m.write_mode | m.read_mode << 3);
    gr(7, m.dont_care);
    gr(8, m.bit_mask);
    sr(2, m.map_mask);
}

static void randomise(void)
{
    m.set_reset = random_number() & 15;
    m.enable_set_reset = random_number() & 15;
    m.compare = random_number() & 15;
    m.rotate = random_number() & 7;
    m.read_map = random_number() & 3;
    m.read_mode = random_number() & 1;
    m.dont_care = random_number() & 15;
    m.bit_mask = random_number();
    m.map_mask = random_number() & 15;
}

static uint8_t lfb_plane(unsigned p, uint32_t a)
{
    return bench_read(b, LFB + 4 * a + p, 1);
}

static const struct {
    uint8_t write_mode, function;
} modes[] = {
    { 0, 0 }, { 0, 1 }, { 0, 2 }, { 0, 3 }, { 1, 0 }, { 1, 3 }, { 2, 0 },
    { 2, 1 }, { 2, 2 }, { 2, 3 }, { 3, 0 }, { 3, 1 }, { 3, 2 }, { 3, 3 },
};

TEST_P(planes_are_written_and_read_as_the_model_says, modes)
{
    power_on_vga();
    set_mode(&mode_12);
    m.write_mode = row->write_mode;
    m.function = row->function;
    for (unsigned round = 0; round < 300; round++) {
        randomise();
        program();
        for (unsigned i = 0; i < 20; i++) {
            /* Few addresses, so that they meet; the last ones too. */
            uint32_t a = (random_number() & 15) ^ (i & 1 ? 0xfff0 : 0);
            uint8_t v = random_number();

            if (random_number() & 1) {
                model_write(a, v);
                bench_write(b, BASE + a, 1, v);
            } else {
                test_note("round %u, address %x", round, a);
                CHECK_EQ(bench_read(b, BASE + a, 1), model_read(a));
            }
        }
    }
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t a = i & 15 ? (i & 16 ? 0xfff0 : 0) + (i & 15) : i;

        for (unsigned p = 0; p < 4; p++)
            CHECK_EQ(lfb_plane(p, a), m.plane[p][a]);
    }
}

TEST(wide_accesses_are_their_bytes)
{
    power_on_vga();
    set_mode(&mode_12);
    m.bit_mask = 0xff;
    m.map_mask = 0x0f;
    program();
    bench_write(b, BASE + 0x100, 4, 0x44332211);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(lfb_plane(2, 0x100 + i), 0x11 * (i + 1));
    CHECK_EQ(bench_read(b, BASE + 0x100, 4), 0x44332211);
    /* The latches are those of the last byte. */
    m.write_mode = 1;
    program();
    bench_write(b, BASE + 0x200, 1, 0);
    CHECK_EQ(lfb_plane(0, 0x200), 0x44);
}

/* --- where the window is ------------------------------------------------- */

/* Graphics register 6, bits 3:2: first and last address, -1: not there. */
static const struct {
    uint8_t select;
    uint32_t first, last, outside[2];
} maps[] = {
    { 0, 0xa0000, 0xbffff, { 0, 0 } },
    { 1, 0xa0000, 0xaffff, { 0xb0000, 0xb8000 } },
    { 2, 0xb0000, 0xb7fff, { 0xa0000, 0xb8000 } },
    { 3, 0xb8000, 0xbffff, { 0xa0000, 0xb0000 } },
};

TEST_P(memory_map_select_places_the_window, maps)
{
    power_on_vga();
    set_mode(&mode_12);
    gr(6, row->select << 2 | 1);
    bench_write(b, row->first, 1, 0x5a);
    CHECK_EQ(lfb_plane(0, 0), 0x5a);
    bench_write(b, row->last, 1, 0xa5);
    CHECK_EQ(lfb_plane(3, row->last - row->first), 0xa5);
    for (unsigned i = 0; i < 2 && row->outside[i]; i++) {
        bench_write(b, row->outside[i], 1, 0x77);
        CHECK_EQ(bench_read(b, row->outside[i], 1), 0xff);
        CHECK_EQ(lfb_plane(0, 0), 0x5a);
    }
}

TEST(memory_is_not_decoded_while_misc_output_says_so)
{
    power_on_vga();
    set_mode(&mode_13);
    bench_write(b, BASE, 1, 0x11);
    out8(0x3c2, 0x61);
    CHECK_EQ(bench_read(b, BASE, 1), 0xff);
    bench_write(b, BASE, 1, 0x22);
    out8(0x3c2, 0x63);
    CHECK_EQ(bench_read(b, BASE, 1), 0x11);
}

/* --- chain 4 and odd/even ------------------------------------------------ */

TEST(chain_4_spreads_bytes_over_the_planes)
{
    power_on_vga();
    set_mode(&mode_13);
    for (unsigned i = 0; i < 16; i++)
        bench_write(b, BASE + 0x8000 + i, 1, 0x20 + i);
    for (unsigned i = 0; i < 16; i++) {
        CHECK_EQ(bench_read(b, BASE + 0x8000 + i, 1), 0x20 + i);
        CHECK_EQ(bench_read(b, LFB + 0x8000 + i, 1), 0x20 + i);
    }
    sr(4, 0x06); /* the same bytes seen by planes */
    gr(5, 0x00);
    for (unsigned i = 0; i < 16; i++) {
        gr(4, i & 3);
        CHECK_EQ(bench_read(b, BASE + 0x2000 + i / 4, 1), 0x20 + i);
    }
}

TEST(map_mask_masks_planes_in_chain_4)
{
    power_on_vga();
    set_mode(&mode_13);
    bench_write(b, BASE, 4, 0x11111111);
    sr(2, 0x05);
    bench_write(b, BASE, 4, 0x99887766);
    CHECK_EQ(bench_read(b, BASE, 4), 0x11881166);
}

TEST(odd_even_puts_characters_and_attributes_in_two_planes)
{
    power_on_vga();
    set_mode(&mode_03);
    sr(4, 0x06);
    gr(5, 0x00);
    gr(6, 0x05);
    sr(2, 0x0f);
    for (unsigned i = 0; i < 64; i++)
        bench_write(b, BASE + i, 1, 0);
    set_mode(&mode_03);
    for (unsigned i = 0; i < 8; i++) {
        bench_write(b, COLOR + 2 * i, 1, 'a' + i);
        bench_write(b, COLOR + 2 * i + 1, 1, 0x70 + i);
    }
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(bench_read(b, COLOR + 2 * i, 2), ('a' + i) | (0x70 + i) << 8);
        CHECK_EQ(lfb_plane(0, i), 'a' + i);
        CHECK_EQ(lfb_plane(1, i), 0x70 + i);
        CHECK_EQ(lfb_plane(2, i), 0);
        CHECK_EQ(lfb_plane(3, i), 0);
    }
}

/* Even addresses reach planes 0 and 2, odd ones 1 and 3. */
static const struct {
    uint8_t map_mask, read_map;
    uint8_t planes[4]; /* after 11h to address 0, 22h to 1 */
    uint16_t read;
} pairs[] = {
    { 0x0f, 0, { 0x11, 0x22, 0x11, 0x22 }, 0x2211 },
    { 0x03, 0, { 0x11, 0x22, 0, 0 }, 0x2211 },
    { 0x03, 2, { 0x11, 0x22, 0, 0 }, 0x0000 },
    { 0x0c, 2, { 0, 0, 0x11, 0x22 }, 0x2211 },
    { 0x01, 0, { 0x11, 0, 0, 0 }, 0x0011 },
    { 0x08, 3, { 0, 0, 0, 0x22 }, 0x2200 },
};

TEST_P(odd_even_addresses_pick_planes_of_pairs, pairs)
{
    power_on_vga();
    set_mode(&mode_03);
    sr(2, 0x0f);
    bench_write(b, COLOR, 2, 0);
    sr(2, row->map_mask);
    gr(4, row->read_map);
    bench_write(b, COLOR, 2, 0x2211);
    for (unsigned p = 0; p < 4; p++)
        CHECK_EQ(lfb_plane(p, 0), row->planes[p]);
    CHECK_EQ(bench_read(b, COLOR, 2), row->read);
}

TEST(latches_survive_save_and_load)
{
    power_on_vga();
    set_mode(&mode_12);
    bench_write(b, BASE + 5, 1, 0x3c);
    bench_read(b, BASE + 5, 1);
    bench_save_load(b);
    gr(5, 0x01);
    bench_write(b, BASE + 9, 1, 0);
    CHECK_EQ(lfb_plane(1, 9), 0x3c);
}
