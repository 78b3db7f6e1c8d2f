/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI bus 0: configuration space behind ports CF8/CFC (mechanism #1 of the
 * PCI Local Bus Specification 3.0, 3.2.2.3.2), its functions, their BARs and
 * their INTx pins.
 *
 * The bytes of a function belong to its owner's lane.  A guest's access takes
 * that lane; everything else here that takes a function is called with it
 * held, or during set-up, or with the machine stopped.
 */
#ifndef BUS_PCI_H
#define BUS_PCI_H

#include <backplane/pci.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct lane;
struct map;
struct memory;
struct pio;
struct pio_range;
struct region;
struct wires;

struct pci_bus;
struct pci_function;

enum { PCI_SLOTS = 32, PCI_FUNCTIONS = 8, PCI_CONFIG_BYTES = 256 };
enum { PCI_SLOT_ANY = BP_PCI_ANY };

/* Configuration registers that the bus itself knows. */
enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_PROG_IF = 0x09,
    PCI_SUBCLASS = 0x0a,
    PCI_BASE_CLASS = 0x0b,
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM_BAR = 0x30,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};
enum {
    PCI_COMMAND_IO = 0x0001,
    PCI_COMMAND_MEMORY = 0x0002,
    PCI_COMMAND_MASTER = 0x0004,
    PCI_COMMAND_INTX_OFF = 0x0400,
};

/* Called in the owner's lane after a guest's write was stored. */
typedef void pci_config_write_fn(void *opaque, uint32_t offset, uint32_t width);

/* Claims CF8..CFF of `pio`; BARs go to `map` and `pio`, INTx to `wires`. */
struct pci_bus *pci_bus_create(struct map *map, struct pio *pio,
                               struct wires *wires);
void pci_bus_destroy(struct pci_bus *bus); /* and its functions */

/* CONFIG_ADDRESS, for saved state. */
uint32_t pci_bus_address(const struct pci_bus *bus);
void pci_bus_set_address(struct pci_bus *bus, uint32_t address);
void pci_bus_reset(struct pci_bus *bus); /* CONFIG_ADDRESS only */

/*
 * slot PCI_SLOT_ANY: the first free one from 3 up (0 to 2 are the board's).
 * lane may be NULL when the caller serialises (tests).  Fails with a clause
 * for the user when the place does not exist or is taken.
 */
struct pci_function *pci_function_add(struct pci_bus *bus, const char *name,
                                      unsigned slot, unsigned function,
                                      const struct bp_pci_ids *ids,
                                      struct lane *lane,
                                      pci_config_write_fn *config_write,
                                      void *opaque, GError **error);
/* Does not destroy regions and port ranges given to BARs, but unplaces
 * them; call it before they are destroyed. */
void pci_function_remove(struct pci_function *f);

unsigned pci_function_slot(const struct pci_function *f);

/* width 1, 2 or 4; false when offset + width leaves the 256 bytes. */
bool pci_function_set(struct pci_function *f, uint32_t offset, uint32_t width,
                      uint32_t value, uint32_t writable, uint32_t clear);
bool pci_function_put(struct pci_function *f, uint32_t offset, uint32_t width,
                      uint32_t value);
uint32_t pci_function_get(const struct pci_function *f, uint32_t offset,
                          uint32_t width);

/*
 * A memory region that was added disabled, or a disabled port range, is
 * placed and enabled as BAR and command register say.  bytes, ports: powers
 * of two, >= 16 and >= 4.  wide: a 64-bit BAR, takes index + 1 too.  The
 * decoding bit of the command register becomes writable with the first BAR of
 * its kind, the interrupt line register with an interrupt pin; all other
 * registers, bus mastering too, are up to pci_function_set.
 */
bool pci_function_bar_memory(struct pci_function *f, unsigned index,
                             uint64_t bytes, bool prefetchable, bool wide,
                             struct region *region, GError **error);
bool pci_function_bar_io(struct pci_function *f, unsigned index, uint32_t ports,
                         struct pio_range *range, GError **error);
/* The bus makes memory and region of the ROM from a copy of the image. */
bool pci_function_rom(struct pci_function *f, const void *image, uint32_t bytes,
                      GError **error);

/* End of set-up: values and masks of now are those of reset. */
void pci_function_seal(struct pci_function *f);
/* Reset values, BARs unplaced, INTx low.  Before the device's own reset. */
void pci_function_reset(struct pci_function *f);

void pci_function_set_intx(struct pci_function *f, bool level);
/* Command register bit 2.  [any] */
bool pci_function_is_master(const struct pci_function *f);

/*
 * Saved state: copy it out, or copy a state in that was read from a file.
 * pci_function_load checks that it is the same function, keeps what no guest
 * can change, places the BARs and restores INTx without telling inputs.
 */
struct pci_function_state {
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t intx; /* what the device asked for: 0 or 1 */
};
void pci_function_save(const struct pci_function *f,
                       struct pci_function_state *out);
bool pci_function_load(struct pci_function *f,
                       const struct pci_function_state *in, GError **error);

/* All functions, in order of slot and number. */
void pci_bus_foreach(struct pci_bus *bus,
                     void (*fn)(struct pci_function *f, void *opaque),
                     void *opaque);

/*
 * A configuration access as the bus sees it; takes the owner's lane.  bdf =
 * bus << 8 | slot << 3 | function.  offset 0..255, size 1, 2 or 4, inside
 * one dword.  Nobody there: ones.
 */
uint32_t pci_config_read(struct pci_bus *bus, unsigned bdf, unsigned offset,
                         unsigned size);
void pci_config_write(struct pci_bus *bus, unsigned bdf, unsigned offset,
                      uint32_t value, unsigned size);

/* Functions with ids and BARs, for `ctl info pci`; g_free it. */
char *pci_bus_describe(struct pci_bus *bus);

#endif
