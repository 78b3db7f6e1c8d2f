/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty tracking: nothing that was written is ever missed. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <string.h>

#include "mem/map.h"

enum { PAGES = 64 };

static struct map *map;
static struct memory *ram;
static uint64_t invalid_first, invalid_pages;
static unsigned invalidations;

static void note_invalidate(void *opaque, struct memory *mem,
                            uint64_t first_page, uint64_t pages)
{
    invalidations++;
    invalid_first = first_page;
    invalid_pages = pages;
}

static void set_up(void)
{
    map = map_create();
    ram = memory_create("ram", PAGES * PAGE_BYTES);
    CHECK(map_add_memory(map, "ram", 0, ram->size, ram, 0, 0, false));
    map_set_engine(map, note_invalidate, NULL, NULL);
    invalidations = 0;
}

static void tear_down(void)
{
    map_destroy(map);
    memory_destroy(ram);
}

TEST(tracked_pages_tell_each_write_once)
{
    uint8_t dirty[PAGES];

    set_up();
    map_io_write(map, 0, 1, 1);
    memory_track(map, ram, 0, PAGES, true);
    CHECK_EQ(invalidations, 1);
    CHECK_EQ(invalid_pages, PAGES);
    memory_fetch_dirty(map, ram, 0, PAGES, dirty);
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_EQ(dirty[i], 0);
    CHECK_EQ(invalidations, 1);

    map_io_write(map, 3 * PAGE_BYTES + 8, 1, 4);
    map_dma_write(map, 7 * PAGE_BYTES - 2, "1234", 4);
    memory_written(map, ram, 9);
    memory_fetch_dirty(map, ram, 0, PAGES, dirty);
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_EQ(dirty[i], i == 3 || i == 6 || i == 7 || i == 9);
    CHECK_EQ(invalidations, 2);
    CHECK_EQ(invalid_first, 3);
    CHECK_EQ(invalid_pages, 7);

    map_io_write(map, 3 * PAGE_BYTES, 1, 1);
    memory_fetch_dirty(map, ram, 2, 4, dirty);
    CHECK_MEM_EQ(dirty, "\0\1\0\0", 4);
    tear_down();
}

TEST(tracking_that_ended_tells_nothing)
{
    uint8_t dirty[PAGES];

    set_up();
    memory_track(map, ram, 0, PAGES, true);
    map_io_write(map, 0, 1, 1);
    memory_track(map, ram, 0, PAGES, false);
    map_io_write(map, PAGE_BYTES, 1, 1);
    memory_fetch_dirty(map, ram, 0, PAGES, dirty);
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_EQ(dirty[i], 0);
    CHECK_EQ(ram->page_flags[1], 0);
    tear_down();
}

TEST(tracking_leaves_the_code_flag_alone)
{
    uint8_t dirty[PAGES];

    set_up();
    ram->page_flags[1] = MEM_CODE;
    memory_track(map, ram, 0, PAGES, true);
    CHECK_EQ(ram->page_flags[1], MEM_CODE | MEM_TRACKED);
    memory_written(map, ram, 1);
    CHECK_EQ(ram->page_flags[1], MEM_CODE | MEM_DIRTY);
    CHECK_EQ(ram->code_gen[1], 1);
    memory_fetch_dirty(map, ram, 0, PAGES, dirty);
    CHECK_EQ(ram->page_flags[1], MEM_CODE | MEM_TRACKED);
    memory_track(map, ram, 0, PAGES, false);
    CHECK_EQ(ram->page_flags[1], MEM_CODE);
    tear_down();
}

TEST(pages_that_do_not_exist_are_clean)
{
    uint8_t dirty[8];

    set_up();
    memory_track(map, ram, PAGES - 2, 1000, true);
    map_io_write(map, (PAGES - 1) * PAGE_BYTES, 1, 1);
    memset(dirty, 9, sizeof dirty);
    memory_fetch_dirty(map, ram, PAGES - 2, 8, dirty);
    CHECK_MEM_EQ(dirty, "\0\1\0\0\0\0\0\0", 8);
    memory_fetch_dirty(map, ram, PAGES + 5, 8, dirty);
    CHECK_MEM_EQ(dirty, "\0\0\0\0\0\0\0\0", 8);
    memory_touched(map, ram, ram->size + 5, 100);
    tear_down();
}

/*
 * A copy that is kept up to date by dirty pages alone, while another thread
 * writes: after the last fetch it equals the memory.
 */
static bool writer_done;

static void *write_pages(void *opaque)
{
    uint32_t seed = 1;

    for (uint64_t i = 1; i <= 100000; i++) {
        seed = seed * 1664525 + 1013904223;
        map_io_write(map, (seed >> 8) % PAGES * PAGE_BYTES + 8 * (i % 512), i,
                     8);
    }
    __atomic_store_n(&writer_done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void copy_page(uint64_t *to, unsigned page)
{
    const uint64_t *from = (const uint64_t *)(ram->host + page * PAGE_BYTES);

    for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

TEST(a_copy_follows_a_writing_thread)
{
    static uint64_t copy[PAGES][PAGE_BYTES / 8];
    uint8_t dirty[PAGES];
    pthread_t writer;
    bool done;

    set_up();
    memory_track(map, ram, 0, PAGES, true);
    CHECK_EQ(pthread_create(&writer, NULL, write_pages, NULL), 0);
    do {
        done = __atomic_load_n(&writer_done, __ATOMIC_ACQUIRE);
        memory_fetch_dirty(map, ram, 0, PAGES, dirty);
        for (unsigned i = 0; i < PAGES; i++) {
            if (dirty[i])
                copy_page(copy[i], i);
        }
    } while (!done);
    pthread_join(writer, NULL);
    CHECK_MEM_EQ(copy, ram->host, ram->size);
    tear_down();
}

/* Two threads look things up while a third moves a region about. */
static bool moving_done;

static uint64_t whose(void *opaque, uint64_t offset, unsigned size)
{
    return 0x55;
}

static void *look_up(void *opaque)
{
    uint64_t *bad = opaque;

    while (!__atomic_load_n(&moving_done, __ATOMIC_ACQUIRE)) {
        uint64_t v = map_io_read(map, 0x10000, 1);

        *bad += v != 0 && v != 0x55;
    }
    return NULL;
}

TEST(look_ups_during_changes_see_the_old_or_the_new_map)
{
    static const struct region_ops ops = { whose, NULL };
    uint64_t bad[2] = { 0, 0 };
    pthread_t threads[2];
    struct region *r;

    set_up();
    r = map_add_mmio(map, "dev", 0x10000, 0x1000, &ops, NULL, 100);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, look_up, &bad[i]), 0);
    for (unsigned i = 0; i < 5000; i++)
        region_move(r, i & 1 ? 0x10000 : 0x20000000);
    __atomic_store_n(&moving_done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(bad[i], 0);
    }
    tear_down();
}

TEST(discarded_pages_are_written_to_and_unused)
{
    uint8_t dirty[PAGES];
    uint64_t end;

    set_up();
    CHECK_EQ(memory_next_used(ram, 0, &end), ram->size);
    memset(ram->host + 3 * PAGE_BYTES, 7, 4 * PAGE_BYTES);
    CHECK_EQ(memory_next_used(ram, 0, &end), 3 * PAGE_BYTES);
    CHECK_EQ(end, 7 * PAGE_BYTES);
    memory_track(map, ram, 0, PAGES, true);
    memory_discard(map, ram, 4 * PAGE_BYTES, 2 * PAGE_BYTES);
    CHECK_EQ(memory_next_used(ram, 3 * PAGE_BYTES, &end), 3 * PAGE_BYTES);
    CHECK_EQ(end, 4 * PAGE_BYTES);
    CHECK_EQ(memory_next_used(ram, 4 * PAGE_BYTES, &end), 6 * PAGE_BYTES);
    CHECK_EQ(memory_next_used(ram, 7 * PAGE_BYTES, &end), ram->size);
    CHECK_EQ(memory_next_used(ram, ram->size, &end), ram->size);
    CHECK_EQ(ram->host[3 * PAGE_BYTES], 7);
    CHECK_EQ(ram->host[4 * PAGE_BYTES], 0);
    CHECK_EQ(ram->host[6 * PAGE_BYTES], 7);
    memory_fetch_dirty(map, ram, 0, PAGES, dirty);
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_EQ(dirty[i], i == 4 || i == 5);
    tear_down();
}
