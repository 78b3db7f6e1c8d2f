/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synthmouse: the pointer on VMBus, a HID device of absolute coordinates.
 *
 * Sources: Linux drivers/hid/hid-hyperv.c (message layouts); Device Class
 * Definition for HID 1.11 (descriptors).
 *
 * Modelled: protocol 2.0, five buttons, position, wheel.
 * Not modelled: a second wheel.
 *
 * Positions come here once the guest has acknowledged the descriptors.  While
 * the ring has no room, movements become one; a change of buttons is a report
 * of its own as long as the queue has room.
 */
#include <errno.h>
#include <string.h>

#include "export.h"
#include "wire.h"

enum {
    MSG_PROTOCOL_REQUEST = 0,
    MSG_PROTOCOL_RESPONSE = 1,
    MSG_DEVICE_INFO = 2,
    MSG_DEVICE_INFO_ACK = 3,
    MSG_INPUT_REPORT = 4,
};
#define MSG_HEAD    8u /* type, bytes behind */
#define VERSION_2_0 0x00020000u

#define VENDOR  0x045eu
#define PRODUCT 0x0621u

#define INFO_BYTES   32u /* "HID attributes" */
#define HID_BYTES    9u  /* HID descriptor with one descriptor behind it */
#define HID_TYPE     0x21u
#define REPORT_TYPE  0x22u
#define HID_1_1      0x0101u
#define REPORT_BYTES 6u
#define MAX_POSITION 32767
#define MAX_WHEEL    127
#define BUTTONS      0x1fu
#define QUEUE        32u
/* Movement without a position, from `ctl mouse`: as on a screen of about
 * 1024 columns. */
#define UNITS_A_MICKEY 32

enum {
    STAGE_NONE,
    STAGE_AGREED, /* on the version; the descriptors are to be sent */
    STAGE_TOLD,   /* they are sent */
    STAGE_READY,  /* and acknowledged */
};

struct mouse_state {
    uint8_t stage;   /* STAGE_* */
    uint8_t buttons; /* of the latest report */
    uint16_t x, y;
    uint8_t first, count; /* reports that wait for room in the ring: */
    uint8_t queue_buttons[QUEUE];
    uint16_t queue_x[QUEUE], queue_y[QUEUE];
    uint16_t queue_wheel[QUEUE]; /* two's complement */
};

struct mouse {
    /* Wiring */
    const struct bp_log *log;
    const struct bp_input *input;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_dev *dev;
    struct bp_vmbus_channel *channel;
    struct bp_receiver *pointer;
    int restored; /* buttons are as they were when it was saved */
    /* State */
    struct mouse_state st;
};

static const struct bp_guid mouse_type = { { 0x9e, 0xb6, 0xa8, 0xcf, 0x4a, 0x5b,
                                             0xc0, 0x4c, 0xb9, 0x8b, 0x8b, 0xa1,
                                             0xa1, 0xf3, 0xf9, 0x5a } };
static const struct bp_guid mouse_instance = {
    { 0x6d, 0x5a, 0xf7, 0x58, 0x49, 0xd9, 0x20, 0x43, 0x99, 0xe1, 0xa2, 0xa2,
      0x57, 0x6d, 0x58, 0x1c }
};

/* clang-format off */
static const uint8_t report_descriptor[] = {
    0x05, 0x01,       /* usage page: generic desktop */
    0x09, 0x02,       /* usage: mouse */
    0xa1, 0x01,       /* collection: application */
    0x09, 0x01,       /*   usage: pointer */
    0xa1, 0x00,       /*   collection: physical */
    0x05, 0x09,       /*     usage page: buttons */
    0x19, 0x01,       /*     1 .. */
    0x29, 0x05,       /*     .. 5 */
    0x15, 0x00,       /*     0 .. */
    0x25, 0x01,       /*     .. 1 */
    0x95, 0x05,       /*     5 fields */
    0x75, 0x01,       /*     of 1 bit */
    0x81, 0x02,       /*     input: variable, absolute */
    0x95, 0x01,       /*     1 field */
    0x75, 0x03,       /*     of 3 bits */
    0x81, 0x03,       /*     input: constant */
    0x05, 0x01,       /*     usage page: generic desktop */
    0x09, 0x30,       /*     x */
    0x09, 0x31,       /*     y */
    0x15, 0x00,       /*     0 .. */
    0x26, 0xff, 0x7f, /*     .. 32767 */
    0x95, 0x02,       /*     2 fields */
    0x75, 0x10,       /*     of 16 bits */
    0x81, 0x02,       /*     input: variable, absolute */
    0x09, 0x38,       /*     wheel */
    0x15, 0x81,       /*     -127 .. */
    0x25, 0x7f,       /*     .. 127 */
    0x95, 0x01,       /*     1 field */
    0x75, 0x08,       /*     of 8 bits */
    0x81, 0x06,       /*     input: variable, relative */
    0xc0,             /*   end */
    0xc0,             /* end */
};
/* clang-format on */

/* Sends message `type` with what stands in m behind both heads. */
static int32_t send_message(struct mouse *s, uint8_t *m, uint32_t type,
                            uint32_t bytes)
{
    pipe_head(m, MSG_HEAD + bytes);
    wire_put32(m + PIPE_HEAD, type);
    wire_put32(m + PIPE_HEAD + 4, bytes);
    return wire_send(s->bus, s->channel, m, PIPE_HEAD + MSG_HEAD + bytes);
}

/* --- reports --------------------------------------------------------------*/

static int32_t send_report(struct mouse *s, unsigned at)
{
    const struct mouse_state *st = &s->st;
    uint8_t m[PIPE_HEAD + MSG_HEAD + REPORT_BYTES];
    uint8_t *report = m + PIPE_HEAD + MSG_HEAD;

    report[0] = st->queue_buttons[at];
    wire_put16(report + 1, st->queue_x[at]);
    wire_put16(report + 3, st->queue_y[at]);
    report[5] = (uint8_t)st->queue_wheel[at];
    return send_message(s, m, MSG_INPUT_REPORT, REPORT_BYTES);
}

static void flush(struct mouse *s)
{
    struct mouse_state *st = &s->st;

    while (st->count) {
        if (send_report(s, st->first) == -EAGAIN)
            return;
        st->first = (st->first + 1u) % QUEUE;
        st->count--;
    }
}

static int32_t clamp(int64_t v, int32_t low, int32_t high)
{
    return (int32_t)(v < low ? low : v > high ? high : v);
}

/* The place for the report: what waits is made newer where nothing is lost
 * by that, or where there is no room. */
static unsigned place(struct mouse_state *st, uint8_t buttons)
{
    unsigned last = (st->first + st->count + QUEUE - 1) % QUEUE, next;

    if (st->count && (st->queue_buttons[last] == buttons || st->count == QUEUE))
        return last;
    next = (st->first + st->count++) % QUEUE;
    st->queue_wheel[next] = 0;
    return next;
}

static void report(struct mouse *s, int32_t wheel)
{
    struct mouse_state *st = &s->st;
    unsigned at;

    if (st->stage != STAGE_READY)
        return;
    at = place(st, st->buttons);
    wheel = clamp((int64_t)(int16_t)st->queue_wheel[at] + wheel, -MAX_WHEEL,
                  MAX_WHEEL);
    st->queue_buttons[at] = st->buttons;
    st->queue_x[at] = st->x;
    st->queue_y[at] = st->y;
    st->queue_wheel[at] = (uint16_t)wheel;
    flush(s);
}

static void mouse_position(void *ctx, uint32_t x, uint32_t y, int32_t wheel,
                           uint32_t buttons)
{
    struct mouse *s = ctx;

    s->st.x = (uint16_t)clamp(x, 0, MAX_POSITION);
    s->st.y = (uint16_t)clamp(y, 0, MAX_POSITION);
    s->st.buttons = buttons & BUTTONS;
    report(s, wheel);
}

static void mouse_motion(void *ctx, int32_t dx, int32_t dy, int32_t wheel,
                         uint32_t buttons)
{
    struct mouse *s = ctx;
    int64_t x = s->st.x + (int64_t)dx * UNITS_A_MICKEY;
    int64_t y = s->st.y + (int64_t)dy * UNITS_A_MICKEY;

    s->st.x = (uint16_t)clamp(x, 0, MAX_POSITION);
    s->st.y = (uint16_t)clamp(y, 0, MAX_POSITION);
    s->st.buttons = buttons & BUTTONS;
    report(s, wheel);
}

static const struct bp_receiver_ops pointer_ops = {
    .size = sizeof(struct bp_receiver_ops),
    .motion = mouse_motion,
    .position = mouse_position,
};

/* --- the channel ----------------------------------------------------------*/

static void forget(struct mouse *s)
{
    s->st = (struct mouse_state){
        .x = MAX_POSITION / 2,
        .y = MAX_POSITION / 2,
    };
    s->restored = 0;
    s->input->enable(s->pointer, 0);
}

static void tell(struct mouse *s)
{
    uint8_t m[PIPE_HEAD + MSG_HEAD + INFO_BYTES + HID_BYTES +
              sizeof report_descriptor] = { 0 };
    uint8_t *info = m + PIPE_HEAD + MSG_HEAD, *hid = info + INFO_BYTES;

    wire_put32(info, INFO_BYTES);
    wire_put16(info + 4, VENDOR);
    wire_put16(info + 6, PRODUCT);
    wire_put16(info + 8, 1); /* its version */
    hid[0] = HID_BYTES;
    hid[1] = HID_TYPE;
    wire_put16(hid + 2, HID_1_1);
    hid[5] = 1; /* descriptors behind: */
    hid[6] = REPORT_TYPE;
    wire_put16(hid + 7, sizeof report_descriptor);
    memcpy(hid + HID_BYTES, report_descriptor, sizeof report_descriptor);
    if (send_message(s, m, MSG_DEVICE_INFO,
                     INFO_BYTES + HID_BYTES + sizeof report_descriptor) !=
        -EAGAIN)
        s->st.stage = STAGE_TOLD;
}

static int32_t negotiate(struct mouse *s, uint32_t version)
{
    uint8_t m[PIPE_HEAD + MSG_HEAD + 5];
    int accepted = version == VERSION_2_0;
    int32_t r;

    wire_put32(m + PIPE_HEAD + MSG_HEAD, VERSION_2_0);
    m[PIPE_HEAD + MSG_HEAD + 4] = accepted;
    r = send_message(s, m, MSG_PROTOCOL_RESPONSE, 5);
    if (r < 0)
        return r;
    forget(s);
    if (!accepted) {
        s->log->guest_error(s->dev, "version %x is not known", version);
        return 0;
    }
    s->st.stage = STAGE_AGREED;
    tell(s);
    return 0;
}

static int32_t message(struct mouse *s, const struct bp_vmbus_packet *p)
{
    const uint8_t *m;
    uint32_t bytes;

    if (pipe_message(p, &m, &bytes) < 0 || bytes < MSG_HEAD)
        return -EINVAL;
    switch (wire_u32(m)) {
    case MSG_PROTOCOL_REQUEST:
        return bytes < MSG_HEAD + 4 ? -EINVAL
                                    : negotiate(s, wire_u32(m + MSG_HEAD));
    case MSG_DEVICE_INFO_ACK:
        if (s->st.stage < STAGE_TOLD)
            return -EPROTO;
        s->st.stage = STAGE_READY;
        s->input->enable(s->pointer, 1);
        return 0;
    default: return -EINVAL;
    }
}

static int32_t mouse_opened(void *ctx, const struct bp_vmbus_open *open)
{
    (void)open;
    forget(ctx);
    return 0;
}

static void mouse_closing(void *ctx)
{
    struct mouse *s = ctx;

    forget(s);
    s->bus->close_done(s->channel);
}

static int32_t mouse_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct mouse *s = ctx;

    if (p->type == BP_VMBUS_COMPLETION)
        return 0;
    return wire_answer(s->bus, s->channel, p, message(s, p));
}

static void mouse_writable(void *ctx)
{
    struct mouse *s = ctx;

    if (s->st.stage == STAGE_AGREED)
        tell(s);
    flush(s);
    s->bus->resume(s->channel);
}

static const struct bp_vmbus_channel_ops channel_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = mouse_opened,
    .closing = mouse_closing,
    .packet = mouse_packet,
    .writable = mouse_writable,
};

/* --- life -----------------------------------------------------------------*/

static int32_t mouse_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct mouse *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->input = host->query(host, BP_INPUT);
    s->bus = host->device_query(dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return host->fail(dev, -ENODEV, "the machine has no VMBus");
    return 0;
}

static int32_t mouse_realize(void *self)
{
    struct mouse *s = self;
    const struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .flags = BP_VMBUS_PIPE,
        .type = mouse_type,
        .instance = mouse_instance,
        .user = { PIPE_MESSAGE_MODE },
    };

    s->pointer = s->input->create(s->dev, "mouse", &pointer_ops, s);
    s->channel = s->bus->create(s->vmbus, s->dev, &offer, &channel_ops, s);
    return s->pointer && s->channel ? 0 : -EBUSY;
}

static void mouse_reset(void *self, uint32_t kind)
{
    (void)kind;
    forget(self);
}

static int32_t mouse_loaded(void *self, uint32_t version)
{
    struct mouse *s = self;

    (void)version;
    if (s->st.stage > STAGE_READY || s->st.first >= QUEUE ||
        s->st.count > QUEUE || s->st.x > MAX_POSITION || s->st.y > MAX_POSITION)
        return -EINVAL;
    s->restored = 1;
    s->input->enable(s->pointer, s->st.stage == STAGE_READY);
    return 0;
}

/* Nobody holds the buttons any more that were held when it was saved. */
static void mouse_start(void *self)
{
    struct mouse *s = self;

    if (s->restored && s->st.buttons) {
        s->st.buttons = 0;
        report(s, 0);
    }
    s->restored = 0;
}

static const struct bp_field mouse_fields[] = {
    BP_FIELD(struct mouse, st.stage, "stage"),
    BP_FIELD(struct mouse, st.buttons, "buttons"),
    BP_FIELD(struct mouse, st.x, "x"),
    BP_FIELD(struct mouse, st.y, "y"),
    BP_FIELD(struct mouse, st.first, "first"),
    BP_FIELD(struct mouse, st.count, "count"),
    BP_FIELD_ARRAY(struct mouse, st.queue_buttons, "queue_buttons"),
    BP_FIELD_ARRAY(struct mouse, st.queue_x, "queue_x"),
    BP_FIELD_ARRAY(struct mouse, st.queue_y, "queue_y"),
    BP_FIELD_ARRAY(struct mouse, st.queue_wheel, "queue_wheel"),
    BP_FIELD_END
};

static const char *const mouse_requires[] = { BP_LOG, BP_INPUT, NULL };

static const struct bp_device_desc synthmouse_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_INPUT,
    .id = "synthmouse",
    .title = "pointer on VMBus",
    .instance_size = sizeof(struct mouse),
    .state_offset = offsetof(struct mouse, st),
    .state_size = sizeof(struct mouse_state),
    .state_version = 1,
    .fields = mouse_fields,
    .requires_ = mouse_requires,
    .create = mouse_create,
    .realize = mouse_realize,
    .reset = mouse_reset,
    .loaded = mouse_loaded,
    .start = mouse_start,
};

EXPORT_DEVICES("synthmouse", "pointer on VMBus", &synthmouse_desc);
