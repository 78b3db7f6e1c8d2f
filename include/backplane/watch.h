/* SPDX-License-Identifier: MIT */
/* File descriptors of the host that a device waits for: "bp.watch/1". */
#ifndef BACKPLANE_WATCH_H
#define BACKPLANE_WATCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_WATCH "bp.watch/1"

struct bp_dev;
struct bp_watch_handle;

enum { BP_WATCH_READ = 1, BP_WATCH_WRITE = 2, BP_WATCH_HANGUP = 4 };

struct bp_watch {
    uint32_t size;
    /*
     * fn is called [lane] with what is ready of `events`; then the watch
     * rests until set() is called again (one shot).  HANGUP is always told.
     * The descriptor is the device's, open until remove().  While the
     * machine stands nothing is told; it is when it runs again.  NULL with a
     * reason: a deterministic machine, or a descriptor that cannot be waited
     * for, as that of a regular file.  [lane]
     */
    struct bp_watch_handle *(*add)(struct bp_dev *dev, int32_t fd,
                                   void (*fn)(void *ctx, uint32_t ready),
                                   void *ctx);
    void (*set)(struct bp_watch_handle *w, uint32_t events);
    /* fn is not called any more. */
    void (*remove)(struct bp_watch_handle *w);
};

#ifdef __cplusplus
}
#endif

#endif
