/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synthkbd: the keyboard on VMBus.
 *
 * Source: Linux drivers/input/serio/hyperv-keyboard.c (message layouts).
 *
 * Modelled: protocol 1.0, keystrokes with make code and prefixes, repeating
 * of the key that went down last, the guest's LEDs.
 * Not modelled: keystrokes that carry a Unicode character: Linux takes them
 * for make codes.
 *
 * Keys come here once the guest has agreed on the version, and go back to
 * the machine's other keyboard when it closes the channel.  Of a key whose
 * press the guest got the release is never lost: a part of the queue is kept
 * for that.
 */
#include <errno.h>
#include <string.h>

#include "export.h"
#include "make_code.h"
#include "wire.h"

enum {
    MSG_PROTOCOL_REQUEST = 1,
    MSG_PROTOCOL_RESPONSE = 2,
    MSG_KEYSTROKE = 3,
    MSG_LEDS = 4,
};
#define VERSION_1_0 0x00010000u
#define ACCEPTED    1u

/* LEDs on the wire */
#define LED_SCROLL 1u
#define LED_NUM    2u
#define LED_CAPS   4u

/* Strokes that wait for room in the ring; presses are taken while there are
 * fewer than QUEUE_LIMIT. */
#define QUEUE_LIMIT 28u
#define QUEUE       (QUEUE_LIMIT + MAX_STROKES + 256u)

#define REPEAT_AFTER_NS 500000000ull
#define REPEAT_EACH_NS  33000000ull

#define USAGE_LCTRL 0xe0u
#define USAGE_LALT  0xe2u
#define RIGHT       4u /* from a left modifier to the right one */

struct kbd_state {
    uint8_t accepted;  /* the version is agreed on */
    uint8_t leds;      /* BP_LED_* */
    uint8_t repeating; /* usage of the key that repeats, 0: none */
    uint8_t held[32];  /* usages whose press was taken, a bit each */
    uint16_t first, count;
    uint16_t make[QUEUE], flags[QUEUE];
};

struct kbd {
    /* Wiring */
    const struct bp_log *log;
    const struct bp_input *input;
    const struct bp_timer *timer;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_dev *dev;
    struct bp_vmbus_channel *channel;
    struct bp_receiver *keys;
    struct bp_timer_handle *typematic;
    int restored; /* what is held is what was held when it was saved */
    /* State */
    struct kbd_state st;
};

static const struct bp_guid keyboard_type = {
    { 0x6d, 0xad, 0x12, 0xf9, 0x17, 0x2b, 0xea, 0x48, 0xbd, 0x65, 0xf9, 0x27,
      0xa6, 0x1c, 0x76, 0x84 }
};
static const struct bp_guid keyboard_instance = {
    { 0x67, 0x25, 0x4b, 0xd3, 0xb6, 0xb9, 0xb9, 0x42, 0x87, 0x78, 0x0a, 0x4e,
      0xc0, 0xb9, 0x55, 0xbf }
};

/* --- keystrokes -----------------------------------------------------------*/

static int is_held(const struct kbd_state *st, uint32_t usage)
{
    return st->held[usage / 8] >> (usage % 8) & 1;
}

static int modifier_held(const struct kbd_state *st, uint32_t left)
{
    return is_held(st, left) || is_held(st, left + RIGHT);
}

static int32_t send_stroke(struct kbd *s, uint16_t make, uint16_t flags)
{
    uint8_t m[12] = { 0 };

    wire_put32(m, MSG_KEYSTROKE);
    wire_put16(m + 4, make);
    wire_put32(m + 8, flags);
    return wire_send(s->bus, s->channel, m, sizeof m);
}

static void flush(struct kbd *s)
{
    struct kbd_state *st = &s->st;

    while (st->count) {
        if (send_stroke(s, st->make[st->first], st->flags[st->first]) ==
            -EAGAIN)
            return;
        st->first = (uint16_t)((st->first + 1) % QUEUE);
        st->count--;
    }
}

static void put(struct kbd *s, uint32_t usage, int down)
{
    struct kbd_state *st = &s->st;
    struct stroke stroke[MAX_STROKES];
    unsigned n =
        make_strokes(stroke, usage, down, modifier_held(st, USAGE_LCTRL),
                     modifier_held(st, USAGE_LALT));

    for (unsigned i = 0; i < n && st->count < QUEUE; i++) {
        unsigned at = (st->first + st->count++) % QUEUE;
        st->make[at] = stroke[i].make;
        st->flags[at] = stroke[i].flags;
    }
    flush(s);
}

static void release_all(struct kbd *s)
{
    for (uint32_t usage = 0; usage < KEY_USAGES; usage++) {
        if (!is_held(&s->st, usage))
            continue;
        s->st.held[usage / 8] &= (uint8_t) ~(1u << (usage % 8));
        put(s, usage, 0);
    }
    s->st.repeating = 0;
    s->timer->cancel(s->typematic);
}

static void kbd_repeat(void *ctx)
{
    struct kbd *s = ctx;

    if (!s->st.repeating)
        return;
    /* Behind what waits it would only come late. */
    if (!s->st.count)
        put(s, s->st.repeating, 1);
    s->timer->arm(s->typematic,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + REPEAT_EACH_NS);
}

static void kbd_key(void *ctx, uint32_t usage, int32_t down)
{
    struct kbd *s = ctx;
    struct kbd_state *st = &s->st;
    uint8_t bit;

    if (!st->accepted || usage >= KEY_USAGES || !down == !is_held(st, usage) ||
        (down && st->count >= QUEUE_LIMIT))
        return;
    bit = (uint8_t)(1u << (usage % 8));
    st->held[usage / 8] ^= bit;
    if (down) {
        /* The key that went down last repeats until it goes up. */
        st->repeating = usage == USAGE_PAUSE ? 0 : (uint8_t)usage;
        s->timer->arm(s->typematic, s->timer->now(s->dev, BP_CLOCK_VIRTUAL) +
                                        REPEAT_AFTER_NS);
    } else if (st->repeating == usage) {
        st->repeating = 0;
    }
    if (!st->repeating)
        s->timer->cancel(s->typematic);
    put(s, usage, down);
}

static const struct bp_receiver_ops key_ops = {
    .size = sizeof(struct bp_receiver_ops),
    .key = kbd_key,
};

/* --- the channel ----------------------------------------------------------*/

static void kbd_sync(struct kbd *s)
{
    s->input->set_leds(s->keys, s->st.leds);
    s->input->enable(s->keys, s->st.accepted);
}

static void forget(struct kbd *s)
{
    s->st = (struct kbd_state){ 0 };
    s->restored = 0;
    s->timer->cancel(s->typematic);
    kbd_sync(s);
}

static int32_t negotiate(struct kbd *s, uint32_t version)
{
    uint8_t m[8];
    int accepted = version == VERSION_1_0;
    int32_t r;

    wire_put32(m, MSG_PROTOCOL_RESPONSE);
    wire_put32(m + 4, accepted ? ACCEPTED : 0);
    r = wire_send(s->bus, s->channel, m, sizeof m);
    if (r < 0)
        return r;
    if (!accepted)
        s->log->guest_error(s->dev, "version %x is not known", version);
    forget(s);
    s->st.accepted = accepted;
    kbd_sync(s);
    return 0;
}

static int32_t set_leds(struct kbd *s, uint32_t wire)
{
    s->st.leds = (wire & LED_SCROLL ? BP_LED_SCROLL : 0) |
                 (wire & LED_NUM ? BP_LED_NUM : 0) |
                 (wire & LED_CAPS ? BP_LED_CAPS : 0);
    kbd_sync(s);
    return 0;
}

static int32_t message(struct kbd *s, const struct bp_vmbus_packet *p)
{
    if (p->type != BP_VMBUS_INBAND || p->bytes < 8)
        return -EINVAL;
    switch (wire_u32(p->data)) {
    case MSG_PROTOCOL_REQUEST: return negotiate(s, wire_u32(p->data + 4));
    case MSG_LEDS:
        return s->st.accepted ? set_leds(s, wire_u16(p->data + 4)) : -EPROTO;
    default: return -EINVAL;
    }
}

static int32_t kbd_opened(void *ctx, const struct bp_vmbus_open *open)
{
    (void)open;
    forget(ctx);
    return 0;
}

static void kbd_closing(void *ctx)
{
    struct kbd *s = ctx;

    forget(s);
    s->bus->close_done(s->channel);
}

static int32_t kbd_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct kbd *s = ctx;

    if (p->type == BP_VMBUS_COMPLETION)
        return 0;
    return wire_answer(s->bus, s->channel, p, message(s, p));
}

static void kbd_writable(void *ctx)
{
    struct kbd *s = ctx;

    flush(s);
    s->bus->resume(s->channel);
}

static const struct bp_vmbus_channel_ops channel_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = kbd_opened,
    .closing = kbd_closing,
    .packet = kbd_packet,
    .writable = kbd_writable,
};

/* --- life -----------------------------------------------------------------*/

static int32_t kbd_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct kbd *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->input = host->query(host, BP_INPUT);
    s->timer = host->query(host, BP_TIMER);
    s->bus = host->device_query(dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return host->fail(dev, -ENODEV, "the machine has no VMBus");
    return 0;
}

static int32_t kbd_realize(void *self)
{
    struct kbd *s = self;
    const struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .type = keyboard_type,
        .instance = keyboard_instance,
    };

    s->keys = s->input->create(s->dev, "keyboard", &key_ops, s);
    s->typematic =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "typematic", kbd_repeat, s);
    s->channel = s->bus->create(s->vmbus, s->dev, &offer, &channel_ops, s);
    return s->keys && s->typematic && s->channel ? 0 : -EBUSY;
}

static void kbd_reset(void *self, uint32_t kind)
{
    (void)kind;
    forget(self);
}

static int32_t kbd_loaded(void *self, uint32_t version)
{
    struct kbd *s = self;

    (void)version;
    if (s->st.accepted > 1 || s->st.first >= QUEUE || s->st.count > QUEUE ||
        s->st.repeating >= KEY_USAGES)
        return -EINVAL;
    s->restored = 1;
    kbd_sync(s);
    return 0;
}

/* Nobody holds the keys any more that were held when it was saved. */
static void kbd_start(void *self)
{
    struct kbd *s = self;

    if (s->restored)
        release_all(s);
    s->restored = 0;
}

static const struct bp_field kbd_fields[] = {
    BP_FIELD(struct kbd, st.accepted, "accepted"),
    BP_FIELD(struct kbd, st.leds, "leds"),
    BP_FIELD(struct kbd, st.repeating, "repeating"),
    BP_FIELD_ARRAY(struct kbd, st.held, "held"),
    BP_FIELD(struct kbd, st.first, "first"),
    BP_FIELD(struct kbd, st.count, "count"),
    BP_FIELD_ARRAY(struct kbd, st.make, "make"),
    BP_FIELD_ARRAY(struct kbd, st.flags, "flags"),
    BP_FIELD_END
};

static const char *const kbd_requires[] = { BP_LOG, BP_INPUT, BP_TIMER, NULL };

static const struct bp_device_desc synthkbd_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_INPUT,
    .id = "synthkbd",
    .title = "keyboard on VMBus",
    .instance_size = sizeof(struct kbd),
    .state_offset = offsetof(struct kbd, st),
    .state_size = sizeof(struct kbd_state),
    .state_version = 1,
    .fields = kbd_fields,
    .requires_ = kbd_requires,
    .create = kbd_create,
    .realize = kbd_realize,
    .reset = kbd_reset,
    .loaded = kbd_loaded,
    .start = kbd_start,
};

EXPORT_DEVICES("synthkbd", "keyboard on VMBus", &synthkbd_desc);
