/* SPDX-License-Identifier: Apache-2.0 */
/* bp.dma/1 and bp.isa-dma/1 */
#include "plugin/host.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bus/isa_dma.h"
#include "bus/pci.h"
#include "mem/map.h"
#include "plugin/device.h"
#include "vm/vm.h"

/* A device without PCI functions is not gated. */
static bool is_master(struct device *d)
{
    for (guint i = 0; i < d->functions->len; i++) {
        struct bp_pci_function *f = d->functions->pdata[i];
        if (pci_function_is_master(f->f))
            return true;
    }
    return d->functions->len == 0;
}

/* Why a transfer did not succeed, for who asks with BP_LOG=debug. */
static int32_t failed(struct device *d, const char *what, uint64_t gpa,
                      uint32_t bytes, int32_t error)
{
    log_debug(d->name, "DMA %s of %u bytes at %" PRIx64 ": %s", what, bytes,
              gpa,
              error == -EACCES ? "bus mastering is off"
                               : "part of it is no memory");
    return error;
}

static int32_t host_read(struct bp_dev *dev, uint64_t gpa, void *dst,
                         uint32_t bytes)
{
    struct device *d = device_of(dev);

    if (!is_master(d)) {
        memset(dst, 0xff, bytes);
        return failed(d, "read", gpa, bytes, -EACCES);
    }
    d->dma_refused = false;
    bool whole = map_dma_read(d->vm->map, gpa, dst, bytes);
    return whole && !d->dma_refused ? 0
                                    : failed(d, "read", gpa, bytes, -EFAULT);
}

static int32_t host_write(struct bp_dev *dev, uint64_t gpa, const void *src,
                          uint32_t bytes)
{
    struct device *d = device_of(dev);

    if (!is_master(d))
        return failed(d, "write", gpa, bytes, -EACCES);
    d->dma_refused = false;
    bool whole = map_dma_write(d->vm->map, gpa, src, bytes);
    return whole && !d->dma_refused ? 0
                                    : failed(d, "write", gpa, bytes, -EFAULT);
}

static int64_t host_map(struct bp_dev *dev, uint64_t gpa, uint64_t bytes,
                        uint32_t write, void **host)
{
    struct device *d = device_of(dev);

    if (!is_master(d))
        return -EACCES;
    bytes = MIN(bytes, (uint64_t)INT64_MAX);
    uint64_t n = map_dma_direct(d->vm->map, gpa, bytes, write, host);
    return n ? (int64_t)n : -EFAULT;
}

static void host_unmap(struct bp_dev *dev, uint64_t gpa, void *host,
                       uint64_t bytes, uint32_t write, uint64_t written)
{
    if (write && written)
        map_dma_done(device_of(dev)->vm->map, host, MIN(written, bytes));
}

static void host_touched(struct bp_dev *dev, void *host, uint64_t bytes)
{
    if (bytes)
        map_dma_done(device_of(dev)->vm->map, host, bytes);
}

const struct bp_dma host_dma = {
    .size = sizeof(struct bp_dma),
    .read = host_read,
    .write = host_write,
    .map = host_map,
    .unmap = host_unmap,
    .touched = host_touched,
};

/* --- ISA DMA --------------------------------------------------------------*/

/* The handle is the bus's own object. */
static struct isa_dma_channel *channel_of(struct bp_isa_dma_channel *ch)
{
    return (struct isa_dma_channel *)ch;
}

static void release_channel(void *claim)
{
    isa_dma_detach(claim);
}

static struct bp_isa_dma_channel *host_attach(struct bp_dev *dev,
                                              uint32_t channel,
                                              void (*became_ready)(void *ctx),
                                              void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    struct isa_dma_channel *ch =
        isa_dma_attach(d->vm->isa_dma, channel, d->lane, became_ready, ctx);
    if (!ch)
        return device_refuse(d,
                             "ISA DMA channel %u does not exist or is "
                             "taken",
                             channel);
    device_claim(d, release_channel, ch);
    return (struct bp_isa_dma_channel *)ch;
}

static uint32_t host_transfer(struct bp_isa_dma_channel *ch, uint8_t *buffer,
                              uint32_t bytes, uint32_t direction, uint32_t *tc)
{
    bool end = false;
    uint32_t n =
        isa_dma_transfer(channel_of(ch), buffer, bytes, direction, &end);

    *tc = end;
    return n;
}

static int32_t host_ready(struct bp_isa_dma_channel *ch)
{
    return isa_dma_ready(channel_of(ch));
}

struct provider {
    struct isa_dma *bus;
    void *opaque;
};

static void release_provider(void *claim)
{
    struct provider *p = claim;

    isa_dma_withdraw(p->bus, p->opaque);
    g_free(p);
}

static int32_t host_provide(struct bp_dev *dev, uint32_t first, uint32_t n,
                            const struct bp_isa_dma_controller *controller,
                            void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    if (!isa_dma_provide(d->vm->isa_dma, first, n, d->lane, controller, ctx)) {
        device_refuse(d, "ISA DMA channels from %u on are served already",
                      first);
        return -EBUSY;
    }
    struct provider *p = g_new0(struct provider, 1);
    p->bus = d->vm->isa_dma;
    p->opaque = ctx;
    device_claim(d, release_provider, p);
    return 0;
}

static void host_unmasked(struct bp_dev *dev, uint32_t channel)
{
    if (channel < ISA_DMA_CHANNELS)
        isa_dma_unmasked(device_of(dev)->vm->isa_dma, channel);
}

const struct bp_isa_dma host_isa_dma = {
    .size = sizeof(struct bp_isa_dma),
    .attach = host_attach,
    .transfer = host_transfer,
    .ready = host_ready,
    .provide = host_provide,
    .unmasked = host_unmasked,
};
