/* SPDX-License-Identifier: MIT */
/* Guest-physical regions: devices, RAM, ROM, windows: "bp.mmio/1". */
#ifndef BACKPLANE_MMIO_H
#define BACKPLANE_MMIO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_MMIO "bp.mmio/1"

struct bp_dev;
struct bp_region;

struct bp_mmio_ops {
    uint32_t size;
    /* width 1, 2, 4 or 8; offset is a multiple of width */
    uint64_t (*read)(void *ctx, uint64_t offset, uint32_t width);
    void (*write)(void *ctx, uint64_t offset, uint64_t value, uint32_t width);
};

enum { BP_CLAIM_READ = 1, BP_CLAIM_WRITE = 2 };
enum { BP_REGION_READONLY = 1, BP_REGION_DISABLED = 2 };

/* Priorities with a meaning; anything between is free. */
enum {
    BP_PRIO_RAM = 0,      /* main memory */
    BP_PRIO_DEVICE = 100, /* BARs and fixed device windows */
    BP_PRIO_ROM = 200,    /* firmware at the top of 1 MiB and 4 GiB */
    BP_PRIO_SHADOW = 300, /* PAM windows of the host bridge */
    BP_PRIO_SMRAM = 400,
};

struct bp_mmio {
    uint32_t size;
    /* All creators: [setup]; size and gpa are multiples of 4096 (of 1 for
     * add_device); regions are enabled unless BP_REGION_DISABLED is given. */
    struct bp_region *(*add_device)(struct bp_dev *dev, const char *name,
                                    uint64_t gpa, uint64_t bytes,
                                    int32_t priority, uint32_t flags,
                                    const struct bp_mmio_ops *ops, void *ctx);
    /* New memory, zeroed, saved and restored by the host under `name`.
     * *host receives its address, valid until destroy. */
    struct bp_region *(*add_memory)(struct bp_dev *dev, const char *name,
                                    uint64_t gpa, uint64_t bytes,
                                    int32_t priority, uint32_t flags,
                                    uint8_t **host);
    /* Main memory at its own address again, above what hides it: PAM,
     * SMRAM.  Claims nothing until set_claims. */
    struct bp_region *(*add_ram_window)(struct bp_dev *dev, const char *name,
                                        uint64_t gpa, uint64_t bytes,
                                        int32_t priority);
    /* The memory of `of` (from bytes `offset`) at a second place. */
    struct bp_region *(*add_alias)(struct bp_dev *dev, const char *name,
                                   uint64_t gpa, uint64_t bytes,
                                   int32_t priority, uint32_t flags,
                                   struct bp_region *of, uint64_t offset);
    /* Reads stay direct, writes go to ops->write. */
    void (*trap_writes)(struct bp_region *r, const struct bp_mmio_ops *ops,
                        void *ctx);
    void (*set_claims)(struct bp_region *r, uint32_t claims);
    void (*enable)(struct bp_region *r, int32_t enabled);
    void (*move)(struct bp_region *r, uint64_t gpa);
    /* Several changes as one. */
    void (*begin)(struct bp_dev *dev);
    void (*commit)(struct bp_dev *dev);
    /* Dirty tracking of a memory region, by pages of 4096 bytes.
     * fetch_dirty stores one byte (0 or 1) a page and re-arms; what is read
     * from memory afterwards is at least as new. */
    void (*track)(struct bp_region *r, int32_t on);
    void (*fetch_dirty)(struct bp_region *r, uint64_t first_page,
                        uint64_t pages, uint8_t *dirty);
    /* The device itself wrote these pages through its host pointer. */
    void (*mark_dirty)(struct bp_region *r, uint64_t first_page,
                       uint64_t pages);
};

#ifdef __cplusplus
}
#endif

#endif
