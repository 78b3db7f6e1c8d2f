/* SPDX-License-Identifier: MIT */
/* Messages of a device: "bp.log/1". */
#ifndef BACKPLANE_LOG_H
#define BACKPLANE_LOG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_LOG "bp.log/1"

struct bp_dev;

enum {
    BP_LOG_ERROR = 0, /* the device cannot go on */
    BP_LOG_WARN = 1,  /* something is wrong; rate-limited */
    BP_LOG_INFO = 2,  /* life cycle only */
    BP_LOG_DEBUG = 3,
};

#if defined(__GNUC__)
#define BP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BP_PRINTF(f, a)
#endif

struct bp_log {
    uint32_t size;
    /* One line without a line end.  The host adds the device's name.  [any] */
    void (*log)(struct bp_dev *dev, uint32_t level, const char *format, ...)
        BP_PRINTF(3, 4);
    /* The guest did what the datasheet forbids or leaves undefined, or used
     * what is not modelled.  Rate-limited and counted.  [any] */
    void (*guest_error)(struct bp_dev *dev, const char *format, ...)
        BP_PRINTF(2, 3);
};

#ifdef __cplusplus
}
#endif

#endif
