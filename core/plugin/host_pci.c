/* SPDX-License-Identifier: Apache-2.0 */
/* bp.pci/1 */
#include "plugin/host.h"

#include <errno.h>

#include "bus/pci.h"
#include "plugin/device.h"
#include "vm/vm.h"

static void config_written(void *opaque, uint32_t offset, uint32_t width)
{
    struct bp_pci_function *f = opaque;

    if (f->config_write)
        f->config_write(f->ctx, offset, width);
}

void host_pci_remove(struct bp_pci_function *f)
{
    pci_function_remove(f->f);
    g_free(f);
}

/* Keeps the bus's clause as the reason. */
static int32_t refuse(struct device *d, GError *why)
{
    device_refuse(d, "%s", why ? why->message : "it is refused");
    g_clear_error(&why);
    return -EINVAL;
}

static struct bp_pci_function *host_add(
    struct bp_dev *dev, uint32_t slot, uint32_t function,
    const struct bp_pci_ids *ids,
    void (*config_write)(void *ctx, uint32_t offset, uint32_t width), void *ctx)
{
    struct device *d = device_of(dev);
    GError *why = NULL;

    if (!device_may_claim(d))
        return NULL;
    if (!d->vm->pci)
        return device_refuse(d, "this machine has no PCI bus");
    struct bp_pci_function *f = g_new0(struct bp_pci_function, 1);
    f->dev = d;
    f->config_write = config_write;
    f->ctx = ctx;
    f->f = pci_function_add(d->vm->pci, d->name, slot, function, ids, d->lane,
                            config_written, f, &why);
    if (!f->f) {
        g_free(f);
        refuse(d, why);
        return NULL;
    }
    g_ptr_array_add(d->functions, f);
    return f;
}

static void host_set(struct bp_pci_function *f, uint32_t offset, uint32_t width,
                     uint32_t value, uint32_t writable, uint32_t clear)
{
    if (!pci_function_set(f->f, offset, width, value, writable, clear))
        log_error(f->dev->name, "there is no configuration register %x.%u",
                  offset, width);
}

static uint32_t host_get(struct bp_pci_function *f, uint32_t offset,
                         uint32_t width)
{
    return pci_function_get(f->f, offset, width);
}

static void host_put(struct bp_pci_function *f, uint32_t offset, uint32_t width,
                     uint32_t value)
{
    if (!pci_function_put(f->f, offset, width, value))
        log_error(f->dev->name, "there is no configuration register %x.%u",
                  offset, width);
}

static int32_t host_bar_memory(struct bp_pci_function *f, uint32_t index,
                               uint64_t bytes, uint32_t prefetchable,
                               struct bp_region *region)
{
    GError *why = NULL;

    if (!device_may_claim(f->dev))
        return -EPERM;
    if (!pci_function_bar_memory(f->f, index, bytes, prefetchable, false,
                                 region->region, &why))
        return refuse(f->dev, why);
    region->by_host = true;
    return 0;
}

static int32_t host_bar_io(struct bp_pci_function *f, uint32_t index,
                           uint32_t ports, struct bp_pio_range *range)
{
    GError *why = NULL;

    if (!device_may_claim(f->dev))
        return -EPERM;
    if (!pci_function_bar_io(f->f, index, ports, range->range, &why))
        return refuse(f->dev, why);
    return 0;
}

static int32_t host_rom(struct bp_pci_function *f, const void *image,
                        uint32_t bytes)
{
    GError *why = NULL;

    if (!device_may_claim(f->dev))
        return -EPERM;
    if (!pci_function_rom(f->f, image, bytes, &why))
        return refuse(f->dev, why);
    return 0;
}

static void host_set_intx(struct bp_pci_function *f, int32_t level)
{
    pci_function_set_intx(f->f, level);
}

const struct bp_pci host_pci = {
    .size = sizeof(struct bp_pci),
    .add = host_add,
    .set = host_set,
    .get = host_get,
    .put = host_put,
    .bar_memory = host_bar_memory,
    .bar_io = host_bar_io,
    .rom = host_rom,
    .set_intx = host_set_intx,
};
