/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

#include "bus/pci.h"
#include "bus/pio.h"
#include "bus/wire.h"
#include "mem/map.h"
#include "sched/lane.h"

enum { ADDRESS = 0xcf8, DATA = 0xcfc };

static struct map *map;
static struct pio *pio;
static struct wires *wires;
static struct pci_bus *bus;
static char writes[256];

static const struct bp_pci_ids ids = {
    .vendor = 0x1234,
    .device = 0x5678,
    .subsystem_vendor = 0xaaaa,
    .subsystem = 0xbbbb,
    .revision = 3,
    .prog_if = 0x80,
    .subclass = 1,
    .base_class = 1,
    .interrupt_pin = 1,
};

static void note_write(void *opaque, uint32_t offset, uint32_t width)
{
    size_t at = strlen(writes);

    g_snprintf(writes + at, sizeof writes - at, "%u@%x ", width, offset);
}

static void set_up(void)
{
    map = map_create();
    pio = pio_create();
    wires = wires_create();
    bus = pci_bus_create(map, pio, wires);
}

static void tear_down(void)
{
    pci_bus_destroy(bus);
    wires_destroy(wires);
    pio_destroy(pio);
    map_destroy(map);
}

static struct pci_function *add(unsigned slot, unsigned function)
{
    GError *error = NULL;
    struct pci_function *f = pci_function_add(bus, "dev", slot, function, &ids,
                                              NULL, note_write, NULL, &error);

    if (!f)
        FAIL("%s", error->message);
    return f;
}

static void select_register(unsigned slot, unsigned function, unsigned reg)
{
    pio_write(pio, ADDRESS,
              0x80000000 | slot << 11 | function << 8 | (reg & 0xfc), 4);
}

static uint32_t cfg_read(unsigned slot, unsigned reg, unsigned size)
{
    select_register(slot, 0, reg);
    return pio_read(pio, (uint16_t)(DATA + (reg & 3)), size);
}

static void cfg_write(unsigned slot, unsigned reg, uint32_t value,
                      unsigned size)
{
    select_register(slot, 0, reg);
    pio_write(pio, (uint16_t)(DATA + (reg & 3)), value, size);
}

/* --- mechanism #1 -------------------------------------------------------- */

TEST(ids_are_where_the_header_has_them)
{
    set_up();
    add(4, 0);
    CHECK_EQ(cfg_read(4, 0, 4), 0x56781234);
    CHECK_EQ(cfg_read(4, 8, 4), 0x01018003);
    CHECK_EQ(cfg_read(4, 2, 2), 0x5678);
    CHECK_EQ(cfg_read(4, 9, 1), 0x80);
    CHECK_EQ(cfg_read(4, 0x0e, 1), 0);
    CHECK_EQ(cfg_read(4, 0x2c, 4), 0xbbbbaaaa);
    CHECK_EQ(cfg_read(4, 0x3d, 1), 1);
    tear_down();
}

TEST(nobody_reads_as_ones)
{
    set_up();
    add(4, 0);
    CHECK_EQ(cfg_read(5, 0, 4), 0xffffffff);
    CHECK_EQ(cfg_read(5, 0, 2), 0xffff);
    select_register(4, 1, 0);
    CHECK_EQ(pio_read(pio, DATA, 4), 0xffffffff);
    /* bus 1 */
    pio_write(pio, ADDRESS, 0x80010000 | 4 << 11, 4);
    CHECK_EQ(pio_read(pio, DATA, 4), 0xffffffff);
    /* not enabled */
    pio_write(pio, ADDRESS, 4 << 11, 4);
    CHECK_EQ(pio_read(pio, DATA, 4), 0xffffffff);
    tear_down();
}

TEST(only_a_dword_is_config_address)
{
    set_up();
    pio_write(pio, ADDRESS, 0xffffffff, 4);
    CHECK_EQ(pio_read(pio, ADDRESS, 4), 0x80fffffc);
    CHECK_EQ(pci_bus_address(bus), 0x80fffffc);
    pio_write(pio, ADDRESS, 0, 1);
    pio_write(pio, ADDRESS + 2, 0, 2);
    CHECK_EQ(pio_read(pio, ADDRESS, 4), 0x80fffffc);
    CHECK_EQ(pio_read(pio, ADDRESS, 1), 0xff);
    pci_bus_reset(bus);
    CHECK_EQ(pio_read(pio, ADDRESS, 4), 0);
    tear_down();
}

TEST(masks_say_what_a_write_changes)
{
    struct pci_function *f;

    set_up();
    f = add(4, 0);
    CHECK(pci_function_set(f, 0x40, 4, 0x11223344, 0x00ffff00, 0));
    CHECK(pci_function_set(f, 0x06, 2, 0xf980, 0, 0xf900));
    cfg_write(4, 0x40, 0xaabbccdd, 4);
    CHECK_EQ(cfg_read(4, 0x40, 4), 0x11bbcc44);
    cfg_write(4, 0x42, 0x5555, 2);
    CHECK_EQ(cfg_read(4, 0x40, 4), 0x1155cc44);
    cfg_write(4, 0x06, 0x2080, 2);
    CHECK_EQ(cfg_read(4, 0x06, 2), 0xd980);
    cfg_write(4, 0x00, 0, 4);
    CHECK_EQ(cfg_read(4, 0x00, 4), 0x56781234);
    CHECK_STR_EQ(writes, "4@40 2@42 2@6 4@0 ");
    CHECK(!pci_function_set(f, 0xff, 2, 0, 0, 0));
    CHECK(!pci_function_set(f, 0, 3, 0, 0, 0));
    CHECK(!pci_function_set(f, UINT32_MAX, 4, 0, 0, 0));
    CHECK(!pci_function_put(f, 254, 4, 0));
    CHECK_EQ(pci_function_get(f, 253, 4), UINT32_MAX);
    tear_down();
}

TEST(reset_brings_sealed_values_back)
{
    struct pci_function *f;

    set_up();
    f = add(4, 0);
    pci_function_set(f, 0x40, 1, 0x12, 0xff, 0);
    pci_function_seal(f);
    cfg_write(4, 0x40, 0x99, 1);
    pci_function_set(f, 0x41, 1, 0x55, 0xff, 0);
    pci_function_reset(f);
    CHECK_EQ(cfg_read(4, 0x40, 2), 0x0012);
    cfg_write(4, 0x41, 0x77, 1);
    CHECK_EQ(cfg_read(4, 0x41, 1), 0);
    tear_down();
}

/* --- places -------------------------------------------------------------- */

TEST(a_taken_or_missing_slot_is_refused_with_a_reason)
{
    GError *error = NULL;

    set_up();
    add(4, 1);
    CHECK(!pci_function_add(bus, "late", 4, 1, &ids, NULL, NULL, NULL, &error));
    CHECK_STR_EQ(error->message, "PCI slot 4.1 of 'late' is taken by 'dev'");
    g_clear_error(&error);
    CHECK(!pci_function_add(bus, "x", 32, 0, &ids, NULL, NULL, NULL, NULL));
    CHECK(!pci_function_add(bus, "x", 5, 8, &ids, NULL, NULL, NULL, NULL));
    tear_down();
}

TEST(free_slots_are_found_above_the_boards)
{
    set_up();
    add(3, 1);
    for (unsigned slot = 4; slot < PCI_SLOTS; slot++)
        CHECK_EQ(pci_function_slot(add(PCI_SLOT_ANY, 0)), slot);
    CHECK(!pci_function_add(bus, "x", PCI_SLOT_ANY, 0, &ids, NULL, NULL, NULL,
                            NULL));
    tear_down();
}

TEST(a_second_function_sets_the_multi_function_bit)
{
    struct pci_function *f;

    set_up();
    f = add(7, 0);
    pci_function_seal(f);
    CHECK_EQ(cfg_read(7, 0x0e, 1), 0);
    add(7, 3);
    CHECK_EQ(cfg_read(7, 0x0e, 1), 0x80);
    pci_function_reset(f);
    CHECK_EQ(cfg_read(7, 0x0e, 1), 0x80);
    tear_down();
}

/* --- BARs ---------------------------------------------------------------- */

static uint64_t see(void *opaque, uint64_t offset, unsigned size)
{
    return 0x40 + offset;
}

static uint32_t see_port(void *opaque, uint16_t offset, unsigned size)
{
    return 0x70u + offset;
}

static void drop_port(void *opaque, uint16_t offset, uint32_t value,
                      unsigned size)
{
}

static const struct region_ops region_probe = { see, NULL };
static const struct pio_ops pio_probe = { see_port, drop_port };

static struct region *disabled_region(uint64_t size)
{
    struct region *r =
        map_add_mmio(map, "bar", 0, size, &region_probe, NULL, 100);

    region_enable(r, false);
    return r;
}

static const struct {
    uint64_t bytes;
    bool prefetchable;
    uint32_t sizing, type;
} memory_bars[] = {
    { 16, false, 0xfffffff0, 0 },
    { 4096, false, 0xfffff000, 0 },
    { 16 << 20, true, 0xff000008, 8 },
};

TEST_P(memory_bar_sizes_and_moves, memory_bars)
{
    struct pci_function *f;

    set_up();
    f = add(4, 0);
    CHECK(pci_function_bar_memory(f, 1, row->bytes, row->prefetchable, false,
                                  disabled_region(row->bytes), NULL));
    CHECK_EQ(cfg_read(4, 0x14, 4), row->type);
    cfg_write(4, 0x14, 0xffffffff, 4);
    CHECK_EQ(cfg_read(4, 0x14, 4), row->sizing);
    cfg_write(4, 0x14, 0xe0000000, 4);
    CHECK_EQ(cfg_read(4, 0x14, 4), 0xe0000000 | row->type);
    CHECK_EQ(map_io_read(map, 0xe0000004, 1), 0xff);
    cfg_write(4, 4, PCI_COMMAND_MEMORY, 2);
    CHECK_EQ(cfg_read(4, 4, 2), PCI_COMMAND_MEMORY);
    CHECK_EQ(map_io_read(map, 0xe0000004, 1), 0x44);
    cfg_write(4, 0x14, 0xd0000000, 4);
    CHECK_EQ(map_io_read(map, 0xe0000004, 1), 0xff);
    CHECK_EQ(map_io_read(map, 0xd0000004, 1), 0x44);
    /* sizing with decoding on places it nowhere */
    cfg_write(4, 0x14, 0xffffffff, 4);
    CHECK_EQ(map_io_read(map, 0xfffffff8, 1), 0xff);
    cfg_write(4, 0x14, 0, 4);
    CHECK_EQ(map_io_read(map, 4, 1), 0xff);
    cfg_write(4, 0x14, 0xd0000000, 4);
    CHECK_EQ(map_io_read(map, 0xd0000004, 1), 0x44);
    pci_function_reset(f);
    CHECK_EQ(map_io_read(map, 0xd0000004, 1), 0xff);
    tear_down();
}

TEST(io_bar_sizes_and_moves)
{
    struct pci_function *f;
    struct pio_range *r;

    set_up();
    f = add(4, 0);
    r = pio_claim(pio, "bar", 0, 16, 7, 0, &pio_probe, NULL);
    pio_range_enable(r, false);
    CHECK(pci_function_bar_io(f, 4, 16, r, NULL));
    cfg_write(4, 0x20, 0xffffffff, 4);
    CHECK_EQ(cfg_read(4, 0x20, 4), 0xfffffff1);
    cfg_write(4, 4, PCI_COMMAND_IO, 2);
    CHECK_EQ(pio_read(pio, 0xfff1, 1), 0xff);
    cfg_write(4, 0x20, 0xc001, 4);
    CHECK_EQ(pio_read(pio, 0xc003, 1), 0x73);
    /* byte by byte, as some firmware does */
    cfg_write(4, 0x21, 0xd0, 1);
    CHECK_EQ(pio_read(pio, 0xc003, 1), 0xff);
    CHECK_EQ(pio_read(pio, 0xd003, 1), 0x73);
    /* beyond the port space */
    cfg_write(4, 0x22, 1, 2);
    CHECK_EQ(pio_read(pio, 0xd003, 1), 0xff);
    cfg_write(4, 0x20, 0xd001, 4);
    cfg_write(4, 4, 0, 2);
    CHECK_EQ(pio_read(pio, 0xd003, 1), 0xff);
    tear_down();
}

TEST(a_wide_bar_goes_above_4_gib)
{
    struct pci_function *f;

    set_up();
    f = add(4, 0);
    CHECK(pci_function_bar_memory(f, 2, 0x200000000, true, true,
                                  disabled_region(0x200000000), NULL));
    cfg_write(4, 4, PCI_COMMAND_MEMORY, 2);
    cfg_write(4, 0x18, 0xffffffff, 4);
    cfg_write(4, 0x1c, 0xffffffff, 4);
    CHECK_EQ(cfg_read(4, 0x18, 4), 0x0000000c);
    CHECK_EQ(cfg_read(4, 0x1c, 4), 0xfffffffe);
    cfg_write(4, 0x18, 0, 4);
    cfg_write(4, 0x1c, 0x10, 4);
    CHECK_EQ(map_io_read(map, 0x1000000008, 1), 0x48);
    CHECK(!pci_function_bar_memory(f, 3, 16, false, false, NULL, NULL));
    tear_down();
}

static const struct {
    unsigned index;
    uint64_t bytes;
    bool wide;
} bad_bars[] = {
    { 6, 16, false },
    { 0, 8, false },
    { 0, 24, false },
    { 5, 16, true },
    { 0, UINT64_C(1) << 32, 0 },
    { 0, 0, false },
    { 1, 16, false },
};

TEST_P(bars_that_cannot_be_are_refused, bad_bars)
{
    struct pci_function *f;
    GError *error = NULL;

    set_up();
    f = add(4, 0);
    CHECK(pci_function_bar_memory(f, 1, 16, false, false, disabled_region(16),
                                  NULL));
    CHECK(!pci_function_bar_memory(f, row->index, row->bytes, false, row->wide,
                                   NULL, &error));
    CHECK(error);
    g_clear_error(&error);
    tear_down();
}

TEST(the_rom_bar_shows_the_image_when_enabled)
{
    struct pci_function *f;
    char image[5000] = "\x55\xaa";

    set_up();
    f = add(4, 0);
    CHECK(pci_function_rom(f, image, sizeof image, NULL));
    CHECK(!pci_function_rom(f, image, sizeof image, NULL));
    cfg_write(4, 0x30, 0xfffffffe, 4);
    CHECK_EQ(cfg_read(4, 0x30, 4), 0xffffe000);
    cfg_write(4, 4, PCI_COMMAND_MEMORY, 2);
    cfg_write(4, 0x30, 0xfeb00000, 4);
    CHECK_EQ(map_io_read(map, 0xfeb00000, 2), 0xffff);
    cfg_write(4, 0x30, 0xfeb00001, 4);
    CHECK_EQ(map_io_read(map, 0xfeb00000, 2), 0xaa55);
    map_io_write(map, 0xfeb00000, 0, 2);
    CHECK_EQ(map_io_read(map, 0xfeb00000, 2), 0xaa55);
    tear_down();
}

static uint8_t sum_of(const uint8_t *bytes, unsigned n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *bytes++);
    return sum;
}

/* Firmware compares the ids, and adds up the bytes. */
TEST(a_rom_gets_the_ids_of_its_card)
{
    uint8_t image[1024] = { 0x55, 0xaa, 2 }, seen[1024];
    struct pci_function *f;

    set_up();
    f = add(4, 0);
    image[0x18] = 0x40;
    memcpy(image + 0x40, "PCIR\x34\x12\x11\x11", 8);
    image[6] = (uint8_t)-sum_of(image, sizeof image);
    CHECK(pci_function_rom(f, image, sizeof image, NULL));
    cfg_write(4, 4, PCI_COMMAND_MEMORY, 2);
    cfg_write(4, 0x30, 0xfeb00001, 4);
    for (unsigned i = 0; i < sizeof seen; i++)
        seen[i] = (uint8_t)map_io_read(map, 0xfeb00000 + i, 1);
    CHECK_EQ(seen[0x44] | seen[0x45] << 8, cfg_read(4, 0, 2));
    CHECK_EQ(seen[0x46] | seen[0x47] << 8, cfg_read(4, 2, 2));
    CHECK_EQ(sum_of(seen, sizeof seen), 0);
    tear_down();
}

/* --- INTx, bus mastering ------------------------------------------------- */

static const struct {
    unsigned slot;
    uint8_t pin;
    unsigned pirq;
} swizzle[] = {
    { 0, 1, 3 }, { 1, 1, 0 }, { 1, 4, 3 }, { 2, 1, 1 },  { 3, 1, 2 },
    { 4, 1, 3 }, { 5, 1, 0 }, { 5, 2, 1 }, { 31, 4, 1 },
};

TEST_P(intx_is_swizzled_as_the_board_does, swizzle)
{
    struct bp_pci_ids with_pin = ids;
    struct pci_function *f;

    set_up();
    with_pin.interrupt_pin = row->pin;
    f = pci_function_add(bus, "dev", row->slot, 0, &with_pin, NULL, NULL, NULL,
                         NULL);
    pci_function_set_intx(f, true);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(wire_level(wires, "pirq", i), i == row->pirq);
    pci_function_set_intx(f, false);
    CHECK(!wire_level(wires, "pirq", row->pirq));
    tear_down();
}

TEST(intx_disable_gates_the_pin_and_status_shows_it)
{
    struct pci_function *f;

    set_up();
    f = add(1, 0);
    pci_function_set_intx(f, true);
    CHECK_EQ(cfg_read(1, 6, 2), 0); /* a chip of before PCI 2.3 */
    pci_function_set_intx(f, false);

    pci_function_set(f, 4, 2, 0, PCI_COMMAND_INTX_OFF, 0);
    pci_function_set_intx(f, true);
    CHECK_EQ(cfg_read(1, 6, 2), 8);
    CHECK(wire_level(wires, "pirq", 0));
    cfg_write(1, 4, PCI_COMMAND_INTX_OFF, 2);
    CHECK(!wire_level(wires, "pirq", 0));
    CHECK_EQ(cfg_read(1, 6, 2), 8);
    cfg_write(1, 4, 0, 2);
    CHECK(wire_level(wires, "pirq", 0));
    pci_function_reset(f);
    CHECK(!wire_level(wires, "pirq", 0));
    tear_down();
}

TEST(bus_mastering_follows_the_command_register)
{
    struct pci_function *f;

    set_up();
    f = add(1, 0);
    pci_function_set(f, 4, 2, 0, PCI_COMMAND_MASTER, 0);
    pci_function_seal(f);
    CHECK(!pci_function_is_master(f));
    cfg_write(1, 4, 7, 1);
    CHECK(pci_function_is_master(f));
    pci_function_reset(f);
    CHECK(!pci_function_is_master(f));
    tear_down();
}

/* --- state --------------------------------------------------------------- */

TEST(a_loaded_function_is_as_it_was_saved)
{
    struct pci_function_state state;
    struct pci_function *f;

    set_up();
    f = add(1, 0);
    pci_function_bar_memory(f, 0, 4096, false, false, disabled_region(4096),
                            NULL);
    pci_function_set(f, 0x40, 1, 0, 0xff, 0);
    pci_function_seal(f);
    cfg_write(1, 0x10, 0xe0000000, 4);
    cfg_write(1, 4, PCI_COMMAND_MEMORY, 2);
    cfg_write(1, 0x40, 0x77, 1);
    pci_function_set_intx(f, true);
    pci_function_save(f, &state);
    pci_function_reset(f);
    CHECK_EQ(map_io_read(map, 0xe0000000, 1), 0xff);

    CHECK(pci_function_load(f, &state, NULL));
    CHECK_EQ(map_io_read(map, 0xe0000000, 1), 0x40);
    CHECK_EQ(cfg_read(1, 0x40, 1), 0x77);
    CHECK(wire_level(wires, "pirq", 0));
    tear_down();
}

TEST(a_hostile_state_cannot_change_what_is_fixed)
{
    struct pci_function_state state;
    struct pci_function *f;
    GError *error = NULL;

    set_up();
    f = add(1, 0);
    pci_function_bar_memory(f, 0, 4096, false, false, disabled_region(4096),
                            NULL);
    pci_function_seal(f);
    memset(&state, 0xff, sizeof state);
    CHECK(!pci_function_load(f, &state, &error));
    CHECK(error);
    g_clear_error(&error);
    memcpy(state.config, "\x34\x12\x78\x56", 4);
    CHECK(pci_function_load(f, &state, NULL));
    CHECK_EQ(cfg_read(1, 0x10, 4), 0xfffff000);
    CHECK_EQ(cfg_read(1, 0x14, 4), 0);
    CHECK_EQ(cfg_read(1, 0x0e, 1), 0);
    CHECK_EQ(cfg_read(1, 0x3d, 1), 1);
    tear_down();
}

/* --- lanes --------------------------------------------------------------- */

static struct lane *lane;

static void in_lane(void *opaque, uint32_t offset, uint32_t width)
{
    CHECK(lane_held(lane));
    note_write(opaque, offset, width);
}

TEST(config_writes_reach_the_owner_in_its_lane)
{
    struct lanes *l = lanes_create(0);
    char *text;

    set_up();
    lane = lane_create(l, "ide", LANE_DEVICE);
    CHECK(pci_function_add(bus, "ide", 1, 1, &ids, lane, in_lane, NULL, NULL));
    pci_config_write(bus, 1 << 3 | 1, 0x3c, 11, 1);
    CHECK_STR_EQ(writes, "1@3c ");
    CHECK_EQ(pci_config_read(bus, 1 << 3 | 1, 0x3c, 1), 11);
    CHECK(!lane_held(lane));
    text = pci_bus_describe(bus);
    CHECK(strstr(text, "01.1 1234:5678 class 010180 ide, INTA is pirq0 low"));
    g_free(text);
    tear_down();
    lanes_destroy(l);
}

static void *bang(void *opaque)
{
    uint32_t seed = (uint32_t)(uintptr_t)opaque;

    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        pci_config_write(bus, 1 << 3, seed >> 8 & 0x3c, seed << 12, 4);
        map_io_read(map, seed & 0xfffff000, 4);
        pio_read(pio, (uint16_t)(seed >> 16), 1);
    }
    return NULL;
}

TEST(two_threads_may_write_one_function)
{
    struct lanes *l = lanes_create(0);
    struct pci_function *f;
    struct pio_range *r;
    pthread_t other;

    set_up();
    lane = lane_create(l, "dev", LANE_DEVICE);
    f = pci_function_add(bus, "dev", 1, 0, &ids, lane, NULL, NULL, NULL);
    r = pio_claim(pio, "bar", 0, 16, 7, 0, &pio_probe, NULL);
    pio_range_enable(r, false);
    CHECK(pci_function_bar_memory(f, 0, 4096, false, false,
                                  disabled_region(4096), NULL));
    CHECK(pci_function_bar_io(f, 1, 16, r, NULL));
    CHECK_EQ(pthread_create(&other, NULL, bang, (void *)1), 0);
    bang((void *)2);
    pthread_join(other, NULL);
    tear_down();
    lanes_destroy(l);
}
