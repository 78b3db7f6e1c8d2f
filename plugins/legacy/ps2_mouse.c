/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 mouse with the IntelliMouse extensions (wheel, five buttons).
 *
 * Sources: IBM PS/2 Technical Reference, "Mouse"; Microsoft IntelliMouse
 * protocol: rates 200, 100, 80 select id 3, then 200, 200, 80 id 4.
 */
#include <string.h>

#include "ps2.h"

#define ACK    0xfa
#define RESEND 0xfe
#define PASSED 0xaa

#define MOVE_LIMIT 255
#define BUTTONS_3  0x07

int ps2_valid(const struct ps2_queue *q)
{
    return q->head < PS2_QUEUE && q->count <= PS2_QUEUE;
}

int ps2_put(struct ps2_queue *q, const uint8_t *bytes, unsigned n)
{
    if (q->count + n > PS2_QUEUE)
        return 0;
    for (unsigned i = 0; i < n; i++)
        q->bytes[(q->head + q->count++) % PS2_QUEUE] = bytes[i];
    return 1;
}

int ps2_take(struct ps2_queue *q, uint8_t *byte)
{
    if (!q->count)
        return 0;
    *byte = q->bytes[q->head];
    q->head = (q->head + 1) % PS2_QUEUE;
    q->count--;
    return 1;
}

static void put1(struct ps2_mouse *m, uint8_t v)
{
    ps2_put(&m->queue, &v, 1);
}

static void set_defaults(struct ps2_mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->scale21 = m->remote = m->wrap = m->reporting = 0;
    m->dx = m->dy = m->dz = 0;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    memset(m, 0, sizeof(*m));
    set_defaults(m);
}

static int32_t clamp(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* Scaling 2:1. */
static int32_t scaled(int32_t v)
{
    static const uint8_t table[6] = { 0, 1, 1, 3, 6, 9 };
    int32_t a = v < 0 ? -v : v;

    a = a < 6 ? table[a] : 2 * a;
    return v < 0 ? -a : a;
}

/* 2:1 scaling is for what the mouse sends of itself. */
static void put_packet(struct ps2_mouse *m, int asked)
{
    int scale = m->scale21 && !asked;
    int32_t x = clamp(m->dx, -MOVE_LIMIT, MOVE_LIMIT);
    int32_t y = clamp(m->dy, -MOVE_LIMIT, MOVE_LIMIT);
    int32_t z = clamp(m->dz, -8, 7);
    int32_t sx = clamp(scale ? scaled(x) : x, -MOVE_LIMIT, MOVE_LIMIT);
    int32_t sy = clamp(scale ? scaled(y) : y, -MOVE_LIMIT, MOVE_LIMIT);
    uint8_t p[4];

    p[0] = 0x08 | (m->buttons & BUTTONS_3) | (sx < 0 ? 0x10 : 0) |
           (sy < 0 ? 0x20 : 0);
    p[1] = sx;
    p[2] = sy;
    if (m->id == 4)
        p[3] = (z & 0x0f) | (m->buttons & 0x18) << 1;
    else
        p[3] = z;
    if (!ps2_put(&m->queue, p, m->id ? 4 : 3))
        return;
    m->dx -= x;
    m->dy -= y;
    m->dz -= z;
    m->sent_buttons = m->buttons;
}

static int has_news(const struct ps2_mouse *m)
{
    return m->dx || m->dy || (m->dz && m->id) || m->buttons != m->sent_buttons;
}

/* Does it send packets of itself? */
static int sends(const struct ps2_mouse *m)
{
    return m->reporting && !m->remote && !m->wrap;
}

void ps2_mouse_motion(struct ps2_mouse *m, int32_t dx, int32_t dy, int32_t dz,
                      uint32_t buttons)
{
    /* Up is positive on the wire; on the wheel it is negative. */
    m->dx = clamp(m->dx + clamp(dx, -10000, 10000), -10000, 10000);
    m->dy = clamp(m->dy - clamp(dy, -10000, 10000), -10000, 10000);
    m->dz = m->id ? clamp(m->dz - clamp(dz, -100, 100), -100, 100) : 0;
    m->buttons = buttons & 0x1f;
    /* One packet waits at most, the rest is added up. */
    if (sends(m) && m->queue.count < 8 && has_news(m))
        put_packet(m, 0);
}

int ps2_mouse_next(struct ps2_mouse *m, uint8_t *byte)
{
    if (!m->queue.count && sends(m) && has_news(m))
        put_packet(m, 0);
    if (!ps2_take(&m->queue, byte))
        return 0;
    m->last = *byte;
    return 1;
}

static void set_rate(struct ps2_mouse *m, uint8_t v)
{
    if (v == 80 && m->knock[0] == 200 && m->knock[1] == 100 && m->id == 0)
        m->id = 3;
    else if (v == 80 && m->knock[0] == 200 && m->knock[1] == 200 && m->id == 3)
        m->id = 4;
    m->knock[0] = m->knock[1];
    m->knock[1] = v;
    m->rate = v;
}

static void put_status(struct ps2_mouse *m)
{
    uint8_t s[3];

    s[0] = (m->buttons & 1 ? 4 : 0) | (m->buttons & 4 ? 2 : 0) |
           (m->buttons & 2 ? 1 : 0) | (m->scale21 ? 0x10 : 0) |
           (m->reporting ? 0x20 : 0) | (m->remote ? 0x40 : 0);
    s[1] = m->resolution;
    s[2] = m->rate;
    ps2_put(&m->queue, s, 3);
}

static void mouse_command(struct ps2_mouse *m, uint8_t v)
{
    put1(m, ACK);
    switch (v) {
    case 0xe6: m->scale21 = 0; break;
    case 0xe7: m->scale21 = 1; break;
    case 0xe8:
    case 0xf3: m->pending = v; break;
    case 0xe9: put_status(m); break;
    case 0xea: m->remote = 0; break;
    case 0xeb: put_packet(m, 1); break;
    case 0xec: m->wrap = 0; break;
    case 0xee: m->wrap = 1; break;
    case 0xf0: m->remote = 1; break;
    case 0xf2: put1(m, m->id); break;
    case 0xf4:
        m->reporting = 1;
        m->dx = m->dy = m->dz = 0; /* the past does not count */
        m->sent_buttons = m->buttons;
        break;
    case 0xf5: m->reporting = 0; break;
    case 0xf6: set_defaults(m); break;
    case 0xff:
        ps2_mouse_reset(m);
        put1(m, ACK);
        put1(m, PASSED);
        put1(m, 0);
        break;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t v)
{
    uint8_t pending = m->pending;

    if (m->wrap && v != 0xff && v != 0xec) {
        put1(m, v);
        return;
    }
    m->pending = 0;
    if (pending == 0xe8) {
        m->resolution = v & 3;
        put1(m, ACK);
        return;
    }
    if (pending == 0xf3) {
        set_rate(m, v);
        put1(m, ACK);
        return;
    }
    if (v == RESEND) {
        put1(m, m->last);
        return;
    }
    m->queue.head = m->queue.count = 0; /* a command ends what waits */
    switch (v) {
    case 0xe6 ... 0xec:
    case 0xee:
    case 0xf0:
    case 0xf2 ... 0xf6:
    case 0xff: mouse_command(m, v); break;
    default: put1(m, RESEND); break;
    }
}
