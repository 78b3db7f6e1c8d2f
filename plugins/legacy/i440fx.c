/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i440fx: host bridge of the 440FX and 440BX chip sets.
 *
 * Datasheets: Intel 82441FX (order 290549), 82443BX (order 290633): PCI
 * configuration registers of device 0, PAM (59h-5Fh), SMRAM (72h).
 *
 * Modelled: identification as 82441FX or 82443BX (property `model`), the
 * seven PAM registers with separate read and write enables, the SMRAM control
 * register with D_OPEN, D_CLS, D_LCK and G_SMRAME, DRAM row boundaries.
 * Not modelled: the processors' SMM view of SMRAM belongs to the core;
 * DRAM timing, ECC, AGP (440BX: no AGP bridge function is present, guests
 * see a PCI-only board as with the 82443BX in "AGP disabled" strapping).
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

#define CFG_PAM0  0x59 /* 59h..5Fh */
#define CFG_DRB   0x60 /* 60h..67h, units of 8 MiB */
#define CFG_SMRAM 0x72

#define SMRAM_OPEN     0x40
#define SMRAM_CLOSED   0x20
#define SMRAM_LOCK     0x10
#define SMRAM_ENABLE   0x08
#define SMRAM_WRITABLE 0x78
#define SMRAM_BASE     0x02 /* bits 2:0, fixed: A0000h */

#define PAM_WINDOWS 13

enum { MODEL_440FX, MODEL_440BX, MODEL_440BX_NO_AGP };

struct hb_state {
    uint8_t smram_locked;
};

struct hb {
    /* Configuration */
    uint32_t model;
    uint64_t memory;
    /* Wiring */
    const struct bp_mmio *mmio;
    const struct bp_pci *pci;
    struct bp_dev *dev;
    struct bp_pci_function *fn;
    struct bp_region *pam[PAM_WINDOWS];
    struct bp_region *smram;
    /* State */
    struct hb_state st;
};

/*
 * Window 0 is F0000-FFFFF (high nibble of 59h); 1..12 are 16 KiB each from
 * C0000 on, two nibbles a register from 5Ah on, low nibble first.
 */
static uint64_t pam_base(unsigned window)
{
    return window ? 0xc0000 + (window - 1) * 0x4000ull : 0xf0000;
}

static uint64_t pam_bytes(unsigned window)
{
    return window ? 0x4000 : 0x10000;
}

static unsigned pam_nibble(struct hb *s, unsigned window)
{
    unsigned index = window + 1; /* in nibbles from 59h */
    unsigned v = s->pci->get(s->fn, CFG_PAM0 + index / 2, 1);

    return index & 1 ? v >> 4 : v & 15;
}

/* Drives the memory map from the registers. */
static void hb_sync(struct hb *s)
{
    uint8_t smram = s->pci->get(s->fn, CFG_SMRAM, 1);

    s->mmio->begin(s->dev);
    for (unsigned i = 0; i < PAM_WINDOWS; i++) {
        unsigned v = pam_nibble(s, i);

        s->mmio->set_claims(s->pam[i], (v & 1 ? BP_CLAIM_READ : 0) |
                                           (v & 2 ? BP_CLAIM_WRITE : 0));
    }
    s->mmio->set_claims(s->smram, (smram & (SMRAM_ENABLE | SMRAM_OPEN)) ==
                                          (SMRAM_ENABLE | SMRAM_OPEN)
                                      ? BP_CLAIM_READ | BP_CLAIM_WRITE
                                      : 0);
    s->mmio->commit(s->dev);
}

static void smram_written(struct hb *s)
{
    uint8_t v = s->pci->get(s->fn, CFG_SMRAM, 1);

    /* "When D_LCK is set, D_OPEN is reset and the register is read only." */
    if (v & SMRAM_LOCK && !s->st.smram_locked) {
        s->st.smram_locked = 1;
        s->pci->set(s->fn, CFG_SMRAM, 1, v & ~SMRAM_OPEN, SMRAM_CLOSED, 0);
    }
}

static void hb_config_write(void *ctx, uint32_t offset, uint32_t width)
{
    struct hb *s = ctx;

    if (offset <= CFG_SMRAM && offset + width > CFG_SMRAM)
        smram_written(s);
    if (offset <= CFG_SMRAM && offset + width > CFG_PAM0)
        hb_sync(s);
}

/* Row boundaries as a BIOS would have set them: cumulative, 8 MiB units. */
static void describe_dram(struct hb *s)
{
    uint64_t units = s->memory >> 23;
    unsigned i;

    for (i = 0; i < 8; i++) {
        uint64_t top = units * (i + 1) / 8;

        s->pci->set(s->fn, CFG_DRB + i, 1, top > 0xff ? 0xff : top, 0xff, 0);
    }
}

static int32_t hb_create(void *self, struct bp_dev *dev,
                         const struct bp_host *host)
{
    struct hb *s = self;

    s->dev = dev;
    s->mmio = host->query(host, BP_MMIO);
    s->pci = host->query(host, BP_PCI);
    return 0;
}

static int32_t hb_realize(void *self)
{
    static const uint16_t device[] = { 0x1237, 0x7190, 0x7192 };
    struct hb *s = self;
    const struct bp_pci_ids ids = {
        .vendor = 0x8086,
        .device = device[s->model],
        .revision = s->model == MODEL_440FX ? 2 : 3,
        .subclass = 0x00,
        .base_class = 0x06,
        /* SeaBIOS finds its platform by this pair. */
        .subsystem_vendor = s->model == MODEL_440FX ? 0x1af4 : 0,
        .subsystem = s->model == MODEL_440FX ? 0x1100 : 0,
    };

    s->fn = s->pci->add(s->dev, 0, 0, &ids, hb_config_write, s);
    if (!s->fn)
        return -EBUSY;
    for (unsigned i = 0; i < PAM_WINDOWS; i++) {
        s->pam[i] = s->mmio->add_ram_window(s->dev, "pam", pam_base(i),
                                            pam_bytes(i), BP_PRIO_SHADOW);
        if (!s->pam[i])
            return -EBUSY;
    }
    s->smram = s->mmio->add_ram_window(s->dev, "smram", 0xa0000, 0x20000,
                                       BP_PRIO_SMRAM);
    if (!s->smram)
        return -EBUSY;
    for (unsigned i = 0; i < 7; i++)
        s->pci->set(s->fn, CFG_PAM0 + i, 1, 0, i ? 0x33 : 0x30, 0);
    s->pci->set(s->fn, CFG_SMRAM, 1, SMRAM_BASE, SMRAM_WRITABLE, 0);
    describe_dram(s);
    return 0;
}

static void hb_reset(void *self, uint32_t kind)
{
    struct hb *s = self;

    (void)kind;
    s->st.smram_locked = 0;
    s->pci->set(s->fn, CFG_SMRAM, 1, SMRAM_BASE, SMRAM_WRITABLE, 0);
    hb_sync(s);
}

static int32_t hb_loaded(void *self, uint32_t version)
{
    struct hb *s = self;
    uint8_t v = s->pci->get(s->fn, CFG_SMRAM, 1);

    (void)version;
    if (s->st.smram_locked)
        s->pci->set(s->fn, CFG_SMRAM, 1, v & ~SMRAM_OPEN, SMRAM_CLOSED, 0);
    hb_sync(s);
    return 0;
}

static const struct bp_field hb_fields[] = {
    BP_FIELD(struct hb, st.smram_locked, "smram_locked"), BP_FIELD_END
};

static const char *const models[] = { "440fx", "440bx", "440bx-no-agp", NULL };

static const struct bp_property hb_properties[] = {
    { .name = "model",
      .help = "which chip it says it is; SeaBIOS knows only 440fx",
      .type = BP_PROP_CHOICE,
      .offset = offsetof(struct hb, model),
      .number = MODEL_440FX,
      .choices = models },
    { .name = "memory",
      .help = "bytes of memory for the DRAM row registers",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct hb, memory),
      .number = 128 << 20 },
    { .name = NULL },
};

static const char *const hb_requires[] = { BP_MMIO, BP_PCI, NULL };

static const struct bp_device_desc i440fx_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BRIDGE,
    .id = "i440fx",
    .title = "Intel 440FX/440BX host bridge",
    .instance_size = sizeof(struct hb),
    .state_offset = offsetof(struct hb, st),
    .state_size = sizeof(struct hb_state),
    .state_version = 1,
    .fields = hb_fields,
    .properties = hb_properties,
    .requires_ = hb_requires,
    .create = hb_create,
    .realize = hb_realize,
    .reset = hb_reset,
    .loaded = hb_loaded,
    .lane_rank = 1,
};

EXPORT_DEVICES("i440fx", "440FX/440BX host bridge", &i440fx_desc);
