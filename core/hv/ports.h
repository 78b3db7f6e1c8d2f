/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the hypervisor interface: what devices offer to guests by
 * connection ids, and the devices' functions behind them (bp.hv/1).
 *
 * A port belongs to a device, and its function runs with that device's lane
 * held, on the thread of who posts or signals.  Ports are opened and closed
 * with that lane held.
 */
#ifndef HV_PORTS_H
#define HV_PORTS_H

#include <stdint.h>

#include <backplane/hv.h>

struct vm;
struct device;
struct hv_ports;

struct hv_ports *hv_ports_create(void);
void hv_ports_destroy(struct hv_ports *p);

/* As in bp.hv/1. */
int32_t hv_ports_open_message(struct hv_ports *p, struct device *dev,
                              uint32_t connection, bp_hv_message_fn *fn,
                              void *ctx);
int32_t hv_ports_open_event(struct hv_ports *p, struct device *dev,
                            uint32_t connection, uint32_t flags,
                            bp_hv_event_fn *fn, void *ctx);
void hv_ports_close(struct hv_ports *p, struct device *dev,
                    uint32_t connection);
int32_t hv_ports_on_room(struct hv_ports *p, struct device *dev,
                         bp_hv_room_fn *fn, void *ctx);
/* Everything of a device that goes away; its lane is at rest. */
void hv_ports_drop(struct hv_ports *p, struct device *dev);

/*
 * The guest's side.  The caller holds no lane.  -ENOENT: there is no such
 * port; -EINVAL: not of this kind, or no such flag; else what the port's
 * function returned.  [vcpu | bench]
 */
int32_t hv_port_message(struct vm *vm, uint32_t connection, uint32_t type,
                        const void *payload, uint32_t bytes);
int32_t hv_port_signal(struct vm *vm, uint32_t connection, uint32_t flag);
/* The slot of this SINT is free after a post() that found it taken. */
void hv_ports_room(struct vm *vm, uint32_t vp, uint32_t sint);

#endif
