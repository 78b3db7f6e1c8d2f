/* SPDX-License-Identifier: Apache-2.0 */
/* Base address registers: PCI Local Bus Specification 3.0, 6.2.5. */
#include "bus/pci_function.h"

#include <inttypes.h>
#include <string.h>

#include "bus/pio.h"
#include "lib/le.h"
#include "mem/map.h"
#include "vm/error.h"

enum { BAR_IO = 0x1, BAR_WIDE = 0x4, BAR_PREFETCHABLE = 0x8 };
enum { ROM_ENABLE = 0x1, ROM_SMALLEST = PAGE_BYTES };
/* Above the RAM that it may cover, as BP_PRIO_DEVICE. */
enum { ROM_PRIORITY = 100 };

static unsigned offset_of(unsigned place)
{
    return place == PCI_ROM ? PCI_ROM_BAR : PCI_BAR0 + 4 * place;
}

static uint16_t command(const struct pci_function *f)
{
    return le16_get(&f->now.value[PCI_COMMAND]);
}

/* --- where it is --------------------------------------------------------- */

/*
 * Address 0 and the all-ones pattern of sizing are no places, though the
 * specification leaves the former open: guests size BARs with decoding on.
 */
static bool io_place(const struct pci_function *f, unsigned place,
                     uint64_t *address)
{
    uint32_t reg = le32_get(&f->now.value[offset_of(place)]);

    *address = reg & ~3u;
    return (command(f) & PCI_COMMAND_IO) && *address != 0 &&
           *address + f->bars[place].bytes <= 0x10000;
}

static bool memory_place(const struct pci_function *f, unsigned place,
                         uint64_t *address)
{
    const uint8_t *reg = &f->now.value[offset_of(place)];
    uint64_t last;

    *address = le32_get(reg) & ~(place == PCI_ROM ? 0x7ffu : 0xfu);
    if (f->bars[place].wide)
        *address |= (uint64_t)le32_get(reg + 4) << 32;
    last = *address + (f->bars[place].bytes - 1);
    if (place == PCI_ROM && !(le32_get(reg) & ROM_ENABLE))
        return false;
    return (command(f) & PCI_COMMAND_MEMORY) && *address != 0 &&
           last > *address && last != UINT32_MAX && last != UINT64_MAX;
}

static void update_io(struct pci_function *f, unsigned place)
{
    struct pci_bar *bar = &f->bars[place];
    uint64_t address;

    bar->placed = io_place(f, place, &address);
    if (bar->placed)
        pio_range_move(bar->range, (uint16_t)address);
    pio_range_enable(bar->range, bar->placed);
}

static void update_memory(struct pci_function *f, unsigned place)
{
    struct pci_bar *bar = &f->bars[place];
    uint64_t address;

    bar->placed = memory_place(f, place, &address);
    if (bar->placed)
        region_move(bar->region, address);
    region_enable(bar->region, bar->placed);
}

void pci_bars_update(struct pci_function *f)
{
    map_begin(f->bus->map);
    for (unsigned i = 0; i < PCI_PLACES; i++) {
        if (f->bars[i].region)
            update_memory(f, i);
        else if (f->bars[i].range)
            update_io(f, i);
    }
    map_commit(f->bus->map);
}

void pci_bars_remove(struct pci_function *f)
{
    for (unsigned i = 0; i < PCI_PLACES; i++) {
        if (f->bars[i].region)
            region_enable(f->bars[i].region, false);
        if (f->bars[i].range)
            pio_range_enable(f->bars[i].range, false);
    }
    if (f->rom) {
        region_destroy(f->bars[PCI_ROM].region);
        memory_destroy(f->rom);
    }
    memset(f->bars, 0, sizeof f->bars);
}

bool pci_bars_hang_on(uint32_t offset, uint32_t width)
{
    uint32_t last = offset + width - 1;

    return (offset <= PCI_COMMAND + 1 && last >= PCI_COMMAND) ||
           (offset < PCI_BAR0 + 4 * PCI_BARS && last >= PCI_BAR0) ||
           (offset < PCI_ROM_BAR + 4 && last >= PCI_ROM_BAR);
}

/* --- set-up -------------------------------------------------------------- */

static bool is_power_of_two(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* Checks what all kinds have in common. */
static bool check_new(const struct pci_function *f, unsigned index, bool wide,
                      uint64_t bytes, uint64_t least, GError **error)
{
    unsigned last = index + wide;

    if (index >= PCI_BARS || last >= PCI_BARS)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "PCI function '%s' has no BAR %u", f->name, index);
    if (f->bars[index].bytes || f->bars[last].bytes ||
        (index > 0 && f->bars[index - 1].wide))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "BAR %u of PCI function '%s' is taken", index, f->name);
    if (!is_power_of_two(bytes) || bytes < least ||
        (!wide && bytes > UINT32_MAX))
        return vm_fail(
            error, VM_ERROR_CONFIG,
            "BAR %u of PCI function '%s' cannot have a size of %" PRIu64, index,
            f->name, bytes);
    return true;
}

static void allow_command(struct pci_function *f, uint8_t bit)
{
    f->now.writable[PCI_COMMAND] |= bit;
}

bool pci_function_bar_memory(struct pci_function *f, unsigned index,
                             uint64_t bytes, bool prefetchable, bool wide,
                             struct region *region, GError **error)
{
    uint32_t type =
        (prefetchable ? BAR_PREFETCHABLE : 0) | (wide ? BAR_WIDE : 0);
    uint64_t writable = ~(bytes - 1);

    if (!check_new(f, index, wide, bytes, 16, error))
        return false;
    f->bars[index] = (struct pci_bar){
        .bytes = bytes,
        .wide = wide,
        .region = region,
    };
    pci_function_set(f, offset_of(index), 4, type, (uint32_t)writable, 0);
    if (wide)
        pci_function_set(f, offset_of(index + 1), 4, 0,
                         (uint32_t)(writable >> 32), 0);
    allow_command(f, PCI_COMMAND_MEMORY);
    pci_bars_update(f);
    return true;
}

bool pci_function_bar_io(struct pci_function *f, unsigned index, uint32_t ports,
                         struct pio_range *range, GError **error)
{
    if (!check_new(f, index, false, ports, 4, error))
        return false;
    if (ports > 0x8000)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "BAR %u of PCI function '%s' has too many ports", index,
                       f->name);
    f->bars[index] = (struct pci_bar){ .bytes = ports, .range = range };
    pci_function_set(f, offset_of(index), 4, BAR_IO, ~(ports - 1), 0);
    allow_command(f, PCI_COMMAND_IO);
    pci_bars_update(f);
    return true;
}

static uint64_t rom_bytes(uint32_t image_bytes)
{
    uint64_t bytes = ROM_SMALLEST;

    while (bytes < image_bytes)
        bytes *= 2;
    return bytes;
}

/*
 * Firmware runs a ROM only if the ids in it are the function's, and one image
 * serves several cards that are alike.  PCI Firmware Specification 3.0, 5.1:
 * a pointer at 18h to "PCIR", ids behind; bytes of the image add up to 0, for
 * which byte 6 is the one to change.
 */
static void adopt_rom(const struct pci_function *f, uint8_t *rom,
                      uint32_t bytes)
{
    const uint8_t *ids = &f->now.value[PCI_VENDOR_ID];
    uint32_t at = bytes >= 0x1a ? le16_get(rom + 0x18) : bytes;

    if (bytes < 0x1a || le16_get(rom) != 0xaa55 || at + 8 > bytes ||
        memcmp(rom + at, "PCIR", 4) != 0)
        return;
    for (unsigned i = 0; i < 4; i++) {
        rom[6] = (uint8_t)(rom[6] + rom[at + 4 + i] - ids[i]);
        rom[at + 4 + i] = ids[i];
    }
}

bool pci_function_rom(struct pci_function *f, const void *image, uint32_t bytes,
                      GError **error)
{
    struct pci_bar *bar = &f->bars[PCI_ROM];
    uint64_t size = rom_bytes(bytes);

    if (bar->bytes || bytes == 0 || size > UINT32_MAX)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "PCI function '%s' cannot have a ROM of %u bytes",
                       f->name, bytes);
    f->rom = memory_create(f->name, size);
    if (!f->rom)
        return vm_fail(error, VM_ERROR_RUN,
                       "no memory for the ROM of PCI function '%s'", f->name);
    memcpy(f->rom->host, image, bytes);
    adopt_rom(f, f->rom->host, bytes);
    map_begin(f->bus->map);
    *bar = (struct pci_bar){
        .bytes = size,
        .region = map_add_memory(f->bus->map, f->rom->name, 0, size, f->rom, 0,
                                 ROM_PRIORITY, true),
    };
    pci_function_set(f, PCI_ROM_BAR, 4, 0, (uint32_t) ~(size - 1) | ROM_ENABLE,
                     0);
    allow_command(f, PCI_COMMAND_MEMORY);
    pci_bars_update(f);
    map_commit(f->bus->map);
    return true;
}

void pci_bars_describe(const struct pci_function *f, GString *text)
{
    for (unsigned i = 0; i < PCI_PLACES; i++) {
        const struct pci_bar *bar = &f->bars[i];

        if (!bar->bytes)
            continue;
        if (i == PCI_ROM)
            g_string_append(text, "      ROM");
        else
            g_string_append_printf(text, "      BAR %u", i);
        g_string_append_printf(text, " %s %" PRIu64 " bytes: %08x%s\n",
                               bar->range ? "I/O" : "memory", bar->bytes,
                               le32_get(&f->now.value[offset_of(i)]),
                               bar->placed ? "" : " (off)");
    }
}
