/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as they are on VMBus, little-endian and not aligned, and the head
 * of packets on channels that are message pipes.
 */
#ifndef SYNTHETIC_WIRE_H
#define SYNTHETIC_WIRE_H

#include <errno.h>
#include <stdint.h>

#include <backplane/vmbus.h>

static inline uint16_t wire_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t wire_u32(const uint8_t *p)
{
    return (uint32_t)wire_u16(p) | (uint32_t)wire_u16(p + 2) << 16;
}

static inline uint64_t wire_u64(const uint8_t *p)
{
    return (uint64_t)wire_u32(p) | (uint64_t)wire_u32(p + 4) << 32;
}

static inline void wire_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void wire_put32(uint8_t *p, uint32_t v)
{
    wire_put16(p, (uint16_t)v);
    wire_put16(p + 2, (uint16_t)(v >> 16));
}

static inline void wire_put64(uint8_t *p, uint64_t v)
{
    wire_put32(p, (uint32_t)v);
    wire_put32(p + 4, (uint32_t)(v >> 32));
}

/* An in-band packet without transaction. */
static inline int32_t wire_send(const struct bp_vmbus *bus,
                                struct bp_vmbus_channel *ch, const void *data,
                                uint32_t bytes)
{
    const struct bp_iovec iov = { (void *)(uintptr_t)data, bytes };
    const struct bp_vmbus_send packet = {
        .size = sizeof packet,
        .type = BP_VMBUS_INBAND,
        .iov = &iov,
        .iov_count = 1,
    };

    return bus->send(ch, &packet);
}

/* What packet() answers after `r` came of handling p: an empty completion for
 * who wants one, unless the packet comes again. */
static inline int32_t wire_answer(const struct bp_vmbus *bus,
                                  struct bp_vmbus_channel *ch,
                                  const struct bp_vmbus_packet *p, int32_t r)
{
    if (r != -EAGAIN && p->flags & BP_VMBUS_WANTS_COMPLETION)
        bus->complete(ch, p->transaction, NULL, 0);
    return r;
}

/* --- message pipes --------------------------------------------------------*/

#define PIPE_HEAD         8u
#define PIPE_DATA         1u /* type in the head */
#define PIPE_MESSAGE_MODE 4u /* first u32 of the offer's user data */

/* The message in a packet; packets are padded, so its size is the head's. */
static inline int32_t pipe_message(const struct bp_vmbus_packet *p,
                                   const uint8_t **data, uint32_t *bytes)
{
    if (p->type != BP_VMBUS_INBAND || p->bytes < PIPE_HEAD ||
        wire_u32(p->data) != PIPE_DATA)
        return -EINVAL;
    *bytes = wire_u32(p->data + 4);
    if (*bytes > p->bytes - PIPE_HEAD)
        return -EINVAL;
    *data = p->data + PIPE_HEAD;
    return 0;
}

static inline void pipe_head(uint8_t *packet, uint32_t bytes)
{
    wire_put32(packet, PIPE_DATA);
    wire_put32(packet + 4, bytes);
}

#endif
