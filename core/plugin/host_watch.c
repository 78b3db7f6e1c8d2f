/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp.watch/1.
 *
 * The thread knows watches by number only: one that was removed while its
 * event was on the way is not found any more.  A watch with a callback in the
 * lane's queue stays until that has run.
 */
#include "plugin/watch.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <backplane/watch.h>

#include "plugin/device.h"
#include "plugin/host.h"
#include "sched/lane.h"
#include "vm/vm.h"

#define BATCH 64
#define WAKE  0 /* the number of the thread's own descriptor */

struct watches {
    pthread_t thread;
    int epoll, wake;
    bool quit;

    pthread_mutex_t lock; /* the rest, and what struct bp_watch_handle says */
    uint64_t last;        /* number given away */
    GHashTable *all;      /* number -> struct bp_watch_handle * */
};

struct bp_watch_handle {
    struct device *dev;
    struct watches *owner;
    uint64_t number;
    int fd;
    void (*fn)(void *ctx, uint32_t ready);
    void *ctx;

    uint32_t ready; /* lock: not told yet */
    bool posted;    /* lock: fire() is in the lane's queue */
    bool removed;   /* lock */
    bool resting;   /* lock: kept until the device starts */
};

/* --- telling --------------------------------------------------------------*/

/* [lane] */
static void fire(void *opaque)
{
    struct bp_watch_handle *w = opaque;
    uint32_t ready = 0;
    bool removed;

    pthread_mutex_lock(&w->owner->lock);
    w->posted = false;
    removed = w->removed;
    w->resting = !w->dev->started;
    if (!w->resting) {
        ready = w->ready;
        w->ready = 0;
    }
    pthread_mutex_unlock(&w->owner->lock);
    if (removed)
        g_free(w);
    else if (ready)
        w->fn(w->ctx, ready);
}

/* The lock is held. */
static void post(struct bp_watch_handle *w)
{
    if (w->posted)
        return;
    w->posted = true;
    lane_post(w->dev->lane, fire, w);
}

static uint32_t ready_of(uint32_t events)
{
    uint32_t ready = 0;

    if (events & EPOLLIN)
        ready |= BP_WATCH_READ;
    if (events & EPOLLOUT)
        ready |= BP_WATCH_WRITE;
    if (events & (EPOLLHUP | EPOLLERR))
        ready |= BP_WATCH_HANGUP;
    return ready;
}

static void happened(struct watches *ws, const struct epoll_event *e)
{
    struct bp_watch_handle *w =
        g_hash_table_lookup(ws->all, GSIZE_TO_POINTER(e->data.u64));

    if (!w)
        return;
    w->ready |= ready_of(e->events);
    if (!w->resting)
        post(w);
}

static void *work(void *opaque)
{
    struct watches *ws = opaque;
    struct epoll_event events[BATCH];

    while (!__atomic_load_n(&ws->quit, __ATOMIC_ACQUIRE)) {
        int n = epoll_wait(ws->epoll, events, BATCH, -1);
        pthread_mutex_lock(&ws->lock);
        for (int i = 0; i < n; i++)
            happened(ws, &events[i]);
        pthread_mutex_unlock(&ws->lock);
    }
    return NULL;
}

/* --- life -----------------------------------------------------------------*/

static bool open_epoll(struct watches *ws)
{
    struct epoll_event e = { .events = EPOLLIN, .data = { .u64 = WAKE } };

    ws->epoll = epoll_create1(EPOLL_CLOEXEC);
    ws->wake = eventfd(0, EFD_CLOEXEC);
    return ws->epoll >= 0 && ws->wake >= 0 &&
           epoll_ctl(ws->epoll, EPOLL_CTL_ADD, ws->wake, &e) == 0;
}

static void free_watches(struct watches *ws)
{
    if (ws->epoll >= 0)
        close(ws->epoll);
    if (ws->wake >= 0)
        close(ws->wake);
    g_hash_table_destroy(ws->all);
    pthread_mutex_destroy(&ws->lock);
    g_free(ws);
}

static struct watches *watches_create(void)
{
    struct watches *ws = g_new0(struct watches, 1);

    ws->all = g_hash_table_new(NULL, NULL);
    pthread_mutex_init(&ws->lock, NULL);
    if (open_epoll(ws) && pthread_create(&ws->thread, NULL, work, ws) == 0) {
        pthread_setname_np(ws->thread, "watches");
        return ws;
    }
    free_watches(ws);
    return NULL;
}

void watches_destroy(struct watches *ws)
{
    uint64_t one = 1;

    if (!ws)
        return;
    __atomic_store_n(&ws->quit, true, __ATOMIC_RELEASE);
    if (write(ws->wake, &one, sizeof(one)) == sizeof(one))
        pthread_join(ws->thread, NULL);
    free_watches(ws);
}

void watches_resume(struct device *d)
{
    struct watches *ws = __atomic_load_n(&d->vm->watches, __ATOMIC_ACQUIRE);
    GHashTableIter i;
    gpointer value;

    if (!ws)
        return;
    pthread_mutex_lock(&ws->lock);
    g_hash_table_iter_init(&i, ws->all);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        struct bp_watch_handle *w = value;
        if (w->dev != d || !w->resting)
            continue;
        w->resting = false;
        if (w->ready)
            post(w);
    }
    pthread_mutex_unlock(&ws->lock);
}

/* --- the table ------------------------------------------------------------*/

/* Devices may come to it at the same time. */
static struct watches *watches_of(struct vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    if (!vm->watches)
        __atomic_store_n(&vm->watches, watches_create(), __ATOMIC_RELEASE);
    pthread_mutex_unlock(&vm->lock);
    return vm->watches;
}

static bool enter(struct watches *ws, struct bp_watch_handle *w)
{
    struct epoll_event e = { .events = EPOLLONESHOT };
    bool ok;

    pthread_mutex_lock(&ws->lock);
    w->number = ++ws->last;
    e.data.u64 = w->number;
    g_hash_table_insert(ws->all, GSIZE_TO_POINTER(w->number), w);
    ok = epoll_ctl(ws->epoll, EPOLL_CTL_ADD, w->fd, &e) == 0;
    if (!ok)
        g_hash_table_remove(ws->all, GSIZE_TO_POINTER(w->number));
    pthread_mutex_unlock(&ws->lock);
    return ok;
}

static struct bp_watch_handle *host_watch_add(struct bp_dev *dev, int32_t fd,
                                              void (*fn)(void *, uint32_t),
                                              void *ctx)
{
    struct device *d = device_of(dev);

    if (d->vm->deterministic)
        return device_refuse(d, "a deterministic machine does not wait for "
                                "the host");
    struct watches *ws = watches_of(d->vm);
    if (!ws)
        return device_refuse(d, "the host has no thread for it");
    struct bp_watch_handle *w = g_new0(struct bp_watch_handle, 1);
    w->dev = d;
    w->owner = ws;
    w->fd = fd;
    w->fn = fn;
    w->ctx = ctx;
    if (!enter(ws, w)) {
        g_free(w);
        return device_refuse(d, "it cannot be waited for: %s",
                             g_strerror(errno));
    }
    g_ptr_array_add(d->watches, w);
    return w;
}

static void host_watch_set(struct bp_watch_handle *w, uint32_t events)
{
    struct epoll_event e = { .events = EPOLLONESHOT,
                             .data = { .u64 = w->number } };

    if (events & BP_WATCH_READ)
        e.events |= EPOLLIN;
    if (events & BP_WATCH_WRITE)
        e.events |= EPOLLOUT;
    epoll_ctl(w->owner->epoll, EPOLL_CTL_MOD, w->fd, &e);
}

static void host_watch_remove(struct bp_watch_handle *w)
{
    bool posted;

    epoll_ctl(w->owner->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    g_ptr_array_remove_fast(w->dev->watches, w);
    pthread_mutex_lock(&w->owner->lock);
    g_hash_table_remove(w->owner->all, GSIZE_TO_POINTER(w->number));
    w->removed = true;
    posted = w->posted;
    pthread_mutex_unlock(&w->owner->lock);
    if (!posted)
        g_free(w);
}

const struct bp_watch host_watch = {
    .size = sizeof(struct bp_watch),
    .add = host_watch_add,
    .set = host_watch_set,
    .remove = host_watch_remove,
};
