/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piix4-ide: function 1 of the PIIX4, a bus master IDE controller with two
 * channels and up to four drives.
 *
 * Datasheets: Intel 82371AB (PIIX4), order 290562, section 5 (IDE); SFF-8038i
 * (bus master); INCITS ATA/ATAPI-6 (drives).
 *
 * Modelled: both channels at their legacy ports with decode enables (40h,
 * 42h), PIO in 8, 16 and 32 bits, bus master DMA, ATA disks (LBA28, LBA48,
 * CHS, multi-sector, SMART status, flush), ATAPI CD/DVD drives with eject,
 * lock and media change.
 * Not modelled: timing registers are stored without effect; TRIM (not
 * announced), overlapped and queued commands, security, host protected area,
 * writing to CDs.
 */
#include "ide.h"

#include <errno.h>
#include <stddef.h>

#include "export.h"

#define CFG_IDETIM    0x40 /* primary, 42h secondary */
#define CFG_SIDETIM   0x44
#define CFG_UDMACTL   0x48
#define CFG_UDMATIM   0x4a
#define IDETIM_DECODE 0x8000

#define BM_PORTS    16u
#define BM_CHANNEL  8u /* ports a channel */
#define CFG_PCICMD  0x04
#define PCICMD_IOSE 0x0001
#define PCICMD_BME  0x0004

enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4 };

static const struct {
    uint16_t command, control;
    uint8_t irq;
} place[2] = { { 0x1f0, 0x3f6, 14 }, { 0x170, 0x376, 15 } };

static uint32_t bm_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct ide *s = ctx;
    struct ide_channel *ch = &s->channel[offset / BM_CHANNEL];
    unsigned reg = offset % BM_CHANNEL;

    (void)width;
    switch (reg) {
    case BM_COMMAND: return ch->st->bm_command;
    case BM_STATUS: return ch->st->bm_status;
    case BM_TABLE ... BM_TABLE + 3:
        return ch->st->bm_prd >> 8 * (reg - BM_TABLE) & 0xff;
    default: return 0xff;
    }
}

static void command_write(struct ide_channel *ch, uint8_t v)
{
    uint8_t was = ch->st->bm_command;

    ch->st->bm_command = v & (BM_START | BM_TO_MEMORY);
    if (v & BM_START && !(was & BM_START)) {
        ch->st->bm_status |= BMS_ACTIVE;
        ch->st->prd_next = ch->st->bm_prd;
        ch->st->prd_left = 0;
        ch->st->prd_last = 0;
        ide_dma_run(ch);
    } else if (!(v & BM_START) && was & BM_START) {
        ch->st->bm_status &= ~BMS_ACTIVE;
    }
}

static void bm_write(void *ctx, uint32_t offset, uint32_t value, uint32_t width)
{
    struct ide *s = ctx;
    struct ide_channel *ch = &s->channel[offset / BM_CHANNEL];
    unsigned reg = offset % BM_CHANNEL, shift;

    (void)width;
    switch (reg) {
    case BM_COMMAND: command_write(ch, value); break;
    case BM_STATUS:
        ch->st->bm_status =
            (ch->st->bm_status & ~BMS_DRIVES) | (value & BMS_DRIVES);
        ch->st->bm_status &= ~(value & (BMS_IRQ | BMS_ERROR));
        break;
    case BM_TABLE ... BM_TABLE + 3:
        shift = 8 * (reg - BM_TABLE);
        ch->st->bm_prd = (ch->st->bm_prd & ~(0xffu << shift)) | (value & 0xff)
                                                                    << shift;
        ch->st->bm_prd &= ~3u;
        break;
    }
}

static const struct bp_pio_ops bm_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = bm_read,
    .write = bm_write,
};

/* Ports are decoded while the timing register says so. */
static void ide_place(struct ide *s)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ide_channel *ch = &s->channel[i];
        int on = !!(s->pci->get(s->fn, CFG_IDETIM + 2 * i, 2) & IDETIM_DECODE);

        on = on && s->pci->get(s->fn, 0x04, 2) & 1;
        s->pio->enable(ch->command, on);
        s->pio->enable(ch->control_port, on);
    }
}

static void ide_config_write(void *ctx, uint32_t offset, uint32_t width)
{
    (void)offset, (void)width;
    ide_place(ctx);
}

static void medium_changed(struct ide_channel *ch, unsigned unit)
{
    struct ide_drive *d = &ch->st->drive[unit];

    ide_refresh_info(ch, unit);
    scsi_cd_medium_changed(&d->cd, !!(ch->info[unit].flags & BP_BLOCK_PRESENT));
}

static void master_changed(void *ctx)
{
    medium_changed(ctx, 0);
}

static void slave_changed(void *ctx)
{
    medium_changed(ctx, 1);
}

/* The user pressed the button of a locked drive: the guest is told. */
static void master_eject_request(void *ctx)
{
    struct ide_channel *ch = ctx;

    scsi_cd_eject_request(&ch->st->drive[0].cd);
}

static void slave_eject_request(void *ctx)
{
    struct ide_channel *ch = ctx;

    scsi_cd_eject_request(&ch->st->drive[1].cd);
}

static int32_t ide_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct ide *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->pio = host->query(host, BP_PIO);
    s->irq = host->query(host, BP_IRQ);
    s->pci = host->query(host, BP_PCI);
    s->dma = host->query(host, BP_DMA);
    s->block = host->query(host, BP_BLOCK);
    return 0;
}

static int32_t channel_realize(struct ide *s, unsigned i)
{
    static const char *const command_name[2] = { "ide-primary",
                                                 "ide-secondary" };
    static const char *const control_name[2] = { "ide-primary-control",
                                                 "ide-secondary-control" };
    struct ide_channel *ch = &s->channel[i];

    ch->ide = s;
    ch->st = &s->st[i];
    ch->index = i;
    ch->line = s->irq->output(s->dev, "isa", place[i].irq);
    ch->command = s->pio->claim(s->dev, command_name[i], place[i].command, 8,
                                BP_SIZE_ANY, 1, &ide_command_ops, ch);
    ch->control_port = s->pio->claim(s->dev, control_name[i], place[i].control,
                                     1, BP_SIZE_1, 1, &ide_control_ops, ch);
    if (!ch->line || !ch->command || !ch->control_port)
        return -EBUSY;
    if (ch->blk[0])
        s->block->listen(ch->blk[0], master_changed, master_eject_request, ch);
    if (ch->blk[1])
        s->block->listen(ch->blk[1], slave_changed, slave_eject_request, ch);
    return 0;
}

static int32_t ide_realize(void *self)
{
    struct ide *s = self;
    const struct bp_pci_ids ids = {
        .vendor = 0x8086,
        .device = 0x7111,
        .revision = 1,
        .prog_if = 0x80, /* bus master, both channels at legacy ports */
        .subclass = 0x01,
        .base_class = 0x01,
    };
    struct bp_pio_range *bm;

    s->fn = s->pci->add(s->dev, s->slot, 1, &ids, ide_config_write, s);
    bm = s->pio->claim(s->dev, "ide-bus-master", 0, BM_PORTS, BP_SIZE_1, 1,
                       &bm_ops, s);
    if (!s->fn || !bm)
        return -EBUSY;
    s->pci->set(s->fn, CFG_PCICMD, 2, 0, PCICMD_IOSE | PCICMD_BME, 0);
    s->pci->set(s->fn, 0x06, 2, 0x0280, 0, 0x7800);
    s->pci->set(s->fn, CFG_IDETIM, 4, 0, 0xf3fff3ff, 0);
    s->pci->set(s->fn, CFG_SIDETIM, 1, 0, 0xff, 0);
    s->pci->set(s->fn, CFG_UDMACTL, 1, 0, 0x0f, 0);
    s->pci->set(s->fn, CFG_UDMATIM, 2, 0, 0x3333, 0);
    for (unsigned i = 0; i < 2; i++) {
        int32_t r = channel_realize(s, i);

        if (r < 0)
            return r;
    }
    return s->pci->bar_io(s->fn, 4, BM_PORTS, bm);
}

static void ide_reset(void *self, uint32_t kind)
{
    struct ide *s = self;

    (void)kind;
    for (unsigned i = 0; i < 2; i++)
        ide_channel_reset(&s->channel[i]);
    ide_place(s);
}

static int drive_valid(const struct ide_channel *ch, unsigned unit)
{
    const struct ide_drive *d = &ch->st->drive[unit];

    return !ch->blk[unit] || (d->heads && d->heads <= 16 && d->sectors &&
                              d->multiple <= IDE_MULTIPLE_MAX);
}

static int channel_valid(const struct ide_channel *ch)
{
    const struct ide_channel_state *st = ch->st;

    return st->selected <= 1 && st->phase <= IDE_DMA &&
           st->position <= st->end && st->end <= IDE_BUFFER &&
           st->filled <= IDE_BUFFER &&
           (st->phase != IDE_PIO_IN || st->end <= st->filled) &&
           (st->phase == IDE_IDLE || ch->blk[st->selected]) &&
           st->block <= IDE_BUFFER && st->prd_left <= 0x10000 &&
           drive_valid(ch, 0) && drive_valid(ch, 1);
}

static int32_t ide_loaded(void *self, uint32_t version)
{
    struct ide *s = self;

    (void)version;
    for (unsigned i = 0; i < 2; i++) {
        struct ide_channel *ch = &s->channel[i];

        if (!channel_valid(ch))
            return -EINVAL;
        ide_refresh_info(ch, 0);
        ide_refresh_info(ch, 1);
        ide_channel_sync(ch);
    }
    ide_place(s);
    return 0;
}

static const struct bp_field cd_fields[] = {
    BP_FIELD(struct scsi_cd, sense, "sense"),
    BP_FIELD(struct scsi_cd, asc, "asc"),
    BP_FIELD(struct scsi_cd, ascq, "ascq"),
    BP_FIELD(struct scsi_cd, attention, "attention"),
    BP_FIELD(struct scsi_cd, event, "event"),
    BP_FIELD(struct scsi_cd, locked, "locked"),
    BP_FIELD(struct scsi_cd, tray_open, "tray_open"),
    BP_FIELD_END
};

static const struct bp_field drive_fields[] = {
    BP_FIELD(struct ide_drive, feature, "feature"),
    BP_FIELD(struct ide_drive, count, "count"),
    BP_FIELD(struct ide_drive, low, "low"),
    BP_FIELD(struct ide_drive, mid, "mid"),
    BP_FIELD(struct ide_drive, high, "high"),
    BP_FIELD(struct ide_drive, device, "device"),
    BP_FIELD(struct ide_drive, hob_feature, "hob_feature"),
    BP_FIELD(struct ide_drive, hob_count, "hob_count"),
    BP_FIELD(struct ide_drive, hob_low, "hob_low"),
    BP_FIELD(struct ide_drive, hob_mid, "hob_mid"),
    BP_FIELD(struct ide_drive, hob_high, "hob_high"),
    BP_FIELD(struct ide_drive, status, "status"),
    BP_FIELD(struct ide_drive, error, "error"),
    BP_FIELD(struct ide_drive, command, "command"),
    BP_FIELD(struct ide_drive, multiple, "multiple"),
    BP_FIELD(struct ide_drive, heads, "heads"),
    BP_FIELD(struct ide_drive, sectors, "sectors"),
    BP_FIELD(struct ide_drive, cylinders, "cylinders"),
    BP_FIELD(struct ide_drive, transfer_mode, "transfer_mode"),
    BP_FIELD(struct ide_drive, write_cache, "write_cache"),
    BP_FIELD(struct ide_drive, look_ahead, "look_ahead"),
    BP_FIELD(struct ide_drive, smart, "smart"),
    BP_FIELD(struct ide_drive, standby, "standby"),
    BP_FIELD_TABLE(struct ide_drive, cd, "cd", 1, cd_fields),
    BP_FIELD_END
};

#define CH struct ide_channel_state

static const struct bp_field channel_fields[] = {
    BP_FIELD_TABLE(CH, drive, "drive", 2, drive_fields),
    BP_FIELD(CH, selected, "selected"),
    BP_FIELD(CH, control, "control"),
    BP_FIELD(CH, irq, "irq"),
    BP_FIELD(CH, bm_command, "bm_command"),
    BP_FIELD(CH, bm_status, "bm_status"),
    BP_FIELD(CH, phase, "phase"),
    BP_FIELD(CH, writing, "writing"),
    BP_FIELD(CH, is_ext, "is_ext"),
    BP_FIELD(CH, raw, "raw"),
    BP_FIELD(CH, bm_prd, "bm_prd"),
    BP_FIELD(CH, prd_next, "prd_next"),
    BP_FIELD(CH, prd_address, "prd_address"),
    BP_FIELD(CH, prd_left, "prd_left"),
    BP_FIELD(CH, prd_last, "prd_last"),
    BP_FIELD(CH, position, "position"),
    BP_FIELD(CH, end, "end"),
    BP_FIELD(CH, filled, "filled"),
    BP_FIELD(CH, block, "block"),
    BP_FIELD(CH, lba, "lba"),
    BP_FIELD(CH, left, "left"),
    BP_FIELD_BLOB(CH, buffer, "buffer"),
    BP_FIELD_END
};

#undef CH

static const struct bp_field ide_fields[] = {
    BP_FIELD_TABLE(struct ide, st[0], "primary", 1, channel_fields),
    BP_FIELD_TABLE(struct ide, st[1], "secondary", 1, channel_fields),
    BP_FIELD_END
};

static const struct bp_property ide_properties[] = {
    { .name = "slot",
      .help = "PCI device number",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct ide, slot),
      .min = 1,
      .max = 31,
      .number = 7 },
    { .name = "primary-master",
      .help = "disk or CD",
      .type = BP_PROP_BLOCK,
      .offset = offsetof(struct ide, channel[0].blk[0]) },
    { .name = "primary-slave",
      .help = "disk or CD",
      .type = BP_PROP_BLOCK,
      .offset = offsetof(struct ide, channel[0].blk[1]) },
    { .name = "secondary-master",
      .help = "disk or CD",
      .type = BP_PROP_BLOCK,
      .offset = offsetof(struct ide, channel[1].blk[0]) },
    { .name = "secondary-slave",
      .help = "disk or CD",
      .type = BP_PROP_BLOCK,
      .offset = offsetof(struct ide, channel[1].blk[1]) },
    { .name = NULL },
};

static const char *const ide_requires[] = { BP_LOG, BP_PIO,   BP_IRQ, BP_PCI,
                                            BP_DMA, BP_BLOCK, NULL };

static const struct bp_device_desc piix4_ide_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_STORAGE,
    .id = "piix4-ide",
    .title = "Intel PIIX4 bus master IDE controller",
    .instance_size = sizeof(struct ide),
    .state_offset = offsetof(struct ide, st),
    .state_size = sizeof(struct ide_channel_state[2]),
    .state_version = 1,
    .fields = ide_fields,
    .properties = ide_properties,
    .requires_ = ide_requires,
    .create = ide_create,
    .realize = ide_realize,
    .reset = ide_reset,
    .loaded = ide_loaded,
};

EXPORT_DEVICES("piix4-ide", "PIIX4 IDE controller", &piix4_ide_desc);
