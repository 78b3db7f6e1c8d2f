/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storvsp: a SCSI controller on VMBus.
 *
 * Map of the device:
 *   storvsp.c          the device: properties, channels, units, life, state
 *   storvsp_protocol.c packets: negotiation, SRBs and their answers
 *   storvsp_request.c  requests in flight: guest memory, steps of a command
 *   ../scsi            what a command means
 *
 * A packet that asks for anything takes a request out of a fixed pool and
 * gives it back with its answer; without a free one packets stay in the ring.
 * A request may take several steps on its drive, one after the other.  Resets
 * and closing channels wait until the requests under way have ended.
 */
#ifndef SYNTHETIC_STORVSP_H
#define SYNTHETIC_STORVSP_H

#include <backplane/backplane.h>

#include "scsi/scsi_cd.h"
#include "scsi/scsi_disk.h"

#define LUNS         64u
#define SUBCHANNELS  31u
#define CHANNELS     (1u + SUBCHANNELS)
#define REQUESTS     256u
#define MAX_TRANSFER (1u << 20)
/* A transfer that begins inside a page touches one more. */
#define RANGES_MAX (MAX_TRANSFER / 4096u + 1u)
/* The guest's memory may end and go on elsewhere (below and above 4 GiB). */
#define PIECES_MAX (RANGES_MAX + 4u)
/* What a step through a buffer of our own moves. */
#define STEP_BYTES 65536u

#define PACKET_HEAD 12u
#define PACKET_MAX  64u
#define PACKET_OLD  48u /* before protocol 5.1 */

enum storvsp_phase {
    PHASE_CLOSED, /* or opened and nothing said */
    PHASE_BEGUN,
    PHASE_VERSION,
    PHASE_PROPERTIES,
    PHASE_READY,
};

struct storvsp_unit_state {
    struct scsi_disk disk;
    struct scsi_cd cd;
};

struct storvsp_state {
    uint8_t phase;
    uint8_t announce; /* units came or went, the guest is to be told */
    uint16_t version; /* of the protocol; 0: none yet */
    uint16_t subchannels;
    struct storvsp_unit_state unit[LUNS];
};

struct storvsp;

struct storvsp_unit {
    struct storvsp *s;
    struct storvsp_unit_state *st;
    struct bp_block_drive *drive; /* NULL: no unit here */
    struct bp_block_info info;
    struct scsi_identity identity;
    struct scsi_disk_medium medium; /* of a disk */
};

struct storvsp_channel {
    struct storvsp *s;
    struct bp_vmbus_channel *ch; /* NULL: not offered */
    uint32_t in_flight;
    uint8_t closing;
    uint8_t starved; /* a packet waits for a request */
};

struct storvsp_request {
    struct bp_block_request block;
    struct storvsp_request *next; /* free, or waiting for a reset */
    struct storvsp_channel *channel;
    uint64_t transaction;
    uint8_t wants_completion;
    uint32_t packet_bytes;
    uint8_t packet[PACKET_MAX]; /* the guest's, then the answer */

    struct storvsp_unit *unit;
    struct bp_block_drive *drive; /* the unit's when the command came */
    /* The guest's buffer, and where it is mapped */
    uint32_t range_count, piece_count;
    uint32_t maps_for_writing;
    uint64_t range_bytes, moved;
    struct bp_gpa_range ranges[RANGES_MAX];
    struct bp_iovec piece[PIECES_MAX];
    uint64_t piece_gpa[PIECES_MAX];
    /* The command, as far as it is not done yet */
    enum scsi_action action;
    uint32_t raw, flush_after;
    uint64_t offset, left; /* bytes */
    uint32_t step_bytes;
    uint32_t next_discard, discard_count;
    struct scsi_range discards[SCSI_RANGES_MAX];
    struct bp_iovec own; /* the buffer of STEP_BYTES, in parts */
    uint8_t *buffer;
};

struct storvsp {
    /* Wiring */
    struct bp_dev *dev;
    const struct bp_log *log;
    const struct bp_block *block;
    const struct bp_dma *dma;
    const struct bp_vmbus *bus;
    void *vmbus;
    uint32_t processors;
    /* Configuration */
    uint32_t kind; /* KIND_* */
    uint32_t controller, target;
    struct bp_block_drive *lun[LUNS];

    struct storvsp_state st;
    struct storvsp_unit unit[LUNS];
    struct storvsp_channel channel[CHANNELS];
    struct storvsp_request *requests, *free, *resets;
    uint32_t in_flight; /* without those in `resets` */
};

enum { KIND_SCSI, KIND_IDE };

/* storvsp.c */
/* The unit that this address means; NULL when there is none. */
struct storvsp_unit *storvsp_unit_at(struct storvsp *s, uint8_t path,
                                     uint8_t target, uint8_t lun);
void storvsp_unit_refresh(struct storvsp_unit *u);
uint32_t storvsp_subchannels_max(const struct storvsp *s);
int32_t storvsp_offer(struct storvsp *s, uint32_t index);
/* Goes on with closing what is closing and has nothing in flight. */
void storvsp_close_on(struct storvsp *s);

/* storvsp_protocol.c */
int32_t storvsp_packet(void *ctx, const struct bp_vmbus_packet *p);
void storvsp_announce(struct storvsp *s);
/* Nothing is in flight any more: answers the reset that waited for it. */
void storvsp_end_resets(struct storvsp *s);
/* Answers an SRB and ends the request. */
void storvsp_good(struct storvsp_request *r, uint32_t moved);
void storvsp_check_condition(struct storvsp_request *r, uint8_t sense,
                             uint8_t asc, uint8_t ascq);
void storvsp_srb_error(struct storvsp_request *r, uint8_t srb_status,
                       uint8_t scsi_status);

#define SRB_SUCCESS         0x01
#define SRB_ERROR           0x04
#define SRB_INVALID_REQUEST 0x06
#define SRB_OVERRUN         0x12
#define SRB_INVALID_LUN     0x20
#define SRB_AUTOSENSE       0x80

/* storvsp_request.c */
int32_t storvsp_requests_create(struct storvsp *s);
void storvsp_requests_destroy(struct storvsp *s);
/* NULL: all are in flight. */
struct storvsp_request *storvsp_request_take(struct storvsp_channel *channel,
                                             const struct bp_vmbus_packet *p);
/* 0: the guest's buffer has more ranges than any transfer needs. */
int storvsp_request_ranges(struct storvsp_request *r,
                           const struct bp_vmbus_packet *p);
void storvsp_request_release(struct storvsp_request *r);
/* Copy between the guest's buffer and ours; -EFAULT: it is no memory. */
int32_t storvsp_copy_in(struct storvsp_request *r, uint64_t offset, void *dst,
                        uint32_t bytes);
int32_t storvsp_copy_out(struct storvsp_request *r, uint64_t offset,
                         const void *src, uint32_t bytes);
/* Does what a command asks for, and answers. */
void storvsp_perform(struct storvsp_request *r, const struct scsi_command *c,
                     const uint8_t *block);

#endif
