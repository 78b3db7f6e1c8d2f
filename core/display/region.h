/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a screen as a few rectangles; it may be larger than what was
 * added, never smaller. */
#ifndef DISPLAY_REGION_H
#define DISPLAY_REGION_H

#include <stdint.h>

#define REGION_MAX 16u

struct rect {
    uint32_t x, y, width, height;
};

struct region {
    uint32_t count;
    struct rect rects[REGION_MAX];
};

/* Empty rectangles are ignored.  Sides stay far below 2^31. */
void region_add(struct region *g, const struct rect *r);
void region_add_all(struct region *g, const struct region *other);

#endif
