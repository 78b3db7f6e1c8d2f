/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Ethernet frame in memory of its own, and what can be said and done
 * about it: where its headers are, checksums, TCP segments.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/net.h>

#define ETHERNET_HEADER  14u
#define ETHERNET_MINIMUM 60u
#define VLAN_TAG         4u

struct net_frame {
    struct net_frame *next;
    uint32_t bytes; /* of data in use */
    uint32_t room;  /* of data */
    uint32_t flags; /* BP_NET_*, as in frames to the guest */
    uint16_t mss;
    uint16_t vlan;
    /* The view that a device gets. */
    struct bp_iovec iov;
    struct bp_net_frame view;
    uint8_t headroom[BP_NET_HEADROOM];
    uint8_t data[];
};

/* A list with its end, for queues. */
struct net_list {
    struct net_frame *first, **last;
    struct net_frame **newest; /* where the pointer to the last one is */
    uint32_t count;
    uint64_t bytes; /* of memory, about */
};

struct net_frame *net_frame_new(uint32_t room);
struct net_frame *net_frame_copy(const void *data, uint32_t bytes);
void net_frame_free(struct net_frame *f);

void net_list_init(struct net_list *l);
void net_list_add(struct net_list *l, struct net_frame *f);
struct net_frame *net_list_take(struct net_list *l); /* the oldest or NULL */
void net_list_clear(struct net_list *l);
/* Frees a chain of frames. */
void net_frames_free(struct net_frame *first);

/* --- headers --------------------------------------------------------------*/

enum { IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58 };

/* Offsets from the frame's start.  `end` is where the IP packet ends: behind
 * it is padding. */
struct net_layout {
    uint32_t l3, l4, payload, end;
    uint8_t version;  /* 4, 6, or 0: no IP */
    uint8_t protocol; /* of what is at l4: TCP, UDP, or another */
    bool fragment;    /* part of a datagram: l4 means nothing */
};

/*
 * False when the headers contradict each other or the frame's length.  With
 * `large` the length fields of the IP header are not looked at: the packet
 * goes to the frame's end.  What is not IP is true with version 0.
 */
bool net_frame_layout(const struct net_frame *f, bool large,
                      struct net_layout *l);

/* --- checksums ------------------------------------------------------------*/

/* Adds to a running sum; data begins at an even offset of what is summed. */
uint64_t net_sum(uint64_t sum, const void *data, uint32_t bytes);
/* The Internet checksum, to be stored as it is. */
uint16_t net_sum_finish(uint64_t sum);

/* Of TCP or UDP at l->l4, with the pseudo-header. */
bool net_l4_sum_is_right(const struct net_frame *f, const struct net_layout *l);
bool net_ip_sum_is_right(const struct net_frame *f, const struct net_layout *l);
void net_l4_sum_set(struct net_frame *f, const struct net_layout *l);
void net_ip_sum_set(struct net_frame *f, const struct net_layout *l);
/* Only the pseudo-header's, for somebody who adds the rest (TCP). */
void net_pseudo_sum_set(struct net_frame *f, const struct net_layout *l);

/* --- TCP segments ---------------------------------------------------------*/

/*
 * Cuts a TCP frame whose payload is longer than mss and adds the parts, all
 * complete, to `out`; frees it.  A shorter one is completed and added.
 */
void net_segment(struct net_frame *f, const struct net_layout *l, uint32_t mss,
                 struct net_list *out);
/* Completes the headers of a large TCP frame that stays one. */
void net_make_whole(struct net_frame *f, const struct net_layout *l);

/*
 * Appends `f` to the newest frame of the list, which is not empty, when both
 * are TCP segments of one connection, in order, and say the same otherwise.
 * True: f is gone.
 */
bool net_merge(struct net_list *l, struct net_frame *f);

static inline uint16_t net_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t net_be32(const uint8_t *p)
{
    return (uint32_t)net_be16(p) << 16 | net_be16(p + 2);
}

static inline void net_put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void net_put32(uint8_t *p, uint32_t value)
{
    net_put16(p, value >> 16);
    net_put16(p + 2, value & 0xffff);
}

#endif
