/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CD/DVD drive behind the PACKET command: the transport.  The commands
 * themselves are in plugins/scsi/scsi_cd.c.
 *
 * Source: INCITS ATA/ATAPI-6 sections 8.23-8.24 (PACKET, IDENTIFY PACKET),
 * 9.8-9.9 (protocols).
 */
#include <string.h>

#include "ide.h"

#define PACKET_BYTES   12u
#define BYTE_COUNT_MAX 0xfffeu

static uint64_t medium_blocks(const struct ide_channel *ch)
{
    const struct bp_block_info *info = &ch->info[ch->st->selected];

    return info->flags & BP_BLOCK_PRESENT ? info->bytes / CD_BLOCK : 0;
}

static void set_byte_count(struct ide_drive *d, uint32_t n)
{
    d->mid = n;
    d->high = n >> 8;
}

static uint32_t byte_count_limit(const struct ide_drive *d)
{
    uint32_t n = d->mid | d->high << 8;

    if (n < 2 || n > BYTE_COUNT_MAX)
        n = BYTE_COUNT_MAX;
    return n & ~1u;
}

void atapi_block_ready(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);

    d->count = IR_IO;
    set_byte_count(d, ch->st->end - ch->st->position);
}

void atapi_finish(struct ide_channel *ch)
{
    ide_selected(ch)->count = IR_IO | IR_COD;
    ide_finish(ch);
}

/* The sense key is in the error register, too. */
static void check_condition(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);

    d->count = IR_IO | IR_COD;
    d->error = d->cd.sense << 4 | ER_ABRT;
    d->status |= ST_ERR;
    ch->st->bm_status &= ~BMS_ACTIVE;
    ide_finish(ch);
}

void atapi_error(struct ide_channel *ch, uint8_t sense, uint8_t asc)
{
    scsi_cd_fail(&ide_selected(ch)->cd, sense, asc);
    check_condition(ch);
}

static int wants_dma(const struct ide_drive *d)
{
    return d->feature & 1;
}

static void send_reply(struct ide_channel *ch, const struct scsi_command *c)
{
    struct ide_drive *d = ide_selected(ch);

    memcpy(ch->st->buffer, c->reply, c->reply_bytes);
    if (wants_dma(d)) {
        ch->st->phase = IDE_DMA;
        ch->st->filled = c->reply_bytes;
        ide_dma_run(ch);
        return;
    }
    ch->st->block = byte_count_limit(d);
    ide_send(ch, c->reply_bytes);
}

static void read_medium(struct ide_channel *ch, const struct scsi_command *c)
{
    struct ide_drive *d = ide_selected(ch);

    ch->st->lba = c->lba;
    ch->st->left = c->blocks;
    ch->st->raw = c->raw;
    if (wants_dma(d)) {
        ide_begin_dma(ch);
        return;
    }
    ch->st->block = byte_count_limit(d);
    ch->st->phase = IDE_PIO_IN;
    ide_fetch(ch);
}

/* The command packet is in the buffer. */
void atapi_packet(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    const struct bp_block *block = ch->ide->block;
    struct bp_block_drive *blk = ch->blk[ch->st->selected];
    struct scsi_command c;
    uint8_t cdb[PACKET_BYTES];
    uint64_t before;

    memcpy(cdb, ch->st->buffer, sizeof(cdb));
    ch->st->phase = IDE_IDLE;
    ide_refresh_info(ch, ch->st->selected);
    before = medium_blocks(ch);
    scsi_cd_execute(&d->cd, &scsi_cd_atapi, cdb, before, &c);
    switch (c.action) {
    case SCSI_DATA: send_reply(ch, &c); return;
    case SCSI_READ: read_medium(ch, &c); return;
    case SCSI_FAILED: check_condition(ch); return;
    case SCSI_FLUSH: break; /* nothing is written to a CD */
    case SCSI_LOCK: block->lock(blk, d->cd.locked); break;
    case SCSI_EJECT: block->eject(blk, 1); break;
    case SCSI_LOAD: block->eject(blk, 0); break;
    default: break;
    }
    ide_refresh_info(ch, ch->st->selected);
    if (!before && medium_blocks(ch)) /* the tray brought it back */
        scsi_cd_medium_changed(&d->cd, 1);
    atapi_finish(ch);
}

void atapi_command(struct ide_channel *ch, uint8_t command)
{
    struct ide_drive *d = ide_selected(ch);

    switch (command) {
    case 0x08: ide_device_reset(ch); break;
    case 0xa0:
        d->count = IR_COD;
        ch->st->phase = IDE_PACKET;
        ide_receive(ch, PACKET_BYTES, 1);
        break;
    case 0xa1:
        ata_identify(ch, ch->st->selected, ch->st->buffer);
        ch->st->block = IDE_SECTOR;
        ide_send(ch, IDE_SECTOR);
        break;
    case 0xec: /* tells a packet drive from a disk */
    case 0x20:
        ide_set_signature(ch, ch->st->selected);
        ide_abort(ch, ER_ABRT);
        break;
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
    case 0xe7: ide_finish(ch); break;
    case 0xe5:
        d->count = 0xff;
        ide_finish(ch);
        break;
    case 0xef:
        if (d->feature == 0x03 && d->count >> 3 > 1)
            d->transfer_mode = d->count;
        ide_finish(ch);
        break;
    default: ide_abort(ch, ER_ABRT); break;
    }
}
