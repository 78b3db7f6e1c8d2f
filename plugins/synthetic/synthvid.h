/* SPDX-License-Identifier: Apache-2.0 */
/* The screen on VMBus: what its files share. */
#ifndef SYNTHETIC_SYNTHVID_H
#define SYNTHETIC_SYNTHVID_H

#include <backplane/backplane.h>

#include "edid.h"
#include "pointer_shape.h"

#define PAGE_BYTES 4096u
#define MAX_DIRT   16u

/* Where the guest has its picture */
enum {
    PLACE_NONE,
    PLACE_VRAM,  /* in memory of ours, which it put there */
    PLACE_GUEST, /* in memory that was there before */
};

struct video_rect {
    uint32_t x1, y1, x2, y2; /* the second corner is not part of it */
};

struct video_state {
    uint32_t version;   /* as on the wire; 0: not agreed on */
    uint8_t place;      /* PLACE_* */
    uint8_t active;     /* the mode below is on */
    uint8_t depth;      /* bits a pixel: 16 or 32 */
    uint8_t asked;      /* the guest was asked for dirt ... */
    uint8_t sends_dirt; /* ... and sent some since the mode was set */
    uint8_t ask_due;    /* ... or is to be asked when there is room */
    uint64_t gpa;       /* of the place */
    uint32_t offset;    /* of the picture in it */
    uint32_t width, height, pitch;
    struct pointer_shape pointer;
};

struct video {
    /* Wiring */
    const struct bp_log *log;
    const struct bp_mmio *mmio;
    const struct bp_dma *dma;
    const struct bp_display *display;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_dev *dev;
    struct bp_vmbus_channel *channel;
    struct bp_screen *screen;
    struct bp_region *region;
    uint8_t *vram;
    uint64_t vram_bytes;
    const char *mode_list;
    uint32_t xres, yres;
    struct video_mode modes[MAX_MODES];
    unsigned mode_count, default_mode;
    /* Derived: what the surface lacks */
    struct bp_surface surface;
    int tracking;
    int all;  /* everything may have changed */
    int dark; /* the surface is */
    uint32_t dirt_count;
    struct video_rect dirt[MAX_DIRT];
    uint8_t *dirty_pages; /* a byte each */
    uint8_t *line;        /* for a picture in guest memory */
    /* State */
    struct video_state st;
};

/* The mode, its place or its source of changes is another one. */
void video_changed(struct video *s);
/* Pixels that the guest changed; clipped, nonsense is ignored. */
void video_dirt(struct video *s, int32_t x1, int32_t y1, int32_t x2,
                int32_t y2);
void video_refresh(void *ctx, int32_t full);

#endif
