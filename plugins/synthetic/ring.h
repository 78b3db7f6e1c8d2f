/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of VMBus, as the host uses it: packets in memory that the guest
 * shares and may change at any moment.
 *
 * One ring is a control page and data pages.  The side that writes packets
 * owns `in`, the side that reads them owns `out`; each keeps its own index
 * here and only ever reads the other's, once, and checks it.  Indices are
 * byte offsets, multiples of 8, below the size of the data.  A ring never
 * becomes full: in == out means that it is empty.
 *
 * A packet is a descriptor of 16 bytes, more header and payload, padded to 8
 * bytes, and a footer of 8 bytes that holds the packet's own offset.
 *
 * Who may sleep needs a signal:
 *   writer  publishes `in`, fence, reads `mask`, then `out`: signals when the
 *           reader had read everything before and does not mask;
 *   reader  publishes `out`, fence, reads `pending`, then `in`: signals when
 *           the room grew beyond what the writer waits for;
 *   reader  before it sleeps clears `mask`, fence, looks at `in` again;
 *   writer  before it waits sets `pending`, fence, looks at `out` again.
 *
 * Sources: Linux include/linux/hyperv.h and drivers/hv/ring_buffer.c (facts).
 */
#ifndef SYNTHETIC_RING_H
#define SYNTHETIC_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/block.h>

#define RING_PAGE       4096u
#define RING_DESCRIPTOR 16u
#define RING_FOOTER     8u
/* A longer packet breaks the protocol: no known driver comes near it. */
#define RING_MAX_PACKET 65536u

struct ring_control { /* the begin of the first page, shared */
    uint32_t in;
    uint32_t out;
    uint32_t mask;    /* the reader needs no signal */
    uint32_t pending; /* bytes of room that the writer waits for */
    uint32_t reserved[12];
    uint32_t features;
};
#define RING_FEATURE_PENDING 1u

struct ring_descriptor {
    uint16_t type;
    uint16_t offset8; /* of the payload, in units of 8 bytes */
    uint16_t length8; /* of all but the footer */
    uint16_t flags;
    uint64_t transaction;
};

struct ring {
    struct ring_control *control;
    uint8_t *const *page; /* of data */
    uint8_t *flat;        /* the data pages as one, when they are neighbours */
    uint32_t bytes;       /* of data */
    uint32_t own;         /* our index */
    uint32_t published;   /* what the guest has seen of it */
    uint32_t seen;        /* the guest's index as we last fetched it */
};

/*
 * pages[0] is the control page, then at least one of data.  `own` continues
 * a ring; RING_FROM_GUEST takes what is in the control page.  The array
 * stays the caller's.  False: an index is wrong.
 */
#define RING_FROM_GUEST UINT32_MAX
bool ring_init_reader(struct ring *r, uint8_t *const *pages, uint32_t count,
                      uint32_t own);
bool ring_init_writer(struct ring *r, uint8_t *const *pages, uint32_t count,
                      uint32_t own);

/* --- reading -------------------------------------------------------------*/

/*
 * Copies the next packet without its footer to `to` (of RING_MAX_PACKET
 * bytes).  Returns its length, 0 when there is none, or -EPROTO: the ring
 * makes no sense and cannot be read any more.  The lengths in the copy are
 * checked.
 */
int32_t ring_peek(struct ring *r, uint8_t *to);
/* Goes on behind a packet of this length. */
void ring_skip(struct ring *r, uint32_t length);
/* Gives the room back; true: signal the writer. */
bool ring_publish_read(struct ring *r);
void ring_set_mask(struct ring *r, bool masked);
/* Is there something to read?  True for a broken ring, too. */
bool ring_has_packets(struct ring *r);

/* --- writing -------------------------------------------------------------*/

/* What ring_put() takes for a packet with this header and payload. */
uint32_t ring_need(uint32_t header, uint32_t payload);
/* Can there ever be room? */
static inline bool ring_may_fit(const struct ring *r, uint64_t need)
{
    return need < r->bytes;
}
bool ring_has_room(struct ring *r, uint32_t need);
/* Bytes that the reader has not given back. */
uint32_t ring_unread(struct ring *r);
/*
 * Writes a packet; there is room for it.  `header` follows the descriptor,
 * its length is a multiple of 8.  The descriptor's lengths are filled in.
 */
void ring_put(struct ring *r, const struct ring_descriptor *d,
              const void *header, uint32_t header_bytes,
              const struct bp_iovec *iov, uint32_t iov_count);
/* Shows the guest what was put; true: signal the reader. */
bool ring_publish_write(struct ring *r);
/* The writer waits for room (0: not any more). */
void ring_wait_for_room(struct ring *r, uint32_t need);

#endif
