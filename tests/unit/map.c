/* SPDX-License-Identifier: Apache-2.0 */
/* The address map: who answers where, and what moves when it changes. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "mem/map.h"

#define MIB (1024 * 1024)

static struct map *map;
static struct memory *ram, *rom;
static struct region *ram_region;

/* A device that records what it was asked. */
static struct {
    uint64_t offset, value;
    unsigned size, reads, writes;
    char order[256];
} seen;

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    size_t at = strlen(seen.order);

    seen.offset = offset;
    seen.size = size;
    seen.reads++;
    g_snprintf(seen.order + at, sizeof seen.order - at, "r%u@%x ", size,
               (unsigned)offset);
    /* each byte says where it is */
    return UINT64_C(0x0706050403020100) + offset * UINT64_C(0x0101010101010101);
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value,
                        unsigned size)
{
    size_t at = strlen(seen.order);

    seen.offset = offset;
    seen.value = value;
    seen.size = size;
    seen.writes++;
    g_snprintf(seen.order + at, sizeof seen.order - at, "w%u@%x=%x ", size,
               (unsigned)offset, (unsigned)value);
}

static const struct region_ops probe = { probe_read, probe_write };

static unsigned invalidations;

static void count_invalidate(void *opaque, struct memory *mem,
                             uint64_t first_page, uint64_t pages)
{
    invalidations++;
}

static unsigned code_hits;

static void count_code_hit(void *opaque, struct memory *mem, uint64_t page)
{
    code_hits++;
}

static void set_up(void)
{
    map = map_create();
    map_set_engine(map, count_invalidate, count_code_hit, NULL);
    ram = memory_create("ram", 2 * MIB);
    rom = memory_create("rom", 64 * 1024);
    CHECK(ram && rom);
    memset(rom->host, 0xcc, rom->size);
    ram_region = map_add_memory(map, "ram", 0, 2 * MIB, ram, 0, 0, false);
    CHECK(ram_region);
    invalidations = code_hits = 0;
}

static void tear_down(void)
{
    map_destroy(map);
    memory_destroy(ram);
    memory_destroy(rom);
}

TEST(memory_reads_back_what_was_written)
{
    set_up();
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint64_t mask = size == 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;

        map_io_write(map, 0x1003, 0x1122334455667788, size);
        CHECK_EQ(map_io_read(map, 0x1003, size), 0x1122334455667788 & mask);
        map_io_write(map, 0x2000, 0x99aabbccddeeff00, size);
        CHECK_EQ(map_io_read(map, 0x2000, size), 0x99aabbccddeeff00 & mask);
    }
    CHECK_EQ(ram->host[0x1003], 0x88);
    tear_down();
}

TEST(holes_read_as_ones_and_are_counted)
{
    set_up();
    CHECK_EQ(map_io_read(map, 0x80000000, 1), 0xff);
    CHECK_EQ(map_io_read(map, 0x80000000, 4), 0xffffffff);
    CHECK_EQ(map_io_read(map, 0x80000000, 8), UINT64_MAX);
    map_io_write(map, 0x80000000, 1, 2);
    CHECK_EQ(map_unassigned(map), 4);
    tear_down();
}

static const struct {
    unsigned claims; /* of the RAM window over the ROM */
    bool reads_ram, writes_ram;
} pam[] = {
    { 0, false, false },
    { REGION_READ, true, false },
    { REGION_WRITE, false, true },
    { REGION_READ | REGION_WRITE, true, true },
};

TEST_P(pam_window_moves_reads_and_writes_apart, pam)
{
    struct region *bios, *window;
    struct map_hit hit;

    set_up();
    bios = map_add_memory(map, "bios", 0xf0000, 0x10000, rom, 0, 200, true);
    window =
        map_add_memory(map, "pam", 0xf0000, 0x10000, ram, 0xf0000, 300, false);
    CHECK(bios && window);
    region_set_claims(window, row->claims);
    memset(ram->host + 0xf0000, 0x11, 0x10000);

    CHECK_EQ(map_io_read(map, 0xf1234, 1), row->reads_ram ? 0x11 : 0xcc);
    map_io_write(map, 0xf1234, 0x77, 1);
    CHECK_EQ(ram->host[0xf1234], row->writes_ram ? 0x77 : 0x11);
    CHECK_EQ(rom->host[0x1234], 0xcc);

    map_find(map, 0xf1000, REGION_READ, &hit);
    CHECK_PTR_EQ(hit.mem, row->reads_ram ? ram : rom);
    CHECK_EQ(hit.mem_page, row->reads_ram ? 0xf1 : 1);
    map_find(map, 0xf1000, REGION_WRITE, &hit);
    CHECK_PTR_EQ(hit.mem, row->writes_ram ? ram : rom);
    CHECK_EQ(hit.readonly, !row->writes_ram);
    tear_down();
}

TEST(higher_priority_wins_and_the_newer_one_on_a_tie)
{
    struct region *low, *high, *tie;

    set_up();
    low = map_add_mmio(map, "low", 0xa0000, 0x20000, &probe, NULL, 100);
    CHECK_EQ(map_io_read(map, 0xa0010, 1), 0x10);
    high = map_add_memory(map, "smram", 0xa0000, 0x20000, ram, 0xa0000, 400,
                          false);
    CHECK_EQ(map_io_read(map, 0xa0010, 1), 0);
    region_enable(high, false);
    CHECK_EQ(map_io_read(map, 0xa0010, 1), 0x10);
    tie = map_add_memory(map, "tie", 0xa0000, 0x1000, ram, 0, 100, false);
    CHECK_EQ(map_io_read(map, 0xa0010, 1), 0);
    CHECK_EQ(map_io_read(map, 0xa1010, 1), 0x10);
    region_destroy(tie);
    CHECK_EQ(map_io_read(map, 0xa0010, 1), 0x10);
    region_destroy(low);
    CHECK_EQ(map_io_read(map, 0xa0010, 1), 0);
    tear_down();
}

TEST(a_moved_region_leaves_what_was_below)
{
    struct region *bar;

    set_up();
    bar = map_add_mmio(map, "bar", 0x100000, 0x1000, &probe, NULL, 100);
    CHECK_EQ(map_io_read(map, 0x100004, 1), 4);
    region_move(bar, 0xfebf0000);
    CHECK_EQ(map_io_read(map, 0x100004, 1), 0);
    CHECK_EQ(map_io_read(map, 0xfebf0004, 1), 4);
    /* does not fit there: it is nowhere */
    region_move(bar, UINT64_MAX - 0xfe);
    CHECK_EQ(map_io_read(map, UINT64_MAX - 0xf, 1), 0xff);
    region_move(bar, UINT64_MAX - 0xfff);
    CHECK_EQ(map_io_read(map, UINT64_MAX, 1), 0xff);
    CHECK_EQ(seen.offset, 0xfff);
    tear_down();
}

TEST(ranges_that_cannot_be_are_refused)
{
    set_up();
    CHECK(!map_add_mmio(map, "empty", 0, 0, &probe, NULL, 0));
    CHECK(!map_add_mmio(map, "wraps", UINT64_MAX, 2, &probe, NULL, 0));
    CHECK(!map_add_memory(map, "long", 0, 3 * MIB, ram, 0, 0, false));
    CHECK(!map_add_memory(map, "off", 0, MIB, ram, 2 * MIB - 1, 0, false));
    CHECK(!memory_create("empty", 0));
    CHECK(!memory_create("odd", 4097));
    CHECK(!memory_create("huge", UINT64_MAX & ~4095ull));
    CHECK(map_add_mmio(map, "all", 0, UINT64_MAX, &probe, NULL, -1));
    tear_down();
}

static const struct {
    uint64_t offset;
    unsigned size;
    const char *reads;
} pieces[] = {
    { 0x10, 1, "r1@10 " },
    { 0x10, 8, "r8@10 " },
    { 0x14, 8, "r4@14 r4@18 " },
    { 0x12, 4, "r2@12 r2@14 " },
    { 0x11, 2, "r1@11 r1@12 " },
    { 0x11, 4, "r1@11 r1@12 r1@13 r1@14 " },
    { 0x12, 8, "r2@12 r2@14 r2@16 r2@18 " },
};

TEST_P(unaligned_device_access_arrives_in_aligned_pieces, pieces)
{
    uint64_t value, want = 0;

    set_up();
    map_add_mmio(map, "dev", 0x10000000, 0x1000, &probe, NULL, 100);
    value = map_io_read(map, 0x10000000 + row->offset, row->size);
    CHECK_STR_EQ(seen.order, row->reads);
    for (unsigned i = 0; i < row->size; i++)
        want |= (row->offset + i) << (8 * i);
    CHECK_EQ(value, want);
    tear_down();
}

TEST(unaligned_device_write_is_split_low_first)
{
    set_up();
    map_add_mmio(map, "dev", 0x10000000, 0x1000, &probe, NULL, 100);
    map_io_write(map, 0x10000001, 0x44332211, 4);
    CHECK_STR_EQ(seen.order, "w1@1=11 w1@2=22 w1@3=33 w1@4=44 ");
    tear_down();
}

TEST(regions_may_share_a_page)
{
    struct map_hit hit;

    set_up();
    map_add_mmio(map, "a", 0x10000000, 0x10, &probe, NULL, 100);
    map_add_mmio(map, "b", 0x10000010, 0x10, &probe, NULL, 100);
    map_add_mmio(map, "over ram", 0x1ff8, 0x10, &probe, NULL, 100);
    map_find(map, 0x10000000, REGION_READ, &hit);
    CHECK(!hit.mem);
    map_find(map, 0x1000, REGION_READ, &hit);
    CHECK(!hit.mem);
    map_find(map, 0x3000, REGION_READ, &hit);
    CHECK_PTR_EQ(hit.mem, ram);
    /* the access crosses from one into the other */
    CHECK_EQ(map_io_read(map, 0x1000000c, 8), 0x030201000f0e0d0c);
    /* from RAM into the device and back out */
    ram->host[0x1ff7] = 0xaa;
    CHECK_EQ(map_io_read(map, 0x1ff6, 4), 0x0100aa00);
    CHECK_EQ(map_io_read(map, 0x1ff0, 8), 0xaa00000000000000);
    tear_down();
}

TEST(trapped_writes_go_to_the_device_and_reads_stay_direct)
{
    struct map_hit hit;

    set_up();
    region_set_write_ops(ram_region, &probe, NULL);
    ram->host[0x3000] = 0x5a;
    map_find(map, 0x3000, REGION_READ, &hit);
    CHECK_PTR_EQ(hit.mem, ram);
    map_find(map, 0x3000, REGION_WRITE, &hit);
    CHECK(!hit.mem);
    map_io_write(map, 0x3000, 0x99, 1);
    CHECK_EQ(seen.offset, 0x3000);
    CHECK_EQ(seen.value, 0x99);
    CHECK_EQ(map_io_read(map, 0x3000, 1), 0x5a);
    tear_down();
}

TEST(a_batch_invalidates_once_and_a_void_change_never)
{
    struct region *a, *b;

    set_up();
    map_begin(map);
    a = map_add_mmio(map, "a", 0x10000000, 0x1000, &probe, NULL, 100);
    map_begin(map);
    b = map_add_mmio(map, "b", 0x20000000, 0x1000, &probe, NULL, 100);
    region_move(a, 0x11000000);
    map_commit(map);
    CHECK_EQ(invalidations, 0);
    CHECK_EQ(map_io_read(map, 0x20000000, 1), 0xff);
    map_commit(map);
    CHECK_EQ(invalidations, 1);
    CHECK_EQ(map_io_read(map, 0x20000001, 1), 1);
    region_enable(b, true);
    region_move(b, 0x20000000);
    CHECK_EQ(invalidations, 1);
    map_begin(map);
    region_enable(b, false);
    region_enable(b, true);
    map_commit(map);
    CHECK_EQ(invalidations, 1);
    tear_down();
}

TEST(destroying_a_region_in_a_batch_leaves_no_trace)
{
    struct region *a;
    char *text;

    set_up();
    a = map_add_mmio(map, "gone", 0x10000000, 0x1000, &probe, NULL, 100);
    map_begin(map);
    region_destroy(a);
    CHECK_EQ(map_io_read(map, 0x10000000, 1), 0xff);
    text = map_describe(map);
    CHECK(!strstr(text, "gone"));
    g_free(text);
    map_commit(map);
    tear_down();
}

TEST(dma_crosses_ram_device_rom_and_hole)
{
    uint8_t buf[32];

    set_up();
    map_add_mmio(map, "dev", 2 * MIB, 10, &probe, NULL, 100);
    map_add_memory(map, "rom", 2 * MIB + 10, 4096, rom, 0, 100, true);
    memset(ram->host + 2 * MIB - 4, 0x42, 4);
    CHECK(map_dma_read(map, 2 * MIB - 4, buf, 20));
    CHECK_MEM_EQ(buf,
                 "\x42\x42\x42\x42\0\1\2\3\4\5\6\7\10\11\xcc\xcc\xcc"
                 "\xcc\xcc\xcc",
                 20);
    CHECK_STR_EQ(seen.order, "r4@0 r4@4 r2@8 ");
    CHECK(map_dma_write(map, 2 * MIB + 8, "abcd", 4));
    CHECK_EQ(seen.offset, 8);
    CHECK_EQ(seen.value, 'a' | 'b' << 8);
    CHECK_EQ(rom->host[0], 0xcc);

    memset(buf, 0, sizeof buf);
    CHECK(!map_dma_read(map, 0x40000000, buf, sizeof buf));
    for (unsigned i = 0; i < sizeof buf; i++)
        CHECK_EQ(buf[i], 0xff);
    CHECK(!map_dma_write(map, 0x40000000, buf, sizeof buf));
    CHECK(map_dma_write(map, 0x40000000, buf, 0));
    tear_down();
}

TEST(dma_at_the_end_of_the_address_space_wraps)
{
    uint8_t buf[8];

    set_up();
    memcpy(ram->host, "\1\2\3\4", 4);
    CHECK(!map_dma_read(map, UINT64_MAX - 3, buf, sizeof buf));
    CHECK_MEM_EQ(buf, "\xff\xff\xff\xff\1\2\3\4", 8);
    tear_down();
}

TEST(direct_dma_ends_where_the_memory_does)
{
    void *host = NULL;

    set_up();
    map_add_memory(map, "rom", 0x40000000, 4096, rom, 0x1000, 100, true);
    CHECK_EQ(map_dma_direct(map, 2 * MIB - 16, 100, true, &host), 16);
    CHECK_PTR_EQ(host, ram->host + 2 * MIB - 16);
    CHECK_EQ(map_dma_direct(map, 0x40000010, 10, false, &host), 10);
    CHECK_PTR_EQ(host, rom->host + 0x1010);
    CHECK_EQ(map_dma_direct(map, 0x40000010, 10, true, &host), 0);
    CHECK_EQ(map_dma_direct(map, 0x50000000, 10, false, &host), 0);
    CHECK_EQ(map_dma_direct(map, 0, 0, false, &host), 0);
    tear_down();
}

TEST(dma_voids_code_on_the_pages_it_wrote)
{
    void *host;

    set_up();
    ram->page_flags[3] = MEM_CODE;
    ram->page_flags[5] = MEM_CODE;
    ram->code_lines[3] = ram->code_lines[5] = 1;
    map_dma_write(map, 0x2ff0, "01234567890123456789", 20);
    CHECK_EQ(ram->code_gen[3], 1);
    CHECK_EQ(ram->code_gen[2], 0);
    CHECK_EQ(ram->code_gen[5], 0);
    CHECK_EQ(code_hits, 1);
    map_io_write(map, 0x3008, 1, 4);
    CHECK_EQ(code_hits, 2);
    CHECK(map_dma_direct(map, 0x5000, 64, true, &host) == 64);
    map_dma_done(map, host, 64);
    CHECK_EQ(ram->code_gen[5], 1);
    CHECK_EQ(code_hits, 3);
    map_dma_done(map, &host, 8); /* of no memory: nothing happens */
    CHECK_EQ(code_hits, 3);
    /* No code any more, only the mark: a buffer of a device now. */
    ram->code_lines[5] = 0;
    map_dma_write(map, 0x5000, "x", 1);
    CHECK_EQ(code_hits, 3);
    tear_down();
}

/* Flattening against the plain definition of who wins. */
TEST(random_maps_agree_with_the_definition)
{
    enum { REGIONS = 24, SPACE = 64 };
    struct {
        struct region *r;
        unsigned at, size, claims;
        int priority;
        bool enabled;
    } model[REGIONS];
    GRand *rand = g_rand_new_with_seed(7);
    struct memory *mems[REGIONS];

    map = map_create();
    for (unsigned i = 0; i < REGIONS; i++) {
        model[i].at = (unsigned)g_rand_int_range(rand, 0, SPACE);
        model[i].size = (unsigned)g_rand_int_range(rand, 1, SPACE / 4);
        model[i].claims = 3;
        model[i].priority = g_rand_int_range(rand, 0, 4);
        model[i].enabled = true;
        mems[i] = memory_create("m", 4096);
        memset(mems[i]->host, (int)i + 1, 4096);
        model[i].r = map_add_memory(map, "m", model[i].at, model[i].size,
                                    mems[i], 0, model[i].priority, false);
    }
    for (unsigned round = 0; round < 500; round++) {
        unsigned n = (unsigned)g_rand_int_range(rand, 0, REGIONS);

        switch (g_rand_int_range(rand, 0, 3)) {
        case 0:
            model[n].at = (unsigned)g_rand_int_range(rand, 0, SPACE);
            region_move(model[n].r, model[n].at);
            break;
        case 1:
            model[n].enabled = !model[n].enabled;
            region_enable(model[n].r, model[n].enabled);
            break;
        default:
            model[n].claims = (unsigned)g_rand_int_range(rand, 0, 4);
            region_set_claims(model[n].r, model[n].claims);
        }
        test_note("round %u", round);
        for (unsigned at = 0; at < SPACE + SPACE / 4; at++) {
            uint64_t want = 0xff;
            int best = -1;

            for (unsigned i = 0; i < REGIONS; i++) {
                if (model[i].enabled && (model[i].claims & REGION_READ) &&
                    at >= model[i].at && at - model[i].at < model[i].size &&
                    model[i].priority >= best) {
                    best = model[i].priority;
                    want = i + 1;
                }
            }
            CHECK_EQ(map_io_read(map, at, 1), want);
        }
    }
    g_rand_free(rand);
    map_destroy(map);
    for (unsigned i = 0; i < REGIONS; i++)
        memory_destroy(mems[i]);
}
