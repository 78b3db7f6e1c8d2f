/* SPDX-License-Identifier: Apache-2.0 */
/* bp.hv/1 */
#include "plugin/host.h"

#include <errno.h>

#include "hv/hv.h"
#include "hv/ports.h"
#include "plugin/device.h"
#include "vm/vm.h"

static uint32_t host_processors(struct bp_dev *dev)
{
    const struct vm *vm = device_of(dev)->vm;

    if (vm->hv_sink)
        return vm->hv_sink->processors;
    return vm->hv && hv_has(vm->hv, HV_F_SYNIC) ? vm->hv->count : 0;
}

static int32_t host_message_port(struct bp_dev *dev, uint32_t connection,
                                 bp_hv_message_fn *fn, void *ctx)
{
    struct device *d = device_of(dev);

    return hv_ports_open_message(d->vm->hv_ports, d, connection, fn, ctx);
}

static int32_t host_event_port(struct bp_dev *dev, uint32_t connection,
                               uint32_t flag_count, bp_hv_event_fn *fn,
                               void *ctx)
{
    struct device *d = device_of(dev);

    return hv_ports_open_event(d->vm->hv_ports, d, connection, flag_count, fn,
                               ctx);
}

static void host_close_port(struct bp_dev *dev, uint32_t connection)
{
    struct device *d = device_of(dev);

    hv_ports_close(d->vm->hv_ports, d, connection);
}

static int32_t host_post(struct bp_dev *dev, uint32_t vp, uint32_t sint,
                         uint32_t type, const void *payload, uint32_t bytes)
{
    const struct vm *vm = device_of(dev)->vm;
    const struct hv_sink *sink = vm->hv_sink;

    if (sink)
        return sink->post(sink->opaque, vp, sint, type, payload, bytes);
    return vm->hv ? hv_post(vm->hv, vp, sint, type, payload, bytes) : -ENODEV;
}

static int32_t host_on_room(struct bp_dev *dev, bp_hv_room_fn *fn, void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    return hv_ports_on_room(d->vm->hv_ports, d, fn, ctx);
}

static int32_t host_signal(struct bp_dev *dev, uint32_t vp, uint32_t sint,
                           uint32_t flag)
{
    const struct vm *vm = device_of(dev)->vm;
    const struct hv_sink *sink = vm->hv_sink;

    if (sink)
        return sink->signal(sink->opaque, vp, sint, flag);
    return vm->hv ? hv_signal(vm->hv, vp, sint, flag) : -ENODEV;
}

static int32_t host_raise(struct bp_dev *dev, uint32_t vp, uint32_t sint)
{
    const struct vm *vm = device_of(dev)->vm;
    const struct hv_sink *sink = vm->hv_sink;

    if (sink)
        return sink->raise(sink->opaque, vp, sint);
    return vm->hv ? hv_raise(vm->hv, vp, sint) : -ENODEV;
}

static uint64_t host_reference_time(struct bp_dev *dev)
{
    return hv_reference_time(device_of(dev)->vm);
}

const struct bp_hv host_hv = {
    .size = sizeof(struct bp_hv),
    .processors = host_processors,
    .message_port = host_message_port,
    .event_port = host_event_port,
    .close_port = host_close_port,
    .post = host_post,
    .on_room = host_on_room,
    .signal = host_signal,
    .raise = host_raise,
    .reference_time = host_reference_time,
};
