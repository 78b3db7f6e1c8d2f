/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Main memory that comes while the machine runs: blocks behind all that it
 * has from the start, first below 4 GiB, where every device reaches them, then
 * above.  It costs nothing until a block is there and used.
 */
#ifndef VM_HOT_RAM_H
#define VM_HOT_RAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct memory;
struct device;

#define HOT_RAM_BLOCK (UINT64_C(128) << 20)

struct hot_ram {
    struct memory *mem;         /* all of it */
    uint64_t low_gpa, high_gpa; /* of the first blocks below 4 GiB, above */
    unsigned low_blocks, max_blocks;
    GPtrArray *regions;   /* struct region *: of the blocks that are there */
    struct device *owner; /* who adds them; NULL */
};

/* Once vm->ram is placed; `bytes` is the maximum of both together, low_end
 * where memory below 4 GiB has to end. */
bool hot_ram_create(struct vm *vm, uint64_t bytes, uint64_t low_end,
                    GError **error);
uint64_t hot_ram_gpa(const struct hot_ram *h, unsigned block);
/* Where memory below 4 GiB ends when all is there. */
uint64_t hot_ram_low_end(const struct vm *vm);
void hot_ram_destroy(struct vm *vm); /* without one is fine */
/* False: more than there can be. */
bool hot_ram_set(struct vm *vm, unsigned blocks);

#endif
