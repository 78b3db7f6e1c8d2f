/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042: the keyboard controller of a PS/2, with keyboard and IntelliMouse.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"; Intel 8042 order 290002.  The devices on its
 * two ports are in ps2_keyboard.c and ps2_mouse.c.
 *
 * Modelled: command byte with translation, enables and interrupts, self
 * tests, output port with A20 and reset, auxiliary port, loop-back commands
 * D2h/D3h, password absent (A4h), repetition of held keys.
 * Not modelled: timing of serial transfers (bytes arrive at once), parity and
 * time-out errors, the test inputs (E0h reads 0), key types of scan code set 3
 * (all keys make, break and repeat), the shift codes that a keyboard puts
 * around its grey keys while Shift or Num Lock is on.
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"
#include "ps2.h"

#define STS_OBF      0x01
#define STS_SYS      0x04
#define STS_CMD      0x08
#define STS_UNLOCKED 0x10
#define STS_AUX      0x20

#define CB_KBD_IRQ   0x01
#define CB_AUX_IRQ   0x02
#define CB_SYS       0x04
#define CB_KBD_OFF   0x10
#define CB_AUX_OFF   0x20
#define CB_TRANSLATE 0x40

#define OUT_RESET   0x01 /* low resets */
#define OUT_A20     0x02
#define OUT_KBD_OBF 0x10
#define OUT_AUX_OBF 0x20
#define OUT_IDLE    0xcc /* clock and data lines released */

enum { FROM_NONE, FROM_KEYBOARD, FROM_MOUSE, FROM_CONTROLLER };

struct kbc_state {
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    uint8_t command_byte;
    uint8_t output_port;
    uint8_t data;           /* output buffer ... */
    uint8_t full;           /* FROM_*: ... and who filled it */
    uint8_t as_aux;         /* controller byte that counts as aux */
    uint8_t displaced;      /* device's byte that a reply pushed out ... */
    uint8_t displaced_from; /* ... FROM_*, 0 none */
    uint8_t pending;        /* command waiting for its data byte */
    uint8_t last_command;   /* was the last write to 64h? (STS_CMD) */
    uint8_t ram[32];
};

struct kbc {
    /* Wiring */
    const struct bp_log *log;
    const struct bp_irq *irq;
    const struct bp_pio *pio;
    const struct bp_input *input;
    const struct bp_power *power;
    const struct bp_timer *timer;
    struct bp_dev *dev;
    struct bp_irq_line *irq1, *irq12, *a20;
    struct bp_receiver *keys, *pointer;
    struct bp_timer_handle *typematic;
    /* State */
    struct kbc_state st;
};

/* Takes the next byte a device has, if the buffer is free. */
static void fill(struct kbc *s)
{
    struct kbc_state *st = &s->st;
    uint8_t byte;

    if (st->full)
        return;
    if (st->displaced_from) {
        st->data = st->displaced;
        st->full = st->displaced_from;
        st->displaced_from = FROM_NONE;
        return;
    }
    if (!(st->command_byte & CB_KBD_OFF) &&
        ps2_keyboard_next(&st->keyboard, &byte)) {
        if (st->command_byte & CB_TRANSLATE &&
            !ps2_keyboard_translate(&st->keyboard, &byte))
            return fill(s); /* F0h: the next byte is taken with it */
        st->data = byte;
        st->full = FROM_KEYBOARD;
    } else if (!(st->command_byte & CB_AUX_OFF) &&
               ps2_mouse_next(&st->mouse, &byte)) {
        st->data = byte;
        st->full = FROM_MOUSE;
    }
}

static int is_aux(const struct kbc_state *st)
{
    return st->full == FROM_MOUSE ||
           (st->full == FROM_CONTROLLER && st->as_aux);
}

static void kbc_sync(struct kbc *s)
{
    struct kbc_state *st = &s->st;
    int aux, kbd;

    fill(s);
    aux = st->full && is_aux(st);
    kbd = st->full && !aux;
    st->output_port &= ~(OUT_KBD_OBF | OUT_AUX_OBF);
    st->output_port |= (kbd ? OUT_KBD_OBF : 0) | (aux ? OUT_AUX_OBF : 0);
    s->irq->set(s->irq1, kbd && st->command_byte & CB_KBD_IRQ);
    s->irq->set(s->irq12, aux && st->command_byte & CB_AUX_IRQ);
    s->irq->set(s->a20, !!(st->output_port & OUT_A20));
}

static void answer(struct kbc *s, uint8_t byte, int as_aux)
{
    struct kbc_state *st = &s->st;

    /* What a device sent waits behind the reply. */
    if (st->full == FROM_KEYBOARD || st->full == FROM_MOUSE) {
        st->displaced = st->data;
        st->displaced_from = st->full;
    }
    st->data = byte;
    st->full = FROM_CONTROLLER;
    st->as_aux = as_aux;
}

static void write_output_port(struct kbc *s, uint8_t v)
{
    s->st.output_port = v;
    if (!(v & OUT_RESET))
        s->power->reset(s->dev);
}

static void command(struct kbc *s, uint8_t v)
{
    struct kbc_state *st = &s->st;

    st->pending = 0;
    switch (v) {
    case 0x20: answer(s, st->command_byte, 0); break;
    case 0x21 ... 0x3f: answer(s, st->ram[v & 31], 0); break;
    case 0x60 ... 0x7f: st->pending = v; break;
    case 0xa4: answer(s, 0xf1, 0); break; /* no password */
    case 0xa7: st->command_byte |= CB_AUX_OFF; break;
    case 0xa8: st->command_byte &= ~CB_AUX_OFF; break;
    case 0xa9: answer(s, 0x00, 0); break;
    case 0xaa:
        st->command_byte |= CB_SYS;
        answer(s, 0x55, 0);
        break;
    case 0xab: answer(s, 0x00, 0); break;
    case 0xad: st->command_byte |= CB_KBD_OFF; break;
    case 0xae: st->command_byte &= ~CB_KBD_OFF; break;
    case 0xc0: answer(s, 0x80, 0); break; /* not locked */
    case 0xd0: answer(s, st->output_port, 0); break;
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4: st->pending = v; break;
    case 0xdd: st->output_port &= ~OUT_A20; break;
    case 0xdf: st->output_port |= OUT_A20; break;
    case 0xe0: answer(s, 0x00, 0); break;
    case 0xf0 ... 0xff: /* pulse the low bits low */
        if (!(v & OUT_RESET))
            s->power->reset(s->dev);
        break;
    default: s->log->guest_error(s->dev, "command %02x is not known", v); break;
    }
}

static void data_for_command(struct kbc *s, uint8_t pending, uint8_t v)
{
    struct kbc_state *st = &s->st;

    switch (pending) {
    case 0x60:
        st->command_byte = v;
        st->ram[0] = v;
        break;
    case 0x61 ... 0x7f: st->ram[pending & 31] = v; break;
    case 0xd1: write_output_port(s, v); break;
    case 0xd2: answer(s, v, 0); break;
    case 0xd3: answer(s, v, 1); break;
    case 0xd4:
        st->command_byte &= ~CB_AUX_OFF;
        ps2_mouse_write(&st->mouse, v);
        break;
    }
}

static void write_data(struct kbc *s, uint8_t v)
{
    struct kbc_state *st = &s->st;
    uint8_t pending = st->pending;

    st->pending = 0;
    if (pending) {
        data_for_command(s, pending, v);
        return;
    }
    st->command_byte &= ~CB_KBD_OFF;
    if (ps2_keyboard_write(&st->keyboard, v))
        s->input->set_leds(s->keys, st->keyboard.leds);
}

static uint32_t kbc_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct kbc *s = ctx;
    struct kbc_state *st = &s->st;
    uint8_t v;

    (void)width;
    if (offset == 4) {
        v = STS_UNLOCKED;
        v |= st->command_byte & CB_SYS ? STS_SYS : 0;
        v |= st->last_command ? STS_CMD : 0;
        v |= st->full ? STS_OBF | (is_aux(st) ? STS_AUX : 0) : 0;
        return v;
    }
    v = st->data;
    st->full = FROM_NONE;
    st->as_aux = 0;
    /* The line falls between two bytes: edge-triggered controllers need
     * it. */
    s->irq->set(s->irq1, 0);
    s->irq->set(s->irq12, 0);
    kbc_sync(s);
    return v;
}

static void kbc_write(void *ctx, uint32_t offset, uint32_t value,
                      uint32_t width)
{
    struct kbc *s = ctx;

    (void)width;
    s->st.last_command = offset == 4;
    if (offset == 4)
        command(s, value);
    else
        write_data(s, value);
    kbc_sync(s);
}

/* The repeating key sends again after this. */
static void repeat_after(struct kbc *s, uint64_t ns)
{
    if (s->st.keyboard.repeating)
        s->timer->arm(s->typematic,
                      s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + ns);
    else
        s->timer->cancel(s->typematic);
}

static void kbc_typematic(void *ctx)
{
    struct kbc *s = ctx;

    ps2_keyboard_repeat(&s->st.keyboard);
    repeat_after(s, ps2_keyboard_period_us(&s->st.keyboard) * 1000ull);
    kbc_sync(s);
}

static void kbc_key(void *ctx, uint32_t usage, int32_t down)
{
    struct kbc *s = ctx;

    ps2_keyboard_key(&s->st.keyboard, usage, down);
    if (down || !s->st.keyboard.repeating)
        repeat_after(s, ps2_keyboard_delay_ms(&s->st.keyboard) * 1000000ull);
    kbc_sync(s);
}

static void kbc_motion(void *ctx, int32_t dx, int32_t dy, int32_t wheel,
                       uint32_t buttons)
{
    struct kbc *s = ctx;

    ps2_mouse_motion(&s->st.mouse, dx, dy, wheel, buttons);
    kbc_sync(s);
}

static const struct bp_pio_ops kbc_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = kbc_read,
    .write = kbc_write,
};

/* Ports 60h and 64h are two ranges with one handler. */
static uint32_t status_read(void *ctx, uint32_t offset, uint32_t width)
{
    return kbc_read(ctx, offset + 4, width);
}

static void command_write(void *ctx, uint32_t offset, uint32_t value,
                          uint32_t width)
{
    kbc_write(ctx, offset + 4, value, width);
}

static const struct bp_pio_ops command_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = status_read,
    .write = command_write,
};

static const struct bp_receiver_ops key_ops = {
    .size = sizeof(struct bp_receiver_ops),
    .key = kbc_key,
};

static const struct bp_receiver_ops pointer_ops = {
    .size = sizeof(struct bp_receiver_ops),
    .motion = kbc_motion,
};

static int32_t kbc_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct kbc *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->irq = host->query(host, BP_IRQ);
    s->pio = host->query(host, BP_PIO);
    s->input = host->query(host, BP_INPUT);
    s->power = host->query(host, BP_POWER);
    s->timer = host->query(host, BP_TIMER);
    return 0;
}

static int32_t kbc_realize(void *self)
{
    struct kbc *s = self;
    struct bp_dev *dev = s->dev;

    s->irq1 = s->irq->output(dev, "isa", 1);
    s->irq12 = s->irq->output(dev, "isa", 12);
    s->a20 = s->irq->output(dev, "a20", 0);
    s->keys = s->input->create(dev, "keyboard", &key_ops, s);
    s->pointer = s->input->create(dev, "mouse", &pointer_ops, s);
    s->typematic =
        s->timer->create(dev, BP_CLOCK_VIRTUAL, "typematic", kbc_typematic, s);
    if (!s->typematic || !s->irq1 || !s->irq12 || !s->a20 || !s->keys ||
        !s->pointer ||
        !s->pio->claim(dev, "kbc-data", 0x60, 1, BP_SIZE_1, 0, &kbc_ops, s) ||
        !s->pio->claim(dev, "kbc-command", 0x64, 1, BP_SIZE_1, 0, &command_ops,
                       s))
        return -EBUSY;
    return 0;
}

static void kbc_reset(void *self, uint32_t kind)
{
    struct kbc *s = self;

    (void)kind;
    s->st = (struct kbc_state){ 0 };
    /* Interrupts off, both devices on, translating: what SeaBIOS and old
     * DOS programs expect to find behind a BIOS-less start. */
    s->st.command_byte = CB_TRANSLATE;
    s->st.output_port = OUT_IDLE | OUT_RESET;
    ps2_keyboard_reset(&s->st.keyboard);
    ps2_mouse_reset(&s->st.mouse);
    s->timer->cancel(s->typematic);
    kbc_sync(s);
}

static int32_t kbc_loaded(void *self, uint32_t version)
{
    struct kbc *s = self;

    (void)version;
    if (s->st.full > FROM_CONTROLLER || s->st.displaced_from > FROM_MOUSE ||
        !ps2_valid(&s->st.keyboard.queue) || !ps2_valid(&s->st.mouse.queue) ||
        s->st.keyboard.set < 1 || s->st.keyboard.set > 3)
        return -EINVAL;
    s->input->set_leds(s->keys, s->st.keyboard.leds);
    return 0;
}

static const struct bp_field queue_fields[] = {
    BP_FIELD_BLOB(struct ps2_queue, bytes, "bytes"),
    BP_FIELD(struct ps2_queue, head, "head"),
    BP_FIELD(struct ps2_queue, count, "count"), BP_FIELD_END
};

static const struct bp_field keyboard_fields[] = {
    BP_FIELD_TABLE(struct ps2_keyboard, queue, "queue", 1, queue_fields),
    BP_FIELD(struct ps2_keyboard, scanning, "scanning"),
    BP_FIELD(struct ps2_keyboard, set, "set"),
    BP_FIELD(struct ps2_keyboard, leds, "leds"),
    BP_FIELD(struct ps2_keyboard, rate, "rate"),
    BP_FIELD(struct ps2_keyboard, pending, "pending"),
    BP_FIELD(struct ps2_keyboard, last, "last"),
    BP_FIELD(struct ps2_keyboard, released, "released"),
    BP_FIELD(struct ps2_keyboard, overrun, "overrun"),
    BP_FIELD(struct ps2_keyboard, repeating, "repeating"),
    BP_FIELD_ARRAY(struct ps2_keyboard, held, "held"),
    BP_FIELD_END
};

static const struct bp_field mouse_fields[] = {
    BP_FIELD_TABLE(struct ps2_mouse, queue, "queue", 1, queue_fields),
    BP_FIELD(struct ps2_mouse, dx, "dx"),
    BP_FIELD(struct ps2_mouse, dy, "dy"),
    BP_FIELD(struct ps2_mouse, dz, "dz"),
    BP_FIELD(struct ps2_mouse, buttons, "buttons"),
    BP_FIELD(struct ps2_mouse, sent_buttons, "sent_buttons"),
    BP_FIELD(struct ps2_mouse, reporting, "reporting"),
    BP_FIELD(struct ps2_mouse, remote, "remote"),
    BP_FIELD(struct ps2_mouse, wrap, "wrap"),
    BP_FIELD(struct ps2_mouse, scale21, "scale21"),
    BP_FIELD(struct ps2_mouse, rate, "rate"),
    BP_FIELD(struct ps2_mouse, resolution, "resolution"),
    BP_FIELD(struct ps2_mouse, id, "id"),
    BP_FIELD(struct ps2_mouse, pending, "pending"),
    BP_FIELD(struct ps2_mouse, last, "last"),
    BP_FIELD_ARRAY(struct ps2_mouse, knock, "knock"),
    BP_FIELD_END
};

static const struct bp_field kbc_fields[] = {
    BP_FIELD_TABLE(struct kbc, st.keyboard, "keyboard", 1, keyboard_fields),
    BP_FIELD_TABLE(struct kbc, st.mouse, "mouse", 1, mouse_fields),
    BP_FIELD(struct kbc, st.command_byte, "command_byte"),
    BP_FIELD(struct kbc, st.output_port, "output_port"),
    BP_FIELD(struct kbc, st.data, "data"),
    BP_FIELD(struct kbc, st.full, "full"),
    BP_FIELD(struct kbc, st.as_aux, "as_aux"),
    BP_FIELD(struct kbc, st.displaced, "displaced"),
    BP_FIELD(struct kbc, st.displaced_from, "displaced_from"),
    BP_FIELD(struct kbc, st.pending, "pending"),
    BP_FIELD(struct kbc, st.last_command, "last_command"),
    BP_FIELD_BLOB(struct kbc, st.ram, "ram"),
    BP_FIELD_END
};

static const char *const kbc_requires[] = { BP_LOG,   BP_IRQ,   BP_PIO,
                                            BP_INPUT, BP_POWER, BP_TIMER,
                                            NULL };

static const struct bp_device_desc i8042_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_INPUT,
    .id = "i8042",
    .title = "keyboard controller with keyboard and IntelliMouse",
    .instance_size = sizeof(struct kbc),
    .state_offset = offsetof(struct kbc, st),
    .state_size = sizeof(struct kbc_state),
    .state_version = 1,
    .fields = kbc_fields,
    .requires_ = kbc_requires,
    .create = kbc_create,
    .realize = kbc_realize,
    .reset = kbc_reset,
    .loaded = kbc_loaded,
};

EXPORT_DEVICES("i8042", "keyboard controller, keyboard, mouse", &i8042_desc);
