/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piix4-pm: function 3 of the PIIX4, power management and SMBus.
 *
 * Datasheet: Intel 82371AB (PIIX4), order 290562: section 7 (power
 * management), 7.1 (configuration), 7.2 (I/O registers), 7.4 (SMBus).
 *
 * Modelled: PMSTS/PMEN/PMCNTRL with power button, ACPI timer (24 bits) and
 * its overflow, soft off, GPE block (GPSTS/GPEN), the general registers as
 * storage, APM ports B2h/B3h, SCI on IRQ 9, SMBus host with nothing on the
 * bus (each transaction ends in "device error").
 * Not modelled: SMI#.  A BIOS that waits for an SMI is told that it was set
 * up already (DEVACTB.APMC_EN is preset), and ACPI enable/disable through
 * B2h, the duty of an SMM handler, is done here.  Suspend states other than
 * soft off, throttling, device monitors (guests see no such events).
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "acpi/acpi_regs.h"
#include "export.h"

#define CFG_PMBA      0x40
#define CFG_DEVACTB   0x58
#define CFG_PMREGMISC 0x80
#define CFG_SMBBA     0x90
#define CFG_SMBHSTCFG 0xd2

#define PM_PORTS  64u
#define SMB_PORTS 16u
#define PM_STORED 0x10

#define STS_CLEAR      0x8d31
#define CNTRL_WRITABLE 0x1c03

#define APM_ACPI_ENABLE  0xf1
#define APM_ACPI_DISABLE 0xf0

#define SMB_STS     0
#define SMB_CNT     2
#define SMB_START   0x40
#define SMB_DEV_ERR 0x04

struct pm_state {
    struct acpi_regs_state regs;
    uint8_t stored[PM_PORTS - PM_STORED];
    uint8_t apmc, apms;
    uint8_t smb[SMB_PORTS];
};

struct pm {
    /* Configuration */
    uint32_t slot;
    /* Wiring */
    const struct bp_pio *pio;
    const struct bp_pci *pci;
    struct bp_dev *dev;
    struct acpi_regs regs;
    struct bp_pci_function *fn;
    struct bp_pio_range *ports, *smb_ports;
    /* State */
    struct pm_state st;
};

/* 10h..37h are plain storage here. */
static uint16_t stored_read(void *ctx, uint32_t reg)
{
    const struct pm *s = ctx;

    return (uint16_t)(s->st.stored[reg - PM_STORED] |
                      s->st.stored[reg + 1 - PM_STORED] << 8);
}

static void stored_write(void *ctx, uint32_t reg, uint16_t v)
{
    struct pm *s = ctx;

    s->st.stored[reg - PM_STORED] = (uint8_t)v;
    s->st.stored[reg + 1 - PM_STORED] = (uint8_t)(v >> 8);
}

static uint32_t pm_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pm *s = ctx;

    return acpi_regs_read(&s->regs, offset, width);
}

static void pm_write(void *ctx, uint32_t offset, uint32_t value, uint32_t width)
{
    struct pm *s = ctx;

    acpi_regs_write(&s->regs, offset, value, width);
}

static uint32_t smb_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pm *s = ctx;

    (void)width;
    return s->st.smb[offset];
}

static void smb_write(void *ctx, uint32_t offset, uint32_t value,
                      uint32_t width)
{
    struct pm *s = ctx;

    (void)width;
    switch (offset) {
    case SMB_STS: s->st.smb[SMB_STS] &= ~value; break;
    case SMB_CNT:
        s->st.smb[SMB_CNT] = value & ~SMB_START;
        if (value & SMB_START)
            s->st.smb[SMB_STS] |= SMB_DEV_ERR; /* nobody acknowledges */
        break;
    default: s->st.smb[offset] = value; break;
    }
}

static uint32_t apm_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pm *s = ctx;

    (void)width;
    return offset ? s->st.apms : s->st.apmc;
}

static void apm_write(void *ctx, uint32_t offset, uint32_t value,
                      uint32_t width)
{
    struct pm *s = ctx;

    (void)width;
    if (offset) {
        s->st.apms = value;
        return;
    }
    s->st.apmc = value;
    if (value == APM_ACPI_ENABLE)
        s->st.regs.cntrl |= ACPI_CNTRL_SCI_EN;
    else if (value == APM_ACPI_DISABLE)
        s->st.regs.cntrl &= ~ACPI_CNTRL_SCI_EN;
    acpi_regs_sync(&s->regs);
}

/* Places the port blocks from the base registers. */
static void pm_place(struct pm *s)
{
    uint32_t base = s->pci->get(s->fn, CFG_PMBA, 4) & 0xffc0;
    uint32_t smb = s->pci->get(s->fn, CFG_SMBBA, 4) & 0xfff0;
    int on = s->pci->get(s->fn, CFG_PMREGMISC, 1) & 1;
    int smb_on = s->pci->get(s->fn, CFG_SMBHSTCFG, 1) & 1;

    s->pio->enable(s->ports, 0);
    s->pio->enable(s->smb_ports, 0);
    if (on && base) {
        s->pio->move(s->ports, base);
        s->pio->enable(s->ports, 1);
    }
    if (smb_on && smb) {
        s->pio->move(s->smb_ports, smb);
        s->pio->enable(s->smb_ports, 1);
    }
}

static void pm_config_write(void *ctx, uint32_t offset, uint32_t width)
{
    struct pm *s = ctx;

    (void)offset, (void)width;
    pm_place(s);
}

static const struct bp_pio_ops pm_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = pm_read,
    .write = pm_write,
};

static const struct bp_pio_ops smb_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = smb_read,
    .write = smb_write,
};

static const struct bp_pio_ops apm_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = apm_read,
    .write = apm_write,
};

static int32_t pm_create(void *self, struct bp_dev *dev,
                         const struct bp_host *host)
{
    struct pm *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->pci = host->query(host, BP_PCI);
    s->regs = (struct acpi_regs){
        .timer_bits = 24,
        .sts_clear = STS_CLEAR,
        .cntrl_writable = CNTRL_WRITABLE,
        .gpen_writable = 0xffff,
        .other_read = stored_read,
        .other_write = stored_write,
        .ctx = s,
        .st = &s->st.regs,
    };
    acpi_regs_create(&s->regs, dev, host);
    return 0;
}

/* Section 7.1: power-on value and writable bits. */
static const struct {
    uint8_t offset, width;
    uint32_t value, writable;
} config[] = {
    { CFG_PMBA, 4, 0x00000001, 0x0000ffc0 },
    { 0x44, 4, 0, 0xffffffff },
    { 0x48, 4, 0, 0xffffffff },
    { 0x4c, 4, 0, 0xffffffff },
    { 0x50, 4, 0, 0xffffffff },
    { 0x54, 4, 0, 0xffffffff },
    { CFG_DEVACTB, 4, 0x02000000, 0xffffffff },
    { 0x5c, 4, 0, 0xffffffff },
    { 0x60, 4, 0x90000000, 0xffffffff },
    { 0x64, 4, 0, 0xffffffff },
    { 0x68, 4, 0, 0xffffffff },
    { 0x6c, 4, 0, 0xffffffff },
    { 0x70, 4, 0, 0xffffffff },
    { 0x74, 4, 0, 0xffffffff },
    { 0x78, 4, 0, 0xffffffff },
    { CFG_PMREGMISC, 1, 0x00, 0x01 },
    { CFG_SMBBA, 4, 0x00000001, 0x0000fff0 },
    { CFG_SMBHSTCFG, 1, 0x00, 0x0f },
};

static int32_t pm_realize(void *self)
{
    struct pm *s = self;
    struct bp_dev *dev = s->dev;
    const struct bp_pci_ids ids = {
        .vendor = 0x8086,
        .device = 0x7113,
        .revision = 3,
        .subclass = 0x80,
        .base_class = 0x06,
        .interrupt_pin = 1,
    };

    s->fn = s->pci->add(dev, s->slot, 3, &ids, pm_config_write, s);
    if (!s->fn)
        return -EBUSY;
    for (unsigned i = 0; i < sizeof(config) / sizeof(config[0]); i++)
        s->pci->set(s->fn, config[i].offset, config[i].width, config[i].value,
                    config[i].writable, 0);
    s->ports = s->pio->claim(dev, "pm", 0, PM_PORTS,
                             BP_SIZE_1 | BP_SIZE_2 | BP_SIZE_4, 1, &pm_ops, s);
    s->smb_ports =
        s->pio->claim(dev, "smbus", 0, SMB_PORTS, BP_SIZE_1, 1, &smb_ops, s);
    if (!s->ports || !s->smb_ports ||
        !s->pio->claim(dev, "apm", 0xb2, 2, BP_SIZE_1, 0, &apm_ops, s))
        return -EBUSY;
    pm_place(s);
    return acpi_regs_realize(&s->regs);
}

static void pm_reset(void *self, uint32_t kind)
{
    struct pm *s = self;

    (void)kind;
    memset(&s->st, 0, sizeof s->st);
    pm_place(s);
    acpi_regs_reset(&s->regs);
}

static int32_t pm_loaded(void *self, uint32_t version)
{
    struct pm *s = self;

    (void)version;
    pm_place(s);
    return 0;
}

static const struct bp_field pm_fields[] = {
    ACPI_REGS_FIELDS(struct pm, st.regs),
    BP_FIELD_BLOB(struct pm, st.stored, "stored"),
    BP_FIELD(struct pm, st.apmc, "apmc"),
    BP_FIELD(struct pm, st.apms, "apms"),
    BP_FIELD_BLOB(struct pm, st.smb, "smb"),
    BP_FIELD_END
};

static const struct bp_property pm_properties[] = {
    { .name = "slot",
      .help = "PCI device number",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct pm, slot),
      .min = 1,
      .max = 31,
      .number = 7 },
    { .name = NULL },
};

static const char *const pm_requires[] = { BP_LOG, BP_TIMER, BP_PIO, BP_IRQ,
                                           BP_PCI, BP_POWER, NULL };

static const struct bp_device_desc piix4_pm_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BRIDGE,
    .id = "piix4-pm",
    .title = "Intel PIIX4 power management and SMBus",
    .instance_size = sizeof(struct pm),
    .state_offset = offsetof(struct pm, st),
    .state_size = sizeof(struct pm_state),
    .state_version = 1,
    .fields = pm_fields,
    .properties = pm_properties,
    .requires_ = pm_requires,
    .create = pm_create,
    .realize = pm_realize,
    .reset = pm_reset,
    .loaded = pm_loaded,
};

EXPORT_DEVICES("piix4-pm", "PIIX4 power management", &piix4_pm_desc);
