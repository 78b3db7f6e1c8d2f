/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VGA's window at A0000: map select, chain 4, odd/even, and the four
 * planes with the read and write modes of the graphics controller.
 *
 * Source: IBM VGA Technical Reference, "Graphics Controller Registers".
 */
#include <string.h>

#include "vga.h"

#define OUTSIDE UINT32_MAX

/* Byte address in the selected map; OUTSIDE when it is not decoded. */
static uint32_t window_address(const struct vga *s, uint64_t offset)
{
    uint32_t a = offset;

    if (!(s->st.misc & MISC_RAM))
        return OUTSIDE;
    switch (s->st.gr[GR_MISC] >> 2 & 3) {
    case 0: break;
    case 1:
        if (a >= 0x10000)
            return OUTSIDE;
        if (vbe_on(&s->st))
            a += (uint32_t)s->st.vbe[VBE_BANK] << 16;
        break;
    case 2:
        if (a < 0x10000 || a >= 0x18000)
            return OUTSIDE;
        a -= 0x10000;
        break;
    default:
        if (a < 0x18000)
            return OUTSIDE;
        a -= 0x18000;
        break;
    }
    return a;
}

int vga_window_is_linear(const struct vga_state *st)
{
    return st->misc & MISC_RAM && st->sr[SR_MEMORY_MODE] & SR4_CHAIN4 &&
           (st->sr[SR_MAP_MASK] & 15) == 15 &&
           (st->gr[GR_MISC] >> 2 & 3) == 1 &&
           !(vbe_on(st) && st->vbe[VBE_BANK]);
}

static uint8_t *byte_at(struct vga *s, uint64_t at)
{
    return at < s->vram_bytes ? s->vram + at : NULL;
}

static uint8_t rotate(uint8_t v, unsigned n)
{
    return n ? v >> n | v << (8 - n) : v;
}

static void touch(struct vga *s, uint64_t at)
{
    s->touched[at >> 12] = 1;
}

static uint8_t planar_read(struct vga *s, uint32_t a)
{
    struct vga_state *st = &s->st;
    uint8_t *p = byte_at(s, 4ull * a);
    uint8_t differ = 0;

    if (!p)
        return 0xff;
    memcpy(st->latch, p, 4);
    if (!(st->gr[GR_MODE] & 8))
        return st->latch[st->gr[GR_READ_MAP] & 3];
    for (unsigned i = 0; i < 4; i++) {
        uint8_t want = st->gr[GR_COLOR_COMPARE] >> i & 1 ? 0xff : 0;

        if (st->gr[GR_DONT_CARE] >> i & 1)
            differ |= st->latch[i] ^ want;
    }
    return ~differ;
}

static uint8_t combine(const struct vga_state *st, uint8_t v, uint8_t latch,
                       uint8_t mask)
{
    switch (st->gr[GR_ROTATE] >> 3 & 3) {
    case 1: v &= latch; break;
    case 2: v |= latch; break;
    case 3: v ^= latch; break;
    }
    return (v & mask) | (latch & ~mask);
}

/* What goes to plane i when the processor writes v. */
static uint8_t plane_value(const struct vga_state *st, unsigned i, uint8_t v)
{
    uint8_t set = st->gr[GR_SET_RESET] >> i & 1 ? 0xff : 0;
    uint8_t latch = st->latch[i];
    uint8_t mask = st->gr[GR_BIT_MASK];
    unsigned turn = st->gr[GR_ROTATE] & 7;

    switch (st->gr[GR_MODE] & 3) {
    case 0:
        v = rotate(v, turn);
        if (st->gr[GR_ENABLE_SET_RESET] >> i & 1)
            v = set;
        return combine(st, v, latch, mask);
    case 1: return latch;
    case 2: return combine(st, v >> i & 1 ? 0xff : 0, latch, mask);
    default: return combine(st, set, latch, rotate(v, turn) & mask);
    }
}

static void planar_write(struct vga *s, uint32_t a, uint8_t v)
{
    uint8_t *p = byte_at(s, 4ull * a);

    if (!p)
        return;
    for (unsigned i = 0; i < 4; i++)
        if (s->st.sr[SR_MAP_MASK] >> i & 1)
            p[i] = plane_value(&s->st, i, v);
    touch(s, 4ull * a);
}

/* Odd/even: the low address bit picks the plane of a pair. */
static uint64_t odd_even_address(const struct vga_state *st, uint32_t a)
{
    unsigned plane = (st->gr[GR_READ_MAP] & 2) | (a & 1);

    return ((uint64_t)(a & ~1u) << 1) | plane;
}

static uint8_t read_byte(struct vga *s, uint64_t offset)
{
    const struct vga_state *st = &s->st;
    uint32_t a = window_address(s, offset);
    uint8_t *p;

    if (a == OUTSIDE)
        return 0xff;
    if (!(st->sr[SR_MEMORY_MODE] & SR4_CHAIN4) &&
        !(st->gr[GR_MODE] & GR5_ODD_EVEN))
        return planar_read(s, a);
    p = byte_at(s, st->sr[SR_MEMORY_MODE] & SR4_CHAIN4
                       ? a
                       : odd_even_address(st, a));
    return p ? *p : 0xff;
}

static void put_byte(struct vga *s, uint64_t at, uint8_t v)
{
    uint8_t *p = byte_at(s, at);

    if (!p || !(s->st.sr[SR_MAP_MASK] >> (at & 3) & 1))
        return;
    *p = v;
    touch(s, at);
}

static void write_byte(struct vga *s, uint64_t offset, uint8_t v)
{
    const struct vga_state *st = &s->st;
    uint32_t a = window_address(s, offset);
    uint64_t at;

    if (a == OUTSIDE)
        return;
    if (st->sr[SR_MEMORY_MODE] & SR4_CHAIN4) {
        put_byte(s, a, v);
    } else if (!(st->sr[SR_MEMORY_MODE] & SR4_ODD_EVEN_OFF)) {
        /* Even addresses reach planes 0 and 2, odd ones 1 and 3. */
        at = ((uint64_t)(a & ~1u) << 1) | (a & 1);
        put_byte(s, at, v);
        put_byte(s, at + 2, v);
    } else {
        planar_write(s, a, v);
    }
}

uint64_t vga_window_read(void *ctx, uint64_t offset, uint32_t width)
{
    uint64_t v = 0;

    for (uint32_t i = 0; i < width; i++)
        v |= (uint64_t)read_byte(ctx, offset + i) << 8 * i;
    return v;
}

void vga_window_write(void *ctx, uint64_t offset, uint64_t value,
                      uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        write_byte(ctx, offset + i, value >> 8 * i);
}
