/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the guest's picture to the surface.
 *
 * What may have changed is known from the guest's dirt messages.  Before the
 * first of them, and with guests that send none, it is found by tracking the
 * pages of our memory; in memory of the guest's all lines are looked at.
 * Every line that is looked at is compared, and what differs is drawn and
 * reported, so a rectangle too large costs the comparison only.
 */
#include <string.h>

#include "synthvid.h"

static uint32_t bytes_a_pixel(const struct video *s)
{
    return s->st.depth / 8u;
}

static int usable(const struct video *s)
{
    return s->st.active && s->st.place != PLACE_NONE;
}

void video_changed(struct video *s)
{
    int track = usable(s) && s->st.place == PLACE_VRAM && !s->st.sends_dirt;

    s->all = 1;
    s->dirt_count = 0;
    if (track != s->tracking)
        s->mmio->track(s->region, track);
    s->tracking = track;
    s->display->show(s->screen, usable(s));
}

/* --- what changed ---------------------------------------------------------*/

static uint32_t clip(int32_t v, uint32_t limit)
{
    return v < 0 ? 0 : (uint32_t)v > limit ? limit : (uint32_t)v;
}

static void join(struct video_rect *to, const struct video_rect *r)
{
    to->x1 = r->x1 < to->x1 ? r->x1 : to->x1;
    to->y1 = r->y1 < to->y1 ? r->y1 : to->y1;
    to->x2 = r->x2 > to->x2 ? r->x2 : to->x2;
    to->y2 = r->y2 > to->y2 ? r->y2 : to->y2;
}

static int touches(const struct video_rect *a, const struct video_rect *b)
{
    return a->x1 <= b->x2 && b->x1 <= a->x2 && a->y1 <= b->y2 && b->y1 <= a->y2;
}

static void add_dirt(struct video *s, const struct video_rect *r)
{
    for (uint32_t i = 0; i < s->dirt_count; i++) {
        if (touches(&s->dirt[i], r)) {
            join(&s->dirt[i], r);
            return;
        }
    }
    if (s->dirt_count < MAX_DIRT)
        s->dirt[s->dirt_count++] = *r;
    else
        join(&s->dirt[MAX_DIRT - 1], r);
}

void video_dirt(struct video *s, int32_t x1, int32_t y1, int32_t x2, int32_t y2)
{
    struct video_rect r = {
        clip(x1, s->st.width),
        clip(y1, s->st.height),
        clip(x2, s->st.width),
        clip(y2, s->st.height),
    };

    if (usable(s) && r.x1 < r.x2 && r.y1 < r.y2)
        add_dirt(s, &r);
}

/* Lines that have a byte in these pages of the video memory. */
static void pages_to_dirt(struct video *s, uint64_t first, uint64_t last)
{
    const struct video_state *st = &s->st;
    uint64_t begin = first * PAGE_BYTES, end = (last + 1) * PAGE_BYTES;
    uint64_t y1, y2;

    if (end <= st->offset)
        return;
    y1 = begin > st->offset ? (begin - st->offset) / st->pitch : 0;
    y2 = (end - st->offset - 1) / st->pitch + 1;
    video_dirt(s, 0, (int32_t)y1, (int32_t)st->width, (int32_t)y2);
}

static void gather_pages(struct video *s)
{
    const struct video_state *st = &s->st;
    uint64_t first = st->offset / PAGE_BYTES;
    uint64_t end = ((uint64_t)st->offset + (uint64_t)st->pitch * st->height +
                    PAGE_BYTES - 1) /
                   PAGE_BYTES;
    uint64_t run = 0;

    if (end > s->vram_bytes / PAGE_BYTES)
        end = s->vram_bytes / PAGE_BYTES;
    if (first >= end)
        return;
    s->mmio->fetch_dirty(s->region, first, end - first, s->dirty_pages);
    for (uint64_t i = 0; i <= end - first; i++) {
        if (i < end - first && s->dirty_pages[i]) {
            run++;
            continue;
        }
        if (run)
            pages_to_dirt(s, first + i - run, first + i - 1);
        run = 0;
    }
}

/* --- drawing --------------------------------------------------------------*/

/* Pixels x1..x2 of a line; NULL when the guest's memory is not there. */
static const uint8_t *source(struct video *s, uint32_t y, uint32_t x1,
                             uint32_t x2)
{
    uint32_t each = bytes_a_pixel(s);
    uint64_t at =
        s->st.offset + (uint64_t)y * s->st.pitch + (uint64_t)x1 * each;

    if (s->st.place == PLACE_VRAM)
        return s->vram + at;
    if (s->dma->read(s->dev, s->st.gpa + at, s->line, (x2 - x1) * each) < 0)
        return NULL;
    return s->line;
}

static uint32_t pixel_32(const uint8_t *from)
{
    uint32_t v;

    memcpy(&v, from, 4);
    return v & 0xffffff;
}

static uint32_t pixel_16(const uint8_t *from)
{
    uint32_t v = from[0] | (uint32_t)from[1] << 8;
    uint32_t r = v >> 11, g = v >> 5 & 63, b = v & 31;

    return (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
}

/* Draws what differs; the columns that did are added to *changed. */
static void draw_line(struct video *s, uint32_t y, uint32_t x1, uint32_t x2,
                      struct video_rect *changed)
{
    uint32_t *to = s->surface.pixels + (size_t)y * (s->surface.stride / 4);
    const uint8_t *from = source(s, y, x1, x2);
    uint32_t first = x2, last = x1;

    if (!from)
        return;
    for (uint32_t x = x1; x < x2; x++) {
        uint32_t v = s->st.depth == 16 ? pixel_16(from + 2 * (x - x1))
                                       : pixel_32(from + 4 * (x - x1));
        if (to[x] == v)
            continue;
        to[x] = v;
        first = x < first ? x : first;
        last = x;
    }
    if (first < x2) {
        struct video_rect r = { first, y, last + 1, y + 1 };
        if (changed->y2 > changed->y1)
            join(changed, &r);
        else
            *changed = r;
    }
}

static void report(struct video *s, struct video_rect *r)
{
    if (r->y2 > r->y1)
        s->display->dirty(s->screen, r->x1, r->y1, r->x2 - r->x1,
                          r->y2 - r->y1);
    *r = (struct video_rect){ 0 };
}

/* Each run of changed lines is reported as one rectangle. */
static void draw(struct video *s, const struct video_rect *r)
{
    struct video_rect changed = { 0 };

    for (uint32_t y = r->y1; y < r->y2; y++) {
        if (changed.y2 < y)
            report(s, &changed);
        draw_line(s, y, r->x1, r->x2, &changed);
    }
    report(s, &changed);
}

/* A new surface is black.  0 when there is one of the size. */
static int set_mode(struct video *s, uint32_t width, uint32_t height)
{
    if (s->surface.pixels && s->surface.width == width &&
        s->surface.height == height)
        return 0;
    s->dark = 0;
    if (s->display->set_mode(s->screen, width, height, &s->surface) < 0) {
        s->surface.pixels = NULL;
        return -1;
    }
    s->dark = 1;
    return 0;
}

static void draw_dark(struct video *s)
{
    uint32_t width = s->st.width ? s->st.width : s->xres;
    uint32_t height = s->st.height ? s->st.height : s->yres;

    if (set_mode(s, width, height) < 0 || s->dark)
        return;
    memset(s->surface.pixels, 0, (size_t)s->surface.stride * height);
    s->display->dirty(s->screen, 0, 0, width, height);
    s->dark = 1;
}

void video_refresh(void *ctx, int32_t full)
{
    struct video *s = ctx;
    const struct video_rect whole = { 0, 0, s->st.width, s->st.height };

    if (!usable(s)) {
        draw_dark(s);
        return;
    }
    if (set_mode(s, whole.x2, whole.y2) < 0)
        return;
    if (s->tracking)
        gather_pages(s);
    if (s->all || full || (s->st.place == PLACE_GUEST && !s->st.sends_dirt)) {
        s->dirt_count = 1;
        s->dirt[0] = whole;
    }
    if (s->dirt_count)
        s->dark = 0;
    for (uint32_t i = 0; i < s->dirt_count; i++)
        draw(s, &s->dirt[i]);
    if (full)
        s->display->dirty(s->screen, 0, 0, whole.x2, whole.y2);
    s->all = 0;
    s->dirt_count = 0;
}
