/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VGA shows: text with its cursor, fonts and attributes; each kind of
 * graphics mode pixel by pixel; scrolling, split screen, VBE formats.
 */
#include "tests/dev/vga_ports.h"

#include <glib.h>
#include <stdlib.h>

#include "display/screen.h"
#include "vm/vm.h"

static void check_size(uint32_t width, uint32_t height)
{
    uint32_t w, h;

    CHECK(bench_screen_size(b, &w, &h));
    CHECK_EQ(w, width);
    CHECK_EQ(h, height);
}

static void print(unsigned column, unsigned line, const char *text,
                  uint8_t attribute)
{
    uint32_t at = COLOR + 2 * (80 * line + column);

    for (; *text; text++, at += 2)
        bench_write(b, at, 2, (uint8_t)*text | attribute << 8);
}

/* The line of the screen, blanks at its end removed. */
static const char *shown(unsigned line)
{
    static char out[512];
    char *all = bench_screen_text(b), **lines;

    CHECK(all != NULL);
    lines = g_strsplit(all, "\n", -1);
    CHECK_LT(line, g_strv_length(lines));
    g_strlcpy(out, g_strchomp(lines[line]), sizeof out);
    g_strfreev(lines);
    g_free(all);
    return out;
}

/* --- text ---------------------------------------------------------------- */

static void text_mode(void)
{
    power_on_vga();
    set_mode(&mode_03);
    set_colors();
    for (unsigned i = 0; i < 80 * 25; i++)
        bench_write(b, COLOR + 2 * i, 2, 0x0720);
}

/* Character code `c` has this row of dots in all its 16 lines. */
static void set_glyph(uint8_t font, uint8_t c, uint8_t dots)
{
    sr(2, 0x04);
    sr(4, 0x06);
    gr(5, 0x00);
    gr(6, 0x04);
    for (unsigned i = 0; i < 16; i++)
        bench_write(b, BASE + font * 0x2000u + c * 32u + i, 1, dots);
    sr(2, 0x03);
    sr(4, 0x02);
    gr(5, 0x10);
    gr(6, 0x0e);
}

TEST(text_is_reported_as_it_stands)
{
    text_mode();
    print(0, 0, "hello", 0x07);
    print(70, 24, "corner...!", 0x1f);
    check_size(720, 400);
    CHECK_STR_EQ(shown(0), "hello");
    CHECK_STR_EQ(shown(24) + 70, "corner...!");
    print(0, 0, "HELLO", 0x07);
    CHECK_STR_EQ(shown(0), "HELLO");
}

TEST(code_page_437_is_reported_as_unicode)
{
    text_mode();
    print(0, 3, "\xda\xc4\xbf \x84\xe1", 0x07);
    CHECK_STR_EQ(shown(3), "\u250c\u2500\u2510 \u00e4\u00df");
}

TEST(start_address_scrolls_the_text)
{
    text_mode();
    print(0, 0, "first", 0x07);
    print(0, 1, "second", 0x07);
    cr(0x0d, 80);
    CHECK_STR_EQ(shown(0), "second");
    cr(0x0c, 0x08);
    cr(0x0d, 0x00);
    print(0, 0, "other", 0x07);
    bench_write(b, COLOR + 0x1000, 2, 0x0758);
    CHECK_STR_EQ(shown(0), "X");
}

TEST(offset_register_gives_the_length_of_a_line)
{
    text_mode();
    print(10, 1, "x", 0x07);
    cr(0x13, 45); /* 90 cells */
    CHECK_STR_EQ(shown(1), "x");
}

struct cursor {
    uint32_t column, row, visible;
};

static void take_cursor(void *opaque, const struct bp_surface *surface,
                        const struct bp_text *text)
{
    struct cursor *c = opaque;

    *c = (struct cursor){ text->cursor_column, text->cursor_row,
                          text->cursor_visible };
}

/* Cursor position, start and end registers; is it reported? */
static const struct {
    uint16_t at;
    uint8_t start, end;
    uint32_t column, row, visible;
} cursors[] = {
    { 0, 0x0d, 0x0e, 0, 0, 1 },      { 81, 0x0d, 0x0e, 1, 1, 1 },
    { 1999, 0x00, 0x0f, 79, 24, 1 }, { 81, 0x2d, 0x0e, 1, 1, 0 },
    { 2000, 0x0d, 0x0e, 0, 0, 0 },   { 81, 0x0e, 0x0d, 1, 1, 0 },
};

TEST_P(cursor_is_reported, cursors)
{
    struct cursor c;

    text_mode();
    cr(0x0e, row->at >> 8);
    cr(0x0f, row->at);
    cr(0x0a, row->start);
    cr(0x0b, row->end);
    screen_look(screens_seen(bench_vm(b)->screens), take_cursor, &c);
    CHECK_EQ(c.visible, row->visible);
    if (row->visible) {
        CHECK_EQ(c.column, row->column);
        CHECK_EQ(c.row, row->row);
    }
}

TEST(cursor_is_drawn_in_its_lines_and_moves)
{
    text_mode();
    print(3, 2, " ", 0x07);
    cr(0x0e, 0);
    cr(0x0f, 2 * 80 + 3);
    CHECK_EQ(bench_pixel(b, 27, 32 + 12), color_of(0));
    CHECK_EQ(bench_pixel(b, 27, 32 + 13), color_of(7));
    CHECK_EQ(bench_pixel(b, 35, 32 + 14), color_of(7));
    CHECK_EQ(bench_pixel(b, 27, 32 + 15), color_of(0));
    cr(0x0f, 2 * 80 + 4);
    CHECK_EQ(bench_pixel(b, 27, 32 + 13), color_of(0));
    CHECK_EQ(bench_pixel(b, 36, 32 + 13), color_of(7));
}

TEST(glyph_is_drawn_in_its_colors)
{
    text_mode();
    set_glyph(0, 'A', 0xa5);
    print(2, 1, "A", 0x1e);
    for (unsigned x = 0; x < 8; x++)
        CHECK_EQ(bench_pixel(b, 18 + x, 16 + 5),
                 0xa5 & 0x80 >> x ? color_of(0x3e) : color_of(1));
    CHECK_EQ(bench_pixel(b, 26, 16 + 5), color_of(1)); /* ninth dot */
    set_glyph(0, 'A', 0x00);                           /* a new font is seen */
    CHECK_EQ(bench_pixel(b, 18, 16 + 5), color_of(1));
}

/* The ninth dot repeats the eighth for C0h..DFh, if the mode says so. */
static const struct {
    uint8_t character, mode;
    bool lit;
} ninths[] = {
    { 0xc4, 0x0c, true },  { 0xdf, 0x0c, true },  { 0xbf, 0x0c, false },
    { 0xe0, 0x0c, false }, { 0xc4, 0x08, false },
};

TEST_P(ninth_dot_is_that_of_line_graphics, ninths)
{
    text_mode();
    set_glyph(0, row->character, 0xff);
    ar(0x10, row->mode);
    bench_write(b, COLOR, 2, row->character | 0x0700);
    CHECK_EQ(bench_pixel(b, 8, 3), color_of(row->lit ? 7 : 0));
}

TEST(clocking_mode_gives_eight_dots)
{
    text_mode();
    sr(1, 0x01);
    check_size(640, 400);
}

/* Attribute bit 7: blinking, or a bright background. */
static const struct {
    uint8_t mode;
    unsigned background;
    bool blinks;
} blinks[] = {
    { 0x0c, 1, true },
    { 0x04, 0x39, false },
};

TEST_P(attribute_bit_7_blinks_or_is_background, blinks)
{
    unsigned seen = 0;

    text_mode();
    set_glyph(0, 'A', 0xff);
    ar(0x10, row->mode);
    print(0, 1, "A", 0x97);
    for (unsigned i = 0; i < 40; i++) {
        uint32_t v = bench_pixel(b, 0, 16);

        CHECK(v == color_of(7) || v == color_of(row->background));
        seen |= v == color_of(7) ? 1 : 2;
        CHECK_EQ(bench_pixel(b, 8, 16), color_of(row->background));
        bench_step(b, 50000000);
    }
    CHECK_EQ(seen, row->blinks ? 3 : 1);
}

TEST(attribute_bit_3_picks_the_second_font)
{
    text_mode();
    sr(3, 0x04);             /* A: block 1, B: block 0 */
    set_glyph(2, 'A', 0xff); /* block 1 is 16 KiB further */
    set_glyph(0, 'A', 0x00);
    print(0, 1, "A", 0x07);
    print(1, 1, "A", 0x0f);
    CHECK_EQ(bench_pixel(b, 0, 20), color_of(0));
    CHECK_EQ(bench_pixel(b, 9, 20), color_of(0x3f));
}

/* --- colours ------------------------------------------------------------- */

TEST(dac_change_shows_without_new_text)
{
    text_mode();
    CHECK_EQ(bench_pixel(b, 0, 0), color_of(0));
    color(0, 63, 0, 0);
    CHECK_EQ(bench_pixel(b, 0, 0), 0xff0000);
    ar(0, 0x07);
    CHECK_EQ(bench_pixel(b, 0, 0), color_of(7));
}

TEST(pel_mask_masks_the_dac_index)
{
    text_mode();
    ar(0, 0x3f);
    out8(0x3c6, 0x05);
    CHECK_EQ(bench_pixel(b, 0, 0), color_of(0x05));
}

/* Attribute registers 10h bit 7 and 14h: where DAC index bits come from. */
static const struct {
    uint8_t mode, select;
    unsigned index; /* of palette register 2Ah */
} selects[] = {
    { 0x0c, 0x00, 0x2a }, { 0x0c, 0x0f, 0xea }, { 0x8c, 0x00, 0x0a },
    { 0x8c, 0x0f, 0xfa }, { 0x8c, 0x03, 0x3a },
};

TEST_P(color_select_completes_the_dac_index, selects)
{
    text_mode();
    ar(0, 0x2a);
    ar(0x10, row->mode);
    ar(0x14, row->select);
    CHECK_EQ(bench_pixel(b, 0, 0), color_of(row->index));
}

/* --- graphics ------------------------------------------------------------ */

static void graphics_mode(const struct vga_mode *mode)
{
    power_on_vga();
    set_mode(mode);
    set_colors();
}

/* Sets one pixel of 16 colours through write mode 2. */
static void plot(unsigned pitch, unsigned x, unsigned y, uint8_t v)
{
    uint32_t at = BASE + y * pitch + x / 8;

    gr(5, 0x02);
    gr(8, 0x80 >> x % 8);
    bench_read(b, at, 1);
    bench_write(b, at, 1, v);
}

static const struct {
    const struct vga_mode *mode;
    unsigned pitch, width, height;
} planars[] = {
    { &mode_0d, 40, 320, 200 },
    { &mode_12, 80, 640, 480 },
};

TEST_P(planar_pixels_are_where_they_were_set, planars)
{
    graphics_mode(row->mode);
    check_size(row->width, row->height);
    for (unsigned v = 0; v < 16; v++)
        plot(row->pitch, 3 + v * 11, row->height - 1 - v, v);
    for (unsigned v = 1; v < 16; v++) {
        unsigned x = 3 + v * 11, y = row->height - 1 - v;

        CHECK_EQ(bench_pixel(b, x, y), color_of(v));
        CHECK_EQ(bench_pixel(b, x - 1, y), color_of(0));
        CHECK_EQ(bench_pixel(b, x + 1, y), color_of(0));
        CHECK_EQ(bench_pixel(b, x, y - 1), color_of(0));
    }
    ar(0x12, 0x0a); /* planes 1 and 3 only */
    CHECK_EQ(bench_pixel(b, 3 + 15 * 11, row->height - 16), color_of(10));
}

TEST(mode_13h_shows_bytes)
{
    graphics_mode(&mode_13);
    check_size(320, 200);
    for (unsigned i = 0; i < 256; i++)
        bench_write(b, BASE + 320 * 7 + i, 1, i);
    for (unsigned i = 0; i < 256; i++)
        CHECK_EQ(bench_pixel(b, i, 7), color_of(i));
    bench_write(b, BASE + 320 * 199 + 319, 1, 99);
    CHECK_EQ(bench_pixel(b, 319, 199), color_of(99));
}

TEST(unchained_mode_13h_shows_four_planes)
{
    graphics_mode(&mode_13);
    sr(4, 0x06);
    cr(0x14, 0x00);
    cr(0x17, 0xe3);
    for (unsigned p = 0; p < 4; p++) {
        sr(2, 1 << p);
        bench_write(b, BASE + 80 * 5 + 2, 1, 0x40 + p);
    }
    for (unsigned p = 0; p < 4; p++)
        CHECK_EQ(bench_pixel(b, 8 + p, 5), color_of(0x40 + p));
}

/* CGA: even lines from 0, odd ones from 2000h on. */
static const unsigned cga_lines[] = { 0, 1, 2, 3, 98, 99, 100, 101, 198, 199 };

TEST_P(cga_four_color_lines_lie_in_two_banks, cga_lines)
{
    uint32_t at = COLOR + *row / 2 * 80 + (*row & 1) * 0x2000;

    graphics_mode(&mode_04);
    check_size(320, 200);
    bench_write(b, at, 1, 0x1b);     /* 0 1 2 3 */
    bench_write(b, at + 1, 1, 0xe4); /* 3 2 1 0 */
    bench_write(b, at + 79, 1, 0x03);
    for (unsigned x = 0; x < 4; x++) {
        CHECK_EQ(bench_pixel(b, x, *row), color_of(x));
        CHECK_EQ(bench_pixel(b, 4 + x, *row), color_of(3 - x));
    }
    CHECK_EQ(bench_pixel(b, 319, *row), color_of(3));
    CHECK_EQ(bench_pixel(b, 319, *row ? *row - 1 : 1), color_of(0));
}

TEST_P(cga_two_color_lines_lie_in_two_banks, cga_lines)
{
    uint32_t at = COLOR + *row / 2 * 80 + (*row & 1) * 0x2000;

    graphics_mode(&mode_06);
    sr(2, 0x01);
    check_size(640, 200);
    bench_write(b, at, 1, 0x81);
    bench_write(b, at + 79, 1, 0x01);
    CHECK_EQ(bench_pixel(b, 0, *row), color_of(1));
    CHECK_EQ(bench_pixel(b, 1, *row), color_of(0));
    CHECK_EQ(bench_pixel(b, 7, *row), color_of(1));
    CHECK_EQ(bench_pixel(b, 639, *row), color_of(1));
    CHECK_EQ(bench_pixel(b, 639, *row ? *row - 1 : 1), color_of(0));
}

TEST(start_address_and_panning_scroll_graphics)
{
    graphics_mode(&mode_12);
    plot(80, 100, 50, 9);
    CHECK_EQ(bench_pixel(b, 100, 50), color_of(9));
    cr(0x0d, 81); /* a line and eight pixels */
    CHECK_EQ(bench_pixel(b, 92, 49), color_of(9));
    ar(0x13, 3);
    CHECK_EQ(bench_pixel(b, 89, 49), color_of(9));
}

TEST(line_compare_splits_the_screen)
{
    graphics_mode(&mode_12);
    cr(0x0d, 80 * 2); /* the upper part starts at line 2 */
    cr(0x18, 0x2b);   /* 300 - 1 = 12bh */
    cr(0x07, 0x3e);
    cr(0x09, 0x00);
    plot(80, 8, 0, 5);
    plot(80, 8, 2, 6);
    CHECK_EQ(bench_pixel(b, 8, 0), color_of(6));
    CHECK_EQ(bench_pixel(b, 8, 300), color_of(5));
    CHECK_EQ(bench_pixel(b, 8, 302), color_of(6));
    CHECK_EQ(bench_pixel(b, 8, 299), color_of(0));
}

TEST(screen_off_is_black)
{
    graphics_mode(&mode_13);
    bench_write(b, BASE, 1, 0x2a);
    color(0, 63, 63, 63);
    CHECK_EQ(bench_pixel(b, 0, 0), color_of(0x2a));
    sr(1, 0x21);
    CHECK_EQ(bench_pixel(b, 0, 0), 0);
    CHECK_EQ(bench_pixel(b, 5, 5), 0);
    sr(1, 0x01);
    CHECK_EQ(bench_pixel(b, 0, 0), color_of(0x2a));
    in8(0x3da);
    out8(0x3c0, 0x00); /* palette address source off */
    CHECK_EQ(bench_pixel(b, 0, 0), 0);
}

TEST(graphics_have_no_text)
{
    graphics_mode(&mode_13);
    CHECK(bench_screen_text(b) == NULL);
}

/* --- VBE ----------------------------------------------------------------- */

static const struct {
    uint16_t bpp;
    uint32_t raw, pixel;
} formats[] = {
    { 8, 0x47, 0 }, /* the DAC's */
    { 15, 0x7c00, 0xf80000 },
    { 15, 0x03e0, 0x00f800 },
    { 15, 0x001f, 0x0000f8 },
    { 16, 0xf800, 0xf80000 },
    { 16, 0x07e0, 0x00fc00 },
    { 16, 0x001f, 0x0000f8 },
    { 24, 0x123456, 0x123456 },
    { 32, 0x55123456, 0x123456 },
};

static void vbe_mode(uint16_t x, uint16_t y, uint16_t bpp)
{
    vbe(VBE_ENABLE, 0);
    vbe(VBE_X, x);
    vbe(VBE_Y, y);
    vbe(VBE_BPP, bpp);
    vbe(VBE_ENABLE, 0x41);
}

TEST_P(vbe_pixel_has_its_format, formats)
{
    unsigned bytes = (row->bpp + 7) / 8;
    uint32_t at = LFB + (480 - 1) * 640 * bytes + 639 * bytes;

    power_on_vga();
    set_colors();
    vbe_mode(640, 480, row->bpp);
    check_size(640, 480);
    CHECK_EQ(bench_pixel(b, 638, 479), row->bpp == 8 ? color_of(0) : 0);
    for (unsigned i = 0; i < bytes; i++)
        bench_write(b, at + i, 1, row->raw >> 8 * i);
    CHECK_EQ(bench_pixel(b, 639, 479),
             row->bpp == 8 ? color_of(0x47) : row->pixel);
    CHECK_EQ(bench_pixel(b, 638, 479), row->bpp == 8 ? color_of(0) : 0);
}

TEST(vbe_eight_bit_dac_has_full_colors)
{
    power_on_vga();
    vbe_mode(640, 480, 8);
    vbe(VBE_ENABLE, 0x61);
    color(0, 0x12, 0x34, 0x56);
    CHECK_EQ(bench_pixel(b, 0, 0), 0x123456);
}

TEST(vbe_planes_are_shown)
{
    power_on_vga();
    set_mode(&mode_12);
    set_colors();
    vbe_mode(800, 600, 4);
    check_size(800, 600);
    plot(100, 799, 599, 11);
    CHECK_EQ(bench_pixel(b, 799, 599), color_of(11));
}

TEST(vbe_offsets_move_over_the_virtual_screen)
{
    power_on_vga();
    vbe_mode(640, 480, 32);
    vbe(VBE_VIRTUAL_WIDTH, 1024);
    bench_write(b, LFB + 4 * (1024 * 700 + 900), 4, 0x00abcdef);
    vbe(VBE_X_OFFSET, 300);
    vbe(VBE_Y_OFFSET, 250);
    CHECK_EQ(bench_pixel(b, 600, 450), 0xabcdef);
}

static const uint16_t offsets[] = { 0, 1000, 32767, 65535 };

TEST_P(vbe_offset_beyond_memory_shows_black, offsets)
{
    power_on_vga();
    vbe_mode(640, 480, 32);
    vbe(VBE_VIRTUAL_WIDTH, 65535);
    vbe(VBE_X_OFFSET, *row);
    vbe(VBE_Y_OFFSET, *row);
    check_size(640, 480);
    CHECK_EQ(bench_pixel(b, 639, 479), 0);
}

TEST(mode_changes_are_followed)
{
    power_on_vga();
    set_mode(&mode_03);
    check_size(720, 400);
    vbe_mode(1024, 768, 32);
    check_size(1024, 768);
    vbe(VBE_ENABLE, 0);
    set_mode(&mode_13);
    check_size(320, 200);
    set_mode(&mode_03);
    set_colors();
    for (unsigned i = 0; i < 80 * 25; i++)
        bench_write(b, COLOR + 2 * i, 2, 0x0720);
    print(0, 0, "back", 0x07);
    CHECK_STR_EQ(shown(0), "back");
}

TEST(picture_is_the_same_after_save_and_load)
{
    text_mode();
    print(4, 4, "saved", 0x07);
    set_glyph(0, 's', 0xff);
    CHECK_EQ(bench_pixel(b, 36, 64), color_of(7));
    bench_save_load(b);
    CHECK_STR_EQ(shown(4), "    saved");
    CHECK_EQ(bench_pixel(b, 36, 64), color_of(7));
}
