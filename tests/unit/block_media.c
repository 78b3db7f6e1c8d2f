/* SPDX-License-Identifier: Apache-2.0 */
/* Drives: snapshots, media that come and go, saved and deterministic
 * machines. */
#include "tests/unit/block_rig.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/clock.h"
#include "state/stream.h"

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
