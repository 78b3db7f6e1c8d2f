/* SPDX-License-Identifier: MIT */
/* Deferred work on the device's lane: "bp.lane/1". */
#ifndef BACKPLANE_LANE_H
#define BACKPLANE_LANE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_LANE "bp.lane/1"

struct bp_dev;

struct bp_lane {
    uint32_t size;
    /* fn(ctx) runs [lane] after the current callback returned, in the order
     * of posting.  Posted work is finished before state is saved.  [any] */
    void (*post)(struct bp_dev *dev, void (*fn)(void *ctx), void *ctx);
    /* 1 when the calling thread holds the device's lane.  [any] */
    int32_t (*held)(struct bp_dev *dev);
};

#ifdef __cplusplus
}
#endif

#endif
