/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor interface of Hyper-V as devices see it: ports that guests
 * post messages to and signal events on, and the way back through the
 * synthetic interrupt controller (SynIC): "bp.hv/1".
 *
 * Source: Hypervisor Top-Level Functional Specification, chapters 10 and 11.
 */
#ifndef BACKPLANE_HV_H
#define BACKPLANE_HV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_HV "bp.hv/1"

struct bp_dev;

#define BP_HV_MESSAGE_BYTES 240 /* of payload, at most */
#define BP_HV_SINTS         16
#define BP_HV_EVENT_FLAGS   2048

/*
 * HvPostMessage on this port: 0 takes the message, -EAGAIN tells the guest
 * to try again (insufficient buffers), other errors say that it is not
 * allowed.  The payload is the device's to read until it returns.  [lane]
 */
typedef int32_t bp_hv_message_fn(void *ctx, uint32_t type, const void *payload,
                                 uint32_t bytes);
/* HvSignalEvent on this port.  On the vCPU's thread.  [lane] */
typedef void bp_hv_event_fn(void *ctx, uint32_t flag);
/* The guest took the message out of the slot of this SINT.  [lane] */
typedef void bp_hv_room_fn(void *ctx, uint32_t vp, uint32_t sint);

struct bp_hv {
    uint32_t size;
    /* Virtual processors; 0: the machine does not show the interface.
     * [any] */
    uint32_t (*processors)(struct bp_dev *dev);
    /*
     * Ports.  `connection` is the id that the guest names.  -EBUSY: taken.
     * A port may be made and closed at any time; open and close are called
     * with the lane of `dev` held, which is the lane that fn runs in, so
     * after close fn is not called again.
     */
    int32_t (*message_port)(struct bp_dev *dev, uint32_t connection,
                            bp_hv_message_fn *fn, void *ctx);
    /* Flags below flag_count are the port's; others are refused to the
     * guest. */
    int32_t (*event_port)(struct bp_dev *dev, uint32_t connection,
                          uint32_t flag_count, bp_hv_event_fn *fn, void *ctx);
    void (*close_port)(struct bp_dev *dev, uint32_t connection);
    /*
     * A message into the slot of a SINT.  -EAGAIN: the slot is taken; the
     * room function is called later.  -ENODEV: the guest has not enabled
     * SynIC or page, or there is no such processor.  [any]
     */
    int32_t (*post)(struct bp_dev *dev, uint32_t vp, uint32_t sint,
                    uint32_t type, const void *payload, uint32_t bytes);
    /* One function a device.  [setup] */
    int32_t (*on_room)(struct bp_dev *dev, bp_hv_room_fn *fn, void *ctx);
    /* Sets an event flag, and raises the SINT when it was clear.  -ENODEV
     * as for post.  [any] */
    int32_t (*signal)(struct bp_dev *dev, uint32_t vp, uint32_t sint,
                      uint32_t flag);
    /* Raises a SINT without message or flag.  [any] */
    int32_t (*raise)(struct bp_dev *dev, uint32_t vp, uint32_t sint);
    /* Partition reference time: units of 100 ns.  [any] */
    uint64_t (*reference_time)(struct bp_dev *dev);
};

#ifdef __cplusplus
}
#endif

#endif
