/* SPDX-License-Identifier: Apache-2.0 */
/* Drives and raw images: requests, errors, media, snapshots. */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "sched/clock.h"
#include "sched/lane.h"
#include "state/stream.h"

#define SECTORS 64u
#define BYTES   (SECTORS * 512u)

struct rig {
    struct lanes *lanes;
    struct lane *lane;
    struct block_drive *drive;
    unsigned changed, eject_requests;
};

static struct rig rig;

static const char *path_of(const char *name)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", test_tmp_dir(), name);
    return p;
}

/* Sector n is filled with the byte n + 1. */
static const char *make_image(const char *name, uint64_t bytes)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");

    CHECK(f);
    for (uint64_t i = 0; i < bytes; i++)
        fputc((int)(i / 512 + 1) & 0xff, f);
    fclose(f);
    return path;
}

static void on_changed(void *ctx)
{
    __atomic_add_fetch(&rig.changed, 1, __ATOMIC_SEQ_CST);
}

static void on_eject_request(void *ctx)
{
    __atomic_add_fetch(&rig.eject_requests, 1, __ATOMIC_SEQ_CST);
}

static void rig_init(enum block_drive_kind kind)
{
    rig.lanes = lanes_create(2);
    rig.lane = lane_create(rig.lanes, "disk", LANE_DEVICE);
    rig.drive = block_drive_create("disk0", kind);
    block_drive_attach(rig.drive, rig.lane);
    block_drive_listen(rig.drive, on_changed, on_eject_request, &rig);
}

static void rig_finish(void)
{
    block_drive_drain(rig.drive);
    block_drive_attach(rig.drive, NULL);
    lane_destroy(rig.lane);
    block_drive_destroy(rig.drive);
    lanes_destroy(rig.lanes);
}

static void insert(const struct block_options *o)
{
    GError *error = NULL;

    if (!block_drive_insert(rig.drive, o, &error))
        FAIL("%s", error->message);
}

static void rig_with(const char *path, bool snapshot)
{
    struct block_options o = { .path = path, .snapshot = snapshot };

    rig_init(BLOCK_DISK);
    insert(&o);
}

struct io {
    struct bp_block_request request;
    struct bp_iovec iov[8];
    sem_t done;
};

static void on_done(struct bp_block_request *request)
{
    struct io *io = request->ctx;

    CHECK(lane_held(rig.lane));
    sem_post(&io->done);
}

static void submit(struct io *io)
{
    io->request.size = sizeof io->request;
    io->request.iov = io->iov;
    io->request.done = on_done;
    io->request.ctx = io;
    io->request.status = 1;
    sem_init(&io->done, 0, 0);
    lane_enter(rig.lane);
    block_drive_submit(rig.drive, &io->request);
    CHECK_EQ(sem_trywait(&io->done), -1); /* never before it returned */
    lane_leave(rig.lane);
}

static int32_t finish(struct io *io)
{
    while (sem_wait(&io->done) < 0)
        ;
    return io->request.status;
}

static int32_t transfer(uint32_t op, uint64_t offset, void *data,
                        uint64_t bytes)
{
    struct io io = { .request = { .op = op,
                                  .offset = offset,
                                  .bytes = bytes,
                                  .iov_count = 1 },
                     .iov = { { data, bytes } } };

    submit(&io);
    return finish(&io);
}

static uint8_t sector_byte(uint64_t sector)
{
    uint8_t data[512];

    CHECK_EQ(transfer(BP_BLOCK_READ, sector * 512, data, 512), 0);
    for (unsigned i = 1; i < 512; i++)
        CHECK_EQ(data[i], data[0]);
    return data[0];
}

static uint8_t file_byte(const char *path, uint64_t offset)
{
    uint8_t c = 0;
    int fd = open(path, O_RDONLY);

    CHECK_EQ(pread(fd, &c, 1, (off_t)offset), 1);
    close(fd);
    return c;
}

/* --- requests ------------------------------------------------------------*/

TEST(reads_and_writes_reach_the_file)
{
    const char *path = make_image("a.img", BYTES);
    uint8_t data[1024];

    rig_with(path, false);
    CHECK_EQ(sector_byte(5), 6);
    memset(data, 0xaa, sizeof data);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 7 * 512, data, 1024), 0);
    CHECK_EQ(transfer(BP_BLOCK_FLUSH, 0, NULL, 0), 0);
    CHECK_EQ(file_byte(path, 7 * 512 - 1), 7);
    CHECK_EQ(file_byte(path, 7 * 512), 0xaa);
    CHECK_EQ(file_byte(path, 9 * 512 - 1), 0xaa);
    CHECK_EQ(file_byte(path, 9 * 512), 10);
    CHECK_EQ(rig.drive->n_reads, 1);
    CHECK_EQ(rig.drive->bytes_written, 1024);
    rig_finish();
}

TEST(vector_of_odd_pieces_is_one_request)
{
    uint8_t a[3], b[1000], c[21];
    struct io io = {
        .request = { .op = BP_BLOCK_READ, .offset = 512, .iov_count = 4 },
        .iov = { { a, 3 }, { NULL, 0 }, { b, 1000 }, { c, 21 } }
    };

    rig_with(make_image("a.img", BYTES), false);
    submit(&io);
    CHECK_EQ(finish(&io), 0);
    CHECK_EQ(a[0], 2);
    CHECK_EQ(b[508], 2);
    CHECK_EQ(b[509], 3);
    CHECK_EQ(c[20], 3);
    rig_finish();
}

TEST(many_requests_at_once_all_complete)
{
    static struct io io[256];
    static uint8_t data[256][512];

    rig_with(make_image("a.img", BYTES), false);
    for (unsigned i = 0; i < 256; i++) {
        io[i].request.op = BP_BLOCK_READ;
        io[i].request.offset = i % SECTORS * 512;
        io[i].request.iov_count = 1;
        io[i].iov[0] = (struct bp_iovec){ data[i], 512 };
        submit(&io[i]);
    }
    block_drive_drain(rig.drive);
    CHECK_EQ(rig.drive->in_flight, 0);
    for (unsigned i = 0; i < 256; i++) {
        CHECK_EQ(finish(&io[i]), 0);
        CHECK_EQ(data[i][511], i % SECTORS + 1);
    }
    rig_finish();
}

static const struct {
    uint32_t op;
    uint64_t offset, bytes;
    int32_t status;
} bad[] = {
    { BP_BLOCK_READ, BYTES, 512, -ERANGE },
    { BP_BLOCK_READ, BYTES - 512, 1024, -ERANGE },
    { BP_BLOCK_WRITE, UINT64_MAX - 511, 512, -ERANGE },
    { BP_BLOCK_WRITE, UINT64_MAX - 511, 1024, -ERANGE },
    { BP_BLOCK_DISCARD, 0, UINT64_MAX - 511, -ERANGE },
    { BP_BLOCK_ZERO, BYTES, 512, -ERANGE },
    { BP_BLOCK_READ, 0, 100, -EIO },
    { BP_BLOCK_READ, 1, 512, -EIO },
    { 0, 0, 512, -EIO },
    { 77, 0, 512, -EIO },
    { BP_BLOCK_READ, BYTES, 0, 0 },
};

TEST_P(bad_request_fails_on_the_lane, bad)
{
    static uint8_t data[4096];

    rig_with(make_image("a.img", BYTES), false);
    CHECK_EQ(transfer(row->op, row->offset, data, row->bytes), row->status);
    block_drive_drain(rig.drive);
    CHECK_EQ(rig.drive->n_errors, row->status != 0);
    rig_finish();
}

TEST(sum_of_vector_may_not_wrap)
{
    uint8_t data[512];
    struct io io = { .request = { .op = BP_BLOCK_WRITE, .iov_count = 2 },
                     .iov = { { data, UINT64_MAX - 511 }, { data, 1024 } } };

    rig_with(make_image("a.img", BYTES), false);
    submit(&io);
    CHECK_EQ(finish(&io), -ERANGE);
    rig_finish();
}

TEST(zero_and_discard_read_as_zeros)
{
    const char *path = make_image("a.img", BYTES);

    rig_with(path, false);
    CHECK_EQ(transfer(BP_BLOCK_ZERO, 512, NULL, 1024), 0);
    CHECK_EQ(sector_byte(0), 1);
    CHECK_EQ(sector_byte(1), 0);
    CHECK_EQ(sector_byte(2), 0);
    CHECK_EQ(sector_byte(3), 4);
    CHECK_EQ(transfer(BP_BLOCK_DISCARD, 0, NULL, BYTES), 0);
    CHECK_EQ(rig.drive->medium->bytes, BYTES);
    rig_finish();
}

static uint64_t allocated(const char *path)
{
    struct stat st;

    CHECK_EQ(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

TEST(discard_gives_space_back)
{
    const char *path = make_image("a.img", 1 << 20);
    struct bp_block_info info;
    uint64_t before = allocated(path);

    rig_with(path, false);
    block_drive_info(rig.drive, &info);
    if (!(info.flags & BP_BLOCK_THIN))
        SKIP("the host's file system has no holes");
    CHECK_EQ(transfer(BP_BLOCK_DISCARD, 65536, NULL, 512 << 10), 0);
    CHECK_EQ(sector_byte(127), 128);
    CHECK_EQ(sector_byte(128), 0);
    CHECK_EQ(sector_byte(1151), 0);
    CHECK_EQ(sector_byte(1152), (1152 + 1) & 0xff);
    rig_finish();
    CHECK_LE(allocated(path), before - (512 << 10));
    CHECK_EQ(file_byte(path, 65536), 0);
}

/* Parts of a host block become zeros, too. */
TEST(discard_of_single_sectors)
{
    rig_with(make_image("a.img", BYTES), false);
    CHECK_EQ(transfer(BP_BLOCK_DISCARD, 3 * 512, NULL, 512), 0);
    CHECK_EQ(sector_byte(2), 3);
    CHECK_EQ(sector_byte(3), 0);
    CHECK_EQ(sector_byte(4), 5);
    rig_finish();
}

/* --- requests that the calling thread executes ---------------------------*/

TEST(inline_read_is_done_when_the_lane_is_left)
{
    uint8_t data[1024];
    struct io io = { .request = { .op = BP_BLOCK_READ,
                                  .offset = 512,
                                  .iov_count = 1,
                                  .flags = BP_BLOCK_INLINE },
                     .iov = { { data, sizeof data } } };

    /* The image was written just now, so it is in the page cache. */
    rig_with(make_image("a.img", BYTES), false);
    submit(&io);
    CHECK_EQ(finish(&io), 0);
    CHECK_EQ(data[0], 2);
    CHECK_EQ(data[1023], 3);
    rig_finish();
}

TEST(inline_read_of_a_snapshot)
{
    uint8_t data[3 * 512];
    struct io io = { .request = { .op = BP_BLOCK_READ,
                                  .offset = 512,
                                  .iov_count = 1,
                                  .flags = BP_BLOCK_INLINE },
                     .iov = { { data, sizeof data } } };

    rig_with(make_image("a.img", BYTES), true);
    memset(data, 0xcc, sizeof data);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 2 * 512, data, 512), 0);
    submit(&io);
    CHECK_EQ(finish(&io), 0);
    CHECK_EQ(data[0], 2);
    CHECK_EQ(data[512], 0xcc);
    CHECK_EQ(data[1024], 4);
    rig_finish();
}

/* --- blocks and paths ----------------------------------------------------*/

TEST(large_logical_blocks)
{
    struct block_options o = { .path = make_image("a.img", 3 * 4096 + 512),
                               .block = 4096 };
    struct bp_block_info info;

    rig_init(BLOCK_DISK);
    insert(&o);
    block_drive_info(rig.drive, &info);
    CHECK_EQ(info.logical_block, 4096);
    CHECK_EQ(info.physical_block, 4096);
    CHECK_EQ(info.bytes, 4 * 4096);
    CHECK_EQ(sector_byte(24), 25);
    CHECK_EQ(sector_byte(25), 0);
    rig_finish();
}

TEST(second_path_sees_what_the_first_writes)
{
    uint8_t data[512];
    struct block_drive *first, *second;
    struct lane *lane;

    rig_with(make_image("a.img", BYTES), true);
    first = rig.drive;
    second = block_drive_share(first, "disk0.vmbus");
    lane = rig.lane;
    CHECK_STR_EQ(second->serial, first->serial);
    memset(data, 0xcc, sizeof data);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 512, data, 512), 0);
    rig.lane = lane_create(rig.lanes, "other", LANE_DEVICE);
    rig.drive = second;
    block_drive_attach(second, rig.lane);
    CHECK_EQ(sector_byte(1), 0xcc);
    memset(data, 0xdd, sizeof data);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 1024, data, 512), 0);
    block_drive_drain(second);
    block_drive_attach(second, NULL);
    lane_destroy(rig.lane);
    rig.lane = lane;
    rig.drive = first;
    CHECK_EQ(sector_byte(2), 0xdd);
    block_drive_destroy(second); /* the medium is the first one's */
    CHECK_EQ(sector_byte(2), 0xdd);
    rig_finish();
}

/* --- errors of the host --------------------------------------------------*/

TEST(file_that_became_shorter_is_an_io_error)
{
    const char *path = make_image("a.img", BYTES);
    uint8_t data[512];

    rig_with(path, false);
    CHECK_EQ(truncate(path, 1024), 0);
    CHECK_EQ(sector_byte(1), 2);
    CHECK_EQ(transfer(BP_BLOCK_READ, 1024, data, 512), -EIO);
    block_drive_drain(rig.drive);
    CHECK_EQ(rig.drive->n_errors, 1);
    rig_finish();
}

TEST(host_without_space_is_enospc)
{
    const char *path = make_image("a.img", 100 * 512);
    struct rlimit limit = { 50 * 512, 50 * 512 };
    uint8_t data[512] = { 0 };

    signal(SIGXFSZ, SIG_IGN);
    rig_with(path, false);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 10 * 512, data, 512), 0);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 60 * 512, data, 512), -ENOSPC);
    rig_finish();
}

/* A medium that fails as told and completes on a thread or at once. */
struct faulty {
    struct block_medium m;
    int32_t status;
    unsigned submitted;
};

static void faulty_submit(struct block_medium *m,
                          struct bp_block_request *request)
{
    struct faulty *f = (struct faulty *)m;

    f->submitted++;
    block_request_done(request, f->status);
}

static void faulty_close(struct block_medium *m)
{
}

static const struct block_medium_ops faulty_ops = {
    .name = "faulty",
    .submit = faulty_submit,
    .close = faulty_close,
};

TEST(error_of_a_medium_reaches_the_device)
{
    struct faulty f = { .m = { .ops = &faulty_ops, .bytes = BYTES },
                        .status = -EIO };
    uint8_t data[512];

    rig_init(BLOCK_DISK);
    rig.drive->medium = &f.m;
    CHECK_EQ(transfer(BP_BLOCK_READ, 0, data, 512), -EIO);
    CHECK_EQ(transfer(BP_BLOCK_READ, BYTES, data, 512), -ERANGE);
    CHECK_EQ(f.submitted, 1);
    block_drive_drain(rig.drive);
    CHECK_EQ(rig.drive->n_errors, 2);
    rig_finish();
}

/* --- opening -------------------------------------------------------------*/

static char *open_error(const struct block_options *o)
{
    GError *error = NULL;
    struct block_medium *m = block_open(o, &error);
    char *text;

    if (m)
        FAIL("'%s' was opened", o->path);
    text = g_strdup(error->message);
    CHECK(strstr(text, o->path));
    CHECK(!strchr(text, '\n'));
    g_error_free(error);
    return text;
}

static void check_open_error(const struct block_options *o, const char *part)
{
    g_autofree char *text = open_error(o);

    if (!strstr(text, part))
        FAIL("'%s' does not say '%s'", text, part);
}

TEST(missing_file_has_a_sentence)
{
    struct block_options o = { .path = path_of("none.img") };

    check_open_error(&o, "No such file");
}

TEST(folder_fifo_and_empty_file_have_a_sentence)
{
    struct block_options o = { .path = test_tmp_dir() };

    check_open_error(&o, "is a folder");
    o.path = path_of("fifo");
    CHECK_EQ(mkfifo(o.path, 0600), 0);
    check_open_error(&o, "neither a file nor a block device");
    o.path = make_image("empty.img", 0);
    check_open_error(&o, "is empty");
    o.path = make_image("tiny.img", 100);
    check_open_error(&o, "too small: 100 bytes");
    o.path = make_image("a.qcow2", 1024);
    check_open_error(&o, "QCOW2");
}

TEST(locked_file_has_a_sentence_and_readers_share)
{
    struct block_options o = { .path = make_image("a.img", BYTES) };
    struct block_options ro = { .path = o.path, .readonly = true };
    struct block_options snap = { .path = o.path, .snapshot = true };
    struct block_medium *m, *other;

    m = block_open(&o, NULL);
    CHECK(m);
    check_open_error(&o, "in use by another");
    check_open_error(&ro, "being written by another");
    check_open_error(&snap, "being written by another");
    m->ops->close(m);
    m = block_open(&ro, NULL);
    other = block_open(&snap, NULL);
    CHECK(m && other);
    check_open_error(&o, "in use by another");
    m->ops->close(m);
    other->ops->close(other);
}

TEST(unwritable_file_has_a_sentence_and_opens_readonly)
{
    struct block_options o = { .path = make_image("a.img", BYTES) };
    struct block_medium *m;

    /* root may write to any file */
    CHECK_EQ(chmod(o.path, 0444), 0);
    CHECK_EQ(chmod(test_tmp_dir(), 0755), 0);
    if (geteuid() == 0)
        CHECK_EQ(setresuid(65534, 65534, 65534), 0);
    check_open_error(&o, "readonly=on or snapshot=on");
    o.readonly = true;
    m = block_open(&o, NULL);
    CHECK(m);
    m->ops->close(m);
}

TEST(readonly_refuses_writes)
{
    struct block_options o = { .path = make_image("a.img", BYTES),
                               .readonly = true };
    struct bp_block_info info;
    uint8_t data[512];

    rig_init(BLOCK_DISK);
    insert(&o);
    block_drive_info(rig.drive, &info);
    CHECK_EQ(info.flags, BP_BLOCK_READONLY | BP_BLOCK_PRESENT);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 0, data, 512), -EROFS);
    CHECK_EQ(transfer(BP_BLOCK_ZERO, 0, NULL, 512), -EROFS);
    CHECK_EQ(transfer(BP_BLOCK_DISCARD, 0, NULL, 512), -EROFS);
    CHECK_EQ(transfer(BP_BLOCK_FLUSH, 0, NULL, 0), 0);
    rig_finish();
}

TEST(odd_size_is_rounded_up_and_reads_as_zeros)
{
    const char *path = make_image("a.img", 1000);
    uint8_t data[1024];

    rig_with(path, false);
    CHECK_EQ(rig.drive->medium->bytes, 1024);
    CHECK_EQ(transfer(BP_BLOCK_READ, 0, data, 1024), 0);
    CHECK_EQ(data[999], 2);
    CHECK_EQ(data[1000], 0);
    CHECK_EQ(data[1023], 0);
    memset(data, 0xbb, sizeof data);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 512, data, 512), 0);
    CHECK_EQ(file_byte(path, 1023), 0xbb);
    rig_finish();
}

TEST(cd_has_blocks_of_2048_bytes)
{
    struct block_options o = { .path = make_image("a.iso", 5000) };
    struct bp_block_info info;

    rig_init(BLOCK_CDROM);
    insert(&o);
    block_drive_info(rig.drive, &info);
    CHECK_EQ(info.logical_block, 2048);
    CHECK_EQ(info.bytes, 3 * 2048);
    CHECK_EQ(info.flags, BP_BLOCK_READONLY | BP_BLOCK_PRESENT |
                             BP_BLOCK_REMOVABLE | BP_BLOCK_CDROM);
    CHECK_EQ(sector_byte(11), 0);
    rig_finish();
}

/* --- snapshots -----------------------------------------------------------*/

TEST(snapshot_leaves_the_file_alone)
{
    const char *path = make_image("a.img", BYTES);
    uint8_t data[512];

    rig_with(path, true);
    memset(data, 0xcc, sizeof data);
    CHECK_EQ(transfer(BP_BLOCK_WRITE, 3 * 512, data, 512), 0);
    CHECK_EQ(transfer(BP_BLOCK_ZERO, 5 * 512, NULL, 512), 0);
    CHECK_EQ(transfer(BP_BLOCK_DISCARD, 6 * 512, NULL, 512), 0);
    CHECK_EQ(sector_byte(2), 3);
    CHECK_EQ(sector_byte(3), 0xcc);
    CHECK_EQ(sector_byte(4), 5);
    CHECK_EQ(sector_byte(5), 0);
    CHECK_EQ(sector_byte(6), 0);
    CHECK_EQ(sector_byte(7), 8);
    rig_finish();
    CHECK_EQ(file_byte(path, 6 * 512), 7);
    CHECK_EQ(file_byte(path, 3 * 512), 4);
    CHECK_EQ(file_byte(path, 5 * 512), 6);
}

/* Random writes and reads against an array; sectors cross words of the map. */
TEST(snapshot_is_the_sum_of_its_writes)
{
    enum { N = 1000 };
    static uint8_t model[N], data[N * 512];
    unsigned seed = 1;

    rig_with(make_image("a.img", N * 512), true);
    for (unsigned i = 0; i < N; i++)
        model[i] = (uint8_t)(i + 1);
    for (unsigned round = 0; round < 400; round++) {
        unsigned at = (unsigned)rand_r(&seed) % N;
        unsigned n = (unsigned)rand_r(&seed) % (round % 8 ? 8 : 300) + 1;

        n = n < N - at ? n : N - at;
        test_note("round %u", round);
        if (round % 2) {
            memset(data, (int)(round & 0xff), n * 512);
            memset(model + at, (int)(round & 0xff), n);
            CHECK_EQ(transfer(BP_BLOCK_WRITE, at * 512, data, n * 512), 0);
            continue;
        }
        CHECK_EQ(transfer(BP_BLOCK_READ, at * 512, data, n * 512), 0);
        for (unsigned i = 0; i < n * 512; i++)
            CHECK_EQ(data[i], model[at + i / 512]);
    }
    rig_finish();
}

/* Takes the parts of a snapshot from one drive and gives them to another. */
static unsigned move_parts(struct block_drive *from, struct block_drive *to)
{
    struct state_writer *w = state_writer_new();
    struct state_reader *r;
    uint64_t next = 0;
    unsigned parts = 0;
    const uint8_t *bytes;
    size_t n;

    while (block_drive_save_part(from, &next, w)) {
        bytes = state_writer_data(w, &n);
        CHECK_LE(n, STATE_MAX_SECTION);
        r = state_reader_new(bytes, n, NULL);
        CHECK(r);
        CHECK(block_drive_load_part(to, r, NULL));
        state_reader_free(r);
        state_writer_reset(w);
        parts++;
    }
    state_writer_free(w);
    return parts;
}

TEST(snapshot_is_saved_in_parts)
{
    enum { MIB = 1 << 20, SIZE = 80 * MIB };
    const char *path = make_image("a.img", 4096);
    struct block_options o = { .path = path, .snapshot = true };
    struct block_drive *other = block_drive_create("disk1", BLOCK_DISK);
    g_autofree uint8_t *data = g_malloc(MIB);

    CHECK_EQ(truncate(path, SIZE), 0);
    rig_with(path, true);
    for (unsigned i = 0; i < 70; i++) {
        memset(data, (int)i + 1, MIB);
        CHECK_EQ(transfer(BP_BLOCK_WRITE, i * (uint64_t)MIB, data, MIB), 0);
    }
    CHECK(block_drive_insert(other, &o, NULL));
    CHECK_EQ(move_parts(rig.drive, other), 3);
    block_drive_attach(other, rig.lane);
    block_drive_attach(rig.drive, NULL);
    block_drive_destroy(rig.drive);
    rig.drive = other;
    CHECK_EQ(sector_byte(0), 1);
    CHECK_EQ(sector_byte(69 * 2048 + 2047), 70);
    CHECK_EQ(sector_byte(70 * 2048), 0);
    rig_finish();
}

/* --- removable media -----------------------------------------------------*/

TEST(user_changes_the_medium_and_the_guest_hears_of_it)
{
    struct block_options a = { .path = make_image("a.iso", 4096) };
    struct block_options b = { .path = make_image("b.iso", 8192) };
    struct bp_block_info info;
    uint8_t data[2048];

    rig_init(BLOCK_CDROM);
    CHECK_EQ(transfer(BP_BLOCK_READ, 0, data, 2048), -ENOMEDIUM);
    insert(&a);
    lanes_drain(rig.lanes);
    CHECK_EQ(rig.changed, 1);
    insert(&b);
    lanes_drain(rig.lanes);
    CHECK_EQ(rig.changed, 2);
    block_drive_info(rig.drive, &info);
    CHECK_EQ(info.bytes, 8192);
    CHECK_EQ(info.generation, 2);
    CHECK(block_drive_eject(rig.drive, false, NULL));
    lanes_drain(rig.lanes);
    CHECK_EQ(rig.changed, 3);
    block_drive_info(rig.drive, &info);
    CHECK_EQ(info.flags, BP_BLOCK_REMOVABLE | BP_BLOCK_CDROM);
    CHECK_EQ(info.bytes, 0);
    rig_finish();
}

TEST(locked_medium_stays_and_the_guest_is_asked)
{
    struct block_options a = { .path = make_image("a.iso", 4096) };
    GError *error = NULL;

    rig_init(BLOCK_CDROM);
    insert(&a);
    block_drive_lock(rig.drive, true);
    CHECK(!block_drive_eject(rig.drive, false, &error));
    CHECK(strstr(error->message, "locked by the guest"));
    g_error_free(error);
    lanes_drain(rig.lanes);
    CHECK_EQ(rig.eject_requests, 1);
    CHECK(!block_drive_insert(rig.drive, &a, NULL));
    CHECK(rig.drive->medium);
    CHECK(block_drive_eject(rig.drive, true, NULL));
    CHECK(!rig.drive->medium);
    rig_finish();
}

TEST(open_tray_is_no_medium_until_it_closes)
{
    struct block_options a = { .path = make_image("a.iso", 4096) };
    uint8_t data[2048];

    rig_init(BLOCK_CDROM);
    insert(&a);
    block_drive_tray(rig.drive, true);
    CHECK_EQ(transfer(BP_BLOCK_READ, 0, data, 2048), -ENOMEDIUM);
    block_drive_tray(rig.drive, false);
    CHECK_EQ(transfer(BP_BLOCK_READ, 0, data, 2048), 0);
    block_drive_tray(rig.drive, true);
    insert(&a);
    CHECK_EQ(transfer(BP_BLOCK_READ, 0, data, 2048), 0);
    rig_finish();
}

TEST(hard_disk_cannot_be_taken_out)
{
    rig_with(make_image("a.img", BYTES), false);
    CHECK(!block_drive_eject(rig.drive, true, NULL));
    rig_finish();
}

/* --- saved machines ------------------------------------------------------*/

static bool reload(struct block_drive *from, struct block_drive *to, char **why)
{
    struct state_writer *w = state_writer_new();
    struct state_reader *r;
    GError *error = NULL;
    const uint8_t *bytes;
    size_t n;
    bool good;

    block_drive_save(from, w);
    bytes = state_writer_data(w, &n);
    r = state_reader_new(bytes, n, NULL);
    good = block_drive_load(to, r, &error);
    CHECK_EQ(state_unknown(r) == NULL, true);
    if (why)
        *why = error ? error->message : NULL;
    state_reader_free(r);
    state_writer_free(w);
    return good;
}

TEST(saved_drive_needs_its_medium)
{
    struct block_options a = { .path = make_image("a.iso", 4096) };
    struct block_drive *other = block_drive_create("cd1", BLOCK_CDROM);
    struct block_drive *disk = block_drive_create("d1", BLOCK_DISK);
    struct block_options d = { .path = make_image("d.img", 512) };
    char *why;

    rig_init(BLOCK_CDROM);
    insert(&a);
    block_drive_lock(rig.drive, true);
    CHECK(!reload(rig.drive, other, &why));
    CHECK(strstr(why, "is empty now"));
    CHECK(block_drive_insert(other, &a, NULL));
    CHECK(reload(rig.drive, other, NULL));
    CHECK(other->locked);
    CHECK_EQ(other->generation, rig.drive->generation);
    CHECK(block_drive_insert(disk, &d, NULL));
    CHECK(!reload(rig.drive, disk, &why));
    CHECK(strstr(why, "4096"));
    block_drive_destroy(other);
    block_drive_destroy(disk);
    rig_finish();
}

/* --- deterministic machines ----------------------------------------------*/

static unsigned order[4], ordered;

static void on_ordered(struct bp_block_request *request)
{
    order[ordered++] = (unsigned)(request->offset / 512);
}

TEST(deterministic_completion_depends_on_virtual_time_only)
{
    struct block_options o = { .path = make_image("a.img", BYTES) };
    static uint8_t data[4][512];
    struct bp_iovec iov[4];
    struct bp_block_request request[4];
    struct clocks *clocks = clocks_create(true);

    rig.lanes = lanes_create(0);
    clocks_set_lanes(clocks, rig.lanes);
    clocks_start(clocks);
    rig.lane = lane_create(rig.lanes, "disk", LANE_DEVICE);
    rig.drive = block_drive_create("disk0", BLOCK_DISK);
    block_drive_set_clocks(rig.drive, clocks);
    block_drive_attach(rig.drive, rig.lane);
    insert(&o);
    for (unsigned i = 0; i < 4; i++) {
        iov[i] = (struct bp_iovec){ data[i], 512 };
        request[i] = (struct bp_block_request){
            .size = sizeof request[i],
            .op = BP_BLOCK_READ,
            .offset = i * 512,
            .iov = &iov[i],
            .iov_count = 1,
            .done = on_ordered,
        };
        lane_enter(rig.lane);
        block_drive_submit(rig.drive, &request[i]);
        lane_leave(rig.lane);
        CHECK_EQ(data[i][0], i + 1); /* executed, not completed */
        if (i == 1)
            clock_advance(clocks, 100000);
    }
    clock_advance(clocks, 199999);
    CHECK_EQ(ordered, 0);
    clock_advance(clocks, 200000);
    CHECK_EQ(ordered, 2);
    block_drive_drain(rig.drive); /* time stands: the rest, now */
    CHECK_EQ(ordered, 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(order[i], i);
    block_drive_attach(rig.drive, NULL);
    block_drive_destroy(rig.drive);
    lane_destroy(rig.lane);
    clocks_destroy(clocks);
    lanes_destroy(rig.lanes);
}
