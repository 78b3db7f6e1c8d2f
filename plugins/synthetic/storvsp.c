/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device: a SCSI controller with up to 64 units, or the fast path to one
 * IDE disk.  See storvsp.h.
 *
 * Modelled: protocol 2.0 to 6.2, disks and CD/DVD drives, sub-channels, units
 * that come and go.
 * Not modelled: Fibre Channel, persistent reservations.
 *
 * The IDE kind has a drive that the IDE controller has as well.  Neither
 * keeps data, so that both may be used in turns or at once, as two paths to
 * one disk; guests that know Hyper-V leave the IDE one alone.
 */
#include "storvsp.h"

#include <errno.h>
#include <string.h>

#include "export.h"
#include "wire.h"

#define CONTROLLERS 4u

static const struct bp_guid scsi_type = { { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04,
                                            0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2,
                                            0xff, 0xb1, 0xdc, 0x7f } };
static const struct bp_guid ide_type = { { 0x32, 0x26, 0x41, 0x32, 0xcb, 0x86,
                                           0xa2, 0x44, 0x9b, 0x5c, 0x50, 0xd1,
                                           0x41, 0x73, 0x54, 0xf5 } };
/* Of controller 0; the first byte counts on. */
static const struct bp_guid scsi_instance = {
    { 0x1a, 0x78, 0xb3, 0xf8, 0x82, 0x1e, 0x18, 0x48, 0xa1, 0xc3, 0x63, 0xd8,
      0x06, 0xec, 0x15, 0xbb }
};
/* 00000000-0000-8899-0000-000000000000: channel, device */
#define IDE_CHANNEL 0
#define IDE_DEVICE  4
#define IDE_MARK    6

/* User data of an offer of the IDE kind */
#define OFFER_PATH   2
#define OFFER_TARGET 3
#define OFFER_FLAGS  8
#define FLAG_IDE     2u

/* --- units ----------------------------------------------------------------*/

struct storvsp_unit *storvsp_unit_at(struct storvsp *s, uint8_t path,
                                     uint8_t target, uint8_t lun)
{
    struct storvsp_unit *u;

    if (lun >= LUNS)
        return NULL;
    /* Linux says path 0 of every IDE channel. */
    if (s->kind == KIND_SCSI ? path || target : target != s->target)
        return NULL;
    u = &s->unit[lun];
    return u->drive ? u : NULL;
}

static int is_cd(const struct storvsp_unit *u)
{
    return !!(u->info.flags & BP_BLOCK_CDROM);
}

void storvsp_unit_refresh(struct storvsp_unit *u)
{
    u->s->block->info(u->drive, &u->info);
    u->identity = (struct scsi_identity){
        .type = is_cd(u) ? 5 : 0,
        .removable = !!(u->info.flags & BP_BLOCK_REMOVABLE),
        .version = 5, /* SPC-3 */
        .format = 2,
        .vendor = "Msft    ",
        .product = is_cd(u) ? "Virtual DVD-ROM " : "Virtual Disk    ",
        .serial = u->info.serial,
    };
    u->medium = (struct scsi_disk_medium){
        .blocks = u->info.bytes / u->info.logical_block,
        .block_bytes = u->info.logical_block,
        .physical_bytes = u->info.physical_block,
        .transfer_bytes = MAX_TRANSFER,
        .readonly = !!(u->info.flags & BP_BLOCK_READONLY),
        .thin = !!(u->info.flags & BP_BLOCK_THIN),
    };
}

static void medium_changed(void *ctx)
{
    struct storvsp_unit *u = ctx;

    if (!u->drive)
        return;
    storvsp_unit_refresh(u);
    if (is_cd(u))
        scsi_cd_medium_changed(&u->st->cd,
                               !!(u->info.flags & BP_BLOCK_PRESENT));
    else
        u->st->disk.attention |= DISK_CAPACITY;
}

/* The user pressed the button of a locked drive. */
static void eject_request(void *ctx)
{
    struct storvsp_unit *u = ctx;

    scsi_cd_eject_request(&u->st->cd);
}

/* Without the attention that a disk has at power-on: those of Hyper-V have
 * none, and Linux warns of it. */
static void unit_power_on(struct storvsp_unit *u)
{
    scsi_disk_reset(&u->st->disk);
    u->st->disk.attention = 0;
    scsi_cd_reset(&u->st->cd);
}

static void unit_attach(struct storvsp_unit *u, struct bp_block_drive *drive)
{
    u->drive = drive;
    u->s->block->listen(drive, medium_changed, eject_request, u);
    storvsp_unit_refresh(u);
}

static int32_t plugged(void *ctx, uint32_t place, struct bp_block_drive *drive)
{
    struct storvsp *s = ctx;
    struct storvsp_unit *u = &s->unit[place];

    unit_power_on(u);
    unit_attach(u, drive);
    s->st.announce = 1;
    storvsp_announce(s);
    return 0;
}

static void unplugged(void *ctx, uint32_t place)
{
    struct storvsp *s = ctx;

    s->unit[place].drive = NULL;
    s->st.announce = 1;
    storvsp_announce(s);
}

static const struct bp_block_bay bay = {
    .size = sizeof(struct bp_block_bay),
    .places = LUNS,
    .property = "lun",
    .plugged = plugged,
    .unplugged = unplugged,
};

/* --- channels -------------------------------------------------------------*/

static int32_t opened(void *ctx, const struct bp_vmbus_open *open)
{
    struct storvsp_channel *c = ctx;
    struct storvsp *s = c->s;

    (void)open;
    if (c != &s->channel[0])
        return s->st.phase < PHASE_PROPERTIES ? -EPERM : 0;
    s->st.phase = PHASE_CLOSED;
    s->st.version = 0;
    return 0;
}

static void destroy_subchannels(struct storvsp *s)
{
    for (uint32_t i = 1; i < CHANNELS; i++) {
        struct storvsp_channel *c = &s->channel[i];

        if (c->ch)
            s->bus->destroy(c->ch);
        c->ch = NULL;
        c->closing = c->starved = 0;
    }
    s->st.subchannels = 0;
}

/* Nothing of the sub-channels touches guest memory. */
static int subchannels_rest(const struct storvsp *s)
{
    for (uint32_t i = 1; i < CHANNELS; i++) {
        if (s->channel[i].in_flight)
            return 0;
    }
    return 1;
}

static void close_primary(struct storvsp *s)
{
    struct storvsp_channel *c = &s->channel[0];

    if (c->in_flight || !subchannels_rest(s))
        return;
    destroy_subchannels(s);
    c->closing = c->starved = 0;
    s->st.phase = PHASE_CLOSED;
    s->st.version = 0;
    s->st.announce = 0;
    s->bus->close_done(c->ch);
}

void storvsp_close_on(struct storvsp *s)
{
    if (s->resets && !s->in_flight)
        storvsp_end_resets(s);
    for (uint32_t i = 1; i < CHANNELS; i++) {
        struct storvsp_channel *c = &s->channel[i];

        if (!c->closing || c->in_flight)
            continue;
        c->closing = c->starved = 0;
        s->bus->close_done(c->ch);
    }
    if (s->channel[0].closing)
        close_primary(s);
}

/* Sub-channels go with the primary one; they take nothing new meanwhile. */
static void closing(void *ctx)
{
    struct storvsp_channel *c = ctx;
    struct storvsp *s = c->s;

    c->closing = 1;
    for (uint32_t i = 1; c == &s->channel[0] && i < CHANNELS; i++) {
        if (s->channel[i].ch && !s->channel[i].closing)
            s->bus->pause(s->channel[i].ch);
    }
    storvsp_close_on(s);
}

static void writable(void *ctx)
{
    struct storvsp_channel *c = ctx;

    storvsp_announce(c->s);
}

static const struct bp_vmbus_channel_ops channel_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = opened,
    .closing = closing,
    .packet = storvsp_packet,
    .writable = writable,
};

uint32_t storvsp_subchannels_max(const struct storvsp *s)
{
    uint32_t n = s->processors ? s->processors - 1 : 0;

    if (s->kind == KIND_IDE)
        return 0;
    return n < SUBCHANNELS ? n : SUBCHANNELS;
}

int32_t storvsp_offer(struct storvsp *s, uint32_t index)
{
    struct storvsp_channel *c = &s->channel[index];
    struct bp_vmbus_offer offer = {
        .size = sizeof(offer),
        .flags = BP_VMBUS_ENUMERATE,
        .type = s->kind == KIND_IDE ? ide_type : scsi_type,
        .instance = scsi_instance,
        .subchannel = (uint16_t)index,
    };

    if (s->kind == KIND_IDE) {
        memset(&offer.instance, 0, sizeof(offer.instance));
        offer.instance.b[IDE_CHANNEL] = (uint8_t)s->controller;
        offer.instance.b[IDE_DEVICE] = (uint8_t)s->target;
        wire_put16(offer.instance.b + IDE_MARK, 0x8899);
        offer.user[OFFER_PATH] = (uint8_t)s->controller;
        offer.user[OFFER_TARGET] = (uint8_t)s->target;
        wire_put32(offer.user + OFFER_FLAGS, FLAG_IDE);
    } else {
        offer.instance.b[0] += (uint8_t)s->controller;
    }
    c->ch = s->bus->create(s->vmbus, s->dev, &offer, &channel_ops, c);
    return c->ch ? 0 : -EBUSY;
}

/* --- life -----------------------------------------------------------------*/

static int32_t storvsp_create(void *self, struct bp_dev *dev,
                              const struct bp_host *host)
{
    struct storvsp *s = self;
    const struct bp_hv *hv = host->query(host, BP_HV);

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->block = host->query(host, BP_BLOCK);
    s->dma = host->query(host, BP_DMA);
    s->bus = host->device_query(dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return host->fail(dev, -ENODEV, "the machine has no VMBus");
    s->processors = hv ? hv->processors(dev) : 0;
    if (s->kind == KIND_IDE && (s->controller > 1 || !s->lun[0]))
        return host->fail(dev, -EINVAL,
                          "an IDE disk is lun0 at controller 0 or 1");
    for (uint32_t i = 0; i < CHANNELS; i++)
        s->channel[i].s = s;
    return storvsp_requests_create(s);
}

static int32_t storvsp_realize(void *self)
{
    struct storvsp *s = self;

    for (uint32_t i = 0; i < LUNS; i++) {
        s->unit[i].s = s;
        s->unit[i].st = &s->st.unit[i];
        if (s->lun[i])
            unit_attach(&s->unit[i], s->lun[i]);
    }
    if (s->kind == KIND_SCSI && s->block->bay(s->dev, &bay, s))
        return -EBUSY;
    return storvsp_offer(s, 0);
}

static void storvsp_reset(void *self, uint32_t kind)
{
    struct storvsp *s = self;

    (void)kind;
    destroy_subchannels(s);
    memset(&s->st, 0, sizeof(s->st));
    for (uint32_t i = 0; i < LUNS; i++) {
        unit_power_on(&s->unit[i]);
        if (!s->unit[i].drive)
            continue;
        s->block->lock(s->unit[i].drive, 0);
        storvsp_unit_refresh(&s->unit[i]);
    }
}

static int32_t storvsp_loaded(void *self, uint32_t version)
{
    struct storvsp *s = self;
    uint32_t n = s->st.subchannels;

    (void)version;
    if (s->st.phase > PHASE_READY || n > storvsp_subchannels_max(s))
        return -EINVAL;
    for (uint32_t i = 1; i <= n; i++) {
        if (storvsp_offer(s, i))
            return -EBUSY;
    }
    for (uint32_t i = 0; i < LUNS; i++) {
        if (s->unit[i].drive)
            storvsp_unit_refresh(&s->unit[i]);
    }
    return 0;
}

/* What was announced to nobody before the machine was saved. */
static void storvsp_start(void *self)
{
    storvsp_announce(self);
}

static void storvsp_destroy(void *self)
{
    storvsp_requests_destroy(self);
}

/* --- tables ---------------------------------------------------------------*/

static const char *const kinds[] = { "scsi", "ide", NULL };

#define AT(member) offsetof(struct storvsp, member)
#define LUN(n)                                                              \
    {                                                                       \
        "lun" #n, "drive of unit " #n, BP_PROP_BLOCK,                       \
            AT(lun) + (n) * sizeof(struct bp_block_drive *), 0, 0, 0, NULL, \
            NULL                                                            \
    }
#define LUNS_8(a, b, c, d, e, f, g, h) \
    LUN(a), LUN(b), LUN(c), LUN(d), LUN(e), LUN(f), LUN(g), LUN(h)

static const struct bp_property properties[] = {
    { "kind", "what it stands for", BP_PROP_CHOICE, AT(kind), 0, 0, KIND_SCSI,
      NULL, kinds },
    { "controller", "its number among its kind", BP_PROP_UINT, AT(controller),
      0, CONTROLLERS - 1, 0, NULL, NULL },
    { "target", "of an IDE disk: 0 master, 1 slave", BP_PROP_UINT, AT(target),
      0, 1, 0, NULL, NULL },
    LUNS_8(0, 1, 2, 3, 4, 5, 6, 7),
    LUNS_8(8, 9, 10, 11, 12, 13, 14, 15),
    LUNS_8(16, 17, 18, 19, 20, 21, 22, 23),
    LUNS_8(24, 25, 26, 27, 28, 29, 30, 31),
    LUNS_8(32, 33, 34, 35, 36, 37, 38, 39),
    LUNS_8(40, 41, 42, 43, 44, 45, 46, 47),
    LUNS_8(48, 49, 50, 51, 52, 53, 54, 55),
    LUNS_8(56, 57, 58, 59, 60, 61, 62, 63),
    { NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL }
};

static const struct bp_field unit_fields[] = {
    BP_FIELD(struct storvsp_unit_state, disk.sense, "sense"),
    BP_FIELD(struct storvsp_unit_state, disk.asc, "asc"),
    BP_FIELD(struct storvsp_unit_state, disk.ascq, "ascq"),
    BP_FIELD(struct storvsp_unit_state, disk.attention, "attention"),
    BP_FIELD(struct storvsp_unit_state, disk.write_through, "write_through"),
    BP_FIELD(struct storvsp_unit_state, disk.stopped, "stopped"),
    BP_FIELD(struct storvsp_unit_state, cd.sense, "cd.sense"),
    BP_FIELD(struct storvsp_unit_state, cd.asc, "cd.asc"),
    BP_FIELD(struct storvsp_unit_state, cd.ascq, "cd.ascq"),
    BP_FIELD(struct storvsp_unit_state, cd.attention, "cd.attention"),
    BP_FIELD(struct storvsp_unit_state, cd.event, "cd.event"),
    BP_FIELD(struct storvsp_unit_state, cd.locked, "cd.locked"),
    BP_FIELD(struct storvsp_unit_state, cd.tray_open, "cd.tray_open"),
    BP_FIELD_END
};

static const struct bp_field fields[] = {
    BP_FIELD(struct storvsp, st.phase, "phase"),
    BP_FIELD(struct storvsp, st.announce, "announce"),
    BP_FIELD(struct storvsp, st.version, "version"),
    BP_FIELD(struct storvsp, st.subchannels, "subchannels"),
    BP_FIELD_TABLE(struct storvsp, st.unit, "unit", LUNS, unit_fields),
    BP_FIELD_END
};

static const char *const requires_[] = { BP_LOG, BP_BLOCK, BP_DMA, NULL };

static const struct bp_device_desc storvsp_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_STORAGE,
    .id = "storvsp",
    .title = "SCSI controller on VMBus",
    .instance_size = sizeof(struct storvsp),
    .state_offset = offsetof(struct storvsp, st),
    .state_size = sizeof(struct storvsp_state),
    .state_version = 1,
    .fields = fields,
    .properties = properties,
    .requires_ = requires_,
    .create = storvsp_create,
    .realize = storvsp_realize,
    .reset = storvsp_reset,
    .loaded = storvsp_loaded,
    .start = storvsp_start,
    .destroy = storvsp_destroy,
};

EXPORT_DEVICES("storvsp", "SCSI controller on VMBus", &storvsp_desc);
