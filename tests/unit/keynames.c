/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys, and where keys and movements go. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "input/input.h"
#include "sched/lane.h"

/* --- names ---------------------------------------------------------------*/

static const struct {
    const char *text;
    unsigned count;
    uint32_t usages[4];
} combinations[] = {
    { "ctrl-alt-delete", 3, { 0xe0, 0xe2, 0x4c } },
    { "ctrl-alt-f1", 3, { 0xe0, 0xe2, 0x3a } },
    { "ret", 1, { 0x28 } },
    { "a", 1, { 0x04 } },
    { "z", 1, { 0x1d } },
    { "1", 1, { 0x1e } },
    { "0", 1, { 0x27 } },
    { "f12", 1, { 0x45 } },
    { "shift-minus", 2, { 0xe1, 0x2d } },
    { "alt_r-less", 2, { 0xe6, 0x64 } },
    { "kp_enter", 1, { 0x58 } },
    { "meta_l", 1, { 0xe3 } },
    { "", 0, { 0 } },
    { "ctrl-", 0, { 0 } },
    { "hyper", 0, { 0 } },
    { "ctrl-alt-shift-a-b", 0, { 0 } }, /* more than there is room */
};

TEST_P(names_are_usages, combinations)
{
    uint32_t usages[4] = { 0 };

    CHECK_EQ(keys_parse(row->text, usages, 4), row->count);
    for (unsigned i = 0; i < row->count; i++)
        CHECK_EQ(usages[i], row->usages[i]);
}

/* What is printed on a US keyboard, in the order of the usages 0x04..0x38. */
static const char plain[] =
    "abcdefghijklmnopqrstuvwxyz1234567890\n\033\b\t -=[]\\?;'`,./";
static const char shifted[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()????\?_+{}|?:\"~<>?";

TEST(every_ascii_character_can_be_typed)
{
    for (int c = ' '; c < 127; c++) {
        uint32_t usage;
        bool shift;

        test_note("character %c", c);
        CHECK(keys_for_char((char)c, &usage, &shift));
        CHECK_GE(usage, 0x04);
        CHECK_LT(usage - 0x04, sizeof plain - 1);
        CHECK_EQ((shift ? shifted : plain)[usage - 0x04], c);
    }
}

TEST(line_feed_and_tab_are_keys_and_others_are_not)
{
    uint32_t usage;
    bool shift;

    CHECK(keys_for_char('\n', &usage, &shift));
    CHECK_EQ(usage, 0x28);
    CHECK(!shift);
    CHECK(keys_for_char('\t', &usage, &shift));
    CHECK_EQ(usage, 0x2b);
    CHECK(!keys_for_char('\001', &usage, &shift));
    CHECK(!keys_for_char((char)0xe4, &usage, &shift));
}

/* --- routing -------------------------------------------------------------*/

struct device {
    struct receiver *receiver;
    unsigned keys;
    uint32_t usage[1200];
    int32_t down[1200];
    unsigned moves;
    int64_t dx, dy, wheel;
    uint32_t buttons, x, y;
};

static struct lanes *lanes;
static struct lane *lane;
static struct inputs *in;
static struct device a, b;

static void on_key(void *ctx, uint32_t usage, int32_t down)
{
    struct device *d = ctx;

    CHECK(lane_held(lane));
    CHECK_LT(d->keys, G_N_ELEMENTS(d->usage));
    d->usage[d->keys] = usage;
    d->down[d->keys++] = down;
}

static void on_motion(void *ctx, int32_t dx, int32_t dy, int32_t wheel,
                      uint32_t buttons)
{
    struct device *d = ctx;

    d->moves++;
    d->dx += dx;
    d->dy += dy;
    d->wheel += wheel;
    d->buttons = buttons;
}

static void on_position(void *ctx, uint32_t x, uint32_t y, int32_t wheel,
                        uint32_t buttons)
{
    struct device *d = ctx;

    d->moves++;
    d->x = x;
    d->y = y;
    d->wheel += wheel;
    d->buttons = buttons;
}

static const struct bp_receiver_ops keyboard = { .size = sizeof keyboard,
                                                 .key = on_key };
static const struct bp_receiver_ops mouse = { .size = sizeof mouse,
                                              .motion = on_motion };
static const struct bp_receiver_ops tablet = { .size = sizeof tablet,
                                               .position = on_position };

static void start(void)
{
    lanes = lanes_create(0);
    lane = lane_create(lanes, "keyboard", LANE_DEVICE);
    in = inputs_create();
}

static void end(void)
{
    if (a.receiver)
        receiver_destroy(a.receiver);
    if (b.receiver)
        receiver_destroy(b.receiver);
    lane_destroy(lane);
    lanes_destroy(lanes);
    inputs_destroy(in);
}

static void attach(struct device *d, const struct bp_receiver_ops *ops)
{
    d->receiver = receiver_create(in, "device", lane, ops, d);
}

TEST(keys_go_to_the_keyboard_enabled_last)
{
    start();
    attach(&a, &keyboard);
    attach(&b, &keyboard);
    receiver_enable(b.receiver, false);
    inputs_key(in, 4, true);
    inputs_key(in, 4, false);
    receiver_enable(b.receiver, true);
    inputs_key(in, 5, true);
    lanes_run(lanes);
    CHECK_EQ(a.keys, 2);
    CHECK_EQ(a.usage[0], 4);
    CHECK_EQ(a.down[1], 0);
    CHECK_EQ(b.keys, 1);
    CHECK_EQ(b.usage[0], 5);
    end();
}

TEST(key_held_when_another_keyboard_takes_over_is_released)
{
    start();
    attach(&a, &keyboard);
    inputs_key(in, 0xe0, true);
    attach(&b, &keyboard);
    inputs_key(in, 0xe0, false);
    lanes_run(lanes);
    CHECK_EQ(a.keys, 2);
    CHECK_EQ(a.down[0], 1);
    CHECK_EQ(a.down[1], 0);
    CHECK_EQ(b.keys, 0);
    end();
}

TEST(focus_loss_releases_what_is_held)
{
    start();
    attach(&a, &keyboard);
    inputs_key(in, 0xe0, true);
    inputs_key(in, 0x06, true);
    inputs_key(in, 0x06, true); /* the host repeats */
    inputs_release_all(in);
    inputs_release_all(in);
    inputs_key(in, 0x06, false);
    lanes_run(lanes);
    CHECK_EQ(a.keys, 4);
    CHECK_EQ(a.down[2] | a.down[3], 0);
    end();
}

TEST(usages_that_are_no_keys_are_dropped)
{
    start();
    attach(&a, &keyboard);
    inputs_key(in, 0, true);
    inputs_key(in, 3, true);
    inputs_key(in, 0xe8, true);
    inputs_key(in, UINT32_MAX, true);
    lanes_run(lanes);
    CHECK_EQ(a.keys, 0);
    end();
}

TEST(device_that_stands_still_loses_presses_but_no_release)
{
    unsigned held = 0;

    start();
    attach(&a, &keyboard);
    for (unsigned i = 0; i < 1000; i++) {
        inputs_key(in, 4 + i % 100, true);
        if (i % 3)
            inputs_key(in, 4 + i % 100, false);
    }
    inputs_release_all(in);
    lanes_run(lanes);
    CHECK_GT(a.keys, 200);
    CHECK_LE(a.keys, 512);
    for (unsigned i = 0; i < a.keys; i++)
        held += a.down[i] ? 1 : -1;
    CHECK_EQ(held, 0);
    end();
}

TEST(movements_add_up_and_the_buttons_arrive)
{
    start();
    attach(&a, &mouse);
    for (unsigned i = 0; i < 10000; i++)
        inputs_motion(in, 1, -2, 0, 0);
    inputs_motion(in, 5, 0, 1, BP_BUTTON_LEFT);
    inputs_motion(in, INT32_MAX, INT32_MIN, 0, BP_BUTTON_LEFT);
    lanes_run(lanes);
    CHECK_EQ(a.moves, 2);
    CHECK_EQ(a.dx, 10000 + (int64_t)INT32_MAX);
    CHECK_EQ(a.dy, -20000 + (int64_t)INT32_MIN);
    CHECK_EQ(a.wheel, 1);
    CHECK_EQ(a.buttons, BP_BUTTON_LEFT);
    end();
}

TEST(flood_of_clicks_ends_with_the_buttons_as_they_are)
{
    start();
    attach(&a, &mouse);
    for (unsigned i = 0; i < 10001; i++)
        inputs_motion(in, 0, 0, 0, i % 2 ? BP_BUTTON_LEFT : BP_BUTTON_RIGHT);
    lanes_run(lanes);
    CHECK_LE(a.moves, 512);
    CHECK_EQ(a.buttons, BP_BUTTON_RIGHT);
    end();
}

TEST(tablet_makes_the_grab_unnecessary)
{
    start();
    attach(&a, &mouse);
    CHECK(!inputs_take_position(in));
    attach(&b, &tablet);
    CHECK(inputs_take_position(in));
    inputs_position(in, 40000, 7, 0, BP_BUTTON_RIGHT);
    lanes_run(lanes);
    CHECK_EQ(b.x, 32767);
    CHECK_EQ(b.y, 7);
    CHECK_EQ(a.moves, 0);
    receiver_enable(b.receiver, false);
    CHECK(!inputs_take_position(in));
    end();
}

static uint32_t told_leds;

static void on_leds(void *opaque, uint32_t leds)
{
    told_leds = leds;
}

TEST(leds_are_those_of_the_keyboard_in_use)
{
    start();
    inputs_on_leds(in, on_leds, NULL);
    attach(&a, &keyboard);
    receiver_set_leds(a.receiver, BP_LED_CAPS);
    CHECK_EQ(told_leds, BP_LED_CAPS);
    attach(&b, &keyboard);
    CHECK_EQ(told_leds, 0);
    receiver_set_leds(a.receiver, BP_LED_NUM);
    CHECK_EQ(told_leds, 0);
    receiver_enable(b.receiver, false);
    CHECK_EQ(told_leds, BP_LED_NUM);
    CHECK_EQ(inputs_leds(in), BP_LED_NUM);
    end();
}

TEST(device_may_go_with_events_on_their_way)
{
    start();
    attach(&a, &keyboard);
    inputs_key(in, 4, true);
    receiver_destroy(a.receiver);
    a.receiver = NULL;
    lanes_run(lanes);
    CHECK_EQ(a.keys, 0);
    end();
}
