/* SPDX-License-Identifier: Apache-2.0 */
/* What pci.c and pci_bar.c share; nobody else includes it. */
#ifndef BUS_PCI_FUNCTION_H
#define BUS_PCI_FUNCTION_H

#include "bus/pci.h"

struct wire_output;

enum { PCI_BARS = 6, PCI_ROM = PCI_BARS, PCI_PLACES = PCI_BARS + 1 };

struct pci_bar {
    uint64_t bytes; /* or ports; 0: there is no such BAR */
    bool wide;
    bool placed;
    struct region *region;   /* memory and ROM */
    struct pio_range *range; /* I/O */
};

/* Configuration bytes with what a guest may do to them. */
struct pci_registers {
    uint8_t value[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES];
    uint8_t clear[PCI_CONFIG_BYTES];
};

struct pci_function {
    struct pci_bus *bus;
    char *name;
    unsigned slot, number;
    struct lane *lane;
    pci_config_write_fn *config_write;
    void *opaque;

    struct pci_registers now, at_reset;
    struct pci_bar bars[PCI_PLACES];
    struct memory *rom;
    struct wire_output *intx; /* NULL: no pin */
    bool wants_intx;
    bool is_master; /* atomic copy of the command bit */
};

struct pci_bus {
    struct map *map;
    struct pio *pio;
    struct wires *wires;
    struct pio_range *ports;
    uint32_t address; /* atomic: CONFIG_ADDRESS */
    struct pci_function *functions[PCI_SLOTS * PCI_FUNCTIONS];
};

/* Places and removes what the BARs hold, as the registers say now. */
void pci_bars_update(struct pci_function *f);
void pci_bars_remove(struct pci_function *f);
/* Whether a write to these bytes may move a BAR. */
bool pci_bars_hang_on(uint32_t offset, uint32_t width);
void pci_bars_describe(const struct pci_function *f, GString *text);

#endif
