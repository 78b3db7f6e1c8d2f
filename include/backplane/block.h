/* SPDX-License-Identifier: MIT */
/*
 * Disks: "bp.block/1".
 *
 * A block back end comes from a property of type BP_PROP_BLOCK.  Requests
 * are asynchronous, owned and allocated by the device, and complete on its
 * lane in any order.  The host has finished all of them before stop()
 * returns to the machine, so none is in flight when state is saved.
 */
#ifndef BACKPLANE_BLOCK_H
#define BACKPLANE_BLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_BLOCK "bp.block/1"

struct bp_dev;
struct bp_block_drive;

enum {
    BP_BLOCK_READ = 1,
    BP_BLOCK_WRITE = 2,
    BP_BLOCK_FLUSH = 3,
    BP_BLOCK_DISCARD = 4, /* gives space back; see BP_BLOCK_THIN */
    BP_BLOCK_ZERO = 5,    /* writes zeros */
};

enum {
    BP_BLOCK_READONLY = 1, /* writes fail with -EROFS */
    BP_BLOCK_REMOVABLE = 2,
    BP_BLOCK_PRESENT = 4, /* there is a medium */
    BP_BLOCK_LOCKED = 8,  /* the guest locked it in */
    BP_BLOCK_CDROM = 16,
    BP_BLOCK_THIN = 32, /* what was discarded reads as zeros; without it a
                         * discard may do nothing */
};

/*
 * A request whose data is in the host's memory may be executed by the calling
 * thread; done is then called when the current callback of the device has
 * returned.  For devices whose guests take completions as they come.
 */
#define BP_BLOCK_INLINE 1u

struct bp_block_info {
    uint32_t size;
    uint32_t flags;         /* BP_BLOCK_READONLY .. */
    uint64_t bytes;         /* of the medium */
    uint32_t logical_block; /* bytes: 512, 2048, 4096 */
    uint32_t physical_block;
    uint64_t generation; /* raised at each change of medium */
    char serial[21];     /* printable, NUL-terminated */
    char reserved[3];
};

struct bp_iovec {
    void *base;
    uint64_t bytes;
};

/*
 * Filled by the device, unchanged until done is called.  offset and the sum
 * of the vector are multiples of 512 bytes.
 */
struct bp_block_request {
    uint32_t size;   /* sizeof(struct bp_block_request) */
    uint32_t op;     /* BP_BLOCK_READ .. */
    uint64_t offset; /* bytes */
    uint64_t bytes;  /* DISCARD, ZERO; else the vector counts */
    const struct bp_iovec *iov;
    uint32_t iov_count;
    /* 0 or a negative errno: -EIO, -ENOSPC, -EROFS, -ENOMEDIUM, -ERANGE
     * (beyond the end).  Called [lane], never before submit returned. */
    int32_t status;
    void (*done)(struct bp_block_request *request);
    void *ctx;      /* the device's */
    void *host[4];  /* the host's */
    uint32_t flags; /* BP_BLOCK_INLINE; since 1.1 */
    uint32_t reserved;
};

/*
 * Places of a device that drives are put in and taken out of while the
 * machine runs.  Drives of properties `property`N are in place N from the
 * start.
 */
struct bp_block_bay {
    uint32_t size;
    uint32_t places;
    const char *property;
    /* The place was empty.  The device may call listen() here. */
    int32_t (*plugged)(void *ctx, uint32_t place, struct bp_block_drive *d);
    /* The device submits nothing more to the drive, also not from a done()
     * of what is under way; the host waits for that. */
    void (*unplugged)(void *ctx, uint32_t place);
};

struct bp_block {
    uint32_t size;
    void (*info)(struct bp_block_drive *d, struct bp_block_info *info);
    void (*submit)(struct bp_block_drive *d, struct bp_block_request *request);
    /* `changed` is called [lane] after the medium was inserted or removed
     * by the user; `eject_request` when the user asks while it is locked.
     * One listener a drive.  [setup] */
    void (*listen)(struct bp_block_drive *d, void (*changed)(void *ctx),
                   void (*eject_request)(void *ctx), void *ctx);
    /* The guest locks the medium in, opens or closes the tray.  Eject makes
     * the medium not present until the user inserts one or the tray closes
     * again. */
    void (*lock)(struct bp_block_drive *d, int32_t locked);
    void (*eject)(struct bp_block_drive *d, int32_t open);
    /* One bay a device; its functions are called [lane].  The table outlives
     * the device.  [setup] */
    int32_t (*bay)(struct bp_dev *dev, const struct bp_block_bay *bay,
                   void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
