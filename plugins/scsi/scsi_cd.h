/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command set of a CD/DVD drive (MMC), without a transport: ATAPI and
 * SCSI controllers give it command blocks and move the data.
 */
#ifndef SCSI_SCSI_CD_H
#define SCSI_SCSI_CD_H

#include "scsi/scsi.h"

#define CD_BLOCK 2048u

/* Saved with the device that holds it. */
struct scsi_cd {
    uint8_t sense, asc, ascq;
    uint8_t attention; /* the medium changed: to be reported */
    uint8_t event;     /* media event for GET EVENT STATUS */
    uint8_t locked;
    uint8_t tray_open;
};

/* As ATAPI drives present themselves. */
extern const struct scsi_identity scsi_cd_atapi;

/* medium_blocks: 0 without a medium.  cdb: 12 bytes at least. */
void scsi_cd_execute(struct scsi_cd *cd, const struct scsi_identity *id,
                     const uint8_t *cdb, uint64_t medium_blocks,
                     struct scsi_command *out);
void scsi_cd_fail(struct scsi_cd *cd, uint8_t sense, uint8_t asc);
void scsi_cd_medium_changed(struct scsi_cd *cd, int present);
/* The user wants the medium that the guest has locked in. */
void scsi_cd_eject_request(struct scsi_cd *cd);
void scsi_cd_reset(struct scsi_cd *cd);
/* A block of 2352 bytes around 2048 bytes of data (mode 1, no ECC). */
void scsi_cd_raw_sector(uint8_t *out, const uint8_t *data, uint32_t lba);

#endif
