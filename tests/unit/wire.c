/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

#include "bus/wire.h"
#include "sched/lane.h"

static struct wires *w;
static char order[256];

/* What a callback is given; it only reads it. */
static void *named(const char *name)
{
    return (void *)(uintptr_t)name;
}

static void note_input(void *opaque, unsigned number, bool level)
{
    size_t at = strlen(order);

    g_snprintf(order + at, sizeof order - at, "%s%u%c ", (char *)opaque, number,
               level ? '+' : '-');
}

TEST(a_line_is_high_while_any_output_is)
{
    struct wire_output *a, *b;

    w = wires_create();
    a = wire_output_add(w, "isa", 5);
    b = wire_output_add(w, "isa", 5);
    CHECK(wire_input_add(w, "isa", 5, NULL, note_input, named("x")));
    CHECK(!wire_level(w, "isa", 5));
    wire_output_set(a, true);
    CHECK(wire_level(w, "isa", 5));
    wire_output_set(a, true);
    wire_output_set(b, true);
    wire_output_set(a, false);
    CHECK(wire_level(w, "isa", 5));
    CHECK_STR_EQ(order, "x5+ ");
    wire_output_set(b, false);
    wire_output_set(b, false);
    CHECK_STR_EQ(order, "x5+ x5- ");
    CHECK(!wire_level(w, "isa", 4));
    wires_destroy(w);
}

TEST(inputs_are_called_in_the_order_they_were_added)
{
    struct wire_output *o;

    w = wires_create();
    wire_input_add(w, "gsi", 23, NULL, note_input, named("a"));
    wire_input_add(w, "gsi", 23, NULL, note_input, named("b"));
    wire_input_add(w, "gsi", 22, NULL, note_input, named("c"));
    o = wire_output_add(w, "gsi", 23);
    wire_output_set(o, true);
    CHECK_STR_EQ(order, "a23+ b23+ ");
    wire_output_remove(o);
    CHECK_STR_EQ(order, "a23+ b23+ a23- b23- ");
    wires_destroy(w);
}

static const struct {
    const char *group;
    unsigned lines;
} known[] = {
    { "isa", 16 }, { "pirq", 4 }, { "gsi", 24 }, { "intr", 1 },  { "nmi", 1 },
    { "smi", 1 },  { "ferr", 1 }, { "a20", 1 },  { "other", 0 },
};

TEST_P(lines_are_those_of_the_abi, known)
{
    unsigned n = row->lines;

    w = wires_create();
    CHECK_EQ(wires_in_group(row->group), n);
    CHECK(!wire_output_add(w, row->group, n));
    CHECK(!wire_input_add(w, row->group, n, NULL, note_input, named("")));
    CHECK(!wire_level(w, row->group, n));
    if (n) {
        struct wire_output *o = wire_output_add(w, row->group, n - 1);

        CHECK(o);
        CHECK(
            wire_input_add(w, row->group, n - 1, NULL, note_input, named("i")));
        wire_output_set(o, true);
        CHECK(strchr(order, '+'));
    }
    wires_destroy(w);
}

TEST(restoring_a_level_tells_nobody)
{
    struct wire_output *o;

    w = wires_create();
    wire_input_add(w, "pirq", 2, NULL, note_input, named("x"));
    o = wire_output_add(w, "pirq", 2);
    wire_output_restore(o, true);
    CHECK_STR_EQ(order, "");
    CHECK(wire_level(w, "pirq", 2));
    wire_output_set(o, true);
    CHECK_STR_EQ(order, "");
    wire_output_set(o, false);
    CHECK_STR_EQ(order, "x2- ");
    wires_destroy(w);
}

TEST(removed_inputs_are_not_called)
{
    struct wire_output *o;
    char other[] = "o";

    w = wires_create();
    wire_input_add(w, "isa", 1, NULL, note_input, named("x"));
    wire_input_add(w, "isa", 1, NULL, note_input, other);
    wire_inputs_remove(w, other);
    o = wire_output_add(w, "isa", 1);
    wire_output_set(o, true);
    CHECK_STR_EQ(order, "x1+ ");
    wires_destroy(w);
}

/* An input that drives its own line comes to rest at the last level. */
static struct wire_output *second;

static void answer(void *opaque, unsigned number, bool level)
{
    note_input(opaque, number, level);
    if (level)
        wire_output_set(second, false);
}

TEST(an_input_may_change_its_own_line)
{
    w = wires_create();
    second = wire_output_add(w, "isa", 3);
    wire_input_add(w, "isa", 3, NULL, answer, named("x"));
    wire_output_set(second, true);
    CHECK_STR_EQ(order, "x3+ x3- ");
    wires_destroy(w);
}

/* --- lanes --------------------------------------------------------------- */

static struct lane *input_lane;

static void in_lane(void *opaque, unsigned number, bool level)
{
    CHECK(lane_held(input_lane));
    note_input(opaque, number, level);
}

TEST(inputs_run_in_their_lane)
{
    struct lanes *l = lanes_create(0);
    struct lane *device = lane_create(l, "device", LANE_DEVICE);
    struct wire_output *o;

    w = wires_create();
    input_lane = lane_create(l, "pic", LANE_IRQCHIP);
    wire_input_add(w, "isa", 1, input_lane, in_lane, named("x"));
    o = wire_output_add(w, "isa", 1);
    lane_enter(device);
    wire_output_set(o, true);
    CHECK_STR_EQ(order, "x1+ ");
    CHECK(!lane_held(input_lane));
    lane_leave(device);
    wires_destroy(w);
    lanes_destroy(l);
}

TEST(an_input_out_of_reach_is_called_from_its_queue)
{
    struct lanes *l = lanes_create(0);
    struct lane *other = lane_create(l, "other", LANE_DEVICE);
    struct wire_output *o;

    w = wires_create();
    input_lane = lane_create(l, "device", LANE_DEVICE);
    wire_input_add(w, "ferr", 0, input_lane, in_lane, named("x"));
    o = wire_output_add(w, "ferr", 0);
    lane_enter(input_lane);
    wire_output_set(o, true);
    wire_output_set(o, false);
    wire_output_set(o, true);
    CHECK_STR_EQ(order, "");
    lane_leave(input_lane);
    lanes_run(l);
    CHECK_STR_EQ(order, "x0+ ");

    lane_enter(other);
    wire_output_set(o, false);
    CHECK_STR_EQ(order, "x0+ ");
    lane_leave(other);
    lanes_run(l);
    CHECK_STR_EQ(order, "x0+ x0- ");
    wires_destroy(w);
    lanes_destroy(l);
}

/* --- several threads ----------------------------------------------------- */

enum { THREADS = 3, ROUNDS = 20000 };

static struct wire_output *outputs[THREADS];
static bool last_level, alternates = true;

static void keep_level(void *opaque, unsigned number, bool level)
{
    if (level == last_level)
        alternates = false;
    last_level = level;
}

static void *toggle(void *opaque)
{
    struct wire_output *o = opaque;

    for (unsigned i = 0; i < ROUNDS; i++)
        wire_output_set(o, !(i & 1));
    return NULL;
}

static const struct {
    bool with_lane;
    bool end_high;
} races[] = {
    { false, false }, { false, true }, { true, false }, { true, true }
};

TEST_P(the_last_level_an_input_sees_is_the_lines, races)
{
    struct lanes *l = lanes_create(1);
    struct lane *lane = lane_create(l, "input", LANE_IRQCHIP);
    pthread_t threads[THREADS];

    w = wires_create();
    wire_input_add(w, "isa", 9, row->with_lane ? lane : NULL, keep_level, NULL);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < THREADS; i++) {
            if (!outputs[i])
                outputs[i] = wire_output_add(w, "isa", 9);
            CHECK_EQ(pthread_create(&threads[i], NULL, toggle, outputs[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK(!wire_level(w, "isa", 9));
        CHECK(!last_level);
        if (row->end_high) {
            wire_output_set(outputs[0], true);
            CHECK(last_level);
        }
    }
    CHECK(alternates);
    wires_destroy(w);
    lanes_destroy(l);
}
