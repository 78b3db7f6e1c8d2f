/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "sched/clock.h"
#include "sched/lane.h"

#define MS UINT64_C(1000000)

static struct clocks *c;
static char order[256];

/* What a callback is given; it only reads it. */
static void *named(const char *name)
{
    return (void *)(uintptr_t)name;
}

static void note(void *opaque)
{
    size_t at = strlen(order);

    g_snprintf(order + at, sizeof order - at, "%s@%u ", (char *)opaque,
               (unsigned)clock_now(c, CLOCK_VIRTUAL));
}

/* --- deterministic ------------------------------------------------------- */

TEST(deterministic_time_moves_only_when_told)
{
    c = clocks_create(true);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 0);
    clocks_start(c);
    usleep(1000);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 0);
    clock_advance(c, 77);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 77);
    clock_advance(c, 50);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 77);
    clock_set_wall_offset(c, 1000);
    CHECK_EQ(clock_now(c, CLOCK_WALL), 1077);
    CHECK_EQ(clock_wall_offset(c), 1000);
    clock_set_virtual(c, 5000);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 5000);
    clocks_destroy(c);
}

TEST(timers_fire_at_their_instant_in_order_of_time_then_arming)
{
    struct timer *a, *b, *d, *w;
    uint64_t deadline;

    c = clocks_create(true);
    a = timer_create_on(c, CLOCK_VIRTUAL, NULL, "a", note, named("a"));
    b = timer_create_on(c, CLOCK_VIRTUAL, NULL, "b", note, named("b"));
    d = timer_create_on(c, CLOCK_VIRTUAL, NULL, "d", note, named("d"));
    w = timer_create_on(c, CLOCK_WALL, NULL, "w", note, named("w"));
    clock_set_wall_offset(c, 1000);
    CHECK_STR_EQ(timer_name(w), "w");
    CHECK_EQ(clock_next_deadline(c), UINT64_MAX);
    timer_arm(b, 20);
    timer_arm(a, 30);
    timer_arm(d, 20);
    timer_arm(w, 1025);
    CHECK_EQ(clock_next_deadline(c), 20);
    clock_advance(c, 19);
    CHECK_STR_EQ(order, "");
    clock_advance(c, 22);
    CHECK_STR_EQ(order, "b@20 d@20 ");
    CHECK(!timer_deadline(b, &deadline));
    CHECK(timer_deadline(a, &deadline));
    CHECK_EQ(deadline, 30);
    CHECK_EQ(clock_next_deadline(c), 25);
    clock_advance(c, 100);
    CHECK_STR_EQ(order, "b@20 d@20 w@25 a@30 ");
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 100);
    timer_arm(a, 10); /* the past: at once, time does not go back */
    CHECK_EQ(clock_next_deadline(c), 10);
    clock_advance(c, 100);
    CHECK_STR_EQ(order, "b@20 d@20 w@25 a@30 a@100 ");
    clocks_destroy(c);
}

static struct timer *periodic;
static unsigned ticks;

static void tick(void *opaque)
{
    ticks++;
    timer_arm(periodic, clock_now(c, CLOCK_VIRTUAL) + 10);
}

TEST(a_periodic_timer_fires_each_period_in_one_step)
{
    c = clocks_create(true);
    periodic = timer_create_on(c, CLOCK_VIRTUAL, NULL, "p", tick, NULL);
    timer_arm(periodic, 10);
    clock_advance(c, 1000);
    CHECK_EQ(ticks, 100);
    clocks_destroy(c);
}

static void arm_in_the_past(void *opaque)
{
    ticks++;
    timer_arm(periodic, 0);
}

TEST(a_timer_that_always_arms_itself_in_the_past_does_not_hang)
{
    c = clocks_create(true);
    periodic =
        timer_create_on(c, CLOCK_VIRTUAL, NULL, "p", arm_in_the_past, NULL);
    timer_arm(periodic, 10);
    clock_advance(c, 1000);
    CHECK_GT(ticks, 100);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 1000);
    clocks_destroy(c);
}

TEST(lane_timers_and_queues_run_inside_the_step)
{
    struct lanes *l = lanes_create(0);
    struct lane *lane = lane_create(l, "dev", LANE_DEVICE);
    struct timer *t;

    c = clocks_create(true);
    clocks_set_lanes(c, l);
    t = timer_create_on(c, CLOCK_VIRTUAL, lane, "t", note, named("t"));
    lane_post(lane, note, named("q"));
    timer_arm(t, 5);
    clock_advance(c, 3);
    CHECK_STR_EQ(order, "q@3 ");
    clock_advance(c, 9);
    CHECK_STR_EQ(order, "q@3 t@5 ");
    clocks_destroy(c);
    lanes_destroy(l);
}

TEST(a_hundred_random_timers_fire_sorted)
{
    GRand *rand = g_rand_new_with_seed(3);
    struct timer *t[100];
    uint64_t deadline;

    c = clocks_create(true);
    for (unsigned i = 0; i < 100; i++)
        t[i] = timer_create_on(c, CLOCK_VIRTUAL, NULL, "t", note, named(""));
    for (unsigned round = 0; round < 2000; round++) {
        unsigned n = (unsigned)g_rand_int_range(rand, 0, 100);

        if (g_rand_boolean(rand))
            timer_arm(t[n], (uint64_t)g_rand_int_range(rand, 1, 100000));
        else
            timer_cancel(t[n]);
        deadline = UINT64_MAX;
        for (unsigned i = 0; i < 100; i++) {
            uint64_t d;

            if (timer_deadline(t[i], &d) && d < deadline)
                deadline = d;
        }
        CHECK_EQ(clock_next_deadline(c), deadline);
    }
    for (unsigned i = 0; i < 100; i++)
        timer_destroy(t[i]);
    CHECK_EQ(clock_next_deadline(c), UINT64_MAX);
    g_rand_free(rand);
    clocks_destroy(c);
}

/* --- real time ----------------------------------------------------------- */

static void wait_for(unsigned *counter, unsigned want)
{
    for (unsigned i = 0; i < 5000; i++) {
        if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) >= want)
            return;
        usleep(1000);
    }
    FAIL("timer did not fire");
}

static unsigned fired;

static void count(void *opaque)
{
    __atomic_fetch_add(&fired, 1, __ATOMIC_RELEASE);
}

TEST(virtual_time_stands_while_the_machine_does)
{
    uint64_t a, b;

    c = clocks_create(false);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 0);
    usleep(2000);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 0);
    clocks_start(c);
    usleep(2000);
    clocks_stop(c);
    a = clock_now(c, CLOCK_VIRTUAL);
    CHECK_GE(a, 2 * MS);
    usleep(2000);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), a);
    clock_set_virtual(c, 1000 * MS);
    CHECK_EQ(clock_now(c, CLOCK_VIRTUAL), 1000 * MS);
    clocks_start(c);
    b = clock_now(c, CLOCK_VIRTUAL);
    CHECK_GE(b, 1000 * MS);
    CHECK_LT(b, 60000 * MS);
    clocks_destroy(c);
}

TEST(virtual_timers_wait_for_the_machine)
{
    struct timer *t;

    c = clocks_create(false);
    t = timer_create_on(c, CLOCK_VIRTUAL, NULL, "t", count, NULL);
    timer_arm(t, 1);
    usleep(20000);
    CHECK_EQ(__atomic_load_n(&fired, __ATOMIC_ACQUIRE), 0);
    clocks_start(c);
    wait_for(&fired, 1);
    clocks_destroy(c);
}

static const struct {
    enum clock_id id;
} ids[] = { { CLOCK_VIRTUAL }, { CLOCK_HOST }, { CLOCK_WALL } };

TEST_P(a_timer_fires_after_its_deadline_on_each_clock, ids)
{
    struct timer *late, *soon;
    uint64_t begin;

    c = clocks_create(false);
    clocks_start(c);
    late = timer_create_on(c, row->id, NULL, "late", count, NULL);
    soon = timer_create_on(c, row->id, NULL, "soon", count, NULL);
    begin = clock_now(c, row->id);
    timer_arm(late, UINT64_MAX);
    timer_arm(soon, begin + 5 * MS);
    wait_for(&fired, 1);
    CHECK_GE(clock_now(c, row->id), begin + 5 * MS);
    timer_cancel(late);
    timer_arm(late, 0);
    wait_for(&fired, 2);
    clocks_destroy(c);
}

/*
 * The race that matters: a timer that comes due while its owner, holding the
 * lane, cancels or moves it.
 */
static struct lane *owner;
static bool may_fire, fired_wrongly;

static void check_allowed(void *opaque)
{
    CHECK(lane_held(owner));
    if (!may_fire)
        fired_wrongly = true;
    may_fire = false;
    count(NULL);
}

TEST(a_timer_cancelled_under_its_lane_never_runs)
{
    struct lanes *l = lanes_create(2);
    struct timer *t;

    c = clocks_create(false);
    clocks_start(c);
    owner = lane_create(l, "dev", LANE_DEVICE);
    t = timer_create_on(c, CLOCK_VIRTUAL, owner, "t", check_allowed, NULL);
    for (unsigned i = 0; i < 3000; i++) {
        lane_enter(owner);
        may_fire = true;
        timer_arm(t, clock_now(c, CLOCK_VIRTUAL) + (i % 50) * 1000);
        lane_leave(owner);
        if (i % 3 == 0)
            usleep(i % 60);
        lane_enter(owner);
        timer_cancel(t);
        may_fire = false;
        if (i % 7 == 0)
            timer_arm(t, UINT64_MAX);
        lane_leave(owner);
    }
    lanes_drain(l);
    CHECK(!fired_wrongly);
    timer_destroy(t);
    clocks_destroy(c);
    lanes_destroy(l);
}

static bool alive;

static void check_alive(void *opaque)
{
    if (!__atomic_load_n(&alive, __ATOMIC_SEQ_CST))
        fired_wrongly = true;
}

static const struct {
    bool with_lane;
} owners[] = { { false }, { true } };

TEST_P(a_destroyed_timer_never_runs, owners)
{
    struct lanes *l = lanes_create(2);

    c = clocks_create(false);
    clocks_start(c);
    owner = lane_create(l, "dev", LANE_DEVICE);
    for (unsigned i = 0; i < 2000; i++) {
        struct timer *t =
            timer_create_on(c, CLOCK_VIRTUAL, row->with_lane ? owner : NULL,
                            "t", check_alive, NULL);

        __atomic_store_n(&alive, true, __ATOMIC_SEQ_CST);
        timer_arm(t, clock_now(c, CLOCK_VIRTUAL) + (i % 20) * 1000);
        if (i % 2)
            usleep(i % 40);
        timer_destroy(t);
        __atomic_store_n(&alive, false, __ATOMIC_SEQ_CST);
    }
    lanes_drain(l);
    CHECK(!fired_wrongly);
    clocks_destroy(c);
    lanes_destroy(l);
}

static void destroy_itself(void *opaque)
{
    timer_destroy(periodic);
    count(NULL);
}

TEST_P(a_timer_may_destroy_itself, owners)
{
    struct lanes *l = lanes_create(1);

    c = clocks_create(false);
    clocks_start(c);
    owner = lane_create(l, "dev", LANE_DEVICE);
    periodic = timer_create_on(c, CLOCK_HOST, row->with_lane ? owner : NULL,
                               "t", destroy_itself, NULL);
    timer_arm(periodic, 0);
    wait_for(&fired, 1);
    lanes_drain(l);
    clocks_destroy(c);
    lanes_destroy(l);
}

TEST(a_due_timer_counts_as_armed_until_it_runs)
{
    struct lanes *l = lanes_create(0);
    struct lane *lane = lane_create(l, "dev", LANE_DEVICE);
    struct timer *t;
    uint64_t deadline;

    c = clocks_create(false);
    t = timer_create_on(c, CLOCK_HOST, lane, "t", count, NULL);
    timer_arm(t, 5);
    for (unsigned i = 0; i < 5000 && !fired; i++) {
        usleep(1000);
        CHECK(timer_deadline(t, &deadline));
        CHECK_EQ(deadline, 5);
        lanes_run(l);
    }
    CHECK_EQ(fired, 1);
    CHECK(!timer_deadline(t, &deadline));
    clocks_destroy(c);
    lanes_destroy(l);
}

/* --- readers while time starts and stops --------------------------------- */

static bool readers_done;

static void *read_time(void *opaque)
{
    unsigned *bad = opaque;
    uint64_t last = 0, now;

    while (!__atomic_load_n(&readers_done, __ATOMIC_ACQUIRE)) {
        now = clock_now(c, CLOCK_VIRTUAL);
        *bad += now < last;
        last = now;
    }
    return NULL;
}

TEST(time_never_runs_backwards)
{
    unsigned bad[2] = { 0, 0 };
    pthread_t threads[2];

    c = clocks_create(false);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, read_time, &bad[i]), 0);
    for (unsigned i = 0; i < 2000; i++) {
        clocks_start(c);
        clocks_stop(c);
    }
    __atomic_store_n(&readers_done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(bad[i], 0);
    }
    clocks_destroy(c);
}
