/* SPDX-License-Identifier: Apache-2.0 */
/* A pointer's image, which comes in parts. */
#ifndef SYNTHETIC_POINTER_SHAPE_H
#define SYNTHETIC_POINTER_SHAPE_H

#include <stdint.h>

#define POINTER_MAX_SIDE  96u
#define POINTER_MAX_BYTES (POINTER_MAX_SIDE * POINTER_MAX_SIDE * 4u)
#define POINTER_LAST_PART 0xffu

struct pointer_shape {
    uint8_t visible;
    uint8_t complete; /* all parts are there */
    uint8_t color;    /* 32-bit ARGB; else a mask to AND and one to XOR */
    uint8_t parts;    /* that came; the next must have this number */
    uint32_t width, height, hot_x, hot_y;
    int32_t x, y; /* of the upper left pixel */
    uint32_t bytes;
    uint8_t data[POINTER_MAX_BYTES];
};

struct pointer_part {
    uint8_t index; /* from 0; POINTER_LAST_PART */
    uint8_t color;
    uint32_t width, height, hot_x, hot_y;
};

/* 0, or a negative errno: then there is no shape until the next first
 * part. */
int pointer_add_part(struct pointer_shape *p, const struct pointer_part *part,
                     const uint8_t *data, uint32_t bytes);
/* A loaded one: 0, or a negative errno. */
int pointer_check(const struct pointer_shape *p);
/* The image as ARGB.  0: there is none. */
int pointer_image(const struct pointer_shape *p,
                  uint32_t argb[POINTER_MAX_SIDE * POINTER_MAX_SIDE]);

#endif
