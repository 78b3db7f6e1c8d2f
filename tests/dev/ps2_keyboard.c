/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard behind the i8042: IBM PS/2 Technical Reference, "Keyboards
 * (101- and 102-key)": scan code tables of the three sets, commands.
 */
#include "tests/dev/ports.h"

#include <stdio.h>
#include <string.h>

#include <backplane/input.h>

#include "input/input.h"
#include "vm/vm.h"

#define LSHIFT 0xe1
#define LCTRL  0xe0
#define LALT   0xe2
#define PRINT  0x46
#define PAUSE  0x48
#define KEY_A  0x04

#define TRANSLATE 0x40

static void power_on(uint8_t command_byte)
{
    b = bench_create("i8042", NULL);
    out8(0x64, 0x60);
    out8(0x60, command_byte);
}

/* All bytes that wait, in hexadecimal. */
static const char *bytes(void)
{
    static char text[256];
    size_t n = 0;

    text[0] = 0;
    while (in8(0x64) & 1 && n < sizeof text - 4)
        n += snprintf(text + n, sizeof text - n, "%s%02x", n ? " " : "",
                      in8(0x60));
    return text;
}

static const char *reply_to(uint8_t v)
{
    out8(0x60, v);
    return bytes();
}

static void use_set(uint8_t set)
{
    CHECK_STR_EQ(reply_to(0xf0), "fa");
    CHECK_STR_EQ(reply_to(set), "fa");
}

/* --- scan codes ---------------------------------------------------------- */

/* HID usage; make codes, E0 as 1xx; sets 1, 2, 3. */
static const struct {
    uint8_t usage;
    uint16_t set1, set2, set3;
} keys[] = {
    /* clang-format off */
    { 0x04, 0x1e, 0x1c, 0x1c }, { 0x05, 0x30, 0x32, 0x32 }, /* A B */
    { 0x06, 0x2e, 0x21, 0x21 }, { 0x07, 0x20, 0x23, 0x23 },
    { 0x08, 0x12, 0x24, 0x24 }, { 0x09, 0x21, 0x2b, 0x2b },
    { 0x0a, 0x22, 0x34, 0x34 }, { 0x0b, 0x23, 0x33, 0x33 },
    { 0x0c, 0x17, 0x43, 0x43 }, { 0x0d, 0x24, 0x3b, 0x3b },
    { 0x0e, 0x25, 0x42, 0x42 }, { 0x0f, 0x26, 0x4b, 0x4b },
    { 0x10, 0x32, 0x3a, 0x3a }, { 0x11, 0x31, 0x31, 0x31 },
    { 0x12, 0x18, 0x44, 0x44 }, { 0x13, 0x19, 0x4d, 0x4d },
    { 0x14, 0x10, 0x15, 0x15 }, { 0x15, 0x13, 0x2d, 0x2d },
    { 0x16, 0x1f, 0x1b, 0x1b }, { 0x17, 0x14, 0x2c, 0x2c },
    { 0x18, 0x16, 0x3c, 0x3c }, { 0x19, 0x2f, 0x2a, 0x2a },
    { 0x1a, 0x11, 0x1d, 0x1d }, { 0x1b, 0x2d, 0x22, 0x22 },
    { 0x1c, 0x15, 0x35, 0x35 }, { 0x1d, 0x2c, 0x1a, 0x1a }, /* Y Z */
    { 0x1e, 0x02, 0x16, 0x16 }, { 0x1f, 0x03, 0x1e, 0x1e }, /* 1 2 */
    { 0x20, 0x04, 0x26, 0x26 }, { 0x21, 0x05, 0x25, 0x25 },
    { 0x22, 0x06, 0x2e, 0x2e }, { 0x23, 0x07, 0x36, 0x36 },
    { 0x24, 0x08, 0x3d, 0x3d }, { 0x25, 0x09, 0x3e, 0x3e },
    { 0x26, 0x0a, 0x46, 0x46 }, { 0x27, 0x0b, 0x45, 0x45 }, /* 9 0 */
    { 0x28, 0x1c, 0x5a, 0x5a }, { 0x29, 0x01, 0x76, 0x08 }, /* Enter Esc */
    { 0x2a, 0x0e, 0x66, 0x66 }, { 0x2b, 0x0f, 0x0d, 0x0d }, /* BkSp Tab */
    { 0x2c, 0x39, 0x29, 0x29 }, { 0x2d, 0x0c, 0x4e, 0x4e }, /* Space - */
    { 0x2e, 0x0d, 0x55, 0x55 }, { 0x2f, 0x1a, 0x54, 0x54 }, /* = [ */
    { 0x30, 0x1b, 0x5b, 0x5b }, { 0x31, 0x2b, 0x5d, 0x5c }, /* ] \ */
    { 0x32, 0x2b, 0x5d, 0x53 }, { 0x33, 0x27, 0x4c, 0x4c }, /* # ; */
    { 0x34, 0x28, 0x52, 0x52 }, { 0x35, 0x29, 0x0e, 0x0e }, /* ' ` */
    { 0x36, 0x33, 0x41, 0x41 }, { 0x37, 0x34, 0x49, 0x49 }, /* , . */
    { 0x38, 0x35, 0x4a, 0x4a }, { 0x39, 0x3a, 0x58, 0x14 }, /* / Caps */
    { 0x3a, 0x3b, 0x05, 0x07 }, { 0x3b, 0x3c, 0x06, 0x0f }, /* F1 F2 */
    { 0x3c, 0x3d, 0x04, 0x17 }, { 0x3d, 0x3e, 0x0c, 0x1f },
    { 0x3e, 0x3f, 0x03, 0x27 }, { 0x3f, 0x40, 0x0b, 0x2f },
    { 0x40, 0x41, 0x83, 0x37 }, { 0x41, 0x42, 0x0a, 0x3f },
    { 0x42, 0x43, 0x01, 0x47 }, { 0x43, 0x44, 0x09, 0x4f },
    { 0x44, 0x57, 0x78, 0x56 }, { 0x45, 0x58, 0x07, 0x5e }, /* F11 F12 */
    { 0x47, 0x46, 0x7e, 0x5f },                             /* Scroll */
    { 0x49, 0x152, 0x170, 0x67 }, { 0x4a, 0x147, 0x16c, 0x6e }, /* Ins Home */
    { 0x4b, 0x149, 0x17d, 0x6f }, { 0x4c, 0x153, 0x171, 0x64 }, /* PgUp Del */
    { 0x4d, 0x14f, 0x169, 0x65 }, { 0x4e, 0x151, 0x17a, 0x6d }, /* End PgDn */
    { 0x4f, 0x14d, 0x174, 0x6a }, { 0x50, 0x14b, 0x16b, 0x61 }, /* -> <- */
    { 0x51, 0x150, 0x172, 0x60 }, { 0x52, 0x148, 0x175, 0x63 }, /* down up */
    { 0x53, 0x45, 0x77, 0x76 },   { 0x54, 0x135, 0x14a, 0x77 }, /* Num / */
    { 0x55, 0x37, 0x7c, 0x7e },   { 0x56, 0x4a, 0x7b, 0x84 },   /* * - */
    { 0x57, 0x4e, 0x79, 0x7c },   { 0x58, 0x11c, 0x15a, 0x79 }, /* + Enter */
    { 0x59, 0x4f, 0x69, 0x69 },   { 0x5a, 0x50, 0x72, 0x72 },   /* 1 2 */
    { 0x5b, 0x51, 0x7a, 0x7a },   { 0x5c, 0x4b, 0x6b, 0x6b },
    { 0x5d, 0x4c, 0x73, 0x73 },   { 0x5e, 0x4d, 0x74, 0x74 },
    { 0x5f, 0x47, 0x6c, 0x6c },   { 0x60, 0x48, 0x75, 0x75 },
    { 0x61, 0x49, 0x7d, 0x7d },   { 0x62, 0x52, 0x70, 0x70 },   /* 9 0 */
    { 0x63, 0x53, 0x71, 0x71 },   { 0x64, 0x56, 0x61, 0x13 },   /* . 102nd */
    { 0x65, 0x15d, 0x12f, 0x8d },                               /* Menu */
    { 0xe0, 0x1d, 0x14, 0x11 },   { 0xe1, 0x2a, 0x12, 0x12 },
    { 0xe2, 0x38, 0x11, 0x19 },   { 0xe3, 0x15b, 0x11f, 0x8b },
    { 0xe4, 0x11d, 0x114, 0x58 }, { 0xe5, 0x36, 0x59, 0x59 },
    { 0xe6, 0x138, 0x111, 0x39 }, { 0xe7, 0x15c, 0x127, 0x8c },
    /* clang-format on */
};

static const char *make1(uint16_t code, uint8_t up)
{
    static char text[2][16];

    snprintf(text[up != 0], 16, "%s%02x", code & 0x100 ? "e0 " : "",
             (code & 0xff) | up);
    return text[up != 0];
}

static const char *break2(uint16_t code)
{
    static char text[16];

    snprintf(text, 16, "%sf0 %02x", code & 0x100 ? "e0 " : "", code & 0xff);
    return text;
}

TEST_P(key_has_its_code_in_set_1, keys)
{
    power_on(0);
    use_set(1);
    bench_key(b, row->usage, true);
    CHECK_STR_EQ(bytes(), make1(row->set1, 0));
    bench_key(b, row->usage, false);
    CHECK_STR_EQ(bytes(), make1(row->set1, 0x80));
}

TEST_P(key_has_its_code_in_set_2, keys)
{
    power_on(0);
    bench_key(b, row->usage, true);
    CHECK_STR_EQ(bytes(), make1(row->set2, 0));
    bench_key(b, row->usage, false);
    CHECK_STR_EQ(bytes(), break2(row->set2));
}

TEST_P(key_has_its_code_in_set_3, keys)
{
    power_on(0);
    use_set(3);
    bench_key(b, row->usage, true);
    CHECK_STR_EQ(bytes(), make1(row->set3, 0));
    bench_key(b, row->usage, false);
    CHECK_STR_EQ(bytes(), break2(row->set3));
}

TEST_P(set_2_is_translated_to_set_1, keys)
{
    power_on(TRANSLATE);
    bench_key(b, row->usage, true);
    CHECK_STR_EQ(bytes(), make1(row->set1, 0));
    bench_key(b, row->usage, false);
    CHECK_STR_EQ(bytes(), make1(row->set1, 0x80));
}

/* Keys whose codes depend on what else is held. */
static const struct {
    uint8_t set;
    uint8_t usage, held;
    const char *down, *up;
} specials[] = {
    { 2, PRINT, 0, "e0 12 e0 7c", "e0 f0 7c e0 f0 12" },
    { 2, PRINT, LSHIFT, "e0 7c", "e0 f0 7c" },
    { 2, PRINT, LCTRL, "e0 7c", "e0 f0 7c" },
    { 2, PRINT, LALT, "84", "f0 84" },
    { 1, PRINT, 0, "e0 2a e0 37", "e0 b7 e0 aa" },
    { 1, PRINT, LCTRL, "e0 37", "e0 b7" },
    { 1, PRINT, LALT, "54", "d4" },
    { 3, PRINT, 0, "57", "f0 57" },
    { 2, PAUSE, 0, "e1 14 77 e1 f0 14 f0 77", "" },
    { 2, PAUSE, LCTRL, "e0 7e e0 f0 7e", "" },
    { 1, PAUSE, 0, "e1 1d 45 e1 9d c5", "" },
    { 1, PAUSE, LCTRL, "e0 46 e0 c6", "" },
    { 3, PAUSE, 0, "62", "f0 62" },
    { 2, 0x90, 0, "f2", "" }, /* Hangul and Hanja have no break code */
    { 2, 0x91, 0, "f1", "" },
    { 1, 0x90, 0, "f2", "" },
    { 2, 0x87, 0, "51", "f0 51" },
    { 2, 0x89, 0, "6a", "f0 6a" },
};

TEST_P(special_key_sends_what_the_table_says, specials)
{
    power_on(0);
    use_set(row->set);
    if (row->held)
        bench_key(b, row->held, true);
    bytes();
    bench_key(b, row->usage, true);
    CHECK_STR_EQ(bytes(), row->down);
    bench_key(b, row->usage, false);
    CHECK_STR_EQ(bytes(), row->up);
}

TEST(pause_is_translated_whole)
{
    power_on(TRANSLATE);
    bench_key(b, PAUSE, true);
    CHECK_STR_EQ(bytes(), "e1 1d 45 e1 9d c5");
}

/* --- typematic ----------------------------------------------------------- */

/* Parameter of F3h; -1: the default, 2Bh.  ms; us by the formula of the
 * manual: (8 + bits 2:0) * 2^(bits 4:3) * 4.17 ms. */
static const struct {
    int rate;
    uint64_t delay, period;
} typematics[] = {
    { -1, 500, 91740 },    { 0x00, 250, 33360 },  { 0x20, 500, 33360 },
    { 0x60, 1000, 33360 }, { 0x1f, 250, 500400 }, { 0x2b, 500, 91740 },
    { 0x0c, 250, 100080 },
};

TEST_P(held_key_repeats_after_delay_with_its_rate, typematics)
{
    power_on(0);
    if (row->rate >= 0) {
        CHECK_STR_EQ(reply_to(0xf3), "fa");
        CHECK_STR_EQ(reply_to(row->rate), "fa");
    }
    bench_key(b, KEY_A, true);
    CHECK_STR_EQ(bytes(), "1c");
    bench_step(b, row->delay * 1000000 - 1);
    CHECK_STR_EQ(bytes(), "");
    bench_step(b, 1);
    CHECK_STR_EQ(bytes(), "1c");
    for (unsigned i = 0; i < 3; i++) {
        bench_step(b, row->period * 1000 - 1);
        CHECK_STR_EQ(bytes(), "");
        bench_step(b, 1);
        CHECK_STR_EQ(bytes(), "1c");
    }
    bench_key(b, KEY_A, false);
    CHECK_STR_EQ(bytes(), "f0 1c");
    bench_step(b, 3000000000);
    CHECK_STR_EQ(bytes(), "");
}

/* What repeats while several keys are held: 1 s after the last event. */
static const struct {
    const char *events; /* a A: down, up */
    const char *repeats;
} several[] = {
    { "a", "1c" }, { "ab", "32" }, { "abB", "" }, { "abA", "32" }, { "aA", "" },
};

TEST_P(only_the_key_pressed_last_repeats, several)
{
    power_on(0);
    reply_to(0xf3);
    reply_to(0x7f); /* a second, then every half one */
    for (const char *p = row->events; *p; p++)
        bench_key(b, KEY_A + ((*p | 32) - 'a'), *p >= 'a');
    bytes();
    bench_step(b, 1010000000);
    CHECK_STR_EQ(bytes(), row->repeats);
}

TEST(repetition_goes_on_after_save_and_load)
{
    power_on(0);
    bench_key(b, KEY_A, true);
    bytes();
    bench_step(b, 400000000);
    bench_save_load(b);
    CHECK_STR_EQ(bytes(), "");
    bench_step(b, 101000000);
    CHECK_STR_EQ(bytes(), "1c");
}

static const struct {
    uint8_t usage;
    const char *repeat;
} specials_held[] = {
    { PRINT, "e0 7c" },
    { PAUSE, "" },
    { 0x4f, "e0 74" },
};

TEST_P(special_key_repeats_its_own_way, specials_held)
{
    power_on(0);
    bench_key(b, row->usage, true);
    bytes();
    bench_step(b, 501000000);
    CHECK_STR_EQ(bytes(), row->repeat);
}

TEST(disabling_the_keyboard_ends_the_repetition)
{
    power_on(0);
    bench_key(b, KEY_A, true);
    bytes();
    reply_to(0xf5);
    bench_step(b, 2000000000);
    CHECK_STR_EQ(bytes(), "");
}

TEST(unknown_usage_sends_nothing)
{
    power_on(0);
    bench_key(b, 0x00, true);
    bench_key(b, 0xa0, true);
    bench_key(b, 0xffff, true);
    CHECK_STR_EQ(bytes(), "");
}

/* --- commands ------------------------------------------------------------ */

static const struct {
    uint8_t command;
    const char *reply;
} commands[] = {
    { 0xee, "ee" }, { 0xf2, "fa ab 83" }, { 0xf4, "fa" }, { 0xf5, "fa" },
    { 0xf6, "fa" }, { 0xf7, "fa" },       { 0xf8, "fa" }, { 0xf9, "fa" },
    { 0xfa, "fa" }, { 0xff, "fa aa" },    { 0xed, "fa" }, { 0xf0, "fa" },
    { 0xf3, "fa" }, { 0x00, "fe" },       { 0x7f, "fe" }, { 0xef, "fe" },
    { 0xf1, "fe" },
};

TEST_P(keyboard_command_has_its_reply, commands)
{
    power_on(0);
    CHECK_STR_EQ(reply_to(row->command), row->reply);
}

static const struct {
    uint8_t set;
    const char *plain, *translated;
} sets[] = {
    { 1, "fa 01", "fa 43" },
    { 2, "fa 02", "fa 41" },
    { 3, "fa 03", "fa 3f" },
};

TEST_P(scan_code_set_is_reported, sets)
{
    power_on(0);
    use_set(row->set);
    CHECK_STR_EQ(reply_to(0xf0), "fa");
    CHECK_STR_EQ(reply_to(0x00), row->plain);
    out8(0x64, 0x60);
    out8(0x60, TRANSLATE);
    CHECK_STR_EQ(reply_to(0xf0), "fa");
    CHECK_STR_EQ(reply_to(0x00), row->translated);
}

TEST(scan_code_set_that_does_not_exist_is_refused)
{
    power_on(0);
    CHECK_STR_EQ(reply_to(0xf0), "fa");
    CHECK_STR_EQ(reply_to(0x04), "fe");
    CHECK_STR_EQ(reply_to(0xf0), "fa");
    CHECK_STR_EQ(reply_to(0x00), "fa 02");
}

TEST(identification_is_translated_but_for_its_first_byte)
{
    power_on(TRANSLATE);
    CHECK_STR_EQ(reply_to(0xf2), "fa ab 41");
}

TEST(resend_gives_the_last_byte)
{
    power_on(0);
    bench_key(b, KEY_A, false);
    CHECK_STR_EQ(reply_to(0xf2), "fa ab 83");
    CHECK_STR_EQ(reply_to(0xfe), "83");
    CHECK_STR_EQ(reply_to(0xfe), "83");
}

TEST(new_command_replaces_a_parameter)
{
    power_on(0);
    CHECK_STR_EQ(reply_to(0xed), "fa");
    CHECK_STR_EQ(reply_to(0xee), "ee");
    CHECK_STR_EQ(reply_to(0x02), "fe");
}

/* Does the keyboard scan after the command, when it did or did not before? */
static const struct {
    uint8_t command;
    bool from_off, from_on;
} scans[] = {
    { 0xf4, true, true }, { 0xf5, false, false }, { 0xf6, false, true },
    { 0xff, true, true }, { 0xee, false, true },
};

TEST_P(command_starts_or_stops_scanning, scans)
{
    power_on(0);
    reply_to(0xf5);
    reply_to(row->command);
    bench_key(b, KEY_A, true);
    CHECK_EQ(in8(0x64) & 1, row->from_off);
    bytes();
    bench_key(b, KEY_A, false);
    reply_to(0xf4);
    reply_to(row->command);
    bench_key(b, KEY_A, true);
    CHECK_EQ(in8(0x64) & 1, row->from_on);
}

static const uint8_t defaults[] = { 0xf5, 0xf6, 0xff };

TEST_P(defaults_bring_set_2_back, defaults)
{
    power_on(0);
    use_set(1);
    reply_to(*row);
    CHECK_STR_EQ(reply_to(0xf0), "fa");
    CHECK_STR_EQ(reply_to(0x00), "fa 02");
}

/* --- LEDs ---------------------------------------------------------------- */

static const struct {
    uint8_t written;
    uint32_t leds;
} leds[] = {
    { 0, 0 },
    { 1, BP_LED_SCROLL },
    { 2, BP_LED_NUM },
    { 4, BP_LED_CAPS },
    { 7, BP_LED_SCROLL | BP_LED_NUM | BP_LED_CAPS },
};

TEST_P(indicators_reach_the_host, leds)
{
    power_on(0);
    CHECK_STR_EQ(reply_to(0xed), "fa");
    CHECK_STR_EQ(reply_to(row->written), "fa");
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), row->leds);
    bench_save_load(b);
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), row->leds);
    CHECK_STR_EQ(reply_to(0xff), "fa aa");
    CHECK_EQ(inputs_leds(bench_vm(b)->inputs), 0);
}

/* --- overrun ------------------------------------------------------------- */

static const struct {
    uint8_t set;
    const char *mark;
} overruns[] = {
    { 2, "00" },
    { 1, "ff" },
    { 3, "00" },
};

/* Letters and digits, none of them released. */
static void press_36_keys(void)
{
    for (unsigned usage = 0x04; usage < 0x28; usage++)
        bench_key(b, usage, true);
}

TEST_P(keys_beyond_the_buffer_leave_one_overrun_code, overruns)
{
    const char *text;

    power_on(0);
    use_set(row->set);
    press_36_keys();
    text = bytes();
    CHECK_GE(strlen(text), 3 * 17 - 1); /* sixteen keys fit */
    CHECK_LE(strlen(text), 3 * 32 - 1);
    CHECK_STR_EQ(text + strlen(text) - 2, row->mark);
    CHECK_STR_EQ(strstr(text, row->mark), row->mark);
    bench_key(b, 0x2c, true);
    CHECK_STR_EQ(bytes(), row->set == 1 ? "39" : "29");
}

TEST(no_part_of_a_sequence_is_lost_in_an_overrun)
{
    static const uint8_t prefixed[] = { 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e,
                                        0x4f, 0x50, 0x51, 0x52, 0x54, 0x58,
                                        0x65, 0xe3, 0xe4, 0xe6, 0xe7 };
    const char *text;

    power_on(0);
    for (unsigned i = 0; i < sizeof prefixed; i++)
        bench_key(b, prefixed[i], true);
    text = bytes();
    while (strncmp(text, "e0 ", 3) == 0)
        text += 6;
    CHECK_STR_EQ(text, "00");
}

TEST(answers_have_room_behind_a_full_buffer)
{
    const char *text;

    power_on(0);
    press_36_keys();
    text = reply_to(0xf2);
    CHECK_STR_EQ(text + strlen(text) - 8, "fa ab 83");
}
