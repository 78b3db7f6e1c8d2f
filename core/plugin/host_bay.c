/* SPDX-License-Identifier: Apache-2.0 */
/* The bay of bp.block/1. */
#include "plugin/bay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "plugin/device.h"
#include "plugin/host.h"
#include "sched/lane.h"
#include "vm/error.h"
#include "vm/vm.h"

#define PLACES_MAX 1024u

struct device_bay {
    const struct bp_block_bay *ops;
    void *ctx;
    struct block_drive *drive[]; /* of each place; NULL: empty */
};

uint32_t bay_places(const struct device *d)
{
    return d->bay ? d->bay->ops->places : 0;
}

struct block_drive *bay_drive(const struct device *d, uint32_t place)
{
    return place < bay_places(d) ? d->bay->drive[place] : NULL;
}

uint32_t bay_free_place(const struct device *d)
{
    uint32_t i = 0;

    while (i < bay_places(d) && d->bay->drive[i])
        i++;
    return i;
}

/* The place that a property stands for; bay_places() when it is none. */
static uint32_t place_of(const struct device *d, const char *property)
{
    size_t n = strlen(d->bay->ops->property);
    char *end;
    unsigned long place;

    if (strncmp(property, d->bay->ops->property, n) != 0 ||
        !g_ascii_isdigit(property[n]))
        return bay_places(d);
    place = strtoul(property + n, &end, 10);
    return *end || place >= bay_places(d) ? bay_places(d) : (uint32_t)place;
}

/* What the properties attached before the device said that it has a bay. */
static void take_properties(struct device *d)
{
    const struct bp_property *p = d->desc->properties;

    for (; p && p->name; p++) {
        uint32_t place = place_of(d, p->name);

        if (p->type == BP_PROP_BLOCK && place < bay_places(d))
            memcpy(&d->bay->drive[place], (uint8_t *)d->self + p->offset,
                   sizeof(d->bay->drive[0]));
    }
}

static void release_bay(void *claim)
{
    struct device *d = claim;

    g_clear_pointer(&d->bay, g_free);
}

int32_t host_block_bay(struct bp_dev *dev, const struct bp_block_bay *ops,
                       void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    if (d->bay || !ops->places || ops->places > PLACES_MAX) {
        device_refuse(d, "it wants a second bay, or one of %" PRIu32 " places",
                      ops->places);
        return -EBUSY;
    }
    d->bay = g_malloc0(sizeof *d->bay + ops->places * sizeof d->bay->drive[0]);
    d->bay->ops = ops;
    d->bay->ctx = ctx;
    device_claim(d, release_bay, d);
    take_properties(d);
    return 0;
}

static bool check(struct device *d, uint32_t place, bool wanted, GError **error)
{
    if (place >= bay_places(d))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "device '%s' has no place %" PRIu32 " for a drive",
                       d->name, place);
    if (wanted != (d->bay->drive[place] != NULL))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "place %" PRIu32 " of device '%s' is %s", place, d->name,
                       wanted ? "empty" : "taken");
    return true;
}

bool bay_plug(struct device *d, uint32_t place, struct block_drive *drive,
              GError **error)
{
    int32_t status;

    if (!check(d, place, false, error))
        return false;
    block_drive_attach(drive, d->lane);
    lane_enter(d->lane);
    status = d->bay->ops->plugged(d->bay->ctx, place,
                                  (struct bp_block_drive *)drive);
    lane_leave(d->lane);
    if (status) {
        block_drive_attach(drive, NULL);
        return device_error(d, status, "does not take the drive", error);
    }
    d->bay->drive[place] = drive;
    device_claim(d, device_release_drive, drive);
    return true;
}

struct block_drive *bay_unplug(struct device *d, uint32_t place, GError **error)
{
    struct block_drive *drive;

    if (!check(d, place, true, error))
        return NULL;
    drive = d->bay->drive[place];
    lane_enter(d->lane);
    d->bay->ops->unplugged(d->bay->ctx, place);
    lane_leave(d->lane);
    block_drive_drain(drive);
    device_unclaim(d, device_release_drive, drive);
    block_drive_attach(drive, NULL);
    lane_sync(d->lane); /* news of its medium may be on the way */
    d->bay->drive[place] = NULL;
    return drive;
}
