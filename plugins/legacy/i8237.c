/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8237: the two Intel 8237A DMA controllers of a PC/AT and their page
 * registers.
 *
 * Datasheet: Intel 8237A-5, order 231466; 82371AB (PIIX4) section 4.2.1.
 *
 * Modelled: seven channels (4 cascades the first controller), single, block
 * and demand mode, address increment and decrement, autoinitialise, verify,
 * terminal count, masks, status, software requests as status bits, page
 * registers, flip-flop, master clear.
 * Not modelled: memory-to-memory transfers (a PC cannot use them), rotating
 * priority and timing bits of the command register (no effect on guests).
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

#define MODE_TRANSFER  0x0c
#define MODE_VERIFY    0x00
#define MODE_WRITE     0x04 /* to memory */
#define MODE_READ      0x08 /* from memory */
#define MODE_ILLEGAL   0x0c
#define MODE_AUTO      0x10
#define MODE_DECREMENT 0x20
#define MODE_CASCADE   0xc0

#define COMMAND_DISABLE 0x04

struct dma_channel {
    uint16_t base_address, base_count;
    uint16_t address, count;
    uint8_t mode;
    uint8_t page;
};

struct dma_controller {
    struct dma_channel channel[4];
    uint8_t command, status, mask, request, temporary;
    uint8_t flip_flop;
};

struct dma_state {
    struct dma_controller controller[2];
    uint8_t page[16]; /* 80h..8Fh as written */
};

struct dma {
    /* Wiring */
    const struct bp_pio *pio;
    const struct bp_dma *memory;
    const struct bp_isa_dma *isa_dma;
    struct bp_dev *dev;
    /* State */
    struct dma_state st;
};

/* Channel of page register 80h + index, or -1: scratch. */
static int page_channel(unsigned index)
{
    static const int8_t channel[16] = { -1, 2, 3, 1, -1, -1, -1, 0,
                                        -1, 6, 7, 5, -1, -1, -1, 4 };
    return channel[index];
}

static int channel_ready(const struct dma *s, uint32_t n)
{
    const struct dma_controller *c = &s->st.controller[n >> 2];
    const struct dma_controller *second = &s->st.controller[1];

    if (c->command & COMMAND_DISABLE || c->mask & 1u << (n & 3))
        return 0;
    /* The first controller reaches the bus through channel 4. */
    return n >= 4 || !(second->command & COMMAND_DISABLE || second->mask & 1);
}

static int32_t dma_ready(void *ctx, uint32_t channel)
{
    return channel_ready(ctx, channel);
}

static void dma_announce(struct dma *s)
{
    for (uint32_t n = 0; n < 8; n++)
        if (n != 4 && channel_ready(s, n))
            s->isa_dma->unmasked(s->dev, n);
}

/* Terminal count: reload or stop. */
static void channel_finish(struct dma_controller *c, unsigned n)
{
    struct dma_channel *ch = &c->channel[n];

    c->status |= 1u << n;
    c->request &= ~(1u << n);
    if (ch->mode & MODE_AUTO) {
        ch->address = ch->base_address;
        ch->count = ch->base_count;
    } else {
        c->mask |= 1u << n;
    }
}

/* Bytes of one run: up to the end of the count and of the 64 KiB page. */
static uint32_t channel_run(const struct dma_channel *ch, uint32_t unit,
                            uint32_t bytes)
{
    uint32_t units = bytes / unit;
    uint32_t left = (uint32_t)ch->count + 1;
    uint32_t to_wrap = ch->mode & MODE_DECREMENT ? (uint32_t)ch->address + 1
                                                 : 0x10000u - ch->address;

    if (units > left)
        units = left;
    return units > to_wrap ? to_wrap : units;
}

static void copy_run(struct dma *s, struct dma_channel *ch, uint32_t unit,
                     uint32_t units, uint8_t *buffer)
{
    uint64_t page = unit == 2 ? (uint64_t)(ch->page & 0xfe) << 16
                              : (uint64_t)ch->page << 16;
    int to_memory = (ch->mode & MODE_TRANSFER) == MODE_WRITE;
    uint32_t i;

    if (!(ch->mode & MODE_DECREMENT)) {
        uint64_t gpa = page + (uint64_t)ch->address * unit;

        if (to_memory)
            s->memory->write(s->dev, gpa, buffer, units * unit);
        else
            s->memory->read(s->dev, gpa, buffer, units * unit);
        return;
    }
    for (i = 0; i < units; i++) {
        uint64_t gpa = page + (uint64_t)(uint16_t)(ch->address - i) * unit;

        if (to_memory)
            s->memory->write(s->dev, gpa, buffer + i * unit, unit);
        else
            s->memory->read(s->dev, gpa, buffer + i * unit, unit);
    }
}

static uint32_t dma_transfer(void *ctx, uint32_t channel, uint8_t *buffer,
                             uint32_t bytes, uint32_t direction, uint32_t *tc)
{
    struct dma *s = ctx;
    struct dma_controller *c = &s->st.controller[channel >> 2];
    struct dma_channel *ch = &c->channel[channel & 3];
    uint32_t unit = channel >= 4 ? 2 : 1;
    uint32_t kind = ch->mode & MODE_TRANSFER;
    uint32_t done = 0;

    *tc = 0;
    if (!channel_ready(s, channel) || kind == MODE_ILLEGAL ||
        (ch->mode & MODE_CASCADE) == MODE_CASCADE ||
        (kind == MODE_WRITE && direction != BP_DMA_TO_GUEST) ||
        (kind == MODE_READ && direction != BP_DMA_FROM_GUEST))
        return 0;
    while (done + unit <= bytes && !*tc) {
        uint32_t units = channel_run(ch, unit, bytes - done);
        int down = ch->mode & MODE_DECREMENT;

        if (kind != MODE_VERIFY)
            copy_run(s, ch, unit, units, buffer + done);
        done += units * unit;
        ch->address = down ? ch->address - units : ch->address + units;
        ch->count -= units;
        if (ch->count == 0xffff) {
            channel_finish(c, channel & 3);
            *tc = 1;
        }
    }
    return done;
}

static uint8_t read_byte(struct dma_controller *c, uint16_t v)
{
    c->flip_flop ^= 1;
    return c->flip_flop ? v : v >> 8;
}

static uint8_t controller_read(struct dma_controller *c, unsigned reg)
{
    struct dma_channel *ch = &c->channel[reg >> 1 & 3];
    uint8_t v;

    switch (reg) {
    case 0 ... 7: return read_byte(c, reg & 1 ? ch->count : ch->address);
    case 8:
        v = c->status | c->request << 4;
        c->status = 0; /* reading clears the TC bits */
        return v;
    case 13: return c->temporary;
    case 15: return c->mask;
    default: return 0;
    }
}

static void write_half(struct dma_controller *c, uint16_t *base,
                       uint16_t *current, uint8_t v)
{
    unsigned shift = c->flip_flop ? 8 : 0;
    uint16_t other = 0xff00 >> shift;

    *base = (*base & other) | v << shift;
    *current = (*current & other) | v << shift;
    c->flip_flop ^= 1;
}

static void set_bit(uint8_t *reg, uint8_t v)
{
    if (v & 4)
        *reg |= 1u << (v & 3);
    else
        *reg &= ~(1u << (v & 3));
}

static void controller_write(struct dma_controller *c, unsigned reg, uint8_t v)
{
    struct dma_channel *ch = &c->channel[reg >> 1 & 3];

    switch (reg) {
    case 0:
    case 2:
    case 4:
    case 6: write_half(c, &ch->base_address, &ch->address, v); break;
    case 1:
    case 3:
    case 5:
    case 7: write_half(c, &ch->base_count, &ch->count, v); break;
    case 8: c->command = v; break;
    case 9: set_bit(&c->request, v); break;
    case 10: set_bit(&c->mask, v); break;
    case 11: c->channel[v & 3].mode = v; break;
    case 12: c->flip_flop = 0; break;
    case 13: /* master clear */
        c->command = c->status = c->request = c->temporary = 0;
        c->flip_flop = 0;
        c->mask = 0xf;
        break;
    case 14: c->mask = 0; break;
    case 15: c->mask = v & 0xf; break;
    }
}

static uint32_t first_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct dma *s = ctx;

    (void)width;
    return controller_read(&s->st.controller[0], offset);
}

static void first_write(void *ctx, uint32_t offset, uint32_t value,
                        uint32_t width)
{
    struct dma *s = ctx;

    (void)width;
    controller_write(&s->st.controller[0], offset, value);
    dma_announce(s);
}

/* The second controller's registers are two ports apart. */
static uint32_t second_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct dma *s = ctx;

    (void)width;
    return offset & 1 ? 0xff
                      : controller_read(&s->st.controller[1], offset >> 1);
}

static void second_write(void *ctx, uint32_t offset, uint32_t value,
                         uint32_t width)
{
    struct dma *s = ctx;

    (void)width;
    if (offset & 1)
        return;
    controller_write(&s->st.controller[1], offset >> 1, value);
    dma_announce(s);
}

static uint32_t page_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct dma *s = ctx;

    (void)width;
    return s->st.page[offset];
}

static void page_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct dma *s = ctx;
    int n = page_channel(offset);

    (void)width;
    s->st.page[offset] = value;
    if (n >= 0)
        s->st.controller[n >> 2].channel[n & 3].page = value;
}

static const struct bp_pio_ops first_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = first_read,
    .write = first_write,
};

static const struct bp_pio_ops second_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = second_read,
    .write = second_write,
};

static const struct bp_pio_ops page_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = page_read,
    .write = page_write,
};

static const struct bp_isa_dma_controller dma_controller_ops = {
    .size = sizeof(struct bp_isa_dma_controller),
    .transfer = dma_transfer,
    .ready = dma_ready,
};

static int32_t dma_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct dma *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->memory = host->query(host, BP_DMA);
    s->isa_dma = host->query(host, BP_ISA_DMA);
    return 0;
}

static int32_t dma_realize(void *self)
{
    struct dma *s = self;
    struct bp_dev *dev = s->dev;

    if (!s->pio->claim(dev, "dma1", 0x00, 16, BP_SIZE_1, 0, &first_ops, s) ||
        !s->pio->claim(dev, "dma2", 0xc0, 32, BP_SIZE_1, 0, &second_ops, s) ||
        !s->pio->claim(dev, "dma-page", 0x80, 16, BP_SIZE_1, 0, &page_ops, s))
        return -EBUSY;
    return s->isa_dma->provide(dev, 0, 8, &dma_controller_ops, s);
}

static void dma_reset(void *self, uint32_t kind)
{
    struct dma *s = self;

    (void)kind;
    s->st = (struct dma_state){ 0 };
    s->st.controller[0].mask = 0xf;
    s->st.controller[1].mask = 0xf;
}

static const struct bp_field channel_fields[] = {
    BP_FIELD(struct dma_channel, base_address, "base_address"),
    BP_FIELD(struct dma_channel, base_count, "base_count"),
    BP_FIELD(struct dma_channel, address, "address"),
    BP_FIELD(struct dma_channel, count, "count"),
    BP_FIELD(struct dma_channel, mode, "mode"),
    BP_FIELD(struct dma_channel, page, "page"),
    BP_FIELD_END
};

static const struct bp_field controller_fields[] = {
    BP_FIELD_TABLE(struct dma_controller, channel, "channel", 4,
                   channel_fields),
    BP_FIELD(struct dma_controller, command, "command"),
    BP_FIELD(struct dma_controller, status, "status"),
    BP_FIELD(struct dma_controller, mask, "mask"),
    BP_FIELD(struct dma_controller, request, "request"),
    BP_FIELD(struct dma_controller, temporary, "temporary"),
    BP_FIELD(struct dma_controller, flip_flop, "flip_flop"),
    BP_FIELD_END
};

static const struct bp_field dma_fields[] = {
    BP_FIELD_TABLE(struct dma, st.controller, "controller", 2,
                   controller_fields),
    BP_FIELD_ARRAY(struct dma, st.page, "page"), BP_FIELD_END
};

static const char *const dma_requires[] = { BP_PIO, BP_DMA, BP_ISA_DMA, NULL };

static const struct bp_device_desc i8237_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BRIDGE,
    .id = "i8237",
    .title = "Intel 8237A DMA controllers (pair) with page registers",
    .instance_size = sizeof(struct dma),
    .state_offset = offsetof(struct dma, st),
    .state_size = sizeof(struct dma_state),
    .state_version = 1,
    .fields = dma_fields,
    .requires_ = dma_requires,
    .create = dma_create,
    .realize = dma_realize,
    .reset = dma_reset,
    .lane_rank = 1,
};

EXPORT_DEVICES("i8237", "Intel 8237A DMA controllers", &i8237_desc);
