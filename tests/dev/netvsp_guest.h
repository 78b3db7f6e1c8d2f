/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's network driver on the bench, for tests of netvsp. */
#ifndef TESTS_DEV_NETVSP_GUEST_H
#define TESTS_DEV_NETVSP_GUEST_H

#include "net/port.h"
#include "plugins/synthetic/netvsp_wire.h"
#include "plugins/synthetic/wire.h"
#include "tests/lib/packets.h"
#include "tests/lib/vmbus_guest.h"
#include "vm/bench.h"

extern const struct bp_guid net_guid;

#define NG_CONTROL 0x10000000u /* transactions of control messages */
#define NG_ID      0xcafeu     /* of the receive buffer */

struct net_guest {
    struct bench *b;
    struct vmbus_guest *g;
    struct vg_channel *ch;
    uint32_t version; /* NVSP */
    uint32_t message_bytes;
    uint64_t *receive_page, *send_page;
    uint32_t receive_pages, send_pages;
    uint32_t receive_gpadl, send_gpadl;
    uint32_t section_bytes, section_count;
    uint32_t next_id;
    bool keep;        /* transfer-page packets are not completed */
    GQueue *kept;     /* their transactions */
    GQueue *got;      /* struct got * */
    uint32_t largest; /* pieces in one packet so far */
};

struct got { /* an RNDIS message from the host */
    uint32_t bytes, kind, pieces;
    uint32_t channel;
    uint8_t data[];
};

/* A bench with a network port "net0" and netvsp; `large` as of
 * bench_add_net(). */
struct bench *ng_bench(uint32_t processors, bool large);
/* Connects and opens the channel; nothing is agreed. */
struct net_guest *ng_open(struct bench *b);
/* ... NVSP of this version, buffers, RNDIS, the packet filter. */
struct net_guest *ng_start(struct bench *b, uint32_t version);
void ng_end(struct net_guest *n);

/* --- NVSP -----------------------------------------------------------------*/

/* Sends words and returns those of the completion. */
void ng_ask(struct net_guest *n, const uint32_t *words, uint32_t count,
            uint32_t *answer, uint32_t answer_count);
/* The status. */
uint32_t ng_init(struct net_guest *n, uint32_t low, uint32_t high);
void ng_configure(struct net_guest *n, uint32_t frame_bytes, uint64_t caps);
uint32_t ng_receive_buffer(struct net_guest *n, uint32_t pages);
uint32_t ng_send_buffer(struct net_guest *n, uint32_t pages);

/* --- RNDIS ----------------------------------------------------------------*/

/* Takes what the host sent on a channel; completes it unless n->keep. */
void ng_poll(struct net_guest *n, struct vg_channel *ch);
/* The next message; NULL: none.  To be freed. */
struct got *ng_take(struct net_guest *n);
/* Completes what was kept. */
void ng_complete(struct net_guest *n, struct vg_channel *ch);
/* A control message of a GPA-direct packet; its transaction is completed. */
void ng_control(struct net_guest *n, const void *message, uint32_t bytes);
/* The answer to one; to be freed. */
struct got *ng_answer(struct net_guest *n, uint32_t type);
uint32_t ng_query(struct net_guest *n, uint32_t oid, const void *in,
                  uint32_t in_bytes, void *out, uint32_t *bytes);
uint32_t ng_query_u32(struct net_guest *n, uint32_t oid);
uint32_t ng_set(struct net_guest *n, uint32_t oid, const void *value,
                uint32_t bytes);

/* --- frames ---------------------------------------------------------------*/

struct ng_info { /* per-packet information */
    uint32_t type, value;
};
/* Builds RNDIS_PACKET; returns its bytes. */
uint32_t ng_packet(uint8_t *out, const void *frame, uint32_t bytes,
                   const struct ng_info *info, uint32_t infos);
/* Puts bytes into a section of the send buffer. */
void ng_put_section(struct net_guest *n, uint32_t section, const void *data,
                    uint32_t bytes);
/* Sends what is in a section; status of the completion. */
uint32_t ng_send_section(struct net_guest *n, uint32_t section, uint32_t bytes);
/* ... in guest memory. */
uint32_t ng_send_memory(struct net_guest *n, const void *data, uint32_t bytes);
/* The next frame that the network gets; NULL: none.  To be freed. */
struct net_frame *ng_frame(struct net_guest *n);
/* The frame in a data message, and one of its informations. */
const uint8_t *ng_frame_of(const struct got *m, uint32_t *bytes);
bool ng_info_of(const struct got *m, uint32_t type, uint32_t *value);

#endif
