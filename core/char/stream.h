/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What back ends with a file descriptor have in common: a buffer and a
 * thread for output, so that a device's lane never waits, and a thread for
 * input, which waits for the device.
 */
#ifndef CHAR_STREAM_H
#define CHAR_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "char/port.h"

#define STREAM_BUFFER 65536u

struct stream {
    struct char_port *port;
    int ending_fd; /* readable from the end on: for poll() */
    pthread_t reader, writer;
    bool has_reader, has_writer;

    pthread_mutex_t lock;   /* all below */
    pthread_cond_t changed; /* any of them */
    int out_fd;             /* -1: nobody takes output */
    bool blocks;            /* writing to it may */
    bool lossy;             /* nobody there: the newest bytes are kept,
                                 * else none */
    bool ending;
    bool gave_up; /* what is not written yet is lost */
    bool writing; /* the writer uses a descriptor */
    bool room;    /* the port has room again */
    bool refused; /* a write took less than it was given */
    uint32_t first, count;
    uint8_t out[STREAM_BUFFER]; /* ring */
};

/* `s` is zero.  The writer thread starts. */
void stream_init(struct stream *s, struct char_port *port);
/* Starts the thread of the input side. */
void stream_start_reader(struct stream *s, void *(*fn)(void *), void *arg);
/*
 * Waits a second at most for the output to be written, then ends the
 * threads.  Descriptors stay the caller's.
 */
void stream_finish(struct stream *s);

/* Where output goes from now on; -1: nowhere.  Writing a page to it does not
 * block, or not when it polls as writable.  When it returns nobody uses the
 * descriptor that was there before. */
void stream_set_output(struct stream *s, int fd);
/* char_backend_ops.write and .room, without the cast. */
uint32_t stream_write(struct stream *s, const uint8_t *data, uint32_t n);
void stream_room(struct stream *s);

/* --- for the reader's thread ---------------------------------------------*/

/* Waits until fd has one of the events (0: for an error or hang-up only) or
 * the end came, which is false. */
bool stream_wait(struct stream *s, int fd, short events);
/* Gives bytes to the port and waits until it took all; false: the end. */
bool stream_feed(struct stream *s, const uint8_t *data, uint32_t n);

#endif
