/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed and general-purpose registers of ACPI 6.4 section 4.8, in the
 * order in which the PIIX4 has them: 00h PM1 status, 02h enable, 04h control,
 * 08h timer, 0Ch general-purpose status, 0Eh enable.  SCI is IRQ 9, the only
 * sleep state S5 (SLP_TYP 0).
 *
 * A device has one in its instance, fills in its first part in create(), and
 * calls it [lane].
 */
#ifndef ACPI_ACPI_REGS_H
#define ACPI_ACPI_REGS_H

#include <backplane/backplane.h>

#define ACPI_CNTRL_SCI_EN 0x0001
#define ACPI_SCI_IRQ      9

struct acpi_regs_state {
    uint16_t sts, en, cntrl;
    uint16_t gpsts, gpen;
    uint64_t overflows; /* half periods of the timer seen */
};

/* Rows of a device's field table: `at` is the member of `type`. */
#define ACPI_REGS_FIELDS(type, at)                                            \
    BP_FIELD(type, at.sts, "sts"), BP_FIELD(type, at.en, "en"),               \
        BP_FIELD(type, at.cntrl, "cntrl"), BP_FIELD(type, at.gpsts, "gpsts"), \
        BP_FIELD(type, at.gpen, "gpen"),                                      \
        BP_FIELD(type, at.overflows, "overflows")

struct acpi_regs {
    /* How the chip has them */
    uint32_t timer_bits;     /* 24 or 32 */
    uint16_t sts_clear;      /* write one to clear */
    uint16_t cntrl_writable; /* 0 for SCI_EN: it always reads 1 */
    uint16_t gpen_writable;
    /* What is behind 10h; NULL: nothing. */
    uint16_t (*other_read)(void *ctx, uint32_t reg);
    void (*other_write)(void *ctx, uint32_t reg, uint16_t value);
    void *ctx;
    struct acpi_regs_state *st;
    /* Wiring: acpi_regs_create() and acpi_regs_realize() */
    struct bp_dev *dev;
    const struct bp_log *log;
    const struct bp_timer *timer;
    const struct bp_irq *irq;
    const struct bp_power *power;
    struct bp_irq_line *sci;
    struct bp_timer_handle *overflow;
};

void acpi_regs_create(struct acpi_regs *r, struct bp_dev *dev,
                      const struct bp_host *host);
/* 0 or -EBUSY. */
int32_t acpi_regs_realize(struct acpi_regs *r);
void acpi_regs_reset(struct acpi_regs *r);
/* Outputs from the state. */
void acpi_regs_sync(struct acpi_regs *r);
/* offset: from the first of the ports; width 1, 2 or 4 */
uint32_t acpi_regs_read(struct acpi_regs *r, uint32_t offset, uint32_t width);
void acpi_regs_write(struct acpi_regs *r, uint32_t offset, uint32_t value,
                     uint32_t width);

#endif
