/* SPDX-License-Identifier: Apache-2.0 */
/* bp.pio/1 */
#include "plugin/host.h"

#include "bus/pio.h"
#include "plugin/device.h"
#include "vm/vm.h"

static uint32_t range_read(void *opaque, uint16_t offset, unsigned size)
{
    struct bp_pio_range *r = opaque;

    if (!device_enter(r->dev))
        return UINT32_MAX;
    uint32_t value =
        r->ops->read ? r->ops->read(r->ctx, offset, size) : UINT32_MAX;
    device_leave(r->dev);
    return value;
}

static void range_write(void *opaque, uint16_t offset, uint32_t value,
                        unsigned size)
{
    struct bp_pio_range *r = opaque;

    if (!device_enter(r->dev))
        return;
    if (r->ops->write)
        r->ops->write(r->ctx, offset, value, size);
    device_leave(r->dev);
}

static const struct pio_ops range_ops = { range_read, range_write };

static void release_range(void *claim)
{
    struct bp_pio_range *r = claim;

    pio_release(r->range);
    g_free(r->name);
    g_free(r);
}

static struct bp_pio_range *host_claim(struct bp_dev *dev, const char *name,
                                       uint32_t first, uint32_t count,
                                       uint32_t sizes, int32_t priority,
                                       const struct bp_pio_ops *ops, void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    if (first > UINT16_MAX || !(sizes & BP_SIZE_ANY) ||
        (sizes & ~(uint32_t)(BP_SIZE_ANY | BP_SIZE_UNALIGNED)))
        return device_refuse(d, "ports %x..%x cannot be claimed", first,
                             first + count - 1);
    struct bp_pio_range *r = g_new0(struct bp_pio_range, 1);
    r->dev = d;
    r->ops = ops;
    r->ctx = ctx;
    r->first = first;
    r->count = count;
    r->enabled = true;
    r->name = g_strdup_printf("%s.%s", d->name, name);
    r->range = pio_claim(d->vm->pio, r->name, (uint16_t)first, count, sizes,
                         priority, &range_ops, r);
    if (!r->range) {
        g_free(r->name);
        g_free(r);
        return device_refuse(d, "ports %x..%x do not exist", first,
                             first + count - 1);
    }
    device_claim(d, release_range, r);
    return r;
}

static void host_enable(struct bp_pio_range *r, int32_t enabled)
{
    if (r->enabled == !!enabled)
        return;
    r->enabled = enabled;
    pio_range_enable(r->range, enabled);
}

static void host_move(struct bp_pio_range *r, uint32_t first)
{
    /* A base register of a chip may hold what leaves no room. */
    if (first > UINT16_MAX || r->first == first)
        return;
    r->first = first;
    pio_range_move(r->range, (uint16_t)first);
}

const struct bp_pio host_pio = {
    .size = sizeof(struct bp_pio),
    .claim = host_claim,
    .enable = host_enable,
    .move = host_move,
};
