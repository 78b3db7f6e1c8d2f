/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in a packet of a ring, as a device gets it. */
#ifndef SYNTHETIC_RING_PACKET_H
#define SYNTHETIC_RING_PACKET_H

#include <backplane/vmbus.h>

#include "ring.h"

/* Pieces that a packet can describe: each takes 8 bytes of it. */
#define RING_MAX_PIECES (RING_MAX_PACKET / 8)
/* Bytes that one packet may stand for. */
#define RING_MAX_TRANSFER (64u << 20)

struct ring_pieces { /* grows to the largest packet there was */
    struct bp_gpa_range *list;
    uint32_t room;
};

/*
 * From the copy of a packet, whose lengths ring_peek() checked.  0; -EPROTO
 * with a reason in *why when the packet makes no sense, -ENOMEM.  What `out`
 * points at is part of `raw` and `pieces`.
 */
int32_t ring_parse(const uint8_t *raw, uint32_t bytes,
                   struct ring_pieces *pieces, struct bp_vmbus_packet *out,
                   const char **why);

#endif
