/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/ic_guest.h"

static struct bench_call *call;

static const struct {
    const char *word;
    uint32_t flags;
} requests[] = {
    { "device=ic-shutdown", 0 }, { "force", 1 },     { "restart", 2 },
    { "hibernate", 4 },          { "force=off", 0 },
};

TEST_P(asks_the_guest, requests)
{
    negotiate("ic-shutdown", 3, 2);
    call = bench_call(b, "shutdown", "reason=Night", row->word, NULL);
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 3);
    CHECK_EQ(got_bytes, HEAD + 12 + 2048);
    CHECK_EQ(get32(HEAD), 0x80000000);
    CHECK_EQ(get32(HEAD + 8), row->flags);
    check_text(HEAD + 12, "Night");
    CHECK(!bench_answer(call));
    answer(0);
    CHECK_STR_EQ(bench_answer(call), "{}");
    bench_call_free(call);
    bench_destroy(b);
}

TEST(says_why_it_did_not_work)
{
    negotiate("ic-shutdown", 3, 0);
    call = bench_call(b, "shutdown", NULL);
    CHECK(take());
    answer(0x80070032);
    CHECK_STR_EQ(bench_answer(call), "error: the guest does not support it");
    bench_call_free(call);
    call = bench_call(b, "shutdown", NULL);
    struct bench_call *second = bench_call(b, "shutdown", NULL);
    CHECK_STR_EQ(bench_answer(second),
                 "error: the guest is busy with another request");
    bench_call_free(second);
    bench_step(b, 11000000000ull);
    CHECK_STR_EQ(bench_answer(call), "error: the guest does not answer");
    bench_call_free(call);
    CHECK(take());
    answer(0);
    call = bench_call(b, "shutdown", NULL);
    CHECK(mock_close(b, ch));
    CHECK_STR_EQ(bench_answer(call), "error: the guest closed the channel");
    bench_call_free(call);
    bench_destroy(b);
}

TEST(a_client_may_go_away)
{
    negotiate("ic-shutdown", 3, 0);
    bench_call_free(bench_call(b, "shutdown", NULL));
    CHECK(take());
    answer(0);
    call = bench_call(b, "shutdown", NULL);
    bench_save_load(b);
    CHECK_STR_EQ(bench_answer(call), "error: the device is gone");
    CHECK(take());
    answer(0);
    bench_call_free(call);
    bench_destroy(b);
}

TEST(refuses_a_long_reason)
{
    char *reason = g_strdup_printf("reason=%2000s", "x");

    negotiate("ic-shutdown", 3, 0);
    call = bench_call(b, "shutdown", reason, NULL);
    CHECK_STR_EQ(bench_answer(call),
                 "error: the reason is too long or no UTF-8");
    bench_call_free(call);
    CHECK(!take());
    g_free(reason);
    bench_destroy(b);
}
