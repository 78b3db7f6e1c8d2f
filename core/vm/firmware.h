/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the board tells its firmware through fw_cfg: a table of items that
 * the device "fw-cfg" carries into the guest (bp.firmware/1).
 */
#ifndef VM_FIRMWARE_H
#define VM_FIRMWARE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

#define FIRMWARE_FILE 0xffffu /* key of an item with a file name */

struct firmware_item {
    uint32_t key;
    char *name; /* "" for fixed selectors */
    GBytes *data;
};

/* Copies `data`.  An item of the same key or file name is replaced. */
void firmware_add_item(struct vm *vm, uint32_t key, const char *name,
                       const void *data, size_t bytes);
/* Takes the reference. */
void firmware_add_bytes(struct vm *vm, uint32_t key, const char *name,
                        GBytes *data);
void firmware_free_items(struct vm *vm);

#endif
