/* SPDX-License-Identifier: Apache-2.0 */
/* The service tables that host_*.c offer to devices, and the objects behind
 * their handles that saved state needs. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <backplane/backplane.h>
#include <stdbool.h>

struct device;
struct timer;
struct wire_output;
struct pci_function;
struct memory;
struct region;

extern const struct bp_log host_log;
extern const struct bp_timer host_timer;
extern const struct bp_lane host_lane;
extern const struct bp_pio host_pio;
extern const struct bp_mmio host_mmio;
extern const struct bp_irq host_irq;
extern const struct bp_intc host_intc;
extern const struct bp_isa_dma host_isa_dma;
extern const struct bp_dma host_dma;
extern const struct bp_pci host_pci;
extern const struct bp_block host_block;
int32_t host_block_bay(struct bp_dev *dev, const struct bp_block_bay *ops,
                       void *ctx);
extern const struct bp_char host_char;
extern const struct bp_net host_net;
extern const struct bp_display host_display;
extern const struct bp_input host_input;
extern const struct bp_power host_power;
extern const struct bp_firmware host_firmware;
extern const struct bp_control host_control;
extern const struct bp_watch host_watch;
extern const struct bp_ram host_ram;
extern const struct bp_hv host_hv;

struct bp_timer_handle {
    struct device *dev;
    uint32_t clock; /* BP_CLOCK_* */
    struct timer *timer;
};

struct bp_irq_line {
    struct device *dev;
    char *group;
    uint32_t number;
    struct wire_output *output;
};

struct bp_pci_function {
    struct device *dev;
    struct pci_function *f;
    void (*config_write)(void *ctx, uint32_t offset, uint32_t width);
    void *ctx;
};

void host_pci_remove(struct bp_pci_function *f);

struct bp_region {
    struct device *dev;
    char *name;
    struct region *region;
    struct memory *mem; /* NULL: device registers */
    uint64_t mem_offset, bytes;
    bool owned;   /* the memory is this region's own */
    bool by_host; /* a BAR places it */
    bool enabled;
    uint32_t claims;
    const struct bp_mmio_ops *ops;
    void *ctx;
    const struct bp_mmio_ops *write_ops;
    void *write_ctx;
};

struct bp_pio_range {
    struct device *dev;
    char *name;
    struct pio_range *range;
    uint32_t first, count;
    bool enabled;
    const struct bp_pio_ops *ops;
    void *ctx;
};

#endif
