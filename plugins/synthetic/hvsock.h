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
#define HVSOCK_LINE        64u
#define HVSOCK_TOKEN       24u /* hexadecimal digits */

enum {                /* hvsock_connection.phase */
       GREETING = 0,  /* a program says which port it wants */
       LISTENING = 1, /* ... and waits for the guest to connect to it */
       OFFERED = 2,   /* the guest has to open the channel */
       JOINED = 3,    /* data goes both ways */
       LINGERING = 4, /* the guest has gone; the rest goes to the program */
       DYING = 5,     /* reap() comes */
};

struct hvsock;

/* Names a connection that its program wants to keep. */
struct hvsock_token {
    uint64_t process; /* that gave it out, by chance */
    uint32_t serial;
};

struct hvsock_connection {
    struct hvsock *owner;
    int fd; /* -1 in JOINED and LINGERING: its program has yet to come back */
    struct bp_watch_handle *watch;
    struct bp_vmbus_channel *channel; /* NULL: none */
    uint8_t phase;
    uint8_t by_host;                /* it was a program's wish */
    uint8_t untold;                 /* the program has to hear "OK PORT" */
    uint8_t hung_up;                /* the program has closed both ways */
    uint8_t program_end, guest_end; /* no more data from there */
    uint8_t end_sent;               /* the guest was told */
    uint8_t ending; /* when the guest has read it all, or closes it */
    uint8_t reaping;
    uint32_t port;
    uint64_t deadline; /* of GREETING and OFFERED, to come back, to end */
    uint8_t kept;
    uint32_t endpoint; /* the port of the side that began; of a kept one */
    struct hvsock_token token;
    /* Bytes since "OK": that the program's socket took, that the guest's
     * ring did. */
    uint64_t given, consumed;
    uint32_t line_bytes;
    char line[HVSOCK_LINE];
    /* To the guest: one packet with its head.  To the program: what it did
     * not take at once; meanwhile no packet is taken out of the ring. */
    uint32_t in_bytes;
    uint32_t out_at, out_bytes;
    uint8_t in[8 + HVSOCK_READ];
    uint8_t out[HVSOCK_MOST];
};

struct hvsock_saved {
    uint64_t process, given, consumed;
    uint32_t serial, port, endpoint, out_bytes;
    uint8_t phase, by_host, program_end, guest_end, end_sent;
};

/* The tables hold something only while the machine is saved or loaded. */
struct hvsock_state {
    uint32_t last_port; /* that a connection of a program got */
    struct hvsock_saved connection[HVSOCK_CONNECTIONS];
    /* What programs have yet to take, one after the other. */
    uint8_t out[HVSOCK_CONNECTIONS * HVSOCK_MOST];
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
    struct hvsock_token last_token;
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
/* Offers the channel of its port to the guest, which has this endpoint if it
 * began; 0, or a negative errno and the connection is as it was. */
int32_t connection_offer(struct hvsock_connection *c, uint32_t endpoint);
/* One of a loaded machine, JOINED or LINGERING; NULL: no room or no channel.
 * It waits for its program. */
struct hvsock_connection *connection_restored(struct hvsock *s,
                                              const struct hvsock_saved *from,
                                              const uint8_t *out);
/* Its program has come back as a visitor, which leaves its descriptor. */
void connection_come_back(struct hvsock_connection *c,
                          struct hvsock_connection *visitor);
int connection_is_absent(const struct hvsock_connection *c);
/* Sends a short line, which a new socket always has room for; false: the
 * program has gone. */
int connection_say(int fd, const char *line);
/* Somebody will have been waiting for too long then. */
void connection_wait(struct hvsock *s, uint64_t deadline);
/* Its time is up, and there is nothing in it that the guest has yet to read. */
int connection_is_over(const struct hvsock_connection *c, uint64_t now);
/* From now on it does nothing, and goes soon. */
void connection_end(struct hvsock_connection *c);
/* At once: the machine was reset, or the device goes. */
void connection_free(struct hvsock_connection *c);

/* --- hvsock_saved.c -------------------------------------------------------*/

extern const struct bp_field hvsock_saved_fields[];
void hvsock_save(void *self);
int32_t hvsock_loaded(void *self, uint32_t version);
struct hvsock_token hvsock_new_token(struct hvsock *s);
/* Room for HVSOCK_TOKEN + 1. */
void hvsock_print_token(struct hvsock_token token, char *text);
/* A program has said "RESUME" and this text: "TOKEN RECEIVED". */
void hvsock_resume(struct hvsock_connection *visitor, const char *text);

#endif
