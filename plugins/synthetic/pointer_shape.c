/* SPDX-License-Identifier: Apache-2.0 */
#include "pointer_shape.h"

#include <errno.h>
#include <string.h>

#define OPAQUE 0xff000000u
#define WHITE  0x00ffffffu

static uint32_t mask_line(uint32_t width)
{
    return (width + 7) / 8;
}

/* Bytes of a whole shape. */
static uint32_t shape_bytes(int color, uint32_t width, uint32_t height)
{
    return color ? width * height * 4 : mask_line(width) * height * 2;
}

static int begin(struct pointer_shape *p, const struct pointer_part *part)
{
    if (part->width > POINTER_MAX_SIDE || part->height > POINTER_MAX_SIDE ||
        !part->width || !part->height || part->hot_x > POINTER_MAX_SIDE ||
        part->hot_y > POINTER_MAX_SIDE)
        return -EINVAL;
    p->color = !!part->color;
    p->width = part->width;
    p->height = part->height;
    p->hot_x = part->hot_x;
    p->hot_y = part->hot_y;
    return 0;
}

int pointer_add_part(struct pointer_shape *p, const struct pointer_part *part,
                     const uint8_t *data, uint32_t bytes)
{
    int last = part->index == POINTER_LAST_PART;
    /* One that is complete, or part 0, begins a new one. */
    int first = part->index == 0 || (last && (p->complete || !p->parts));
    uint32_t want;

    if (first)
        p->bytes = p->parts = 0;
    p->complete = 0;
    if ((first && begin(p, part) < 0) || (!last && part->index != p->parts))
        goto fail;
    want = shape_bytes(p->color, p->width, p->height);
    if (bytes > want - p->bytes) {
        if (!last)
            goto fail;
        bytes = want - p->bytes; /* padding */
    }
    memcpy(p->data + p->bytes, data, bytes);
    p->bytes += bytes;
    p->parts++;
    if (last && p->bytes < want)
        goto fail;
    p->complete = (uint8_t)last;
    return 0;

fail:
    p->bytes = p->parts = 0;
    return -EINVAL;
}

int pointer_check(const struct pointer_shape *p)
{
    if (p->visible > 1 || p->complete > 1 || p->color > 1 ||
        p->width > POINTER_MAX_SIDE || p->height > POINTER_MAX_SIDE ||
        p->hot_x > POINTER_MAX_SIDE || p->hot_y > POINTER_MAX_SIDE ||
        p->bytes > shape_bytes(p->color, p->width, p->height))
        return -EINVAL;
    if (p->complete && p->bytes < shape_bytes(p->color, p->width, p->height))
        return -EINVAL;
    return 0;
}

static int bit_of(const uint8_t *mask, uint32_t line, uint32_t x, uint32_t y)
{
    return mask[y * line + x / 8] >> (7 - x % 8) & 1;
}

/* Where the masks would invert the screen, it is drawn black. */
static uint32_t masked(int and_bit, int xor_bit)
{
    if (and_bit && !xor_bit)
        return 0;
    return OPAQUE | (xor_bit && !and_bit ? WHITE : 0);
}

int pointer_image(const struct pointer_shape *p,
                  uint32_t argb[POINTER_MAX_SIDE * POINTER_MAX_SIDE])
{
    uint32_t line = mask_line(p->width);
    const uint8_t *xor_mask = p->data + line * p->height;

    if (!p->complete || !p->visible)
        return 0;
    if (p->color) {
        memcpy(argb, p->data, (size_t)p->width * p->height * 4);
        return 1;
    }
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++)
            argb[y * p->width + x] = masked(bit_of(p->data, line, x, y),
                                            bit_of(xor_mask, line, x, y));
    return 1;
}
