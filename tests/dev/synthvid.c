/* SPDX-License-Identifier: Apache-2.0 */
/* The screen on VMBus, through the bus. */
#include "tests/lib/test.h"

#include <string.h>

#include <backplane/device.h>

#include "display/screen.h"
#include "plugin/load.h"
#include "plugins/synthetic/edid.h"
#include "plugins/synthetic/wire.h"
#include "tests/lib/vmbus_guest.h"
#include "vm/bench.h"
#include "vm/vm.h"

#define HEAD 8u
#define VRAM 0xf8000000ull
#define MIB  (1u << 20)
#define PIX  4u

static const struct bp_guid type = { { 0x02, 0x78, 0x0a, 0xda, 0x77, 0xe3, 0xac,
                                       0x4a, 0x8e, 0x77, 0x05, 0x58, 0xeb, 0x10,
                                       0x73, 0xf8 } };

static struct bench *b;
static struct vmbus_guest *g;
static struct vg_channel *ch;

static void set_up(const char *setting)
{
    b = vg_bench(1);
    bench_add_device(b, "vga", "vga", NULL);
    bench_add_device(b, "synthvid", "synthvid", setting, NULL);
    g = vg_connect(b, VG_5_3);
    ch = vg_open(g, vg_offer(g, &type, 0), 64);
}

static void tear_down(void)
{
    vg_end(g);
    bench_destroy(b);
}

/* --- messages -------------------------------------------------------------*/

static uint8_t out[PIPE_HEAD + HEAD + 12000];
static uint8_t *const o = out + PIPE_HEAD + HEAD; /* the body to be sent */

static void send_message(uint32_t message, uint32_t bytes)
{
    pipe_head(out, HEAD + bytes);
    wire_put32(out + PIPE_HEAD, message);
    wire_put32(out + PIPE_HEAD + 4, HEAD + bytes);
    CHECK(vg_send(ch, 3, out, PIPE_HEAD + HEAD + bytes, false));
}

static struct vg_packet got;
static const uint8_t *body;
static uint32_t body_bytes;

/* The type of the next message; -1: none. */
static int receive(void)
{
    if (!vg_receive(ch, &got))
        return -1;
    CHECK_EQ(got.type, BP_VMBUS_INBAND);
    CHECK_EQ(wire_u32(got.data), PIPE_DATA);
    body_bytes = wire_u32(got.data + 4) - HEAD;
    CHECK_LE(body_bytes + HEAD + PIPE_HEAD, got.bytes);
    body = got.data + PIPE_HEAD + HEAD;
    return (int)wire_u32(got.data + PIPE_HEAD);
}

static uint32_t ask_version(uint32_t major, uint32_t minor)
{
    wire_put32(o, minor << 16 | major);
    send_message(1, 4);
    CHECK_EQ(receive(), 2);
    CHECK_EQ(body_bytes, 6);
    return body[4];
}

static void put_vram(uint64_t gpa)
{
    memset(o, 0x5a, 8);
    o[8] = 1;
    wire_put64(o + 9, gpa);
    send_message(3, 17);
}

static void put_mode(uint32_t offset, uint32_t depth, uint32_t width,
                     uint32_t height, uint32_t pitch)
{
    memset(o, 0xa5, 8);
    o[8] = 1;
    o[9] = 1;
    wire_put32(o + 10, offset);
    o[14] = (uint8_t)depth;
    wire_put32(o + 15, width);
    wire_put32(o + 19, height);
    wire_put32(o + 23, pitch);
    send_message(5, 27);
}

static void put_rect(unsigned i, int32_t x1, int32_t y1, int32_t x2, int32_t y2)
{
    uint8_t *r = o + 2 + 16 * i;

    wire_put32(r, (uint32_t)x1);
    wire_put32(r + 4, (uint32_t)y1);
    wire_put32(r + 8, (uint32_t)x2);
    wire_put32(r + 12, (uint32_t)y2);
}

static void dirt(int32_t x1, int32_t y1, int32_t x2, int32_t y2)
{
    o[0] = 0;
    o[1] = 1;
    put_rect(0, x1, y1, x2, y2);
    send_message(10, 18);
}

/* 640 x 480 of 32 bits in memory at VRAM. */
static void ready(void)
{
    set_up(NULL);
    CHECK_EQ(ask_version(3, 5), 2);
    put_vram(VRAM);
    CHECK_EQ(receive(), 4);
    put_mode(0, 32, 640, 480, 640 * PIX);
    CHECK_EQ(receive(), 6);
    CHECK_EQ(receive(), 9);
    CHECK_EQ(receive(), -1);
}

static void put_pixel(uint32_t x, uint32_t y, uint32_t colour)
{
    bench_write(b, VRAM + (y * 640 + x) * PIX, 4, colour);
}

static struct screen *seen(void)
{
    return screens_seen(bench_vm(b)->screens);
}

static bool is_seen(const char *name)
{
    return strcmp(screen_name(seen()), name) == 0;
}

/* --- versions, resolutions, capabilities ----------------------------------*/

static const struct {
    uint32_t major, minor, accepted;
} versions[] = {
    { 3, 0, 2 }, { 3, 1, 2 }, { 3, 2, 2 }, { 3, 3, 2 },      { 3, 4, 2 },
    { 3, 5, 2 }, { 3, 6, 0 }, { 4, 0, 0 }, { 2, 0xffff, 0 }, { 0, 0, 0 },
};

TEST_P(version, versions)
{
    set_up(NULL);
    CHECK_EQ(ask_version(row->major, row->minor), row->accepted);
    if (!row->accepted)
        CHECK_EQ(wire_u32(body), 5 << 16 | 3);
    put_vram(VRAM);
    CHECK_EQ(receive(), row->accepted ? 4 : -1);
    vg_close(ch);
    tear_down();
}

TEST(offer_says_how_much_memory)
{
    const struct vmbus_offer *offer;

    set_up("vram=16M");
    offer = vg_offer(g, &type, 0);
    CHECK_EQ(offer->mmio_megabytes, 16);
    CHECK_EQ(offer->flags, BP_VMBUS_PIPE);
    vg_close(ch);
    tear_down();
}

static void ask_resolutions(uint32_t max)
{
    o[0] = (uint8_t)max;
    send_message(13, 1);
    CHECK_EQ(receive(), 14);
    CHECK_EQ(body_bytes, EDID_BYTES + 3 + 4 * body[EDID_BYTES]);
}

TEST(default_mode_is_in_the_list)
{
    const uint8_t *mode;

    set_up("xres=1234");
    ask_version(3, 5);
    ask_resolutions(64);
    CHECK_LT(body[129], body[128]);
    mode = body + 131 + 4 * body[129];
    CHECK_EQ(wire_u16(mode), 1234);
    CHECK_EQ(wire_u16(mode + 2), 768);
    CHECK_EQ(body[54 + 2] | (body[54 + 4] & 0xf0) << 4, 1234);
    /* Those that do not fit into 8 MiB are not offered. */
    for (unsigned i = 0; i < body[128]; i++)
        CHECK_LE(wire_u16(body + 131 + 4 * i) * wire_u16(body + 133 + 4 * i) *
                     PIX,
                 8 * MIB);
    vg_close(ch);
    tear_down();
}

static const struct {
    uint32_t max;
} limits[] = { { 0 }, { 1 }, { 2 }, { 3 }, { 255 } };

TEST_P(no_more_resolutions_than_asked_for, limits)
{
    set_up("modes=640x480,800x600,1024x768");
    ask_version(3, 5);
    ask_resolutions(row->max);
    CHECK_EQ(body[128], row->max < 3 ? row->max : 3);
    if (row->max)
        CHECK_EQ(wire_u16(body + 131 + 4 * body[129]), 1024);
    vg_close(ch);
    tear_down();
}

static const struct {
    const char *setting, *complaint;
} bad_settings[] = {
    { "modes=640x", "modes" },   { "modes=8192x8192", "8192x8192" },
    { "xres=8192", "8192x768" }, { "vram=5000000", "vram" },
    { "vram=128M", "vram" },     { "yres=0", "yres" },
};

TEST_P(bad_setting_is_refused, bad_settings)
{
    const char *settings[] = { row->setting, NULL };
    GError *error = NULL;

    b = vg_bench(1);
    CHECK(!bench_try_add(b, plugins_find(bench_vm(b)->plugins, "synthvid"),
                         "synthvid", settings, &error));
    CHECK(strstr(error->message, row->complaint));
    g_error_free(error);
    bench_destroy(b);
}

TEST(bios_info_and_capabilities)
{
    set_up(NULL);
    ask_version(3, 5);
    send_message(11, 0);
    CHECK_EQ(receive(), 12);
    CHECK_EQ(body_bytes, 16);
    CHECK_EQ(wire_u32(body), 1);
    send_message(15, 0);
    CHECK_EQ(receive(), 16);
    CHECK_EQ(body_bytes, 64);
    vg_close(ch);
    tear_down();
}

/* --- where the picture is -------------------------------------------------*/

TEST(memory_appears_where_the_guest_puts_it)
{
    ready();
    bench_write(b, VRAM + 8 * MIB - 4, 4, 0x12345678);
    CHECK_EQ(bench_read(b, VRAM + 8 * MIB - 4, 4), 0x12345678);
    CHECK_EQ(bench_read(b, VRAM + 8 * MIB, 4), 0xffffffff);
    put_vram(VRAM + 8 * MIB);
    CHECK_EQ(receive(), 4);
    CHECK_EQ(wire_u64(body), 0x5a5a5a5a5a5a5a5aull);
    CHECK_EQ(bench_read(b, VRAM, 4), 0xffffffff);
    CHECK_EQ(bench_read(b, VRAM + 16 * MIB - 4, 4), 0x12345678);
    o[8] = 0; /* nowhere */
    send_message(3, 17);
    CHECK_EQ(receive(), 4);
    CHECK_EQ(bench_read(b, VRAM + 8 * MIB, 4), 0xffffffff);
    vg_close(ch);
    tear_down();
}

static const struct {
    uint64_t gpa;
} places[] = {
    { VRAM + 1 },   { 0xfe800000 },        { 0xfec00000 },
    { 0xffff0000 }, { 0xf0000 + 16 },      { 1ull << 45 },
    { UINT64_MAX }, { UINT64_MAX - 4095 }, { 0xfffffffff000 },
};

TEST_P(other_places_are_refused, places)
{
    ready();
    put_vram(row->gpa);
    CHECK_EQ(receive(), -1);
    CHECK_NE(bench_read(b, VRAM, 4), 0xffffffff); /* it stayed */
    vg_close(ch);
    tear_down();
}

TEST(picture_may_be_in_ram)
{
    const uint64_t at = 8 * MIB;

    ready();
    put_vram(at);
    CHECK_EQ(receive(), 4);
    bench_write(b, at + 5 * PIX, 4, 0xffabcdef);
    CHECK_EQ(bench_pixel(b, 5, 0), 0xabcdef);
    bench_write(b, at + 6 * PIX, 4, 0x111111);
    CHECK_EQ(bench_pixel(b, 6, 0), 0x111111);
    /* Once it sends dirt, the rest is not looked at. */
    dirt(0, 0, 640, 480);
    CHECK_EQ(bench_pixel(b, 6, 0), 0x111111);
    bench_write(b, at + 7 * PIX, 4, 0x222222);
    CHECK_EQ(bench_pixel(b, 7, 0), 0);
    dirt(7, 0, 8, 1);
    CHECK_EQ(bench_pixel(b, 7, 0), 0x222222);
    bench_save_load(b);
    CHECK_EQ(bench_pixel(b, 7, 0), 0x222222);
    vg_close(ch);
    tear_down();
}

/* RAM of the bench ends at 16 MiB. */
TEST(picture_beyond_the_end_of_ram_is_not_drawn)
{
    ready();
    put_vram(16 * MIB - 640 * PIX * 2);
    CHECK_EQ(receive(), 4);
    bench_write(b, 16 * MIB - PIX, 4, 0x333333);
    CHECK_EQ(bench_pixel(b, 639, 1), 0x333333);
    CHECK_EQ(bench_pixel(b, 0, 2), 0);
    vg_close(ch);
    tear_down();
}

/* --- modes ----------------------------------------------------------------*/

TEST(mode_makes_it_the_screen_that_is_seen)
{
    uint32_t width, height;

    set_up(NULL);
    CHECK(is_seen("vga"));
    ask_version(3, 5);
    put_mode(0, 32, 640, 480, 2560);
    CHECK(is_seen("vga")); /* there is no memory yet */
    put_vram(VRAM);
    CHECK(is_seen("synthvid"));
    CHECK(bench_screen_size(b, &width, &height));
    CHECK_EQ(width, 640);
    CHECK_EQ(height, 480);
    bench_save_load(b);
    CHECK(is_seen("synthvid"));
    put_mode(0, 32, 800, 600, 3200);
    CHECK(bench_screen_size(b, &width, &height));
    CHECK_EQ(width, 800);
    o[9] = 0; /* off */
    send_message(5, 27);
    CHECK(is_seen("vga"));
    put_mode(0, 32, 800, 600, 3200);
    CHECK(is_seen("synthvid"));
    vg_close(ch);
    CHECK(is_seen("vga"));
    CHECK_EQ(bench_read(b, VRAM, 4), 0xffffffff);
    tear_down();
}

TEST(reset_and_unload_give_the_screen_back)
{
    ready();
    CHECK(is_seen("synthvid"));
    bench_reset(b, BP_RESET_COLD);
    CHECK(is_seen("vga"));
    CHECK_EQ(bench_read(b, VRAM, 4), 0xffffffff);
    vg_forget(ch);
    tear_down();
    ready();
    vg_unload(g);
    CHECK(is_seen("vga"));
    tear_down();
}

static const struct {
    uint32_t offset, depth, width, height, pitch;
} bad_modes[] = {
    { 0, 24, 640, 480, 1920 },
    { 0, 0, 640, 480, 2560 },
    { 0, 255, 640, 480, 2560 },
    { 0, 32, 0, 480, 2560 },
    { 0, 32, 640, 0, 2560 },
    { 0, 32, 640, 480, 2559 },
    { 0, 16, 640, 480, 1279 },
    { 0, 32, 8193, 1, 40000 },
    { 0, 16, 1, 8193, 2 },
    { 0, 32, 8192, 8192, 32768 },
    { 0, 32, 640, 480, 0x80000000 },
    { 1, 32, 2048, 1024, 8192 },
    { 0xffffffff, 32, 640, 480, 2560 },
    { 8 * MIB, 32, 1, 1, 4 },
    { 0, 32, 0xffffffff, 0xffffffff, 4 },
};

TEST_P(bad_mode_is_refused, bad_modes)
{
    uint32_t width, height;

    ready();
    put_mode(row->offset, row->depth, row->width, row->height, row->pitch);
    CHECK_EQ(receive(), -1);
    CHECK(bench_screen_size(b, &width, &height));
    CHECK_EQ(width, 640);
    vg_close(ch);
    tear_down();
}

TEST(mode_up_to_the_last_byte)
{
    ready();
    put_mode(8 * MIB - 100 * 300, 16, 150, 100, 300);
    CHECK_EQ(receive(), 6);
    CHECK_EQ(wire_u64(body), 0xa5a5a5a5a5a5a5a5ull);
    bench_write(b, VRAM + 8 * MIB - 2, 2, 0xf81f);
    CHECK_EQ(bench_pixel(b, 149, 99), 0xff00ff);
    vg_close(ch);
    tear_down();
}

static const struct {
    uint16_t value;
    uint32_t colour;
} colours[] = {
    { 0x0000, 0x000000 }, { 0xffff, 0xffffff }, { 0xf800, 0xff0000 },
    { 0x07e0, 0x00ff00 }, { 0x001f, 0x0000ff }, { 0x8410, 0x848284 },
};

TEST_P(sixteen_bits, colours)
{
    ready();
    put_mode(4096, 16, 320, 200, 1024);
    bench_write(b, VRAM + 4096 + 1024 * 7 + 2 * 9, 2, row->value);
    CHECK_EQ(bench_pixel(b, 9, 7), row->colour);
    vg_close(ch);
    tear_down();
}

/* --- what changed ---------------------------------------------------------*/

static struct {
    unsigned count;
    uint32_t x, y, width, height; /* of the last */
} told;

static void on_dirty(void *opaque, uint32_t x, uint32_t y, uint32_t width,
                     uint32_t height)
{
    told.count++;
    told.x = x;
    told.y = y;
    told.width = width;
    told.height = height;
}

static const struct screen_listener listener = { .dirty = on_dirty };

static unsigned update(void)
{
    told.count = 0;
    screen_update(seen(), false);
    return told.count;
}

/* A guest that sends no dirt. */
TEST(pages_tell_what_changed)
{
    ready();
    CHECK(screen_listen(seen(), &listener, &told));
    update();
    CHECK_EQ(update(), 0);
    put_pixel(10, 20, 0xff00ff);
    CHECK_EQ(update(), 1);
    CHECK_EQ(told.x, 10);
    CHECK_EQ(told.y, 20);
    CHECK_EQ(told.width, 1);
    CHECK_EQ(told.height, 1);
    CHECK_EQ(bench_pixel(b, 10, 20), 0xff00ff);
    put_pixel(10, 20, 0xff00ff); /* the same again */
    CHECK_EQ(update(), 0);
    put_pixel(3, 30, 1);
    put_pixel(7, 31, 1);
    put_pixel(5, 300, 1);
    CHECK_EQ(update(), 2);
    CHECK_EQ(told.y, 300);
    screen_unlisten(seen(), &told);
    vg_close(ch);
    tear_down();
}

TEST(dirt_tells_what_changed)
{
    ready();
    CHECK(screen_listen(seen(), &listener, &told));
    put_pixel(100, 100, 1);
    dirt(0, 0, 1, 1); /* what was drawn before the first is drawn, too */
    CHECK_EQ(update(), 1);
    CHECK_EQ(told.x, 100);
    put_pixel(1, 1, 2);
    CHECK_EQ(update(), 0);
    dirt(0, 0, 2, 2);
    CHECK_EQ(update(), 1);
    CHECK_EQ(bench_pixel(b, 1, 1), 2);
    /* The next mode begins anew. */
    put_mode(0, 32, 640, 480, 2560);
    update();
    put_pixel(2, 2, 3);
    CHECK_EQ(update(), 1);
    screen_unlisten(seen(), &told);
    vg_close(ch);
    tear_down();
}

static const struct {
    int32_t x1, y1, x2, y2;
    bool drawn; /* the pixel at 639, 479 */
} rects[] = {
    { -5, -5, INT32_MAX, INT32_MAX, true },
    { INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX, true },
    { 639, 479, 640, 480, true },
    { 639, 479, 1000, 1000, true },
    { 640, 480, 1000, 1000, false },
    { 639, 480, 640, 479, false },
    { 0, 0, 639, 480, false },
    { 0, 0, 640, 479, false },
    { INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN, false },
    { -10, -10, -1, -1, false },
};

TEST_P(rectangle_is_clipped, rects)
{
    ready();
    dirt(0, 0, 1, 1);
    CHECK_EQ(bench_pixel(b, 639, 479), 0);
    put_pixel(639, 479, 7);
    dirt(row->x1, row->y1, row->x2, row->y2);
    CHECK_EQ(bench_pixel(b, 639, 479), row->drawn ? 7 : 0);
    vg_close(ch);
    tear_down();
}

TEST(many_rectangles_are_all_drawn)
{
    ready();
    dirt(0, 0, 1, 1);
    CHECK_EQ(bench_pixel(b, 0, 0), 0);
    o[0] = 0;
    o[1] = 255;
    for (unsigned i = 0; i < 255; i++) {
        int32_t x = (int32_t)(i * 2), y = (int32_t)(i * 37 % 480);
        put_pixel(i * 2, i * 37 % 480, 9);
        put_rect(i, x, y, x + 1, y + 1);
    }
    send_message(10, 2 + 255 * 16);
    for (unsigned i = 0; i < 255; i++)
        CHECK_EQ(bench_pixel(b, i * 2, i * 37 % 480), 9);
    vg_close(ch);
    tear_down();
}

TEST(dirt_with_fewer_rectangles_than_it_says)
{
    ready();
    put_pixel(1, 1, 2);
    o[0] = 0;
    o[1] = 2;
    put_rect(0, 0, 0, 640, 480);
    send_message(10, 2 + 31);
    CHECK_EQ(bench_pixel(b, 1, 1), 2); /* by pages, still */
    put_pixel(2, 2, 2);
    CHECK_EQ(bench_pixel(b, 2, 2), 2);
    vg_close(ch);
    tear_down();
}

/* --- pointer --------------------------------------------------------------*/

static struct {
    uint32_t width, hot_x, argb;
    int32_t x, y;
} pointer;

static void on_pointer(void *opaque, const uint32_t *argb, uint32_t width,
                       uint32_t height, uint32_t hot_x, uint32_t hot_y,
                       int32_t x, int32_t y)
{
    pointer.width = width;
    pointer.hot_x = hot_x;
    pointer.argb = width ? argb[0] : 0;
    pointer.x = x;
    pointer.y = y;
}

static const struct screen_listener pointer_listener = { .pointer =
                                                             on_pointer };

static void put_position(bool visible, int32_t x, int32_t y)
{
    o[0] = visible;
    o[1] = 0;
    wire_put32(o + 2, (uint32_t)x);
    wire_put32(o + 6, (uint32_t)y);
    send_message(7, 10);
}

static void put_part(uint8_t index, uint32_t side, uint32_t bytes)
{
    o[0] = index;
    o[1] = 1;
    wire_put32(o + 2, side);
    wire_put32(o + 6, side);
    wire_put32(o + 10, 3);
    wire_put32(o + 14, 4);
    memset(o + 18, 0x80 + index % 16, bytes);
    send_message(8, 18 + bytes);
}

TEST(pointer_has_position_and_shape)
{
    ready();
    CHECK(screen_listen(seen(), &pointer_listener, &pointer));
    put_position(true, 100, -2);
    CHECK_EQ(pointer.width, 0); /* no shape */
    put_part(0, 64, 8192);
    CHECK_EQ(pointer.width, 0);
    put_part(0xff, 64, 8192);
    CHECK_EQ(pointer.width, 64);
    CHECK_EQ(pointer.argb, 0x80808080);
    CHECK_EQ(pointer.x, 103);
    CHECK_EQ(pointer.y, 2);
    put_position(false, 0, 0);
    CHECK_EQ(pointer.width, 0);
    put_position(true, INT32_MAX, INT32_MIN);
    CHECK_EQ(pointer.width, 64);
    CHECK_GE(pointer.x, 8192);
    CHECK_LE(pointer.y, -8192);
    screen_unlisten(seen(), &pointer);
    bench_save_load(b);
    CHECK(screen_listen(seen(), &pointer_listener, &pointer));
    CHECK_EQ(pointer.width, 64);
    put_part(2, 64, 16); /* out of order */
    CHECK_EQ(pointer.width, 0);
    put_part(0xff, 97, 16);
    CHECK_EQ(pointer.width, 0);
    screen_unlisten(seen(), &pointer);
    vg_close(ch);
    tear_down();
}

/* --- the rest -------------------------------------------------------------*/

TEST(without_a_mode_it_is_dark)
{
    uint32_t width, height;

    b = vg_bench(1);
    bench_add_device(b, "synthvid", "synthvid", "yres=600", "xres=800", NULL);
    CHECK(bench_screen_size(b, &width, &height));
    CHECK_EQ(width, 800);
    CHECK_EQ(height, 600);
    CHECK_EQ(bench_pixel(b, 799, 599), 0);
    g = vg_connect(b, VG_5_3);
    ch = vg_open(g, vg_offer(g, &type, 0), 64);
    ask_version(3, 2);
    put_vram(VRAM);
    put_mode(0, 32, 640, 480, 2560);
    put_pixel(1, 1, 5);
    CHECK_EQ(bench_pixel(b, 1, 1), 5);
    vg_close(ch);
    CHECK_EQ(bench_pixel(b, 1, 1), 0);
    tear_down();
}

TEST(picture_survives_saving)
{
    ready();
    put_pixel(33, 44, 0x556677);
    bench_save_load(b);
    bench_start(b);
    CHECK_EQ(bench_pixel(b, 33, 44), 0x556677);
    CHECK_EQ(bench_read(b, VRAM + (44 * 640 + 33) * PIX, 4), 0x556677);
    put_pixel(1, 1, 5);
    CHECK_EQ(bench_pixel(b, 1, 1), 5);
    dirt(0, 0, 1, 1);
    bench_save_load(b);
    bench_start(b);
    put_pixel(2, 1, 6);
    dirt(2, 1, 3, 2);
    CHECK_EQ(bench_pixel(b, 2, 1), 6);
    CHECK_EQ(receive(), -1); /* it is not asked for dirt again */
    vg_close(ch);
    tear_down();
}

/* The guest does not read its answers: requests wait in the ring. */
TEST(answers_wait_for_room)
{
    unsigned sent = 0, answers = 0;

    ready();
    for (; sent < 2000; sent++) {
        o[0] = 64;
        pipe_head(out, HEAD + 1);
        wire_put32(out + PIPE_HEAD, 13);
        wire_put32(out + PIPE_HEAD + 4, HEAD + 1);
        if (!vg_send(ch, 3, out, PIPE_HEAD + HEAD + 1, false))
            break;
    }
    CHECK_GE(sent, 1000);
    while (receive() == 14)
        answers++;
    CHECK_EQ(answers, sent);
    vg_close(ch);
    tear_down();
}

TEST(nonsense_is_survived)
{
    uint32_t random = 1;

    ready();
    for (uint32_t message = 0; message < 20; message++) {
        for (uint32_t bytes = 0; bytes < 200; bytes += 7) {
            for (uint32_t i = 0; i < 200; i++) {
                random = random * 1103515245 + 12345;
                o[i] = (uint8_t)(random >> (bytes % 3 ? 16 : 29));
            }
            send_message(message, bytes);
            while (receive() >= 0) {
            }
        }
        screen_update(seen(), message & 1);
    }
    wire_put32(out, 2); /* no such pipe packet */
    CHECK(vg_send(ch, 3, out, 64, false));
    wire_put32(out, PIPE_DATA);
    wire_put32(out + 4, UINT32_MAX);
    CHECK(vg_send(ch, 3, out, 64, false));
    CHECK(vg_send(ch, 3, out, 3, false));
    CHECK_EQ(ask_version(3, 5), 2);
    put_vram(VRAM);
    CHECK_EQ(receive(), 4);
    put_mode(0, 32, 640, 480, 2560);
    CHECK_EQ(receive(), 6);
    put_pixel(1, 1, 5);
    CHECK_EQ(bench_pixel(b, 1, 1), 5);
    vg_close(ch);
    tear_down();
}
