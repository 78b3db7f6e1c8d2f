/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw images: a file or a host's block device, byte for byte.
 *
 * Requests are executed by a few threads.  A file whose size is no multiple
 * of the block size is taken as rounded up: the missing bytes read as zeros,
 * and writing to them makes the file longer.
 *
 * A lock on the open file (OFD lock), exclusive when it may be written and
 * shared otherwise, keeps two machines from one image.
 */
#include "block/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file.h"
#include "block/overlay.h"
#include "block/pool.h"
#include "lib/log.h"

#define THREADS  4
#define CD_BLOCK 2048u
#define SECTOR   512u
/* Longer reads leave the device's thread free: copying takes its time. */
#define INLINE_BYTES (256u << 10)

struct raw {
    struct block_medium m;
    int fd;
    uint64_t file_bytes;     /* m.bytes before rounding up */
    struct overlay *overlay; /* NULL: no snapshot */
    struct block_pool *pool;
};

static void flush(struct raw *s, struct bp_block_request *request)
{
    int32_t status = 0;

    /* A snapshot is gone at the end anyway. */
    if (!s->overlay && !(s->m.flags & BP_BLOCK_READONLY) &&
        fdatasync(s->fd) < 0)
        status = file_status(errno);
    block_request_done(request, status);
}

static int32_t execute_range(struct raw *s,
                             const struct bp_block_request *request)
{
    uint64_t offset = request->offset, bytes = request->bytes;

    if (request->op == BP_BLOCK_ZERO)
        return s->overlay ? overlay_zero(s->overlay, offset, bytes)
                          : file_zero(s->fd, offset, bytes);
    if (!(s->m.flags & BP_BLOCK_THIN))
        return 0;
    return s->overlay ? overlay_discard(s->overlay, offset, bytes)
                      : file_discard(s->fd, offset, bytes);
}

static int32_t read_vector(struct raw *s, struct file_cursor *c,
                           uint64_t offset, uint64_t bytes, bool now)
{
    return s->overlay ? overlay_read(s->overlay, s->fd, s->file_bytes, c,
                                     offset, bytes, now)
                      : file_read(s->fd, c, offset, bytes, s->file_bytes, now);
}

static int32_t execute_vector(struct raw *s,
                              const struct bp_block_request *request)
{
    struct file_cursor c;
    uint64_t bytes;

    if (!block_request_bytes(request, &bytes))
        return -ERANGE;
    file_cursor_init(&c, request);
    if (request->op == BP_BLOCK_READ)
        return read_vector(s, &c, request->offset, bytes, false);
    return s->overlay ? overlay_write(s->overlay, &c, request->offset, bytes)
                      : file_write(s->fd, &c, request->offset, bytes);
}

static void execute(void *ctx, struct bp_block_request *request)
{
    struct raw *s = ctx;

    switch (request->op) {
    case BP_BLOCK_FLUSH: flush(s, request); break;
    case BP_BLOCK_DISCARD:
    case BP_BLOCK_ZERO:
        block_request_done(request, execute_range(s, request));
        break;
    default: block_request_done(request, execute_vector(s, request)); break;
    }
}

/* A short read out of the host's page cache is done here and now: two changes
 * of threads would take longer than the copying. */
static bool execute_now(struct raw *s, struct bp_block_request *request)
{
    struct file_cursor c;
    uint64_t bytes;
    int32_t status;

    if (request->op != BP_BLOCK_READ || request->size < sizeof(*request) ||
        !(request->flags & BP_BLOCK_INLINE) ||
        !block_request_bytes(request, &bytes) || bytes > INLINE_BYTES)
        return false;
    file_cursor_init(&c, request);
    status = read_vector(s, &c, request->offset, bytes, true);
    if (status == -EAGAIN)
        return false;
    block_request_done(request, status);
    return true;
}

static void raw_submit(struct block_medium *m, struct bp_block_request *request)
{
    struct raw *s = (struct raw *)m;

    if (!execute_now(s, request))
        block_pool_submit(s->pool, request);
}

static void raw_free(struct raw *s)
{
    block_pool_destroy(s->pool);
    overlay_destroy(s->overlay);
    if (s->fd >= 0)
        close(s->fd);
    g_free(s->m.path);
    g_free(s);
}

static void raw_close(struct block_medium *m)
{
    struct raw *s = (struct raw *)m;

    if (!s->overlay && !(m->flags & BP_BLOCK_READONLY) && fdatasync(s->fd) < 0)
        log_error("block", "'%s': its last writes may be lost: %s", m->path,
                  g_strerror(errno));
    raw_free(s);
}

static bool raw_save(struct block_medium *m, uint64_t *next,
                     struct state_writer *w)
{
    struct raw *s = (struct raw *)m;

    return s->overlay && overlay_save(s->overlay, next, w);
}

static bool raw_load(struct block_medium *m, struct state_reader *r,
                     GError **error)
{
    struct raw *s = (struct raw *)m;

    if (s->overlay)
        return overlay_load(s->overlay, r, error);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "'%s' was saved with snapshot=on and is open without", m->path);
    return false;
}

static const struct block_medium_ops raw_ops = {
    .name = "raw",
    .submit = raw_submit,
    .close = raw_close,
    .save = raw_save,
    .load = raw_load,
};

/* --- opening -------------------------------------------------------------*/

__attribute__((format(printf, 4, 5))) static bool fail(const struct raw *s,
                                                       GError **error, int code,
                                                       const char *format, ...)
{
    g_autofree char *why = NULL;
    va_list ap;

    va_start(ap, format);
    why = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "image '%s' %s",
                s->m.path, why);
    return false;
}

static bool open_file(struct raw *s, bool writable, GError **error)
{
    struct stat st;

    /* Not to hang on a FIFO, nor on a drive without a medium. */
    s->fd = open(s->m.path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
                                O_NONBLOCK | O_NOCTTY);
    if (s->fd < 0 && errno == EISDIR)
        return fail(s, error, EISDIR, "is a folder");
    if (s->fd < 0 && writable &&
        (errno == EACCES || errno == EROFS || errno == EPERM ||
         errno == ETXTBSY) &&
        access(s->m.path, R_OK) == 0)
        return fail(s, error, errno,
                    "cannot be written (%s); readonly=on or snapshot=on "
                    "opens it as it is",
                    g_strerror(errno));
    if (s->fd < 0)
        return fail(s, error, errno, "cannot be opened: %s", g_strerror(errno));
    if (fstat(s->fd, &st) < 0)
        return fail(s, error, errno, "cannot be examined: %s",
                    g_strerror(errno));
    if (S_ISDIR(st.st_mode))
        return fail(s, error, EISDIR, "is a folder");
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return fail(s, error, EINVAL, "is neither a file nor a block device");
    return true;
}

static bool lock_file(struct raw *s, bool writable, GError **error)
{
    struct flock lock = {
        .l_type = writable ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
    };

    if (fcntl(s->fd, F_OFD_SETLK, &lock) == 0)
        return true;
    if (errno != EAGAIN && errno != EACCES) {
        log_warn("block",
                 "image '%s' cannot be locked (%s): see that no "
                 "other machine uses it",
                 s->m.path, g_strerror(errno));
        return true;
    }
    return fail(s, error, EBUSY,
                writable ? "is in use by another machine or program"
                         : "is being written by another machine or program");
}

static bool measure(struct raw *s, uint32_t unit, GError **error)
{
    struct stat st;
    uint64_t bytes = 0;
    unsigned int physical;

    if (fstat(s->fd, &st) < 0 ||
        (S_ISBLK(st.st_mode) && ioctl(s->fd, BLKGETSIZE64, &bytes) < 0))
        return fail(s, error, errno, "has no size: %s", g_strerror(errno));
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(s->fd, BLKPBSZGET, &physical) == 0 && physical >= unit &&
            physical <= 65536)
            s->m.physical_block = physical;
    } else {
        bytes = (uint64_t)st.st_size;
    }
    if (bytes == 0)
        return fail(s, error, EINVAL, "is empty");
    if (bytes < unit)
        return fail(s, error, EINVAL,
                    "is too small: %" PRIu64 " bytes, and a block has %u",
                    bytes, unit);
    if (bytes > (uint64_t)INT64_MAX - unit)
        return fail(s, error, EFBIG, "is too large");
    s->file_bytes = bytes;
    s->m.bytes = (bytes + unit - 1) / unit * unit;
    if (s->m.bytes != bytes)
        log_warn("block",
                 "image '%s' has %" PRIu64 " bytes, which is no "
                 "multiple of %u: its last %" PRIu64 " bytes read as zeros",
                 s->m.path, bytes, unit, s->m.bytes - bytes);
    return true;
}

/* A host's block device is not asked: its discards may leave anything. */
static bool is_thin(const struct raw *s)
{
    struct stat st;

    if (s->m.flags & BP_BLOCK_READONLY)
        return false;
    if (s->overlay)
        return overlay_can_discard(s->overlay);
    return fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) &&
           file_can_discard(s->fd, s->m.bytes);
}

/* Plain disk access from here on: the flag was for open() only. */
static void clear_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

struct block_medium *raw_open(const struct block_options *options,
                              GError **error)
{
    bool readonly = options->readonly || options->cdrom;
    bool writable = !readonly && !options->snapshot;
    uint32_t unit = options->cdrom   ? CD_BLOCK
                    : options->block ? options->block
                                     : SECTOR;
    struct raw *s = g_new0(struct raw, 1);
    GError *why = NULL;

    s->m.ops = &raw_ops;
    s->m.path = g_strdup(options->path);
    s->m.flags = readonly ? BP_BLOCK_READONLY : 0;
    s->m.logical_block = unit;
    s->m.physical_block = options->cdrom ? CD_BLOCK : 4096;
    s->fd = -1;
    if (!open_file(s, writable, error) || !lock_file(s, writable, error) ||
        !measure(s, unit, error))
        goto fail_opened;
    clear_nonblock(s->fd);
    if (options->snapshot && !readonly) {
        s->overlay = overlay_create(s->m.bytes, &why);
        if (!s->overlay) {
            fail(s, error, EIO, "has %s", why->message);
            g_error_free(why);
            goto fail_opened;
        }
    }
    if (is_thin(s))
        s->m.flags |= BP_BLOCK_THIN;
    s->pool = block_pool_create(THREADS, execute, s);
    return &s->m;

fail_opened:
    raw_free(s);
    return NULL;
}
