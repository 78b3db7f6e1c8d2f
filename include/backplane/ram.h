/* SPDX-License-Identifier: MIT */
/*
 * How much main memory the machine has: "bp.ram/1", for a device that takes
 * memory from the guest and gives it more.
 */
#ifndef BACKPLANE_RAM_H
#define BACKPLANE_RAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_RAM "bp.ram/1"

struct bp_dev;

struct bp_ram_layout {
    uint32_t size;        /* sizeof(struct bp_ram_layout) */
    uint32_t hot_blocks;  /* that can be there at most */
    uint64_t startup;     /* bytes that the machine has from the start */
    uint64_t block_bytes; /* of each hot block: 128 MiB */
    /* The first low_blocks of them lie one behind the other from low_gpa on,
     * the others from high_gpa on. */
    uint64_t low_gpa, high_gpa;
    uint32_t low_blocks;
    uint32_t reserved;
};

struct bp_ram {
    uint32_t size;
    void (*layout)(struct bp_dev *dev, struct bp_ram_layout *out);
    /* From now on the first `blocks` are there; the content of others is
     * lost.  One device a machine: -EBUSY; -ERANGE: too many.  The device
     * saves the number and says it again in loaded().  [lane] */
    int32_t (*set_hot)(struct bp_dev *dev, uint32_t blocks);
    /*
     * The guest does not need the content of these bytes any more: their
     * memory is the host's again, and they read zeros.  Pages; -ERANGE: not
     * all of them are main memory.  [lane]
     */
    int32_t (*discard)(struct bp_dev *dev, uint64_t gpa, uint64_t bytes);
    /* How much of the host's memory is available, in thousandths.  [any] */
    uint32_t (*host_available)(struct bp_dev *dev);
};

#ifdef __cplusplus
}
#endif

#endif
