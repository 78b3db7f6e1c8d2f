/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 keyboard: 105 keys, scan code sets 1, 2 and 3.
 *
 * Sources: IBM PS/2 Technical Reference, "Keyboards (101- and 102-Key)";
 * USB HID to PS/2 Scan Code Translation Table (Microsoft).
 */
#include <string.h>

#include <backplane/input.h>

#include "ps2.h"

#define ACK     0xfa
#define RESEND  0xfe
#define PASSED  0xaa
#define RELEASE 0xf0
#define E0      0x100 /* in the table: prefixed by E0h */

#define USAGE_HASH   0x32 /* the European twin of backslash */
#define USAGE_PRINT  0x46
#define USAGE_PAUSE  0x48
#define USAGE_HANGUL 0x90
#define USAGE_HANJA  0x91
#define USAGE_LCTRL  0xe0
#define USAGE_LSHIFT 0xe1
#define USAGE_LALT   0xe2
#define RIGHT        4 /* from a left modifier to the right one */

#define SYSRQ      0x84
#define HASH_SET_3 0x53

/* Set 2 code of each HID usage. */
/* clang-format off */
static const uint16_t set2[0xe8] = {
    [0x04] = 0x1c, 0x32, 0x21, 0x23, 0x24, 0x2b, 0x34, 0x33, /* a-h */
    0x43, 0x3b, 0x42, 0x4b, 0x3a, 0x31, 0x44, 0x4d,          /* i-p */
    0x15, 0x2d, 0x1b, 0x2c, 0x3c, 0x2a, 0x1d, 0x22,          /* q-x */
    0x35, 0x1a,                                              /* y-z */
    0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e,          /* 1-8 */
    0x46, 0x45,                                              /* 9-0 */
    0x5a, 0x76, 0x66, 0x0d, 0x29,       /* Enter Esc Backspace Tab Space */
    0x4e, 0x55, 0x54, 0x5b, 0x5d, 0x5d, /* - = [ ] \ (and its European twin) */
    0x4c, 0x52, 0x0e, 0x41, 0x49, 0x4a, /* ; ' ` , . / */
    0x58,                               /* Caps Lock */
    0x05, 0x06, 0x04, 0x0c, 0x03, 0x0b, 0x83, 0x0a,          /* F1-F8 */
    0x01, 0x09, 0x78, 0x07,                                  /* F9-F12 */
    E0 | 0x7c, 0x7e, 0,                 /* Print Scroll (Pause) */
    E0 | 0x70, E0 | 0x6c, E0 | 0x7d,    /* Insert Home PgUp */
    E0 | 0x71, E0 | 0x69, E0 | 0x7a,    /* Delete End PgDn */
    E0 | 0x74, E0 | 0x6b, E0 | 0x72, E0 | 0x75, /* right left down up */
    0x77, E0 | 0x4a, 0x7c, 0x7b, 0x79, E0 | 0x5a, /* Num / * - + Enter */
    0x69, 0x72, 0x7a, 0x6b, 0x73, 0x74, 0x6c, 0x75, 0x7d,    /* keypad 1-9 */
    0x70, 0x71,                         /* keypad 0 . */
    0x61, E0 | 0x2f, E0 | 0x37, 0x0f,   /* 102nd Menu Power = */
    [0x87] = 0x51, 0x13, 0x6a, 0x64, 0x67,      /* international 1-5 */
    [0x90] = 0xf2, 0xf1,                        /* Hangul Hanja */
    [0xe0] = 0x14, 0x12, 0x11, E0 | 0x1f,       /* left C S A GUI */
    E0 | 0x14, 0x59, E0 | 0x11, E0 | 0x27,      /* right C S A GUI */
};
/* clang-format on */

/* What the 8042 makes of a set 2 code. */
/* clang-format off */
static const uint8_t to_set1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58,
    0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a,
    0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c,
    0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e,
    0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60,
    0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e,
    0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b,
    0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};
/* clang-format on */

/* Set 3 differs where set 2 has prefixes, function and editing keys. */
/* clang-format off */
static const struct { uint16_t set2; uint8_t set3; } set3[] = {
    { 0x05, 0x07 }, { 0x06, 0x0f }, { 0x04, 0x17 }, { 0x0c, 0x1f },
    { 0x03, 0x27 }, { 0x0b, 0x2f }, { 0x83, 0x37 }, { 0x0a, 0x3f },
    { 0x01, 0x47 }, { 0x09, 0x4f }, { 0x78, 0x56 }, { 0x07, 0x5e },
    { 0x76, 0x08 }, { 0x5d, 0x5c }, { 0x58, 0x14 }, { 0x14, 0x11 },
    { 0x11, 0x19 }, { E0 | 0x11, 0x39 }, { E0 | 0x14, 0x58 },
    { E0 | 0x1f, 0x8b }, { E0 | 0x27, 0x8c }, { E0 | 0x2f, 0x8d },
    { E0 | 0x7c, 0x57 }, { 0x7e, 0x5f }, { E0 | 0x70, 0x67 },
    { E0 | 0x6c, 0x6e }, { E0 | 0x7d, 0x6f }, { E0 | 0x71, 0x64 },
    { E0 | 0x69, 0x65 }, { E0 | 0x7a, 0x6d }, { E0 | 0x74, 0x6a },
    { E0 | 0x6b, 0x61 }, { E0 | 0x72, 0x60 }, { E0 | 0x75, 0x63 },
    { 0x77, 0x76 }, { E0 | 0x4a, 0x77 }, { 0x7c, 0x7e }, { 0x7b, 0x84 },
    { 0x79, 0x7c }, { E0 | 0x5a, 0x79 }, { 0x61, 0x13 },
};
/* clang-format on */

static void put1(struct ps2_keyboard *k, uint8_t v)
{
    ps2_put(&k->queue, &v, 1);
}

static void set_defaults(struct ps2_keyboard *k)
{
    k->set = 2;
    k->rate = 0x2b;
    k->repeating = 0;
    k->queue.head = k->queue.count = 0;
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    memset(k, 0, sizeof(*k));
    set_defaults(k);
    k->scanning = 1;
}

static uint8_t set1_of(uint16_t code)
{
    uint8_t low = code & 0xff;

    return low < sizeof(to_set1) ? to_set1[low] : low;
}

static unsigned put_set1(uint8_t *out, uint16_t code, int down)
{
    unsigned n = 0;

    if (code & E0)
        out[n++] = 0xe0;
    out[n++] = set1_of(code) | (down ? 0 : 0x80);
    return n;
}

static unsigned put_set2(uint8_t *out, uint16_t code, int down)
{
    unsigned n = 0;

    if (code & E0)
        out[n++] = 0xe0;
    if (!down)
        out[n++] = RELEASE;
    out[n++] = code;
    return n;
}

static unsigned put_set3(uint8_t *out, uint16_t code, int down)
{
    unsigned n = 0;
    uint8_t v = code;

    for (unsigned i = 0; i < sizeof(set3) / sizeof(set3[0]); i++)
        if (set3[i].set2 == code)
            v = set3[i].set3;
    if (!down)
        out[n++] = RELEASE;
    out[n++] = v;
    return n;
}

static unsigned encode(const struct ps2_keyboard *k, uint8_t *out,
                       uint16_t code, int down)
{
    switch (k->set) {
    case 1: return put_set1(out, code, down);
    case 2: return put_set2(out, code, down);
    default: return put_set3(out, code, down);
    }
}

static int is_held(const struct ps2_keyboard *k, uint32_t usage)
{
    return k->held[usage >> 3] >> (usage & 7) & 1;
}

static int modifier_held(const struct ps2_keyboard *k, uint32_t left)
{
    return is_held(k, left) || is_held(k, left + RIGHT);
}

/* Pause sends make and break at once and nothing on release; with Control it
 * is Break, a second Scroll Lock. */
static unsigned encode_pause(const struct ps2_keyboard *k, uint8_t *out,
                             int down)
{
    static const uint8_t pause2[] = { 0xe1, 0x14, 0x77, 0xe1,
                                      0xf0, 0x14, 0xf0, 0x77 };
    static const uint8_t pause1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    unsigned n;

    if (k->set == 3)
        return put_set3(out, 0x62, down);
    if (!down)
        return 0;
    if (modifier_held(k, USAGE_LCTRL)) {
        n = encode(k, out, E0 | 0x7e, 1);
        return n + encode(k, out + n, E0 | 0x7e, 0);
    }
    n = k->set == 2 ? sizeof(pause2) : sizeof(pause1);
    memcpy(out, k->set == 2 ? pause2 : pause1, n);
    return n;
}

/* Print Screen brings a shift of its own unless it has one; with Alt it is
 * the old SysRq key. */
static unsigned encode_print(const struct ps2_keyboard *k, uint8_t *out,
                             int down)
{
    unsigned n;

    if (k->set == 3)
        return encode(k, out, E0 | 0x7c, down);
    if (modifier_held(k, USAGE_LALT))
        return encode(k, out, SYSRQ, down);
    if (modifier_held(k, USAGE_LSHIFT) || modifier_held(k, USAGE_LCTRL))
        return encode(k, out, E0 | 0x7c, down);
    n = encode(k, out, down ? E0 | 0x12 : E0 | 0x7c, down);
    return n + encode(k, out + n, down ? E0 | 0x7c : E0 | 0x12, down);
}

static unsigned encode_key(const struct ps2_keyboard *k, uint8_t *out,
                           uint32_t usage, int down)
{
    switch (usage) {
    case USAGE_PAUSE: return encode_pause(k, out, down);
    case USAGE_PRINT: return encode_print(k, out, down);
    case USAGE_HANGUL:
    case USAGE_HANJA: return down ? encode(k, out, set2[usage], 1) : 0;
    case USAGE_HASH:
        if (k->set == 3)
            return encode(k, out, HASH_SET_3, down);
        break;
    }
    return encode(k, out, set2[usage], down);
}

static void put_key(struct ps2_keyboard *k, const uint8_t *code, unsigned n)
{
    /* Sixteen bytes are a real keyboard's buffer; ours keeps room for
     * answers to commands behind it. */
    if (k->queue.count + n > 24) {
        if (!k->overrun)
            put1(k, k->set == 1 ? 0xff : 0x00);
        k->overrun = 1;
        return;
    }
    ps2_put(&k->queue, code, n);
}

void ps2_keyboard_key(struct ps2_keyboard *k, uint32_t usage, int down)
{
    uint8_t code[16];
    unsigned n;

    if (usage >= sizeof(set2) / sizeof(set2[0]) ||
        (!set2[usage] && usage != USAGE_PAUSE))
        return;
    if (!down && !is_held(k, usage))
        return;
    if (down)
        k->held[usage >> 3] |= 1u << (usage & 7);
    else
        k->held[usage >> 3] &= ~(1u << (usage & 7));
    if (!k->scanning)
        return;
    /* The key that went down last repeats until it goes up. */
    if (down)
        k->repeating = usage == USAGE_PAUSE ? 0 : usage;
    else if (k->repeating == usage)
        k->repeating = 0;
    n = encode_key(k, code, usage, down);
    put_key(k, code, n);
}

void ps2_keyboard_repeat(struct ps2_keyboard *k)
{
    uint8_t code[16];
    unsigned n;

    if (!k->repeating || !k->scanning)
        return;
    if (k->repeating == USAGE_PRINT && !modifier_held(k, USAGE_LALT))
        n = encode(k, code, E0 | 0x7c, 1);
    else
        n = encode_key(k, code, k->repeating, 1);
    put_key(k, code, n);
}

/* "Set Typematic Rate/Delay": bits 6:5 and 4:0. */
uint32_t ps2_keyboard_delay_ms(const struct ps2_keyboard *k)
{
    return 250 * ((k->rate >> 5 & 3) + 1);
}

uint32_t ps2_keyboard_period_us(const struct ps2_keyboard *k)
{
    return (8u + (k->rate & 7)) * (1u << (k->rate >> 3 & 3)) * 4170;
}

int ps2_keyboard_next(struct ps2_keyboard *k, uint8_t *byte)
{
    if (!ps2_take(&k->queue, byte))
        return 0;
    k->last = *byte;
    k->overrun = 0;
    return 1;
}

int ps2_keyboard_translate(struct ps2_keyboard *k, uint8_t *byte)
{
    uint8_t v = *byte;

    if (v == RELEASE) {
        k->released = 0x80;
        return 0;
    }
    /* Answers and prefixes are passed as they are. */
    if (v < sizeof(to_set1))
        *byte = to_set1[v] | k->released;
    else if (v != 0xe0 && v != 0xe1)
        *byte = v;
    if (v != 0xe0 && v != 0xe1)
        k->released = 0;
    return 1;
}

static int with_parameter(struct ps2_keyboard *k, uint8_t command, uint8_t v)
{
    if (command == 0xf0 && v > 3) {
        put1(k, RESEND);
        return 0;
    }
    put1(k, ACK);
    switch (command) {
    case 0xed:
        k->leds = (v & 1 ? BP_LED_SCROLL : 0) | (v & 2 ? BP_LED_NUM : 0) |
                  (v & 4 ? BP_LED_CAPS : 0);
        return 1;
    case 0xf0:
        if (v == 0)
            put1(k, k->set);
        else
            k->set = v;
        break;
    case 0xf3: k->rate = v & 0x7f; break;
    default: break; /* key types of set 3: all make/break */
    }
    return 0;
}

int ps2_keyboard_write(struct ps2_keyboard *k, uint8_t v)
{
    uint8_t pending = k->pending;

    k->pending = 0;
    if (pending && v < 0xed)
        return with_parameter(k, pending, v);
    switch (v) {
    case 0xed:
    case 0xf0:
    case 0xf3:
    case 0xfb:
    case 0xfc:
    case 0xfd:
        k->pending = v;
        put1(k, ACK);
        break;
    case 0xee: put1(k, 0xee); break; /* echo */
    case 0xf2:
        put1(k, ACK);
        put1(k, 0xab);
        put1(k, 0x83);
        break;
    case 0xf4:
        k->queue.head = k->queue.count = 0;
        k->scanning = 1;
        put1(k, ACK);
        break;
    case 0xf5:
        set_defaults(k);
        k->scanning = 0;
        put1(k, ACK);
        break;
    case 0xf6:
        set_defaults(k);
        put1(k, ACK);
        break;
    case 0xf7:
    case 0xf8:
    case 0xf9:
    case 0xfa: put1(k, ACK); break;
    case 0xfe: put1(k, k->last); break;
    case 0xff:
        ps2_keyboard_reset(k);
        put1(k, ACK);
        put1(k, PASSED);
        return 1;
    default: put1(k, RESEND); break;
    }
    return 0;
}
