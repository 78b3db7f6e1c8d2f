/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic memory against a guest that is the test; and the set of pages. */
#include <string.h>

#include "mem/map.h"
#include "plugins/synthetic/page_ranges.h"
#include "tests/lib/test.h"
#include "tests/lib/vmbus_mock.h"
#include "vm/bench.h"
#include "vm/hot_ram.h"
#include "vm/vm.h"
#include "plugins/synthetic/wire.h"

#define MIB    256ull /* pages */
#define SECOND 1000000000ull

static struct bench *b;
static struct mock_channel *ch;
static uint8_t got[8192];
static size_t got_bytes;

static bool take(void)
{
    GBytes *bytes = mock_take(b, ch);

    if (!bytes)
        return false;
    memcpy(got, g_bytes_get_data(bytes, &got_bytes), g_bytes_get_size(bytes));
    g_bytes_unref(bytes);
    CHECK_EQ(wire_u16(got + 2), got_bytes);
    return true;
}

static void expect(uint16_t type)
{
    CHECK(take());
    CHECK_EQ(wire_u16(got), type);
}

/* A message of 64-bit words after the head. */
static int32_t put(uint16_t type, unsigned n, const uint64_t *words)
{
    uint8_t m[8192] = { 0 };

    wire_put16(m, type);
    wire_put16(m + 2, (uint16_t)(8 + 8 * n));
    wire_put32(m + 4, 77);
    for (unsigned i = 0; i < n; i++)
        wire_put64(m + 8 + 8 * i, words[i]);
    return mock_put(b, ch, m, 8 + 8 * n);
}

static int32_t put1(uint16_t type, uint64_t word)
{
    return put(type, 1, &word);
}

static uint64_t range(uint64_t first, uint64_t pages)
{
    return first | pages << 40;
}

static uint64_t low_end;

static void setup(uint64_t hot, const char *const *settings)
{
    b = bench_empty();
    CHECK(hot_ram_create(bench_vm(b), bench_vm(b)->ram->size + hot, low_end,
                         NULL));
    CHECK(bench_try_add(b, &vmbus_mock_desc, "vmbus", NULL, NULL));
    mock_add(b, "dynmem", settings);
    bench_power_on(b);
    bench_start(b);
    ch = mock_channel(0);
}

static void ready(uint32_t version, uint64_t caps)
{
    const uint64_t told[] = { caps, 0, UINT64_MAX };

    CHECK(mock_open(b, ch));
    CHECK_EQ(put1(1, version), 0);
    expect(2);
    CHECK_EQ(wire_u32(got + 4), 77);
    CHECK_EQ(got[8], 1);
    CHECK_EQ(put(3, 3, told), 0);
    expect(4);
    CHECK_EQ(got[8], 1);
    if (version >= 0x10000) {
        expect(12);
        CHECK_EQ(wire_u32(got + 12), 16);
        CHECK_EQ(wire_u64(got + 24),
                 (bench_vm(b)->ram->size >> 12) +
                     (bench_vm(b)->hot_ram ? 4 * 128 * MIB : 0));
    }
    CHECK(!take());
}

static const char *member(struct bench_call *c, const char *name)
{
    char *key = g_strdup_printf("\"%s\":", name);
    const char *at = strstr(bench_answer(c), key);

    g_free(key);
    return at ? at + strlen(name) + 3 : NULL;
}

static int64_t status_of(const char *name)
{
    struct bench_call *c = bench_call(b, "memory", NULL);
    const char *text = member(c, name);
    int64_t value = text ? g_ascii_strtoll(text, NULL, 10) : -1;

    bench_call_free(c);
    return value;
}

TEST(versions_are_tried)
{
    setup(0, NULL);
    CHECK_LT(put1(1, 0x20000), 0);
    CHECK(mock_open(b, ch));
    CHECK_EQ(put1(1, 0x30000), 0);
    expect(2);
    CHECK_EQ(got[8], 0);
    CHECK_LT(put1(3, 3), 0);
    CHECK_EQ(put1(1, 0x10000), 0);
    expect(2);
    CHECK_EQ(got[8], 1);
    CHECK_LT(put1(1, 0x10000), 0);
    CHECK(mock_close(b, ch));
    ready(3, 3);
    bench_destroy(b);
}

TEST(takes_pages_and_gives_them_back)
{
    uint8_t *ram;

    setup(0, NULL);
    ready(0x20000, 3 | 7 << 2);
    ram = bench_ram(b);
    memset(ram + (4 << 20), 0xaa, 8 << 20);
    struct bench_call *c = bench_call(b, "memory", "size=12M", NULL);
    expect(6);
    CHECK_EQ(wire_u32(got + 8), 4 * MIB);
    CHECK(!take());
    const uint64_t first[] = { 1ull << 32 | 2ull << 32,
                               range(4 * MIB, 2 * MIB) };
    CHECK_EQ(put(7, 2, first), 0);
    CHECK_EQ(ram[(4 << 20) + 5], 0);
    CHECK_EQ(ram[(6 << 20) + 5], 0xaa);
    CHECK(!bench_answer(c));
    const uint64_t second[] = { 4ull << 32, range(6 * MIB, MIB),
                                range(7 * MIB, MIB) };
    CHECK_EQ(put(7, 3, second), 0);
    CHECK_EQ(g_ascii_strtoll(member(c, "assigned"), NULL, 10), 12);
    bench_call_free(c);
    CHECK_EQ(status_of("ballooned"), 4);
    char *event = bench_event(b);
    CHECK_STR_EQ(event, "BALLOON_CHANGE {\"device\":\"dynmem\",\"actual\":"
                        "12582912}");
    g_free(event);
    /* And back, after a restore. */
    bench_save_load(b);
    c = bench_call(b, "memory", "size=15M", NULL);
    expect(8);
    CHECK_EQ(wire_u32(got + 8), 0);
    CHECK_EQ(wire_u32(got + 12), 1);
    CHECK_EQ(wire_u64(got + 16), range(5 * MIB, 3 * MIB));
    CHECK_EQ(put(9, 0, NULL), 0);
    CHECK_EQ(g_ascii_strtoll(member(c, "assigned"), NULL, 10), 15);
    bench_call_free(c);
    bench_destroy(b);
}

TEST(a_guest_may_give_less)
{
    setup(0, NULL);
    ready(0x20000, 1);
    struct bench_call *c = bench_call(b, "memory", "size=8M", NULL);
    expect(6);
    CHECK_EQ(put1(7, 0), 0);
    CHECK_EQ(g_ascii_strtoll(member(c, "assigned"), NULL, 10), 16);
    bench_call_free(c);
    CHECK(!take());
    bench_step(b, 5 * SECOND);
    CHECK(!take());
    for (unsigned i = 0; i < 5; i++)
        bench_step(b, 5 * SECOND);
    expect(6);
    bench_destroy(b);
}

static const struct {
    uint64_t first, pages;
} wild[] = {
    { 4096, 1 }, /* behind the end of memory */
    { 4095, 2 }, /* and across it */
    { 0xffffffffff, 1 }, { 0, 0 },
    { 0, 5 * MIB }, /* more than was asked for */
    { 0xfee00, 1 },      { 0xa0, 1 },
};

TEST_P(pages_are_checked, wild)
{
    const uint64_t words[] = { 2ull << 32, range(row->first, row->pages) };

    setup(0, NULL);
    ready(0x20000, 1);
    CHECK_LT(put(7, 2, words), 0);
    bench_call_free(bench_call(b, "memory", "size=12M", NULL));
    expect(6);
    CHECK_EQ(put(7, 2, words), 0);
    CHECK_EQ(status_of("ballooned"), 0);
    CHECK_EQ(status_of("assigned"), 16);
    bench_destroy(b);
}

TEST(the_same_pages_twice)
{
    const uint64_t words[] = { 1ull << 32 | 4ull << 32, range(512, 256),
                               range(512, 256) };
    uint8_t *ram;

    setup(0, NULL);
    ready(0x20000, 1);
    ram = bench_ram(b);
    bench_call_free(bench_call(b, "memory", "size=12M", NULL));
    expect(6);
    CHECK_EQ(put(7, 3, words), 0);
    CHECK_EQ(status_of("ballooned"), 1);
    /* What was asked for is used up by attempts, too. */
    ram[2 << 20] = 1;
    CHECK_EQ(put(7, 3, words), 0);
    CHECK_EQ(status_of("ballooned"), 1);
    ram[2 << 20] = 1;
    CHECK_EQ(put(7, 3, words), 0);
    CHECK_EQ(ram[2 << 20], 1);
    /* A count that the message has no room for. */
    const uint64_t liar[] = { 0xfffffffeull << 32, 1 };
    CHECK_LT(put(7, 2, liar), 0);
    bench_destroy(b);
}

TEST(adds_memory)
{
    struct map_hit hit;
    uint64_t gpa;

    setup(512 << 20, NULL);
    gpa = bench_vm(b)->hot_ram->high_gpa;
    CHECK_EQ(gpa, 1ull << 32);
    ready(0x20000, 3 | 7 << 2);
    CHECK_EQ(status_of("maximum"), 528);
    struct bench_call *c = bench_call(b, "memory", "size=400M", NULL);
    expect(10);
    CHECK_EQ(wire_u64(got + 8), range(gpa >> 12, 3 * 128 * MIB));
    map_find(bench_vm(b)->map, gpa + (300 << 20), REGION_WRITE, &hit);
    CHECK(hit.mem != NULL);
    bench_write(b, gpa, 4, 0x12345678);
    /* The guest takes two blocks. */
    CHECK_EQ(put1(11, 1ull << 32 | 2 * 128 * MIB), 0);
    CHECK(g_str_has_prefix(bench_answer(c), "{"));
    bench_call_free(c);
    map_find(bench_vm(b)->map, gpa + (300 << 20), REGION_WRITE, &hit);
    CHECK(hit.mem == NULL);
    CHECK_EQ(status_of("added"), 256);
    CHECK_EQ(status_of("assigned"), 272);
    bench_save_load(b);
    CHECK_EQ(bench_read(b, gpa, 4), 0x12345678);
    CHECK_EQ(bench_vm(b)->hot_ram->regions->len, 2);
    /* It has said that it cannot take more. */
    c = bench_call(b, "memory", "size=500M", NULL);
    CHECK(!take());
    CHECK(bench_answer(c));
    bench_call_free(c);
    /* Pages of it can be given, too. */
    c = bench_call(b, "memory", "size=271M", NULL);
    expect(6);
    const uint64_t words[] = { 2ull << 32, range(gpa >> 12, MIB) };
    CHECK_EQ(put(7, 2, words), 0);
    CHECK_EQ(bench_read(b, gpa, 4), 0);
    bench_call_free(c);
    bench_reset(b, BP_RESET_COLD);
    CHECK_EQ(bench_vm(b)->hot_ram->regions->len, 0);
    CHECK_EQ(status_of("assigned"), 16);
    bench_destroy(b);
}

TEST(blocks_below_4_gib_come_first)
{
    low_end = 400 << 20;
    setup(512 << 20, NULL);
    CHECK_EQ(bench_vm(b)->hot_ram->low_blocks, 2);
    CHECK_EQ(hot_ram_low_end(bench_vm(b)), 384 << 20);
    ready(0x20000, 3);
    bench_call_free(bench_call(b, "memory", "size=528M", NULL));
    expect(10);
    CHECK_EQ(wire_u64(got + 8), range(128 * MIB, 2 * 128 * MIB));
    CHECK_EQ(put1(11, 1ull << 32 | 2 * 128 * MIB), 0);
    expect(10);
    CHECK_EQ(wire_u64(got + 8), range((1ull << 32) >> 12, 2 * 128 * MIB));
    CHECK_EQ(put1(11, 1ull << 32 | 2 * 128 * MIB), 0);
    CHECK_EQ(status_of("assigned"), 528);
    bench_destroy(b);
}

TEST(follows_the_demand)
{
    static const char *const settings[] = { "min=8M", "buffer=50", NULL };
    uint64_t status[4] = { 100, 12 * MIB };

    setup(512 << 20, settings);
    ready(0x20000, 3);
    bench_step(b, 5 * SECOND);
    CHECK(!take());
    status[1] = 400 * MIB;
    CHECK_EQ(put(5, 4, status), 0);
    CHECK_EQ(status_of("demand"), 400);
    bench_step(b, 5 * SECOND);
    expect(10);
    CHECK_EQ(wire_u64(got + 8) >> 40, 3 * 128 * MIB + 128 * MIB);
    CHECK_EQ(put1(11, 1ull << 32 | 4 * 128 * MIB), 0);
    CHECK_EQ(status_of("assigned"), 528);
    status[1] = 100 * MIB;
    CHECK_EQ(put(5, 4, status), 0);
    bench_step(b, 5 * SECOND);
    expect(6);
    uint32_t asked = wire_u32(got + 8);
    CHECK_GT(asked, 370 * MIB);
    CHECK_LT(asked, 380 * MIB);
    /* What it gives is not taken for less demand before it says so. */
    for (uint64_t at = 0; asked; at += 32768) {
        uint64_t gpa = (1ull << 32) / 4096 + at, n = MIN(asked, 32768);
        const uint64_t words[] = { (uint64_t)(asked > n ? 3 : 2) << 32,
                                   range(gpa, n) };
        CHECK_EQ(put(7, 2, words), 0);
        asked -= (uint32_t)n;
    }
    CHECK(!take());
    CHECK_EQ(status_of("demand"), 100);
    bench_destroy(b);
}

TEST(without_a_driver_or_room)
{
    setup(0, NULL);
    struct bench_call *c = bench_call(b, "memory", "size=12M", NULL);
    CHECK_STR_EQ(bench_answer(c),
                 "error: the guest has no driver for it (hv_balloon)");
    bench_call_free(c);
    CHECK(mock_open(b, ch));
    mock_make_room(b, ch, 0);
    CHECK_EQ(put1(1, 0x20000), 0);
    CHECK(!take());
    CHECK_LT(put1(1, 0x20000), 0);
    bench_save_load(b);
    mock_make_room(b, ch, 1);
    expect(2);
    const uint64_t told[] = { 3, 0, 0 };
    CHECK_EQ(put(3, 3, told), 0);
    CHECK(!take());
    mock_make_room(b, ch, 2);
    expect(4);
    expect(12);
    c = bench_call(b, "memory", "size=12M", NULL);
    CHECK(!take());
    mock_make_room(b, ch, 1);
    expect(6);
    CHECK(mock_close(b, ch));
    CHECK_STR_EQ(bench_answer(c), "error: the guest closed the channel");
    bench_call_free(c);
    bench_destroy(b);
}

static const struct {
    const char *size, *error;
} sizes[] = {
    { "size=x", "error: a size is wanted, of 8M or more, or auto" },
    { "size=12Mx", "error: a size is wanted, of 8M or more, or auto" },
    { "size=99999999999T", "error: a size is wanted, of 8M or more, or auto" },
    { "size=17M", "error: the machine cannot have that much (--memory-max)" },
};

TEST_P(orders_are_checked, sizes)
{
    setup(0, NULL);
    ready(0x20000, 3);
    struct bench_call *c = bench_call(b, "memory", row->size, NULL);
    CHECK_STR_EQ(bench_answer(c), row->error);
    bench_call_free(c);
    c = bench_call(b, "memory", "size=auto", NULL);
    CHECK(g_str_has_prefix(bench_answer(c), "{\"state\":\"ready\""));
    bench_call_free(c);
    bench_destroy(b);
}

/* --- the set --------------------------------------------------------------*/

static struct page_ranges set;

TEST(neighbours_are_merged)
{
    uint64_t first;

    CHECK_EQ(page_ranges_add(&set, 10, 5), 0);
    CHECK_EQ(page_ranges_add(&set, 20, 5), 0);
    CHECK_EQ(page_ranges_add(&set, 0, 2), 0);
    CHECK_EQ(set.count, 3);
    CHECK_LT(page_ranges_add(&set, 14, 1), 0);
    CHECK_LT(page_ranges_add(&set, 8, 3), 0);
    CHECK_LT(page_ranges_add(&set, 10, 5), 0);
    CHECK_LT(page_ranges_add(&set, 15, 6), 0);
    CHECK_EQ(page_ranges_add(&set, 15, 5), 0);
    CHECK_EQ(set.count, 2);
    CHECK_EQ(page_ranges_add(&set, 2, 1), 0);
    CHECK_EQ(page_ranges_add(&set, 9, 1), 0);
    CHECK_EQ(set.count, 2);
    CHECK_EQ(set.pages, 19);
    CHECK(page_ranges_valid(&set));
    CHECK_EQ(page_ranges_take(&set, 4, &first), 4);
    CHECK_EQ(first, 21);
    CHECK_EQ(page_ranges_take(&set, 100, &first), 12);
    CHECK_EQ(first, 9);
    CHECK_EQ(page_ranges_take(&set, 100, &first), 3);
    CHECK_EQ(page_ranges_take(&set, 100, &first), 0);
    CHECK(page_ranges_valid(&set));
}

TEST(the_set_may_be_full)
{
    for (uint64_t i = 0; i < PAGE_RANGES; i++)
        CHECK_EQ(page_ranges_add(&set, 2 * i, 1), 0);
    CHECK_LT(page_ranges_add(&set, 2 * PAGE_RANGES, 1), 0);
    CHECK_EQ(page_ranges_add(&set, 1, 1), 0);
    CHECK(page_ranges_valid(&set));
    set.range[5].pages = 0;
    CHECK(!page_ranges_valid(&set));
}
