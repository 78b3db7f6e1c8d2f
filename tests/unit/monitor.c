/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor of the screen on VMBus: lists of modes, EDID, pointers. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "plugins/synthetic/edid.h"
#include "plugins/synthetic/pointer_shape.h"

/* --- modes ----------------------------------------------------------------*/

TEST(modes_are_taken_in_order)
{
    struct video_mode m[MAX_MODES];

    CHECK_EQ(modes_parse(m, "1024x768,8192x1,640x480"), 3);
    CHECK_EQ(m[0].width, 1024);
    CHECK_EQ(m[0].height, 768);
    CHECK_EQ(m[1].width, 8192);
    CHECK_EQ(m[2].height, 480);
}

static const struct {
    const char *text;
} no_modes[] = {
    { "" },          { "1024" },      { "1024x" },         { "x768" },
    { "0x768" },     { "1024x0" },    { "8193x768" },      { "1024x768," },
    { ",1024x768" }, { "1024x768;" }, { "1024X768" },      { "-1x1" },
    { " 1x1" },      { "1x1,1x1 " },  { "99999999999x1" }, { "1x1x1" },
};

TEST_P(other_texts_are_no_modes, no_modes)
{
    struct video_mode m[MAX_MODES];

    CHECK_EQ(modes_parse(m, row->text), -1);
}

TEST(too_many_modes_are_refused)
{
    struct video_mode m[MAX_MODES];
    char text[MAX_MODES * 4 + 8] = "1x1";

    for (unsigned i = 1; i < MAX_MODES; i++)
        strcat(text, ",1x1");
    CHECK_EQ(modes_parse(m, text), (int)MAX_MODES);
    strcat(text, ",1x1");
    CHECK_EQ(modes_parse(m, text), -1);
}

/* --- EDID -----------------------------------------------------------------*/

/* Size; reduced blanking of CVT 1.1: pixel clock in 10 kHz, lines that are
 * blank, lines of vertical sync. */
static const struct {
    uint16_t width, height;
    uint32_t clock, blank, sync;
} timings[] = {
    { 640, 480, 2350, 14, 4 },    { 800, 600, 3550, 18, 4 },
    { 1024, 768, 5600, 22, 4 },   { 1280, 800, 7100, 23, 6 },
    { 1600, 1200, 13025, 35, 4 }, { 1920, 1080, 13850, 31, 5 },
    { 2560, 1600, 26850, 46, 6 }, { 3840, 2160, 53325, 62, 5 },
};

TEST_P(edid_has_the_timing, timings)
{
    const struct video_mode mode = { row->width, row->height };
    uint8_t e[EDID_BYTES], sum = 0;
    const uint8_t *d = e + 54;

    edid_make(e, &mode);
    for (unsigned i = 0; i < EDID_BYTES; i++)
        sum = (uint8_t)(sum + e[i]);
    CHECK_EQ(sum, 0);
    CHECK_EQ(d[2] | (d[4] & 0xf0) << 4, row->width);
    CHECK_EQ(d[5] | (d[7] & 0xf0) << 4, row->height);
    CHECK_EQ(d[6] | (d[7] & 0x0f) << 8, row->blank);
    CHECK_EQ(d[10] & 15, row->sync);
    CHECK_EQ(d[0] | d[1] << 8, row->clock);
}

TEST(edid_of_a_mode_beyond_its_fields_has_no_timing)
{
    const struct video_mode mode = { 8192, 768 };
    uint8_t e[EDID_BYTES];

    edid_make(e, &mode);
    CHECK_EQ(e[54] | e[55], 0);
    CHECK_EQ(e[57], 0x10);
    CHECK_EQ(memcmp(e + 72 + 5, "Backplane\n   ", 13), 0);
}

/* --- pointers -------------------------------------------------------------*/

static struct pointer_shape shape;
static uint32_t image[POINTER_MAX_SIDE * POINTER_MAX_SIDE];
static uint8_t data[POINTER_MAX_BYTES + 64];

static int part(uint8_t index, uint32_t width, uint32_t height, uint32_t bytes)
{
    const struct pointer_part p = {
        .index = index, .color = 1, .width = width, .height = height
    };

    return pointer_add_part(&shape, &p, data, bytes);
}

static void new_shape(void)
{
    memset(&shape, 0, sizeof shape);
    shape.visible = 1;
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
}

TEST(shape_in_one_part_may_be_padded)
{
    new_shape();
    CHECK_EQ(part(POINTER_LAST_PART, 2, 1, 8 + 5), 0);
    CHECK(pointer_image(&shape, image));
    CHECK_EQ(image[0], 0x03020100);
    CHECK_EQ(image[1], 0x07060504);
    shape.visible = 0;
    CHECK(!pointer_image(&shape, image));
}

TEST(shape_in_parts_is_there_with_the_last)
{
    new_shape();
    CHECK_EQ(part(0, 96, 96, 16000), 0);
    CHECK_EQ(part(1, 96, 96, 16000), 0);
    CHECK(!pointer_image(&shape, image));
    CHECK_EQ(part(POINTER_LAST_PART, 96, 96, 36864 - 32000), 0);
    CHECK(pointer_image(&shape, image));
    CHECK_EQ(image[4000], image[0]);
    /* A new one takes its place. */
    CHECK_EQ(part(POINTER_LAST_PART, 1, 1, 4), 0);
    CHECK_EQ(shape.width, 1);
}

TEST(parts_out_of_order_or_size_leave_no_shape)
{
    new_shape();
    CHECK_LT(part(1, 8, 8, 16), 0);
    CHECK_EQ(part(0, 8, 8, 16), 0);
    CHECK_LT(part(2, 8, 8, 16), 0);
    CHECK_LT(part(1, 8, 8, 16), 0);
    CHECK_LT(part(POINTER_LAST_PART, 8, 8, 16), 0); /* too short */
    CHECK_EQ(part(0, 8, 8, 200), 0);
    CHECK_LT(part(1, 8, 8, 200), 0); /* too long */
    CHECK_LT(part(0, 97, 8, 16), 0);
    CHECK_LT(part(0, 8, UINT32_MAX, 16), 0);
    CHECK_LT(part(POINTER_LAST_PART, 0, 0, 0), 0);
    CHECK(!pointer_image(&shape, image));
    CHECK_EQ(pointer_check(&shape), 0);
    CHECK_EQ(part(POINTER_LAST_PART, 8, 8, 256), 0);
    CHECK(pointer_image(&shape, image));
}

TEST(size_is_that_of_the_first_part)
{
    new_shape();
    CHECK_EQ(part(0, 4, 4, 32), 0);
    CHECK_EQ(part(POINTER_LAST_PART, 96, 96, 32), 0);
    CHECK_EQ(shape.width, 4);
    CHECK(shape.complete);
}

TEST(masks_make_black_white_and_nothing)
{
    /* AND 0011, XOR 0101: black, white, nothing, inverted. */
    static const uint8_t masks[] = { 0x30, 0x50 };
    const struct pointer_part p = { .index = POINTER_LAST_PART,
                                    .width = 4,
                                    .height = 1 };

    new_shape();
    CHECK_EQ(pointer_add_part(&shape, &p, masks, sizeof masks), 0);
    CHECK(pointer_image(&shape, image));
    CHECK_EQ(image[0], 0xff000000);
    CHECK_EQ(image[1], 0xffffffff);
    CHECK_EQ(image[2], 0);
    CHECK_EQ(image[3], 0xff000000);
}

TEST(loaded_shapes_are_checked)
{
    new_shape();
    CHECK_EQ(part(POINTER_LAST_PART, 8, 8, 256), 0);
    CHECK_EQ(pointer_check(&shape), 0);
    shape.bytes = 255;
    CHECK_LT(pointer_check(&shape), 0);
    shape.bytes = 257;
    CHECK_LT(pointer_check(&shape), 0);
    shape.bytes = 256;
    shape.width = 97;
    CHECK_LT(pointer_check(&shape), 0);
}
