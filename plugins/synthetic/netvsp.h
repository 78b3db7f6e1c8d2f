/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of netvsp share.  netvsp.c says how they work together. */
#ifndef SYNTHETIC_NETVSP_H
#define SYNTHETIC_NETVSP_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/backplane.h>

#include "netvsp_wire.h"
#include "wire.h"

#define NETVSP_CHANNELS 8u
#define SEND_SECTION    6144u
/* Sections of the receive buffer that are used at most, and how many of them
 * are for answers to control messages only. */
#define SECTIONS         4096u
#define CONTROL_SECTIONS 16u
#define NO_SECTION       0xffffu
#define REPLIES          8u
#define REPLY_BYTES      512u
#define MULTICAST        32u
#define RSS_KEY          40u
#define RSS_TABLE        128u
/* Pieces of one transfer-page packet: a merged frame has to fit. */
#define PIECES 64u

/* Use of a receive section. */
enum {
    SECTION_FREE,
    SECTION_FIRST, /* of a packet that the guest has; its number is this */
    SECTION_FURTHER,
};

struct reply { /* an RNDIS message that waits for room */
    uint32_t bytes;
    uint8_t data[REPLY_BYTES];
};

struct netvsp_state {
    uint32_t version; /* NVSP; 0: not agreed */
    uint32_t ndis_version;
    uint32_t frame_bytes; /* of the guest's network, with Ethernet header */
    uint64_t capabilities;
    /* Receive buffer */
    uint8_t has_receive, has_send;
    uint16_t receive_id, send_id;
    uint32_t receive_gpadl, send_gpadl;
    uint32_t section_bytes, section_count;
    uint8_t use[SECTIONS];   /* SECTION_* */
    uint16_t next[SECTIONS]; /* of a packet; NO_SECTION ends */
    uint32_t send_sections;
    /* RNDIS */
    uint8_t initialized;
    uint8_t link_told; /* what the guest knows of the link */
    uint8_t rx_checksums;
    uint8_t rsc_ipv4, rsc_ipv6;
    uint8_t mac[6];
    uint32_t filter; /* FILTER_* */
    uint32_t multicast_count;
    uint8_t multicast[MULTICAST][6];
    uint32_t first_reply, reply_count;
    struct reply reply[REPLIES];
    /* Receive-side scaling */
    uint32_t subchannels; /* offered beside the primary */
    uint8_t rss, table_told;
    uint32_t hash_types;
    uint8_t rss_key[RSS_KEY];
    uint32_t rss_entries;
    uint8_t rss_table[RSS_TABLE]; /* channels */
    /* Counters, as a guest may query them */
    uint64_t sent, received, send_errors, receive_dropped, no_section;
};

struct netvsp;

struct netvsp_channel {
    struct netvsp *s;
    uint32_t index;
    struct bp_vmbus_channel *ch;
    /* Transfer-page packet that is being filled. */
    uint32_t count;
    uint16_t first, last; /* sections */
    struct bp_vmbus_piece piece[PIECES];
};

struct netvsp {
    /* Wiring */
    const struct bp_log *log;
    const struct bp_lane *lane;
    const struct bp_dma *dma;
    const struct bp_net *net;
    const struct bp_hv *hv;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_dev *dev;
    /* Properties */
    struct bp_net_port *port;
    uint32_t number;
    uint32_t queues;
    /* Derived */
    struct bp_vmbus_buffer *receive_buffer, *send_buffer;
    uint16_t free_first; /* of the sections for frames; linked by next[] */
    uint32_t free_count;
    uint16_t control_free;
    bool send_waits;    /* for the back end: writable() */
    bool receive_waits; /* for sections or room in a ring */
    bool posted;
    struct netvsp_channel channel[NETVSP_CHANNELS];
    uint16_t merged_id;
    /* State */
    struct netvsp_state st;
};

/* --- netvsp.c -------------------------------------------------------------*/

/* Goes on with what waits, soon, on the lane. */
void netvsp_post(struct netvsp *s);
/* Power-on values: at a reset, and when the guest opens or closes. */
void netvsp_forget(struct netvsp *s);
/* The buffers, opened when first needed after they were loaded; NULL. */
struct bp_vmbus_buffer *netvsp_receive_buffer(struct netvsp *s);
struct bp_vmbus_buffer *netvsp_send_buffer(struct netvsp *s);
/* What the port is to deliver. */
void netvsp_accept(struct netvsp *s);

/* --- netvsp_channel.c: NVSP ----------------------------------------------*/

extern const struct bp_vmbus_channel_ops netvsp_ops;
/* False: the bus does not take the channel. */
bool netvsp_offer(struct netvsp *s, uint32_t index);
uint32_t netvsp_message_bytes(const struct netvsp *s);
void netvsp_drop_subchannels(struct netvsp *s);
/* Once all that were offered are open. */
void netvsp_tell_table(struct netvsp *s);

/* --- netvsp_send.c: frames from the guest ---------------------------------*/

/* An NVSP_RNDIS_PACKET; as packet() of a channel. */
int32_t netvsp_rndis_packet(struct netvsp_channel *c,
                            const struct bp_vmbus_packet *p);

/* --- netvsp_receive.c: to the guest ---------------------------------------*/

/* Links the free sections; false: those in use make no sense. */
bool netvsp_link_sections(struct netvsp *s);
/* The guest is done with a packet. */
void netvsp_receive_done(struct netvsp *s, uint64_t transaction);
/* Gives it what waits in the port; as much as there is room for. */
void netvsp_receive(struct netvsp *s);
/* An RNDIS control message: at once or when there is room. */
void netvsp_reply(struct netvsp *s, const void *data, uint32_t bytes);
void netvsp_send_replies(struct netvsp *s);

/* --- netvsp_rndis.c, netvsp_oid.c, netvsp_offload.c: control ---------------*/

void netvsp_control(struct netvsp *s, const uint8_t *message, uint32_t bytes);
void netvsp_tell_link(struct netvsp *s);
/* RNDIS status; *bytes of `out`, at most REPLY_BYTES - 24. */
uint32_t netvsp_query(struct netvsp *s, uint32_t oid, const uint8_t *in,
                      uint32_t in_bytes, uint8_t *out, uint32_t *bytes);
uint32_t netvsp_set(struct netvsp *s, uint32_t oid, const uint8_t *in,
                    uint32_t in_bytes);
uint32_t netvsp_offload_caps(struct netvsp *s, bool current, const uint8_t *in,
                             uint32_t in_bytes, uint8_t *out, uint32_t *bytes);
uint32_t netvsp_set_offload(struct netvsp *s, const uint8_t *in,
                            uint32_t in_bytes);

/* --- netvsp_rss.c ---------------------------------------------------------*/

uint32_t netvsp_rss_caps(struct netvsp *s, uint8_t *out, uint32_t *bytes);
uint32_t netvsp_set_rss(struct netvsp *s, const uint8_t *in, uint32_t bytes);
/* The channel for a frame; *hash and true when it has one. */
struct netvsp_channel *netvsp_queue_of(struct netvsp *s, const uint8_t *frame,
                                       uint32_t bytes, uint32_t *hash,
                                       bool *hashed);
/* For tests, too. */
uint32_t netvsp_toeplitz(const uint8_t key[RSS_KEY], const uint8_t *data,
                         uint32_t bytes);

#endif
