/* SPDX-License-Identifier: MIT */
/*
 * What the host gives a device: a handle and a way to ask for services.
 */
#ifndef BACKPLANE_HOST_H
#define BACKPLANE_HOST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host's side of one device instance.  Owned by the host; valid from
 * create() until destroy() returned. */
struct bp_dev;

struct bp_host {
    uint32_t size;
    /*
     * The table of a service ("bp.timer/1"), or NULL when this host does not
     * offer it.  Tables live as long as the process.  The first member of
     * each is its size; a member beyond it does not exist.  [any]
     */
    const void *(*query)(const struct bp_host *host, const char *id);
    /*
     * Records why the call in progress fails and returns `error` (a negative
     * errno), so that a device can write `return host->fail(dev, -EINVAL,
     * "irq %u is out of range", n);`.  The text is one clause without a full
     * stop.  [create, realize, loaded]
     */
    int32_t (*fail)(struct bp_dev *dev, int32_t error, const char *format, ...);
    /*
     * The interface `id` of another device of the same machine, found by the
     * name it has in the configuration, or by class name when `device` is
     * NULL and exactly one device answers.  NULL when there is none.  The
     * instance to pass to it is stored in *self.  [create, realize]
     */
    const void *(*device_query)(struct bp_dev *dev, const char *device,
                                const char *id, void **self);
};

/* True when `table` (non-NULL) is long enough to have `member`. */
#define BP_HAS(table, member)                                        \
    ((const char *)(&(table)->member + 1) - (const char *)(table) <= \
     (intptr_t)(table)->size)

#ifdef __cplusplus
}
#endif

#endif
