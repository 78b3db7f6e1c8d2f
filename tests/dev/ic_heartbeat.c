/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat, and with it what all integration components share. */
#include "tests/dev/ic_guest.h"

#define SECOND 1000000000ull

static void check_status(const char *want)
{
    struct bench_call *c = bench_call(b, "heartbeat", NULL);
    char *begin = g_strdup_printf("{\"status\":\"%s\"", want);

    CHECK(g_str_has_prefix(bench_answer(c), begin));
    g_free(begin);
    bench_call_free(c);
}

TEST(offers_versions_when_it_is_opened)
{
    b = mock_bench("ic-heartbeat", NULL);
    ch = mock_channel(0);
    CHECK_EQ(ch->offer.flags, 0x11);
    CHECK_EQ(ch->offer.user[0], 4);
    CHECK_EQ(ch->offer.type.b[0], 0x39);
    CHECK(!take());
    check_status("no-contact");
    CHECK(mock_open(b, ch));
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 0);
    CHECK_EQ(get16(HEAD), 2);
    CHECK_EQ(get16(HEAD + 2), 3);
    CHECK_EQ(get16(HEAD + 8), 3);
    CHECK_EQ(get16(HEAD + 12), 1);
    CHECK_EQ(get16(HEAD + 16), 3);
    CHECK_EQ(get16(HEAD + 18), 1);
    CHECK(!take());
    choose(3, 0);
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 1);
    CHECK_EQ(get16(8 + 6), 3);
    CHECK_EQ(get16(8 + 8), 0);
    bench_destroy(b);
}

static const struct {
    uint16_t frameworks, messages, major, minor;
} refused[] = {
    { 0, 0, 3, 0 }, { 1, 0, 3, 0 }, { 1, 1, 9, 0 },
    { 1, 1, 3, 7 }, { 2, 1, 3, 0 }, { 0xffff, 0xffff, 3, 0 },
};

TEST_P(refuses_what_it_has_not_offered, refused)
{
    b = mock_bench("ic-heartbeat", NULL);
    ch = mock_channel(0);
    CHECK(mock_open(b, ch));
    CHECK(take());
    put16(HEAD + 8, 3);
    put16(HEAD + 10, 0);
    put16(HEAD + 12, row->major);
    put16(HEAD + 14, row->minor);
    put16(HEAD, row->frameworks);
    put16(HEAD + 2, row->messages);
    answer(0);
    bench_step(b, 10 * SECOND);
    CHECK(!take());
    check_status("no-contact");
    /* Another driver of the guest may do better. */
    CHECK(mock_close(b, ch));
    CHECK(mock_open(b, ch));
    CHECK(take());
    choose(1, 0);
    CHECK(take());
    bench_destroy(b);
}

TEST(beats_every_two_seconds)
{
    negotiate("ic-heartbeat", 3, 0);
    for (unsigned i = 1; i < 5; i++) {
        CHECK(take());
        CHECK_EQ(get64(HEAD), i);
        CHECK(!take());
        put64(HEAD, i + 1);
        answer(0);
        check_status("ok");
        bench_step(b, 2 * SECOND);
    }
    char *event = bench_event(b);
    CHECK_STR_EQ(event, "HEARTBEAT {\"device\":\"ic-heartbeat\","
                        "\"status\":\"ok\"}");
    g_free(event);
    CHECK(!bench_event(b));
    /* The guest hangs, and comes back. */
    CHECK(take());
    bench_step(b, 2 * SECOND);
    bench_step(b, 2 * SECOND);
    check_status("ok");
    bench_step(b, 2 * SECOND);
    bench_step(b, 2 * SECOND);
    check_status("lost");
    put64(HEAD, get64(HEAD) + 1);
    answer(0);
    check_status("ok");
    CHECK(mock_close(b, ch));
    check_status("no-contact");
    bench_step(b, 10 * SECOND);
    CHECK(!take());
    bench_destroy(b);
}

TEST(applications_are_told_from_version_3_1_on)
{
    negotiate("ic-heartbeat", 3, 1);
    CHECK(take());
    put64(HEAD, 2);
    put32(HEAD + 8, 2);
    answer(0);
    struct bench_call *c = bench_call(b, "heartbeat", NULL);
    CHECK_STR_EQ(bench_answer(c), "{\"status\":\"ok\",\"applications\":"
                                  "\"critical\",\"beats\":1}");
    bench_call_free(c);
    bench_destroy(b);
}

TEST(waits_for_room_in_the_ring)
{
    b = mock_bench("ic-heartbeat", NULL);
    ch = mock_channel(0);
    ch->room = 0;
    CHECK(mock_open(b, ch));
    ch->room = 0;
    CHECK(!take());
    bench_save_load(b);
    mock_make_room(b, ch, 1);
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 0);
    choose(3, 0);
    CHECK(!take());
    mock_make_room(b, ch, 10);
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 1);
    bench_destroy(b);
}

TEST(goes_on_after_it_was_restored)
{
    negotiate("ic-heartbeat", 3, 0);
    CHECK(take());
    bench_save_load(b);
    put64(HEAD, 2);
    answer(0);
    check_status("ok");
    bench_step(b, 2 * SECOND);
    CHECK(take());
    CHECK_EQ(get64(HEAD), 2);
    bench_reset(b, BP_RESET_COLD);
    check_status("no-contact");
    CHECK(mock_close(b, ch));
    bench_destroy(b);
}

static const struct {
    uint32_t pipe, size;
    uint16_t bytes;
    uint8_t id, flags;
} strange[] = {
    { 0, 60, 40, 2, 5 },         { 1, 65, 40, 2, 5 }, { 1, 19, 40, 2, 5 },
    { 1, 0xffffffff, 40, 2, 5 }, { 1, 60, 41, 2, 5 }, { 1, 60, 0xffff, 2, 5 },
    { 1, 60, 7, 2, 5 },          { 1, 60, 40, 1, 5 }, { 1, 60, 40, 2, 3 },
    { 2, 60, 40, 2, 5 },
};

TEST_P(survives_strange_answers, strange)
{
    negotiate("ic-heartbeat", 3, 0);
    CHECK(take());
    put64(HEAD, 2);
    put32(0, row->pipe);
    put32(4, row->size);
    put16(8 + 10, row->bytes);
    got[8 + 16] = row->id;
    got[8 + 17] = row->flags;
    put32(8 + 12, 0);
    mock_put(b, ch, got, (uint32_t)got_bytes);
    mock_put(b, ch, got, 9);
    mock_put(b, ch, got, 0);
    check_status("no-contact");
    bench_destroy(b);
}
