/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources: VESA Enhanced EDID Standard, release A (EDID 1.3); VESA
 * Coordinated Video Timings 1.1, "reduced blanking".
 */
#include "edid.h"

#include <string.h>

#define REFRESH_HZ 60u
/* Reduced blanking, pixels and lines */
#define H_BLANK        160u
#define H_FRONT        48u
#define H_SYNC         32u
#define V_FRONT        3u
#define V_BACK         6u /* at least */
#define V_BLANK_US     460u
#define CLOCK_STEP     250000u /* Hz */
#define CLOCK_UNIT     10000u  /* of a detailed timing, Hz */
#define MAX_TIMED_SIDE 4095u
#define MAX_CLOCK      0xffffu
/* 96 pixels an inch */
#define TENTHS_OF_MM(pixels) ((pixels)*2540u / 960u)

static int parse_side(const char **text, uint16_t *side)
{
    uint32_t v = 0;
    const char *p = *text;

    for (; *p >= '0' && *p <= '9' && v <= MAX_SIDE; p++)
        v = v * 10 + (uint32_t)(*p - '0');
    if (p == *text || v < 1 || v > MAX_SIDE)
        return -1;
    *text = p;
    *side = (uint16_t)v;
    return 0;
}

int modes_parse(struct video_mode *modes, const char *text)
{
    unsigned n = 0;

    for (;;) {
        if (n == MAX_MODES || parse_side(&text, &modes[n].width) < 0 ||
            *text++ != 'x' || parse_side(&text, &modes[n].height) < 0)
            return -1;
        n++;
        if (!*text)
            return (int)n;
        if (*text++ != ',')
            return -1;
    }
}

/* CVT tells aspect ratios by the width of the vertical sync. */
static uint32_t v_sync(uint32_t w, uint32_t h)
{
    if (w * 3 == h * 4)
        return 4;
    if (w * 9 == h * 16)
        return 5;
    if (w * 10 == h * 16)
        return 6;
    if (w * 4 == h * 5 || w * 9 == h * 15)
        return 7;
    return 10;
}

static uint32_t v_blank(uint32_t h, uint32_t sync)
{
    /* Lines are as long as what the blanking leaves of a frame allows. */
    uint32_t us = 1000000 / REFRESH_HZ - V_BLANK_US;
    uint32_t lines = V_BLANK_US * h / us + 1;
    uint32_t least = V_FRONT + sync + V_BACK;

    return lines < least ? least : lines;
}

static void detailed_timing(uint8_t *d, uint32_t w, uint32_t h)
{
    uint32_t sync = v_sync(w, h), blank = v_blank(h, sync);
    uint64_t hz = (uint64_t)REFRESH_HZ * (w + H_BLANK) * (h + blank);
    uint32_t clock = (uint32_t)(hz / CLOCK_STEP * CLOCK_STEP / CLOCK_UNIT);
    uint32_t width_mm = TENTHS_OF_MM(w) / 10, height_mm = TENTHS_OF_MM(h) / 10;

    if (clock > MAX_CLOCK)
        clock = MAX_CLOCK;
    d[0] = (uint8_t)clock;
    d[1] = (uint8_t)(clock >> 8);
    d[2] = (uint8_t)w;
    d[3] = (uint8_t)H_BLANK;
    d[4] = (uint8_t)((w >> 8) << 4 | H_BLANK >> 8);
    d[5] = (uint8_t)h;
    d[6] = (uint8_t)blank;
    d[7] = (uint8_t)((h >> 8) << 4 | blank >> 8);
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = (uint8_t)(V_FRONT << 4 | sync);
    d[11] = 0;
    d[12] = (uint8_t)width_mm;
    d[13] = (uint8_t)height_mm;
    d[14] = (uint8_t)((width_mm >> 8) << 4 | height_mm >> 8);
    d[17] = 0x1a; /* separate syncs, horizontal one positive */
}

static void dummy_descriptor(uint8_t *d)
{
    d[3] = 0x10;
}

/* Any of which a picture of no tube can be made */
static void range_descriptor(uint8_t *d)
{
    static const uint8_t limits[] = {
        0xfd, 0,   /* range limits */
        50,   75,  /* Hz */
        15,   250, /* kHz */
        66,        /* 10 MHz */
        0,    '\n', ' ', ' ', ' ', ' ', ' ', ' ',
    };

    memcpy(d + 3, limits, sizeof limits);
}

/* Of up to 13 characters */
static void name_descriptor(uint8_t *d, const char *name)
{
    unsigned n = (unsigned)strlen(name);

    d[3] = 0xfc;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, name, n);
    if (n < 13)
        d[5 + n] = '\n';
}

void edid_make(uint8_t e[EDID_BYTES], const struct video_mode *preferred)
{
    static const uint8_t head[] = {
        0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, /* signature */
        0x0a, 0x0c,             /* "BPL" of five bits each */
        0x01, 0x00,             /* product */
        0x01, 0x00, 0x00, 0x00, /* serial number */
        0x01, 34,               /* week; year - 1990 */
        0x01, 0x03,             /* EDID 1.3 */
        0x80,                   /* digital */
    };
    /* Those of sRGB */
    static const uint8_t chromaticity[] = { 0xee, 0x91, 0xa3, 0x54, 0x4c,
                                            0x99, 0x26, 0x0f, 0x50, 0x54 };
    uint32_t w = preferred->width, h = preferred->height;
    uint8_t sum = 0;

    memset(e, 0, EDID_BYTES);
    memcpy(e, head, sizeof head);
    if (TENTHS_OF_MM(w) / 100 <= 255 && TENTHS_OF_MM(h) / 100 <= 255) {
        e[21] = (uint8_t)(TENTHS_OF_MM(w) / 100); /* cm */
        e[22] = (uint8_t)(TENTHS_OF_MM(h) / 100);
    }
    e[23] = 120;  /* gamma 2.2 */
    e[24] = 0x0e; /* RGB, sRGB; the first detailed timing is preferred */
    memcpy(e + 25, chromaticity, sizeof chromaticity);
    e[35] = 0x21; /* 640x480 and 800x600 at 60 Hz */
    e[36] = 0x08; /* 1024x768 at 60 Hz */
    memset(e + 38, 0x01, 16);
    if (w <= MAX_TIMED_SIDE && h <= MAX_TIMED_SIDE)
        detailed_timing(e + 54, w, h);
    else
        dummy_descriptor(e + 54);
    name_descriptor(e + 72, "Backplane");
    range_descriptor(e + 90);
    dummy_descriptor(e + 108);
    for (unsigned i = 0; i < EDID_BYTES - 1; i++)
        sum = (uint8_t)(sum + e[i]);
    e[EDID_BYTES - 1] = (uint8_t)(0u - sum);
}
