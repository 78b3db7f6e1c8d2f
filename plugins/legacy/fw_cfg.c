/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw-cfg: the firmware configuration device that Debian's SeaBIOS expects.
 *
 * Specification: QEMU docs/specs/fw_cfg: selector 510h, data 511h, DMA
 * address 514h (high) and 518h (low), big-endian control block.
 *
 * Modelled: selection, byte-wise data reads, DMA read, skip and select,
 * file directory (item 19h), feature item.
 * Not modelled: writes to items (always refused with the error bit).
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

#define PORT_SELECT 0x510
#define PORT_DMA    0x514

#define KEY_SIGNATURE  0x00
#define KEY_FEATURES   0x01
#define KEY_DIRECTORY  0x19
#define KEY_FIRST_FILE 0x20
#define KEY_MASK       0x3fff /* without the write and arch bits ... */
#define KEY_ARCH       0x8000 /* ... the latter selects a set of its own */

#define FEATURE_DMA     2
#define NAME_BYTES      56
#define DIRECTORY_ENTRY 64

#define DMA_ERROR  0x01
#define DMA_READ   0x02
#define DMA_SKIP   0x04
#define DMA_SELECT 0x08
#define DMA_WRITE  0x10

struct item {
    uint32_t key;
    const uint8_t *data;
    uint64_t bytes;
};

struct cfg_state {
    uint16_t selected;
    uint32_t offset;
    uint64_t dma; /* address as far as it was written */
};

struct cfg {
    /* Wiring */
    const struct bp_pio *pio;
    const struct bp_dma *dma;
    const struct bp_firmware *firmware;
    struct bp_dev *dev;
    /* Runtime: the items, gathered at the first reset */
    struct item *items;
    uint32_t count;
    uint8_t *directory;
    /* State */
    struct cfg_state st;
};

static const uint8_t signature[4] = { 'Q', 'E', 'M', 'U' };
static const uint8_t features[4] = { 1 | FEATURE_DMA };

static void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = v >> 24;
    p[1] = v >> 16;
    p[2] = v >> 8;
    p[3] = v;
}

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static const struct item *find_item(const struct cfg *s, uint32_t key)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].key == key)
            return &s->items[i];
    return NULL;
}

/* Item table and directory from what the board offers. */
static int gather(struct cfg *s)
{
    uint32_t offered = s->firmware->count(s->dev), files = 0;
    uint8_t *entry;

    s->items = calloc(offered + 3, sizeof(*s->items));
    s->directory = calloc(offered + 1, DIRECTORY_ENTRY);
    if (!s->items || !s->directory)
        return -ENOMEM;
    s->items[s->count++] = (struct item){ KEY_SIGNATURE, signature, 4 };
    s->items[s->count++] = (struct item){ KEY_FEATURES, features, 4 };
    entry = s->directory + 4;
    for (uint32_t i = 0; i < offered; i++) {
        struct bp_firmware_item it = { .size = sizeof(it) };

        if (s->firmware->get(s->dev, i, &it) < 0)
            break;
        if (it.key == 0xffff) {
            it.key = KEY_FIRST_FILE + files++;
            put_be32(entry, it.bytes);
            entry[4] = it.key >> 8;
            entry[5] = it.key;
            strncpy((char *)entry + 8, it.name, NAME_BYTES - 1);
            entry += DIRECTORY_ENTRY;
        }
        s->items[s->count++] = (struct item){ it.key, it.data, it.bytes };
    }
    put_be32(s->directory, files);
    s->items[s->count++] =
        (struct item){ KEY_DIRECTORY, s->directory, entry - s->directory };
    return 0;
}

static void select_item(struct cfg *s, uint16_t key)
{
    s->st.selected = key & (KEY_MASK | KEY_ARCH);
    s->st.offset = 0;
}

/* Copies from the selected item; zeros behind its end. */
static void take(struct cfg *s, uint8_t *dst, uint32_t n)
{
    const struct item *it = find_item(s, s->st.selected);
    uint64_t left =
        it && s->st.offset < it->bytes ? it->bytes - s->st.offset : 0;
    uint32_t have = n < left ? n : left;

    if (have)
        memcpy(dst, it->data + s->st.offset, have);
    memset(dst + have, 0, n - have);
    s->st.offset =
        s->st.offset > UINT32_MAX - n ? UINT32_MAX : s->st.offset + n;
}

static int dma_read(struct cfg *s, uint64_t gpa, uint32_t bytes)
{
    uint8_t chunk[4096];

    while (bytes) {
        uint32_t n = bytes < sizeof(chunk) ? bytes : sizeof(chunk);
        const struct item *it = find_item(s, s->st.selected);

        /* Nothing but zeros follows: one chunk of them stands for a length
         * that no item has, so that work stays bounded. */
        if ((!it || s->st.offset >= it->bytes) && bytes > 1 << 20)
            return -EINVAL;
        take(s, chunk, n);
        if (s->dma->write(s->dev, gpa, chunk, n) < 0)
            return -EFAULT;
        gpa += n;
        bytes -= n;
    }
    return 0;
}

static void run_dma(struct cfg *s)
{
    uint64_t block = s->st.dma;
    uint8_t raw[16];
    uint32_t control, bytes, result = 0;
    uint64_t address;

    s->st.dma = 0;
    if (s->dma->read(s->dev, block, raw, sizeof(raw)) < 0)
        return;
    control = get_be32(raw);
    bytes = get_be32(raw + 4);
    address = (uint64_t)get_be32(raw + 8) << 32 | get_be32(raw + 12);
    if (control & DMA_SELECT)
        select_item(s, control >> 16);
    if (control & DMA_READ) {
        if (dma_read(s, address, bytes) < 0)
            result = DMA_ERROR;
    } else if (control & DMA_WRITE) {
        result = DMA_ERROR;
    } else if (control & DMA_SKIP) {
        s->st.offset = s->st.offset > UINT32_MAX - bytes ? UINT32_MAX
                                                         : s->st.offset + bytes;
    }
    put_be32(raw, result);
    s->dma->write(s->dev, block, raw, 4);
}

static uint32_t cfg_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct cfg *s = ctx;
    uint8_t v = 0;

    if (width == 1 && offset == 1)
        take(s, &v, 1);
    return v;
}

static void cfg_write(void *ctx, uint32_t offset, uint32_t value,
                      uint32_t width)
{
    if (width == 2 && offset == 0)
        select_item(ctx, value);
}

/* Reads give "QEMU CFG": that the interface exists. */
static uint32_t dma_port_read(void *ctx, uint32_t offset, uint32_t width)
{
    static const uint8_t name[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };
    uint32_t v = 0;

    (void)ctx;
    for (uint32_t i = 0; i < width; i++)
        v |= (uint32_t)name[(offset + i) & 7] << 8 * i;
    return v;
}

static void dma_port_write(void *ctx, uint32_t offset, uint32_t value,
                           uint32_t width)
{
    struct cfg *s = ctx;

    if (width != 4)
        return;
    value = __builtin_bswap32(value);
    if (offset == 0) {
        s->st.dma = (uint64_t)value << 32;
    } else if (offset == 4) {
        s->st.dma |= value;
        run_dma(s);
    }
}

static const struct bp_pio_ops cfg_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = cfg_read,
    .write = cfg_write,
};

static const struct bp_pio_ops dma_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = dma_port_read,
    .write = dma_port_write,
};

static int32_t cfg_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct cfg *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->dma = host->query(host, BP_DMA);
    s->firmware = host->query(host, BP_FIRMWARE);
    return 0;
}

static int32_t cfg_realize(void *self)
{
    struct cfg *s = self;

    if (!s->pio->claim(s->dev, "fw-cfg", PORT_SELECT, 2, BP_SIZE_1 | BP_SIZE_2,
                       0, &cfg_ops, s) ||
        !s->pio->claim(s->dev, "fw-cfg-dma", PORT_DMA, 8,
                       BP_SIZE_1 | BP_SIZE_2 | BP_SIZE_4, 0, &dma_ops, s))
        return -EBUSY;
    return 0;
}

static void cfg_reset(void *self, uint32_t kind)
{
    struct cfg *s = self;

    (void)kind;
    /* Without memory the guest finds no signature and no items. */
    if (!s->items && gather(s) < 0)
        s->count = 0;
    s->st = (struct cfg_state){ 0 };
}

static void cfg_destroy(void *self)
{
    struct cfg *s = self;

    free(s->items);
    free(s->directory);
}

static const struct bp_field cfg_fields[] = {
    BP_FIELD(struct cfg, st.selected, "selected"),
    BP_FIELD(struct cfg, st.offset, "offset"),
    BP_FIELD(struct cfg, st.dma, "dma"), BP_FIELD_END
};

static const char *const cfg_requires[] = { BP_PIO, BP_DMA, BP_FIRMWARE, NULL };

static const struct bp_device_desc fw_cfg_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_FIRMWARE,
    .id = "fw-cfg",
    .title = "firmware configuration (for SeaBIOS)",
    .instance_size = sizeof(struct cfg),
    .state_offset = offsetof(struct cfg, st),
    .state_size = sizeof(struct cfg_state),
    .state_version = 1,
    .fields = cfg_fields,
    .requires_ = cfg_requires,
    .create = cfg_create,
    .realize = cfg_realize,
    .reset = cfg_reset,
    .destroy = cfg_destroy,
};

EXPORT_DEVICES("fw-cfg", "firmware configuration", &fw_cfg_desc);
