/* SPDX-License-Identifier: Apache-2.0 */
/* Drives and raw images: requests, errors, opening. */
#include "tests/unit/block_rig.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
