/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of the IDE controller: piix4_ide.c (PCI function, bus
 * master registers), ide_channel.c (task file, data port, transfers), ata.c
 * and atapi.c (commands of disks and CD drives).
 *
 * One transfer is in progress on a channel at most.  Its data pass through
 * the channel's buffer: filled by a block request and read by the guest
 * through the data port or by the bus master, or the other way round.
 */
#ifndef LEGACY_IDE_H
#define LEGACY_IDE_H

#include <stdint.h>

#include <backplane/backplane.h>

#include "scsi/scsi_cd.h"

#define IDE_SECTOR       512u
#define IDE_BUFFER       65536u /* bytes; a multiple of both block sizes */
#define IDE_MULTIPLE_MAX 16u

/* Status */
#define ST_ERR 0x01
#define ST_DRQ 0x08
#define ST_SRV 0x10 /* seek complete on old drives */
#define ST_DF  0x20
#define ST_RDY 0x40
#define ST_BSY 0x80
/* Error */
#define ER_ABRT      0x04
#define ER_IDNF      0x10
#define ER_UNC       0x40
#define CMD_DIAGNOSE 0x90
/* Device */
#define DEV_SLAVE 0x10
#define DEV_LBA   0x40
/* Device control */
#define CTL_NIEN 0x02
#define CTL_SRST 0x04
#define CTL_HOB  0x80
/* Interrupt reason (ATAPI, in the count register) */
#define IR_COD 0x01
#define IR_IO  0x02
/* Bus master */
#define BM_START     0x01
#define BM_TO_MEMORY 0x08
#define BMS_ACTIVE   0x01
#define BMS_ERROR    0x02
#define BMS_IRQ      0x04
#define BMS_DRIVES   0x60

enum ide_phase {
    IDE_IDLE,
    IDE_PIO_IN,  /* the guest reads the buffer */
    IDE_PIO_OUT, /* the guest fills the buffer */
    IDE_PACKET,  /* the guest writes a command packet */
    IDE_DMA,     /* the bus master moves the data */
};

struct ide_drive {
    uint8_t feature, count, low, mid, high, device;
    uint8_t hob_feature, hob_count, hob_low, hob_mid, hob_high;
    uint8_t status, error, command;
    uint8_t multiple;       /* sectors a block, 0: off */
    uint8_t heads, sectors; /* translation in use */
    uint16_t cylinders;
    uint8_t transfer_mode; /* as set by SET FEATURES 03h */
    uint8_t write_cache, look_ahead, smart, standby;
    struct scsi_cd cd;
};

struct ide_channel_state {
    struct ide_drive drive[2];
    uint8_t selected;
    uint8_t control;
    uint8_t irq; /* INTRQ */
    uint8_t bm_command, bm_status;
    uint8_t phase;     /* enum ide_phase */
    uint8_t writing;   /* the transfer goes to the medium */
    uint8_t is_ext;    /* 48-bit command */
    uint8_t raw;       /* CD sectors of 2352 bytes */
    uint32_t bm_prd;   /* table */
    uint32_t prd_next; /* entry to be read next */
    uint32_t prd_address, prd_left;
    uint8_t prd_last;       /* the current entry is the last */
    uint32_t position, end; /* of the guest in the buffer */
    uint32_t filled;        /* bytes of data in the buffer */
    uint32_t block;         /* bytes a DRQ block */
    uint64_t lba;           /* next unit of the medium */
    uint32_t left;          /* units not yet requested */
    uint8_t buffer[IDE_BUFFER];
};

struct ide;

struct ide_channel {
    /* Configuration */
    struct bp_block_drive *blk[2]; /* NULL: no drive */
    /* Wiring */
    struct ide *ide;
    unsigned index; /* 0 primary, 1 secondary */
    struct bp_pio_range *command, *control_port;
    struct bp_irq_line *line;
    /* Runtime: empty whenever the machine is stopped */
    struct bp_block_request request;
    struct bp_iovec iov;
    uint8_t busy;        /* the request is under way */
    uint8_t cancelled;   /* ... and nobody waits for it any more */
    uint8_t reset_after; /* finish a reset when it is back */
    uint8_t staging[IDE_BUFFER];
    struct bp_block_info info[2];
    /* State, inside struct ide */
    struct ide_channel_state *st;
};

struct ide {
    /* Configuration */
    uint32_t slot;
    /* Wiring */
    const struct bp_log *log;
    const struct bp_pio *pio;
    const struct bp_irq *irq;
    const struct bp_pci *pci;
    const struct bp_dma *dma;
    const struct bp_block *block;
    struct bp_dev *dev;
    struct bp_pci_function *fn;
    struct ide_channel channel[2];
    /* State */
    struct ide_channel_state st[2];
};

static inline struct ide_drive *ide_selected(struct ide_channel *ch)
{
    return &ch->st->drive[ch->st->selected];
}

static inline int ide_is_cd(const struct ide_channel *ch, unsigned unit)
{
    return !!(ch->info[unit].flags & BP_BLOCK_CDROM);
}

/* --- ide_channel.c ------------------------------------------------------- */

extern const struct bp_pio_ops ide_command_ops, ide_control_ops;

void ide_channel_sync(struct ide_channel *ch);
void ide_channel_reset(struct ide_channel *ch);
void ide_set_signature(struct ide_channel *ch, unsigned unit);
void ide_diagnose(struct ide_channel *ch);
void ide_device_reset(struct ide_channel *ch);
/* Ends the command in progress: status, interrupt. */
void ide_finish(struct ide_channel *ch);
void ide_abort(struct ide_channel *ch, uint8_t error);
/* `bytes` of the buffer go to the guest through the data port, in DRQ blocks
 * of ch->st->block bytes, with an interrupt each. */
void ide_send(struct ide_channel *ch, uint32_t bytes);
/* The guest is to write `bytes` (first: without an interrupt). */
void ide_receive(struct ide_channel *ch, uint32_t bytes, int first);
/* Waits for the bus master. */
void ide_begin_dma(struct ide_channel *ch);
void ide_dma_run(struct ide_channel *ch);
/* Starts the block request for the next part of the transfer. */
void ide_fetch(struct ide_channel *ch);
void ide_flush(struct ide_channel *ch);
uint32_t ide_unit(const struct ide_channel *ch);
/* Reads what the back end says of a drive and its medium. */
void ide_refresh_info(struct ide_channel *ch, unsigned unit);

/* --- ata.c, atapi.c ------------------------------------------------------ */

void ata_command(struct ide_channel *ch, uint8_t command);
/* The guest wrote all of a block that is no medium data. */
void ata_received(struct ide_channel *ch);
void ata_identify(struct ide_channel *ch, unsigned unit, uint8_t *out);
void ata_default_geometry(struct ide_channel *ch, unsigned unit);
/* Puts lba and count back into the task file after an error. */
void ata_report_position(struct ide_channel *ch, uint64_t lba);

void atapi_command(struct ide_channel *ch, uint8_t command);
void atapi_packet(struct ide_channel *ch);
/* A DRQ block of at most the byte count limit is ready. */
void atapi_block_ready(struct ide_channel *ch);
void atapi_finish(struct ide_channel *ch);
void atapi_error(struct ide_channel *ch, uint8_t sense, uint8_t asc);

#endif
