/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of a back end: it waits for descriptors and for the port.
 *
 *     while (pump_wait(&pump, fds, n, timeout))
 *         ...
 */
#ifndef NET_PUMP_H
#define NET_PUMP_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

struct net_pump {
    int wake_fd; /* eventfd */
    pthread_t thread;
    bool has_thread;
    bool quit;   /* atomic */
    bool asleep; /* atomic: a wake has to be written */
};

/* False: no descriptors or threads left. */
bool pump_start(struct net_pump *p, const char *name, void *(*run)(void *),
                void *opaque);
/* Ends the thread and waits for it; before the first start: nothing. */
void pump_stop(struct net_pump *p);
/* [any] */
void pump_wake(struct net_pump *p);
/*
 * Polls fds[1..n-1] and, as fds[0], the wake.  Before it sleeps it asks
 * ready(opaque): is there something to do already?  ms -1: without limit.
 * False: the thread is to end.
 */
bool pump_wait(struct net_pump *p, struct pollfd *fds, unsigned n, int ms,
               bool (*ready)(void *opaque), void *opaque);
/* To be asked between long works. */
bool pump_ends(struct net_pump *p);

#endif
