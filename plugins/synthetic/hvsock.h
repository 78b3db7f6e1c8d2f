/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the hvsock device share. */
#ifndef SYNTHETIC_HVSOCK_H
#define SYNTHETIC_HVSOCK_H

#include <stdint.h>
#include <sys/un.h>

#include <backplane/backplane.h>

#define HVSOCK_CONNECTIONS 128u
#define HVSOCK_MOST        16384u /* of data in a packet */
#define HVSOCK_READ        8192u  /* that goes into one of ours */
#define HVSOCK_LINE        32u

enum {                /* hvsock_connection.phase */
       GREETING = 0,  /* a program says which port it wants */
       OFFERED = 1,   /* the guest has to open the channel */
       JOINED = 2,    /* data goes both ways */
       LINGERING = 3, /* the guest has gone; the rest goes to the program */
       DYING = 4,     /* reap() comes */
};

struct hvsock;

struct hvsock_connection {
    struct hvsock *owner;
    int fd;
    struct bp_watch_handle *watch;
    struct bp_vmbus_channel *channel; /* NULL: none */
    uint8_t phase;
    uint8_t from_host;              /* the program is told "OK PORT" */
    uint8_t hung_up;                /* the program has closed both ways */
    uint8_t program_end, guest_end; /* no more data from there */
    uint8_t end_sent;               /* the guest was told */
    uint8_t reaping;
    uint32_t port;
    uint64_t deadline; /* of GREETING and OFFERED */
    uint32_t line_bytes;
    char line[HVSOCK_LINE];
    /* To the guest: one packet with its head.  To the program: what it did
     * not take at once; meanwhile no packet is taken out of the ring. */
    uint32_t in_bytes;
    uint32_t out_at, out_bytes;
    uint8_t in[8 + HVSOCK_READ];
    uint8_t out[HVSOCK_MOST];
};

struct hvsock_state {
    uint32_t last_port; /* that a connection of a program got */
};

struct hvsock {
    /* Configuration */
    const char *path;
    /* Wiring */
    const struct bp_host *host;
    const struct bp_log *log;
    const struct bp_lane *lane;
    const struct bp_timer *timer;
    const struct bp_watch *watch;
    const struct bp_control *control;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_dev *dev;
    struct bp_timer_handle *patience;
    int listener; /* -1: none */
    struct bp_watch_handle *listener_watch;
    struct hvsock_connection *connection[HVSOCK_CONNECTIONS];
    uint32_t count;
    /* State */
    struct hvsock_state st;
};

/* --- hvsock.c ------------------------------------------------------------*/

/* The service id of a port, and back: 0, or -EINVAL when it is none. */
struct bp_guid hvsock_guid(uint32_t port);
int32_t hvsock_port(const struct bp_guid *guid, uint32_t *port);

/* --- hvsock_connection.c -------------------------------------------------*/

/* Takes the descriptor; NULL (and it is closed): there is no room. */
struct hvsock_connection *connection_new(struct hvsock *s, int fd,
                                         uint8_t phase);
/* Offers the channel; false: the connection is as it was. */
int32_t connection_offer(struct hvsock_connection *c,
                         const struct bp_guid *service,
                         const struct bp_guid *endpoint);
/* From now on it does nothing, and goes soon. */
void connection_end(struct hvsock_connection *c);
/* At once: the machine was reset, or the device goes. */
void connection_free(struct hvsock_connection *c);

#endif
