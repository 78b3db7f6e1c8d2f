/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What disks and CD/DVD drives have in common: a command goes in, and out
 * comes what the transport has to do for it.  No transport, no back end and
 * no time is in here: ATAPI and SCSI controllers give it command blocks and
 * move the data.
 *
 * Map of the folder: scsi.c sense data and INQUIRY, scsi_disk.c the commands
 * of a disk (SBC-3), scsi_disk_mode.c its mode pages, scsi_cd.c those of a
 * CD/DVD drive (MMC-3).
 */
#ifndef SCSI_SCSI_H
#define SCSI_SCSI_H

#include <stdint.h>

#define SCSI_CDB_MAX     16u
#define SCSI_REPLY_MAX   1024u
#define SCSI_RANGES_MAX  64u
#define SCSI_SENSE_BYTES 18u
/* The longest parameter list that a command takes. */
#define SCSI_PARAMETERS_MAX 4096u

enum {
    SENSE_NONE = 0,
    SENSE_NOT_READY = 2,
    SENSE_MEDIUM = 3,
    SENSE_HARDWARE = 4,
    SENSE_ILLEGAL = 5,
    SENSE_ATTENTION = 6,
    SENSE_PROTECT = 7,
    SENSE_MISCOMPARE = 14
};

#define ASC_NONE              0x00
#define ASC_NOT_READY         0x04
#define ASC_WRITE_ERROR       0x0c
#define ASC_READ_ERROR        0x11
#define ASC_PARAMETER_LENGTH  0x1a
#define ASC_MISCOMPARE        0x1d
#define ASC_INVALID_COMMAND   0x20
#define ASC_OUT_OF_RANGE      0x21
#define ASC_INVALID_FIELD     0x24
#define ASC_NO_LUN            0x25
#define ASC_INVALID_PARAMETER 0x26
#define ASC_WRITE_PROTECTED   0x27
#define ASC_MEDIUM_CHANGED    0x28
#define ASC_RESET             0x29
#define ASC_CHANGED           0x2a
#define ASC_NO_SAVING         0x39
#define ASC_NO_MEDIUM         0x3a
#define ASC_TARGET_FAILURE    0x44
#define ASC_LOCKED            0x53

enum scsi_opcode {
    SCSI_TEST_UNIT_READY = 0x00,
    SCSI_REQUEST_SENSE = 0x03,
    SCSI_READ_6 = 0x08,
    SCSI_WRITE_6 = 0x0a,
    SCSI_INQUIRY = 0x12,
    SCSI_MODE_SELECT_6 = 0x15,
    SCSI_MODE_SENSE_6 = 0x1a,
    SCSI_START_STOP = 0x1b,
    SCSI_SEND_DIAGNOSTIC = 0x1d,
    SCSI_PREVENT_ALLOW = 0x1e,
    SCSI_READ_CAPACITY_10 = 0x25,
    SCSI_READ_10 = 0x28,
    SCSI_WRITE_10 = 0x2a,
    SCSI_SEEK_10 = 0x2b,
    SCSI_WRITE_VERIFY_10 = 0x2e,
    SCSI_VERIFY_10 = 0x2f,
    SCSI_PREFETCH_10 = 0x34,
    SCSI_SYNC_CACHE_10 = 0x35,
    SCSI_WRITE_SAME_10 = 0x41,
    SCSI_UNMAP = 0x42,
    SCSI_READ_SUB_CHANNEL = 0x42,
    SCSI_READ_TOC = 0x43,
    SCSI_GET_CONFIGURATION = 0x46,
    SCSI_GET_EVENT = 0x4a,
    SCSI_READ_DISC_INFORMATION = 0x51,
    SCSI_READ_TRACK_INFORMATION = 0x52,
    SCSI_MODE_SELECT_10 = 0x55,
    SCSI_MODE_SENSE_10 = 0x5a,
    SCSI_READ_16 = 0x88,
    SCSI_WRITE_16 = 0x8a,
    SCSI_WRITE_VERIFY_16 = 0x8e,
    SCSI_VERIFY_16 = 0x8f,
    SCSI_PREFETCH_16 = 0x90,
    SCSI_SYNC_CACHE_16 = 0x91,
    SCSI_WRITE_SAME_16 = 0x93,
    SCSI_SERVICE_ACTION_IN = 0x9e,
    SCSI_REPORT_LUNS = 0xa0,
    SCSI_READ_12 = 0xa8,
    SCSI_WRITE_12 = 0xaa,
    SCSI_WRITE_VERIFY_12 = 0xae,
    SCSI_VERIFY_12 = 0xaf,
    SCSI_SET_SPEED = 0xbb,
    SCSI_MECHANISM_STATUS = 0xbd,
    SCSI_READ_CD = 0xbe
};

/* What the transport does; then status is GOOD, but for SCSI_FAILED. */
enum scsi_action {
    SCSI_DONE,     /* nothing */
    SCSI_FAILED,   /* CHECK CONDITION; sense is set */
    SCSI_DATA,     /* reply_bytes of `reply` go to the initiator */
    SCSI_READ,     /* blocks from lba go to the initiator */
    SCSI_WRITE,    /* blocks come from it */
    SCSI_VERIFY,   /* blocks are read and go nowhere */
    SCSI_COMPARE,  /* blocks are compared with what comes from it */
    SCSI_FILL,     /* the parameters are one block: written to all of them */
    SCSI_ZERO,     /* blocks become zeros and keep their space */
    SCSI_UNMAPPED, /* `ranges` become zeros and give their space back */
    SCSI_FLUSH,
    SCSI_LOCK,  /* the drive's `locked` has its new value */
    SCSI_EJECT, /* the tray opens */
    SCSI_LOAD   /* the tray closes */
};

struct scsi_range {
    uint64_t lba, blocks;
};

struct scsi_command {
    enum scsi_action action;
    uint32_t raw;     /* READ: 1 for READ CD with 2352-byte sectors */
    uint32_t durable; /* flush before the status */
    uint64_t lba, blocks;
    uint32_t reply_bytes;
    uint32_t range_count;
    struct scsi_range ranges[SCSI_RANGES_MAX];
    uint8_t reply[SCSI_REPLY_MAX];
};

/* How a logical unit presents itself. */
struct scsi_identity {
    uint8_t type; /* 0 disk, 5 CD/DVD */
    uint8_t removable;
    uint8_t version;     /* 0: an ATAPI drive, without vital product data */
    uint8_t format;      /* of the reply */
    const char *vendor;  /* 8 characters */
    const char *product; /* 16 */
    const char *serial;
};

/* Only actions, sizes and places are cleared; replies are where they are
 * built. */
void scsi_command_init(struct scsi_command *out);
void scsi_reply(struct scsi_command *out, uint32_t bytes, uint32_t allocation);
/* Fixed format. */
void scsi_put_sense(uint8_t out[SCSI_SENSE_BYTES], uint8_t key, uint8_t asc,
                    uint8_t ascq);
/* Bytes of the reply; 0: the page does not exist, or EVPD is clear and a
 * page was asked for.  Pages of the caller's own: those >= B0h, listed in
 * `extra` (0 ends). */
uint32_t scsi_inquiry(const struct scsi_identity *id, const uint8_t *cdb,
                      const uint8_t *extra, uint8_t *out);

static inline uint32_t scsi_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t scsi_be32(const uint8_t *p)
{
    return scsi_be16(p) << 16 | scsi_be16(p + 2);
}

static inline uint64_t scsi_be64(const uint8_t *p)
{
    return (uint64_t)scsi_be32(p) << 32 | scsi_be32(p + 4);
}

static inline void scsi_put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void scsi_put32(uint8_t *p, uint32_t v)
{
    scsi_put16(p, v >> 16);
    scsi_put16(p + 2, v);
}

static inline void scsi_put64(uint8_t *p, uint64_t v)
{
    scsi_put32(p, (uint32_t)(v >> 32));
    scsi_put32(p + 4, (uint32_t)v);
}

#endif
