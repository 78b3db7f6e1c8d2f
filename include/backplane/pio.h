/* SPDX-License-Identifier: MIT */
/* I/O ports: "bp.pio/1". */
#ifndef BACKPLANE_PIO_H
#define BACKPLANE_PIO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_PIO "bp.pio/1"

struct bp_dev;
struct bp_pio_range;

/* Access sizes a range takes itself.  The host splits wider accesses into
 * the widest the range takes, low port first. */
enum { BP_SIZE_1 = 1, BP_SIZE_2 = 2, BP_SIZE_4 = 4, BP_SIZE_ANY = 7 };
/* Added to sizes: an access at an odd port is passed whole, as no real bus
 * does but some virtual devices expect. */
enum { BP_SIZE_UNALIGNED = 8 };

struct bp_pio_ops {
    uint32_t size;
    /* offset from the range's first port; width 1, 2 or 4 bytes */
    uint32_t (*read)(void *ctx, uint32_t offset, uint32_t width);
    void (*write)(void *ctx, uint32_t offset, uint32_t value, uint32_t width);
};

struct bp_pio {
    uint32_t size;
    /*
     * Claims ports first .. first + count - 1.  sizes: BP_SIZE_*.  Where
     * ranges overlap the higher priority wins.  NULL (with a reason recorded
     * as by fail()) when the range leaves the port space.  `ops` must live
     * as long as the device.  [setup]
     */
    struct bp_pio_range *(*claim)(struct bp_dev *dev, const char *name,
                                  uint32_t first, uint32_t count,
                                  uint32_t sizes, int32_t priority,
                                  const struct bp_pio_ops *ops, void *ctx);
    void (*enable)(struct bp_pio_range *r, int32_t enabled);
    void (*move)(struct bp_pio_range *r, uint32_t first);
};

#ifdef __cplusplus
}
#endif

#endif
