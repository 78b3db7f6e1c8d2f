/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of the VGA: vga.c (device, registers), vga_memory.c (the
 * window at A0000 and its planes), vga_draw.c (from memory to the surface).
 *
 * Video memory holds the four planes interleaved: byte 4 * n + p is byte n of
 * plane p, so that packed-pixel modes see it as linear.
 */
#ifndef LEGACY_VGA_H
#define LEGACY_VGA_H

#include <stdint.h>

#include <backplane/backplane.h>

/* Sequencer, graphics controller, CRT controller, attribute controller:
 * indices as in the IBM VGA reference. */
/* clang-format off */
enum { SR_RESET, SR_CLOCKING, SR_MAP_MASK, SR_FONT, SR_MEMORY_MODE };
enum { GR_SET_RESET, GR_ENABLE_SET_RESET, GR_COLOR_COMPARE, GR_ROTATE,
       GR_READ_MAP, GR_MODE, GR_MISC, GR_DONT_CARE, GR_BIT_MASK };
enum { CR_H_DISPLAY_END = 0x01, CR_OVERFLOW = 0x07, CR_PRESET_ROW = 0x08,
       CR_MAX_SCAN = 0x09, CR_CURSOR_START = 0x0a, CR_CURSOR_END = 0x0b,
       CR_START_HIGH = 0x0c, CR_START_LOW = 0x0d, CR_CURSOR_HIGH = 0x0e,
       CR_CURSOR_LOW = 0x0f, CR_V_RETRACE_END = 0x11,
       CR_V_DISPLAY_END = 0x12, CR_OFFSET = 0x13, CR_MODE = 0x17,
       CR_LINE_COMPARE = 0x18 };
enum { AR_MODE = 0x10, AR_OVERSCAN = 0x11, AR_PLANES = 0x12,
       AR_PANNING = 0x13, AR_COLOR_SELECT = 0x14 };
/* clang-format on */

#define SR1_8_DOTS         0x01
#define SR1_HALF_CLOCK     0x08
#define SR1_OFF            0x20
#define SR4_CHAIN4         0x08
#define SR4_ODD_EVEN_OFF   0x04
#define GR5_ODD_EVEN       0x10
#define GR6_GRAPHICS       0x01
#define AR10_BLINK         0x08
#define AR10_LINE_GRAPHICS 0x04
#define AR10_P54           0x80
#define AR_INDEX_VIDEO     0x20
#define CR17_NO_CGA_BANKS  0x01
#define MISC_RAM           0x02
#define CR9_DOUBLE         0x80

/* Bochs VBE registers (ports 1CEh, 1CFh). */
/* clang-format off */
enum { VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK,
       VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT, VBE_X_OFFSET, VBE_Y_OFFSET,
       VBE_MEMORY_64K, VBE_REGISTERS };
/* clang-format on */

#define VBE_ENABLED  0x01
#define VBE_GETCAPS  0x02
#define VBE_8BIT_DAC 0x20
#define VBE_LFB      0x40
#define VBE_NOCLEAR  0x80

#define VBE_MAX_X 2560
#define VBE_MAX_Y 1600

struct vga_state {
    uint8_t sr_index, sr[8];
    uint8_t gr_index, gr[16];
    uint8_t cr_index, cr[32];
    uint8_t ar_index, ar[32], ar_is_data;
    uint8_t misc, feature;
    uint8_t dac_mask, dac_state, dac_read, dac_write, dac_component;
    uint8_t dac_cache[3];
    uint8_t palette[768];
    uint8_t latch[4];
    uint16_t vbe_index, vbe[16];
};

#define TEXT_CELLS_MAX 8192

/* What is on the surface, so that only changes are drawn. */
struct vga_drawn {
    uint32_t width, height;
    uint32_t columns, rows, cell_width, cell_height;
    uint32_t cursor_at, cursor_shape, blink;
    uint16_t cells[TEXT_CELLS_MAX];
    uint32_t colors[256];
    uint64_t fonts; /* checksum of both fonts */
    uint8_t kind;
    uint32_t start, pitch, bpp, compare, panning, bank;
};

struct vga {
    /* Configuration */
    uint64_t vram_bytes;
    uint32_t hyperv; /* drivers of synthvid look for this card */
    uint32_t slot;
    /* Wiring */
    const struct bp_log *log;
    const struct bp_timer *timer;
    const struct bp_pio *pio;
    const struct bp_mmio *mmio;
    const struct bp_pci *pci;
    const struct bp_display *display;
    struct bp_dev *dev;
    struct bp_pci_function *fn;
    struct bp_region *vram_region, *direct, *window;
    struct bp_screen *screen;
    uint8_t *vram;
    /* Runtime */
    struct bp_surface surface;
    struct vga_drawn drawn;
    uint8_t *touched; /* a page: written through the window */
    uint8_t *dirty;   /* a page: to be drawn in this refresh */
    /* State */
    struct vga_state st;
};

/* vga_memory.c */
uint64_t vga_window_read(void *ctx, uint64_t offset, uint32_t width);
void vga_window_write(void *ctx, uint64_t offset, uint64_t value,
                      uint32_t width);
/* The window acts like plain memory from the start of video memory. */
int vga_window_is_linear(const struct vga_state *st);

/* vga_draw.c */
void vga_refresh(void *ctx, int32_t full);
/* Display lines, as the CRT controller counts them. */
uint32_t vga_lines(const struct vga_state *st);

static inline int vbe_on(const struct vga_state *st)
{
    return st->vbe[VBE_ENABLE] & VBE_ENABLED;
}

#endif
