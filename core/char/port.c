/* SPDX-License-Identifier: Apache-2.0 */
#include "char/port.h"

#include <string.h>

#include "sched/lane.h"
#include "state/stream.h"
#include "vm/error.h"

#define CHUNK 256u

struct char_port *char_port_create(const char *name)
{
    struct char_port *p = g_new0(struct char_port, 1);

    p->name = g_strdup(name);
    p->lines = BP_CHAR_CTS | BP_CHAR_DSR | BP_CHAR_DCD;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void char_port_destroy(struct char_port *p)
{
    if (!p)
        return;
    if (p->ops && p->ops->close)
        p->ops->close(p->backend);
    pthread_mutex_destroy(&p->lock);
    g_free(p->name);
    g_free(p);
}

void char_port_connect(struct char_port *p, const struct char_backend_ops *ops,
                       void *backend)
{
    p->backend = backend;
    p->ops = ops;
}

void char_port_attach(struct char_port *p, struct lane *lane)
{
    pthread_mutex_lock(&p->lock);
    p->lane = lane;
    if (!lane)
        p->events = NULL;
    pthread_mutex_unlock(&p->lock);
}

/* --- from the world to the device -----------------------------------------*/

/* Copies the oldest bytes, without taking them out. */
static uint32_t peek(struct char_port *p, uint8_t *to, uint32_t max)
{
    uint32_t n = MIN(p->in_count, max);

    for (uint32_t i = 0; i < n; i++)
        to[i] = p->in[(p->in_first + i) % CHAR_PORT_BUFFER];
    return n;
}

static void drop(struct char_port *p, uint32_t n)
{
    p->in_first = (p->in_first + n) % CHAR_PORT_BUFFER;
    p->in_count -= n;
}

/* [lane] */
static void deliver(void *opaque)
{
    struct char_port *p = opaque;
    uint8_t chunk[CHUNK];
    bool starved = false;

    pthread_mutex_lock(&p->lock);
    p->delivery_posted = false;
    while (p->events && p->events->receive && p->in_count && !p->held) {
        uint32_t n = peek(p, chunk, CHUNK);
        pthread_mutex_unlock(&p->lock);
        uint32_t taken = p->events->receive(p->ctx, chunk, n);
        pthread_mutex_lock(&p->lock);
        drop(p, MIN(taken, n));
        if (taken < n)
            break;
    }
    if (p->starved && p->in_count <= CHAR_PORT_BUFFER / 2) {
        p->starved = false;
        starved = true;
    }
    pthread_mutex_unlock(&p->lock);
    if (starved && p->ops && p->ops->room)
        p->ops->room(p->backend);
}

/* With the lock held. */
static void post_delivery(struct char_port *p)
{
    if (!p->lane || !p->events || p->held || p->delivery_posted || !p->in_count)
        return;
    p->delivery_posted = true;
    lane_post(p->lane, deliver, p);
}

uint32_t char_port_receive(struct char_port *p, const uint8_t *data, uint32_t n)
{
    pthread_mutex_lock(&p->lock);
    uint32_t room = CHAR_PORT_BUFFER - p->in_count;
    uint32_t taken = MIN(n, room);
    for (uint32_t i = 0; i < taken; i++)
        p->in[(p->in_first + p->in_count + i) % CHAR_PORT_BUFFER] = data[i];
    p->in_count += taken;
    if (taken < n)
        p->starved = true;
    post_delivery(p);
    pthread_mutex_unlock(&p->lock);
    return taken;
}

static void tell_writable(void *opaque)
{
    struct char_port *p = opaque;

    pthread_mutex_lock(&p->lock);
    p->writable_posted = false;
    pthread_mutex_unlock(&p->lock);
    p->events->writable(p->ctx);
}

void char_port_writable(struct char_port *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->lane && p->events && p->events->writable && !p->writable_posted) {
        p->writable_posted = true;
        lane_post(p->lane, tell_writable, p);
    }
    pthread_mutex_unlock(&p->lock);
}

static void tell_lines(void *opaque)
{
    struct char_port *p = opaque;

    p->events->lines(p->ctx, char_port_get_lines(p));
}

void char_port_lines(struct char_port *p, uint32_t lines)
{
    pthread_mutex_lock(&p->lock);
    bool changed = p->lines != lines;
    p->lines = lines;
    if (changed && p->lane && p->events && p->events->lines && !p->held)
        lane_post(p->lane, tell_lines, p);
    pthread_mutex_unlock(&p->lock);
}

static void tell_break(void *opaque)
{
    struct char_port *p = opaque;

    p->events->break_(p->ctx);
}

void char_port_break(struct char_port *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->lane && p->events && p->events->break_ && !p->held)
        lane_post(p->lane, tell_break, p);
    pthread_mutex_unlock(&p->lock);
}

void char_port_hold(struct char_port *p, bool held)
{
    pthread_mutex_lock(&p->lock);
    bool let_go = p->held && !held;
    p->held = held;
    if (let_go) {
        if (p->lane && p->events && p->events->lines)
            lane_post(p->lane, tell_lines, p);
        post_delivery(p);
    }
    pthread_mutex_unlock(&p->lock);
}

/* --- from the device to the world -----------------------------------------*/

void char_port_listen(struct char_port *p, const struct bp_char_events *ev,
                      void *ctx)
{
    pthread_mutex_lock(&p->lock);
    p->events = ev;
    p->ctx = ctx;
    post_delivery(p);
    pthread_mutex_unlock(&p->lock);
}

uint32_t char_port_write(struct char_port *p, const uint8_t *data, uint32_t n)
{
    /* Nobody at the other end: a line that leads nowhere takes all. */
    if (!p->ops || !p->ops->write)
        return n;
    return p->ops->write(p->backend, data, n);
}

void char_port_ready(struct char_port *p)
{
    pthread_mutex_lock(&p->lock);
    post_delivery(p);
    pthread_mutex_unlock(&p->lock);
}

void char_port_set_lines(struct char_port *p, uint32_t dtr_rts)
{
    if (p->ops && p->ops->set_lines)
        p->ops->set_lines(p->backend, dtr_rts);
}

void char_port_set_params(struct char_port *p, uint32_t baud,
                          uint32_t data_bits, uint32_t parity, uint32_t stops)
{
    if (p->ops && p->ops->set_params)
        p->ops->set_params(p->backend, baud, data_bits, parity, stops);
}

void char_port_send_break(struct char_port *p, bool on)
{
    if (p->ops && p->ops->send_break)
        p->ops->send_break(p->backend, on);
}

uint32_t char_port_get_lines(struct char_port *p)
{
    pthread_mutex_lock(&p->lock);
    uint32_t lines = p->lines;
    pthread_mutex_unlock(&p->lock);
    return lines;
}

/* --- saved state ----------------------------------------------------------*/

void char_port_save(struct char_port *p, struct state_writer *w)
{
    uint8_t waiting[CHAR_PORT_BUFFER];

    pthread_mutex_lock(&p->lock);
    uint32_t n = peek(p, waiting, CHAR_PORT_BUFFER);
    state_put_bytes(w, "waiting", waiting, n);
    pthread_mutex_unlock(&p->lock);
}

bool char_port_load(struct char_port *p, struct state_reader *r, GError **error)
{
    size_t n;
    const uint8_t *waiting = state_get_bytes(r, "waiting", &n);

    if (!waiting || n > CHAR_PORT_BUFFER)
        return vm_fail(error, VM_ERROR_RUN,
                       "port '%s': what it saved is "
                       "damaged",
                       p->name);
    pthread_mutex_lock(&p->lock);
    /* In front of what came since this port was opened. */
    uint8_t since[CHAR_PORT_BUFFER];
    uint32_t more = peek(p, since, CHAR_PORT_BUFFER - (uint32_t)n);
    memcpy(p->in, waiting, n);
    memcpy(p->in + n, since, more);
    p->in_first = 0;
    p->in_count = (uint32_t)n + more;
    post_delivery(p);
    pthread_mutex_unlock(&p->lock);
    return true;
}
