/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all integration components have in common: a message pipe on which
 * the host asks and the guest answers, one message at a time, behind a
 * version negotiation.
 *
 *   opened -> versions offered -> ready()
 *   -> { ic_ask() -> answer() } -> closed()
 *
 * Source: Linux include/linux/hyperv.h (struct icmsg_hdr, icmsg_negotiate)
 * and drivers/hv/channel_mgmt.c.
 */
#ifndef SYNTHETIC_IC_H
#define SYNTHETIC_IC_H

#include <stdint.h>

#include <backplane/backplane.h>

enum { /* message types */
       IC_NEGOTIATE = 0,
       IC_HEARTBEAT = 1,
       IC_KVP = 2,
       IC_SHUTDOWN = 3,
       IC_TIMESYNC = 4,
       IC_VSS = 5,
       IC_FCOPY = 7,
};

#define IC_HEAD    20u
#define IC_PAYLOAD 7680u /* of a message at most: KVP's addresses are 7428 */

/* Status words of guests (HRESULTs) */
#define IC_S_OK           0u
#define IC_E_FAIL         0x80004005u
#define IC_E_UNSUPPORTED  0x80070032u
#define IC_E_EXISTS       0x80070050u
#define IC_E_INVALID      0x80070057u
#define IC_E_DISK_FULL    0x80070070u
#define IC_E_NO_MORE      0x80070103u
#define IC_E_LOCKED       0x800704f7u
#define IC_E_NO_DEVICE    0x8007048fu
#define IC_E_NO_SUCH_GUID 0x80041002u

enum { /* ic_state.phase */
       IC_CLOSED = 0,
       IC_OFFERED = 1, /* versions; some guests answer when a daemon runs */
       IC_READY = 2,
       IC_REFUSED = 3, /* no version in common, or a ring too small */
};

/* The nested state of each component begins with this. */
struct ic_state {
    uint8_t phase;
    uint8_t id;                        /* of the last message */
    uint8_t asking;                    /* its answer is due */
    uint16_t framework[2], version[2]; /* major, minor */
    uint32_t out_bytes; /* of `out`, which waits for room in the ring */
    uint8_t out[8 + IC_HEAD + IC_PAYLOAD];
};

extern const struct bp_field ic_fields[];

struct ic_desc {
    struct bp_guid type, instance;
    uint16_t message; /* IC_* */
    uint16_t version_count;
    uint16_t versions[6][2]; /* major, minor; the newest first */
    /* All may be NULL but answer. */
    void (*ready)(void *ctx);
    void (*answer)(void *ctx, uint32_t status, const uint8_t *data,
                   uint32_t bytes);
    void (*closed)(void *ctx);
};

struct ic {
    const struct ic_desc *desc;
    void *ctx;
    struct ic_state *st;
    struct bp_dev *dev;
    const struct bp_host *host;
    const struct bp_log *log;
    const struct bp_lane *lane;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_vmbus_channel *channel;
};

int32_t ic_create(struct ic *ic, struct bp_dev *dev, const struct bp_host *host,
                  const struct ic_desc *desc, struct ic_state *st, void *ctx);
int32_t ic_realize(struct ic *ic);
int32_t ic_loaded(struct ic *ic);

int32_t ic_is_ready(const struct ic *ic);
int32_t ic_speaks(const struct ic *ic, uint16_t major, uint16_t minor);
/* 0; -ENOTCONN: not ready; -EBUSY: an answer is due. */
int32_t ic_ask(struct ic *ic, const void *data, uint32_t bytes);
/* Why nothing can be asked of the guest: a sentence. */
const char *ic_trouble(const struct ic *ic);
/* What a status means, for people. */
const char *ic_status_text(uint32_t status);

/* UTF-8 to UTF-16 with its zero; returns the number of units without it, or
 * -EINVAL: no UTF-8, or longer than room - 1. */
int32_t ic_to_utf16(const char *text, uint8_t *out, uint32_t room);
/* Up to a zero or `units`; what is no UTF-16 becomes '?'.  Always ends with a
 * zero; needs 3 * units + 1 bytes for all. */
void ic_from_utf16(const uint8_t *in, uint32_t units, char *out, uint32_t room);

#endif
