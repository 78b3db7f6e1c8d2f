/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of the tests on VMBus: it notes what the bus tells it, and answers
 * as it is told to.  All of it is in one struct that tests look into.
 */
#ifndef TESTS_DEV_VMBUS_ECHO_H
#define TESTS_DEV_VMBUS_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/backplane.h>
#include <backplane/vmbus.h>

#include "tests/lib/vmbus_guest.h"

#define ECHO_SUBS 8

enum echo_mode {
    ECHO_COMPLETE, /* completes each packet with its payload */
    ECHO_SEND,     /* sends each back as an in-band packet */
    ECHO_HOLD,     /* notes transactions, echo_finish() completes them */
    ECHO_BUSY,     /* -EAGAIN */
    ECHO_REFUSE,   /* -EPROTO */
    ECHO_DESTROY,  /* destroys its channel */
};

#define ECHO_HELD 4096

struct echo_state { /* saved */
    uint32_t mode;
    uint32_t subs; /* sub-channels that are offered */
    uint32_t held_count;
    uint64_t held[ECHO_HELD];
};

struct echo {
    struct bp_dev *dev;
    const struct bp_vmbus *vmbus;
    void *bus;
    const struct bp_lane *lane;
    struct bp_vmbus_channel *ch, *sub[ECHO_SUBS];
    /* How the test wants it */
    int32_t open_result;
    bool slow_close; /* close_done is the test's */
    uint32_t offer_flags;
    /* What happened */
    unsigned opened, closing, writable, packets, connects;
    struct bp_vmbus_open last_open;
    struct bp_vmbus_packet last;
    uint8_t data[RING_MAX_PACKET];
    struct bp_gpa_range ranges[64];
    struct bp_guid endpoint, service;
    struct echo_state st;
};

extern const struct bp_guid echo_type, echo_instance;

/* vg_bench() with the device; instance `n` of it. */
struct bench *echo_bench(uint32_t processors);
void echo_add(struct bench *b, unsigned n);
/* The struct of the n-th; another one after bench_save_load(). */
struct echo *echo_of(struct bench *b, unsigned n);
/* Runs fn(echo, arg) on the device's lane, then the bench. */
void echo_do(struct bench *b, unsigned n, void (*fn)(struct echo *e, void *arg),
             void *arg);
void echo_set_mode(struct bench *b, enum echo_mode mode);
/* Completes everything that is held. */
void echo_finish(struct bench *b);
void echo_close_done(struct bench *b);
void echo_destroy(struct bench *b);  /* the channel */
void echo_recreate(struct bench *b); /* the same again */
void echo_add_sub(struct bench *b);
/* Answers the TL connect that the device heard of last. */
void echo_connect_result(struct bench *b, uint32_t status);

#endif
