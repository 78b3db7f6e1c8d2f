/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bitmap is reserved address space: pages of it that were never touched
 * cost nothing, so a bit for each sector of a huge disk is no concern.  Words
 * are changed atomically, because requests to neighbouring sectors run on
 * several threads; a bit is set after its sector's data is in the file.
 */
#include "block/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state/stream.h"

#define SECTOR 512u
/* A run in saved state is at most 1 MiB, a part at most 32 of them. */
#define RUN_SECTORS 2048u
#define PART_RUNS   32u

struct overlay {
    int fd;
    uint64_t bytes;
    uint64_t *bits;
    size_t bits_size;
};

/* A file without a name that can be as large as the image. */
static int unnamed_file(uint64_t bytes)
{
    const char *dirs[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
    int fd;

    for (unsigned i = 0; i < G_N_ELEMENTS(dirs); i++) {
        if (!dirs[i] || !*dirs[i])
            continue;
        fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    fd = memfd_create("snapshot", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

struct overlay *overlay_create(uint64_t bytes, GError **error)
{
    struct overlay *o = g_new0(struct overlay, 1);
    void *map;

    o->bytes = bytes;
    o->bits_size = bytes / SECTOR / 8 + sizeof *o->bits;
    o->fd = unnamed_file(bytes);
    if (o->fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "no temporary file for its snapshot: %s",
                    g_strerror(errno));
        g_free(o);
        return NULL;
    }
    map = mmap(NULL, o->bits_size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "no memory for its snapshot: %s", g_strerror(errno));
        close(o->fd);
        g_free(o);
        return NULL;
    }
    o->bits = map;
    return o;
}

void overlay_destroy(struct overlay *o)
{
    if (!o)
        return;
    munmap(o->bits, o->bits_size);
    close(o->fd);
    g_free(o);
}

static uint64_t word_at(const struct overlay *o, uint64_t sector)
{
    return __atomic_load_n(&o->bits[sector / 64], __ATOMIC_ACQUIRE);
}

/* How many of the n sectors from `sector` on are where the first one is;
 * *ours: that is in the overlay. */
static uint64_t run_of(const struct overlay *o, uint64_t sector, uint64_t n,
                       bool *ours)
{
    uint64_t at = sector, end = sector + n, word, left;

    *ours = word_at(o, sector) >> (sector % 64) & 1;
    while (at < end) {
        word = word_at(o, at) >> (at % 64);
        if (*ours)
            word = ~word;
        left = 64 - at % 64;
        if (at % 64)
            word &= (UINT64_C(1) << left) - 1;
        if (word) {
            at += (unsigned)__builtin_ctzll(word);
            break;
        }
        at += left;
    }
    return (at < end ? at : end) - sector;
}

static void mark(struct overlay *o, uint64_t sector, uint64_t n)
{
    uint64_t in_word, mask;

    while (n) {
        in_word = 64 - sector % 64;
        if (in_word > n)
            in_word = n;
        mask = in_word == 64 ? UINT64_MAX : (UINT64_C(1) << in_word) - 1;
        __atomic_fetch_or(&o->bits[sector / 64], mask << (sector % 64),
                          __ATOMIC_RELEASE);
        sector += in_word;
        n -= in_word;
    }
}

int32_t overlay_read(struct overlay *o, int base, uint64_t base_bytes,
                     struct file_cursor *c, uint64_t offset, uint64_t bytes,
                     bool now)
{
    uint64_t n;
    int32_t status;
    bool ours;

    while (bytes) {
        n = run_of(o, offset / SECTOR, bytes / SECTOR, &ours) * SECTOR;
        if (ours)
            status = file_read(o->fd, c, offset, n, o->bytes, now);
        else
            status = file_read(base, c, offset, n, base_bytes, now);
        if (status)
            return status;
        offset += n;
        bytes -= n;
    }
    return 0;
}

int32_t overlay_write(struct overlay *o, struct file_cursor *c, uint64_t offset,
                      uint64_t bytes)
{
    int32_t status = file_write(o->fd, c, offset, bytes);

    if (status == 0)
        mark(o, offset / SECTOR, bytes / SECTOR);
    return status;
}

int32_t overlay_zero(struct overlay *o, uint64_t offset, uint64_t bytes)
{
    int32_t status = file_zero(o->fd, offset, bytes);

    if (status == 0)
        mark(o, offset / SECTOR, bytes / SECTOR);
    return status;
}

/* The base keeps what it has; the overlay's hole hides it. */
int32_t overlay_discard(struct overlay *o, uint64_t offset, uint64_t bytes)
{
    int32_t status = file_discard(o->fd, offset, bytes);

    if (status == 0)
        mark(o, offset / SECTOR, bytes / SECTOR);
    return status;
}

bool overlay_can_discard(const struct overlay *o)
{
    return file_can_discard(o->fd, o->bytes);
}

/* --- saved machines ------------------------------------------------------*/

/* The next written run at or after *sector, at most RUN_SECTORS of it. */
static uint64_t next_run(const struct overlay *o, uint64_t *sector)
{
    uint64_t all = o->bytes / SECTOR, n;
    bool ours;

    while (*sector < all) {
        n = run_of(o, *sector, all - *sector, &ours);
        if (ours)
            return n < RUN_SECTORS ? n : RUN_SECTORS;
        *sector += n;
    }
    return 0;
}

bool overlay_save(struct overlay *o, uint64_t *next, struct state_writer *w)
{
    g_autofree uint8_t *data = g_malloc(RUN_SECTORS * SECTOR);
    struct bp_iovec iov = { data, RUN_SECTORS * SECTOR };
    uint64_t sector = *next, n;
    uint32_t runs = 0;

    while (runs < PART_RUNS && (n = next_run(o, &sector))) {
        sector += n;
        runs++;
    }
    if (!runs)
        return false;
    state_begin(w, "snapshot", runs, 0);
    for (sector = *next; runs; runs--, sector += n) {
        struct file_cursor c = { &iov, 1, 0 };

        n = next_run(o, &sector);
        /* A sector that cannot be read is lost to the running guest too. */
        if (file_read(o->fd, &c, sector * SECTOR, n * SECTOR, o->bytes, false))
            memset(data, 0, n * SECTOR);
        state_element(w);
        state_put_u64(w, "sector", sector);
        state_put_bytes(w, "data", data, n * SECTOR);
    }
    state_end(w);
    *next = sector;
    return true;
}

static bool load_run(struct overlay *o, struct state_reader *r)
{
    const uint8_t *data;
    struct bp_iovec iov;
    struct file_cursor c = { &iov, 1, 0 };
    uint64_t sector, all = o->bytes / SECTOR;
    g_autofree uint8_t *copy = NULL;
    size_t bytes;

    data = state_get_bytes(r, "data", &bytes);
    if (!data || !state_get_u64(r, "sector", &sector) || bytes % SECTOR ||
        sector > all || bytes / SECTOR > all - sector)
        return false;
    copy = g_memdup2(data, bytes);
    iov.base = copy;
    iov.bytes = bytes;
    return overlay_write(o, &c, sector * SECTOR, bytes) == 0;
}

bool overlay_load(struct overlay *o, struct state_reader *r, GError **error)
{
    uint32_t runs = state_count(r, "snapshot");
    struct state_reader *element;

    for (uint32_t i = 0; i < runs; i++) {
        element = state_get_element(r, "snapshot", i, error);
        if (!element)
            return false;
        if (!load_run(o, element)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "snapshot run %u is not one of this disk", i);
            return false;
        }
    }
    return true;
}
