/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys, as `ctl sendkey` takes them.  Usages: USB HID Usage Tables,
 * page 7. */
#include "input/input.h"

#include <string.h>

/* clang-format off */
static const struct key_name {
    const char *name;
    uint32_t usage;
} names[] = {
    { "ret", 0x28 },           { "enter", 0x28 },
    { "return", 0x28 },        { "escape", 0x29 },
    { "esc", 0x29 },           { "backspace", 0x2a },
    { "tab", 0x2b },           { "spc", 0x2c },
    { "space", 0x2c },         { "minus", 0x2d },
    { "equal", 0x2e },         { "bracket_left", 0x2f },
    { "bracket_right", 0x30 }, { "backslash", 0x31 },
    { "semicolon", 0x33 },     { "apostrophe", 0x34 },
    { "grave_accent", 0x35 },  { "comma", 0x36 },
    { "dot", 0x37 },           { "slash", 0x38 },
    { "caps_lock", 0x39 },     { "f1", 0x3a },
    { "f2", 0x3b },            { "f3", 0x3c },
    { "f4", 0x3d },            { "f5", 0x3e },
    { "f6", 0x3f },            { "f7", 0x40 },
    { "f8", 0x41 },            { "f9", 0x42 },
    { "f10", 0x43 },           { "f11", 0x44 },
    { "f12", 0x45 },           { "print", 0x46 },
    { "sysrq", 0x46 },         { "scroll_lock", 0x47 },
    { "pause", 0x48 },         { "insert", 0x49 },
    { "home", 0x4a },          { "pgup", 0x4b },
    { "delete", 0x4c },        { "end", 0x4d },
    { "pgdn", 0x4e },          { "right", 0x4f },
    { "left", 0x50 },          { "down", 0x51 },
    { "up", 0x52 },            { "num_lock", 0x53 },
    { "kp_divide", 0x54 },     { "kp_multiply", 0x55 },
    { "kp_subtract", 0x56 },   { "kp_add", 0x57 },
    { "kp_enter", 0x58 },      { "kp_1", 0x59 },
    { "kp_2", 0x5a },          { "kp_3", 0x5b },
    { "kp_4", 0x5c },          { "kp_5", 0x5d },
    { "kp_6", 0x5e },          { "kp_7", 0x5f },
    { "kp_8", 0x60 },          { "kp_9", 0x61 },
    { "kp_0", 0x62 },          { "kp_decimal", 0x63 },
    { "less", 0x64 },          { "menu", 0x65 },
    { "del", 0x4c },           { "control", 0xe0 },
    { "altgr", 0xe6 },         { "win", 0xe3 },
    { "ctrl", 0xe0 },          { "shift", 0xe1 },
    { "alt", 0xe2 },           { "meta_l", 0xe3 },
    { "ctrl_r", 0xe4 },        { "shift_r", 0xe5 },
    { "alt_r", 0xe6 },         { "meta_r", 0xe7 },
};
/* clang-format on */

/* Keys whose name is what is printed on them. */
static bool usage_of_letter(char c, uint32_t *usage)
{
    if (c >= 'a' && c <= 'z')
        *usage = 0x04 + (uint32_t)(c - 'a');
    else if (c >= '1' && c <= '9')
        *usage = 0x1e + (uint32_t)(c - '1');
    else if (c == '0')
        *usage = 0x27;
    else
        return false;
    return true;
}

static bool usage_of(const char *name, uint32_t *usage)
{
    uint32_t found = 0;
    bool shift;

    if (name[0] && !name[1] && usage_of_letter(name[0], usage))
        return true;
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *usage = names[i].usage;
            return true;
        }
    }
    if (name[0] && !name[1] && keys_for_char(name[0], &found, &shift) &&
        !shift) {
        *usage = found;
        return true;
    }
    return false;
}

unsigned keys_parse(const char *text, uint32_t *usages, unsigned max)
{
    char **words = g_strsplit(text, "-", -1);
    unsigned n = 0;

    for (; words[n]; n++) {
        if (n >= max || !usage_of(words[n], &usages[n])) {
            n = 0;
            break;
        }
    }
    g_strfreev(words);
    return n;
}

bool keys_for_char(char c, uint32_t *usage, bool *shift)
{
    /* The key's character, the one with shift, its usage. */
    static const struct {
        char plain, shifted;
        uint8_t usage;
    } keys[] = {
        /* clang-format off */
        { '1', '!', 0x1e },  { '2', '@', 0x1f },  { '3', '#', 0x20 },
        { '4', '$', 0x21 },  { '5', '%', 0x22 },  { '6', '^', 0x23 },
        { '7', '&', 0x24 },  { '8', '*', 0x25 },  { '9', '(', 0x26 },
        { '0', ')', 0x27 },  { '\n', '\n', 0x28 }, { '\t', '\t', 0x2b },
        { ' ', ' ', 0x2c },  { '-', '_', 0x2d },  { '=', '+', 0x2e },
        { '[', '{', 0x2f },  { ']', '}', 0x30 },  { '\\', '|', 0x31 },
        { ';', ':', 0x33 },  { '\'', '"', 0x34 }, { '`', '~', 0x35 },
        { ',', '<', 0x36 },  { '.', '>', 0x37 },  { '/', '?', 0x38 },
        { '\b', '\b', 0x2a }, { 27, 27, 0x29 },
        /* clang-format on */
    };

    *shift = c >= 'A' && c <= 'Z';
    if (usage_of_letter(*shift ? (char)(c - 'A' + 'a') : c, usage))
        return true;
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (c == keys[i].plain || c == keys[i].shifted) {
            *usage = keys[i].usage;
            *shift = c != keys[i].plain;
            return true;
        }
    }
    return false;
}
