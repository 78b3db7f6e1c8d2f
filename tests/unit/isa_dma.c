/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <string.h>

#include "bus/isa_dma.h"
#include "sched/lane.h"

static struct lanes *l;
static struct lane *device, *chip;
static struct isa_dma *dma;
static unsigned told;

static uint32_t move(void *ctx, uint32_t channel, uint8_t *buffer,
                     uint32_t bytes, uint32_t direction, uint32_t *tc)
{
    CHECK(lane_held(chip));
    CHECK_EQ(direction, BP_DMA_TO_GUEST);
    *tc = channel == 2;
    memset(buffer, (int)channel, bytes);
    return bytes / 2;
}

static int32_t is_ready(void *ctx, uint32_t channel)
{
    CHECK(lane_held(chip));
    return channel == 2;
}

static const struct bp_isa_dma_controller controller = {
    sizeof controller,
    move,
    is_ready,
};

static void became_ready(void *opaque)
{
    CHECK(lane_held(device));
    told++;
}

static void set_up(void)
{
    l = lanes_create(0);
    device = lane_create(l, "floppy", LANE_DEVICE);
    chip = lane_create(l, "i8237", LANE_BUS);
    dma = isa_dma_create();
}

static void tear_down(void)
{
    isa_dma_destroy(dma);
    lanes_destroy(l);
}

TEST(a_device_pulls_through_the_chip_that_serves_its_channel)
{
    struct isa_dma_channel *ch;
    uint8_t buf[8];
    bool tc = true;

    set_up();
    ch = isa_dma_attach(dma, 2, device, became_ready, NULL);
    CHECK(ch);
    lane_enter(device);
    CHECK_EQ(isa_dma_transfer(ch, buf, 8, BP_DMA_TO_GUEST, &tc), 0);
    CHECK(!tc);
    CHECK(!isa_dma_ready(ch));
    CHECK(isa_dma_provide(dma, 0, 4, chip, &controller, NULL));
    CHECK_EQ(isa_dma_transfer(ch, buf, 8, BP_DMA_TO_GUEST, &tc), 4);
    CHECK(tc);
    CHECK_EQ(buf[0], 2);
    CHECK(isa_dma_ready(ch));
    lane_leave(device);
    tear_down();
}

TEST(channels_are_taken_once)
{
    set_up();
    CHECK(!isa_dma_attach(dma, ISA_DMA_CASCADE, device, NULL, NULL));
    CHECK(!isa_dma_attach(dma, 8, device, NULL, NULL));
    CHECK(isa_dma_attach(dma, 1, device, NULL, NULL));
    CHECK(!isa_dma_attach(dma, 1, device, NULL, NULL));
    CHECK(!isa_dma_provide(dma, 4, 5, chip, &controller, NULL));
    CHECK(!isa_dma_provide(dma, 8, 1, chip, &controller, NULL));
    CHECK(isa_dma_provide(dma, 4, 4, chip, &controller, NULL));
    CHECK(!isa_dma_provide(dma, 0, 5, chip, &controller, NULL));
    CHECK(isa_dma_provide(dma, 0, 4, chip, &controller, NULL));
    tear_down();
}

TEST(unmasking_tells_the_device_once_in_its_lane)
{
    set_up();
    isa_dma_attach(dma, 2, device, became_ready, NULL);
    lane_enter(chip);
    for (unsigned i = 0; i < 100; i++) {
        isa_dma_unmasked(dma, 2);
        isa_dma_unmasked(dma, 3);
        isa_dma_unmasked(dma, 77);
    }
    lane_leave(chip);
    CHECK_EQ(told, 0);
    lanes_run(l);
    CHECK_EQ(told, 1);
    isa_dma_unmasked(dma, 2);
    lanes_run(l);
    CHECK_EQ(told, 2);
    tear_down();
}
