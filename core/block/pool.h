/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that execute the requests of one medium.
 *
 * A thread starts when a request finds all others busy, up to the limit, and
 * then stays.  Requests start in the order of submission and end in any.
 */
#ifndef BLOCK_POOL_H
#define BLOCK_POOL_H

#include <stdbool.h>

#include <backplane/block.h>

struct block_pool;

/* `run` executes a request and completes it; on a thread of the pool. */
typedef void block_pool_fn(void *ctx, struct bp_block_request *request);

struct block_pool *block_pool_create(unsigned max_threads, block_pool_fn *run,
                                     void *ctx);
/* Executes what is queued, then ends the threads. */
void block_pool_destroy(struct block_pool *pool);
/* Links the request by host[2].  Without any thread (the host had none) the
 * request is executed here and now. */
void block_pool_submit(struct block_pool *pool,
                       struct bp_block_request *request);

#endif
