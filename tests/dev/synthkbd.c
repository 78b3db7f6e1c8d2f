/* SPDX-License-Identifier: Apache-2.0 */
/* The keyboard on VMBus, through the bus. */
#include "tests/lib/test.h"

#include <string.h>

#include <backplane/device.h>
#include <backplane/input.h>

#include "input/input.h"
#include "plugins/synthetic/make_code.h"
#include "plugins/synthetic/wire.h"
#include "tests/lib/vmbus_guest.h"
#include "vm/bench.h"
#include "vm/vm.h"

#define KEY_A     0x04
#define KEY_B     0x05
#define KEY_SHIFT 0xe1
#define MAKE_A    0x1e
#define MAKE_B    0x30
#define MS        1000000ull

static const struct bp_guid type = { { 0x6d, 0xad, 0x12, 0xf9, 0x17, 0x2b, 0xea,
                                       0x48, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c,
                                       0x76, 0x84 } };

static struct bench *b;
static struct vmbus_guest *g;
static struct vg_channel *ch;

static void open_channel(void)
{
    ch = vg_open(g, vg_offer(g, &type, 0), 4);
}

static void set_up(void)
{
    b = vg_bench(1);
    bench_add_device(b, "i8042", "i8042", NULL);
    bench_add_device(b, "synthkbd", "synthkbd", NULL);
    g = vg_connect(b, VG_5_3);
    open_channel();
}

static void tear_down(void)
{
    vg_end(g);
    bench_destroy(b);
}

static void send_words(uint32_t first, uint32_t second, uint32_t bytes)
{
    uint8_t m[8];

    wire_put32(m, first);
    wire_put32(m + 4, second);
    CHECK(vg_send(ch, 7, m, bytes, true));
}

/* What the host says to a version. */
static uint32_t ask(uint32_t version)
{
    struct vg_packet p;
    uint32_t status;

    send_words(1, version, 8);
    CHECK(vg_receive(ch, &p));
    CHECK_EQ(p.type, BP_VMBUS_INBAND);
    CHECK_EQ(wire_u32(p.data), 2);
    status = wire_u32(p.data + 4);
    vg_completion(ch, 7, &p);
    return status;
}

static void ready(void)
{
    set_up();
    CHECK_EQ(ask(0x10000), 1);
}

/* The next keystroke as make | flags << 16; 0: there is none. */
static uint32_t stroke(void)
{
    struct vg_packet p;

    if (!vg_receive(ch, &p))
        return 0;
    CHECK_EQ(p.type, BP_VMBUS_INBAND);
    CHECK_EQ(p.bytes, 16); /* 12, padded */
    CHECK_EQ(wire_u32(p.data), 3);
    CHECK_EQ(wire_u16(p.data + 6), 0);
    return wire_u16(p.data + 4) | wire_u32(p.data + 8) << 16;
}

#define UP(make)  ((make) | STROKE_BREAK << 16)
#define EXT(make) ((make) | STROKE_E0 << 16)

static bool heard_by_ps2(void)
{
    return bench_in(b, 0x64, 1) & 1;
}

TEST(version_1_0_is_the_only_one)
{
    set_up();
    CHECK_EQ(ask(0x20000), 0);
    CHECK_EQ(ask(0x10001), 0);
    CHECK_EQ(ask(0x10000), 1);
    CHECK_EQ(ask(0x10000), 1);
    vg_close(ch);
    tear_down();
}

TEST(keys_come_once_the_version_is_agreed_on)
{
    set_up();
    bench_key(b, KEY_A, true);
    bench_key(b, KEY_A, false);
    CHECK_EQ(stroke(), 0);
    CHECK(heard_by_ps2());
    while (heard_by_ps2())
        bench_in(b, 0x60, 1);
    CHECK_EQ(ask(0x10000), 1);
    bench_key(b, KEY_SHIFT, true);
    bench_key(b, KEY_A, true);
    bench_key(b, KEY_A, false);
    bench_key(b, KEY_SHIFT, false);
    CHECK_EQ(stroke(), 0x2a);
    CHECK_EQ(stroke(), MAKE_A);
    CHECK_EQ(stroke(), UP(MAKE_A));
    CHECK_EQ(stroke(), UP(0x2a));
    CHECK_EQ(stroke(), 0);
    CHECK(!heard_by_ps2());
    vg_close(ch);
    tear_down();
}

TEST(keys_go_back_when_the_channel_closes)
{
    ready();
    bench_key(b, KEY_A, true);
    CHECK_EQ(stroke(), MAKE_A);
    vg_close(ch);
    bench_key(b, KEY_B, true);
    CHECK(heard_by_ps2());
    /* Nothing of before is left for the next driver. */
    open_channel();
    CHECK_EQ(ask(0x10000), 1);
    CHECK_EQ(stroke(), 0);
    bench_key(b, KEY_A, true); /* the user still held it */
    CHECK_EQ(stroke(), MAKE_A);
    vg_close(ch);
    tear_down();
}

TEST(prefixes_and_pause)
{
    ready();
    bench_key(b, 0x4f, true); /* right */
    bench_key(b, 0x4f, false);
    CHECK_EQ(stroke(), EXT(0x4d));
    CHECK_EQ(stroke(), UP(EXT(0x4d)));
    bench_key(b, USAGE_PAUSE, true);
    bench_key(b, USAGE_PAUSE, false);
    CHECK_EQ(stroke(), 0x1d | STROKE_E1 << 16);
    CHECK_EQ(stroke(), 0x45);
    CHECK_EQ(stroke(), UP(0x1d | STROKE_E1 << 16));
    CHECK_EQ(stroke(), UP(0x45));
    bench_step(b, 2000 * MS);
    CHECK_EQ(stroke(), 0);
    vg_close(ch);
    tear_down();
}

TEST(last_key_repeats_until_it_goes_up)
{
    unsigned n = 0;

    ready();
    bench_key(b, KEY_A, true);
    bench_key(b, KEY_B, true);
    CHECK_EQ(stroke(), MAKE_A);
    CHECK_EQ(stroke(), MAKE_B);
    bench_step(b, 499 * MS);
    CHECK_EQ(stroke(), 0);
    bench_step(b, 2 * MS);
    CHECK_EQ(stroke(), MAKE_B);
    bench_step(b, 1000 * MS);
    while (stroke() == MAKE_B)
        n++;
    CHECK_GE(n, 28);
    CHECK_LE(n, 32);
    bench_key(b, KEY_A, false);
    CHECK_EQ(stroke(), UP(MAKE_A));
    bench_step(b, 34 * MS);
    CHECK_EQ(stroke(), MAKE_B);
    bench_key(b, KEY_B, false);
    CHECK_EQ(stroke(), UP(MAKE_B));
    bench_step(b, 2000 * MS);
    CHECK_EQ(stroke(), 0);
    vg_close(ch);
    tear_down();
}

static const struct {
    uint16_t wire;
    uint32_t leds;
} leds[] = {
    { 1, BP_LED_SCROLL },
    { 2, BP_LED_NUM },
    { 4, BP_LED_CAPS },
    { 0xffff, BP_LED_SCROLL | BP_LED_NUM | BP_LED_CAPS },
    { 0, 0 },
};

TEST_P(guest_sets_leds, leds)
{
    ready();
    send_words(4, row->wire, 8);
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), row->leds);
    bench_save_load(b);
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), row->leds);
    vg_close(ch);
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), 0);
    tear_down();
}

/* A guest that does not read: what is lost is a press with its release. */
TEST(full_ring_loses_whole_keys_only)
{
    bool down[256] = { 0 };
    unsigned presses = 0;
    uint32_t s;

    ready();
    for (unsigned i = 0; i < 3000; i++) {
        uint32_t usage = KEY_A + i % 26;
        bench_key(b, usage, true);
        if (i % 26 == 25)
            for (uint32_t k = 0; k < 26; k++)
                bench_key(b, KEY_A + k, false);
        if (i == 1500)
            bench_save_load(b);
    }
    for (uint32_t k = 0; k < 26; k++)
        bench_key(b, KEY_A + k, false);
    while ((s = stroke())) {
        bool up = s & STROKE_BREAK << 16;
        CHECK_EQ(down[s & 0xff], up);
        down[s & 0xff] = !up;
        presses += !up;
    }
    for (unsigned i = 0; i < 256; i++)
        CHECK(!down[i]);
    CHECK_GE(presses, 50);
    CHECK_LT(presses, 3000);
    bench_key(b, KEY_A, true);
    CHECK_EQ(stroke(), MAKE_A);
    vg_close(ch);
    tear_down();
}

TEST(what_was_held_when_it_was_saved_is_released)
{
    ready();
    bench_key(b, KEY_SHIFT, true);
    bench_key(b, KEY_A, true);
    CHECK_EQ(stroke(), 0x2a);
    CHECK_EQ(stroke(), MAKE_A);
    bench_save_load(b);
    bench_start(b);
    CHECK_EQ(stroke(), UP(MAKE_A));
    CHECK_EQ(stroke(), UP(0x2a));
    bench_step(b, 2000 * MS);
    CHECK_EQ(stroke(), 0);
    bench_key(b, KEY_B, true);
    CHECK_EQ(stroke(), MAKE_B);
    vg_close(ch);
    tear_down();
}

TEST(reset_takes_the_keyboard_away)
{
    ready();
    bench_reset(b, BP_RESET_COLD);
    bench_key(b, KEY_A, true);
    CHECK(heard_by_ps2());
    vg_forget(ch);
    tear_down();
}

/* Each of these is dropped, and the keyboard goes on. */
TEST(nonsense_is_survived)
{
    uint8_t junk[64];
    struct vg_packet p;

    set_up();
    send_words(4, 7, 8); /* LEDs before the version */
    vg_completion(ch, 7, &p);
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), 0);
    send_words(1, 0x10000, 4); /* padding is version 0 */
    CHECK(vg_receive(ch, &p));
    CHECK_EQ(wire_u32(p.data + 4), 0);
    vg_completion(ch, 7, &p);
    for (uint32_t message = 0; message < 8; message++) {
        memset(junk, 0xff, sizeof junk);
        wire_put32(junk, message * 0x10001);
        for (uint32_t n = 0; n < sizeof junk; n += 8) {
            CHECK(vg_send(ch, 9, junk, n, false));
            while (vg_receive(ch, &p)) {
            }
        }
    }
    CHECK_EQ(ask(0x10000), 1);
    bench_key(b, KEY_A, true);
    CHECK_EQ(stroke(), MAKE_A);
    vg_close(ch);
    tear_down();
}
