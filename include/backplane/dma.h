/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: "bp.dma/1".
 *
 * Addresses are guest-physical.  For a PCI function the bus-master enable bit
 * gates every access.  Errors: -EACCES bus mastering is off; -EFAULT part of
 * the range is not memory (reads deliver ones there, writes are lost, as on
 * a master abort).  A device that reaches one of its own registers this way
 * is refused with -EFAULT.
 */
#ifndef BACKPLANE_DMA_H
#define BACKPLANE_DMA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_DMA "bp.dma/1"

struct bp_dev;

struct bp_dma {
    uint32_t size;
    int32_t (*read)(struct bp_dev *dev, uint64_t gpa, void *dst,
                    uint32_t bytes);
    int32_t (*write)(struct bp_dev *dev, uint64_t gpa, const void *src,
                     uint32_t bytes);
    /*
     * Direct access for long transfers: stores a pointer to as many bytes as
     * are contiguous in *host and returns their number (<= bytes), or a
     * negative errno, -EFAULT when there is no memory at gpa.  Every map is
     * undone by unmap with the same arguments and the number of bytes that
     * were really written (0 for reads).  Not kept over stop.  The guest may
     * change the bytes at any time.
     */
    int64_t (*map)(struct bp_dev *dev, uint64_t gpa, uint64_t bytes,
                   uint32_t write, void **host);
    void (*unmap)(struct bp_dev *dev, uint64_t gpa, void *host, uint64_t bytes,
                  uint32_t write, uint64_t written);
    /* Of what is mapped for writing, these bytes were written by now: for
     * memory that stays mapped for long.  Within one page.  [any] */
    void (*touched)(struct bp_dev *dev, void *host, uint64_t bytes);
};

#ifdef __cplusplus
}
#endif

#endif
