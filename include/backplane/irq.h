/* SPDX-License-Identifier: MIT */
/*
 * Signal lines: "bp.irq/1", and interrupt controllers: "bp.intc/1".
 *
 * A line is named by a group and a number.  Several outputs may drive one
 * line: it is high while any of them is.  Inputs are told of changes.
 *
 *   "isa"   0..15   interrupt requests of the ISA bus
 *   "pirq"  0..3    PCI INTA#..INTD# after the board's swizzle (high: asserted)
 *   "gsi"   0..23   inputs of the I/O APIC beyond the ISA ones
 *   "intr"  0       from the 8259 pair to the processor
 *   "nmi"   0       rising edge: non-maskable interrupt
 *   "smi"   0       rising edge: system management interrupt
 *   "ferr"  0       from the processor: x87 error (CR0.NE clear)
 *   "a20"   0       high: address line 20 is passed through
 */
#ifndef BACKPLANE_IRQ_H
#define BACKPLANE_IRQ_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_IRQ  "bp.irq/1"
#define BP_INTC "bp.intc/1"

struct bp_dev;
struct bp_irq_line;

typedef void bp_irq_fn(void *ctx, uint32_t number, int32_t level);

struct bp_irq {
    uint32_t size;
    /* An output, low.  Its level is saved by the host.  NULL with a reason
     * when there is no such line.  [setup] */
    struct bp_irq_line *(*output)(struct bp_dev *dev, const char *group,
                                  uint32_t number);
    /* Setting the same level again does nothing.  Inputs are called before
     * it returns, in their own lanes (rank rule of device.h).  [lane] */
    void (*set)(struct bp_irq_line *line, int32_t level);
    /* fn is called with the line's new level when it changed, and is not
     * called for the initial one.  [setup] */
    int32_t (*input)(struct bp_dev *dev, const char *group, uint32_t number,
                     bp_irq_fn *fn, void *ctx);
    /* The level now.  [any] */
    int32_t (*level)(struct bp_dev *dev, const char *group, uint32_t number);
};

/* clang-format off */
enum {
    BP_APIC_FIXED = 0, BP_APIC_LOWEST = 1, BP_APIC_SMI = 2, BP_APIC_NMI = 4,
    BP_APIC_INIT = 5, BP_APIC_EXTINT = 7,
};
/* clang-format on */

struct bp_intc {
    uint32_t size;
    /* The acknowledge cycle of the 8259 pair: returns the vector.  One
     * device of a machine may set it.  Called [lane].  [setup] */
    int32_t (*set_acknowledge)(struct bp_dev *dev, int32_t (*fn)(void *ctx),
                               void *ctx);
    /* A message to the local APICs.  dest: APIC id, or logical set. */
    void (*send)(struct bp_dev *dev, uint32_t dest, uint32_t logical,
                 uint32_t delivery_mode, uint8_t vector, uint32_t level);
    /* fn is called [lane] when a local APIC acknowledged a level-triggered
     * vector.  [setup] */
    int32_t (*on_eoi)(struct bp_dev *dev, void (*fn)(void *ctx, uint8_t vector),
                      void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
