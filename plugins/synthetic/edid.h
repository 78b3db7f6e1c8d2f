/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor can show: a list of modes, and its EDID. */
#ifndef SYNTHETIC_EDID_H
#define SYNTHETIC_EDID_H

#include <stdint.h>

#define EDID_BYTES 128u
#define MAX_MODES  64u
#define MAX_SIDE   8192u

struct video_mode {
    uint16_t width, height;
};

/*
 * "1024x768,1280x1024": at most MAX_MODES, in that order.  Returns their
 * number, or -1 when the text is something else or a side is not 1..MAX_SIDE.
 */
int modes_parse(struct video_mode *modes, const char *text);

/* The block of a monitor that prefers this mode at 60 Hz. */
void edid_make(uint8_t edid[EDID_BYTES], const struct video_mode *preferred);

#endif
