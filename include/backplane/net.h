/* SPDX-License-Identifier: MIT */
/*
 * Network ports: "bp.net/1".
 *
 * A port comes from a property of type BP_PROP_NET.  The device is one end of
 * a cable, a back end of the host (user-mode network, tap, socket) the other.
 * Frames are Ethernet without FCS.  Nothing here blocks: frames to the host
 * are copied, frames to the guest wait in a bounded queue of the host.
 *
 * What a device may leave to the host: checksums, cutting a TCP segment that
 * is larger than the network takes, the VLAN tag.  The host looks at the
 * frame's own headers to do it and believes nothing else.
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

/* Bytes of a frame at most, with segmentation: an IP packet of 65535 bytes
 * and its Ethernet header with a tag. */
#define BP_NET_FRAME_MAX 65553
/* In front of each frame to the guest are this many bytes that the device
 * may write to: for a header of its own. */
#define BP_NET_HEADROOM 160

enum {
    BP_NET_LINK_UP = 1,
};

/* bp_net_frame.flags */
enum {
    /* To the host: the checksum of the TCP or UDP header is not there yet.
     * To the guest: it was found right. */
    BP_NET_L4_CSUM = 1,
    /* The same for the checksum of the IPv4 header. */
    BP_NET_IP_CSUM = 2,
    /* To the host: TCP, to be cut into segments with `mss` bytes of payload;
     * lengths and checksums of the headers do not count.  To the guest:
     * several segments in one; headers are right, `mss` is the largest
     * payload of one. */
    BP_NET_SEGMENT = 4,
    /* `vlan` is the tag (priority, DEI, number), which is not in the
     * frame. */
    BP_NET_VLAN = 8,
};

struct bp_net_frame {
    uint32_t size;  /* sizeof(struct bp_net_frame) */
    uint32_t flags; /* BP_NET_* */
    uint16_t mss;
    uint16_t vlan;
    uint32_t bytes; /* to the guest: of the frame; to the host: unused */
    const struct bp_iovec *iov;
    uint32_t iov_count; /* 1 in frames to the guest */
    uint32_t reserved;
};

struct bp_net_info {
    uint32_t size;
    uint32_t flags;     /* BP_NET_LINK_UP */
    uint8_t mac[6];     /* of the guest's end */
    uint16_t mtu;       /* of the network behind it */
    uint64_t link_bits; /* a second */
};

/* What a port tells its device.  [lane]; NULL members are of no interest. */
struct bp_net_events {
    uint32_t size;
    /* There are frames and the device had seen that there were none. */
    void (*received)(void *ctx);
    /* There is room again after room() said that there is none. */
    void (*writable)(void *ctx);
    /* The link went up or down. */
    void (*changed)(void *ctx);
};

struct bp_net {
    uint32_t size;
    void (*info)(struct bp_net_port *p, struct bp_net_info *info);
    /* One listener a port.  [setup] */
    void (*listen)(struct bp_net_port *p, const struct bp_net_events *ev,
                   void *ctx);
    /*
     * 0; -ENETDOWN: no link, the frame is lost; -EMSGSIZE: too short or too
     * long; -EINVAL: offloads that its headers do not allow; -ENOBUFS: the
     * back end is far behind, the frame is lost.  The memory of the vector
     * may be the guest's own: it is read once.
     */
    int32_t (*send)(struct bp_net_port *p, const struct bp_net_frame *frame);
    /* 1: a few frames of any size will be taken.  0: the back end is behind;
     * writable() tells when it is not any more. */
    int32_t (*room)(struct bp_net_port *p);
    /*
     * The oldest frame for the guest; NULL: none, received() tells of the
     * next.  It is the host's and valid until taken(), which removes it.
     */
    const struct bp_net_frame *(*next)(struct bp_net_port *p);
    void (*taken)(struct bp_net_port *p);
    /* Which of BP_NET_SEGMENT and BP_NET_VLAN frames to the guest may have,
     * and the longest frame without SEGMENT.  At first: none, 1514 bytes. */
    void (*accept)(struct bp_net_port *p, uint32_t flags, uint32_t bytes);
};

#ifdef __cplusplus
}
#endif

#endif
