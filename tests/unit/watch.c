/* SPDX-License-Identifier: Apache-2.0 */
/* bp.watch/1: descriptors that a device waits for. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <backplane/backplane.h>

#include "plugin/device.h"
#include "vm/bench.h"
#include "vm/vm.h"

struct guard {
    const struct bp_watch *watch;
    struct bp_dev *dev;
};

static struct guard *guard;
static struct bench *b;

static int32_t guard_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    guard = self;
    guard->dev = dev;
    guard->watch = host->query(host, BP_WATCH);
    return 0;
}

static void guard_reset(void *self, uint32_t kind)
{
}

static const struct bp_device_desc desc = {
    .size = sizeof(struct bp_device_desc),
    .id = "guard",
    .title = "a device that waits for the host",
    .instance_size = sizeof(struct guard),
    .state_version = 1,
    .create = guard_create,
    .reset = guard_reset,
};

static uint32_t seen;
static unsigned calls;

static void ready(void *ctx, uint32_t events)
{
    seen |= events;
    calls++;
}

static void setup(bool running)
{
    b = bench_empty();
    CHECK(bench_try_add(b, &desc, "guard", NULL, NULL));
    bench_vm(b)->deterministic = false;
    bench_power_on(b);
    if (running)
        bench_start(b);
    seen = 0;
    calls = 0;
}

/* What the thread has posted, and some time for more. */
static void settle(unsigned want)
{
    for (unsigned i = 0; i < 2000 && calls < want; i++) {
        bench_run(b);
        usleep(1000);
    }
    usleep(20000);
    bench_run(b);
}

TEST(tells_once_what_it_was_set_for)
{
    int pair[2];

    setup(true);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct bp_watch_handle *w =
        guard->watch->add(guard->dev, pair[0], ready, NULL);
    CHECK(w);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    settle(0);
    CHECK_EQ(calls, 0);
    guard->watch->set(w, BP_WATCH_READ);
    settle(1);
    CHECK_EQ(calls, 1);
    CHECK_EQ(seen, BP_WATCH_READ);
    guard->watch->set(w, BP_WATCH_READ | BP_WATCH_WRITE);
    settle(2);
    CHECK_EQ(calls, 2);
    CHECK_EQ(seen, BP_WATCH_READ | BP_WATCH_WRITE);
    close(pair[1]);
    guard->watch->set(w, 0);
    settle(3);
    CHECK(seen & BP_WATCH_HANGUP);
    guard->watch->remove(w);
    close(pair[0]);
    bench_destroy(b);
}

TEST(nothing_after_remove)
{
    int pair[2];

    setup(true);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (unsigned i = 0; i < 200; i++) {
        struct bp_watch_handle *w =
            guard->watch->add(guard->dev, pair[0], ready, NULL);
        guard->watch->set(w, BP_WATCH_WRITE);
        if (i % 3)
            usleep(i * 10);
        guard->watch->remove(w);
    }
    settle(0);
    CHECK_EQ(calls, 0);
    guard->watch->set(guard->watch->add(guard->dev, pair[0], ready, NULL),
                      BP_WATCH_WRITE);
    bench_destroy(b);
}

TEST(rests_while_the_machine_stands)
{
    int pair[2];

    setup(false);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct bp_watch_handle *w =
        guard->watch->add(guard->dev, pair[0], ready, NULL);
    guard->watch->set(w, BP_WATCH_WRITE);
    settle(0);
    CHECK_EQ(calls, 0);
    bench_start(b);
    settle(1);
    CHECK_EQ(calls, 1);
    bench_destroy(b);
}

TEST(not_for_deterministic_machines_and_files)
{
    setup(true);
    bench_vm(b)->deterministic = true;
    CHECK(!guard->watch->add(guard->dev, 0, ready, NULL));
    bench_vm(b)->deterministic = false;
    CHECK(!guard->watch->add(guard->dev, -1, ready, NULL));
    bench_destroy(b);
}
