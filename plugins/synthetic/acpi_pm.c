/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi-pm: what a Generation 2 machine has of a chipset: the fixed ACPI
 * registers at 400h, the reset register at 433h and the generation id.
 *
 * Ports, from the base: 00h PM1 status, 02h PM1 enable, 04h PM1 control
 * (SCI_EN reads 1: there is no mode but ACPI), 08h timer of 32 bits, 0Ch
 * general-purpose status (16 bits), 0Eh enable, 33h reset (value 1).  SCI is
 * IRQ 9.  Of sleep states there is S5 (SLP_TYP 0).
 *
 * The generation id is 16 bytes of guest memory whose address the ACPI
 * tables give.  It is another one after the machine was restored, and then
 * general-purpose event 0 tells the guest to stir its random numbers.
 *
 * Sources: ACPI 6.4 sections 4.7 and 4.8; "Virtual Machine Generation ID",
 * Microsoft 2012; reference/hyperv.md 2.6 for the ports.
 */
#include <errno.h>
#include <stddef.h>

#include "acpi/acpi_regs.h"
#include "export.h"

#define PM_PORTS       64u
#define PM_RESET       0x33
#define RESET_VALUE    1
#define STS_CLEAR      0x8531
#define CNTRL_WRITABLE 0x1c02 /* SCI_EN reads 1 */
#define GPE_GENERATION 0x0001

#define ID_BYTES 16u

struct pm {
    /* Configuration */
    uint32_t base;
    const char *generation; /* 32 hexadecimal digits */
    uint64_t generation_at; /* 0: nowhere */
    /* Wiring */
    const struct bp_pio *pio;
    const struct bp_dma *dma;
    const struct bp_power *power;
    struct bp_dev *dev;
    struct acpi_regs regs;
    uint8_t id[ID_BYTES];
    int restored; /* the guest has not been told yet */
    /* State */
    struct acpi_regs_state st;
};

static uint32_t pm_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pm *s = ctx;

    return acpi_regs_read(&s->regs, offset, width);
}

static void pm_write(void *ctx, uint32_t offset, uint32_t value, uint32_t width)
{
    struct pm *s = ctx;

    if (offset != PM_RESET || width != 1)
        acpi_regs_write(&s->regs, offset, value, width);
    else if (value == RESET_VALUE)
        s->power->reset(s->dev);
}

static const struct bp_pio_ops pm_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = pm_read,
    .write = pm_write,
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_id(const char *text, uint8_t id[ID_BYTES])
{
    for (unsigned i = 0; i < ID_BYTES; i++) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);

        if (low < 0)
            return 0;
        id[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return text[0] == 0;
}

static int32_t pm_create(void *self, struct bp_dev *dev,
                         const struct bp_host *host)
{
    struct pm *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->dma = host->query(host, BP_DMA);
    s->power = host->query(host, BP_POWER);
    s->regs = (struct acpi_regs){
        .timer_bits = 32,
        .sts_clear = STS_CLEAR,
        .cntrl_writable = CNTRL_WRITABLE,
        .gpen_writable = GPE_GENERATION,
        .st = &s->st,
    };
    acpi_regs_create(&s->regs, dev, host);
    if (s->generation_at && !parse_id(s->generation, s->id))
        return host->fail(dev, -EINVAL,
                          "the generation id '%s' is not 32 hexadecimal "
                          "digits",
                          s->generation);
    return 0;
}

static int32_t pm_realize(void *self)
{
    struct pm *s = self;

    if (!s->pio->claim(s->dev, "pm", s->base, PM_PORTS,
                       BP_SIZE_1 | BP_SIZE_2 | BP_SIZE_4, 0, &pm_ops, s))
        return -EBUSY;
    return acpi_regs_realize(&s->regs);
}

static void pm_reset(void *self, uint32_t kind)
{
    struct pm *s = self;

    (void)kind;
    s->restored = 0;
    acpi_regs_reset(&s->regs);
}

static int32_t pm_loaded(void *self, uint32_t version)
{
    struct pm *s = self;

    (void)version;
    s->restored = 1;
    acpi_regs_sync(&s->regs);
    return 0;
}

/* Here memory has its content, after a reset as after a restore. */
static void pm_start(void *self)
{
    struct pm *s = self;

    if (!s->generation_at)
        return;
    s->dma->write(s->dev, s->generation_at, s->id, ID_BYTES);
    if (s->restored)
        s->st.gpsts |= GPE_GENERATION;
    s->restored = 0;
    acpi_regs_sync(&s->regs);
}

static const struct bp_field pm_fields[] = { ACPI_REGS_FIELDS(struct pm, st),
                                             BP_FIELD_END };

static const struct bp_property pm_properties[] = {
    { .name = "base",
      .help = "first of 64 I/O ports",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct pm, base),
      .max = 0xffc0,
      .number = 0x400 },
    { .name = "generation",
      .help = "the generation id, 32 hexadecimal digits",
      .type = BP_PROP_STRING,
      .offset = offsetof(struct pm, generation),
      .text = "00000000000000000000000000000000" },
    { .name = "generation-at",
      .help = "its address in guest memory; 0: there is none",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct pm, generation_at) },
    { .name = NULL },
};

static const char *const pm_requires[] = { BP_LOG, BP_TIMER, BP_PIO, BP_IRQ,
                                           BP_DMA, BP_POWER, NULL };

static const struct bp_device_desc acpi_pm_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BRIDGE,
    .id = "acpi-pm",
    .title = "ACPI power management of Generation 2, generation id",
    .instance_size = sizeof(struct pm),
    .state_offset = offsetof(struct pm, st),
    .state_size = sizeof(struct acpi_regs_state),
    .state_version = 1,
    .fields = pm_fields,
    .properties = pm_properties,
    .requires_ = pm_requires,
    .create = pm_create,
    .realize = pm_realize,
    .reset = pm_reset,
    .loaded = pm_loaded,
    .start = pm_start,
};

EXPORT_DEVICES("acpi-pm", "ACPI power management", &acpi_pm_desc);
