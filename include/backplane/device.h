/* SPDX-License-Identifier: MIT */
/*
 * A device: its descriptor and its life.
 *
 *   properties set -> create -> realize -> reset(COLD) -> [load] ->
 *   { start -> ... -> stop } -> destroy
 *
 * Contract words, used on every function of this ABI:
 *
 *   [lane]     the device's own lane is held: callbacks of one instance never
 *              overlap, on whatever thread they run.  Device code needs no
 *              mutex.
 *   [any]      may be called from any thread at any time.
 *   [setup]    inside create or realize.
 *   [stopped]  no vCPU runs.
 *
 * All callbacks of a device are [lane].  They must not block and must do a
 * bounded amount of work.  Host functions are [lane] unless marked.  A host
 * function never calls back into the same instance before it returns, except
 * where it says so.
 */
#ifndef BACKPLANE_DEVICE_H
#define BACKPLANE_DEVICE_H

#include <stdint.h>

#include <backplane/host.h>
#include <backplane/property.h>
#include <backplane/state.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BP_CLASS_OTHER = 0,
    BP_CLASS_BRIDGE = 1,    /* host and bus bridges */
    BP_CLASS_INTERRUPT = 2, /* interrupt controllers */
    BP_CLASS_TIMER = 3,
    BP_CLASS_STORAGE = 4,
    BP_CLASS_NETWORK = 5,
    BP_CLASS_DISPLAY = 6,
    BP_CLASS_INPUT = 7,
    BP_CLASS_CHARACTER = 8,
    BP_CLASS_FIRMWARE = 9,
    BP_CLASS_AUDIO = 10,
    BP_CLASS_BUS = 11, /* a bus that other plugins sit on */
};

enum {
    BP_RESET_COLD = 0, /* power on, and every machine reset */
    BP_RESET_WARM = 1, /* reset that keeps what RESET# keeps */
    BP_RESET_BUS = 2,  /* the bus it sits on was reset */
};

struct bp_device_desc {
    uint32_t size;         /* sizeof(struct bp_device_desc) */
    uint32_t device_class; /* BP_CLASS_* */
    const char *id;        /* "i8254": lower case, digits, '-' */
    const char *title;     /* "Intel 8254 interval timer" */

    uint32_t instance_size; /* the host allocates, zeroed, 64-aligned */
    uint32_t state_offset;  /* of the nested state struct */
    uint32_t state_size;
    uint32_t state_version;        /* from 1; raised when fields are added */
    const struct bp_field *fields; /* NULL: no state */
    const struct bp_property *properties; /* NULL: none */
    const char *const *requires_; /* service ids, NULL ends; may be NULL */

    /*
     * Takes the services it needs; claims nothing.  0 or a negative errno
     * (then destroy is not called).
     */
    int32_t (*create)(void *self, struct bp_dev *dev,
                      const struct bp_host *host);
    /* Claims ports, regions, lines, timers.  The host releases them all
     * after destroy, so a device needs to release nothing itself. */
    int32_t (*realize)(void *self);
    /* Power-on values into the state, then outputs from it. */
    void (*reset)(void *self, uint32_t kind);
    /* Before the state is read: bring values that live in timers or clocks
     * up to date.  [stopped]  May be NULL. */
    void (*save)(void *self);
    /*
     * The state was replaced: check ranges (a saved file is untrusted),
     * derive what hangs on it, drive outputs.  Negative errno refuses it.
     * `version` is the state_version of the writer.  [stopped]  May be NULL.
     */
    int32_t (*loaded)(void *self, uint32_t version);
    void (*start)(void *self); /* vCPUs are about to run; may be NULL */
    void (*stop)(void *self);  /* they stopped; may be NULL */
    /* Frees what create allocated; called once, in any state.  May be
     * NULL. */
    void (*destroy)(void *self);
    /* Interfaces this device publishes to other devices ("bp.pic/1"); the
     * table's functions take `self`.  May be NULL. */
    const void *(*query)(void *self, const char *id);
    /*
     * Lock order of lanes: 0 ordinary device, 1 a device that others call
     * into synchronously (bus bridge, DMA controller), 2 an interrupt
     * controller.  A callback may reach only devices of a higher rank.
     */
    uint32_t lane_rank;
};

#ifdef __cplusplus
}
#endif

#endif
