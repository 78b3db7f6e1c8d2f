/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mouse behind the i8042: IBM PS/2 Technical Reference, "Mouse" (commands,
 * packet, scaling), and Microsoft's IntelliMouse extensions.
 */
#include "tests/dev/ports.h"

#include <stdio.h>

#include <backplane/input.h>

#define L BP_BUTTON_LEFT
#define R BP_BUTTON_RIGHT
#define M BP_BUTTON_MIDDLE

static void power_on(void)
{
    b = bench_create("i8042", NULL);
    out8(0x64, 0x60);
    out8(0x60, 0x02);
}

/* All bytes that wait, in hexadecimal; all are the mouse's. */
static const char *bytes(void)
{
    static char text[256];
    size_t n = 0;

    text[0] = 0;
    while (in8(0x64) & 1 && n < sizeof text - 4) {
        CHECK_EQ(in8(0x64) & 0x20, 0x20);
        n += snprintf(text + n, sizeof text - n, "%s%02x", n ? " " : "",
                      in8(0x60));
    }
    return text;
}

static const char *reply_to(uint8_t v)
{
    out8(0x64, 0xd4);
    out8(0x60, v);
    return bytes();
}

static void knock(uint8_t a, uint8_t second, uint8_t c)
{
    const uint8_t rate[] = { a, second, c };

    for (unsigned i = 0; i < 3; i++) {
        CHECK_STR_EQ(reply_to(0xf3), "fa");
        CHECK_STR_EQ(reply_to(rate[i]), "fa");
    }
}

static void enable(void)
{
    CHECK_STR_EQ(reply_to(0xf4), "fa");
}

/* --- commands ------------------------------------------------------------ */

static const struct {
    uint8_t command;
    const char *reply;
} commands[] = {
    { 0xff, "fa aa 00" },    { 0xf6, "fa" }, { 0xf5, "fa" },
    { 0xf4, "fa" },          { 0xf3, "fa" }, { 0xf2, "fa 00" },
    { 0xf0, "fa" },          { 0xee, "fa" }, { 0xec, "fa" },
    { 0xeb, "fa 08 00 00" }, { 0xea, "fa" }, { 0xe9, "fa 00 02 64" },
    { 0xe8, "fa" },          { 0xe7, "fa" }, { 0xe6, "fa" },
    { 0x00, "fe" },          { 0xe1, "fe" }, { 0xf1, "fe" },
    { 0xfb, "fe" },          { 0xed, "fe" },
};

TEST_P(mouse_command_has_its_reply, commands)
{
    power_on();
    CHECK_STR_EQ(reply_to(row->command), row->reply);
}

/* One command, its parameter (-1: none), and the status afterwards. */
static const struct {
    uint8_t command;
    int parameter;
    const char *status;
} states[] = {
    { 0xf4, -1, "fa 20 02 64" },  { 0xe7, -1, "fa 10 02 64" },
    { 0xf0, -1, "fa 40 02 64" },  { 0xe8, 0, "fa 00 00 64" },
    { 0xe8, 3, "fa 00 03 64" },   { 0xf3, 10, "fa 00 02 0a" },
    { 0xf3, 200, "fa 00 02 c8" },
};

TEST_P(status_shows_what_was_set, states)
{
    power_on();
    CHECK_STR_EQ(reply_to(row->command), "fa");
    if (row->parameter >= 0)
        CHECK_STR_EQ(reply_to(row->parameter), "fa");
    CHECK_STR_EQ(reply_to(0xe9), row->status);
    CHECK_STR_EQ(reply_to(0xf6), "fa");
    CHECK_STR_EQ(reply_to(0xe9), "fa 00 02 64");
}

static const struct {
    uint32_t buttons;
    const char *status;
} pressed[] = {
    { L, "fa 04 02 64" },
    { R, "fa 01 02 64" },
    { M, "fa 02 02 64" },
    { L | R | M, "fa 07 02 64" },
};

TEST_P(status_shows_buttons, pressed)
{
    power_on();
    bench_motion(b, 0, 0, 0, row->buttons);
    CHECK_STR_EQ(reply_to(0xe9), row->status);
}

TEST(scaling_and_stream_mode_are_switched_back)
{
    power_on();
    reply_to(0xe7);
    reply_to(0xf0);
    CHECK_STR_EQ(reply_to(0xe9), "fa 50 02 64");
    reply_to(0xe6);
    reply_to(0xea);
    CHECK_STR_EQ(reply_to(0xe9), "fa 00 02 64");
}

TEST(resend_gives_the_last_byte)
{
    power_on();
    CHECK_STR_EQ(reply_to(0xe9), "fa 00 02 64");
    CHECK_STR_EQ(reply_to(0xfe), "64");
}

TEST(wrap_mode_echoes_all_but_its_end_and_reset)
{
    power_on();
    CHECK_STR_EQ(reply_to(0xee), "fa");
    CHECK_STR_EQ(reply_to(0xf4), "f4");
    CHECK_STR_EQ(reply_to(0x12), "12");
    CHECK_STR_EQ(reply_to(0xee), "ee");
    bench_motion(b, 5, 0, 0, 0);
    CHECK_STR_EQ(bytes(), "");
    CHECK_STR_EQ(reply_to(0xec), "fa");
    CHECK_STR_EQ(reply_to(0xf2), "fa 00");
    CHECK_STR_EQ(reply_to(0xee), "fa");
    CHECK_STR_EQ(reply_to(0xff), "fa aa 00");
    CHECK_STR_EQ(reply_to(0xf2), "fa 00");
}

/* --- packets ------------------------------------------------------------- */

/* dy: down is positive for the host, up on the wire. */
static const struct {
    int dx, dy;
    uint32_t buttons;
    const char *packet;
} packets[] = {
    { 1, 0, 0, "08 01 00" },      { -1, 0, 0, "18 ff 00" },
    { 0, 1, 0, "28 00 ff" },      { 0, -1, 0, "08 00 01" },
    { 100, -100, 0, "08 64 64" }, { -255, 255, 0, "38 01 01" },
    { 255, -255, 0, "08 ff ff" }, { 0, 0, L, "09 00 00" },
    { 0, 0, R, "0a 00 00" },      { 0, 0, M, "0c 00 00" },
    { -3, 4, L | R, "3b fd fc" },
};

TEST_P(packet_has_buttons_signs_and_movement, packets)
{
    power_on();
    enable();
    bench_motion(b, row->dx, row->dy, 0, row->buttons);
    CHECK_STR_EQ(bytes(), row->packet);
    bench_motion(b, 0, 0, 0, row->buttons);
    CHECK_STR_EQ(bytes(), ""); /* nothing new */
}

TEST(movement_beyond_a_packet_follows_in_the_next)
{
    power_on();
    enable();
    bench_motion(b, 600, 0, 0, 0);
    CHECK_STR_EQ(bytes(), "08 ff 00 08 ff 00 08 5a 00");
}

TEST(movement_adds_up_while_nobody_reads)
{
    int x = 0;

    power_on();
    enable();
    for (unsigned i = 0; i < 200; i++)
        bench_motion(b, 1, 0, 0, 0);
    for (unsigned i = 0; i < 200 && in8(0x64) & 1; i++) {
        CHECK_EQ(in8(0x60), 0x08);
        x += in8(0x60);
        CHECK_EQ(in8(0x60), 0);
    }
    CHECK_EQ(x, 200);
}

TEST(button_released_while_nobody_reads_is_seen)
{
    power_on();
    enable();
    for (unsigned i = 0; i < 20; i++)
        bench_motion(b, 1, 0, 0, i & 1 ? 0 : L);
    bench_motion(b, 0, 0, 0, R);
    bytes();
    CHECK_STR_EQ(reply_to(0xe9), "fa 21 02 64");
    bench_motion(b, 0, 0, 0, 0);
    CHECK_STR_EQ(bytes(), "08 00 00");
}

/* --- reporting ----------------------------------------------------------- */

TEST(disabled_mouse_reports_nothing)
{
    power_on();
    bench_motion(b, 5, 0, 0, L);
    CHECK_STR_EQ(bytes(), "");
    enable();
    CHECK_STR_EQ(bytes(), ""); /* the past does not count */
    bench_motion(b, 1, 0, 0, L);
    CHECK_STR_EQ(bytes(), "09 01 00");
    reply_to(0xf5);
    bench_motion(b, 1, 0, 0, 0);
    CHECK_STR_EQ(bytes(), "");
}

TEST(remote_mouse_reports_when_it_is_asked)
{
    power_on();
    reply_to(0xf0);
    bench_motion(b, 3, -4, 0, L);
    bench_motion(b, 3, -4, 0, L);
    CHECK_STR_EQ(bytes(), "");
    CHECK_STR_EQ(reply_to(0xeb), "fa 09 06 08");
    CHECK_STR_EQ(reply_to(0xeb), "fa 09 00 00");
}

/* "2:1 scaling": stream mode only. */
static const struct {
    int in, out;
} scaling[] = {
    { 0, 0 }, { 1, 1 },  { 2, 1 },  { 3, 3 },    { 4, 6 },
    { 5, 9 }, { 6, 12 }, { 7, 14 }, { 50, 100 },
};

TEST_P(scaling_doubles_fast_movement, scaling)
{
    char want[32];

    power_on();
    reply_to(0xe7);
    enable();
    bench_motion(b, row->in, 0, 0, L);
    snprintf(want, sizeof want, "09 %02x 00", row->out);
    CHECK_STR_EQ(bytes(), want);
    bench_motion(b, 0, row->in, 0, 0);
    snprintf(want, sizeof want, "%02x 00 %02x", row->in ? 0x28 : 0x08,
             -row->out & 0xff);
    CHECK_STR_EQ(bytes(), want);
}

TEST_P(data_that_were_asked_for_are_not_scaled, scaling)
{
    char want[32];

    power_on();
    reply_to(0xe7);
    reply_to(0xf0);
    bench_motion(b, row->in, 0, 0, 0);
    snprintf(want, sizeof want, "fa 08 %02x 00", row->in);
    CHECK_STR_EQ(reply_to(0xeb), want);
}

TEST(command_drops_packets_that_wait)
{
    power_on();
    enable();
    bench_motion(b, 1, 0, 0, 0);
    in8(0x60);
    CHECK_STR_EQ(reply_to(0xf2), "01 fa 00"); /* one was on its way */
}

/* --- IntelliMouse -------------------------------------------------------- */

static const struct {
    uint8_t rates[6];
    const char *id;
} knocks[] = {
    { { 200, 100, 80 }, "fa 03" }, { { 200, 100, 80, 200, 200, 80 }, "fa 04" },
    { { 100, 200, 80 }, "fa 00" }, { { 200, 100, 60 }, "fa 00" },
    { { 200, 80, 100 }, "fa 00" }, { { 200, 100, 80, 200, 100, 80 }, "fa 03" },
};

TEST_P(sample_rates_unlock_wheel_and_buttons, knocks)
{
    power_on();
    knock(row->rates[0], row->rates[1], row->rates[2]);
    if (row->rates[3])
        knock(row->rates[3], row->rates[4], row->rates[5]);
    CHECK_STR_EQ(reply_to(0xf2), row->id);
    CHECK_STR_EQ(reply_to(0xff), "fa aa 00");
    CHECK_STR_EQ(reply_to(0xf2), "fa 00");
}

/* wheel: up is positive for the host, negative on the wire. */
static const struct {
    bool five;
    int wheel;
    uint32_t buttons;
    const char *packet;
} wheels[] = {
    { false, 1, 0, "08 00 00 ff" },
    { false, -1, 0, "08 00 00 01" },
    { false, -1, M, "0c 00 00 01" },
    { true, 1, 0, "08 00 00 0f" },
    { true, -1, 0, "08 00 00 01" },
    { true, 0, BP_BUTTON_4, "08 00 00 10" },
    { true, 0, BP_BUTTON_5, "08 00 00 20" },
    { true, -1, BP_BUTTON_4 | BP_BUTTON_5 | L, "09 00 00 31" },
};

TEST_P(fourth_byte_has_the_wheel, wheels)
{
    power_on();
    knock(200, 100, 80);
    if (row->five)
        knock(200, 200, 80);
    enable();
    bench_motion(b, 0, 0, row->wheel, row->buttons);
    CHECK_STR_EQ(bytes(), row->packet);
}

TEST(wheel_of_a_plain_mouse_is_silent)
{
    power_on();
    enable();
    bench_motion(b, 0, 0, 1, 0);
    CHECK_STR_EQ(bytes(), "");
    knock(200, 100, 80);
    enable();
    bench_motion(b, 1, 0, 0, 0);
    CHECK_STR_EQ(bytes(), "08 01 00 00");
}

TEST(mouse_goes_on_after_save_and_load)
{
    power_on();
    knock(200, 100, 80);
    enable();
    bench_motion(b, 300, 0, 0, L);
    CHECK_EQ(in8(0x60), 0x09);
    bench_save_load(b);
    CHECK_STR_EQ(bytes(), "ff 00 00 09 2d 00 00");
    CHECK_STR_EQ(reply_to(0xf2), "fa 03");
}
