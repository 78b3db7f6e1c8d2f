/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/ic_guest.h"

#define CHECK_COPY 2
#define FREEZE     5
#define THAW       6

static void expect(uint8_t operation)
{
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 5);
    CHECK_EQ(got_bytes, HEAD + 12);
    CHECK_EQ(got[HEAD], operation);
}

static void check_answer(struct bench_call *c, const char *text)
{
    CHECK_STR_EQ(bench_answer(c), text);
    bench_call_free(c);
}

static void freeze(const char *word)
{
    struct bench_call *c = bench_call(b, "freeze", word, NULL);

    expect(CHECK_COPY);
    answer(0);
    expect(FREEZE);
    CHECK(!bench_answer(c));
    answer(0);
    check_answer(c, "{}");
}

TEST(freezes_and_thaws)
{
    negotiate("ic-vss", 5, 0);
    freeze("until-start=off");
    CHECK(!take());
    check_answer(bench_call(b, "freeze", NULL),
                 "error: the guest is frozen already");
    struct bench_call *c = bench_call(b, "thaw", NULL);
    expect(THAW);
    answer(0);
    check_answer(c, "{}");
    bench_destroy(b);
}

TEST(failures_are_told)
{
    negotiate("ic-vss", 5, 0);
    struct bench_call *c = bench_call(b, "freeze", NULL);
    expect(CHECK_COPY);
    answer(0x80004005);
    check_answer(c, "error: the guest failed to do it");
    c = bench_call(b, "freeze", NULL);
    expect(CHECK_COPY);
    answer(0);
    expect(FREEZE);
    answer(0x80004005);
    check_answer(c, "error: the guest failed to do it");
    CHECK(!take());
    bench_destroy(b);
    b = mock_bench("ic-vss", NULL);
    check_answer(bench_call(b, "freeze", NULL),
                 "error: the guest has not opened the channel of this "
                 "service");
    bench_destroy(b);
}

TEST(nobody_is_left_with_a_frozen_guest)
{
    negotiate("ic-vss", 5, 0);
    /* The client goes away before the guest is frozen ... */
    struct bench_call *c = bench_call(b, "freeze", NULL);
    expect(CHECK_COPY);
    answer(0);
    expect(FREEZE);
    bench_call_free(c);
    answer(0);
    expect(THAW);
    answer(0);
    /* ... or the guest is too late. */
    c = bench_call(b, "freeze", NULL);
    expect(CHECK_COPY);
    bench_step(b, 41000000000ull);
    check_answer(c, "error: the guest does not answer");
    answer(0);
    expect(THAW);
    answer(0);
    CHECK(!take());
    bench_destroy(b);
}

TEST(thaws_when_the_machine_runs_again)
{
    negotiate("ic-vss", 5, 0);
    freeze("until-start");
    bench_run(b);
    CHECK(!take());
    bench_save_load(b); /* and runs on */
    expect(THAW);
    answer(0);
    freeze("until-start=off");
    bench_save_load(b);
    CHECK(!take());
    bench_destroy(b);
}
