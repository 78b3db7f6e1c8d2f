/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: USB HID to PS/2 Scan Code Translation Table (Microsoft), column
 * "Set 1".  The shifts that a PS/2 keyboard puts around Print Screen and the
 * editing keys are left out: they exist for programs of the PC/XT's time,
 * which do not know this keyboard.
 */
#include "make_code.h"

#include <string.h>

#define E0 0x100

#define MAKE_CTRL   0x1d
#define MAKE_NUM    0x45
#define MAKE_SCROLL 0x46
#define MAKE_SYSRQ  0x54

/* clang-format off */
static const uint16_t make[KEY_USAGES] = {
    [0x04] = 0x1e, 0x30, 0x2e, 0x20, 0x12, 0x21, 0x22, 0x23, /* a-h */
    0x17, 0x24, 0x25, 0x26, 0x32, 0x31, 0x18, 0x19,          /* i-p */
    0x10, 0x13, 0x1f, 0x14, 0x16, 0x2f, 0x11, 0x2d,          /* q-x */
    0x15, 0x2c,                                              /* y-z */
    0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,          /* 1-8 */
    0x0a, 0x0b,                                              /* 9-0 */
    0x1c, 0x01, 0x0e, 0x0f, 0x39,       /* Enter Esc Backspace Tab Space */
    0x0c, 0x0d, 0x1a, 0x1b, 0x2b, 0x2b, /* - = [ ] \ (and its European twin) */
    0x27, 0x28, 0x29, 0x33, 0x34, 0x35, /* ; ' ` , . / */
    0x3a,                               /* Caps Lock */
    0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42,          /* F1-F8 */
    0x43, 0x44, 0x57, 0x58,                                  /* F9-F12 */
    E0 | 0x37, MAKE_SCROLL, 0,          /* Print Scroll (Pause) */
    E0 | 0x52, E0 | 0x47, E0 | 0x49,    /* Insert Home PgUp */
    E0 | 0x53, E0 | 0x4f, E0 | 0x51,    /* Delete End PgDn */
    E0 | 0x4d, E0 | 0x4b, E0 | 0x50, E0 | 0x48, /* right left down up */
    MAKE_NUM, E0 | 0x35, 0x37, 0x4a, 0x4e, E0 | 0x1c, /* Num / * - + Enter */
    0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49,    /* keypad 1-9 */
    0x52, 0x53,                         /* keypad 0 . */
    0x56, E0 | 0x5d, E0 | 0x5e, 0x59,   /* 102nd Menu Power = */
    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, /* F13-F18 */
    0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x76, /* F19-F24 */
    [0x7f] = E0 | 0x20, E0 | 0x30, E0 | 0x2e,   /* mute, volume up, down */
    [0x85] = 0x7e,                              /* keypad , */
    [0x87] = 0x73, 0x70, 0x7d, 0x79, 0x7b, 0x5c, /* international 1-6 */
    [0x90] = 0x72, 0x71, 0x78, 0x77, 0x76,      /* Hangul Hanja, languages */
    [0xe0] = MAKE_CTRL, 0x2a, 0x38, E0 | 0x5b,  /* left C S A GUI */
    E0 | 0x1d, 0x36, E0 | 0x38, E0 | 0x5c,      /* right C S A GUI */
};
/* clang-format on */

/* Pause tells of its release at once, and of the real one nothing; with
 * Control it is Break, a second Scroll Lock. */
static unsigned strokes_of_pause(struct stroke *out, int down, int ctrl)
{
    static const struct stroke pause[] = {
        { MAKE_CTRL, STROKE_E1 },
        { MAKE_NUM, 0 },
        { MAKE_CTRL, STROKE_E1 | STROKE_BREAK },
        { MAKE_NUM, STROKE_BREAK },
    };
    static const struct stroke brk[] = {
        { MAKE_SCROLL, STROKE_E0 },
        { MAKE_SCROLL, STROKE_E0 | STROKE_BREAK },
    };
    const struct stroke *from = ctrl ? brk : pause;
    unsigned n = ctrl ? 2 : 4;

    if (!down)
        return 0;
    memcpy(out, from, n * sizeof *out);
    return n;
}

unsigned make_strokes(struct stroke *out, uint32_t usage, int down, int ctrl,
                      int alt)
{
    uint16_t code;

    if (usage == USAGE_PAUSE)
        return strokes_of_pause(out, down, ctrl);
    code = usage < KEY_USAGES ? make[usage] : 0;
    if (!code)
        return 0;
    if (usage == USAGE_PRINT && alt)
        code = MAKE_SYSRQ;
    out->make = code & 0xff;
    out->flags =
        (uint16_t)((code & E0 ? STROKE_E0 : 0) | (down ? 0 : STROKE_BREAK));
    return 1;
}
