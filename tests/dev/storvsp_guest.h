/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of the storage protocol, for tests of storvsp. */
#ifndef TESTS_DEV_STORVSP_GUEST_H
#define TESTS_DEV_STORVSP_GUEST_H

#include <stdint.h>

#include "tests/lib/vmbus_guest.h"

#define VSTOR_COMPLETE    1u
#define VSTOR_EXECUTE     3u
#define VSTOR_RESET_LUN   4u
#define VSTOR_RESET_BUS   6u
#define VSTOR_BEGIN       7u
#define VSTOR_END         8u
#define VSTOR_VERSION     9u
#define VSTOR_PROPERTIES  10u
#define VSTOR_ENUMERATE   11u
#define VSTOR_SUBCHANNELS 13u

/* As on the wire; everything is where it would be anyway. */
struct vstor {
    uint32_t op, flags, status;
    union {
        struct {
            uint16_t length;
            uint8_t srb_status, scsi_status;
            uint8_t port, path, target, lun;
            uint8_t cdb_bytes, sense_bytes, data_in, reserved;
            uint32_t transfer;
            uint8_t cdb[20]; /* or sense data */
            uint16_t reserved2;
            uint8_t tag, action;
            uint32_t srb_flags, timeout, sort_key;
        } srb;
        struct {
            uint16_t version, revision;
        } query;
        struct {
            uint32_t reserved;
            uint16_t subchannels, reserved2;
            uint32_t flags, transfer;
        } properties;
        uint16_t subchannels;
        uint8_t body[52];
    };
};

/* Sends a packet without data, waits for its completion and takes it; the
 * status of the packet. */
uint32_t vstor_ask(struct vg_channel *ch, struct vstor *p);
/* Through all of the negotiation. */
void vstor_start(struct vg_channel *ch, uint16_t version);
/* A command with a buffer of `bytes` at `gpa`: the SRB status.  *p is the
 * answer.  Steps the clock until it is there. */
uint8_t vstor_execute(struct vg_channel *ch, struct vstor *p, uint64_t gpa,
                      uint32_t bytes);
/* Only sends. */
void vstor_submit(struct vg_channel *ch, uint64_t transaction,
                  const struct vstor *p, uint64_t gpa, uint32_t bytes);
/* The next completion; its transaction. */
uint64_t vstor_wait(struct vg_channel *ch, struct vstor *p);

#endif
