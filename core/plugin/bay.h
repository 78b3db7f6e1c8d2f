/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bays: places of a device for drives that come and go while the machine
 * runs.  (host_bay.c)
 */
#ifndef PLUGIN_BAY_H
#define PLUGIN_BAY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct block_drive;
struct device;

/* How many places; 0: the device has no bay. */
uint32_t bay_places(const struct device *d);
/* NULL: the place is empty, or there is none. */
struct block_drive *bay_drive(const struct device *d, uint32_t place);
/* The first empty place; bay_places() when there is none. */
uint32_t bay_free_place(const struct device *d);
/*
 * Both on the control thread, no lane held, on a running or stopped machine.
 * The drive is not attached before bay_plug(), and no more after
 * bay_unplug(), which waits for what is in flight.
 */
bool bay_plug(struct device *d, uint32_t place, struct block_drive *drive,
              GError **error);
struct block_drive *bay_unplug(struct device *d, uint32_t place,
                               GError **error);

#endif
