/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga: registers, DAC and VBE, against IBM's PS/2 Technical Reference ("Video
 * Subsystem") and the Bochs VBE interface.  Its memory is in vga_memory.c, what
 * is seen in vga_screen.c.
 */
#include "tests/dev/vga_ports.h"

/* --- registers ----------------------------------------------------------- */

/* Index port, data ports, and the bits that exist. */
static const struct {
    uint16_t index_port, read_port;
    uint8_t index, mask;
} registers[] = {
    { 0x3c4, 0x3c5, 0x00, 0x03 }, { 0x3c4, 0x3c5, 0x01, 0x3d },
    { 0x3c4, 0x3c5, 0x02, 0x0f }, { 0x3c4, 0x3c5, 0x03, 0x3f },
    { 0x3c4, 0x3c5, 0x04, 0x0e }, { 0x3ce, 0x3cf, 0x00, 0x0f },
    { 0x3ce, 0x3cf, 0x01, 0x0f }, { 0x3ce, 0x3cf, 0x02, 0x0f },
    { 0x3ce, 0x3cf, 0x03, 0x1f }, { 0x3ce, 0x3cf, 0x04, 0x03 },
    { 0x3ce, 0x3cf, 0x05, 0x7b }, { 0x3ce, 0x3cf, 0x06, 0x0f },
    { 0x3ce, 0x3cf, 0x07, 0x0f }, { 0x3ce, 0x3cf, 0x08, 0xff },
    { 0x3d4, 0x3d5, 0x00, 0xff }, { 0x3d4, 0x3d5, 0x08, 0xff },
    { 0x3d4, 0x3d5, 0x0a, 0xff }, { 0x3d4, 0x3d5, 0x0e, 0xff },
    { 0x3d4, 0x3d5, 0x18, 0xff }, { 0x3d4, 0x3d5, 0x19, 0x00 },
    { 0x3c0, 0x3c1, 0x00, 0x3f }, { 0x3c0, 0x3c1, 0x0f, 0x3f },
    { 0x3c0, 0x3c1, 0x10, 0xef }, { 0x3c0, 0x3c1, 0x11, 0xff },
    { 0x3c0, 0x3c1, 0x12, 0x3f }, { 0x3c0, 0x3c1, 0x13, 0x0f },
    { 0x3c0, 0x3c1, 0x14, 0x0f }, { 0x3c0, 0x3c1, 0x15, 0x00 },
};

TEST_P(register_has_its_bits, registers)
{
    power_on_vga();
    for (unsigned v = 0; v < 256; v += 5) {
        in8(0x3da);
        out8(row->index_port, row->index);
        out8(row->index_port == 0x3c0 ? 0x3c0 : row->read_port, v);
        out8(row->index_port, row->index);
        CHECK_EQ(in8(row->read_port), v & row->mask);
        CHECK_EQ(in8(row->index_port), row->index);
    }
}

TEST(attribute_port_alternates_between_index_and_data)
{
    power_on_vga();
    in8(0x3da);
    out8(0x3c0, 0x03);
    out8(0x3c0, 0x15);
    out8(0x3c0, 0x04);
    out8(0x3c0, 0x2a);
    out8(0x3c0, 0x03);
    CHECK_EQ(in8(0x3c1), 0x15);
    in8(0x3da); /* index again */
    out8(0x3c0, 0x04);
    CHECK_EQ(in8(0x3c1), 0x2a);
}

TEST(misc_output_is_read_at_another_port)
{
    power_on_vga();
    out8(0x3c2, 0xef);
    CHECK_EQ(in8(0x3cc), 0xef);
    out8(0x3c2, 0x01);
    CHECK_EQ(in8(0x3cc), 0x01);
}

/* Misc output bit 0: 3Bxh or 3Dxh. */
static const struct {
    uint8_t misc;
    uint16_t here, elsewhere;
} halves[] = {
    { 0x63, 0x3d4, 0x3b4 },
    { 0x62, 0x3b4, 0x3d4 },
};

TEST_P(crtc_is_decoded_in_one_half, halves)
{
    power_on_vga();
    out8(0x3c2, row->misc);
    out8(row->here, 0x0e);
    out8(row->here + 1, 0x5a);
    CHECK_EQ(in8(row->here + 1), 0x5a);
    out8(row->elsewhere, 0x0e);
    out8(row->elsewhere + 1, 0x11);
    CHECK_EQ(in8(row->elsewhere + 1), 0xff);
    CHECK_EQ(in8(row->elsewhere + 6), 0xff);
    CHECK_EQ(in8(row->here + 1), 0x5a);
    CHECK_NE(in8(row->here + 6), 0xff);
}

TEST(crtc_protection_leaves_only_line_compare_writable)
{
    power_on_vga();
    for (unsigned i = 0; i < 8; i++)
        cr(i, 0x00);
    cr(0x11, 0x80);
    for (unsigned i = 0; i < 8; i++) {
        cr(i, 0xff);
        CHECK_EQ(in8(0x3d5), i == 7 ? 0x10 : 0x00);
    }
    cr(0x08, 0x1f);
    CHECK_EQ(in8(0x3d5), 0x1f);
    cr(0x11, 0x00);
    cr(0x00, 0x5f);
    CHECK_EQ(in8(0x3d5), 0x5f);
}

/* --- status -------------------------------------------------------------- */

/* In a second: retraces, and how long the display is off. */
TEST(retrace_comes_70_times_a_second)
{
    unsigned rises = 0, blank = 0;
    bool was = true;

    power_on_vga();
    set_mode(&mode_03);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t v = in8(0x3da);

        rises += (v & 8) && !was;
        blank += v & 1;
        was = v & 8;
        if (v & 8)
            CHECK_EQ(v & 1, 1); /* no display in a retrace */
        bench_step(b, 50000);
    }
    CHECK_GE(rises, 69);
    CHECK_LE(rises, 71);
    CHECK_GE(blank, 20000 / 5); /* vertical 11%, horizontal 20% */
    CHECK_LE(blank, 20000 * 2 / 5);
}

/* --- DAC ----------------------------------------------------------------- */

TEST(dac_is_written_and_read_in_triples)
{
    power_on_vga();
    for (unsigned i = 0; i < 256; i++)
        color(i, i & 63, (i >> 1) & 63, 63 - (i & 63));
    out8(0x3c7, 0);
    for (unsigned i = 0; i < 256; i++) {
        CHECK_EQ(in8(0x3c9), i & 63);
        CHECK_EQ(in8(0x3c9), (i >> 1) & 63);
        CHECK_EQ(in8(0x3c9), 63 - (i & 63));
    }
}

TEST(dac_index_advances_after_each_triple)
{
    power_on_vga();
    out8(0x3c8, 0xff);
    out8(0x3c9, 1);
    CHECK_EQ(in8(0x3c8), 0xff);
    out8(0x3c9, 2);
    out8(0x3c9, 3);
    CHECK_EQ(in8(0x3c8), 0x00);
    out8(0x3c9, 4);
    out8(0x3c9, 5);
    out8(0x3c9, 6);
    out8(0x3c7, 0xff);
    for (unsigned i = 1; i <= 6; i++)
        CHECK_EQ(in8(0x3c9), i);
}

TEST(half_a_triple_changes_nothing)
{
    power_on_vga();
    color(5, 10, 20, 30);
    out8(0x3c8, 5);
    out8(0x3c9, 60);
    out8(0x3c7, 5);
    CHECK_EQ(in8(0x3c9), 10);
}

TEST(dac_state_tells_reading_from_writing)
{
    power_on_vga();
    out8(0x3c8, 0);
    CHECK_EQ(in8(0x3c7) & 3, 0);
    out8(0x3c7, 0);
    CHECK_EQ(in8(0x3c7) & 3, 3);
}

TEST(dac_has_six_bits_unless_vbe_wants_eight)
{
    power_on_vga();
    color(1, 0xff, 0xc1, 0x80);
    out8(0x3c7, 1);
    CHECK_EQ(in8(0x3c9), 0x3f);
    CHECK_EQ(in8(0x3c9), 0x01);
    CHECK_EQ(in8(0x3c9), 0x00);
    vbe(VBE_X, 640);
    vbe(VBE_Y, 480);
    vbe(VBE_ENABLE, 0x61);
    color(1, 0xff, 0xc1, 0x80);
    out8(0x3c7, 1);
    CHECK_EQ(in8(0x3c9), 0xff);
    CHECK_EQ(in8(0x3c9), 0xc1);
    CHECK_EQ(in8(0x3c9), 0x80);
}

TEST(pel_mask_reads_back)
{
    power_on_vga();
    CHECK_EQ(in8(0x3c6), 0xff);
    out8(0x3c6, 0x0f);
    CHECK_EQ(in8(0x3c6), 0x0f);
}

/* --- VBE ----------------------------------------------------------------- */

static const struct {
    uint16_t written, id;
} ids[] = {
    { 0xb0c0, 0xb0c0 }, { 0xb0c4, 0xb0c4 }, { 0xb0c5, 0xb0c5 },
    { 0xb0c6, 0xb0c5 }, { 0x0000, 0xb0c5 },
};

TEST_P(vbe_id_takes_the_versions_it_knows, ids)
{
    power_on_vga();
    CHECK_EQ(vbe_get(VBE_ID), 0xb0c5);
    vbe(VBE_ID, row->written);
    CHECK_EQ(vbe_get(VBE_ID), row->id);
}

/* What was asked for, and what it became. */
static const struct {
    uint16_t x, y, bpp;
    uint16_t got_x, got_y, got_bpp;
} sizes[] = {
    { 640, 480, 8, 640, 480, 8 },
    { 1024, 768, 32, 1024, 768, 32 },
    { 800, 600, 15, 800, 600, 15 },
    { 1366, 768, 24, 1360, 768, 24 }, /* whole bytes of planes */
    { 640, 480, 7, 640, 480, 8 },
    { 640, 480, 0, 640, 480, 8 },
    { 0, 0, 32, 8, 1, 32 },
    { 65535, 65535, 8, 2560, 1600, 8 },
    { 2560, 1600, 32, 2560, 1600, 32 },
    { 640, 480, 4, 640, 480, 4 },
};

TEST_P(vbe_mode_is_made_to_fit, sizes)
{
    power_on_vga();
    vbe(VBE_X, row->x);
    vbe(VBE_Y, row->y);
    vbe(VBE_BPP, row->bpp);
    vbe(VBE_ENABLE, 0x41);
    CHECK_EQ(vbe_get(VBE_X), row->got_x);
    CHECK_EQ(vbe_get(VBE_Y), row->got_y);
    CHECK_EQ(vbe_get(VBE_BPP), row->got_bpp);
    CHECK_EQ(vbe_get(VBE_VIRTUAL_WIDTH), row->got_x);
    CHECK_EQ(vbe_get(VBE_X_OFFSET), 0);
    CHECK_EQ(vbe_get(VBE_Y_OFFSET), 0);
}

TEST(vbe_mode_does_not_exceed_small_memory)
{
    b = bench_create("vga", "vram=1M", NULL);
    CHECK_EQ(vbe_get(VBE_MEMORY), 16);
    vbe(VBE_X, 1024);
    vbe(VBE_Y, 768);
    vbe(VBE_BPP, 32);
    vbe(VBE_ENABLE, 0x41);
    CHECK_EQ(vbe_get(VBE_X), 1024);
    CHECK_EQ(vbe_get(VBE_Y), 256);
}

TEST(vbe_tells_its_limits)
{
    power_on_vga();
    vbe(VBE_ENABLE, 0x02);
    CHECK_EQ(vbe_get(VBE_X), 2560);
    CHECK_EQ(vbe_get(VBE_Y), 1600);
    CHECK_EQ(vbe_get(VBE_BPP), 32);
    vbe(VBE_ENABLE, 0x00);
    CHECK_EQ(vbe_get(VBE_X), 0);
    CHECK_EQ(vbe_get(VBE_MEMORY), 256);
}

TEST(vbe_size_is_fixed_while_it_is_on)
{
    power_on_vga();
    vbe(VBE_X, 640);
    vbe(VBE_Y, 480);
    vbe(VBE_BPP, 8);
    vbe(VBE_ENABLE, 0x41);
    vbe(VBE_X, 800);
    vbe(VBE_Y, 600);
    vbe(VBE_BPP, 32);
    CHECK_EQ(vbe_get(VBE_X), 640);
    CHECK_EQ(vbe_get(VBE_Y), 480);
    CHECK_EQ(vbe_get(VBE_BPP), 8);
}

static const struct {
    uint16_t written, width, height;
} virtuals[] = {
    { 1024, 1024, 16384 },
    { 640, 640, 26214 },
    { 320, 640, 26214 },
    { 0, 640, 26214 },
};

TEST_P(virtual_width_gives_the_virtual_height, virtuals)
{
    power_on_vga();
    vbe(VBE_X, 640);
    vbe(VBE_Y, 480);
    vbe(VBE_BPP, 8);
    vbe(VBE_ENABLE, 0x41);
    vbe(VBE_VIRTUAL_WIDTH, row->written);
    CHECK_EQ(vbe_get(VBE_VIRTUAL_WIDTH), row->width);
    CHECK_EQ(vbe_get(VBE_VIRTUAL_HEIGHT), row->height);
    vbe(VBE_VIRTUAL_HEIGHT, 1);
    CHECK_EQ(vbe_get(VBE_VIRTUAL_HEIGHT), row->height);
}

TEST(virtual_width_changes_nothing_while_vbe_is_off)
{
    power_on_vga();
    vbe(VBE_VIRTUAL_WIDTH, 1024);
    CHECK_EQ(vbe_get(VBE_X), 0);
    CHECK_EQ(vbe_get(VBE_Y), 0);
}

static const struct {
    uint16_t enable;
    bool cleared;
} clears[] = {
    { 0x41, true },
    { 0xc1, false },
};

TEST_P(enabling_clears_the_screen_unless_told_not_to, clears)
{
    power_on_vga();
    bench_write(b, LFB + 100, 1, 0x77);
    vbe(VBE_X, 640);
    vbe(VBE_Y, 480);
    vbe(VBE_BPP, 8);
    vbe(VBE_ENABLE, row->enable);
    CHECK_EQ(bench_read(b, LFB + 100, 1), row->cleared ? 0 : 0x77);
}

static const uint16_t banks[] = { 0, 1, 15, 255 };

TEST_P(bank_moves_the_window, banks)
{
    power_on_vga();
    vbe(VBE_X, 640);
    vbe(VBE_Y, 480);
    vbe(VBE_BPP, 8);
    vbe(VBE_ENABLE, 0x01);
    vbe(VBE_BANK, *row);
    CHECK_EQ(vbe_get(VBE_BANK), *row);
    bench_write(b, BASE + 0x1234, 2, 0xa55a);
    CHECK_EQ(bench_read(b, LFB + *row * 0x10000u + 0x1234, 2), 0xa55a);
    bench_write(b, LFB + *row * 0x10000u + 0xffff, 1, 0x99);
    CHECK_EQ(bench_read(b, BASE + 0xffff, 1), 0x99);
    vbe(VBE_ENABLE, 0x00);
    CHECK_EQ(vbe_get(VBE_BANK), 0);
}

TEST(bank_behind_the_end_of_memory_is_refused)
{
    power_on_vga();
    vbe(VBE_BANK, 255);
    vbe(VBE_BANK, 256);
    CHECK_EQ(vbe_get(VBE_BANK), 255);
}

/* The register BAR has both sets once more. */
TEST(register_bar_reaches_the_same_registers)
{
    const uint32_t bar = 0xe2000000;

    power_on_vga();
    bench_pci_write(b, 2, 0, 0x18, 4, bar);
    bench_write(b, bar + 0x400 + 0x3ce - 0x3c0, 1, 0x08);
    bench_write(b, bar + 0x400 + 0x3cf - 0x3c0, 1, 0x5a);
    gr(0x08, in8(0x3cf));
    CHECK_EQ(in8(0x3cf), 0x5a);
    CHECK_EQ(bench_read(b, bar + 0x400 + 0x3cf - 0x3c0, 1), 0x5a);
    bench_write(b, bar + 0x500 + 2 * VBE_X, 2, 800);
    CHECK_EQ(vbe_get(VBE_X), 800);
    CHECK_EQ(bench_read(b, bar + 0x500 + 2 * VBE_ID, 2), 0xb0c5);
    CHECK_EQ(bench_read(b, bar + 0x604, 4), 0x1e1e1e1e);
}

TEST(registers_survive_save_and_load)
{
    power_on_vga();
    set_mode(&mode_12);
    set_colors();
    out8(0x3c8, 7);
    out8(0x3c9, 9); /* a third of a triple */
    in8(0x3da);
    out8(0x3c0, 0x34); /* index; data follow */
    bench_write(b, LFB + 12345, 1, 0x42);
    bench_save_load(b);
    out8(0x3c0, 0x0b);
    CHECK_EQ(in8(0x3c1), 0x0b);
    out8(0x3c9, 8);
    out8(0x3c9, 7);
    out8(0x3c7, 7);
    CHECK_EQ(in8(0x3c9), 9);
    CHECK_EQ(in8(0x3c9), 8);
    CHECK_EQ(in8(0x3c9), 7);
    CHECK_EQ(in8(0x3c9), 8); /* red of entry 8 */
    out8(0x3d4, 0x12);
    CHECK_EQ(in8(0x3d5), 0xdf);
    CHECK_EQ(bench_read(b, LFB + 12345, 1), 0x42);
}
