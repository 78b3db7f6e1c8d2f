/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISA DMA channels: brings devices and the controller that serves their
 * channel together, as <backplane/isa_dma.h> describes.  It keeps no state
 * that a guest can see.
 *
 * Lock order: a device calls with its own lane held; the controller's lane,
 * of a higher rank, is taken here.
 */
#ifndef BUS_ISA_DMA_H
#define BUS_ISA_DMA_H

#include <backplane/isa_dma.h>
#include <stdbool.h>
#include <stdint.h>

struct lane;
struct isa_dma;
struct isa_dma_channel;

enum { ISA_DMA_CHANNELS = 8, ISA_DMA_CASCADE = 4 };

typedef void isa_dma_ready_fn(void *opaque);

struct isa_dma *isa_dma_create(void);
void isa_dma_destroy(struct isa_dma *dma);

/* NULL: no such channel, the cascade, or taken.  Set-up only. */
struct isa_dma_channel *isa_dma_attach(struct isa_dma *dma, unsigned channel,
                                       struct lane *lane,
                                       isa_dma_ready_fn *became_ready,
                                       void *opaque);
/* Machine stopped; before the device's lane is destroyed. */
void isa_dma_detach(struct isa_dma_channel *ch);

/* False: channels out of range or already served.  Set-up only. */
bool isa_dma_provide(struct isa_dma *dma, unsigned first, unsigned count,
                     struct lane *lane,
                     const struct bp_isa_dma_controller *controller,
                     void *opaque);
void isa_dma_withdraw(struct isa_dma *dma, void *opaque);

/* Returns bytes moved: 0 when nobody serves the channel, when the channel
 * is masked or set up otherwise.  [lane of the device] */
uint32_t isa_dma_transfer(struct isa_dma_channel *ch, uint8_t *buffer,
                          uint32_t bytes, uint32_t direction, bool *tc);
bool isa_dma_ready(struct isa_dma_channel *ch);

/* From the controller: posts became_ready to the device's lane, once however
 * often the guest unmasks before it ran.  [lane of the controller] */
void isa_dma_unmasked(struct isa_dma *dma, unsigned channel);

#endif
