/* SPDX-License-Identifier: Apache-2.0 */
/* Screens: surfaces, what listeners hear, text, pictures. */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "display/region.h"
#include "display/screen.h"
#include "sched/lane.h"

struct card {
    struct lanes *lanes;
    struct lane *lane;
    struct screen *screen;
    struct bp_surface surface;
    uint32_t want_width, want_height;
    uint16_t cells[80 * 25];
    bool text;
    unsigned refreshes;
    uint32_t hint_width;
};

static struct card card;

static void refresh(void *ctx, int32_t full)
{
    struct card *c = ctx;
    struct bp_text text = { .columns = 80, .rows = 25, .cells = c->cells };

    CHECK(lane_held(c->lane));
    c->refreshes++;
    if (c->surface.width != c->want_width ||
        c->surface.height != c->want_height)
        CHECK_EQ(screen_set_mode(c->screen, c->want_width, c->want_height,
                                 &c->surface),
                 0);
    if (!c->text)
        text.columns = text.rows = 0;
    screen_set_text(c->screen, &text);
    screen_dirty(c->screen, 10, 20, 30, UINT32_MAX);
    screen_dirty(c->screen, 5000, 0, 1, 1);
}

static void resize_hint(void *ctx, uint32_t width, uint32_t height)
{
    ((struct card *)ctx)->hint_width = width;
}

static const struct bp_screen_ops ops = {
    .size = sizeof ops,
    .refresh = refresh,
    .resize_hint = resize_hint,
};

static void start(uint32_t width, uint32_t height)
{
    card.lanes = lanes_create(1);
    card.lane = lane_create(card.lanes, "vga", LANE_DEVICE);
    card.want_width = width;
    card.want_height = height;
    card.screen = screen_create("vga", card.lane, &ops, &card);
}

static void end(void)
{
    screen_destroy(card.screen);
    lane_destroy(card.lane);
    lanes_destroy(card.lanes);
}

static struct heard {
    unsigned modes, dirties, pointers;
    int fd;
    uint32_t width, x, y, w, h, pointer_width;
} heard;

static void on_mode(void *opaque, const struct bp_surface *s, int fd)
{
    heard.modes++;
    heard.width = s->width;
    heard.fd = dup(fd);
}

static void on_dirty(void *opaque, uint32_t x, uint32_t y, uint32_t w,
                     uint32_t h)
{
    heard.dirties++;
    heard.x = x;
    heard.y = y;
    heard.w = w;
    heard.h = h;
}

static void on_pointer(void *opaque, const uint32_t *argb, uint32_t width,
                       uint32_t height, uint32_t hot_x, uint32_t hot_y,
                       int32_t x, int32_t y)
{
    heard.pointers++;
    heard.pointer_width = width;
}

static const struct screen_listener listener = {
    .mode = on_mode,
    .dirty = on_dirty,
    .pointer = on_pointer,
};

TEST(listener_hears_of_mode_and_changes_clipped)
{
    start(640, 480);
    CHECK(screen_listen(card.screen, &listener, &heard));
    CHECK_EQ(heard.modes, 0);
    screen_update(card.screen, false);
    CHECK_EQ(heard.modes, 1);
    CHECK_EQ(heard.width, 640);
    CHECK_EQ(heard.dirties, 1);
    CHECK_EQ(heard.h, 480 - 20);
    screen_unlisten(card.screen, &heard);
    screen_update(card.screen, false);
    CHECK_EQ(heard.dirties, 1);
    CHECK(screen_listen(card.screen, &listener, &heard));
    CHECK_EQ(heard.modes, 2); /* the current mode, at once */
    end();
}

TEST(consumer_sees_pixels_but_can_neither_write_nor_shrink)
{
    const uint32_t *seen;

    start(64, 32);
    screen_listen(card.screen, &listener, &heard);
    screen_update(card.screen, false);
    CHECK_EQ(card.surface.pixels[0], 0); /* black */
    card.surface.pixels[65] = 0x123456;
    seen = mmap(NULL, 64 * 32 * 4, PROT_READ, MAP_SHARED, heard.fd, 0);
    CHECK(seen != MAP_FAILED);
    CHECK_EQ(seen[65], 0x123456);
    CHECK_EQ(ftruncate(heard.fd, 4096), -1);
    CHECK(mmap(NULL, 64 * 32 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, heard.fd,
               0) == MAP_FAILED);
    end();
}

TEST(mode_is_set_inside_refresh_only_and_within_limits)
{
    struct bp_surface s;

    start(64, 32);
    lane_enter(card.lane);
    CHECK_EQ(screen_set_mode(card.screen, 10, 10, &s), -EPERM);
    CHECK_EQ(screen_set_mode(card.screen, 0, 10, &s), -EINVAL);
    CHECK_EQ(screen_set_mode(card.screen, 8193, 10, &s), -EINVAL);
    CHECK_EQ(screen_set_mode(card.screen, 10, UINT32_MAX, &s), -EINVAL);
    lane_leave(card.lane);
    end();
}

TEST(text_is_utf8_lines)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    const char *hello = "C:\\>";

    start(720, 400);
    card.text = true;
    for (unsigned i = 0; i < 80 * 25; i++)
        card.cells[i] = 0x0720;
    for (unsigned i = 0; hello[i]; i++)
        card.cells[80 + i] = (uint16_t)(0x0700 | (uint8_t)hello[i]);
    card.cells[160] = 0x1fc9; /* a corner of a double frame */
    card.cells[161] = 0x1fcd;
    text = screen_text_lines(card.screen);
    lines = g_strsplit(text, "\n", -1);
    CHECK_EQ(g_strv_length(lines), 26);
    CHECK_STR_EQ(lines[0], "");
    CHECK_STR_EQ(lines[1], "C:\\>");
    CHECK_STR_EQ(lines[2], "\xe2\x95\x94\xe2\x95\x90");
    card.text = false;
    CHECK_PTR_EQ(screen_text_lines(card.screen), NULL);
    end();
}

TEST(pointer_is_told_to_who_comes_later)
{
    uint32_t image[16 * 16] = { 0xff000000 };
    static uint32_t huge[129 * 2];

    start(64, 32);
    lane_enter(card.lane);
    screen_set_pointer(card.screen, image, 16, 16, 1, 1, 5, 5);
    lane_leave(card.lane);
    screen_listen(card.screen, &listener, &heard);
    CHECK_EQ(heard.pointers, 1);
    CHECK_EQ(heard.pointer_width, 16);
    lane_enter(card.lane);
    screen_set_pointer(card.screen, huge, 129, 2, 0, 0, 0, 0);
    CHECK_EQ(heard.pointer_width, 0);
    screen_set_pointer(card.screen, NULL, 0, 0, 0, 0, 0, 0);
    lane_leave(card.lane);
    end();
}

TEST(window_size_reaches_the_device)
{
    start(64, 32);
    screen_hint_size(card.screen, 1024, 768);
    CHECK_EQ(card.hint_width, 1024);
    end();
}

TEST(people_see_the_screen_that_was_shown_last)
{
    struct screens *all = screens_create();
    struct screen *first = screen_create("first", NULL, &ops, NULL);
    struct screen *second = screen_create("second", NULL, &ops, NULL);
    struct screen *third = screen_create("third", NULL, &ops, NULL);

    CHECK_PTR_EQ(screens_seen(all), NULL);
    screens_add(all, first);
    screens_add(all, second);
    screens_add(all, third);
    CHECK_PTR_EQ(screens_seen(all), first);
    screen_show(second, true);
    CHECK_PTR_EQ(screens_seen(all), second);
    screen_show(third, true);
    screen_show(second, true); /* it is shown already */
    CHECK_PTR_EQ(screens_seen(all), third);
    screen_show(third, false);
    CHECK_PTR_EQ(screens_seen(all), second);
    screen_show(second, false);
    CHECK_PTR_EQ(screens_seen(all), first);
    screens_remove(all, first);
    CHECK_PTR_EQ(screens_seen(all), second);
    screen_destroy(first);
    screen_show(second, true);
    screens_remove(all, second);
    CHECK_PTR_EQ(screens_seen(all), third);
    screens_remove(all, third);
    screen_destroy(second);
    screen_destroy(third);
    screens_destroy(all);
}

TEST(picture_is_a_png_of_the_pixels)
{
    char path[300];
    png_image image = { .version = PNG_IMAGE_VERSION };
    GError *error = NULL;
    uint8_t *rgb;

    start(33, 17);
    screen_update(card.screen, false);
    card.surface.pixels[2 * 33 + 5] = 0xff8001;
    snprintf(path, sizeof path, "%s/a.png", test_tmp_dir());
    CHECK(screen_save_png(card.screen, path, NULL));
    CHECK(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    CHECK_EQ(image.width, 33);
    CHECK_EQ(image.height, 17);
    rgb = malloc(PNG_IMAGE_SIZE(image));
    CHECK(png_image_finish_read(&image, NULL, rgb, 0, NULL));
    CHECK_MEM_EQ(rgb + (2 * 33 + 5) * 3, "\xff\x80\x01", 3);
    CHECK_MEM_EQ(rgb, "\0\0\0", 3);
    free(rgb);
    CHECK(!screen_save_png(card.screen, "/nonexistent/a.png", &error));
    CHECK_STR_EQ(error->message, "picture '/nonexistent/a.png' cannot be "
                                 "written: No such file or directory");
    end();
}

/* --- regions -------------------------------------------------------------*/

/* Whatever is added stays covered, within the number of rectangles. */
TEST(region_covers_all_that_was_added)
{
    static bool wanted[100][100];
    struct region g;
    unsigned seed = 7;

    for (unsigned round = 0; round < 200; round++) {
        memset(wanted, 0, sizeof wanted);
        g.count = 0;
        for (unsigned n = 0; n < round; n++) {
            struct rect r = { (uint32_t)rand_r(&seed) % 100,
                              (uint32_t)rand_r(&seed) % 100, 0, 0 };

            r.width = (uint32_t)rand_r(&seed) % (101 - r.x);
            r.height = (uint32_t)rand_r(&seed) % 12 % (101 - r.y);
            region_add(&g, &r);
            CHECK_LE(g.count, REGION_MAX);
            for (uint32_t y = r.y; y < r.y + r.height; y++)
                for (uint32_t x = r.x; x < r.x + r.width; x++)
                    wanted[y][x] = true;
        }
        for (uint32_t i = 0; i < g.count; i++) {
            const struct rect *r = &g.rects[i];

            CHECK_LE(r->x + r->width, 100);
            CHECK_LE(r->y + r->height, 100);
            for (uint32_t y = r->y; y < r->y + r->height; y++)
                memset(&wanted[y][r->x], 0, r->width);
        }
        for (unsigned i = 0; i < 100 * 100; i++)
            CHECK(!((bool *)wanted)[i]);
    }
}

TEST(region_of_one_moving_letter_stays_small)
{
    struct region g = { 0 };
    uint64_t area = 0;

    for (uint32_t i = 0; i < 10; i++)
        region_add(&g, &(struct rect){ i * 8, 0, 8, 16 });
    region_add(&g, &(struct rect){ 600, 400, 8, 16 });
    for (uint32_t i = 0; i < g.count; i++)
        area += (uint64_t)g.rects[i].width * g.rects[i].height;
    CHECK_EQ(g.count, 2);
    CHECK_EQ(area, 11 * 8 * 16);
}
