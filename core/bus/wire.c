/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line counts its high outputs.  Whoever takes the count from or to zero
 * then calls the inputs, and each call looks at the count anew: of several
 * threads that change a line at once, the last one to reach an input hands
 * it the level that stays.
 */
#include "bus/wire.h"

#include <glib.h>
#include <string.h>

#include "sched/lane.h"

struct input {
    struct wire *wire;
    struct lane *lane;
    wire_input_fn *fn;
    void *opaque;
    bool seen;      /* level of the last call; lane, or `calls` */
    bool posted;    /* atomic: is in the lane's queue */
    uint32_t calls; /* atomic; no lane: not zero while one calls */
};

struct wire {
    const struct group *group;
    unsigned number;
    int32_t high; /* atomic: outputs that are high */
    GPtrArray *inputs;
};

struct wire_output {
    struct wires *owner;
    struct wire *wire;
    bool level; /* atomic */
};

static const struct group {
    const char *name;
    unsigned lines;
} groups[] = {
    { "isa", 16 }, { "pirq", 4 }, { "gsi", 24 }, { "intr", 1 },
    { "nmi", 1 },  { "smi", 1 },  { "ferr", 1 }, { "a20", 1 },
};

enum { ALL_LINES = 16 + 4 + 24 + 5 };

struct wires {
    struct wire lines[ALL_LINES]; /* in the order of groups[] */
    GPtrArray *outputs;
};

unsigned wires_in_group(const char *group)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (strcmp(groups[i].name, group) == 0)
            return groups[i].lines;
    }
    return 0;
}

static struct wire *find(struct wires *w, const char *group, unsigned number)
{
    unsigned first = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (strcmp(groups[i].name, group) == 0)
            return number < groups[i].lines ? &w->lines[first + number] : NULL;
        first += groups[i].lines;
    }
    return NULL;
}

struct wires *wires_create(void)
{
    struct wires *w = g_new0(struct wires, 1);
    struct wire *line = w->lines;

    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        for (unsigned n = 0; n < groups[i].lines; n++, line++) {
            line->group = &groups[i];
            line->number = n;
            line->inputs = g_ptr_array_new_with_free_func(g_free);
        }
    }
    w->outputs = g_ptr_array_new_with_free_func(g_free);
    return w;
}

void wires_destroy(struct wires *w)
{
    if (!w)
        return;
    for (unsigned i = 0; i < ALL_LINES; i++)
        g_ptr_array_free(w->lines[i].inputs, TRUE);
    g_ptr_array_free(w->outputs, TRUE);
    g_free(w);
}

/* --- inputs -------------------------------------------------------------- */

static bool level_of(const struct wire *line)
{
    return __atomic_load_n(&line->high, __ATOMIC_SEQ_CST) > 0;
}

static void call_if_changed(struct input *in)
{
    bool level = level_of(in->wire);

    if (level == in->seen)
        return;
    in->seen = level;
    in->fn(in->opaque, in->wire->number, level);
}

/* One thread calls; others, and fn itself, only tell it to look again. */
static void call_without_lane(struct input *in)
{
    uint32_t calls;

    if (__atomic_fetch_add(&in->calls, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    do {
        calls = __atomic_load_n(&in->calls, __ATOMIC_SEQ_CST);
        call_if_changed(in);
    } while (__atomic_fetch_sub(&in->calls, calls, __ATOMIC_SEQ_CST) != calls);
}

static void call_from_queue(void *opaque)
{
    struct input *in = opaque;

    __atomic_store_n(&in->posted, false, __ATOMIC_SEQ_CST);
    call_if_changed(in);
}

static void notify(struct input *in)
{
    if (!in->lane) {
        call_without_lane(in);
    } else if (lane_may_enter(in->lane)) {
        lane_enter(in->lane);
        call_if_changed(in);
        lane_leave(in->lane);
    } else if (!__atomic_exchange_n(&in->posted, true, __ATOMIC_SEQ_CST)) {
        lane_post(in->lane, call_from_queue, in);
    }
}

bool wire_input_add(struct wires *w, const char *group, unsigned number,
                    struct lane *lane, wire_input_fn *fn, void *opaque)
{
    struct wire *line = find(w, group, number);
    struct input *in;

    if (!line)
        return false;
    in = g_new0(struct input, 1);
    in->wire = line;
    in->lane = lane;
    in->fn = fn;
    in->opaque = opaque;
    in->seen = level_of(line);
    g_ptr_array_add(line->inputs, in);
    return true;
}

void wire_inputs_remove(struct wires *w, void *opaque)
{
    for (unsigned i = 0; i < ALL_LINES; i++) {
        GPtrArray *inputs = w->lines[i].inputs;

        for (unsigned n = inputs->len; n-- > 0;) {
            const struct input *in = inputs->pdata[n];

            if (in->opaque == opaque)
                g_ptr_array_remove_index(inputs, n);
        }
    }
}

/* --- outputs ------------------------------------------------------------- */

struct wire_output *wire_output_add(struct wires *w, const char *group,
                                    unsigned number)
{
    struct wire *line = find(w, group, number);
    struct wire_output *o;

    if (!line)
        return NULL;
    o = g_new0(struct wire_output, 1);
    o->owner = w;
    o->wire = line;
    g_ptr_array_add(w->outputs, o);
    return o;
}

void wire_output_remove(struct wire_output *o)
{
    if (!o)
        return;
    wire_output_set(o, false);
    g_ptr_array_remove(o->owner->outputs, o);
}

void wire_output_set(struct wire_output *o, bool level)
{
    struct wire *line = o->wire;
    int32_t before;

    if (__atomic_exchange_n(&o->level, level, __ATOMIC_SEQ_CST) == level)
        return;
    before = __atomic_fetch_add(&line->high, level ? 1 : -1, __ATOMIC_SEQ_CST);
    if (before != (level ? 0 : 1))
        return;
    for (unsigned i = 0; i < line->inputs->len; i++)
        notify(line->inputs->pdata[i]);
}

bool wire_output_level(const struct wire_output *o)
{
    return __atomic_load_n(&o->level, __ATOMIC_SEQ_CST);
}

void wire_output_restore(struct wire_output *o, bool level)
{
    struct wire *line = o->wire;

    if (__atomic_exchange_n(&o->level, level, __ATOMIC_SEQ_CST) != level)
        __atomic_fetch_add(&line->high, level ? 1 : -1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < line->inputs->len; i++) {
        struct input *in = line->inputs->pdata[i];

        in->seen = level_of(line);
    }
}

bool wire_level(struct wires *w, const char *group, unsigned number)
{
    const struct wire *line = find(w, group, number);

    return line && level_of(line);
}

char *wires_describe(struct wires *w)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < ALL_LINES; i++) {
        const struct wire *line = &w->lines[i];

        if (line->inputs->len || level_of(line))
            g_string_append_printf(text, "  %s%-3u %s, %u inputs\n",
                                   line->group->name, line->number,
                                   level_of(line) ? "high" : "low",
                                   line->inputs->len);
    }
    return g_string_free(text, FALSE);
}
