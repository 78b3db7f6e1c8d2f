/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O port space: 64 Ki byte ports, looked up by index.
 */
#ifndef BUS_PIO_H
#define BUS_PIO_H

#include <stdbool.h>
#include <stdint.h>

struct pio;
struct pio_range;

struct pio_ops {
    /* port relative to the range's first; size 1, 2 or 4 */
    uint32_t (*read)(void *opaque, uint16_t offset, unsigned size);
    void (*write)(void *opaque, uint16_t offset, uint32_t value, unsigned size);
};

struct pio *pio_create(void);
void pio_destroy(struct pio *pio);

#define PIO_UNALIGNED 8u /* in sizes: also at ports no multiple of it */

/*
 * Claims ports.  sizes: bit mask of access sizes the device takes itself (1,
 * 2, 4); others, and those that are not aligned to their size, are split
 * into smaller ones or, when only larger ones are taken, the bytes are picked
 * out (a write reads the rest of the register first).  An access that starts
 * in a range and ends in it is that range's, even if another one hides ports
 * in the middle.  The range with the higher priority, or the later one, hides
 * the other.  Returns NULL when the range is not inside the port space.
 */
struct pio_range *pio_claim(struct pio *pio, const char *name, uint16_t first,
                            uint32_t count, unsigned sizes, int priority,
                            const struct pio_ops *ops, void *opaque);
void pio_range_enable(struct pio_range *r, bool enabled);
void pio_range_move(struct pio_range *r, uint16_t first);
void pio_release(struct pio_range *r); /* nobody is in its ops */

/* Unclaimed ports read all ones, writes are dropped; both are counted.
 * Accesses that run past port FFFF wrap.  [vcpu | lane] */
uint32_t pio_read(struct pio *pio, uint16_t port, unsigned size);
void pio_write(struct pio *pio, uint16_t port, uint32_t value, unsigned size);

uint64_t pio_unassigned(struct pio *pio);
/* Resolved ranges, for `ctl info ports`; g_free it. */
char *pio_describe(struct pio *pio);

#endif
