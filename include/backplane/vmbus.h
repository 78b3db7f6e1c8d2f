/* SPDX-License-Identifier: MIT */
/*
 * VMBus as a device on it sees it: "bp.vmbus/1", published by the `vmbus`
 * device (host->device_query(dev, NULL, BP_VMBUS, &vmbus)).
 *
 * A device offers channels.  The guest opens one with a pair of rings; from
 * then on packets go both ways.  All ops of a channel run on the lane of the
 * device that offered it, and all functions here that take a channel are
 * called on that lane.  The bus copies each packet out of shared memory once
 * and checks it before the device sees it.
 *
 *   create -> { opened -> { packet | writable } -> closing -> close_done }
 *          -> destroy
 *
 * Saved state: the bus saves its connection, channels and GPADLs.  A device
 * saves what it negotiated.  In loaded(), a device creates again the channels
 * that it had created beyond those of realize(); each finds its saved self by
 * type, instance and sub-channel index.  opened() is not called again; rings
 * are served from start() on.
 */
#ifndef BACKPLANE_VMBUS_H
#define BACKPLANE_VMBUS_H

#include <stdint.h>

#include <backplane/block.h> /* struct bp_iovec */

#ifdef __cplusplus
extern "C" {
#endif

#define BP_VMBUS "bp.vmbus/1"

struct bp_dev;
struct bp_vmbus_channel;
struct bp_vmbus_buffer;

/* Bytes as in memory on the wire (first three groups little-endian). */
struct bp_guid {
    uint8_t b[16];
};

/* Offer flags as on the wire */
enum {
    BP_VMBUS_ENUMERATE = 0x1, /* an interface: enumerated by its type */
    BP_VMBUS_PIPE = 0x10,     /* user data says which kind of pipe */
    BP_VMBUS_HVSOCK = 0x2000,
};

struct bp_vmbus_offer {
    uint32_t size; /* sizeof(struct bp_vmbus_offer) */
    uint32_t flags;
    struct bp_guid type, instance;
    uint16_t subchannel; /* 0: the primary */
    uint16_t mmio_megabytes;
    uint8_t user[120];
    uint32_t reserved;
};

enum {
    BP_VMBUS_INBAND = 6,
    BP_VMBUS_TRANSFER_PAGES = 7,
    BP_VMBUS_GPA_DIRECT = 9,
    BP_VMBUS_COMPLETION = 11,
};
#define BP_VMBUS_WANTS_COMPLETION 1u /* packet flags */

/* Guest-physical, contiguous. */
struct bp_gpa_range {
    uint64_t gpa;
    uint64_t bytes;
};

/* A packet from the guest.  Everything is the bus's, valid until packet()
 * returns. */
struct bp_vmbus_packet {
    uint32_t size;
    uint16_t type; /* BP_VMBUS_* */
    uint16_t flags;
    uint64_t transaction;
    const uint8_t *data; /* after the descriptor; padded to 8 bytes */
    uint32_t bytes;
    /* GPA direct: the guest's buffer as pieces, neighbours merged */
    uint32_t range_count;
    const struct bp_gpa_range *ranges;
    uint64_t range_bytes;
};

/* Piece of a transfer-page packet: inside the buffer `set`. */
struct bp_vmbus_piece {
    uint32_t bytes;
    uint32_t offset;
};

/* A packet to the guest. */
struct bp_vmbus_send {
    uint32_t size;
    uint16_t type; /* INBAND, TRANSFER_PAGES, COMPLETION */
    uint16_t flags;
    uint64_t transaction;
    const struct bp_iovec *iov; /* payload, gathered */
    uint32_t iov_count;
    uint16_t set; /* TRANSFER_PAGES */
    uint16_t piece_count;
    const struct bp_vmbus_piece *pieces;
};

struct bp_vmbus_open {
    uint32_t size;
    uint32_t version; /* of the protocol: major << 16 | minor */
    uint32_t target_vp;
    uint32_t reserved;
    uint8_t user[120];
};

struct bp_vmbus_channel_ops {
    uint32_t size;
    /* 0 accepts; a negative errno makes the open fail. */
    int32_t (*opened)(void *ctx, const struct bp_vmbus_open *open);
    /*
     * The guest closed the channel, unloaded the bus or the machine was
     * reset; no packet comes any more, nothing can be sent.  The device
     * calls close_done when no request of the channel touches guest memory
     * any more: now or later.
     */
    void (*closing)(void *ctx);
    /* 0: taken.  -EAGAIN: it stays in the ring and comes again after
     * resume().  Others: it breaks the protocol; the bus logs and drops
     * it. */
    int32_t (*packet)(void *ctx, const struct bp_vmbus_packet *p);
    /* A send() that failed with -EAGAIN may work now.  May be NULL. */
    void (*writable)(void *ctx);
};

/* A TL connect request: a guest's socket wants `service`.  [lane] */
typedef void bp_vmbus_connect_fn(void *ctx, const struct bp_guid *endpoint,
                                 const struct bp_guid *service);

struct bp_vmbus {
    uint32_t size;
    /*
     * Offers a channel: to the guest at once when it is connected.  NULL
     * with a reason when there are too many, or one of the same type,
     * instance and index.
     */
    struct bp_vmbus_channel *(*create)(void *vmbus, struct bp_dev *dev,
                                       const struct bp_vmbus_offer *offer,
                                       const struct bp_vmbus_channel_ops *ops,
                                       void *ctx);
    /* Rescinds the offer and frees the channel; no op is called any more,
     * not even closing: the device is done with it. */
    void (*destroy)(struct bp_vmbus_channel *ch);
    void (*close_done)(struct bp_vmbus_channel *ch);
    /* Open and not closing. */
    int32_t (*is_open)(struct bp_vmbus_channel *ch);
    /* The bus stops taking packets out of the ring, or goes on. */
    void (*pause)(struct bp_vmbus_channel *ch);
    void (*resume)(struct bp_vmbus_channel *ch);
    /* 0; -EAGAIN: no room now, writable() tells; -ENOTCONN; -EMSGSIZE:
     * larger than the ring. */
    int32_t (*send)(struct bp_vmbus_channel *ch,
                    const struct bp_vmbus_send *packet);
    /*
     * A completion packet.  When the ring has no room it is kept and sent
     * later, and meanwhile no new packets are taken; so it always succeeds,
     * and completions on a closed channel are dropped.
     */
    void (*complete)(struct bp_vmbus_channel *ch, uint64_t transaction,
                     const void *data, uint32_t bytes);
    /* Room for a packet with this payload now? */
    int32_t (*can_send)(struct bp_vmbus_channel *ch, uint32_t bytes);
    /*
     * A GPADL of the channel as a buffer.  NULL: there is no such one.  It
     * is valid until close; the guest may take the GPADL away, then accesses
     * fail with -ENOENT.  Offsets and sizes are checked: -ERANGE.
     */
    struct bp_vmbus_buffer *(*buffer_open)(struct bp_vmbus_channel *ch,
                                           uint32_t gpadl);
    void (*buffer_close)(struct bp_vmbus_buffer *b);
    uint64_t (*buffer_bytes)(struct bp_vmbus_buffer *b);
    int32_t (*buffer_read)(struct bp_vmbus_buffer *b, uint64_t offset,
                           void *dst, uint32_t bytes);
    int32_t (*buffer_write)(struct bp_vmbus_buffer *b, uint64_t offset,
                            const void *src, uint32_t bytes);
    /* The guest-physical pieces of a part; returns their number, -ERANGE,
     * or -E2BIG when there are more than max. */
    int32_t (*buffer_ranges)(struct bp_vmbus_buffer *b, uint64_t offset,
                             uint64_t bytes, struct bp_gpa_range *out,
                             uint32_t max);
    /* One device a machine hears of TL connect requests, and answers each
     * with status 0 (after create of the channel) or 0xc0000236.  [setup],
     * [lane] */
    int32_t (*on_connect)(void *vmbus, struct bp_dev *dev,
                          bp_vmbus_connect_fn *fn, void *ctx);
    void (*connect_result)(void *vmbus, const struct bp_guid *endpoint,
                           const struct bp_guid *service, uint32_t status);
    /* Bytes of the ring that the guest has not read: packets sent, each with
     * 24 bytes around its payload padded to 8; -EAGAIN: the machine is
     * stopped; -ENOTCONN. */
    int32_t (*unread)(struct bp_vmbus_channel *ch);
};

#ifdef __cplusplus
}
#endif

#endif
