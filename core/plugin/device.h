/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device instance: the host's side of what a plugin describes.
 *
 * `struct bp_dev`, the handle that device code holds, is this struct; the
 * files host_*.c implement the services that take it.  Everything a device
 * claims is recorded here and released by device_destroy(), so a device
 * cannot leave anything behind.
 */
#ifndef PLUGIN_DEVICE_H
#define PLUGIN_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/device.h>

#include "lib/log.h"

struct vm;
struct lane;
struct device_bay;
struct device;
struct pci_function;
struct state_writer;
struct state_reader;

/* Something to undo: called in the reverse order of claiming. */
typedef void device_release_fn(void *claim);

struct device {
    struct vm *vm;
    char *name; /* unique in the machine */
    const struct bp_device_desc *desc;
    void *self; /* the instance */
    struct lane *lane;

    bool created;  /* destroy() is due */
    bool in_setup; /* inside create or realize */
    bool started;
    char *reason; /* what host->fail recorded */

    GBytes *rom;        /* of the host's property "romfile" */
    GPtrArray *strings; /* values of string properties */
    GArray *claims;
    GPtrArray *timers;      /* struct bp_timer_handle *, host_timer.c */
    GPtrArray *outputs;     /* struct bp_irq_line *, host_irq.c */
    GPtrArray *regions;     /* struct bp_region *, host_mmio.c */
    GPtrArray *functions;   /* struct bp_pci_function *, host_pci.c */
    GPtrArray *watches;     /* struct bp_watch_handle *, host_watch.c */
    struct device_bay *bay; /* NULL: none; host_bay.c */

    /* Accesses of its own DMA that came back to it, and calls that its lane
     * rank does not allow. */
    uint64_t refused;
    bool dma_refused; /* [lane] set while its DMA runs */
    uint64_t guest_errors;
    struct log_limit log_limit, guest_limit;
};

static inline struct device *device_of(struct bp_dev *dev)
{
    return (struct device *)dev;
}

static inline struct bp_dev *device_handle(struct device *d)
{
    return (struct bp_dev *)d;
}

/*
 * settings: "property=value" strings, NULL at the end; may be NULL.  Creates
 * the instance with its properties and calls create().  The device is in
 * vm->devices when it succeeds.
 */
struct device *device_create(struct vm *vm, const char *name,
                             const struct bp_device_desc *desc,
                             const char *const *settings, GError **error);
bool device_realize(struct device *d, GError **error);
void device_reset(struct device *d, uint32_t kind);
void device_start(struct device *d);
void device_stop(struct device *d);
/* Machine stopped.  NULL is fine. */
void device_destroy(struct device *d);

/* By name. */
struct device *device_find(struct vm *vm, const char *name);

/*
 * The lane for an access from a vCPU or another device.  False: the calling
 * thread is in this device already, or in one of the same rank or above; the
 * access is refused and counted.
 */
bool device_enter(struct device *d);
void device_leave(struct device *d);

/* For host_*.c: */
void device_claim(struct device *d, device_release_fn *release, void *claim);
/* The claim is gone, without being released. */
void device_unclaim(struct device *d, device_release_fn *release, void *claim);
/* The claim of an attached drive (property.c). */
void device_release_drive(void *drive);
/* Records a reason as host->fail does; returns NULL for one-line failures. */
void *device_refuse(struct device *d, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
/* False, with a reason, outside create and realize. */
bool device_may_claim(struct device *d);
/* The error that a device's negative return stands for. */
bool device_error(struct device *d, int32_t code, const char *doing,
                  GError **error);

extern const struct bp_host device_host;

/* --- properties (property.c) ---------------------------------------------*/

/* Defaults of all, then the settings.  A block or character property gets
 * the drive or port of that name. */
bool device_set_properties(struct device *d, const char *const *settings,
                           GError **error);
const struct bp_property *property_find(const struct bp_device_desc *desc,
                                        const char *name);
const char *property_type_name(const struct bp_property *p);
/* The default as a user would write it; to be freed. */
char *property_default(const struct bp_property *p);
/* "0..15", "a|b|c"; NULL when there is nothing to say; to be freed. */
char *property_range(const struct bp_property *p);

/* --- state (device_state.c) ----------------------------------------------*/

/* Machine stopped, lanes drained.  for_hash: leaves out what depends on the
 * host's clock. */
void device_save(struct device *d, struct state_writer *w, bool for_hash);
/* The device was reset; clocks have their saved values.  Nothing of it is
 * called yet: first all devices of the machine are loaded. */
bool device_load(struct device *d, struct state_reader *r, GError **error);
/* Then each checks its state and drives its outputs. */
bool device_loaded(struct device *d, uint32_t version, GError **error);

#endif
