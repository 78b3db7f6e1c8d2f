/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/ic_guest.h"

#define NO_MORE 0x80070103u

/* Behind the operation */
#define BODY  (HEAD + 4)
#define KEY   12u
#define VALUE (KEY + 512u)

static void expect(uint8_t operation, uint8_t pool)
{
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 2);
    CHECK_EQ(got[HEAD], operation);
    CHECK_EQ(got[HEAD + 1], pool);
}

static void answer_item(const char *key, uint32_t type, const char *value,
                        uint64_t number)
{
    size_t at = BODY + 4;

    put32(at, type);
    put32(at + 4, 2 * (uint32_t)strlen(key) + 2);
    put_text(at + KEY, key);
    if (value) {
        put32(at + 8, 2 * (uint32_t)strlen(value) + 2);
        put_text(at + VALUE, value);
    } else {
        put64(at + VALUE, number);
    }
    answer(0);
}

static void check_answer(struct bench_call *c, const char *text)
{
    CHECK_STR_EQ(bench_answer(c), text);
    bench_call_free(c);
}

TEST(lists_a_pool)
{
    negotiate("ic-kvp", 4, 0);
    struct bench_call *c = bench_call(b, "kvp-list", NULL);
    expect(3, 2);
    CHECK_EQ(get32(BODY), 0);
    answer_item("OSName", 1, "Debian", 0);
    expect(3, 2);
    CHECK_EQ(get32(BODY), 1);
    answer_item("Small", 4, NULL, 4294967295u);
    expect(3, 2);
    answer_item("Large", 11, NULL, 18446744073709551615ull);
    expect(3, 2);
    answer(NO_MORE);
    check_answer(c, "{\"items\":[{\"key\":\"OSName\",\"value\":\"Debian\"},"
                    "{\"key\":\"Small\",\"value\":\"4294967295\"},"
                    "{\"key\":\"Large\",\"value\":\"18446744073709551615\"}]}");
    c = bench_call(b, "kvp-list", "pool=attic", NULL);
    CHECK(g_str_has_prefix(bench_answer(c), "error: there is no such pool"));
    bench_call_free(c);
    c = bench_call(b, "kvp-list", "pool=guest", NULL);
    expect(3, 1);
    answer(NO_MORE);
    check_answer(c, "{\"items\":[]}");
    bench_destroy(b);
}

TEST(a_list_has_an_end)
{
    negotiate("ic-kvp", 4, 0);
    struct bench_call *c = bench_call(b, "kvp-list", NULL);
    unsigned n = 0;
    while (take()) {
        answer_item("k", 1, "v", 0);
        n++;
    }
    CHECK_EQ(n, 1024);
    CHECK(g_str_has_prefix(bench_answer(c), "{\"items\":["));
    bench_call_free(c);
    bench_destroy(b);
}

TEST(sizes_of_the_guest_are_not_believed)
{
    negotiate("ic-kvp", 4, 0);
    struct bench_call *c = bench_call(b, "kvp-get", "key=k", "pool=auto", NULL);
    expect(3, 2);
    memset(got + BODY, 0xff, got_bytes - BODY);
    put32(BODY + 4, 1);
    answer(0);
    CHECK(take());
    put16(8 + 10, 100);
    answer(0);
    check_answer(c, "error: the guest's answer is too short");
    bench_destroy(b);
}

TEST(looks_for_a_key_in_three_pools)
{
    negotiate("ic-kvp", 4, 0);
    struct bench_call *c = bench_call(b, "kvp-get", "key=color", NULL);
    expect(3, 2);
    answer_item("colour", 1, "no", 0);
    expect(3, 2);
    answer(NO_MORE);
    expect(3, 1);
    answer(NO_MORE);
    expect(3, 0);
    answer_item("color", 1, "gr\303\274n", 0);
    check_answer(c, "{\"value\":\"gr\303\203\302\274n\"}");
    c = bench_call(b, "kvp-get", "key=x", "pool=external", NULL);
    expect(3, 0);
    answer(NO_MORE);
    check_answer(c, "error: the guest has no such key");
    c = bench_call(b, "kvp-get", "key=x", "pool=guest", "direct", NULL);
    expect(0, 1);
    check_text(BODY + KEY, "x");
    put32(BODY, 1);
    put32(BODY + 8, 4);
    put_text(BODY + VALUE, "7");
    answer(0);
    check_answer(c, "{\"value\":\"7\"}");
    bench_destroy(b);
}

TEST(sets_and_deletes)
{
    negotiate("ic-kvp", 4, 0);
    struct bench_call *c = bench_call(b, "kvp-set", "key=a", "value=bc", NULL);
    expect(1, 0);
    CHECK_EQ(get32(BODY), 1);
    CHECK_EQ(get32(BODY + 4), 4);
    CHECK_EQ(get32(BODY + 8), 6);
    check_text(BODY + KEY, "a");
    check_text(BODY + VALUE, "bc");
    answer(0);
    check_answer(c, "{}");
    c = bench_call(b, "kvp-delete", "key=a", NULL);
    expect(2, 0);
    CHECK_EQ(get32(BODY), 4);
    check_text(BODY + 4, "a");
    answer(NO_MORE);
    check_answer(c, "error: the guest has no such item");
    char *key = g_strdup_printf("key=%300s", "x");
    check_answer(bench_call(b, "kvp-delete", key, NULL),
                 "error: an argument is too long or no UTF-8");
    g_free(key);
    CHECK(!take());
    bench_destroy(b);
}

TEST(addresses)
{
    negotiate("ic-kvp", 4, 0);
    struct bench_call *c = bench_call(b, "kvp-ip", NULL);
    expect(3, 2);
    CHECK_EQ(get32(BODY), 2);
    answer_item("NetworkAddressIPv4", 1, "10.0.2.15", 0);
    expect(3, 2);
    CHECK_EQ(get32(BODY), 3);
    answer_item("NetworkAddressIPv6", 1, "::1", 0);
    check_answer(c, "{\"ipv4\":\"10.0.2.15\",\"ipv6\":\"::1\"}");
    c = bench_call(b, "kvp-ip", "adapter=00:15:5D:01:02:03", NULL);
    expect(4, 0);
    check_text(HEAD + 2, "00:15:5D:01:02:03");
    got[HEAD + 2 + 257] = 1;
    put_text(HEAD + 2 + 258, "10.0.2.15");
    put_text(HEAD + 2 + 258 + 4096, "10.0.2.2");
    answer(0);
    check_answer(c, "{\"address\":\"10.0.2.15\",\"netmask\":\"\","
                    "\"gateway\":\"10.0.2.2\",\"dns\":\"\",\"dhcp\":true}");
    c = bench_call(b, "kvp-set-ip", "adapter={x}", "address=1.2.3.4", "dhcp",
                   NULL);
    expect(5, 0);
    CHECK_EQ(got_bytes, HEAD + 7428);
    CHECK_EQ(got[HEAD + 2 + 256], 1);
    CHECK_EQ(got[HEAD + 2 + 257], 1);
    check_text(HEAD + 2 + 258, "1.2.3.4");
    answer(0x80041002);
    check_answer(c, "error: the guest does not know this adapter");
    c = bench_call(b, "kvp-set-ip", "adapter=nic10", "address=1.2.3.4", NULL);
    expect(5, 0);
    check_text(HEAD + 2, "{6d8f1c3a-e752-414b-9e0d-5b0c2f77a40a}");
    answer(0);
    check_answer(c, "{}");
    c = bench_call(b, "kvp-set-ip", "adapter=nic256", NULL);
    expect(5, 0);
    check_text(HEAD + 2, "nic256");
    answer(0x80041002);
    check_answer(c, "error: the guest does not know this adapter");
    bench_destroy(b);
}

TEST(calls_wait_in_a_row)
{
    struct bench_call *c[20];

    negotiate("ic-kvp", 4, 0);
    for (unsigned i = 0; i < 20; i++)
        c[i] = bench_call(b, "kvp-delete", "key=a", NULL);
    CHECK_STR_EQ(bench_answer(c[17]),
                 "error: too many requests wait for the guest");
    bench_call_free(c[0]);
    bench_call_free(c[2]);
    for (unsigned i = 0; i < 15; i++) {
        CHECK(take());
        answer(0);
    }
    CHECK(!take());
    CHECK_STR_EQ(bench_answer(c[15]), "{}");
    for (unsigned i = 0; i < 20; i++) {
        if (i != 0 && i != 2)
            bench_call_free(c[i]);
    }
    c[0] = bench_call(b, "kvp-delete", "key=a", NULL);
    c[1] = bench_call(b, "kvp-delete", "key=a", NULL);
    bench_step(b, 46000000000ull);
    check_answer(c[0], "error: the guest does not answer");
    check_answer(c[1], "error: the guest does not answer");
    CHECK(take());
    answer(0);
    bench_destroy(b);
}

TEST(a_guest_without_a_daemon)
{
    b = mock_bench("ic-kvp", NULL);
    ch = mock_channel(0);
    CHECK(mock_open(b, ch));
    check_answer(bench_call(b, "kvp-list", NULL),
                 "error: the guest's service does not answer (does its "
                 "daemon run?)");
    bench_destroy(b);
}
