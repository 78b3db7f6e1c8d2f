/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/isa_dma.h"

#include <glib.h>

#include "sched/lane.h"

/* Everything but `posted` is fixed after set-up, so nothing is locked. */
struct isa_dma_channel {
    struct isa_dma *dma;
    unsigned number;

    struct lane *lane; /* the device's; NULL: not attached */
    isa_dma_ready_fn *became_ready;
    void *opaque;
    bool posted; /* atomic: became_ready is queued */

    struct lane *server_lane;
    const struct bp_isa_dma_controller *server; /* NULL: nobody */
    void *server_opaque;
};

struct isa_dma {
    struct isa_dma_channel channels[ISA_DMA_CHANNELS];
};

struct isa_dma *isa_dma_create(void)
{
    struct isa_dma *dma = g_new0(struct isa_dma, 1);

    for (unsigned i = 0; i < ISA_DMA_CHANNELS; i++) {
        dma->channels[i].dma = dma;
        dma->channels[i].number = i;
    }
    return dma;
}

void isa_dma_destroy(struct isa_dma *dma)
{
    g_free(dma);
}

struct isa_dma_channel *isa_dma_attach(struct isa_dma *dma, unsigned channel,
                                       struct lane *lane,
                                       isa_dma_ready_fn *became_ready,
                                       void *opaque)
{
    struct isa_dma_channel *ch;

    if (channel >= ISA_DMA_CHANNELS || channel == ISA_DMA_CASCADE)
        return NULL;
    ch = &dma->channels[channel];
    if (ch->lane)
        return NULL;
    ch->lane = lane;
    ch->became_ready = became_ready;
    ch->opaque = opaque;
    return ch;
}

void isa_dma_detach(struct isa_dma_channel *ch)
{
    ch->lane = NULL;
    ch->became_ready = NULL;
}

bool isa_dma_provide(struct isa_dma *dma, unsigned first, unsigned count,
                     struct lane *lane,
                     const struct bp_isa_dma_controller *controller,
                     void *opaque)
{
    if (first >= ISA_DMA_CHANNELS || count > ISA_DMA_CHANNELS - first)
        return false;
    for (unsigned i = first; i < first + count; i++) {
        if (dma->channels[i].server)
            return false;
    }
    for (unsigned i = first; i < first + count; i++) {
        struct isa_dma_channel *ch = &dma->channels[i];

        ch->server_lane = lane;
        ch->server = controller;
        ch->server_opaque = opaque;
    }
    return true;
}

void isa_dma_withdraw(struct isa_dma *dma, void *opaque)
{
    for (unsigned i = 0; i < ISA_DMA_CHANNELS; i++) {
        if (dma->channels[i].server_opaque == opaque)
            dma->channels[i].server = NULL;
    }
}

uint32_t isa_dma_transfer(struct isa_dma_channel *ch, uint8_t *buffer,
                          uint32_t bytes, uint32_t direction, bool *tc)
{
    uint32_t moved, reached = 0;

    *tc = false;
    if (!ch->server || !lane_may_enter(ch->server_lane))
        return 0;
    lane_enter(ch->server_lane);
    moved = ch->server->transfer(ch->server_opaque, ch->number, buffer, bytes,
                                 direction, &reached);
    lane_leave(ch->server_lane);
    *tc = reached != 0;
    return MIN(moved, bytes);
}

bool isa_dma_ready(struct isa_dma_channel *ch)
{
    bool ready;

    if (!ch->server || !lane_may_enter(ch->server_lane))
        return false;
    lane_enter(ch->server_lane);
    ready = ch->server->ready(ch->server_opaque, ch->number) != 0;
    lane_leave(ch->server_lane);
    return ready;
}

static void tell_device(void *opaque)
{
    struct isa_dma_channel *ch = opaque;

    __atomic_store_n(&ch->posted, false, __ATOMIC_SEQ_CST);
    if (ch->became_ready)
        ch->became_ready(ch->opaque);
}

void isa_dma_unmasked(struct isa_dma *dma, unsigned channel)
{
    struct isa_dma_channel *ch;

    if (channel >= ISA_DMA_CHANNELS)
        return;
    ch = &dma->channels[channel];
    if (!ch->lane || !ch->became_ready)
        return;
    if (!__atomic_exchange_n(&ch->posted, true, __ATOMIC_SEQ_CST))
        lane_post(ch->lane, tell_device, ch);
}
