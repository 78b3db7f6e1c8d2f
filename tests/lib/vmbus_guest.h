/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of VMBus, in the RAM of a bench: what a kernel's VMBus
 * driver does, and what no driver would do.
 *
 *     struct bench *b = vg_bench(2);
 *     bench_add_device(b, "synthkbd", "synthkbd", NULL);
 *     struct vmbus_guest *g = vg_connect(b, VG_5_3);
 *     struct vg_channel *ch = vg_open(g, vg_offer(g, &keyboard_guid, 0), 4);
 *     vg_send(ch, 1, request, sizeof(request), true);
 *     CHECK(vg_receive(ch, &p));
 *     vg_close(ch);
 *     vg_end(g);
 *     bench_destroy(b);
 *
 * vg_* functions fail the test with a sentence when the host does not do what
 * a guest waits for; vg_try_* return instead.  Nothing waits: the bench runs
 * until it rests after each message and signal.  What depends on time (drives
 * of the bench complete after 200 us) is the test's to wait for with
 * bench_step().
 *
 * Messages go to vCPU 0 unless vg_contact() says otherwise.  GPADL ids, open
 * ids and memory are given out by the library; g->... may be changed by a
 * test that wants other ones.  Pages come from 4 MiB up and never twice.
 * Everything outlives bench_save_load() and bench_reset().
 */
#ifndef TESTS_LIB_VMBUS_GUEST_H
#define TESTS_LIB_VMBUS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backplane/vmbus.h>

#include "plugins/synthetic/ring.h"
#include "plugins/synthetic/vmbus_wire.h"

struct bench;

#define VG_2_4 VMBUS_2_4
#define VG_3_0 VMBUS_3_0
#define VG_4_0 VMBUS_4_0
#define VG_5_0 VMBUS_5_0
#define VG_5_3 VMBUS_5_3

#define VG_OFFERS   1100
#define VG_CHANNELS 1100

struct vg_message { /* from the host, not asked for yet */
    uint32_t type, bytes;
    uint8_t body[232];
};

struct vmbus_guest {
    struct bench *bench;
    uint8_t *ram;
    uint64_t next_page; /* gpa */
    bool scattered;     /* pages of one buffer are no neighbours */
    uint32_t version;
    uint32_t message_vp, message_sint;
    uint32_t connection;     /* for messages */
    uint64_t interrupt_page; /* gpa, before 2.4 */
    uint32_t next_gpadl, next_open_id;
    struct vmbus_offer offer[VG_OFFERS]; /* flags 0xffff: rescinded */
    uint32_t offers;
    bool all_offers; /* AllOffers came */
    struct vg_message queue[64];
    uint32_t queued;
    struct vg_channel *channels;
};

struct vg_channel {
    struct vmbus_guest *g;
    struct vg_channel *next;
    struct vmbus_offer offer;
    uint32_t gpadl;
    uint32_t target_vp;
    uint64_t *page; /* gpa of each: guest to host, then host to guest */
    uint32_t pages, split;
    uint32_t out_in; /* our index in the ring to the host */
    uint32_t in_out; /* ... and in the ring from it */
    uint8_t buffer[RING_MAX_PACKET];
};

/* --- the bench ------------------------------------------------------------*/

/* A bench with the interface, this many processors and a device "vmbus". */
struct bench *vg_bench(uint32_t processors);

/* --- connection -----------------------------------------------------------*/

/* Starts the devices, contacts the host and takes all offers. */
struct vmbus_guest *vg_connect(struct bench *b, uint32_t version);
void vg_end(struct vmbus_guest *g); /* frees; says nothing to the host */

/* The same step by step.  vg_new() only makes the object. */
struct vmbus_guest *vg_new(struct bench *b);
/* False: the host does not speak this version. */
bool vg_contact(struct vmbus_guest *g, uint32_t version, uint32_t target_vp);
void vg_request_offers(struct vmbus_guest *g);
/* Closes nothing; waits for the host's answer.  Offers are forgotten, and
 * channels are not open any more. */
void vg_unload(struct vmbus_guest *g);

/* The n-th offer of this type that was not rescinded; NULL: there is none. */
const struct vmbus_offer *vg_try_offer(struct vmbus_guest *g,
                                       const struct bp_guid *type, uint32_t n);
const struct vmbus_offer *vg_offer(struct vmbus_guest *g,
                                   const struct bp_guid *type, uint32_t n);
/* ... the sub-channel of a channel. */
const struct vmbus_offer *vg_subchannel(struct vmbus_guest *g,
                                        const struct vmbus_offer *primary,
                                        uint16_t index);
bool vg_is_rescinded(struct vmbus_guest *g, uint32_t relid);
/* After a rescind. */
void vg_release(struct vmbus_guest *g, uint32_t relid);

/* --- messages -------------------------------------------------------------*/

/* What HvPostMessage returned. */
int32_t vg_post(struct vmbus_guest *g, uint32_t type, const void *body,
                uint32_t bytes);
/* The oldest message of this type; offers and rescinds never come here, they
 * go to g->offer.  Copies up to `bytes` of the body. */
bool vg_take(struct vmbus_guest *g, uint32_t type, void *body, uint32_t bytes);
/* Takes everything that the host has sent so far. */
void vg_poll(struct vmbus_guest *g);

/* --- memory ---------------------------------------------------------------*/

/* The guest-physical address of a new page, zeroed; *ram is where it is. */
uint64_t vg_page(struct vmbus_guest *g, uint8_t **ram);
/* `n` neighbouring pages. */
uint64_t vg_pages(struct vmbus_guest *g, uint32_t n, uint8_t **ram);
uint8_t *vg_ram(struct vmbus_guest *g, uint64_t gpa);

/* A GPADL of one range of whole pages.  Returns its id. */
uint32_t vg_gpadl(struct vmbus_guest *g, uint32_t relid, const uint64_t *pages,
                  uint32_t count);
/* The status of the answer; UINT32_MAX: there was none. */
uint32_t vg_try_gpadl(struct vmbus_guest *g, uint32_t relid, uint32_t id,
                      const void *ranges, uint32_t range_bytes,
                      uint32_t range_count);
/* True: the host answered that it is torn down. */
bool vg_try_teardown(struct vmbus_guest *g, uint32_t relid, uint32_t id);

/* --- channels -------------------------------------------------------------*/

/* Rings of this many pages each, with their control page. */
struct vg_channel *vg_open(struct vmbus_guest *g,
                           const struct vmbus_offer *offer, uint32_t pages);
/* `user`: 120 bytes, or NULL.  NULL with *status: the host said no. */
struct vg_channel *vg_try_open(struct vmbus_guest *g,
                               const struct vmbus_offer *offer, uint32_t pages,
                               uint32_t target_vp, const void *user,
                               uint32_t *status);
/* Closes, tears the rings' GPADL down, frees the object. */
void vg_close(struct vg_channel *ch);
/* Frees the object only. */
void vg_forget(struct vg_channel *ch);

/* Everything returns false when the ring has no room, and then asks the host
 * to tell (pending_send_size). */
bool vg_send(struct vg_channel *ch, uint64_t transaction, const void *payload,
             uint32_t bytes, bool wants_completion);
/* With a buffer: one range over these bytes of guest memory, which may begin
 * in the middle of a page. */
bool vg_send_gpa(struct vg_channel *ch, uint64_t transaction,
                 const void *payload, uint32_t bytes, uint64_t gpa,
                 uint32_t length);
/* ... over any pages: an offset in the first of them. */
bool vg_send_pages(struct vg_channel *ch, uint64_t transaction,
                   const void *payload, uint32_t bytes, const uint64_t *pages,
                   uint32_t offset, uint32_t length);
bool vg_send_completion(struct vg_channel *ch, uint64_t transaction,
                        const void *payload, uint32_t bytes);
/* `head` follows the descriptor (its length a multiple of 8); signal: tells
 * the host when it must be told. */
bool vg_send_raw(struct vg_channel *ch, const struct ring_descriptor *d,
                 const void *head, uint32_t head_bytes, const void *payload,
                 uint32_t bytes, bool signal);
/* HvSignalEvent on the channel. */
void vg_signal(struct vg_channel *ch);

struct vg_packet {
    uint16_t type, flags;
    uint64_t transaction;
    uint32_t bytes; /* of data, padded to 8 */
    const uint8_t *data;
    /* Transfer pages */
    uint16_t set;
    uint32_t piece_count;
    const struct bp_vmbus_piece *pieces;
};
/* The next packet of the host, valid until the next call; false: none.
 * Signals the host when it waits for room. */
bool vg_receive(struct vg_channel *ch, struct vg_packet *p);
/* The next one is this completion. */
void vg_completion(struct vg_channel *ch, uint64_t transaction,
                   struct vg_packet *p);
/* Did the host interrupt for this channel since the last call? */
bool vg_interrupted(struct vg_channel *ch);

struct ring_control *vg_ring_out(struct vg_channel *ch); /* to the host */
struct ring_control *vg_ring_in(struct vg_channel *ch);
/* Bytes of data of a ring of the channel at an offset. */
void vg_poke(struct vg_channel *ch, bool in, uint32_t offset, const void *from,
             uint32_t bytes);

#endif
