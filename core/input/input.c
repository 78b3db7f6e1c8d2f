/* SPDX-License-Identifier: Apache-2.0 */
#include "input/input.h"

#include <pthread.h>
#include <string.h>

#include "sched/lane.h"

/* Events that wait for a device.  Beyond the first limit movements are
 * dropped, beyond the second everything. */
#define MAX_WAITING_MOTION 64u
#define MAX_WAITING 1024u

enum kind { KIND_KEY, KIND_MOTION, KIND_POSITION };

struct receiver {
    struct inputs *in;
    char *name;
    struct lane *lane;
    const struct bp_receiver_ops *ops;
    void *ctx;

    /* Lock of the inputs: */
    uint64_t enabled_at;        /* order of enabling; 0: disabled */
    uint32_t leds;
    unsigned waiting;
};

struct inputs {
    pthread_mutex_t lock;
    GPtrArray *receivers;
    uint64_t clock;
    uint8_t held[256 / 8];
    void (*on_leds)(void *opaque, uint32_t leds);
    void *leds_opaque;
};

struct event {
    struct receiver *to;
    enum kind kind;
    uint32_t usage;
    int32_t down;
    int32_t x, y, wheel;
    uint32_t buttons;
};

struct inputs *inputs_create(void)
{
    struct inputs *in = g_new0(struct inputs, 1);

    pthread_mutex_init(&in->lock, NULL);
    in->receivers = g_ptr_array_new();
    return in;
}

void inputs_destroy(struct inputs *in)
{
    if (!in)
        return;
    g_ptr_array_free(in->receivers, TRUE);
    pthread_mutex_destroy(&in->lock);
    g_free(in);
}

/* --- the device's side ----------------------------------------------------*/

struct receiver *receiver_create(struct inputs *in, const char *name,
                                 struct lane *lane,
                                 const struct bp_receiver_ops *ops,
                                 void *ctx)
{
    struct receiver *r = g_new0(struct receiver, 1);

    r->in = in;
    r->name = g_strdup(name);
    r->lane = lane;
    r->ops = ops;
    r->ctx = ctx;
    pthread_mutex_lock(&in->lock);
    r->enabled_at = ++in->clock;
    g_ptr_array_add(in->receivers, r);
    pthread_mutex_unlock(&in->lock);
    return r;
}

/* Its lane is drained: nothing waits for it. */
void receiver_destroy(struct receiver *r)
{
    pthread_mutex_lock(&r->in->lock);
    g_ptr_array_remove(r->in->receivers, r);
    pthread_mutex_unlock(&r->in->lock);
    g_free(r->name);
    g_free(r);
}

void receiver_enable(struct receiver *r, bool enabled)
{
    pthread_mutex_lock(&r->in->lock);
    if (!enabled)
        r->enabled_at = 0;
    else if (!r->enabled_at)
        r->enabled_at = ++r->in->clock;
    pthread_mutex_unlock(&r->in->lock);
}

static bool takes(const struct receiver *r, enum kind kind)
{
    switch (kind) {
    case KIND_KEY: return r->ops->key;
    case KIND_MOTION: return r->ops->motion;
    case KIND_POSITION: return r->ops->position;
    }
    return false;
}

/* With the lock held. */
static struct receiver *current(struct inputs *in, enum kind kind)
{
    struct receiver *best = NULL;

    for (guint i = 0; i < in->receivers->len; i++) {
        struct receiver *r = in->receivers->pdata[i];
        if (r->enabled_at && takes(r, kind) &&
            (!best || r->enabled_at > best->enabled_at))
            best = r;
    }
    return best;
}

void receiver_set_leds(struct receiver *r, uint32_t leds)
{
    struct inputs *in = r->in;

    pthread_mutex_lock(&in->lock);
    bool told = r->leds != leds && current(in, KIND_KEY) == r;
    r->leds = leds;
    void (*fn)(void *, uint32_t) = told ? in->on_leds : NULL;
    void *opaque = in->leds_opaque;
    pthread_mutex_unlock(&in->lock);
    if (fn)
        fn(opaque, leds);
}

/* --- events ---------------------------------------------------------------*/

/* [lane] */
static void deliver(void *opaque)
{
    struct event *e = opaque;
    struct receiver *r = e->to;

    switch (e->kind) {
    case KIND_KEY:
        r->ops->key(r->ctx, e->usage, e->down);
        break;
    case KIND_MOTION:
        r->ops->motion(r->ctx, e->x, e->y, e->wheel, e->buttons);
        break;
    case KIND_POSITION:
        r->ops->position(r->ctx, (uint32_t)e->x, (uint32_t)e->y, e->wheel,
                         e->buttons);
        break;
    }
    pthread_mutex_lock(&r->in->lock);
    r->waiting--;
    pthread_mutex_unlock(&r->in->lock);
    g_free(e);
}

/* With the lock held. */
static void send(struct inputs *in, const struct event *event)
{
    struct receiver *r = current(in, event->kind);

    if (!r || r->waiting >= (event->kind == KIND_KEY ? MAX_WAITING
                                                     : MAX_WAITING_MOTION))
        return;
    struct event *copy = g_memdup2(event, sizeof(*event));
    copy->to = r;
    r->waiting++;
    lane_post(r->lane, deliver, copy);
}

static void key_locked(struct inputs *in, uint32_t usage, bool down)
{
    struct event e = { .kind = KIND_KEY, .usage = usage, .down = down };
    uint8_t bit = (uint8_t)(1u << (usage & 7));

    if (down)
        in->held[usage >> 3] |= bit;
    else
        in->held[usage >> 3] &= (uint8_t)~bit;
    send(in, &e);
}

void inputs_key(struct inputs *in, uint32_t usage, bool down)
{
    if (usage > 0xff)
        return;
    pthread_mutex_lock(&in->lock);
    key_locked(in, usage, down);
    pthread_mutex_unlock(&in->lock);
}

void inputs_release_all(struct inputs *in)
{
    pthread_mutex_lock(&in->lock);
    for (uint32_t usage = 0; usage < 256; usage++) {
        if (in->held[usage >> 3] & 1u << (usage & 7))
            key_locked(in, usage, false);
    }
    pthread_mutex_unlock(&in->lock);
}

void inputs_motion(struct inputs *in, int32_t dx, int32_t dy, int32_t wheel,
                   uint32_t buttons)
{
    struct event e = { .kind = KIND_MOTION, .x = dx, .y = dy, .wheel = wheel,
                       .buttons = buttons };

    pthread_mutex_lock(&in->lock);
    send(in, &e);
    pthread_mutex_unlock(&in->lock);
}

void inputs_position(struct inputs *in, uint32_t x, uint32_t y,
                     int32_t wheel, uint32_t buttons)
{
    struct event e = { .kind = KIND_POSITION, .x = (int32_t)MIN(x, 32767u),
                       .y = (int32_t)MIN(y, 32767u), .wheel = wheel,
                       .buttons = buttons };

    pthread_mutex_lock(&in->lock);
    send(in, &e);
    pthread_mutex_unlock(&in->lock);
}

bool inputs_take_position(struct inputs *in)
{
    pthread_mutex_lock(&in->lock);
    bool taken = current(in, KIND_POSITION) != NULL;
    pthread_mutex_unlock(&in->lock);
    return taken;
}

uint32_t inputs_leds(struct inputs *in)
{
    pthread_mutex_lock(&in->lock);
    struct receiver *r = current(in, KIND_KEY);
    uint32_t leds = r ? r->leds : 0;
    pthread_mutex_unlock(&in->lock);
    return leds;
}

void inputs_on_leds(struct inputs *in, void (*fn)(void *opaque, uint32_t),
                    void *opaque)
{
    pthread_mutex_lock(&in->lock);
    in->on_leds = fn;
    in->leds_opaque = opaque;
    pthread_mutex_unlock(&in->lock);
}
