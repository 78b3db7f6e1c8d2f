/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga: a PCI VGA with the Bochs VBE extensions, for Debian's VGA BIOS.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "Video
 * Subsystem"; Bochs VBE interface (ports 1CEh/1CFh, ids B0C0h-B0C5h); QEMU
 * docs/specs/standard-vga for the register BAR that Linux' bochs driver uses.
 *
 * Modelled: text (8 and 9 dots, two fonts, blinking), 16-colour planes with
 * all read and write modes, CGA modes, 256-colour chain 4 and unchained
 * ("mode X"), split screen, panning, 15/16/24/32-bit VBE modes with banks and
 * linear frame buffer, DAC with 6 and 8 bits, retrace bits in time.
 * Not modelled: light pen, horizontal timing and its borders (overscan is not
 * shown), the difference between byte, word and double-word addressing of
 * the CRT controller (memory is laid out so that each mode sees its own
 * consistently; a program that writes in one mode and shows in another sees
 * other bytes).
 */
#include "vga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

#define PCI_VENDOR        0x1234
#define PCI_DEVICE        0x1111
#define PCI_HYPERV_VENDOR 0x1414
#define PCI_HYPERV_DEVICE 0x5353

#define WINDOW_BASE  0xa0000u
#define WINDOW_BYTES 0x20000u
#define DIRECT_BYTES 0x10000u
#define MMIO_BYTES   0x1000u
#define MMIO_VGA     0x400u /* ports 3C0h..3DFh */
#define MMIO_VBE     0x500u /* VBE registers, 16 bits each */
#define MMIO_ENDIAN  0x604u /* frame buffer byte order */
#define LITTLE       0x1e1e1e1eu

#define PCI_COMMAND           0x04
#define PCI_COMMAND_IO_MEMORY 0x0003

#define PORT_VGA  0x3b0
#define VGA_PORTS 0x30u /* 3B0h..3DFh */
#define PORT_VBE  0x1ce

#define VBE_ID0 0xb0c0
#define VBE_ID5 0xb0c5

#define MISC_COLOR      0x01
#define STATUS1_BLANK   0x01
#define STATUS1_RETRACE 0x08
#define CR11_PROTECT    0x80

#define FRAME_NS    14268000ull /* 70.09 Hz, as text and mode 13h have */
#define FRAME_LINES 449u

/* Trapping or direct: who serves A0000h. */
static void vga_sync(struct vga *s)
{
    s->mmio->enable(s->direct, vga_window_is_linear(&s->st));
}

/* --- VBE ----------------------------------------------------------------- */

static uint32_t vbe_line_bytes(const struct vga_state *st, uint32_t width)
{
    return st->vbe[VBE_BPP] == 4 ? width / 2
                                 : width * ((st->vbe[VBE_BPP] + 7u) / 8);
}

/* Called when the mode is switched on: makes the registers fit memory. */
static void vbe_validate(struct vga *s)
{
    uint16_t *r = s->st.vbe;
    uint32_t line;

    switch (r[VBE_BPP]) {
    case 4:
    case 8:
    case 15:
    case 16:
    case 24:
    case 32: break;
    default: r[VBE_BPP] = 8; break;
    }
    r[VBE_XRES] &= ~7u;
    if (r[VBE_XRES] < 8)
        r[VBE_XRES] = 8;
    if (r[VBE_XRES] > VBE_MAX_X)
        r[VBE_XRES] = VBE_MAX_X;
    if (!r[VBE_YRES])
        r[VBE_YRES] = 1;
    if (r[VBE_YRES] > VBE_MAX_Y)
        r[VBE_YRES] = VBE_MAX_Y;
    if (r[VBE_VIRT_WIDTH] < r[VBE_XRES])
        r[VBE_VIRT_WIDTH] = r[VBE_XRES];
    line = vbe_line_bytes(&s->st, r[VBE_VIRT_WIDTH]);
    if ((uint64_t)line * r[VBE_YRES] > s->vram_bytes) {
        r[VBE_VIRT_WIDTH] = r[VBE_XRES];
        line = vbe_line_bytes(&s->st, r[VBE_VIRT_WIDTH]);
        if ((uint64_t)line * r[VBE_YRES] > s->vram_bytes)
            r[VBE_YRES] = s->vram_bytes / line;
    }
    r[VBE_VIRT_HEIGHT] =
        s->vram_bytes / line > 0xffff ? 0xffff : s->vram_bytes / line;
}

/* Graphics controller and sequencer as a packed mode needs them, so that the
 * bank window works. */
static void vbe_enter(struct vga *s)
{
    struct vga_state *st = &s->st;

    st->gr[GR_MISC] = (st->gr[GR_MISC] & ~0x0c) | 0x04 | GR6_GRAPHICS;
    st->gr[GR_MODE] &= ~GR5_ODD_EVEN;
    st->cr[CR_MAX_SCAN] &= ~0x9f;
    if (st->vbe[VBE_BPP] == 4) {
        st->sr[SR_MEMORY_MODE] &= ~SR4_CHAIN4;
    } else {
        st->sr[SR_MEMORY_MODE] |= SR4_CHAIN4 | SR4_ODD_EVEN_OFF;
        st->sr[SR_MAP_MASK] |= 15;
    }
}

static void vbe_enable(struct vga *s, uint16_t v)
{
    struct vga_state *st = &s->st;
    int was = vbe_on(st);
    uint64_t bytes;

    st->vbe[VBE_ENABLE] = v;
    if (!(v & VBE_ENABLED)) {
        st->vbe[VBE_BANK] = 0;
        return;
    }
    if (was)
        return;
    st->vbe[VBE_VIRT_WIDTH] = 0; /* as wide as the mode */
    st->vbe[VBE_X_OFFSET] = st->vbe[VBE_Y_OFFSET] = 0;
    vbe_validate(s);
    vbe_enter(s);
    if (v & VBE_NOCLEAR)
        return;
    bytes = (uint64_t)vbe_line_bytes(st, st->vbe[VBE_VIRT_WIDTH]) *
            st->vbe[VBE_YRES];
    memset(s->vram, 0, bytes);
    s->mmio->mark_dirty(s->vram_region, 0, (bytes + 4095) / 4096);
}

static void vbe_write(struct vga *s, uint16_t v)
{
    struct vga_state *st = &s->st;
    unsigned i = st->vbe_index;

    switch (i) {
    case VBE_ID:
        if (v >= VBE_ID0 && v <= VBE_ID5)
            st->vbe[VBE_ID] = v;
        break;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
        if (!vbe_on(st))
            st->vbe[i] = v;
        break;
    case VBE_ENABLE: vbe_enable(s, v); break;
    case VBE_BANK:
        if ((uint64_t)v << 16 < s->vram_bytes)
            st->vbe[i] = v;
        break;
    case VBE_VIRT_WIDTH:
        st->vbe[i] = v;
        if (vbe_on(st))
            vbe_validate(s);
        break;
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET: st->vbe[i] = v; break;
    default: break; /* read only */
    }
    vga_sync(s);
}

static uint16_t vbe_read(const struct vga *s)
{
    const struct vga_state *st = &s->st;

    if (st->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        switch (st->vbe_index) {
        case VBE_XRES: return VBE_MAX_X;
        case VBE_YRES: return VBE_MAX_Y;
        case VBE_BPP: return 32;
        }
    }
    if (st->vbe_index == VBE_MEMORY_64K)
        return s->vram_bytes >> 16;
    return st->vbe_index < VBE_REGISTERS ? st->vbe[st->vbe_index] : 0;
}

/* --- VGA registers ------------------------------------------------------- */

/* Display and retrace bits follow the virtual clock. */
static uint8_t status1(struct vga *s)
{
    uint64_t ns = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    uint32_t line = ns % FRAME_NS * FRAME_LINES / FRAME_NS;
    uint64_t in_line = ns % FRAME_NS * FRAME_LINES % FRAME_NS;
    uint32_t lines = vga_lines(&s->st);
    uint8_t v = 0;

    if (lines >= FRAME_LINES)
        lines = FRAME_LINES - 8;
    if (line >= lines + 4 && line < lines + 6)
        v |= STATUS1_RETRACE;
    if (line >= lines || in_line > FRAME_NS / 5 * 4)
        v |= STATUS1_BLANK;
    return v;
}

static uint8_t dac_read_data(struct vga_state *st)
{
    uint8_t v = st->palette[3 * st->dac_read + st->dac_component];

    if (++st->dac_component == 3) {
        st->dac_component = 0;
        st->dac_read++;
    }
    return v;
}

static void dac_write_data(struct vga_state *st, uint8_t v)
{
    st->dac_cache[st->dac_component] =
        vbe_on(st) && st->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? v : v & 0x3f;
    if (++st->dac_component < 3)
        return;
    st->dac_component = 0;
    memcpy(st->palette + 3 * st->dac_write++, st->dac_cache, 3);
}

static uint8_t register_read(struct vga *s, unsigned port)
{
    struct vga_state *st = &s->st;

    switch (port) {
    case 0x3c0: return st->ar_index;
    case 0x3c1: return (st->ar_index & 31) < 21 ? st->ar[st->ar_index & 31] : 0;
    case 0x3c2: return 0x10; /* a colour monitor is attached */
    case 0x3c4: return st->sr_index;
    case 0x3c5: return st->sr[st->sr_index & 7];
    case 0x3c6: return st->dac_mask;
    case 0x3c7: return st->dac_state;
    case 0x3c8: return st->dac_write;
    case 0x3c9: return dac_read_data(st);
    case 0x3ca: return st->feature;
    case 0x3cc: return st->misc;
    case 0x3ce: return st->gr_index;
    case 0x3cf: return st->gr[st->gr_index & 15];
    case 0x3b4:
    case 0x3d4: return st->cr_index;
    case 0x3b5:
    case 0x3d5: return st->cr_index < 25 ? st->cr[st->cr_index] : 0;
    case 0x3ba:
    case 0x3da: st->ar_is_data = 0; return status1(s);
    default: return 0xff;
    }
}

static void attribute_write(struct vga_state *st, uint8_t v)
{
    static const uint8_t mask[5] = { 0xef, 0xff, 0x3f, 0x0f, 0x0f };
    unsigned i = st->ar_index & 31;

    st->ar_is_data ^= 1;
    if (st->ar_is_data)
        st->ar_index = v & 0x3f;
    else if (i < 16)
        st->ar[i] = v & 0x3f;
    else if (i < 21)
        st->ar[i] = v & mask[i - 16];
}

static void crtc_write(struct vga_state *st, uint8_t v)
{
    unsigned i = st->cr_index;

    if (i >= 25)
        return;
    if (i <= 7 && st->cr[CR_V_RETRACE_END] & CR11_PROTECT) {
        if (i == CR_OVERFLOW) /* line compare bit 8 stays writable */
            st->cr[i] = (st->cr[i] & ~0x10) | (v & 0x10);
        return;
    }
    st->cr[i] = v;
}

static void register_write(struct vga *s, unsigned port, uint8_t v)
{
    static const uint8_t sr_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
    static const uint8_t gr_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                         0x7b, 0x0f, 0x0f, 0xff };
    struct vga_state *st = &s->st;

    switch (port) {
    case 0x3c0: attribute_write(st, v); break;
    case 0x3c2: st->misc = v & ~0x10; break;
    case 0x3c4: st->sr_index = v & 7; break;
    case 0x3c5: st->sr[st->sr_index & 7] = v & sr_mask[st->sr_index & 7]; break;
    case 0x3c6: st->dac_mask = v; break;
    case 0x3c7:
        st->dac_read = v;
        st->dac_component = 0;
        st->dac_state = 3;
        break;
    case 0x3c8:
        st->dac_write = v;
        st->dac_component = 0;
        st->dac_state = 0;
        break;
    case 0x3c9: dac_write_data(st, v); break;
    case 0x3ce: st->gr_index = v & 15; break;
    case 0x3cf:
        st->gr[st->gr_index & 15] = v & gr_mask[st->gr_index & 15];
        break;
    case 0x3b4:
    case 0x3d4: st->cr_index = v; break;
    case 0x3b5:
    case 0x3d5: crtc_write(st, v); break;
    case 0x3ba:
    case 0x3da: st->feature = v & 0x10; break;
    }
    vga_sync(s);
}

/* 3Bxh or 3Dxh: miscellaneous output bit 0 says which half is decoded. */
static int decoded(const struct vga_state *st, unsigned port)
{
    if (port >= 0x3c0 && port < 0x3d0)
        return 1;
    return (port >= 0x3d0) == !!(st->misc & MISC_COLOR);
}

static uint32_t port_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct vga *s = ctx;
    unsigned port = PORT_VGA + offset;

    (void)width;
    return decoded(&s->st, port) ? register_read(s, port) : 0xff;
}

static void port_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct vga *s = ctx;
    unsigned port = PORT_VGA + offset;

    (void)width;
    if (decoded(&s->st, port))
        register_write(s, port, value);
}

static uint32_t vbe_port_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct vga *s = ctx;

    (void)width;
    return offset ? vbe_read(s) : s->st.vbe_index;
}

static void vbe_port_write(void *ctx, uint32_t offset, uint32_t value,
                           uint32_t width)
{
    struct vga *s = ctx;

    (void)width;
    if (offset == 0)
        s->st.vbe_index = value;
    else
        vbe_write(s, value);
}

/* The register BAR: both sets once more, without index registers for VBE. */
static uint64_t bar_read(void *ctx, uint64_t offset, uint32_t width)
{
    struct vga *s = ctx;
    uint16_t keep = s->st.vbe_index;
    uint64_t v = 0;

    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGISTERS) {
        s->st.vbe_index = (offset - MMIO_VBE) / 2;
        v = vbe_read(s) >> (offset & 1 ? 8 : 0);
        s->st.vbe_index = keep;
    } else if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
        for (uint32_t i = 0; i < width; i++)
            v |= (uint64_t)register_read(s, 0x3c0 + offset - MMIO_VGA + i)
                 << 8 * i;
    } else if (offset == MMIO_ENDIAN) {
        v = LITTLE;
    }
    return v;
}

static void bar_write(void *ctx, uint64_t offset, uint64_t value,
                      uint32_t width)
{
    struct vga *s = ctx;
    uint16_t keep = s->st.vbe_index;

    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGISTERS &&
        !(offset & 1)) {
        s->st.vbe_index = (offset - MMIO_VBE) / 2;
        vbe_write(s, value);
        s->st.vbe_index = keep;
    } else if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
        for (uint32_t i = 0; i < width; i++)
            register_write(s, 0x3c0 + offset - MMIO_VGA + i, value >> 8 * i);
    }
}

static const struct bp_pio_ops port_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = port_read,
    .write = port_write,
};

static const struct bp_pio_ops vbe_port_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = vbe_port_read,
    .write = vbe_port_write,
};

static const struct bp_mmio_ops window_ops = {
    .size = sizeof(struct bp_mmio_ops),
    .read = vga_window_read,
    .write = vga_window_write,
};

static const struct bp_mmio_ops bar_ops = {
    .size = sizeof(struct bp_mmio_ops),
    .read = bar_read,
    .write = bar_write,
};

static const struct bp_screen_ops screen_ops = {
    .size = sizeof(struct bp_screen_ops),
    .refresh = vga_refresh,
};

/* --- life ---------------------------------------------------------------- */

static int32_t vga_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct vga *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->timer = host->query(host, BP_TIMER);
    s->pio = host->query(host, BP_PIO);
    s->mmio = host->query(host, BP_MMIO);
    s->pci = host->query(host, BP_PCI);
    s->display = host->query(host, BP_DISPLAY);
    if (s->vram_bytes & (s->vram_bytes - 1))
        return host->fail(dev, -EINVAL, "vram must be a power of two");
    s->touched = calloc(2, s->vram_bytes / 4096);
    if (!s->touched)
        return host->fail(dev, -ENOMEM, "out of memory");
    s->dirty = s->touched + s->vram_bytes / 4096;
    return 0;
}

static int32_t add_memory(struct vga *s)
{
    struct bp_dev *dev = s->dev;
    struct bp_region *regs;

    s->vram_region =
        s->mmio->add_memory(dev, "vram", 0, s->vram_bytes, BP_PRIO_DEVICE,
                            BP_REGION_DISABLED, &s->vram);
    if (!s->vram_region)
        return -ENOMEM;
    s->window = s->mmio->add_device(dev, "window", WINDOW_BASE, WINDOW_BYTES,
                                    BP_PRIO_DEVICE, 0, &window_ops, s);
    s->direct = s->mmio->add_alias(dev, "direct", WINDOW_BASE, DIRECT_BYTES,
                                   BP_PRIO_DEVICE + 1, BP_REGION_DISABLED,
                                   s->vram_region, 0);
    regs = s->mmio->add_device(dev, "registers", 0, MMIO_BYTES, BP_PRIO_DEVICE,
                               BP_REGION_DISABLED, &bar_ops, s);
    if (!s->window || !s->direct || !regs)
        return -EBUSY;
    s->mmio->track(s->vram_region, 1);
    if (s->pci->bar_memory(s->fn, 0, s->vram_bytes, 1, s->vram_region) < 0)
        return -EBUSY;
    return s->pci->bar_memory(s->fn, 2, MMIO_BYTES, 0, regs);
}

static int32_t vga_realize(void *self)
{
    struct vga *s = self;
    struct bp_dev *dev = s->dev;
    const struct bp_pci_ids ids = {
        .vendor = s->hyperv ? PCI_HYPERV_VENDOR : PCI_VENDOR,
        .device = s->hyperv ? PCI_HYPERV_DEVICE : PCI_DEVICE,
        .revision = 2,
        .subclass = 0x00,
        .base_class = 0x03,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
    };
    int32_t r;

    s->fn = s->pci->add(dev, s->slot, 0, &ids, NULL, s);
    if (!s->fn)
        return -EBUSY;
    /* The ports 3B0-3DF need no BAR; SeaBIOS and Linux look for a display
     * whose I/O and memory decoding can be switched on. */
    s->pci->set(s->fn, PCI_COMMAND, 2, 0, PCI_COMMAND_IO_MEMORY, 0);
    r = add_memory(s);
    if (r < 0)
        return r;
    if (!s->pio->claim(dev, "vga", PORT_VGA, VGA_PORTS, BP_SIZE_1, 0, &port_ops,
                       s) ||
        !s->pio->claim(dev, "vbe", PORT_VBE, 3, BP_SIZE_2 | BP_SIZE_UNALIGNED,
                       0, &vbe_port_ops, s))
        return -EBUSY;
    s->screen = s->display->create(dev, &screen_ops, s);
    return s->screen ? 0 : -EBUSY;
}

static void vga_reset(void *self, uint32_t kind)
{
    struct vga *s = self;

    (void)kind;
    s->st = (struct vga_state){ .dac_mask = 0xff };
    s->st.vbe[VBE_ID] = VBE_ID5;
    s->st.vbe[VBE_BPP] = 8;
    vga_sync(s);
}

static int32_t vga_loaded(void *self, uint32_t version)
{
    struct vga *s = self;
    struct vga_state *st = &s->st;

    (void)version;
    if (st->dac_component > 2 || st->ar_is_data > 1 ||
        (uint64_t)st->vbe[VBE_BANK] << 16 >= s->vram_bytes)
        return -EINVAL;
    st->sr_index &= 7;
    st->gr_index &= 15;
    if (vbe_on(st))
        vbe_validate(s);
    /* Everything is to be drawn anew. */
    memset(&s->drawn.colors, 0xff, sizeof(s->drawn.colors));
    s->mmio->mark_dirty(s->vram_region, 0, s->vram_bytes / 4096);
    vga_sync(s);
    return 0;
}

static void vga_destroy(void *self)
{
    struct vga *s = self;

    free(s->touched);
}

static const struct bp_field vga_fields[] = {
    BP_FIELD(struct vga, st.sr_index, "sr_index"),
    BP_FIELD_ARRAY(struct vga, st.sr, "sr"),
    BP_FIELD(struct vga, st.gr_index, "gr_index"),
    BP_FIELD_ARRAY(struct vga, st.gr, "gr"),
    BP_FIELD(struct vga, st.cr_index, "cr_index"),
    BP_FIELD_ARRAY(struct vga, st.cr, "cr"),
    BP_FIELD(struct vga, st.ar_index, "ar_index"),
    BP_FIELD_ARRAY(struct vga, st.ar, "ar"),
    BP_FIELD(struct vga, st.ar_is_data, "ar_is_data"),
    BP_FIELD(struct vga, st.misc, "misc"),
    BP_FIELD(struct vga, st.feature, "feature"),
    BP_FIELD(struct vga, st.dac_mask, "dac_mask"),
    BP_FIELD(struct vga, st.dac_state, "dac_state"),
    BP_FIELD(struct vga, st.dac_read, "dac_read"),
    BP_FIELD(struct vga, st.dac_write, "dac_write"),
    BP_FIELD(struct vga, st.dac_component, "dac_component"),
    BP_FIELD_ARRAY(struct vga, st.dac_cache, "dac_cache"),
    BP_FIELD_BLOB(struct vga, st.palette, "palette"),
    BP_FIELD_ARRAY(struct vga, st.latch, "latch"),
    BP_FIELD(struct vga, st.vbe_index, "vbe_index"),
    BP_FIELD_ARRAY(struct vga, st.vbe, "vbe"),
    BP_FIELD_END
};

static const struct bp_property vga_properties[] = {
    { .name = "vram",
      .help = "bytes of video memory, a power of two",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct vga, vram_bytes),
      .min = 1 << 20,
      .max = 256 << 20,
      .number = 16 << 20 },
    { .name = "slot",
      .help = "PCI device number",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct vga, slot),
      .min = 1,
      .max = 31,
      .number = 2 },
    { .name = "hyperv",
      .help = "PCI ids of the card beside a screen on VMBus",
      .type = BP_PROP_BOOL,
      .offset = offsetof(struct vga, hyperv) },
    { .name = NULL },
};

static const char *const vga_requires[] = { BP_LOG, BP_TIMER,   BP_PIO, BP_MMIO,
                                            BP_PCI, BP_DISPLAY, NULL };

static const struct bp_device_desc vga_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_DISPLAY,
    .id = "vga",
    .title = "VGA with Bochs VBE extensions",
    .instance_size = sizeof(struct vga),
    .state_offset = offsetof(struct vga, st),
    .state_size = sizeof(struct vga_state),
    .state_version = 1,
    .fields = vga_fields,
    .properties = vga_properties,
    .requires_ = vga_requires,
    .create = vga_create,
    .realize = vga_realize,
    .reset = vga_reset,
    .loaded = vga_loaded,
    .destroy = vga_destroy,
};

EXPORT_DEVICES("vga", "VGA with Bochs VBE extensions", &vga_desc);
