/* SPDX-License-Identifier: Apache-2.0 */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_PIECES 64
/* The kernel moves less than 2 GiB a call. */
#define MAX_CALL (1u << 30)

int32_t file_status(int error)
{
    switch (error) {
    case 0: return 0;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return -ENOSPC;
    case EROFS: return -EROFS;
    case ENOMEDIUM: return -ENOMEDIUM;
    default: return -EIO;
    }
}

void file_cursor_init(struct file_cursor *c,
                      const struct bp_block_request *request)
{
    c->iov = request->iov;
    c->count = request->iov_count;
    c->skip = 0;
}

static void advance(struct file_cursor *c, uint64_t bytes)
{
    while (c->count && bytes >= c->iov->bytes - c->skip) {
        bytes -= c->iov->bytes - c->skip;
        c->iov++;
        c->count--;
        c->skip = 0;
    }
    c->skip += bytes;
}

/* The next pieces, at most `bytes` in all. */
static int pieces(const struct file_cursor *c, uint64_t bytes,
                  struct iovec out[MAX_PIECES])
{
    uint64_t skip = c->skip, n;
    int used = 0;

    if (bytes > MAX_CALL)
        bytes = MAX_CALL;
    for (uint32_t i = 0; i < c->count && bytes && used < MAX_PIECES; i++) {
        n = c->iov[i].bytes - skip;
        if (n > bytes)
            n = bytes;
        if (n) {
            out[used].iov_base = (uint8_t *)c->iov[i].base + skip;
            out[used++].iov_len = n;
        }
        bytes -= n;
        skip = 0;
    }
    return used;
}

static void fill_zeros(struct file_cursor *c, uint64_t bytes)
{
    struct iovec v[MAX_PIECES];
    uint64_t done;
    int n;

    while (bytes) {
        n = pieces(c, bytes, v);
        if (!n)
            return;
        done = 0;
        for (int i = 0; i < n; i++) {
            memset(v[i].iov_base, 0, v[i].iov_len);
            done += v[i].iov_len;
        }
        advance(c, done);
        bytes -= done;
    }
}

int32_t file_read(int fd, struct file_cursor *c, uint64_t offset,
                  uint64_t bytes, uint64_t file_bytes, bool now)
{
    struct iovec v[MAX_PIECES];
    uint64_t part;
    ssize_t n;
    int count;

    while (bytes) {
        if (offset >= file_bytes) {
            fill_zeros(c, bytes);
            return 0;
        }
        part = bytes < file_bytes - offset ? bytes : file_bytes - offset;
        count = pieces(c, part, v);
        if (!count)
            return -EIO;
        n = preadv2(fd, v, count, (off_t)offset, now ? RWF_NOWAIT : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && now && (errno == EAGAIN || errno == EOPNOTSUPP))
            return -EAGAIN;
        if (n < 0)
            return file_status(errno);
        if (n == 0)
            return -EIO;
        advance(c, (uint64_t)n);
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

int32_t file_write(int fd, struct file_cursor *c, uint64_t offset,
                   uint64_t bytes)
{
    struct iovec v[MAX_PIECES];
    ssize_t n;
    int count;

    while (bytes) {
        count = pieces(c, bytes, v);
        if (!count)
            return -EIO;
        n = pwritev(fd, v, count, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_status(errno);
        if (n == 0)
            return -EIO;
        advance(c, (uint64_t)n);
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t bytes)
{
    int r;

    do
        r = fallocate(fd, mode, (off_t)offset, (off_t)bytes);
    while (r < 0 && errno == EINTR);
    return r;
}

int32_t file_zero(int fd, uint64_t offset, uint64_t bytes)
{
    static const uint8_t zeros[65536];
    ssize_t n;

    if (!bytes ||
        allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset,
                 bytes) == 0 ||
        allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                 bytes) == 0)
        return 0;
    while (bytes) {
        n = pwrite(fd, zeros, bytes < sizeof zeros ? bytes : sizeof zeros,
                   (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? file_status(errno) : -EIO;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

bool file_can_discard(int fd, uint64_t offset)
{
    return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                    4096) == 0;
}

int32_t file_discard(int fd, uint64_t offset, uint64_t bytes)
{
    if (!bytes || allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           offset, bytes) == 0)
        return 0;
    return file_status(errno);
}
