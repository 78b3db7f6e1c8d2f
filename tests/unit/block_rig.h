/* SPDX-License-Identifier: Apache-2.0 */
/* A drive on a lane, images, and requests that a test waits for. */
#ifndef TESTS_UNIT_BLOCK_RIG_H
#define TESTS_UNIT_BLOCK_RIG_H

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "sched/lane.h"
#include "tests/lib/test.h"

#define SECTORS 64u
#define BYTES   (SECTORS * 512u)

struct rig {
    struct lanes *lanes;
    struct lane *lane;
    struct block_drive *drive;
    unsigned changed, eject_requests;
};

static struct rig rig;

static inline const char *path_of(const char *name)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", test_tmp_dir(), name);
    return p;
}

/* Sector n is filled with the byte n + 1. */
static inline const char *make_image(const char *name, uint64_t bytes)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");

    CHECK(f);
    for (uint64_t i = 0; i < bytes; i++)
        fputc((int)(i / 512 + 1) & 0xff, f);
    fclose(f);
    return path;
}

static inline void on_changed(void *ctx)
{
    __atomic_add_fetch(&rig.changed, 1, __ATOMIC_SEQ_CST);
}

static inline void on_eject_request(void *ctx)
{
    __atomic_add_fetch(&rig.eject_requests, 1, __ATOMIC_SEQ_CST);
}

static inline void rig_init(enum block_drive_kind kind)
{
    rig.lanes = lanes_create(2);
    rig.lane = lane_create(rig.lanes, "disk", LANE_DEVICE);
    rig.drive = block_drive_create("disk0", kind);
    block_drive_attach(rig.drive, rig.lane);
    block_drive_listen(rig.drive, on_changed, on_eject_request, &rig);
}

static inline void rig_finish(void)
{
    block_drive_drain(rig.drive);
    block_drive_attach(rig.drive, NULL);
    lane_destroy(rig.lane);
    block_drive_destroy(rig.drive);
    lanes_destroy(rig.lanes);
}

static inline void insert(const struct block_options *o)
{
    GError *error = NULL;

    if (!block_drive_insert(rig.drive, o, &error))
        FAIL("%s", error->message);
}

static inline void rig_with(const char *path, bool snapshot)
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

static inline void on_done(struct bp_block_request *request)
{
    struct io *io = request->ctx;

    CHECK(lane_held(rig.lane));
    sem_post(&io->done);
}

static inline void submit(struct io *io)
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

static inline int32_t finish(struct io *io)
{
    while (sem_wait(&io->done) < 0)
        ;
    return io->request.status;
}

static inline int32_t transfer(uint32_t op, uint64_t offset, void *data,
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

static inline uint8_t sector_byte(uint64_t sector)
{
    uint8_t data[512];

    CHECK_EQ(transfer(BP_BLOCK_READ, sector * 512, data, 512), 0);
    for (unsigned i = 1; i < 512; i++)
        CHECK_EQ(data[i], data[0]);
    return data[0];
}

static inline uint8_t file_byte(const char *path, uint64_t offset)
{
    uint8_t c = 0;
    int fd = open(path, O_RDONLY);

    CHECK_EQ(pread(fd, &c, 1, (off_t)offset), 1);
    close(fd);
    return c;
}

#endif
