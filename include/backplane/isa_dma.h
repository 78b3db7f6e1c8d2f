/* SPDX-License-Identifier: MIT */
/*
 * ISA DMA: "bp.isa-dma/1".
 *
 * A device pulls its transfers: it calls transfer() whenever it would raise
 * DREQ, and the DMA controller moves bytes between the device's buffer and
 * guest memory as its registers say.  When the channel is masked nothing
 * moves, and the device is told when that changes.
 */
#ifndef BACKPLANE_ISA_DMA_H
#define BACKPLANE_ISA_DMA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_ISA_DMA "bp.isa-dma/1"

struct bp_dev;
struct bp_isa_dma_channel;

enum { BP_DMA_TO_GUEST = 1, BP_DMA_FROM_GUEST = 2 };

/* The controller's side; ctx is the controller's. */
struct bp_isa_dma_controller {
    uint32_t size;
    /*
     * Moves at most `bytes` for `channel`.  direction: BP_DMA_*; when the
     * channel's mode says otherwise nothing moves; in verify mode bytes
     * count but memory is not touched.  *tc is set to 1 when terminal count
     * was reached.  Returns the number of bytes moved.
     */
    uint32_t (*transfer)(void *ctx, uint32_t channel, uint8_t *buffer,
                         uint32_t bytes, uint32_t direction, uint32_t *tc);
    /* 1 when a request on the channel would be served now. */
    int32_t (*ready)(void *ctx, uint32_t channel);
};

struct bp_isa_dma {
    uint32_t size;
    /* A device takes channel 0..7 (not 4).  became_ready is called [lane]
     * some time after the channel was unmasked.  NULL with a reason when the
     * channel does not exist or is taken.  [setup] */
    struct bp_isa_dma_channel *(*attach)(struct bp_dev *dev, uint32_t channel,
                                         void (*became_ready)(void *ctx),
                                         void *ctx);
    uint32_t (*transfer)(struct bp_isa_dma_channel *ch, uint8_t *buffer,
                         uint32_t bytes, uint32_t direction, uint32_t *tc);
    int32_t (*ready)(struct bp_isa_dma_channel *ch);
    /* The controller registers itself for channels first .. first + n - 1.
     * [setup] */
    int32_t (*provide)(struct bp_dev *dev, uint32_t first, uint32_t n,
                       const struct bp_isa_dma_controller *controller,
                       void *ctx);
    /* The controller says that a channel may be served now. */
    void (*unmasked)(struct bp_dev *dev, uint32_t channel);
};

#ifdef __cplusplus
}
#endif

#endif
