/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command set of a disk (direct-access block device, SBC-3), without a
 * transport.
 */
#ifndef SCSI_SCSI_DISK_H
#define SCSI_SCSI_DISK_H

#include "scsi/scsi.h"

/* Unit attention conditions that wait, the most important one first. */
#define DISK_POWER_ON   0x01u
#define DISK_BUS_RESET  0x02u
#define DISK_UNIT_RESET 0x04u
#define DISK_CAPACITY   0x08u /* the disk became larger or smaller */

/* Saved with the device that holds it. */
struct scsi_disk {
    uint8_t sense, asc, ascq;
    uint8_t attention;     /* DISK_POWER_ON .. */
    uint8_t write_through; /* 1: the write cache is switched off */
    uint8_t stopped;       /* by START STOP UNIT */
};

/* What the commands look at; the owner keeps it up to date. */
struct scsi_disk_medium {
    uint64_t blocks;
    uint32_t block_bytes;
    uint32_t physical_bytes; /* a multiple of block_bytes */
    uint32_t transfer_bytes; /* the longest read, write or verification */
    uint8_t readonly;
    uint8_t thin; /* unmapped blocks give space back and read as zeros */
};

void scsi_disk_reset(struct scsi_disk *d); /* power on */
void scsi_disk_fail(struct scsi_disk *d, uint8_t sense, uint8_t asc,
                    uint8_t ascq);
/* How many bytes of parameter list the command wants from the initiator
 * before it is executed: at most SCSI_PARAMETERS_MAX. */
uint32_t scsi_disk_parameter_bytes(const uint8_t *cdb,
                                   const struct scsi_disk_medium *m);
/* cdb: SCSI_CDB_MAX bytes.  `bytes` of parameters came, perhaps fewer than
 * were wanted. */
void scsi_disk_execute(struct scsi_disk *d, const struct scsi_identity *id,
                       const struct scsi_disk_medium *m, const uint8_t *cdb,
                       const uint8_t *parameters, uint32_t bytes,
                       struct scsi_command *out);

/* Mode pages (scsi_disk_mode.c). */
void scsi_disk_mode_sense(struct scsi_disk *d, const struct scsi_disk_medium *m,
                          const uint8_t *cdb, struct scsi_command *out);
void scsi_disk_mode_select(struct scsi_disk *d,
                           const struct scsi_disk_medium *m, const uint8_t *cdb,
                           const uint8_t *parameters, uint32_t bytes,
                           struct scsi_command *out);
/* CHECK CONDITION with this sense. */
void scsi_disk_refuse(struct scsi_disk *d, struct scsi_command *out,
                      uint8_t sense, uint8_t asc);

#endif
