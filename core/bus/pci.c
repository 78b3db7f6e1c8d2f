/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/pci_function.h"

#include <string.h>

#include "bus/pio.h"
#include "bus/wire.h"
#include "lib/le.h"
#include "mem/map.h"
#include "sched/lane.h"
#include "vm/error.h"

enum { PORT_ADDRESS = 0xcf8, PORT_COUNT = 8, DATA_OFFSET = 4 };
enum { ADDRESS_ENABLE = 1u << 31, ADDRESS_WRITABLE = 0x80fffffc };
enum { STATUS_INTX = 0x08, HEADER_MULTI = 0x80 };
/* The board's own chips sit below. */
enum { FIRST_FREE_SLOT = 3 };

/* --- registers ----------------------------------------------------------- */

static bool is_inside(uint32_t offset, uint32_t width)
{
    return (width == 1 || width == 2 || width == 4) &&
           offset <= PCI_CONFIG_BYTES - width;
}

static void put_bytes(uint8_t *to, uint32_t width, uint32_t value)
{
    for (uint32_t i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_bytes(const uint8_t *from, uint32_t width)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < width; i++)
        value |= (uint32_t)from[i] << (8 * i);
    return value;
}

static uint16_t command(const struct pci_function *f)
{
    return le16_get(&f->now.value[PCI_COMMAND]);
}

/*
 * Interrupt disable in the command register and interrupt status came
 * together, with PCI 2.3: a chip that lacks one has not got the other.
 */
static bool knows_intx_off(const struct pci_function *f)
{
    return f->now.writable[PCI_COMMAND + 1] & (PCI_COMMAND_INTX_OFF >> 8);
}

static bool intx_level(struct pci_function *f)
{
    if (knows_intx_off(f)) {
        f->now.value[PCI_STATUS] &= (uint8_t)~STATUS_INTX;
        if (f->wants_intx)
            f->now.value[PCI_STATUS] |= STATUS_INTX;
    }
    return f->wants_intx && !(command(f) & PCI_COMMAND_INTX_OFF);
}

/* Brings everything that hangs on the registers in line with them. */
static void derive(struct pci_function *f)
{
    __atomic_store_n(&f->is_master, command(f) & PCI_COMMAND_MASTER,
                     __ATOMIC_RELAXED);
    pci_bars_update(f);
}

static void registers_changed(struct pci_function *f, uint32_t offset,
                              uint32_t width)
{
    if (!pci_bars_hang_on(offset, width))
        return;
    derive(f);
    if (f->intx)
        wire_output_set(f->intx, intx_level(f));
}

bool pci_function_set(struct pci_function *f, uint32_t offset, uint32_t width,
                      uint32_t value, uint32_t writable, uint32_t clear)
{
    if (!is_inside(offset, width))
        return false;
    put_bytes(&f->now.value[offset], width, value);
    put_bytes(&f->now.writable[offset], width, writable);
    put_bytes(&f->now.clear[offset], width, clear);
    registers_changed(f, offset, width);
    return true;
}

bool pci_function_put(struct pci_function *f, uint32_t offset, uint32_t width,
                      uint32_t value)
{
    if (!is_inside(offset, width))
        return false;
    put_bytes(&f->now.value[offset], width, value);
    registers_changed(f, offset, width);
    return true;
}

uint32_t pci_function_get(const struct pci_function *f, uint32_t offset,
                          uint32_t width)
{
    if (!is_inside(offset, width))
        return UINT32_MAX;
    return get_bytes(&f->now.value[offset], width);
}

/* --- accesses of the guest ----------------------------------------------- */

static struct pci_function *find(struct pci_bus *bus, unsigned bdf)
{
    return bdf < PCI_SLOTS * PCI_FUNCTIONS ? bus->functions[bdf] : NULL;
}

static bool enter(struct pci_function *f)
{
    bool take = f->lane && !lane_held(f->lane);

    if (take)
        lane_enter(f->lane);
    return take;
}

static void leave(struct pci_function *f, bool taken)
{
    if (taken)
        lane_leave(f->lane);
}

static void store(struct pci_function *f, uint32_t offset, uint32_t value,
                  uint32_t width)
{
    for (uint32_t i = offset; i < offset + width; i++, value >>= 8) {
        uint8_t *byte = &f->now.value[i];
        uint8_t writable = f->now.writable[i];
        uint8_t v = (uint8_t)value;

        *byte = (uint8_t)((*byte & ~writable) | (v & writable));
        *byte &= (uint8_t) ~(v & f->now.clear[i]);
    }
}

uint32_t pci_config_read(struct pci_bus *bus, unsigned bdf, unsigned offset,
                         unsigned size)
{
    struct pci_function *f = find(bus, bdf);
    uint32_t value;
    bool taken;

    if (!f)
        return UINT32_MAX;
    taken = enter(f);
    value = pci_function_get(f, offset, size);
    leave(f, taken);
    return value;
}

void pci_config_write(struct pci_bus *bus, unsigned bdf, unsigned offset,
                      uint32_t value, unsigned size)
{
    struct pci_function *f = find(bus, bdf);
    bool taken;

    if (!f || !is_inside(offset, size))
        return;
    taken = enter(f);
    store(f, offset, value, size);
    registers_changed(f, offset, size);
    if (f->config_write)
        f->config_write(f->opaque, offset, size);
    leave(f, taken);
}

uint32_t pci_bus_address(const struct pci_bus *bus)
{
    return __atomic_load_n(&bus->address, __ATOMIC_RELAXED);
}

void pci_bus_set_address(struct pci_bus *bus, uint32_t address)
{
    __atomic_store_n(&bus->address, address & ADDRESS_WRITABLE,
                     __ATOMIC_RELAXED);
}

void pci_bus_reset(struct pci_bus *bus)
{
    pci_bus_set_address(bus, 0);
}

/*
 * Only a whole dword at CF8 is CONFIG_ADDRESS.  Narrower accesses to
 * CF8..CFB are ordinary I/O cycles (3.2.2.3.2), of other chips or nobody.
 */
static uint32_t ports_read(void *opaque, uint16_t offset, unsigned size)
{
    struct pci_bus *bus = opaque;
    uint32_t address = pci_bus_address(bus);

    if (offset < DATA_OFFSET)
        return size == 4 ? address : UINT32_MAX;
    if (!(address & ADDRESS_ENABLE))
        return UINT32_MAX;
    return pci_config_read(bus, address >> 8 & 0xffff,
                           (address & 0xfc) | (offset & 3), size);
}

static void ports_write(void *opaque, uint16_t offset, uint32_t value,
                        unsigned size)
{
    struct pci_bus *bus = opaque;
    uint32_t address = pci_bus_address(bus);

    if (offset < DATA_OFFSET) {
        if (size == 4)
            pci_bus_set_address(bus, value);
    } else if (address & ADDRESS_ENABLE) {
        pci_config_write(bus, address >> 8 & 0xffff,
                         (address & 0xfc) | (offset & 3), value, size);
    }
}

static const struct pio_ops ports_ops = { ports_read, ports_write };

/* --- functions ----------------------------------------------------------- */

static bool is_slot_free(struct pci_bus *bus, unsigned slot)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        if (bus->functions[slot * PCI_FUNCTIONS + i])
            return false;
    }
    return true;
}

static unsigned free_slot(struct pci_bus *bus)
{
    unsigned slot = FIRST_FREE_SLOT;

    while (slot < PCI_SLOTS && !is_slot_free(bus, slot))
        slot++;
    return slot;
}

/* 6.2.1: bit 7 of the header type tells software to look further. */
static void mark_multi_function(struct pci_bus *bus, unsigned slot)
{
    struct pci_function **f = &bus->functions[(size_t)slot * PCI_FUNCTIONS];
    unsigned count = 0;

    for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
        count += f[i] != NULL;
    for (unsigned i = 0; count > 1 && i < PCI_FUNCTIONS; i++) {
        if (!f[i])
            continue;
        f[i]->now.value[PCI_HEADER_TYPE] |= HEADER_MULTI;
        f[i]->at_reset.value[PCI_HEADER_TYPE] |= HEADER_MULTI;
    }
}

static void set_ids(struct pci_function *f, const struct bp_pci_ids *ids)
{
    uint8_t *v = f->now.value;

    le16_put(v + PCI_VENDOR_ID, ids->vendor);
    le16_put(v + PCI_DEVICE_ID, ids->device);
    v[PCI_REVISION] = ids->revision;
    v[PCI_PROG_IF] = ids->prog_if;
    v[PCI_SUBCLASS] = ids->subclass;
    v[PCI_BASE_CLASS] = ids->base_class;
    v[PCI_HEADER_TYPE] = ids->header_type & 0x7f;
    if (v[PCI_HEADER_TYPE] == 0) {
        le16_put(v + PCI_SUBSYSTEM_VENDOR, ids->subsystem_vendor);
        le16_put(v + PCI_SUBSYSTEM, ids->subsystem);
    }
    v[PCI_INTERRUPT_PIN] = ids->interrupt_pin;
    if (ids->interrupt_pin)
        f->now.writable[PCI_INTERRUPT_LINE] = 0xff;
}

/*
 * How boards with an Intel 440 chip set wire the slots, and what SeaBIOS and
 * the ACPI tables assume: INTA# of slot 1 is PIRQA, of slot 2 PIRQB, ...
 */
static unsigned pirq_of(unsigned slot, unsigned pin)
{
    return (slot + pin - 2u) & 3;
}

static bool check_place(struct pci_bus *bus, const char *name, unsigned slot,
                        unsigned function, const struct bp_pci_ids *ids,
                        GError **error)
{
    if (slot >= PCI_SLOTS || function >= PCI_FUNCTIONS)
        return vm_fail(error, VM_ERROR_CONFIG, "there is no PCI slot for '%s'",
                       name);
    if (bus->functions[slot * PCI_FUNCTIONS + function])
        return vm_fail(error, VM_ERROR_CONFIG,
                       "PCI slot %u.%u of '%s' is taken by '%s'", slot,
                       function, name,
                       bus->functions[slot * PCI_FUNCTIONS + function]->name);
    if (ids->interrupt_pin > 4)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "PCI function '%s' has no interrupt pin %u", name,
                       ids->interrupt_pin);
    return true;
}

struct pci_function *pci_function_add(struct pci_bus *bus, const char *name,
                                      unsigned slot, unsigned function,
                                      const struct bp_pci_ids *ids,
                                      struct lane *lane,
                                      pci_config_write_fn *config_write,
                                      void *opaque, GError **error)
{
    struct pci_function *f;

    if (slot == PCI_SLOT_ANY)
        slot = free_slot(bus);
    if (!check_place(bus, name, slot, function, ids, error))
        return NULL;
    f = g_new0(struct pci_function, 1);
    f->bus = bus;
    f->name = g_strdup(name);
    f->slot = slot;
    f->number = function;
    f->lane = lane;
    f->config_write = config_write;
    f->opaque = opaque;
    set_ids(f, ids);
    if (ids->interrupt_pin)
        f->intx = wire_output_add(bus->wires, "pirq",
                                  pirq_of(slot, ids->interrupt_pin));
    f->at_reset = f->now;
    bus->functions[slot * PCI_FUNCTIONS + function] = f;
    mark_multi_function(bus, slot);
    return f;
}

void pci_function_remove(struct pci_function *f)
{
    if (!f)
        return;
    f->bus->functions[f->slot * PCI_FUNCTIONS + f->number] = NULL;
    pci_bars_remove(f);
    wire_output_remove(f->intx);
    g_free(f->name);
    g_free(f);
}

unsigned pci_function_slot(const struct pci_function *f)
{
    return f->slot;
}

void pci_function_seal(struct pci_function *f)
{
    f->at_reset = f->now;
}

void pci_function_reset(struct pci_function *f)
{
    f->now = f->at_reset;
    f->wants_intx = false;
    derive(f);
    if (f->intx)
        wire_output_set(f->intx, intx_level(f));
}

void pci_function_set_intx(struct pci_function *f, bool level)
{
    if (!f->intx)
        return;
    f->wants_intx = level;
    wire_output_set(f->intx, intx_level(f));
}

bool pci_function_is_master(const struct pci_function *f)
{
    return __atomic_load_n(&f->is_master, __ATOMIC_RELAXED);
}

/* --- saved state --------------------------------------------------------- */

void pci_function_save(const struct pci_function *f,
                       struct pci_function_state *out)
{
    memcpy(out->config, f->now.value, sizeof out->config);
    out->intx = f->wants_intx;
}

/*
 * Ids, BAR types, header and pin are the machine's, whatever a file says.
 * Other registers without writable bits may have been changed by the device
 * (status, class of an IDE controller), so they are taken from the file.
 */
static bool is_fixed(uint32_t offset)
{
    return offset < PCI_COMMAND || offset == PCI_HEADER_TYPE ||
           (offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * PCI_BARS) ||
           (offset >= PCI_ROM_BAR && offset < PCI_ROM_BAR + 4) ||
           offset == PCI_INTERRUPT_PIN;
}

bool pci_function_load(struct pci_function *f,
                       const struct pci_function_state *in, GError **error)
{
    if (memcmp(in->config, f->at_reset.value, PCI_COMMAND) != 0)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "PCI function '%s' is another chip in the saved state",
                       f->name);
    for (uint32_t i = 0; i < PCI_CONFIG_BYTES; i++) {
        uint8_t keep = is_fixed(i) ? (uint8_t)~f->now.writable[i] : 0;

        f->now.value[i] =
            (uint8_t)((f->now.value[i] & keep) | (in->config[i] & ~keep));
    }
    f->wants_intx = in->intx && f->intx;
    derive(f);
    if (f->intx)
        wire_output_restore(f->intx, intx_level(f));
    return true;
}

/* --- the bus ------------------------------------------------------------- */

struct pci_bus *pci_bus_create(struct map *map, struct pio *pio,
                               struct wires *wires)
{
    struct pci_bus *bus = g_new0(struct pci_bus, 1);

    bus->map = map;
    bus->pio = pio;
    bus->wires = wires;
    bus->ports = pio_claim(pio, "pci-config", PORT_ADDRESS, PORT_COUNT,
                           1 | 2 | 4, 0, &ports_ops, bus);
    return bus;
}

void pci_bus_destroy(struct pci_bus *bus)
{
    if (!bus)
        return;
    for (unsigned i = 0; i < G_N_ELEMENTS(bus->functions); i++)
        pci_function_remove(bus->functions[i]);
    pio_release(bus->ports);
    g_free(bus);
}

void pci_bus_foreach(struct pci_bus *bus,
                     void (*fn)(struct pci_function *f, void *opaque),
                     void *opaque)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bus->functions); i++) {
        if (bus->functions[i])
            fn(bus->functions[i], opaque);
    }
}

static void describe_function(struct pci_function *f, void *opaque)
{
    const uint8_t *v = f->now.value;
    GString *text = opaque;

    g_string_append_printf(text, "  %02x.%u %04x:%04x class %02x%02x%02x %s",
                           f->slot, f->number, le16_get(v + PCI_VENDOR_ID),
                           le16_get(v + PCI_DEVICE_ID), v[PCI_BASE_CLASS],
                           v[PCI_SUBCLASS], v[PCI_PROG_IF], f->name);
    if (f->intx)
        g_string_append_printf(text, ", INT%c is pirq%u %s",
                               'A' + v[PCI_INTERRUPT_PIN] - 1,
                               pirq_of(f->slot, v[PCI_INTERRUPT_PIN]),
                               f->wants_intx ? "high" : "low");
    g_string_append_c(text, '\n');
    pci_bars_describe(f, text);
}

char *pci_bus_describe(struct pci_bus *bus)
{
    GString *text = g_string_new(NULL);

    pci_bus_foreach(bus, describe_function, text);
    return g_string_free(text, FALSE);
}
