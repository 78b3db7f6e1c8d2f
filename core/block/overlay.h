/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that do not reach the image: snapshot=on.
 *
 * A file without a name, as large as the image and full of holes, and a
 * bitmap with a bit for each 512-byte sector that was written to it.  The
 * host keeps it in its page cache while it can.
 */
#ifndef BLOCK_OVERLAY_H
#define BLOCK_OVERLAY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/file.h"

struct overlay;
struct state_reader;
struct state_writer;

/* NULL with a clause that says what failed. */
struct overlay *overlay_create(uint64_t bytes, GError **error);
void overlay_destroy(struct overlay *o);

/* As in block/file.h; offset and bytes are multiples of 512.  Requests to
 * sectors of their own may run at the same time. */
int32_t overlay_read(struct overlay *o, int base, uint64_t base_bytes,
                     struct file_cursor *c, uint64_t offset, uint64_t bytes,
                     bool now);
int32_t overlay_write(struct overlay *o, struct file_cursor *c, uint64_t offset,
                      uint64_t bytes);
int32_t overlay_zero(struct overlay *o, uint64_t offset, uint64_t bytes);
int32_t overlay_discard(struct overlay *o, uint64_t offset, uint64_t bytes);
bool overlay_can_discard(const struct overlay *o);

/* Puts at most 32 MiB of what was written at or after the sector *next, and
 * moves that on; false, and nothing put, when there is no more. */
bool overlay_save(struct overlay *o, uint64_t *next, struct state_writer *w);
bool overlay_load(struct overlay *o, struct state_reader *r, GError **error);

#endif
