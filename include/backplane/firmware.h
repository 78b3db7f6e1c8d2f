/* SPDX-License-Identifier: MIT */
/*
 * What the board tells its firmware: "bp.firmware/1".  Used by the device
 * that carries it into the guest (fw_cfg).
 */
#ifndef BACKPLANE_FIRMWARE_H
#define BACKPLANE_FIRMWARE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_FIRMWARE "bp.firmware/1"

struct bp_dev;

struct bp_firmware_item {
    uint32_t size;
    uint32_t key;        /* fixed selector; 0xffff: named file */
    const char *name;    /* "etc/e820"; "" for fixed selectors */
    const uint8_t *data; /* owned by the host until destroy */
    uint64_t bytes;
};

struct bp_firmware {
    uint32_t size;
    uint32_t (*count)(struct bp_dev *dev); /* final from reset() on */
    /* 0, or -ENOENT when index >= count. */
    int32_t (*get)(struct bp_dev *dev, uint32_t index,
                   struct bp_firmware_item *item);
};

#ifdef __cplusplus
}
#endif

#endif
