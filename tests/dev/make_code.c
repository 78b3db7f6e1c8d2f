/* SPDX-License-Identifier: Apache-2.0 */
/* Make codes of the keyboard on VMBus, against what a PS/2 keyboard says
 * through an 8042 that translates. */
#include "tests/dev/ports.h"

#include <stdio.h>
#include <string.h>

#include "plugins/synthetic/make_code.h"

#define TRANSLATE_CODES 0x40
#define HANGUL          0x90
#define HANJA           0x91
#define F13             0x68
#define F24             0x73
#define LCTRL           0xe0
#define LALT            0xe2

/* The bytes that Linux makes of keystroke messages. */
static void bytes_of(char *text, const struct stroke *s, unsigned n)
{
    *text = 0;
    for (unsigned i = 0; i < n; i++) {
        if (s[i].flags & STROKE_E0)
            text += sprintf(text, "e0 ");
        if (s[i].flags & STROKE_E1)
            text += sprintf(text, "e1 ");
        text += sprintf(text, "%02x ",
                        s[i].make | (s[i].flags & STROKE_BREAK ? 0x80 : 0));
    }
}

static void typed(char *text, uint32_t usage, int down)
{
    struct stroke s[MAX_STROKES];

    bytes_of(text, s, make_strokes(s, usage, down, 0, 0));
}

static void from_8042(char *text)
{
    *text = 0;
    while (in8(0x64) & 1)
        text += sprintf(text, "%02x ", in8(0x60));
}

/* A PS/2 keyboard has no F13, sends nothing when the Korean keys go up and
 * puts shifts around Print Screen. */
static bool same_on_both(uint32_t usage)
{
    return usage != USAGE_PRINT && usage != HANGUL && usage != HANJA &&
           !(usage >= F13 && usage <= F24);
}

TEST(codes_are_those_of_a_ps2_keyboard)
{
    unsigned compared = 0;

    b = bench_create("i8042", NULL);
    out8(0x64, 0x60);
    out8(0x60, TRANSLATE_CODES);
    for (uint32_t usage = 0; usage < KEY_USAGES; usage++) {
        for (int down = 1; down >= 0; down--) {
            char ours[64], theirs[64];
            bench_key(b, usage, down);
            from_8042(theirs);
            typed(ours, usage, down);
            test_note("usage %02x, down %d", usage, down);
            if (!same_on_both(usage) || !*theirs)
                continue;
            CHECK_STR_EQ(ours, theirs);
            compared++;
        }
    }
    CHECK_GE(compared, 210);
    bench_destroy(b);
}

/* Usage, what a press and a release send, with Control and Alt held or not. */
static const struct {
    uint32_t usage;
    int ctrl, alt;
    const char *press, *release;
} special[] = {
    { USAGE_PAUSE, 0, 0, "e1 1d 45 e1 9d c5 ", "" },
    { USAGE_PAUSE, 1, 0, "e0 46 e0 c6 ", "" },
    { USAGE_PRINT, 0, 0, "e0 37 ", "e0 b7 " },
    { USAGE_PRINT, 1, 0, "e0 37 ", "e0 b7 " },
    { USAGE_PRINT, 0, 1, "54 ", "d4 " },
    { F13, 0, 0, "64 ", "e4 " },
    { F24, 0, 0, "76 ", "f6 " },
    { HANGUL, 0, 0, "72 ", "f2 " },
    { HANJA, 0, 0, "71 ", "f1 " },
    { 0x7f, 0, 0, "e0 20 ", "e0 a0 " },
    { 0, 0, 0, "", "" },
    { 0x74, 0, 0, "", "" },
    { KEY_USAGES, 0, 0, "", "" },
    { UINT32_MAX, 0, 0, "", "" },
};

TEST_P(special_keys, special)
{
    struct stroke s[MAX_STROKES];
    char text[64];

    bytes_of(text, s, make_strokes(s, row->usage, 1, row->ctrl, row->alt));
    CHECK_STR_EQ(text, row->press);
    bytes_of(text, s, make_strokes(s, row->usage, 0, row->ctrl, row->alt));
    CHECK_STR_EQ(text, row->release);
}

TEST(no_two_keys_have_one_code)
{
    uint32_t owner[2][256] = { 0 };

    for (uint32_t usage = 0; usage < KEY_USAGES; usage++) {
        struct stroke s[MAX_STROKES];
        uint32_t *at;
        if (make_strokes(s, usage, 1, 0, 0) != 1)
            continue;
        at = &owner[!!(s->flags & STROKE_E0)][s->make & 0xff];
        /* Backslash has a European twin, F24 a Japanese one. */
        if (*at && !(*at == 0x31 && usage == 0x32) &&
            !(*at == F24 && usage == 0x94))
            FAIL("usages %02x and %02x", *at, usage);
        *at = usage;
    }
}
