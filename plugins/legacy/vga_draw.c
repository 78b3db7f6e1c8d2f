/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From video memory to the surface.
 *
 * Text is drawn cell by cell where a cell, its font, its colours or the
 * cursor changed.  Graphics are drawn line by line where a page of video
 * memory under the line was written.
 */
#include <string.h>

#include "vga.h"

enum { KIND_BLANK, KIND_TEXT, KIND_PLANAR, KIND_CGA, KIND_256, KIND_VBE };

#define BLINK_NS   266000000ull /* half of the cursor's period */
#define FONT_BYTES 32u
#define PAGE       4096u

static uint32_t rgb_of(const struct vga_state *st, unsigned i)
{
    const uint8_t *p = st->palette + 3 * (i & st->dac_mask);
    unsigned up = vbe_on(st) && st->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? 0 : 2;
    uint32_t r = p[0] << up | (up ? p[0] >> 4 & 3 : 0);
    uint32_t g = p[1] << up | (up ? p[1] >> 4 & 3 : 0);
    uint32_t b = p[2] << up | (up ? p[2] >> 4 & 3 : 0);

    return (r & 255) << 16 | (g & 255) << 8 | (b & 255);
}

/* DAC index of attribute colour i. */
static unsigned attribute_of(const struct vga_state *st, unsigned i)
{
    unsigned v = st->ar[i & st->ar[AR_PLANES] & 15] & 63;

    if (st->ar[AR_MODE] & AR10_P54)
        v = (v & 15) | (st->ar[AR_COLOR_SELECT] & 3) << 4;
    return v | (st->ar[AR_COLOR_SELECT] & 12) << 4;
}

/* 1: some colour changed, so all must be drawn. */
static int take_colors(struct vga *s, int packed)
{
    uint32_t colors[256];
    unsigned n = packed ? 256 : 16;

    memset(colors, 0, sizeof(colors));
    for (unsigned i = 0; i < n; i++)
        colors[i] = rgb_of(&s->st, packed ? i : attribute_of(&s->st, i));
    if (!memcmp(colors, s->drawn.colors, sizeof(colors)))
        return 0;
    memcpy(s->drawn.colors, colors, sizeof(colors));
    return 1;
}

uint32_t vga_lines(const struct vga_state *st)
{
    uint8_t over = st->cr[CR_OVERFLOW];

    return (st->cr[CR_V_DISPLAY_END] | (over & 0x02) << 7 |
            (over & 0x40) << 3) +
           1;
}

static uint32_t line_compare(const struct vga_state *st)
{
    return st->cr[CR_LINE_COMPARE] | (st->cr[CR_OVERFLOW] & 0x10) << 4 |
           (st->cr[CR_MAX_SCAN] & 0x40) << 3;
}

static int set_mode(struct vga *s, uint32_t width, uint32_t height)
{
    if (s->surface.pixels && s->drawn.width == width &&
        s->drawn.height == height)
        return 0;
    s->drawn.width = s->drawn.height = 0;
    if (s->display->set_mode(s->screen, width, height, &s->surface) < 0) {
        s->surface.pixels = NULL;
        return -1;
    }
    s->drawn.width = width;
    s->drawn.height = height;
    return 1;
}

static uint32_t *surface_line(struct vga *s, uint32_t y)
{
    return (uint32_t *)((uint8_t *)s->surface.pixels +
                        (uint64_t)y * s->surface.stride);
}

/* --- text ---------------------------------------------------------------- */

static uint32_t font_offset(const struct vga_state *st, int second)
{
    uint8_t v = st->sr[SR_FONT];
    unsigned a = second ? (v >> 2 & 3) | (v >> 3 & 4) : (v & 3) | (v >> 2 & 4);

    /* Maps 0..3 are 16 KiB apart, 4..7 lie between them. */
    return (a & 3) * 16384 + (a & 4 ? 8192 : 0);
}

static uint64_t font_sum(const struct vga *s)
{
    uint64_t sum = s->st.sr[SR_FONT];

    for (int second = 0; second < 2; second++) {
        const uint8_t *f = s->vram + 4ull * font_offset(&s->st, second) + 2;

        for (uint32_t i = 0; i < 256 * FONT_BYTES; i++)
            sum = sum * 0x100000001b3ull + f[4 * i];
    }
    return sum;
}

struct text_mode {
    uint32_t columns, rows, cell_width, cell_height;
    uint32_t start, pitch; /* in cells */
    uint32_t cursor_at, cursor_first, cursor_last;
    int cursor_on, blink_off;
};

static void text_geometry(const struct vga *s, struct text_mode *m)
{
    const struct vga_state *st = &s->st;
    uint8_t clocking = st->sr[SR_CLOCKING];

    m->columns = st->cr[CR_H_DISPLAY_END] + 1;
    m->cell_width = clocking & SR1_8_DOTS ? 8 : 9;
    m->cell_height = (st->cr[CR_MAX_SCAN] & 31) + 1;
    m->rows = vga_lines(st) / m->cell_height;
    if (m->rows * m->columns > TEXT_CELLS_MAX)
        m->rows = TEXT_CELLS_MAX / m->columns;
    if (!m->rows)
        m->rows = 1;
    m->start = st->cr[CR_START_HIGH] << 8 | st->cr[CR_START_LOW];
    m->pitch = st->cr[CR_OFFSET] ? st->cr[CR_OFFSET] * 2u : m->columns;
    m->cursor_at = st->cr[CR_CURSOR_HIGH] << 8 | st->cr[CR_CURSOR_LOW];
    m->cursor_first = st->cr[CR_CURSOR_START] & 31;
    m->cursor_last = st->cr[CR_CURSOR_END] & 31;
    m->cursor_on =
        !(st->cr[CR_CURSOR_START] & 0x20) && m->cursor_first <= m->cursor_last;
}

static uint16_t cell_at(const struct vga *s, uint32_t index)
{
    uint64_t at = 4ull * (index & 0xffff);

    return at + 1 < s->vram_bytes ? s->vram[at] | s->vram[at + 1] << 8 : 0;
}

static void draw_cell(struct vga *s, const struct text_mode *m, uint32_t x,
                      uint32_t y, uint16_t cell, int cursor)
{
    const struct vga_state *st = &s->st;
    uint8_t ch = cell, attribute = cell >> 8;
    uint32_t font = font_offset(st, attribute & 8);
    const uint8_t *glyph;
    uint32_t fg = s->drawn.colors[attribute & 15];
    uint32_t bg =
        s->drawn
            .colors[attribute >> 4 & (st->ar[AR_MODE] & AR10_BLINK ? 7 : 15)];
    /* The ninth dot of line graphics repeats the eighth. */
    int repeat =
        st->ar[AR_MODE] & AR10_LINE_GRAPHICS && ch >= 0xc0 && ch <= 0xdf;

    glyph = s->vram + 4ull * (font + ch * FONT_BYTES) + 2;
    if (st->ar[AR_MODE] & AR10_BLINK && attribute & 0x80 && m->blink_off)
        fg = bg;
    for (uint32_t line = 0; line < m->cell_height; line++) {
        uint32_t *out =
            surface_line(s, y * m->cell_height + line) + x * m->cell_width;
        uint8_t bits = glyph[4 * line];

        if (cursor && line >= m->cursor_first && line <= m->cursor_last) {
            for (uint32_t i = 0; i < m->cell_width; i++)
                out[i] = s->drawn.colors[attribute & 15];
            continue;
        }
        for (uint32_t i = 0; i < 8; i++)
            out[i] = bits & 0x80 >> i ? fg : bg;
        if (m->cell_width == 9)
            out[8] = repeat && bits & 1 ? fg : bg;
    }
}

static void report_text(struct vga *s, const struct text_mode *m)
{
    uint32_t at = (m->cursor_at - m->start) & 0xffff;
    struct bp_text text = {
        .columns = m->columns,
        .rows = m->rows,
        .cursor_column = at % m->pitch,
        .cursor_row = at / m->pitch,
        .cursor_visible = m->cursor_on,
        .cells = s->drawn.cells,
    };

    if (text.cursor_column >= m->columns || text.cursor_row >= m->rows)
        text.cursor_visible = text.cursor_column = text.cursor_row = 0;
    s->display->set_text(s->screen, &text);
}

static int text_changed(struct vga *s, const struct text_mode *m)
{
    struct vga_drawn *d = &s->drawn;
    uint64_t fonts = font_sum(s);
    int changed = d->kind != KIND_TEXT || d->fonts != fonts ||
                  d->columns != m->columns || d->rows != m->rows ||
                  d->cell_width != m->cell_width ||
                  d->cell_height != m->cell_height;

    d->kind = KIND_TEXT;
    d->fonts = fonts;
    d->columns = m->columns;
    d->rows = m->rows;
    d->cell_width = m->cell_width;
    d->cell_height = m->cell_height;
    return changed;
}

static void draw_text(struct vga *s, int full)
{
    struct vga_drawn *d = &s->drawn;
    uint64_t now = s->timer->now(s->dev, BP_CLOCK_VIRTUAL) / BLINK_NS;
    struct text_mode m;
    uint32_t old_cursor = d->cursor_at, shape, first = UINT32_MAX, last = 0;
    int mode;

    text_geometry(s, &m);
    mode = set_mode(s, m.columns * m.cell_width, m.rows * m.cell_height);
    if (mode < 0)
        return;
    m.blink_off = now >> 1 & 1;
    if (now & 1)
        m.cursor_on = 0;
    full |= mode | text_changed(s, &m) | take_colors(s, 0);
    full |= s->st.ar[AR_MODE] & AR10_BLINK && d->blink != (now >> 1 & 1);
    shape = m.cursor_on << 16 | m.cursor_first << 8 | m.cursor_last;
    for (uint32_t y = 0; y < m.rows; y++) {
        for (uint32_t x = 0; x < m.columns; x++) {
            uint32_t index = m.start + y * m.pitch + x;
            uint32_t n = y * m.columns + x;
            uint16_t cell = cell_at(s, index);
            int here = (index & 0xffff) == m.cursor_at;
            int moved = (here || (index & 0xffff) == old_cursor) &&
                        (old_cursor != m.cursor_at || d->cursor_shape != shape);

            if (!full && !moved && d->cells[n] == cell)
                continue;
            d->cells[n] = cell;
            draw_cell(s, &m, x, y, cell, here && m.cursor_on);
            first = y < first ? y : first;
            last = y;
        }
    }
    d->cursor_at = m.cursor_at;
    d->cursor_shape = shape;
    d->blink = now >> 1 & 1;
    if (first <= last)
        s->display->dirty(s->screen, 0, first * m.cell_height, d->width,
                          (last - first + 1) * m.cell_height);
    text_geometry(s, &m); /* the cursor as the guest set it */
    report_text(s, &m);
}

/* --- graphics ------------------------------------------------------------ */

struct graphics_mode {
    uint32_t kind, width, height, bpp;
    uint32_t start, pitch; /* bytes */
    uint32_t repeat;       /* scan lines a line of memory */
    uint32_t bank;         /* bytes from even lines to odd ones, 0: none */
    uint32_t compare, panning;
};

static void vbe_geometry(const struct vga_state *st, struct graphics_mode *m)
{
    uint32_t bytes = (st->vbe[VBE_BPP] + 7) / 8;

    m->kind = st->vbe[VBE_BPP] == 4 ? KIND_PLANAR : KIND_VBE;
    m->bpp = st->vbe[VBE_BPP];
    m->width = st->vbe[VBE_XRES];
    m->height = st->vbe[VBE_YRES];
    m->repeat = 1;
    m->bank = 0;
    m->compare = UINT32_MAX;
    m->panning = 0;
    if (m->kind == KIND_PLANAR) {
        m->pitch = st->vbe[VBE_VIRT_WIDTH] / 2;
        m->start =
            st->vbe[VBE_Y_OFFSET] * m->pitch + st->vbe[VBE_X_OFFSET] / 8 * 4;
        return;
    }
    m->pitch = st->vbe[VBE_VIRT_WIDTH] * bytes;
    m->start = st->vbe[VBE_Y_OFFSET] * m->pitch + st->vbe[VBE_X_OFFSET] * bytes;
}

static void vga_geometry(const struct vga_state *st, struct graphics_mode *m)
{
    unsigned shift = st->gr[GR_MODE] >> 5 & 3;
    uint32_t lines = vga_lines(st);

    m->bank = 0;
    m->kind = shift >= 2 ? KIND_256 : shift == 1 ? KIND_CGA : KIND_PLANAR;
    m->bpp = shift >= 2 ? 8 : 4;
    m->width = (st->cr[CR_H_DISPLAY_END] + 1) * 8;
    if (shift >= 2)
        m->width /= 2; /* a pixel takes two dot clocks */
    m->repeat = st->cr[CR_MAX_SCAN] & CR9_DOUBLE ? 2 : 1;
    /* CGA modes: the row scan counter is not a repetition but chooses an 8 KiB
     * bank; its bytes lie in two planes, or in one. */
    if (st->cr[CR_MODE] & CR17_NO_CGA_BANKS)
        m->repeat *= (st->cr[CR_MAX_SCAN] & 31) + 1;
    else
        m->bank = m->kind == KIND_CGA ? 4 * 4096 : 4 * 8192;
    m->height = lines / m->repeat;
    if (!m->height)
        m->height = 1;
    m->pitch = st->cr[CR_OFFSET] * 8u;
    m->start = (st->cr[CR_START_HIGH] << 8 | st->cr[CR_START_LOW]) * 4u;
    m->compare = line_compare(st) / m->repeat;
    m->panning = st->ar[AR_PANNING] & 7;
    if (shift >= 2)
        m->panning /= 2;
}

static uint8_t vram_byte(const struct vga *s, uint64_t at)
{
    return at < s->vram_bytes ? s->vram[at] : 0;
}

static void line_planar(struct vga *s, const struct graphics_mode *m,
                        uint64_t at, uint32_t panning, uint32_t *out)
{
    for (uint32_t x = 0; x < m->width; x++) {
        uint32_t dot = x + panning;
        uint64_t base = at + 4 * (dot / 8);
        unsigned bit = 7 - dot % 8, color = 0;

        for (unsigned p = 0; p < 4; p++)
            color |= (vram_byte(s, base + p) >> bit & 1) << p;
        out[x] = s->drawn.colors[color];
    }
}

/* Two bits a pixel, even bytes in plane 0, odd ones in plane 1. */
static void line_cga(struct vga *s, const struct graphics_mode *m, uint64_t at,
                     uint32_t *out)
{
    for (uint32_t x = 0; x < m->width; x++) {
        uint64_t base = at + 4 * (x / 8);
        uint8_t byte = vram_byte(s, base + (x / 4 & 1));

        out[x] = s->drawn.colors[byte >> (6 - 2 * (x & 3)) & 3];
    }
}

static uint32_t pixel_vbe(const struct vga *s, uint64_t at, uint32_t bpp)
{
    const uint8_t *p = s->vram + at;
    uint32_t v;

    if (at + (bpp + 7) / 8 > s->vram_bytes)
        return 0;
    switch (bpp) {
    case 8: return s->drawn.colors[*p];
    case 15:
        v = p[0] | p[1] << 8;
        return (v & 0x7c00) << 9 | (v & 0x3e0) << 6 | (v & 0x1f) << 3;
    case 16:
        v = p[0] | p[1] << 8;
        return (v & 0xf800) << 8 | (v & 0x7e0) << 5 | (v & 0x1f) << 3;
    default: return p[0] | p[1] << 8 | p[2] << 16;
    }
}

static void line_packed(struct vga *s, const struct graphics_mode *m,
                        uint64_t at, uint32_t panning, uint32_t *out)
{
    uint32_t bytes = (m->bpp + 7) / 8;

    if (m->bpp == 32 && !panning && at + 4ull * m->width <= s->vram_bytes) {
        for (uint32_t x = 0; x < m->width; x++) {
            uint32_t v;

            memcpy(&v, s->vram + at + 4 * x, 4);
            out[x] = v & 0xffffff;
        }
        return;
    }
    for (uint32_t x = 0; x < m->width; x++)
        out[x] = pixel_vbe(s, at + (uint64_t)(x + panning) * bytes, m->bpp);
}

static uint64_t line_start(const struct graphics_mode *m, uint32_t y)
{
    if (y > m->compare)
        return (uint64_t)(y - m->compare - 1) * m->pitch;
    if (m->bank)
        return m->start + (uint64_t)(y / 2) * m->pitch + (y & 1) * m->bank;
    return m->start + (uint64_t)y * m->pitch;
}

static int line_dirty(const struct vga *s, uint64_t at, uint32_t bytes)
{
    uint64_t last = (at + bytes) / PAGE;

    for (uint64_t page = at / PAGE; page <= last; page++)
        if (page < s->vram_bytes / PAGE && s->dirty[page])
            return 1;
    return 0;
}

static int mode_changed(struct vga *s, const struct graphics_mode *m)
{
    struct vga_drawn *d = &s->drawn;
    int changed = d->kind != m->kind || d->start != m->start ||
                  d->pitch != m->pitch || d->bpp != m->bpp ||
                  d->compare != m->compare || d->panning != m->panning ||
                  d->bank != m->bank;

    d->kind = m->kind;
    d->start = m->start;
    d->pitch = m->pitch;
    d->bpp = m->bpp;
    d->compare = m->compare;
    d->panning = m->panning;
    d->bank = m->bank;
    return changed;
}

static void gather_dirty(struct vga *s)
{
    uint64_t pages = s->vram_bytes / PAGE;

    s->mmio->fetch_dirty(s->vram_region, 0, pages, s->dirty);
    for (uint64_t i = 0; i < pages; i++) {
        s->dirty[i] |= s->touched[i];
        s->touched[i] = 0;
    }
}

static void draw_graphics(struct vga *s, int full)
{
    struct graphics_mode m;
    const struct bp_text none = { 0 };
    uint32_t first = UINT32_MAX, last = 0, span;
    int mode;

    if (vbe_on(&s->st))
        vbe_geometry(&s->st, &m);
    else
        vga_geometry(&s->st, &m);
    mode = set_mode(s, m.width, m.height);
    if (mode < 0)
        return;
    full |= mode | mode_changed(s, &m);
    if (full)
        s->display->set_text(s->screen, &none);
    full |= take_colors(s, m.kind == KIND_256 || m.kind == KIND_VBE);
    gather_dirty(s);
    span = m.kind == KIND_VBE || m.kind == KIND_256
               ? (m.width + m.panning) * ((m.bpp + 7) / 8)
               : m.width / 2 + 4;
    for (uint32_t y = 0; y < m.height; y++) {
        uint64_t at = line_start(&m, y);
        uint32_t *out = surface_line(s, y);

        if (!full && !line_dirty(s, at, span))
            continue;
        if (m.kind == KIND_PLANAR)
            line_planar(s, &m, at, y > m.compare ? 0 : m.panning, out);
        else if (m.kind == KIND_CGA)
            line_cga(s, &m, at, out);
        else
            line_packed(s, &m, at, m.panning, out);
        first = y < first ? y : first;
        last = y;
    }
    if (first <= last)
        s->display->dirty(s->screen, 0, first, m.width, last - first + 1);
}

static void draw_blank(struct vga *s, int full)
{
    const struct bp_text none = { 0 };
    int mode = s->surface.pixels ? 0 : set_mode(s, 640, 400);

    if (mode < 0 || (!full && !mode && s->drawn.kind == KIND_BLANK))
        return;
    s->drawn.kind = KIND_BLANK;
    for (uint32_t y = 0; y < s->drawn.height; y++)
        memset(surface_line(s, y), 0, 4ull * s->drawn.width);
    s->display->dirty(s->screen, 0, 0, s->drawn.width, s->drawn.height);
    s->display->set_text(s->screen, &none);
}

void vga_refresh(void *ctx, int32_t full)
{
    struct vga *s = ctx;
    const struct vga_state *st = &s->st;

    if (!vbe_on(st) &&
        (!(st->ar_index & AR_INDEX_VIDEO) || st->sr[SR_CLOCKING] & SR1_OFF))
        draw_blank(s, full);
    else if (vbe_on(st) || st->gr[GR_MISC] & GR6_GRAPHICS)
        draw_graphics(s, full);
    else
        draw_text(s, full);
}
