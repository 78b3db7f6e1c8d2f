/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing a file by a request's vector; blocks.  Returns are 0
 * or one of the negative errnos that a device knows (backplane/block.h). */
#ifndef BLOCK_FILE_H
#define BLOCK_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/block.h>

/* A place in a request's vector. */
struct file_cursor {
    const struct bp_iovec *iov;
    uint32_t count;
    uint64_t skip; /* bytes of iov[0] that are behind us */
};

void file_cursor_init(struct file_cursor *c,
                      const struct bp_block_request *request);
/*
 * Both advance the cursor, which has at least `bytes` left.  What lies at or
 * after `file_bytes` reads as zeros; a file that ends before that has become
 * shorter behind our back, which is an error.  now: does not block, -EAGAIN
 * when it would have to, with the cursor anywhere.
 */
int32_t file_read(int fd, struct file_cursor *c, uint64_t offset,
                  uint64_t bytes, uint64_t file_bytes, bool now);
int32_t file_write(int fd, struct file_cursor *c, uint64_t offset,
                   uint64_t bytes);
/* The range reads as zeros afterwards and has space reserved if possible. */
int32_t file_zero(int fd, uint64_t offset, uint64_t bytes);
/* Holes are possible below and at `offset`, which is at the file's end or
 * behind it: nothing is changed. */
bool file_can_discard(int fd, uint64_t offset);
/* The range becomes a hole. */
int32_t file_discard(int fd, uint64_t offset, uint64_t bytes);
/* errno values of the host to those of the interface. */
int32_t file_status(int error);

#endif
