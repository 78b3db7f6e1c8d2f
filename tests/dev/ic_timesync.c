/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/ic_guest.h"

#define SECOND 1000000000ull
#define EPOCH  116444736000000000ull

static const struct {
    uint16_t major;
    uint32_t bytes, flags_at;
} versions[] = { { 4, 22, 16 }, { 3, 25, 24 }, { 1, 25, 24 } };

TEST_P(sets_the_clock_once_and_gives_samples, versions)
{
    negotiate("ic-timesync", row->major, 0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(take());
        CHECK_EQ(get16(8 + 4), 4);
        CHECK_EQ(got_bytes, HEAD + row->bytes);
        CHECK_EQ(get64(HEAD), EPOCH + bench_now(b) / 100);
        if (row->major == 4)
            CHECK_EQ(get64(HEAD + 8), bench_now(b) / 100);
        CHECK_EQ(got[HEAD + row->flags_at], i ? 2 : 1);
        answer(0);
        CHECK(!take());
        bench_step(b, 5 * SECOND);
    }
    bench_destroy(b);
}

TEST(a_jump_of_the_clock_is_corrected)
{
    negotiate("ic-timesync", 4, 0);
    CHECK(take());
    answer(0);
    bench_step(b, 5 * SECOND);
    CHECK(take());
    CHECK_EQ(got[HEAD + 16], 2);
    /* The host's clock is set while the guest has not answered. */
    bench_set_wall(b, 1000 * SECOND);
    bench_step(b, 5 * SECOND);
    CHECK(!take());
    answer(0);
    CHECK(take());
    CHECK_EQ(got[HEAD + 16], 1);
    CHECK_EQ(get64(HEAD), EPOCH + (1000 * SECOND + bench_now(b)) / 100);
    answer(0);
    bench_step(b, 5 * SECOND);
    CHECK(take());
    CHECK_EQ(got[HEAD + 16], 2);
    answer(0);
    /* A drift is none. */
    bench_set_wall(b, 1000 * SECOND + SECOND / 5);
    bench_step(b, 5 * SECOND);
    CHECK(take());
    CHECK_EQ(got[HEAD + 16], 2);
    bench_destroy(b);
}

TEST(a_restored_machine_is_told_at_once)
{
    negotiate("ic-timesync", 4, 0);
    CHECK(take());
    answer(0);
    bench_save_load(b);
    bench_set_wall(b, 77777 * SECOND);
    bench_start(b);
    bench_step(b, 1);
    CHECK(take());
    CHECK_EQ(got[HEAD + 16], 1);
    bench_destroy(b);
}

TEST(samples_only)
{
    static const char *const settings[] = { "sync=off", NULL };

    b = mock_bench("ic-timesync", settings);
    ch = mock_channel(0);
    CHECK(mock_open(b, ch));
    CHECK(take());
    choose(4, 0);
    CHECK(take());
    CHECK_EQ(got[HEAD + 16], 2);
    bench_destroy(b);
}
