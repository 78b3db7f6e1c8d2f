/* SPDX-License-Identifier: Apache-2.0 */
#include "block/pool.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>

#include "lib/log.h"

struct block_pool {
    block_pool_fn *run;
    void *ctx;
    unsigned max_threads;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;  /* a request came, or `ending` */
    struct bp_block_request *first, *last;
    unsigned idle; /* threads that wait */
    unsigned queued;
    unsigned count;
    bool ending;
    pthread_t threads[];
};

static void *pool_thread(void *opaque)
{
    struct block_pool *pool = opaque;
    struct bp_block_request *request;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->first && !pool->ending) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        request = pool->first;
        if (!request)
            break;
        pool->first = request->host[2];
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        pool->run(pool->ctx, request);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals go to the threads that expect them. */
static bool start_thread(struct block_pool *pool)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    error =
        pthread_create(&pool->threads[pool->count], NULL, pool_thread, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return false;
    pthread_setname_np(pool->threads[pool->count], "block");
    pool->count++;
    return true;
}

struct block_pool *block_pool_create(unsigned max_threads, block_pool_fn *run,
                                     void *ctx)
{
    struct block_pool *pool;

    pool = g_malloc0(sizeof *pool + max_threads * sizeof pool->threads[0]);
    pool->run = run;
    pool->ctx = ctx;
    pool->max_threads = max_threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    return pool;
}

void block_pool_destroy(struct block_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    g_free(pool);
}

void block_pool_submit(struct block_pool *pool,
                       struct bp_block_request *request)
{
    bool here;

    pthread_mutex_lock(&pool->lock);
    if (pool->queued >= pool->idle && pool->count < pool->max_threads &&
        !start_thread(pool))
        log_warn("block", "the host gives no more threads, %u must do",
                 pool->count);
    here = pool->count == 0;
    if (!here) {
        request->host[2] = NULL;
        if (pool->first)
            pool->last->host[2] = request;
        else
            pool->first = request;
        pool->last = request;
        pool->queued++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (here)
        pool->run(pool->ctx, request);
}
