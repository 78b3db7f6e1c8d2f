/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piix4-isa: function 0 of the PIIX4, the PCI-to-ISA bridge.
 *
 * Datasheet: Intel 82371AB (PIIX4), order 290562: section 4.1 (function 0
 * configuration), 4.2.7 (port 92h), 4.2.9 (reset control CF9h).
 *
 * Modelled: PIRQ routing (60h-63h) to the ISA interrupts, port 92h (fast A20
 * and fast reset), reset control register CF9h, identification; the chips
 * inside (8237, 8254, 8259, RTC) are devices of their own.
 * Not modelled: X-bus chip selects, positive decode ranges and DMA routing
 * registers are stored without effect; serial IRQ.
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

#define CFG_IORT     0x4c
#define CFG_XBCS     0x4e
#define CFG_PIRQ     0x60
#define CFG_SERIRQC  0x64
#define CFG_TOM      0x69
#define CFG_MSTAT    0x6a
#define CFG_MBDMA    0x76
#define CFG_APICBASE 0x80
#define CFG_DLC      0x82
#define CFG_PDMACFG  0x90
#define CFG_DDMABP   0x92
#define CFG_GENCFG   0xb0
#define CFG_RTCCFG   0xcb

#define PIRQ_OFF 0x80
/* "Reserved" routes: 0, 1, 2, 8, 13. */
#define PIRQ_ALLOWED 0xdef8u

#define RC_TYPE 0x02 /* hard reset */
#define RC_CPU  0x04 /* rising edge resets */

#define P92_RESET 0x01
#define P92_A20   0x02

struct isa_state {
    uint8_t port92;
    uint8_t reset_control;
    uint8_t pirq; /* bit n: PIRQ n is asserted */
};

struct isa {
    /* Configuration */
    uint32_t slot;
    /* Wiring */
    const struct bp_pio *pio;
    const struct bp_irq *irq;
    const struct bp_pci *pci;
    const struct bp_power *power;
    struct bp_dev *dev;
    struct bp_pci_function *fn;
    struct bp_irq_line *isa[16];
    struct bp_irq_line *a20;
    /* State */
    struct isa_state st;
};

/* Drives every ISA interrupt that PIRQs may be routed to. */
static void isa_sync(struct isa *s)
{
    uint16_t asserted = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint8_t route = s->pci->get(s->fn, CFG_PIRQ + i, 1);

        if (!(route & PIRQ_OFF) && s->st.pirq & 1u << i)
            asserted |= 1u << (route & 15);
    }
    for (unsigned n = 0; n < 16; n++)
        if (s->isa[n])
            s->irq->set(s->isa[n], asserted >> n & 1);
    s->irq->set(s->a20, !!(s->st.port92 & P92_A20));
}

static void isa_pirq(void *ctx, uint32_t number, int32_t level)
{
    struct isa *s = ctx;

    if (level)
        s->st.pirq |= 1u << number;
    else
        s->st.pirq &= ~(1u << number);
    isa_sync(s);
}

static void isa_config_write(void *ctx, uint32_t offset, uint32_t width)
{
    if (offset < CFG_PIRQ + 4 && offset + width > CFG_PIRQ)
        isa_sync(ctx);
}

static uint32_t port92_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct isa *s = ctx;

    (void)offset, (void)width;
    return s->st.port92;
}

static void port92_write(void *ctx, uint32_t offset, uint32_t value,
                         uint32_t width)
{
    struct isa *s = ctx;
    uint8_t was = s->st.port92;

    (void)offset, (void)width;
    s->st.port92 = value & (P92_A20 | P92_RESET);
    isa_sync(s);
    if (value & P92_RESET && !(was & P92_RESET))
        s->power->reset(s->dev);
}

static uint32_t rc_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct isa *s = ctx;

    (void)offset, (void)width;
    return s->st.reset_control;
}

static void rc_write(void *ctx, uint32_t offset, uint32_t value, uint32_t width)
{
    struct isa *s = ctx;
    uint8_t was = s->st.reset_control;

    (void)offset, (void)width;
    s->st.reset_control = value & (RC_TYPE | RC_CPU);
    if (value & RC_CPU && !(was & RC_CPU))
        s->power->reset(s->dev);
}

static const struct bp_pio_ops port92_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = port92_read,
    .write = port92_write,
};

static const struct bp_pio_ops rc_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = rc_read,
    .write = rc_write,
};

static int32_t isa_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct isa *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->irq = host->query(host, BP_IRQ);
    s->pci = host->query(host, BP_PCI);
    s->power = host->query(host, BP_POWER);
    return 0;
}

/* Section 4.1: power-on value and writable bits. */
static const struct {
    uint8_t offset, width;
    uint32_t value, writable, clear;
} config[] = {
    { CFG_IORT, 1, 0x4d, 0xff, 0 },
    { CFG_XBCS, 2, 0x0003, 0x01ff, 0 },
    { CFG_PIRQ, 4, 0x80808080, 0x8f8f8f8f, 0 },
    { CFG_SERIRQC, 1, 0x10, 0xff, 0 },
    { CFG_TOM, 1, 0x02, 0xfe, 0 },
    { CFG_MSTAT, 2, 0x0000, 0x8000, 0 },
    { CFG_MBDMA, 2, 0x0404, 0x8f8f, 0 },
    { CFG_APICBASE, 1, 0x00, 0x7f, 0 },
    { CFG_DLC, 1, 0x00, 0x0f, 0 },
    { CFG_PDMACFG, 2, 0x0000, 0xfcff, 0 },
    { CFG_DDMABP, 4, 0x00000000, 0xffc0ffc0, 0 },
    { CFG_GENCFG, 4, 0x00000000, 0xffffffff, 0 },
    { CFG_RTCCFG, 1, 0x21, 0x3f, 0 },
};

static int32_t isa_realize(void *self)
{
    struct isa *s = self;
    const struct bp_pci_ids ids = {
        .vendor = 0x8086,
        .device = 0x7110,
        .revision = 2,
        .subclass = 0x01,
        .base_class = 0x06,
    };
    int32_t r = 0;

    s->fn = s->pci->add(s->dev, s->slot, 0, &ids, isa_config_write, s);
    if (!s->fn)
        return -EBUSY;
    s->pci->set(s->fn, 0x04, 2, 0x0007, 0x0008, 0); /* always on */
    s->pci->set(s->fn, 0x06, 2, 0x0280, 0, 0x7800);
    for (unsigned i = 0; i < sizeof(config) / sizeof(config[0]); i++)
        s->pci->set(s->fn, config[i].offset, config[i].width, config[i].value,
                    config[i].writable, config[i].clear);
    for (uint32_t n = 0; n < 16; n++)
        if (PIRQ_ALLOWED & 1u << n &&
            !(s->isa[n] = s->irq->output(s->dev, "isa", n)))
            return -EBUSY;
    s->a20 = s->irq->output(s->dev, "a20", 0);
    for (uint32_t n = 0; n < 4 && r >= 0; n++)
        r = s->irq->input(s->dev, "pirq", n, isa_pirq, s);
    if (r < 0)
        return r;
    if (!s->a20 ||
        !s->pio->claim(s->dev, "port92", 0x92, 1, BP_SIZE_1, 1, &port92_ops,
                       s) ||
        !s->pio->claim(s->dev, "reset", 0xcf9, 1, BP_SIZE_1, 1, &rc_ops, s))
        return -EBUSY;
    return 0;
}

static void isa_reset(void *self, uint32_t kind)
{
    struct isa *s = self;

    (void)kind;
    /* Firmware starts with A20 on, as behind a chip set whose A20M# is
     * inactive at reset. */
    s->st = (struct isa_state){ .port92 = P92_A20, .pirq = s->st.pirq };
    isa_sync(s);
}

static int32_t isa_loaded(void *self, uint32_t version)
{
    struct isa *s = self;

    (void)version;
    s->st.pirq &= 15;
    isa_sync(s);
    return 0;
}

static const struct bp_field isa_fields[] = {
    BP_FIELD(struct isa, st.port92, "port92"),
    BP_FIELD(struct isa, st.reset_control, "reset_control"),
    BP_FIELD(struct isa, st.pirq, "pirq"), BP_FIELD_END
};

static const struct bp_property isa_properties[] = {
    { .name = "slot",
      .help = "PCI device number",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct isa, slot),
      .min = 1,
      .max = 31,
      .number = 7 },
    { .name = NULL },
};

static const char *const isa_requires[] = { BP_PIO, BP_IRQ, BP_PCI, BP_POWER,
                                            NULL };

static const struct bp_device_desc piix4_isa_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BRIDGE,
    .id = "piix4-isa",
    .title = "Intel PIIX4 PCI-to-ISA bridge",
    .instance_size = sizeof(struct isa),
    .state_offset = offsetof(struct isa, st),
    .state_size = sizeof(struct isa_state),
    .state_version = 1,
    .fields = isa_fields,
    .properties = isa_properties,
    .requires_ = isa_requires,
    .create = isa_create,
    .realize = isa_realize,
    .reset = isa_reset,
    .loaded = isa_loaded,
    .lane_rank = 1,
};

EXPORT_DEVICES("piix4-isa", "PIIX4 PCI-to-ISA bridge", &piix4_isa_desc);
