/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events wait in a ring of the receiver, of fixed size, until its lane takes
 * them.  When a device does not keep up, movements are added up and presses
 * of keys are dropped; that a key was released, and which buttons are held,
 * always arrives.  So a part of the ring is kept for releases: as many as
 * there are keys.
 */
#include "input/input.h"

#include <pthread.h>
#include <string.h>

#include "sched/lane.h"

#define KEYS 256u
#define RING 512u
/* Events of other kinds than a release are taken while there are fewer. */
#define RING_LIMIT (RING - KEYS)

/* Usages that are keys: 0..3 are errors of a real keyboard. */
#define FIRST_KEY 0x04u
#define LAST_KEY  0xe7u

enum kind { KIND_KEY, KIND_MOTION, KIND_POSITION };

struct event {
    enum kind kind;
    uint32_t usage;
    int32_t down;
    int32_t x, y, wheel;
    uint32_t buttons;
};

struct receiver {
    struct inputs *in;
    char *name;
    struct lane *lane;
    const struct bp_receiver_ops *ops;
    void *ctx;

    /* Lock of the inputs: */
    uint64_t enabled_at; /* order of enabling; 0: disabled */
    uint32_t leds;
    uint8_t held[KEYS / 8]; /* presses it got without a release */
    struct event ring[RING];
    unsigned first, count;
    bool posted;         /* deliver() is on its way */
    bool missed;         /* an event of the pointer did not fit: */
    struct event latest; /* the latest such */
};

struct inputs {
    pthread_mutex_t lock;
    GPtrArray *receivers;
    uint64_t clock;
    uint32_t leds; /* as on_leds was told */
    void (*on_leds)(void *opaque, uint32_t leds);
    void *leds_opaque;
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

/* --- who gets what; with the lock held -----------------------------------*/

static bool takes(const struct receiver *r, enum kind kind)
{
    switch (kind) {
    case KIND_KEY: return r->ops->key;
    case KIND_MOTION: return r->ops->motion;
    case KIND_POSITION: return r->ops->position;
    }
    return false;
}

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

static bool holds(const struct receiver *r, uint32_t usage)
{
    return r->held[usage / 8] >> (usage % 8) & 1;
}

static void deliver(void *opaque);

static void post(struct receiver *r)
{
    if (r->posted)
        return;
    r->posted = true;
    lane_post(r->lane, deliver, r);
}

static void push(struct receiver *r, const struct event *e)
{
    r->ring[(r->first + r->count) % RING] = *e;
    r->count++;
    post(r);
}

static void release(struct receiver *r, uint32_t usage)
{
    struct event e = { .kind = KIND_KEY, .usage = usage };

    if (!holds(r, usage))
        return;
    r->held[usage / 8] &= (uint8_t) ~(1u << (usage % 8));
    push(r, &e);
}

static void release_keys(struct receiver *r)
{
    for (uint32_t usage = FIRST_KEY; usage <= LAST_KEY; usage++)
        release(r, usage);
}

/* Another keyboard, or none, may be the current one now.  Leaves the lock. */
static void keyboard_changed(struct inputs *in)
{
    struct receiver *keyboard = current(in, KIND_KEY);
    uint32_t leds = keyboard ? keyboard->leds : 0;
    void (*fn)(void *opaque, uint32_t leds) = NULL;
    void *opaque = in->leds_opaque;

    for (guint i = 0; i < in->receivers->len; i++) {
        struct receiver *r = in->receivers->pdata[i];
        if (r != keyboard)
            release_keys(r);
    }
    if (in->leds != leds)
        fn = in->on_leds;
    in->leds = leds;
    pthread_mutex_unlock(&in->lock);
    if (fn)
        fn(opaque, leds);
}

/* --- the device's side ----------------------------------------------------*/

struct receiver *receiver_create(struct inputs *in, const char *name,
                                 struct lane *lane,
                                 const struct bp_receiver_ops *ops, void *ctx)
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
    keyboard_changed(in);
    return r;
}

/* Nothing comes any more once it is off the list, but deliver() may be on its
 * way: the queue's order makes the free come after it. */
static void free_receiver(void *opaque)
{
    struct receiver *r = opaque;

    g_free(r->name);
    g_free(r);
}

void receiver_destroy(struct receiver *r)
{
    static const struct bp_receiver_ops none;
    struct inputs *in;

    if (!r)
        return;
    in = r->in;
    pthread_mutex_lock(&in->lock);
    g_ptr_array_remove(in->receivers, r);
    r->ops = &none;
    r->count = 0;
    lane_post(r->lane, free_receiver, r);
    keyboard_changed(in);
}

void receiver_enable(struct receiver *r, bool enabled)
{
    struct inputs *in = r->in;

    pthread_mutex_lock(&in->lock);
    if (!enabled)
        r->enabled_at = 0;
    else if (!r->enabled_at)
        r->enabled_at = ++in->clock;
    keyboard_changed(in);
}

void receiver_set_leds(struct receiver *r, uint32_t leds)
{
    struct inputs *in = r->in;

    pthread_mutex_lock(&in->lock);
    r->leds = leds;
    keyboard_changed(in);
}

static void hand_over(struct receiver *r, const struct bp_receiver_ops *ops,
                      const struct event *e)
{
    if (e->kind == KIND_KEY && ops->key)
        ops->key(r->ctx, e->usage, e->down);
    else if (e->kind == KIND_MOTION && ops->motion)
        ops->motion(r->ctx, e->x, e->y, e->wheel, e->buttons);
    else if (e->kind == KIND_POSITION && ops->position)
        ops->position(r->ctx, (uint32_t)e->x, (uint32_t)e->y, e->wheel,
                      e->buttons);
}

/* [lane] */
static void deliver(void *opaque)
{
    struct receiver *r = opaque;
    const struct bp_receiver_ops *ops;
    struct event e;

    pthread_mutex_lock(&r->in->lock);
    /* No more than were there at the start: a flood must not keep the lane. */
    for (unsigned n = r->count; n && r->count; n--) {
        e = r->ring[r->first];
        r->first = (r->first + 1) % RING;
        r->count--;
        ops = r->ops;
        pthread_mutex_unlock(&r->in->lock);
        hand_over(r, ops, &e);
        pthread_mutex_lock(&r->in->lock);
    }
    r->posted = false;
    if (r->missed && r->count < RING_LIMIT) {
        r->missed = false;
        push(r, &r->latest);
    }
    if (r->count)
        post(r);
    pthread_mutex_unlock(&r->in->lock);
}

/* --- events ---------------------------------------------------------------*/

void inputs_key(struct inputs *in, uint32_t usage, bool down)
{
    struct event e = { .kind = KIND_KEY, .usage = usage, .down = 1 };
    struct receiver *r;

    if (usage < FIRST_KEY || usage > LAST_KEY)
        return;
    pthread_mutex_lock(&in->lock);
    r = current(in, KIND_KEY);
    if (down && r && !holds(r, usage) && r->count < RING_LIMIT) {
        r->held[usage / 8] |= (uint8_t)(1u << (usage % 8));
        push(r, &e);
    }
    for (guint i = 0; !down && i < in->receivers->len; i++)
        release(in->receivers->pdata[i], usage);
    pthread_mutex_unlock(&in->lock);
}

void inputs_release_all(struct inputs *in)
{
    pthread_mutex_lock(&in->lock);
    for (guint i = 0; i < in->receivers->len; i++)
        release_keys(in->receivers->pdata[i]);
    pthread_mutex_unlock(&in->lock);
}

static int32_t add_clamped(int32_t a, int32_t b)
{
    int32_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT32_MIN : INT32_MAX;
    return sum;
}

/* True when the event became a part of the last one in the ring. */
static bool merge(struct receiver *r, const struct event *e)
{
    struct event *last = &r->ring[(r->first + r->count - 1) % RING];

    if (!r->count || last->kind != e->kind || last->buttons != e->buttons)
        return false;
    last->x = e->kind == KIND_MOTION ? add_clamped(last->x, e->x) : e->x;
    last->y = e->kind == KIND_MOTION ? add_clamped(last->y, e->y) : e->y;
    last->wheel = add_clamped(last->wheel, e->wheel);
    return true;
}

static void pointer(struct inputs *in, const struct event *e)
{
    struct receiver *r;

    pthread_mutex_lock(&in->lock);
    r = current(in, e->kind);
    if (r && !merge(r, e)) {
        if (r->count < RING_LIMIT) {
            push(r, e);
            r->missed = false;
        } else {
            r->missed = true;
            r->latest = *e;
        }
    }
    pthread_mutex_unlock(&in->lock);
}

void inputs_motion(struct inputs *in, int32_t dx, int32_t dy, int32_t wheel,
                   uint32_t buttons)
{
    struct event e = { .kind = KIND_MOTION,
                       .x = dx,
                       .y = dy,
                       .wheel = wheel,
                       .buttons = buttons };

    pointer(in, &e);
}

void inputs_position(struct inputs *in, uint32_t x, uint32_t y, int32_t wheel,
                     uint32_t buttons)
{
    struct event e = { .kind = KIND_POSITION,
                       .x = (int32_t)MIN(x, INPUT_MAX_POSITION),
                       .y = (int32_t)MIN(y, INPUT_MAX_POSITION),
                       .wheel = wheel,
                       .buttons = buttons };

    pointer(in, &e);
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
    uint32_t leds = in->leds;
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
