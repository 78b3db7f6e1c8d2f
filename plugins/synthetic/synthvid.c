/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synthvid: the screen on VMBus.
 *
 * Sources: Linux drivers/gpu/drm/hyperv and drivers/video/fbdev/hyperv_fb.c;
 * OpenVMM vm/devices/uidevices (message layouts, rules for pointers).
 *
 * Modelled: versions 3.0 to 3.5; video memory where the guest wants it, or
 * memory of the guest's; one output with 16 or 32 bits a pixel; dirt;
 * pointer; resolutions with an EDID.
 * Not modelled: changes of the mode by the host; the emergency reset port.
 *
 * The screen is what people see while a mode is set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "synthvid.h"
#include "wire.h"

enum {
    MSG_VERSION_REQUEST = 1,
    MSG_VERSION_RESPONSE = 2,
    MSG_VRAM_LOCATION = 3,
    MSG_VRAM_LOCATION_ACK = 4,
    MSG_SITUATION_UPDATE = 5,
    MSG_SITUATION_UPDATE_ACK = 6,
    MSG_POINTER_POSITION = 7,
    MSG_POINTER_SHAPE = 8,
    MSG_FEATURE_CHANGE = 9,
    MSG_DIRT = 10,
    MSG_BIOS_INFO_REQUEST = 11,
    MSG_BIOS_INFO_RESPONSE = 12,
    MSG_RESOLUTION_REQUEST = 13,
    MSG_RESOLUTION_RESPONSE = 14,
    MSG_CAPABILITY_REQUEST = 15,
    MSG_CAPABILITY_RESPONSE = 16,
};
#define MSG_HEAD 8u /* type, bytes behind */

#define MAJOR(version)         ((version)&0xffff)
#define MINOR(version)         ((version) >> 16)
#define VERSION_MAJOR          3u
#define MAX_MINOR              5u
#define ACCEPTED_WITH_EXCHANGE 2u
#define OUTPUTS                1u

#define RESOLUTION_HEAD (EDID_BYTES + 3u)
#define MAX_ANSWER      (PIPE_HEAD + MSG_HEAD + RESOLUTION_HEAD + 4 * MAX_MODES)
#define RECT_BYTES      16u
#define SHAPE_HEAD      18u
#define SITUATION_BYTES 18u

/* Where video memory may not be put: below, the PC's holes; there, APICs and
 * firmware; beyond, nobody's processor reaches. */
#define LOWEST     0x100000ull
#define CHIPS_LOW  0xfec00000ull
#define CHIPS_HIGH 0x100000000ull
#define HIGHEST    (1ull << 45)

#define MIB (1u << 20)
#define DEFAULT_MODES                                                     \
    "640x480,800x600,1024x768,1152x864,1280x720,1280x800,1280x1024,"      \
    "1366x768,1440x900,1600x900,1600x1200,1680x1050,1920x1080,1920x1200," \
    "2560x1440,2560x1600,3840x2160"

static const struct bp_guid video_type = { { 0x02, 0x78, 0x0a, 0xda, 0x77, 0xe3,
                                             0xac, 0x4a, 0x8e, 0x77, 0x05, 0x58,
                                             0xeb, 0x10, 0x73, 0xf8 } };
static const struct bp_guid video_instance = {
    { 0xc7, 0xe0, 0x20, 0x56, 0x62, 0x80, 0xce, 0x4d, 0xae, 0xb7, 0x52, 0x0c,
      0x7e, 0xf7, 0x61, 0x71 }
};

/* Sends message `type` with what stands in m behind both heads. */
static int32_t send_message(struct video *s, uint8_t *m, uint32_t type,
                            uint32_t bytes)
{
    pipe_head(m, MSG_HEAD + bytes);
    wire_put32(m + PIPE_HEAD, type);
    wire_put32(m + PIPE_HEAD + 4, MSG_HEAD + bytes);
    return wire_send(s->bus, s->channel, m, PIPE_HEAD + MSG_HEAD + bytes);
}

static int32_t send_context(struct video *s, uint32_t type,
                            const uint8_t *context)
{
    uint8_t m[PIPE_HEAD + MSG_HEAD + 8];

    memcpy(m + PIPE_HEAD + MSG_HEAD, context, 8);
    return send_message(s, m, type, 8);
}

/* Dirt, position, shape and mode are wanted.  Asked once a channel: hyperv_fb
 * answers each such message with its mode. */
static void ask_for_dirt(struct video *s)
{
    uint8_t m[PIPE_HEAD + MSG_HEAD + 4];

    if (!s->st.ask_due)
        return;
    memset(m + PIPE_HEAD + MSG_HEAD, 1, 4);
    if (send_message(s, m, MSG_FEATURE_CHANGE, 4) == -EAGAIN)
        return;
    s->st.ask_due = 0;
    s->st.asked = 1;
}

static void sync_pointer(struct video *s)
{
    static const uint32_t none;
    uint32_t argb[POINTER_MAX_SIDE * POINTER_MAX_SIDE];
    const struct pointer_shape *p = &s->st.pointer;

    if (pointer_image(p, argb))
        s->display->set_pointer(s->screen, argb, p->width, p->height, p->hot_x,
                                p->hot_y, p->x + (int32_t)p->hot_x,
                                p->y + (int32_t)p->hot_y);
    else
        s->display->set_pointer(s->screen, &none, 0, 0, 0, 0, 0, 0);
}

static void video_sync(struct video *s)
{
    int placed = s->st.place == PLACE_VRAM;

    s->mmio->begin(s->dev);
    if (placed)
        s->mmio->move(s->region, s->st.gpa);
    s->mmio->enable(s->region, placed);
    s->mmio->commit(s->dev);
    video_changed(s);
    sync_pointer(s);
}

static void forget(struct video *s)
{
    memset(&s->st, 0, sizeof s->st);
    video_sync(s);
}

/* --- messages -------------------------------------------------------------*/

/* m: behind the message's head.  Handlers return a negative errno for
 * nonsense, and -EAGAIN before anything is changed when the answer has no
 * room. */
typedef int32_t handler(struct video *s, const uint8_t *m, uint32_t bytes);

static int32_t version_request(struct video *s, const uint8_t *m,
                               uint32_t bytes)
{
    uint8_t answer[PIPE_HEAD + MSG_HEAD + 6];
    uint8_t *a = answer + PIPE_HEAD + MSG_HEAD;
    uint32_t version = wire_u32(m);
    int ok = MAJOR(version) == VERSION_MAJOR && MINOR(version) <= MAX_MINOR;
    int32_t r;

    (void)bytes;
    wire_put32(a, ok ? version : MAX_MINOR << 16 | VERSION_MAJOR);
    a[4] = ok ? ACCEPTED_WITH_EXCHANGE : 0;
    a[5] = OUTPUTS;
    r = send_message(s, answer, MSG_VERSION_RESPONSE, 6);
    if (r < 0)
        return r;
    if (!ok)
        s->log->guest_error(s->dev, "version %u.%u is not known",
                            MAJOR(version), MINOR(version));
    forget(s);
    s->st.version = ok ? version : 0;
    return 0;
}

static int is_memory(struct video *s, uint64_t gpa)
{
    void *host;
    int64_t n = s->dma->map(s->dev, gpa, 1, 0, &host);

    if (n > 0)
        s->dma->unmap(s->dev, gpa, host, (uint64_t)n, 0, 0);
    return n > 0;
}

/* Whether our memory can be there. */
static int free_place(const struct video *s, uint64_t gpa)
{
    uint64_t end = gpa + s->vram_bytes;

    return gpa % PAGE_BYTES == 0 && gpa >= LOWEST && gpa < HIGHEST &&
           (end <= CHIPS_LOW || gpa >= CHIPS_HIGH);
}

/* hyperv_fb of Generation 1 has its picture in RAM, others in the space for
 * devices, where our memory is put. */
static int32_t vram_location(struct video *s, const uint8_t *m, uint32_t bytes)
{
    uint64_t gpa = wire_u64(m + 9);
    uint8_t place = PLACE_NONE;
    int32_t r;

    (void)bytes;
    if (m[8]) {
        s->mmio->enable(s->region, 0); /* not taken for the guest's */
        place = is_memory(s, gpa) ? PLACE_GUEST : PLACE_VRAM;
        s->mmio->enable(s->region, s->st.place == PLACE_VRAM);
        if (place == PLACE_VRAM && !free_place(s, gpa))
            return -EINVAL;
    }
    r = send_context(s, MSG_VRAM_LOCATION_ACK, m);
    if (r < 0)
        return r;
    s->st.place = place;
    s->st.gpa = place != PLACE_NONE ? gpa : 0;
    s->st.sends_dirt = 0;
    video_sync(s);
    return 0;
}

static int valid_mode(const struct video *s, const struct video_state *st)
{
    uint64_t line = (uint64_t)st->width * (st->depth / 8u);

    return (st->depth == 16 || st->depth == 32) && st->width && st->height &&
           st->width <= MAX_SIDE && st->height <= MAX_SIDE &&
           st->pitch >= line &&
           st->offset + (uint64_t)st->pitch * (st->height - 1) + line <=
               s->vram_bytes;
}

static int32_t situation_update(struct video *s, const uint8_t *m,
                                uint32_t bytes)
{
    const uint8_t *output = m + 9;
    struct video_state mode = {
        .active = !!output[0],
        .offset = wire_u32(output + 1),
        .depth = output[5],
        .width = wire_u32(output + 6),
        .height = wire_u32(output + 10),
        .pitch = wire_u32(output + 14),
    };
    int32_t r;

    (void)bytes;
    if (m[8] != OUTPUTS || (mode.active && !valid_mode(s, &mode)))
        return -EINVAL;
    r = send_context(s, MSG_SITUATION_UPDATE_ACK, m);
    if (r < 0)
        return r;
    s->st.active = mode.active;
    if (mode.active) {
        s->st.offset = mode.offset;
        s->st.depth = mode.depth;
        s->st.width = mode.width;
        s->st.height = mode.height;
        s->st.pitch = mode.pitch;
    }
    s->st.sends_dirt = 0;
    s->st.ask_due |= !s->st.asked;
    video_changed(s);
    ask_for_dirt(s);
    return 0;
}

static int32_t pointer_position(struct video *s, const uint8_t *m,
                                uint32_t bytes)
{
    int32_t x = (int32_t)wire_u32(m + 2), y = (int32_t)wire_u32(m + 6);

    (void)bytes;
    /* Far outside is outside: sums must not overflow. */
    s->st.pointer.visible = !!m[0];
    s->st.pointer.x = x < -65536 ? -65536 : x > 65536 ? 65536 : x;
    s->st.pointer.y = y < -65536 ? -65536 : y > 65536 ? 65536 : y;
    sync_pointer(s);
    return 0;
}

static int32_t pointer_shape(struct video *s, const uint8_t *m, uint32_t bytes)
{
    const struct pointer_part part = {
        .index = m[0],
        .color = m[1],
        .width = wire_u32(m + 2),
        .height = wire_u32(m + 6),
        .hot_x = wire_u32(m + 10),
        .hot_y = wire_u32(m + 14),
    };
    int32_t r = pointer_add_part(&s->st.pointer, &part, m + SHAPE_HEAD,
                                 bytes - SHAPE_HEAD);

    sync_pointer(s);
    return r;
}

static int32_t dirt(struct video *s, const uint8_t *m, uint32_t bytes)
{
    uint32_t count = m[1];

    if (count * RECT_BYTES > bytes - 2 || m[0] >= OUTPUTS)
        return -EINVAL;
    /* What it drew before its first one is to be drawn, too. */
    if (!s->st.sends_dirt) {
        s->st.sends_dirt = 1;
        video_changed(s);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *r = m + 2 + (size_t)i * RECT_BYTES;
        video_dirt(s, (int32_t)wire_u32(r), (int32_t)wire_u32(r + 4),
                   (int32_t)wire_u32(r + 8), (int32_t)wire_u32(r + 12));
    }
    return 0;
}

/* Formerly the generation; "the device can be stopped" means the same. */
static int32_t bios_info(struct video *s, const uint8_t *m, uint32_t bytes)
{
    uint8_t answer[PIPE_HEAD + MSG_HEAD + 16] = { 0 };

    (void)m;
    (void)bytes;
    wire_put32(answer + PIPE_HEAD + MSG_HEAD, 1);
    return send_message(s, answer, MSG_BIOS_INFO_RESPONSE, 16);
}

static int32_t resolution_request(struct video *s, const uint8_t *m,
                                  uint32_t bytes)
{
    uint8_t answer[MAX_ANSWER] = { 0 };
    uint8_t *a = answer + PIPE_HEAD + MSG_HEAD;
    uint32_t first = 0, n = s->mode_count;

    (void)bytes;
    /* The default is among those that it takes. */
    if (n > m[0])
        n = m[0];
    if (s->default_mode >= n && n)
        first = s->default_mode - n + 1;
    edid_make(a, &s->modes[s->default_mode]);
    a[EDID_BYTES] = (uint8_t)n;
    a[EDID_BYTES + 1] = n ? (uint8_t)(s->default_mode - first) : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *to = a + RESOLUTION_HEAD + (size_t)i * 4;
        wire_put16(to, s->modes[first + i].width);
        wire_put16(to + 2, s->modes[first + i].height);
    }
    return send_message(s, answer, MSG_RESOLUTION_RESPONSE,
                        RESOLUTION_HEAD + n * 4);
}

static int32_t capability_request(struct video *s, const uint8_t *m,
                                  uint32_t bytes)
{
    uint8_t answer[PIPE_HEAD + MSG_HEAD + 64] = { 0 };

    (void)m;
    (void)bytes;
    return send_message(s, answer, MSG_CAPABILITY_RESPONSE, 64);
}

/* By type: least bytes behind the head. */
static const struct {
    handler *handle;
    uint32_t least;
} messages[] = {
    [MSG_VERSION_REQUEST] = { version_request, 4 },
    [MSG_VRAM_LOCATION] = { vram_location, 17 },
    [MSG_SITUATION_UPDATE] = { situation_update, 9 + SITUATION_BYTES },
    [MSG_POINTER_POSITION] = { pointer_position, 10 },
    [MSG_POINTER_SHAPE] = { pointer_shape, SHAPE_HEAD },
    [MSG_DIRT] = { dirt, 2 },
    [MSG_BIOS_INFO_REQUEST] = { bios_info, 0 },
    [MSG_RESOLUTION_REQUEST] = { resolution_request, 1 },
    [MSG_CAPABILITY_REQUEST] = { capability_request, 0 },
};

static int32_t message(struct video *s, const struct bp_vmbus_packet *p)
{
    const uint8_t *m;
    uint32_t bytes, type;

    if (pipe_message(p, &m, &bytes) < 0 || bytes < MSG_HEAD)
        return -EINVAL;
    type = wire_u32(m);
    if (type >= sizeof messages / sizeof messages[0] ||
        !messages[type].handle || bytes - MSG_HEAD < messages[type].least)
        return -EINVAL;
    if (!s->st.version && type != MSG_VERSION_REQUEST)
        return -EPROTO;
    return messages[type].handle(s, m + MSG_HEAD, bytes - MSG_HEAD);
}

/* --- the channel ----------------------------------------------------------*/

static int32_t video_opened(void *ctx, const struct bp_vmbus_open *open)
{
    (void)open;
    forget(ctx);
    return 0;
}

static void video_closing(void *ctx)
{
    struct video *s = ctx;

    forget(s);
    s->bus->close_done(s->channel);
}

static int32_t video_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct video *s = ctx;

    if (p->type == BP_VMBUS_COMPLETION)
        return 0;
    return wire_answer(s->bus, s->channel, p, message(s, p));
}

static void video_writable(void *ctx)
{
    struct video *s = ctx;

    ask_for_dirt(s);
    s->bus->resume(s->channel);
}

static const struct bp_vmbus_channel_ops channel_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = video_opened,
    .closing = video_closing,
    .packet = video_packet,
    .writable = video_writable,
};

/* --- modes ----------------------------------------------------------------*/

static int fits(const struct video *s, const struct video_mode *m)
{
    return (uint64_t)m->width * m->height * 4 <= s->vram_bytes;
}

/* The default mode is in the list; of our own list that what fits. */
static int32_t take_modes(struct video *s, const struct bp_host *host)
{
    const struct video_mode first = { (uint16_t)s->xres, (uint16_t)s->yres };
    int own = strcmp(s->mode_list, DEFAULT_MODES) == 0;
    struct video_mode all[MAX_MODES];
    int n = modes_parse(all, s->mode_list);

    if (n < 0)
        return host->fail(s->dev, -EINVAL,
                          "modes '%s' are not WIDTHxHEIGHT,..., at most %u",
                          s->mode_list, MAX_MODES);
    if (!fits(s, &first))
        return host->fail(s->dev, -EINVAL,
                          "%ux%u does not fit in the video memory", s->xres,
                          s->yres);
    s->default_mode = MAX_MODES;
    for (int i = 0; i < n; i++) {
        if (!fits(s, &all[i]) && !own)
            return host->fail(s->dev, -EINVAL,
                              "%ux%u does not fit in the video memory",
                              all[i].width, all[i].height);
        if (!fits(s, &all[i]))
            continue;
        if (all[i].width == first.width && all[i].height == first.height)
            s->default_mode = s->mode_count;
        s->modes[s->mode_count++] = all[i];
    }
    if (s->default_mode < MAX_MODES)
        return 0;
    if (s->mode_count == MAX_MODES)
        s->mode_count--;
    s->default_mode = s->mode_count;
    s->modes[s->mode_count++] = first;
    return 0;
}

/* --- life -----------------------------------------------------------------*/

static const struct bp_screen_ops screen_ops = {
    .size = sizeof(struct bp_screen_ops),
    .refresh = video_refresh,
};

static int32_t video_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct video *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->mmio = host->query(host, BP_MMIO);
    s->dma = host->query(host, BP_DMA);
    s->display = host->query(host, BP_DISPLAY);
    if (!BP_HAS(s->display, show))
        return host->fail(dev, -ENOSYS, "the host is too old");
    s->bus = host->device_query(dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return host->fail(dev, -ENODEV, "the machine has no VMBus");
    if (s->vram_bytes % MIB)
        return host->fail(dev, -EINVAL, "vram is not in whole megabytes");
    return take_modes(s, host);
}

static int32_t video_realize(void *self)
{
    struct video *s = self;
    const struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .flags = BP_VMBUS_PIPE,
        .type = video_type,
        .instance = video_instance,
        .mmio_megabytes = (uint16_t)(s->vram_bytes / MIB),
        .user = { PIPE_MESSAGE_MODE },
    };

    s->dirty_pages = malloc(s->vram_bytes / PAGE_BYTES);
    s->line = malloc(MAX_SIDE * 4);
    if (!s->dirty_pages || !s->line)
        return -ENOMEM;
    s->region =
        s->mmio->add_memory(s->dev, "vram", CHIPS_HIGH, s->vram_bytes,
                            BP_PRIO_DEVICE, BP_REGION_DISABLED, &s->vram);
    if (!s->region)
        return -ENOMEM;
    s->screen = s->display->create(s->dev, &screen_ops, s);
    s->channel = s->bus->create(s->vmbus, s->dev, &offer, &channel_ops, s);
    return s->screen && s->channel ? 0 : -EBUSY;
}

static void video_reset(void *self, uint32_t kind)
{
    (void)kind;
    forget(self);
}

static int32_t video_loaded(void *self, uint32_t version)
{
    struct video *s = self;
    struct video_state *st = &s->st;

    (void)version;
    if (st->place > PLACE_GUEST || st->active > 1 || st->asked > 1 ||
        st->sends_dirt > 1 || st->ask_due > 1 ||
        (st->place == PLACE_VRAM && !free_place(s, st->gpa)) ||
        (st->width && !valid_mode(s, st)) || (st->active && !st->width) ||
        pointer_check(&st->pointer) < 0)
        return -EINVAL;
    video_sync(s);
    return 0;
}

static void video_destroy(void *self)
{
    struct video *s = self;

    free(s->dirty_pages);
    free(s->line);
}

static const struct bp_field pointer_fields[] = {
    BP_FIELD(struct pointer_shape, visible, "visible"),
    BP_FIELD(struct pointer_shape, complete, "complete"),
    BP_FIELD(struct pointer_shape, color, "color"),
    BP_FIELD(struct pointer_shape, parts, "parts"),
    BP_FIELD(struct pointer_shape, width, "width"),
    BP_FIELD(struct pointer_shape, height, "height"),
    BP_FIELD(struct pointer_shape, hot_x, "hot_x"),
    BP_FIELD(struct pointer_shape, hot_y, "hot_y"),
    BP_FIELD(struct pointer_shape, x, "x"),
    BP_FIELD(struct pointer_shape, y, "y"),
    BP_FIELD(struct pointer_shape, bytes, "bytes"),
    BP_FIELD_BLOB(struct pointer_shape, data, "data"),
    BP_FIELD_END
};

static const struct bp_field video_fields[] = {
    BP_FIELD(struct video, st.version, "version"),
    BP_FIELD(struct video, st.place, "place"),
    BP_FIELD(struct video, st.active, "active"),
    BP_FIELD(struct video, st.depth, "depth"),
    BP_FIELD(struct video, st.asked, "asked"),
    BP_FIELD(struct video, st.sends_dirt, "sends_dirt"),
    BP_FIELD(struct video, st.ask_due, "ask_due"),
    BP_FIELD(struct video, st.gpa, "gpa"),
    BP_FIELD(struct video, st.offset, "offset"),
    BP_FIELD(struct video, st.width, "width"),
    BP_FIELD(struct video, st.height, "height"),
    BP_FIELD(struct video, st.pitch, "pitch"),
    BP_FIELD_TABLE(struct video, st.pointer, "pointer", 1, pointer_fields),
    BP_FIELD_END
};

static const struct bp_property video_properties[] = {
    { .name = "vram",
      .help = "bytes of video memory, whole megabytes",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct video, vram_bytes),
      .min = 4 * MIB,
      .max = 64 * MIB,
      .number = 8 * MIB },
    { .name = "modes",
      .help = "WIDTHxHEIGHT,... that the monitor offers",
      .type = BP_PROP_STRING,
      .offset = offsetof(struct video, mode_list),
      .text = DEFAULT_MODES },
    { .name = "xres",
      .help = "width that the monitor prefers",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct video, xres),
      .min = 320,
      .max = MAX_SIDE,
      .number = 1024 },
    { .name = "yres",
      .help = "height that the monitor prefers",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct video, yres),
      .min = 200,
      .max = MAX_SIDE,
      .number = 768 },
    { .name = NULL },
};

static const char *const video_requires[] = { BP_LOG, BP_MMIO, BP_DMA,
                                              BP_DISPLAY, NULL };

static const struct bp_device_desc synthvid_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_DISPLAY,
    .id = "synthvid",
    .title = "screen on VMBus",
    .instance_size = sizeof(struct video),
    .state_offset = offsetof(struct video, st),
    .state_size = sizeof(struct video_state),
    .state_version = 1,
    .fields = video_fields,
    .properties = video_properties,
    .requires_ = video_requires,
    .create = video_create,
    .realize = video_realize,
    .reset = video_reset,
    .loaded = video_loaded,
    .destroy = video_destroy,
};

EXPORT_DEVICES("synthvid", "screen on VMBus", &synthvid_desc);
