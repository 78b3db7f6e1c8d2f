/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network port: the core-side object of bp.net/1, between a device and a
 * back end.
 *
 * Two queues of frames, both bounded.  To the host: the device's frames,
 * copied and completed, until the back end's thread takes them.  To the
 * guest: what the back end received, until the device takes it on its lane.
 *
 * A port that is held (the machine stands) delivers nothing; what arrives
 * waits.  Saved state is the switch of the link: frames under way are lost,
 * as networks may.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/net.h>

#include "net/frame.h"

struct clocks;
struct lane;
struct net_port;
struct state_writer;
struct state_reader;

struct net_backend_ops {
    const char *name; /* "user" */
    /* It takes TCP frames of any length, complete but for this: by version of
     * IP. */
    bool large_ipv4, large_ipv6;
    /* There are frames to take, or the port is not held any more.  Must not
     * block.  [any] */
    void (*wake)(void *backend);
    /* Ends its thread; frees. */
    void (*close)(void *backend);
    /* Lines for `info net`; may be NULL.  [any] */
    void (*describe)(void *backend, GString *out);
};

struct net_counters {
    uint64_t sent, sent_bytes, sent_large, send_lost;
    uint64_t received, received_bytes, merged, receive_lost;
};

struct net_port {
    char *name; /* "nic0" */
    uint8_t mac[6];
    uint16_t mtu;                      /* of the network */
    const struct net_backend_ops *ops; /* NULL: nothing attached */
    void *backend;
    struct clocks *clocks; /* of the machine; not owned */

    pthread_mutex_t lock; /* all below */
    struct net_list out;  /* to the host */
    struct net_list in;   /* to the guest */
    bool link;            /* the user's switch */
    bool carrier;         /* the back end's */
    bool held;            /* the machine stands */
    bool looked;          /* the device has the first frame of `in` in hand */
    bool drained;         /* the device saw an empty queue: tell it */
    bool refused;         /* room() said no: tell it */
    bool received_posted, writable_posted, changed_posted;
    uint32_t accepts; /* BP_NET_SEGMENT, BP_NET_VLAN */
    uint32_t longest; /* frame without SEGMENT */
    struct net_counters n;

    struct lane *lane; /* of the device, once attached */
    const struct bp_net_events *events;
    void *ctx;
};

struct net_port *net_port_create(const char *name);
void net_port_destroy(struct net_port *p);
/* Ends the back end, before devices go.  Then the port is a dead end. */
void net_port_disconnect(struct net_port *p);
void net_port_connect(struct net_port *p, const struct net_backend_ops *ops,
                      void *backend);
/* While a port is held, the device hears nothing. */
void net_port_hold(struct net_port *p, bool held);
/* The user plugs the cable in or pulls it out. */
void net_port_set_link(struct net_port *p, bool up);
/* One or more lines. */
void net_port_describe(struct net_port *p, GString *out);

/* Machine stopped. */
void net_port_save(struct net_port *p, struct state_writer *w);
bool net_port_load(struct net_port *p, struct state_reader *r, GError **error);

/* --- from back ends, any thread ------------------------------------------*/

/* All frames to the host, a chain; NULL: none, or the port is held. */
struct net_frame *net_port_take(struct net_port *p);
/* Takes the frame.  `trusted`: its checksums were made by this process. */
void net_port_receive(struct net_port *p, struct net_frame *f, bool trusted);
/*
 * After one or more frames: the device hears of them.  It does so on this
 * thread when its lane is at rest, so nothing may be locked.
 */
void net_port_deliver(struct net_port *p);
/* The guest is behind: who can wait should. */
bool net_port_is_full(struct net_port *p);
bool net_port_is_held(struct net_port *p);
/* Is there another end?  At first: yes. */
void net_port_carrier(struct net_port *p, bool up);

/* --- the device's side, as in bp.net/1 [lane] ----------------------------*/

/* NULL detaches, before the lane ends. */
void net_port_attach(struct net_port *p, struct lane *lane);
void net_port_info(struct net_port *p, struct bp_net_info *info);
void net_port_listen(struct net_port *p, const struct bp_net_events *ev,
                     void *ctx);
int32_t net_port_send(struct net_port *p, const struct bp_net_frame *frame);
int32_t net_port_room(struct net_port *p);
const struct bp_net_frame *net_port_next(struct net_port *p);
void net_port_taken(struct net_port *p);
void net_port_accept(struct net_port *p, uint32_t flags, uint32_t bytes);

#endif
