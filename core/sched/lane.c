/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane is a mutex, and a queue of work under a small lock of its own, so
 * that posting never waits for a callback.  Queue cells come from a free
 * list of the lane that grows to the longest queue there was.
 *
 * A lane with work is `scheduled`: it is on the list of its VM's workers, or
 * one of them has it.  A worker takes a batch of items, runs them with the
 * lane held and puts the lane at the list's end when some are left.
 *
 * Locks, outer to inner: lane.mutex, lanes.lock, lane.queue_lock.
 */
#include "sched/lane.h"

#include <glib.h>
#include <pthread.h>

#include "lib/log.h"

/* Items run with the lane taken once; keeps vCPUs from waiting long. */
#define BATCH 16
/* A queue this long is worked off by whoever leaves the lane. */
#define FAR_BEHIND 256
/* Work for the end of a hold that is done there; the rest is queued. */
#define SOON_MAX 64
/* Work that queues work that queues work: a device that never rests. */
#define DRAIN_PASSES 100000
/* Runs of everything, as threads of the host queue work meanwhile. */
#define DRAIN_RUNS 16

struct item {
    lane_fn *fn;
    void *opaque;
    struct item *next;
};

struct lane {
    pthread_mutex_t mutex; /* "the lane" */
    const void *owner;     /* tells threads apart; see self() */
    struct lane *outer;    /* taken before by the same thread */
    unsigned rank;
    struct item *soon, **soon_end; /* of who holds it */

    pthread_mutex_t queue_lock; /* all below */
    struct item *first, **last;
    struct item *free;
    unsigned queued; /* items in the queue */
    unsigned busy;   /* items taken from it, not yet finished */
    bool scheduled;

    struct lanes *lanes;
    struct lane *next_ready; /* lanes->lock */
    char *name;
};

struct lanes {
    pthread_mutex_t lock; /* ready list, quit, all */
    pthread_cond_t work;  /* ready list or quit changed */
    pthread_cond_t idle;  /* a worker finished a batch */
    struct lane *ready, **ready_end;
    GPtrArray *all; /* struct lane * */
    pthread_t *threads;
    unsigned thread_count;
    unsigned waiting; /* threads that wait for `idle` */
    bool quit;
};

/* The lanes that this thread holds, the highest rank first. */
static _Thread_local struct lane *held_lanes;

/* An address that no other thread has. */
static const void *self(void)
{
    return &held_lanes;
}

bool lane_held(const struct lane *lane)
{
    return __atomic_load_n(&lane->owner, __ATOMIC_RELAXED) == self();
}

bool lane_may_enter(const struct lane *lane)
{
    return !held_lanes || held_lanes->rank < lane->rank;
}

const char *lane_name(const struct lane *lane)
{
    return lane->name;
}

static void own_lane(struct lane *lane)
{
    __atomic_store_n(&lane->owner, self(), __ATOMIC_RELAXED);
    lane->outer = held_lanes;
    held_lanes = lane;
}

static void lock_lane(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    own_lane(lane);
}

static void unlock_lane(struct lane *lane)
{
    struct lane **p;

    /* Nearly always the first one. */
    for (p = &held_lanes; *p != lane; p = &(*p)->outer)
        ;
    *p = lane->outer;
    lane->outer = NULL;
    __atomic_store_n(&lane->owner, NULL, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lane->mutex);
}

void lane_enter(struct lane *lane)
{
    if (!lane_may_enter(lane))
        log_error(
            "lane",
            "'%s' is entered while '%s' is held, against the order of ranks",
            lane->name, held_lanes->name);
    lock_lane(lane);
}

/* Takes up to `max` items out of the queue; the list ends with NULL. */
static struct item *take_items(struct lane *lane, unsigned max)
{
    struct item *list, **p = &list;
    unsigned n;

    pthread_mutex_lock(&lane->queue_lock);
    list = lane->first;
    for (n = 0; n < max && *p; n++)
        p = &(*p)->next;
    lane->first = *p;
    *p = NULL;
    if (!lane->first)
        lane->last = &lane->first;
    __atomic_store_n(&lane->queued, lane->queued - n, __ATOMIC_RELAXED);
    lane->busy += n;
    pthread_mutex_unlock(&lane->queue_lock);
    return list;
}

static void run_items(struct lane *lane, struct item *list)
{
    struct item *next;

    for (; list; list = next) {
        next = list->next;
        list->fn(list->opaque);
        pthread_mutex_lock(&lane->queue_lock);
        list->next = lane->free;
        lane->free = list;
        lane->busy--;
        pthread_mutex_unlock(&lane->queue_lock);
    }
}

static bool is_far_behind(struct lane *lane)
{
    return __atomic_load_n(&lane->queued, __ATOMIC_RELAXED) >= FAR_BEHIND;
}

static void catch_up(struct lane *lane)
{
    run_items(lane, take_items(lane, FAR_BEHIND));
    pthread_mutex_lock(&lane->lanes->lock);
    pthread_cond_broadcast(&lane->lanes->idle);
    pthread_mutex_unlock(&lane->lanes->lock);
}

/* lane->queue_lock is held. */
static struct item *new_item(struct lane *lane)
{
    struct item *item = lane->free;

    if (item)
        lane->free = item->next;
    else
        item = g_new(struct item, 1);
    return item;
}

static void recycle(struct lane *lane, struct item *item)
{
    pthread_mutex_lock(&lane->queue_lock);
    item->next = lane->free;
    lane->free = item;
    pthread_mutex_unlock(&lane->queue_lock);
}

/* What was put off to the end of this hold; what that puts off in turn comes
 * behind it, up to a limit. */
static void run_soon(struct lane *lane)
{
    struct item *item;
    unsigned n;

    for (n = 0; (item = lane->soon); n++) {
        lane->soon = item->next;
        if (!lane->soon)
            lane->soon_end = &lane->soon;
        if (n < SOON_MAX)
            item->fn(item->opaque);
        else
            lane_post(lane, item->fn, item->opaque);
        recycle(lane, item);
    }
}

void lane_leave(struct lane *lane)
{
    if (is_far_behind(lane))
        catch_up(lane);
    if (lane->soon)
        run_soon(lane);
    unlock_lane(lane);
}

/* l->lock is held. */
static void make_ready(struct lanes *l, struct lane *lane)
{
    lane->next_ready = NULL;
    *l->ready_end = lane;
    l->ready_end = &lane->next_ready;
    pthread_cond_signal(&l->work);
}

void lane_post(struct lane *lane, lane_fn *fn, void *opaque)
{
    struct lanes *l = lane->lanes;
    struct item *item;
    bool schedule;

    pthread_mutex_lock(&lane->queue_lock);
    item = new_item(lane);
    *item = (struct item){ fn, opaque, NULL };
    *lane->last = item;
    lane->last = &item->next;
    __atomic_store_n(&lane->queued, lane->queued + 1, __ATOMIC_RELAXED);
    schedule = !lane->scheduled;
    lane->scheduled = true;
    pthread_mutex_unlock(&lane->queue_lock);
    if (schedule) {
        pthread_mutex_lock(&l->lock);
        make_ready(l, lane);
        pthread_mutex_unlock(&l->lock);
    }
}

static void put_off(struct lane *lane, lane_fn *fn, void *opaque)
{
    struct item *item;

    pthread_mutex_lock(&lane->queue_lock);
    item = new_item(lane);
    pthread_mutex_unlock(&lane->queue_lock);
    *item = (struct item){ fn, opaque, NULL };
    *lane->soon_end = item;
    lane->soon_end = &item->next;
}

/* Takes a lane at rest; it counts as busy until end_visit(), so that nobody
 * destroys it under the visitor. */
static bool begin_visit(struct lane *lane)
{
    bool free;

    if (held_lanes || !lane->lanes->thread_count)
        return false;
    pthread_mutex_lock(&lane->queue_lock);
    free = !lane->scheduled && pthread_mutex_trylock(&lane->mutex) == 0;
    lane->busy += free;
    pthread_mutex_unlock(&lane->queue_lock);
    if (free)
        own_lane(lane);
    return free;
}

static void end_visit(struct lane *lane)
{
    struct lanes *l = lane->lanes;

    lane_leave(lane);
    pthread_mutex_lock(&l->lock);
    pthread_mutex_lock(&lane->queue_lock);
    lane->busy--;
    pthread_mutex_unlock(&lane->queue_lock);
    if (l->waiting)
        pthread_cond_broadcast(&l->idle);
    pthread_mutex_unlock(&l->lock);
}

void lane_post_soon(struct lane *lane, lane_fn *fn, void *opaque)
{
    if (lane_held(lane)) {
        put_off(lane, fn, opaque);
    } else if (begin_visit(lane)) {
        fn(opaque);
        end_visit(lane);
    } else {
        lane_post(lane, fn, opaque);
    }
}

/* Runs a batch of a lane that was taken from the ready list; l->lock is held
 * before and after. */
static void serve(struct lanes *l, struct lane *lane)
{
    bool more;

    pthread_mutex_unlock(&l->lock);
    lock_lane(lane);
    run_items(lane, take_items(lane, BATCH));
    if (lane->soon)
        run_soon(lane);
    unlock_lane(lane);
    pthread_mutex_lock(&l->lock);
    pthread_mutex_lock(&lane->queue_lock);
    more = lane->first != NULL;
    lane->scheduled = more;
    pthread_mutex_unlock(&lane->queue_lock);
    if (more)
        make_ready(l, lane);
    pthread_cond_broadcast(&l->idle);
}

static struct lane *take_ready(struct lanes *l)
{
    struct lane *lane = l->ready;

    if (lane) {
        l->ready = lane->next_ready;
        if (!l->ready)
            l->ready_end = &l->ready;
    }
    return lane;
}

static void *work(void *opaque)
{
    struct lanes *l = opaque;
    struct lane *lane;

    pthread_mutex_lock(&l->lock);
    for (;;) {
        lane = take_ready(l);
        if (lane)
            serve(l, lane);
        else if (l->quit)
            break;
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void lanes_run(struct lanes *l)
{
    struct lane *lane;

    pthread_mutex_lock(&l->lock);
    for (unsigned pass = 0; pass < DRAIN_PASSES; pass++) {
        lane = take_ready(l);
        if (!lane)
            break;
        serve(l, lane);
    }
    pthread_mutex_unlock(&l->lock);
}

static bool is_idle(struct lane *lane)
{
    bool idle;

    pthread_mutex_lock(&lane->queue_lock);
    idle = !lane->scheduled && !lane->first && !lane->busy;
    pthread_mutex_unlock(&lane->queue_lock);
    return idle;
}

static const struct lane *first_busy(struct lanes *l)
{
    for (unsigned i = 0; i < l->all->len; i++) {
        struct lane *lane = l->all->pdata[i];

        if (!is_idle(lane))
            return lane;
    }
    return NULL;
}

/* l->lock is held. */
static void wait_idle(struct lanes *l)
{
    l->waiting++;
    pthread_cond_wait(&l->idle, &l->lock);
    l->waiting--;
}

void lanes_drain(struct lanes *l)
{
    unsigned passes = l->thread_count > 0 ? DRAIN_PASSES : DRAIN_RUNS;
    const struct lane *busy = NULL;

    pthread_mutex_lock(&l->lock);
    for (unsigned pass = 0; pass < passes; pass++) {
        busy = first_busy(l);
        if (!busy)
            break;
        if (l->thread_count > 0) {
            wait_idle(l);
            continue;
        }
        pthread_mutex_unlock(&l->lock);
        lanes_run(l);
        pthread_mutex_lock(&l->lock);
    }
    if (busy)
        log_warn("lane", "'%s' does not come to rest", busy->name);
    pthread_mutex_unlock(&l->lock);
}

struct lanes *lanes_create(unsigned threads)
{
    struct lanes *l = g_new0(struct lanes, 1);

    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->idle, NULL);
    l->ready_end = &l->ready;
    l->all = g_ptr_array_new();
    l->threads = g_new0(pthread_t, threads);
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&l->threads[i], NULL, work, l) != 0)
            break;
        pthread_setname_np(l->threads[i], "lane worker");
        l->thread_count++;
    }
    if (threads && !l->thread_count) {
        lanes_destroy(l);
        return NULL;
    }
    return l;
}

void lanes_destroy(struct lanes *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->thread_count; i++)
        pthread_join(l->threads[i], NULL);
    while (l->all->len)
        lane_destroy(l->all->pdata[l->all->len - 1]);
    g_ptr_array_free(l->all, TRUE);
    g_free(l->threads);
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    g_free(l);
}

struct lane *lane_create(struct lanes *l, const char *name, enum lane_rank rank)
{
    struct lane *lane = g_new0(struct lane, 1);

    pthread_mutex_init(&lane->mutex, NULL);
    pthread_mutex_init(&lane->queue_lock, NULL);
    lane->last = &lane->first;
    lane->soon_end = &lane->soon;
    lane->rank = rank;
    lane->lanes = l;
    lane->name = g_strdup(name);
    pthread_mutex_lock(&l->lock);
    g_ptr_array_add(l->all, lane);
    pthread_mutex_unlock(&l->lock);
    return lane;
}

/* Until nobody has the lane on a list or in hand. */
static void finish_work(struct lanes *l, struct lane *lane)
{
    if (l->thread_count == 0 || l->quit)
        lanes_run(l);
    pthread_mutex_lock(&l->lock);
    while (l->thread_count && !l->quit && !is_idle(lane))
        wait_idle(l);
    g_ptr_array_remove(l->all, lane);
    pthread_mutex_unlock(&l->lock);
}

/* Posts are run in order: what was there before ran when the mark does. */
struct mark {
    pthread_mutex_t lock;
    pthread_cond_t reached;
    bool passed;
};

static void pass_mark(void *opaque)
{
    struct mark *m = opaque;

    pthread_mutex_lock(&m->lock);
    m->passed = true;
    pthread_cond_signal(&m->reached);
    pthread_mutex_unlock(&m->lock);
}

void lane_sync(struct lane *lane)
{
    struct mark m = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                      false };

    if (lane->lanes->thread_count == 0) {
        lanes_run(lane->lanes);
        return;
    }
    lane_post(lane, pass_mark, &m);
    pthread_mutex_lock(&m.lock);
    while (!m.passed)
        pthread_cond_wait(&m.reached, &m.lock);
    pthread_mutex_unlock(&m.lock);
}

void lane_destroy(struct lane *lane)
{
    struct item *next;

    if (!lane)
        return;
    finish_work(lane->lanes, lane);
    for (struct item *i = lane->first; i; i = next) {
        next = i->next;
        g_free(i);
    }
    for (struct item *i = lane->free; i; i = next) {
        next = i->next;
        g_free(i);
    }
    pthread_mutex_destroy(&lane->queue_lock);
    pthread_mutex_destroy(&lane->mutex);
    g_free(lane->name);
    g_free(lane);
}
