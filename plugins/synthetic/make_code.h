/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as scan code set 1 has them. */
#ifndef SYNTHETIC_MAKE_CODE_H
#define SYNTHETIC_MAKE_CODE_H

#include <stdint.h>

/* Beside the make code in a keystroke message */
#define STROKE_UNICODE 0x1u
#define STROKE_BREAK   0x2u
#define STROKE_E0      0x4u
#define STROKE_E1      0x8u

struct stroke {
    uint16_t make;
    uint16_t flags; /* STROKE_* */
};

#define MAX_STROKES 4u /* of one press */
#define KEY_USAGES  0xe8u

#define USAGE_PRINT 0x46u
#define USAGE_PAUSE 0x48u

/*
 * What a press or release of the key with this HID usage (page 7) sends, up
 * to MAX_STROKES; 0: nothing.  ctrl, alt: such a key is held, which makes
 * other keys of Pause and Print Screen.
 */
unsigned make_strokes(struct stroke *out, uint32_t usage, int down, int ctrl,
                      int alt);

#endif
