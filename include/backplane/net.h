/* SPDX-License-Identifier: MIT */
/*
 * Network ports: "bp.net/1".
 *
 * A port comes from a property of type BP_PROP_NET.  The device is one end of
 * a cable, a back end of the host (user-mode network, tap, socket) the other.
 * Frames are Ethernet without FCS.  Nothing here blocks: frames to the host
 * are copied, frames to the guest wait in a bounded queue of the host.
 */
#ifndef BACKPLANE_NET_H
#define BACKPLANE_NET_H

#include <stdint.h>

#include <backplane/block.h> /* struct bp_iovec */

#ifdef __cplusplus
extern "C" {
#endif

#define BP_NET "bp.net/1"

struct bp_dev;
struct bp_net_port;

#define BP_NET_FRAME_MAX 65550 /* bytes, with segmentation offload */

enum {
    BP_NET_LINK_UP = 1,
};
/* bp_net_frame.flags */
enum {
    /* to the host: the checksum at csum_start + csum_offset covers the frame
     * from csum_start on and is to be completed;  to the guest: it was
     * checked and is right */
    BP_NET_CSUM = 1,
    BP_NET_CSUM_VALID = 2,
    BP_NET_SEGMENT = 4, /* TCP, to be cut into segments of mss bytes */
    BP_NET_IPV6 = 8,    /* with SEGMENT */
};

struct bp_net_frame {
    uint32_t size;
    uint32_t flags;
    uint16_t csum_start, csum_offset;
    uint16_t mss;
    uint16_t header; /* bytes before the TCP payload, with SEGMENT */
    const struct bp_iovec *iov;
    uint32_t iov_count;
    uint32_t reserved;
};

struct bp_net_info {
    uint32_t size;
    uint32_t flags;     /* BP_NET_LINK_UP */
    uint8_t mac[6];     /* of the guest's end */
    uint16_t mtu;       /* of the network behind it */
    uint64_t link_bits; /* a second */
};

struct bp_net {
    uint32_t size;
    void (*info)(struct bp_net_port *p, struct bp_net_info *info);
    /* received: there are frames and there were none; changed: link state.
     * One listener a port.  [setup] */
    void (*listen)(struct bp_net_port *p, void (*received)(void *ctx),
                   void (*changed)(void *ctx), void *ctx);
    /* 0, or -ENETDOWN, -EMSGSIZE, -EINVAL for offloads that do not fit the
     * frame, -EAGAIN when the back end is behind: writable is called. */
    int32_t (*send)(struct bp_net_port *p, const struct bp_net_frame *frame);
    void (*on_writable)(struct bp_net_port *p, void (*writable)(void *ctx));
    /*
     * Takes the oldest frame: its bytes (0: none; -EMSGSIZE: it has more
     * than max and was dropped); flags are CSUM_VALID, or SEGMENT when the
     * device said that it takes frames longer than the MTU.
     */
    int32_t (*receive)(struct bp_net_port *p, void *buffer, uint32_t max,
                       struct bp_net_frame *about);
    /* What the guest's end takes and wants: BP_NET_* of received frames,
     * promiscuous (all = 1) or its own address and multicast. */
    void (*accept)(struct bp_net_port *p, uint32_t flags, int32_t all);
};

#ifdef __cplusplus
}
#endif

#endif
