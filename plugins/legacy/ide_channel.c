/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One IDE channel: task file, data port, transfers, bus master engine.
 *
 * Sources: INCITS ATA/ATAPI-6 chapters 7 (registers) and 9 (protocols);
 * SFF-8038i (bus master IDE).
 */
#include <string.h>

#include "ide.h"

/* Entries of a PRD table that are walked for one piece of data at most. */
#define PRD_STEPS 4096u

void ide_channel_sync(struct ide_channel *ch)
{
    ch->ide->irq->set(ch->line, ch->st->irq && !(ch->st->control & CTL_NIEN) &&
                                    ch->blk[ch->st->selected] != NULL);
}

/* The bus master sees the pin, which nIEN keeps quiet. */
static void raise_irq(struct ide_channel *ch)
{
    ch->st->irq = 1;
    if (!(ch->st->control & CTL_NIEN))
        ch->st->bm_status |= BMS_IRQ;
    ide_channel_sync(ch);
}

void ide_finish(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);

    ch->st->phase = IDE_IDLE;
    d->status = (d->status & ST_ERR) | ST_RDY | ST_SRV;
    raise_irq(ch);
}

void ide_abort(struct ide_channel *ch, uint8_t error)
{
    struct ide_drive *d = ide_selected(ch);

    d->error = error;
    d->status |= ST_ERR;
    ide_finish(ch);
}

uint32_t ide_unit(const struct ide_channel *ch)
{
    return ide_is_cd(ch, ch->st->selected) ? CD_BLOCK : IDE_SECTOR;
}

void ide_refresh_info(struct ide_channel *ch, unsigned unit)
{
    ch->info[unit].size = sizeof(ch->info[unit]);
    if (ch->blk[unit])
        ch->ide->block->info(ch->blk[unit], &ch->info[unit]);
}

/* --- resets -------------------------------------------------------------- */

void ide_set_signature(struct ide_channel *ch, unsigned unit)
{
    struct ide_drive *d = &ch->st->drive[unit];
    int cd = ide_is_cd(ch, unit);

    d->count = d->low = 1;
    d->mid = cd ? 0x14 : 0;
    d->high = cd ? 0xeb : 0;
    d->device = 0;
    d->error = 1; /* diagnostics passed */
    d->status = cd ? 0 : ST_RDY | ST_SRV;
}

static void drive_reset(struct ide_channel *ch, unsigned unit)
{
    struct ide_drive *d = &ch->st->drive[unit];

    if (!ch->blk[unit]) {
        memset(d, 0, sizeof(*d));
        return;
    }
    ide_set_signature(ch, unit);
    d->hob_count = d->hob_low = d->hob_mid = d->hob_high = 0;
    d->standby = 0;
    d->multiple = 0;
}

/* EXECUTE DEVICE DIAGNOSTIC is for both drives, whichever is selected. */
void ide_diagnose(struct ide_channel *ch)
{
    for (unsigned unit = 0; unit < 2; unit++)
        if (ch->blk[unit])
            ide_set_signature(ch, unit);
    ch->st->selected = 0;
    ch->st->phase = IDE_IDLE;
    if (ch->blk[0])
        raise_irq(ch);
}

static void finish_soft_reset(struct ide_channel *ch)
{
    ch->reset_after = 0;
    ch->st->phase = IDE_IDLE;
    ch->st->irq = 0;
    ch->st->selected = 0;
    drive_reset(ch, 0);
    drive_reset(ch, 1);
    ide_channel_sync(ch);
}

/* DEVICE RESET of a packet drive.  A request that is under way must come back
 * before the drive can take the next one. */
void ide_device_reset(struct ide_channel *ch)
{
    ch->st->phase = IDE_IDLE;
    ch->st->bm_status &= ~BMS_ACTIVE;
    ide_set_signature(ch, ch->st->selected);
    if (ch->busy) {
        ch->cancelled = 1;
        ide_selected(ch)->status = ST_BSY;
    }
}

/* SRST rises: everything in progress ends, BSY until it falls. */
static void soft_reset(struct ide_channel *ch)
{
    ch->cancelled = ch->busy;
    ch->st->phase = IDE_IDLE;
    ch->st->bm_status &= ~BMS_ACTIVE;
    ch->st->drive[0].status = ch->st->drive[1].status = ST_BSY;
}

void ide_channel_reset(struct ide_channel *ch)
{
    struct ide_channel_state *st = ch->st;

    memset(st, 0, sizeof(*st));
    for (unsigned unit = 0; unit < 2; unit++) {
        ide_refresh_info(ch, unit);
        drive_reset(ch, unit);
        if (!ch->blk[unit])
            continue;
        st->drive[unit].write_cache = 1;
        st->drive[unit].look_ahead = 1;
        st->drive[unit].smart = 1;
        st->drive[unit].transfer_mode = 0x42; /* UDMA 2 */
        ata_default_geometry(ch, unit);
        scsi_cd_reset(&st->drive[unit].cd);
        st->bm_status |= 0x20u << unit;
    }
    ch->reset_after = ch->cancelled = ch->busy;
    if (ch->busy)
        st->drive[0].status = st->drive[1].status = ST_BSY;
    ide_channel_sync(ch);
}

/* --- programmed I/O ------------------------------------------------------ */

static void open_block(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    uint32_t left = ch->st->filled - ch->st->end;

    ch->st->position = ch->st->end;
    ch->st->end += left < ch->st->block ? left : ch->st->block;
    if (ide_is_cd(ch, ch->st->selected))
        atapi_block_ready(ch);
    d->status = ST_RDY | ST_SRV | ST_DRQ;
}

void ide_send(struct ide_channel *ch, uint32_t bytes)
{
    ch->st->phase = IDE_PIO_IN;
    ch->st->end = 0;
    ch->st->filled = bytes;
    open_block(ch);
    raise_irq(ch);
}

void ide_receive(struct ide_channel *ch, uint32_t bytes, int first)
{
    ch->st->phase = ch->st->phase == IDE_PACKET ? IDE_PACKET : IDE_PIO_OUT;
    ch->st->position = 0;
    ch->st->end = ch->st->filled = bytes;
    ide_selected(ch)->status = ST_RDY | ST_SRV | ST_DRQ;
    if (!first)
        raise_irq(ch);
}

/* The guest has read a DRQ block. */
static void block_read(struct ide_channel *ch)
{
    if (ch->st->end < ch->st->filled) {
        open_block(ch);
        raise_irq(ch);
    } else if (ch->st->left) {
        ide_fetch(ch);
    } else if (ide_is_cd(ch, ch->st->selected)) {
        atapi_finish(ch);
    } else {
        /* The last block of a read has had its interrupt already. */
        ch->st->phase = IDE_IDLE;
        ide_selected(ch)->status = ST_RDY | ST_SRV;
    }
}

static void block_written(struct ide_channel *ch)
{
    if (ch->st->phase == IDE_PACKET)
        atapi_packet(ch);
    else if (ch->st->writing)
        ide_fetch(ch);
    else
        ata_received(ch);
}

static uint32_t data_read(struct ide_channel *ch, uint32_t width)
{
    uint32_t v = 0;

    if (ch->st->phase != IDE_PIO_IN || ch->busy ||
        !(ide_selected(ch)->status & ST_DRQ))
        return 0;
    for (uint32_t i = 0; i < width && ch->st->position < ch->st->end; i++)
        v |= (uint32_t)ch->st->buffer[ch->st->position++] << 8 * i;
    if (ch->st->position >= ch->st->end)
        block_read(ch);
    return v;
}

static void data_write(struct ide_channel *ch, uint32_t v, uint32_t width)
{
    if ((ch->st->phase != IDE_PIO_OUT && ch->st->phase != IDE_PACKET) ||
        ch->busy || !(ide_selected(ch)->status & ST_DRQ))
        return;
    for (uint32_t i = 0; i < width && ch->st->position < ch->st->end; i++)
        ch->st->buffer[ch->st->position++] = v >> 8 * i;
    if (ch->st->position >= ch->st->end)
        block_written(ch);
}

/* --- bus master ---------------------------------------------------------- */

/* Next entry of the PRD table; 0 at its end or on a fault. */
static int next_prd(struct ide_channel *ch)
{
    struct ide *s = ch->ide;
    uint8_t raw[8];
    uint32_t count;

    if (ch->st->prd_last)
        return 0;
    if (s->dma->read(s->dev, ch->st->prd_next, raw, 8) < 0) {
        ch->st->bm_status |= BMS_ERROR;
        return 0;
    }
    ch->st->prd_next += 8;
    ch->st->prd_address =
        (raw[0] & ~1u) | raw[1] << 8 | raw[2] << 16 | (uint32_t)raw[3] << 24;
    count = (raw[4] & ~1u) | raw[5] << 8;
    ch->st->prd_left = count ? count : 0x10000;
    ch->st->prd_last = raw[7] >> 7;
    return 1;
}

/* Moves ch->st->filled bytes between buffer and guest; 0: the table is too
 * short or memory failed. */
static int dma_buffer(struct ide_channel *ch)
{
    struct ide *s = ch->ide;
    uint32_t at = 0;

    for (unsigned step = 0; at < ch->st->filled; step++) {
        uint32_t n = ch->st->filled - at;
        int32_t r;

        if (!ch->st->prd_left && (step >= PRD_STEPS || !next_prd(ch)))
            return 0;
        if (n > ch->st->prd_left)
            n = ch->st->prd_left;
        if (ch->st->writing)
            r = s->dma->read(s->dev, ch->st->prd_address, ch->st->buffer + at,
                             n);
        else
            r = s->dma->write(s->dev, ch->st->prd_address, ch->st->buffer + at,
                              n);
        if (r < 0) {
            ch->st->bm_status |= BMS_ERROR;
            return 0;
        }
        at += n;
        ch->st->prd_address += n;
        ch->st->prd_left -= n;
    }
    return 1;
}

/* The table ended before the data: the drive keeps waiting, as a real one
 * does, until it is reset. */
static void dma_starved(struct ide_channel *ch)
{
    ch->st->bm_status &= ~BMS_ACTIVE;
    ch->st->phase = IDE_IDLE;
    ide_selected(ch)->status = ST_RDY | ST_SRV | ST_DRQ;
    if (ch->st->bm_status & BMS_ERROR)
        ide_abort(ch, ER_ABRT);
}

static void dma_complete(struct ide_channel *ch)
{
    if (ch->st->prd_last && !ch->st->prd_left)
        ch->st->bm_status &= ~BMS_ACTIVE;
    if (ide_is_cd(ch, ch->st->selected))
        atapi_finish(ch);
    else
        ide_finish(ch);
}

void ide_begin_dma(struct ide_channel *ch)
{
    ch->st->phase = IDE_DMA;
    ide_selected(ch)->status = ST_RDY | ST_SRV | ST_DRQ;
    ch->st->filled = 0;
    ide_dma_run(ch);
}

/*
 * Both sides are ready when the drive has a DMA command and the bus master's
 * start bit is set; the order does not matter.
 */
void ide_dma_run(struct ide_channel *ch)
{
    if (ch->st->phase != IDE_DMA || ch->busy ||
        !(ch->st->bm_status & BMS_ACTIVE))
        return;
    if (ch->st->writing) {
        uint32_t unit = ide_unit(ch);
        uint32_t units = IDE_BUFFER / unit;

        if (units > ch->st->left)
            units = ch->st->left;
        ch->st->filled = units * unit;
        if (!dma_buffer(ch)) {
            dma_starved(ch);
            return;
        }
        ide_fetch(ch);
        return;
    }
    /* Data that needs no medium is in the buffer already. */
    if (ch->st->filled) {
        if (!dma_buffer(ch)) {
            dma_starved(ch);
            return;
        }
        ch->st->filled = 0;
        if (!ch->st->left) {
            dma_complete(ch);
            return;
        }
    }
    ide_fetch(ch);
}

/* --- block requests ------------------------------------------------------ */

static void request_failed(struct ide_channel *ch)
{
    ch->st->left = 0;
    if (ch->st->phase == IDE_DMA)
        ch->st->bm_status &= ~BMS_ACTIVE;
    if (ide_is_cd(ch, ch->st->selected)) {
        atapi_error(ch, SENSE_MEDIUM, ASC_READ_ERROR);
        return;
    }
    if (ch->request.op == BP_BLOCK_FLUSH) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    ata_report_position(ch, ch->st->lba);
    ide_abort(ch, ch->st->writing ? ER_ABRT : ER_UNC);
}

static void read_done(struct ide_channel *ch)
{
    uint32_t unit = ide_unit(ch);
    uint32_t units = ch->request.iov ? ch->iov.bytes / unit : 0;

    if (ch->st->raw) {
        for (uint32_t i = 0; i < units; i++)
            scsi_cd_raw_sector(ch->st->buffer + i * 2352,
                               ch->staging + i * CD_BLOCK, ch->st->lba + i);
        ch->st->filled = units * 2352;
    } else {
        memcpy(ch->st->buffer, ch->staging, units * unit);
        ch->st->filled = units * unit;
    }
    ch->st->lba += units;
    ch->st->left -= units;
    if (ch->st->phase == IDE_DMA) {
        ide_dma_run(ch);
        return;
    }
    ide_send(ch, ch->st->filled);
}

static void write_done(struct ide_channel *ch)
{
    uint32_t units = ch->iov.bytes / IDE_SECTOR;
    uint32_t next;

    ch->st->lba += units;
    ch->st->left -= units;
    if (!ch->st->left) {
        if (ch->st->phase == IDE_DMA)
            dma_complete(ch);
        else
            ide_finish(ch);
        return;
    }
    if (ch->st->phase == IDE_DMA) {
        ide_dma_run(ch);
        return;
    }
    next = ch->st->left * IDE_SECTOR;
    ide_receive(ch, next < ch->st->block ? next : ch->st->block, 0);
}

static void request_done(struct bp_block_request *request)
{
    struct ide_channel *ch = request->ctx;

    ch->busy = 0;
    if (ch->cancelled) {
        ch->cancelled = 0;
        if (ch->reset_after)
            finish_soft_reset(ch);
        else if (!(ch->st->control & CTL_SRST))
            ide_set_signature(ch, ch->st->selected); /* DEVICE RESET */
        return;
    }
    if (request->status < 0)
        request_failed(ch);
    else if (request->op == BP_BLOCK_READ)
        read_done(ch);
    else if (request->op == BP_BLOCK_WRITE)
        write_done(ch);
    else if (ide_is_cd(ch, ch->st->selected))
        atapi_finish(ch);
    else
        ide_finish(ch);
}

static void submit(struct ide_channel *ch, uint32_t op, uint64_t offset,
                   uint32_t bytes)
{
    struct ide_drive *d = ide_selected(ch);

    d->status = ST_BSY | ST_SRV;
    ch->iov = (struct bp_iovec){ ch->staging, bytes };
    ch->request = (struct bp_block_request){
        .size = sizeof(ch->request),
        .op = op,
        .offset = offset,
        .iov = bytes ? &ch->iov : NULL,
        .iov_count = bytes ? 1 : 0,
        .done = request_done,
        .ctx = ch,
    };
    ch->busy = 1;
    ch->ide->block->submit(ch->blk[ch->st->selected], &ch->request);
}

void ide_fetch(struct ide_channel *ch)
{
    uint32_t unit = ide_unit(ch);
    uint32_t units = ch->st->left, most;

    if (ch->st->writing) {
        memcpy(ch->staging, ch->st->buffer, ch->st->filled);
        submit(ch, BP_BLOCK_WRITE, ch->st->lba * unit, ch->st->filled);
        return;
    }
    most = ch->st->raw ? IDE_BUFFER / 2352 : IDE_BUFFER / unit;
    if (ch->st->phase != IDE_DMA && !ide_is_cd(ch, ch->st->selected))
        most = ch->st->block / unit;
    submit(ch, BP_BLOCK_READ, ch->st->lba * unit,
           (units < most ? units : most) * unit);
}

void ide_flush(struct ide_channel *ch)
{
    submit(ch, BP_BLOCK_FLUSH, 0, 0);
}

/* --- registers ----------------------------------------------------------- */

static uint8_t status_now(struct ide_channel *ch)
{
    /* Nobody drives the bus for a drive that is not there. */
    return ch->blk[ch->st->selected] ? ide_selected(ch)->status : 0;
}

static uint32_t command_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct ide_channel *ch = ctx;
    struct ide_drive *d = ide_selected(ch);
    int hob = ch->st->control & CTL_HOB;

    if (offset == 0)
        return data_read(ch, width);
    if (!ch->blk[0] && !ch->blk[1])
        return offset == 7 ? 0 : 0xff;
    if (offset == 7) {
        ch->st->irq = 0;
        ide_channel_sync(ch);
        return status_now(ch);
    }
    if (!ch->blk[ch->st->selected] && offset != 6)
        return 0;
    switch (offset) {
    case 1: return hob ? 0 : d->error;
    case 2: return hob ? d->hob_count : d->count;
    case 3: return hob ? d->hob_low : d->low;
    case 4: return hob ? d->hob_mid : d->mid;
    case 5: return hob ? d->hob_high : d->high;
    default:
        return (d->device & ~DEV_SLAVE) | 0xa0 |
               (ch->st->selected ? DEV_SLAVE : 0);
    }
}

static void set_pair(uint8_t *now, uint8_t *previous, uint8_t v)
{
    *previous = *now;
    *now = v;
}

/* The task file is written in both drives at once. */
static void task_write(struct ide_drive *d, uint32_t offset, uint8_t v)
{
    switch (offset) {
    case 1: set_pair(&d->feature, &d->hob_feature, v); break;
    case 2: set_pair(&d->count, &d->hob_count, v); break;
    case 3: set_pair(&d->low, &d->hob_low, v); break;
    case 4: set_pair(&d->mid, &d->hob_mid, v); break;
    case 5: set_pair(&d->high, &d->hob_high, v); break;
    case 6: d->device = v; break;
    }
}

static void execute(struct ide_channel *ch, uint8_t command)
{
    struct ide_drive *d = ide_selected(ch);

    /* DEVICE RESET is the only command a busy drive takes, and only a
     * packet drive. */
    if (!ch->blk[ch->st->selected] && command != CMD_DIAGNOSE)
        return;
    if (d->status & (ST_BSY | ST_DRQ) &&
        !(command == 0x08 && ide_is_cd(ch, ch->st->selected)))
        return;
    ch->st->irq = 0;
    ide_channel_sync(ch);
    d->command = command;
    d->error = 0;
    d->status = ST_RDY | ST_SRV;
    ch->st->left = 0;
    ch->st->writing = 0;
    ch->st->raw = 0;
    ch->st->is_ext = 0;
    if (command == CMD_DIAGNOSE)
        ide_diagnose(ch);
    else if (ide_is_cd(ch, ch->st->selected))
        atapi_command(ch, command);
    else
        ata_command(ch, command);
}

static void command_write(void *ctx, uint32_t offset, uint32_t value,
                          uint32_t width)
{
    struct ide_channel *ch = ctx;

    if (offset == 0) {
        data_write(ch, value, width);
        return;
    }
    ch->st->control &= ~CTL_HOB;
    if (offset == 7) {
        execute(ch, value);
        return;
    }
    if (ch->busy || ide_selected(ch)->status & ST_BSY)
        return;
    task_write(&ch->st->drive[0], offset, value);
    task_write(&ch->st->drive[1], offset, value);
    if (offset == 6) {
        ch->st->selected = !!(value & DEV_SLAVE);
        ide_channel_sync(ch);
    }
}

static uint32_t control_read(void *ctx, uint32_t offset, uint32_t width)
{
    (void)offset, (void)width;
    return status_now(ctx);
}

static void control_write(void *ctx, uint32_t offset, uint32_t value,
                          uint32_t width)
{
    struct ide_channel *ch = ctx;
    uint8_t was = ch->st->control;

    (void)offset, (void)width;
    ch->st->control = value;
    if (was & CTL_NIEN && !(value & CTL_NIEN) && ch->st->irq)
        ch->st->bm_status |= BMS_IRQ;
    if (value & CTL_SRST && !(was & CTL_SRST)) {
        soft_reset(ch);
    } else if (!(value & CTL_SRST) && was & CTL_SRST) {
        if (ch->busy)
            ch->reset_after = 1;
        else
            finish_soft_reset(ch);
    }
    ide_channel_sync(ch);
}

const struct bp_pio_ops ide_command_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = command_read,
    .write = command_write,
};

const struct bp_pio_ops ide_control_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = control_read,
    .write = control_write,
};
