/* SPDX-License-Identifier: MIT */
/*
 * PCI functions: "bp.pci/1".
 *
 * The host keeps the 256 bytes of configuration space with a mask of
 * writable and of write-one-to-clear bits a byte, decodes the BARs, gates
 * bus mastering, routes INTx and saves it all.  The device sets the values
 * that its datasheet gives and is told of writes.
 */
#ifndef BACKPLANE_PCI_H
#define BACKPLANE_PCI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_PCI "bp.pci/1"

struct bp_dev;
struct bp_pci_function;
struct bp_region;
struct bp_pio_range;

struct bp_pci_ids {
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem;
    uint8_t revision;
    uint8_t prog_if, subclass, base_class;
    uint8_t header_type;   /* 0, or 1 for a bridge; 0x80 added by host */
    uint8_t interrupt_pin; /* 0 none, 1..4 INTA..INTD */
};

enum { BP_PCI_ANY = 0xff };

struct bp_pci {
    uint32_t size;
    /*
     * A function on bus 0.  slot BP_PCI_ANY: the next free one.  All
     * registers beyond those of `ids` are 0 and read-only until `set`.
     * config_write (may be NULL) is called after the host stored a write
     * that reached offset .. offset + width - 1.  reset restores the values
     * that were set during [setup].  NULL with a reason when the place is
     * taken.  [setup]
     */
    struct bp_pci_function *(*add)(
        struct bp_dev *dev, uint32_t slot, uint32_t function,
        const struct bp_pci_ids *ids,
        void (*config_write)(void *ctx, uint32_t offset, uint32_t width),
        void *ctx);
    /* Value, writable bits and write-one-to-clear bits of a register, width
     * 1, 2 or 4.  Usable after [setup] too: then it changes the value only
     * for this run, and masks must be given again. */
    void (*set)(struct bp_pci_function *f, uint32_t offset, uint32_t width,
                uint32_t value, uint32_t writable, uint32_t clear);
    uint32_t (*get)(struct bp_pci_function *f, uint32_t offset, uint32_t width);
    /* Stores a value, masks unchanged. */
    void (*put)(struct bp_pci_function *f, uint32_t offset, uint32_t width,
                uint32_t value);
    /*
     * BAR `index` 0..5 of `bytes` (a power of two, at least 16 for memory, 4
     * for I/O) places a region that was added disabled, or a port range; the
     * host moves and enables it as the guest programs it.  [setup]
     */
    int32_t (*bar_memory)(struct bp_pci_function *f, uint32_t index,
                          uint64_t bytes, uint32_t prefetchable,
                          struct bp_region *region);
    int32_t (*bar_io)(struct bp_pci_function *f, uint32_t index, uint32_t ports,
                      struct bp_pio_range *range);
    /* Expansion ROM: a copy of the image is placed by the ROM BAR.  [setup] */
    int32_t (*rom)(struct bp_pci_function *f, const void *image,
                   uint32_t bytes);
    /* Level of the function's INTx pin. */
    void (*set_intx)(struct bp_pci_function *f, int32_t level);
};

#ifdef __cplusplus
}
#endif

#endif
