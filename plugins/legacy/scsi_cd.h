/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command set of a CD/DVD drive (MMC), without a transport: ATAPI and
 * SCSI controllers give it command blocks and move the data.
 */
#ifndef LEGACY_SCSI_CD_H
#define LEGACY_SCSI_CD_H

#include <stdint.h>

#define CD_BLOCK     2048u
#define CD_REPLY_MAX 1024u

enum {
    SENSE_NONE = 0,
    SENSE_NOT_READY = 2,
    SENSE_MEDIUM = 3,
    SENSE_HARDWARE = 4,
    SENSE_ILLEGAL = 5,
    SENSE_ATTENTION = 6
};

#define ASC_NONE            0x00
#define ASC_READ_ERROR      0x11
#define ASC_INVALID_COMMAND 0x20
#define ASC_OUT_OF_RANGE    0x21
#define ASC_INVALID_FIELD   0x24
#define ASC_MEDIUM_CHANGED  0x28
#define ASC_NO_MEDIUM       0x3a
#define ASC_LOCKED          0x53

/* Saved with the device that holds it. */
struct scsi_cd {
    uint8_t sense, asc, ascq;
    uint8_t attention; /* the medium changed: to be reported */
    uint8_t event;     /* media event for GET EVENT STATUS */
    uint8_t locked;
    uint8_t tray_open;
};

enum scsi_cd_action {
    CD_DONE,   /* good status, no data */
    CD_DATA,   /* reply_bytes of `reply` go to the host */
    CD_READ,   /* blocks from lba go to the host */
    CD_FAILED, /* check condition; sense is set */
    CD_LOCK,
    CD_EJECT,
    CD_LOAD, /* tell the back end, then good status */
    CD_FLUSH,
};

struct scsi_cd_command {
    enum scsi_cd_action action;
    uint32_t lba, blocks;
    uint32_t raw; /* 1: READ CD with 2352-byte sectors */
    uint32_t reply_bytes;
    uint8_t reply[CD_REPLY_MAX];
};

/* medium_blocks: 0 without a medium.  cdb: 12 bytes at least. */
void scsi_cd_execute(struct scsi_cd *cd, const uint8_t *cdb,
                     uint64_t medium_blocks, struct scsi_cd_command *out);
void scsi_cd_fail(struct scsi_cd *cd, uint8_t sense, uint8_t asc);
void scsi_cd_medium_changed(struct scsi_cd *cd, int present);
void scsi_cd_reset(struct scsi_cd *cd);
/* A block of 2352 bytes around 2048 bytes of data (mode 1, no ECC). */
void scsi_cd_raw_sector(uint8_t *out, const uint8_t *data, uint32_t lba);

#endif
