/* SPDX-License-Identifier: Apache-2.0 */
#include "display/region.h"

static uint32_t right(const struct rect *r)
{
    return r->x + r->width;
}

static uint32_t bottom(const struct rect *r)
{
    return r->y + r->height;
}

static uint64_t area(const struct rect *r)
{
    return (uint64_t)r->width * r->height;
}

static struct rect around(const struct rect *a, const struct rect *b)
{
    uint32_t x2 = right(a) > right(b) ? right(a) : right(b);
    uint32_t y2 = bottom(a) > bottom(b) ? bottom(a) : bottom(b);
    struct rect r = { a->x < b->x ? a->x : b->x, a->y < b->y ? a->y : b->y, 0,
                      0 };

    r.width = x2 - r.x;
    r.height = y2 - r.y;
    return r;
}

/* Pixels that nobody asked for if the two became one. */
static uint64_t waste(const struct rect *a, const struct rect *b)
{
    struct rect both = around(a, b);
    uint64_t sum = area(a) + area(b);

    return area(&both) > sum ? area(&both) - sum : 0;
}

/* The rectangle of the region that costs least to make one with r. */
static uint32_t nearest(const struct region *g, const struct rect *r,
                        uint64_t *cost)
{
    uint32_t best = 0;
    uint64_t now;

    *cost = UINT64_MAX;
    for (uint32_t i = 0; i < g->count; i++) {
        now = waste(&g->rects[i], r);
        if (now < *cost) {
            *cost = now;
            best = i;
        }
    }
    return best;
}

void region_add(struct region *g, const struct rect *r)
{
    struct rect add = *r;
    uint64_t cost;
    uint32_t i;

    if (!r->width || !r->height)
        return;
    /* What two became may touch a third: again with that. */
    while (g->count) {
        i = nearest(g, &add, &cost);
        if (cost > area(&add) / 4 && g->count < REGION_MAX)
            break;
        add = around(&g->rects[i], &add);
        g->rects[i] = g->rects[--g->count];
    }
    g->rects[g->count++] = add;
}

void region_add_all(struct region *g, const struct region *other)
{
    for (uint32_t i = 0; i < other->count; i++)
        region_add(g, &other->rects[i]);
}
