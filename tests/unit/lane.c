/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <unistd.h>

#include "sched/lane.h"

static struct lanes *l;

TEST(a_lane_is_held_by_one_thread)
{
    struct lane *a;

    l = lanes_create(0);
    a = lane_create(l, "a", LANE_DEVICE);
    CHECK_STR_EQ(lane_name(a), "a");
    CHECK(!lane_held(a));
    lane_enter(a);
    CHECK(lane_held(a));
    lane_leave(a);
    CHECK(!lane_held(a));
    lanes_destroy(l);
}

TEST(ranks_say_what_may_be_entered)
{
    struct lane *a, *b, *bus, *pic;

    l = lanes_create(0);
    a = lane_create(l, "a", LANE_DEVICE);
    b = lane_create(l, "b", LANE_DEVICE);
    bus = lane_create(l, "bus", LANE_BUS);
    pic = lane_create(l, "pic", LANE_IRQCHIP);
    lane_enter(a);
    CHECK(!lane_may_enter(a));
    CHECK(!lane_may_enter(b));
    CHECK(lane_may_enter(bus));
    lane_enter(pic);
    CHECK(!lane_may_enter(bus));
    lane_leave(pic);
    lane_enter(bus);
    lane_enter(pic);
    /* left out of order */
    lane_leave(bus);
    CHECK(!lane_may_enter(bus));
    lane_leave(pic);
    CHECK(lane_may_enter(bus));
    lane_leave(a);
    CHECK(lane_may_enter(a));
    lanes_destroy(l);
}

static unsigned log_of[1000], logged;

static void append(void *opaque)
{
    log_of[logged++] = (unsigned)(uintptr_t)opaque;
}

TEST(work_runs_in_order_and_not_before)
{
    struct lane *a;

    l = lanes_create(0);
    a = lane_create(l, "a", LANE_DEVICE);
    for (uintptr_t i = 0; i < 100; i++)
        lane_post(a, append, (void *)i);
    CHECK_EQ(logged, 0);
    lanes_run(l);
    CHECK_EQ(logged, 100);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(log_of[i], i);
    lanes_destroy(l);
}

static struct lane *again_lane;

static void post_again(void *opaque)
{
    uintptr_t left = (uintptr_t)opaque;

    CHECK(lane_held(again_lane));
    append(opaque);
    if (left)
        lane_post(again_lane, post_again, (void *)(left - 1));
}

static const struct {
    unsigned threads;
} workers[] = { { 0 }, { 1 }, { 3 } };

TEST_P(draining_waits_for_work_that_work_queued, workers)
{
    l = lanes_create(row->threads);
    again_lane = lane_create(l, "a", LANE_DEVICE);
    for (unsigned round = 0; round < 20; round++) {
        logged = 0;
        lane_post(again_lane, post_again, (void *)20);
        lanes_drain(l);
        CHECK_EQ(logged, 21);
    }
    lanes_destroy(l);
}

TEST_P(destroying_a_lane_runs_what_is_queued, workers)
{
    struct lane *a;

    l = lanes_create(row->threads);
    a = lane_create(l, "a", LANE_DEVICE);
    for (uintptr_t i = 0; i < 500; i++)
        lane_post(a, append, (void *)i);
    lane_destroy(a);
    CHECK_EQ(logged, 500);
    lanes_destroy(l);
}

TEST(a_lane_far_behind_is_worked_off_by_who_leaves_it)
{
    struct lane *a;

    l = lanes_create(0);
    a = lane_create(l, "a", LANE_DEVICE);
    lane_enter(a);
    for (uintptr_t i = 0; i < 300; i++)
        lane_post(a, append, (void *)i);
    CHECK_EQ(logged, 0);
    lane_leave(a);
    CHECK_GE(logged, 256);
    lanes_run(l);
    CHECK_EQ(logged, 300);
    for (unsigned i = 0; i < 300; i++)
        CHECK_EQ(log_of[i], i);
    lanes_destroy(l);
}

/* --- contention ---------------------------------------------------------- */

enum { LANES = 3, POSTERS = 3, POSTS = 5000 };

static struct {
    struct lane *lane;
    unsigned inside; /* protected by the lane, as is the rest */
    unsigned long entries;
    unsigned last[POSTERS];
} shared[LANES];

struct mark {
    unsigned lane, poster, number;
};

static struct mark marks[POSTERS][POSTS];

static void go_through(unsigned i)
{
    CHECK_EQ(shared[i].inside, 0);
    shared[i].inside = 1;
    shared[i].entries++;
    shared[i].inside = 0;
}

static void arrive(void *opaque)
{
    const struct mark *m = opaque;

    go_through(m->lane);
    CHECK_LT(shared[m->lane].last[m->poster], m->number);
    shared[m->lane].last[m->poster] = m->number;
}

static void *post_and_enter(void *opaque)
{
    unsigned poster = (unsigned)(uintptr_t)opaque;

    for (unsigned i = 0; i < POSTS; i++) {
        struct mark *m = &marks[poster][i];

        *m = (struct mark){ i % LANES, poster, i + 1 };
        lane_post(shared[m->lane].lane, arrive, m);
        lane_enter(shared[m->lane].lane);
        go_through(m->lane);
        lane_leave(shared[m->lane].lane);
    }
    return NULL;
}

TEST(callbacks_of_a_lane_never_overlap_and_keep_their_order)
{
    pthread_t threads[POSTERS];
    unsigned long entries = 0;

    l = lanes_create(2);
    for (unsigned i = 0; i < LANES; i++)
        shared[i].lane = lane_create(l, "shared", LANE_DEVICE);
    for (uintptr_t i = 0; i < POSTERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, post_and_enter, (void *)i),
                 0);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    lanes_drain(l);
    for (unsigned i = 0; i < LANES; i++)
        entries += shared[i].entries;
    CHECK_EQ(entries, 2ul * POSTERS * POSTS);
    lanes_destroy(l);
}

/* --- soon -----------------------------------------------------------------*/

TEST(holder_does_what_is_soon_when_it_leaves)
{
    struct lane *a;

    l = lanes_create(0);
    a = lane_create(l, "a", LANE_DEVICE);
    lane_enter(a);
    for (uintptr_t i = 0; i < 100; i++)
        lane_post_soon(a, append, (void *)i);
    CHECK_EQ(logged, 0);
    lane_leave(a);
    CHECK_GE(logged, 1);
    CHECK_LT(logged, 100); /* bounded; the rest is queued */
    lanes_run(l);
    CHECK_EQ(logged, 100);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(log_of[i], i);
    lanes_destroy(l);
}

struct chain {
    struct lane *lane;
    unsigned left;
};

static void link_of_chain(void *opaque)
{
    struct chain *c = opaque;

    CHECK(lane_held(c->lane));
    if (c->left && --c->left)
        lane_post_soon(c->lane, link_of_chain, c);
}

TEST(soon_work_may_bring_more)
{
    struct chain c = { .left = 1000 };

    l = lanes_create(0);
    c.lane = lane_create(l, "a", LANE_DEVICE);
    lane_enter(c.lane);
    lane_post_soon(c.lane, link_of_chain, &c);
    lane_leave(c.lane);
    CHECK_LT(c.left, 1000);
    lanes_run(l);
    CHECK_EQ(c.left, 0);
    lanes_destroy(l);
}

static pthread_t runner;

static void note_thread(void *opaque)
{
    CHECK(lane_held(opaque));
    runner = pthread_self();
}

TEST(visitor_of_a_lane_at_rest_runs_its_work)
{
    struct lane *a;

    l = lanes_create(1);
    a = lane_create(l, "a", LANE_DEVICE);
    lane_post_soon(a, note_thread, a);
    CHECK(pthread_equal(runner, pthread_self()));
    CHECK(lane_may_enter(a));
    lanes_destroy(l);
}

static unsigned visits;

static void count_visit(void *opaque)
{
    visits++; /* the lane is held */
}

static void *visitor(void *opaque)
{
    for (unsigned i = 0; i < 20000; i++)
        lane_post_soon(opaque, count_visit, NULL);
    return NULL;
}

TEST(visitors_workers_and_holders_take_turns)
{
    pthread_t threads[3];
    struct lane *a;

    l = lanes_create(2);
    a = lane_create(l, "a", LANE_DEVICE);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, visitor, a), 0);
    for (unsigned i = 0; i < 20000; i++) {
        lane_enter(a);
        lane_post_soon(a, count_visit, NULL);
        lane_leave(a);
        if (i % 100 == 0)
            lanes_drain(l);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    lanes_drain(l);
    CHECK_EQ(visits, 80000);
    lane_destroy(a);
    lanes_destroy(l);
}
