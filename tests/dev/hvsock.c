/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets between host and guest; the guest is the test. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugins/synthetic/wire.h"
#include "tests/dev/hvsock_program.h"
#include "tests/lib/test.h"
#include "tests/lib/vmbus_mock.h"
#include "vm/bench.h"
#include "vm/vm.h"

#define SECOND 1000000000ull

static struct bench *b;
static char path[100];
static uint8_t got[20000];
static uint32_t got_bytes; /* without the head */

/* The device has no channel left. */
static bool alone(void)
{
    for (unsigned i = 0; i < 300 && mock_channel(0); i++) {
        usleep(2000);
        bench_step(b, SECOND / 10);
    }
    return !mock_channel(0);
}

static void setup(void)
{
    char setting[120];
    const char *settings[] = { setting, NULL };

    snprintf(path, sizeof(path), "%s/v", test_tmp_dir());
    snprintf(setting, sizeof(setting), "path=%s", path);
    b = bench_empty();
    bench_vm(b)->deterministic = false;
    CHECK(bench_try_add(b, &vmbus_mock_desc, "vmbus", NULL, NULL));
    mock_add(b, "hvsock", settings);
    bench_power_on(b);
    bench_start(b);
}

static void settle(void)
{
    program_settle(b);
}

static int program(const char *line)
{
    return program_new(b, path, line);
}

static const char *said(int fd)
{
    return program_said(b, fd);
}

static bool silent(int fd)
{
    settle();
    return !program_has_something(fd);
}

static bool take(struct mock_channel *ch)
{
    settle();
    GBytes *bytes = mock_take(b, ch);

    if (!bytes)
        return false;
    gsize n = g_bytes_get_size(bytes);
    memcpy(got, g_bytes_get_data(bytes, NULL), n);
    g_bytes_unref(bytes);
    CHECK_EQ(wire_u32(got), 1);
    got_bytes = wire_u32(got + 4);
    CHECK_EQ(got_bytes, n - 8);
    return true;
}

static void expect(struct mock_channel *ch, const char *text)
{
    bool found = take(ch);

    for (unsigned i = 0; i < 300 && !found; i++)
        found = take(ch);
    CHECK(found);
    CHECK_EQ(got_bytes, strlen(text));
    CHECK_MEM_EQ(got + 8, text, got_bytes);
}

static int32_t put(struct mock_channel *ch, const void *data, uint32_t bytes)
{
    static uint8_t m[20008];

    pipe_head(m, bytes);
    memcpy(m + 8, data, bytes);
    return mock_put(b, ch, m, 8 + bytes);
}

static struct bp_guid guid(uint32_t port)
{
    struct bp_guid g = { { 0, 0, 0, 0, 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58, 0x64,
                           0x00, 0x6a, 0x79, 0x86, 0xd3 } };

    wire_put32(g.b, port);
    return g;
}

static struct mock_channel *offered(void)
{
    for (unsigned i = 0; i < 300 && !mock_channel(0); i++)
        settle();
    return mock_channel(0);
}

/* A program that has reached port 77 of the guest. */
static int joined(struct mock_channel **ch)
{
    int fd = program("CONNECT 77\n");

    *ch = offered();
    CHECK(*ch != NULL);
    CHECK(silent(fd));
    CHECK(mock_open(b, *ch));
    CHECK_STR_EQ(said(fd), "OK 77\n");
    return fd;
}

TEST(a_program_reaches_a_port_of_the_guest)
{
    struct mock_channel *ch;
    struct bp_guid service = guid(77);

    setup();
    int fd = joined(&ch);
    CHECK_EQ(ch->offer.flags, 0x2011);
    CHECK_EQ(ch->offer.user[0], 0);
    CHECK_EQ(ch->offer.user[4], 1);
    CHECK_MEM_EQ(ch->offer.type.b, service.b, 16);
    CHECK_MEM_EQ(ch->offer.instance.b + 4, service.b + 4, 12);
    CHECK_EQ(write(fd, "hello", 5), 5);
    expect(ch, "hello");
    CHECK_EQ(put(ch, "world", 5), 0);
    CHECK_STR_EQ(said(fd), "world");
    close(fd);
    bench_destroy(b);
    CHECK_EQ(access(path, F_OK), -1);
}

TEST(what_follows_the_line_is_the_guests)
{
    setup();
    int fd = program("CONNECT 5\nearly");
    struct mock_channel *ch = offered();
    CHECK(mock_open(b, ch));
    expect(ch, "early");
    CHECK_STR_EQ(said(fd), "OK 5\n");
    bench_destroy(b);
    CHECK_STR_EQ(said(fd), "");
}

static const char *const bad_lines[] = {
    "CONNECT\n",
    "CONNECT x\n",
    "CONNECT 0\n",
    "CONNECT 4294967295\n",
    "CONNECT -1\n",
    "CONNECT 7 7\n",
    "connect 7\n",
    "LISTEN\n",
    "LISTEN 0\n",
    "LISTEN 7 7\n",
    "\n",
    "CONNECT 0000000000000000000000000000000000000000000000000000000000007\n",
};

TEST_P(bad_lines_end_it, bad_lines)
{
    setup();
    int fd = program(*row);
    CHECK_STR_EQ(said(fd), "");
    CHECK(alone());
    bench_destroy(b);
}

TEST(nobody_waits_for_ever)
{
    setup();
    int quiet = program("CONN"), fd = program("CONNECT 9\n");
    CHECK(offered() != NULL);
    bench_step(b, 5 * SECOND);
    CHECK(silent(fd));
    for (unsigned i = 0; i < 7; i++)
        bench_step(b, SECOND);
    CHECK_STR_EQ(said(fd), "");
    CHECK_STR_EQ(said(quiet), "");
    CHECK(alone());
    /* It may also lose its own patience. */
    fd = program("CONNECT 9\n");
    CHECK(offered() != NULL);
    close(fd);
    CHECK(alone());
    bench_destroy(b);
}

TEST(each_direction_ends_by_itself)
{
    struct mock_channel *ch;

    setup();
    /* The program first. */
    int fd = joined(&ch);
    CHECK_EQ(write(fd, "bye", 3), 3);
    shutdown(fd, SHUT_WR);
    expect(ch, "bye");
    expect(ch, "");
    CHECK(!take(ch));
    CHECK_EQ(put(ch, "more", 4), 0);
    CHECK_STR_EQ(said(fd), "more");
    CHECK_EQ(put(ch, "", 0), 0);
    CHECK_STR_EQ(said(fd), "");
    CHECK(alone());
    close(fd);
    /* The guest first. */
    fd = joined(&ch);
    CHECK_EQ(put(ch, "bye", 3), 0);
    CHECK_EQ(put(ch, "", 0), 0);
    CHECK_LT(put(ch, "x", 1), 0);
    CHECK_STR_EQ(said(fd), "bye");
    CHECK_STR_EQ(said(fd), "");
    CHECK_EQ(write(fd, "more", 4), 4);
    expect(ch, "more");
    close(fd);
    expect(ch, "");
    CHECK(alone());
    bench_destroy(b);
}

TEST(a_program_that_closes_ends_it)
{
    struct mock_channel *ch;

    setup();
    int fd = joined(&ch);
    CHECK_EQ(write(fd, "last", 4), 4);
    close(fd);
    settle();
    /* What the guest has not read would be gone with the channel; Linux
     * leaves the packet that tells of the end. */
    bench_step(b, 10 * SECOND);
    settle();
    CHECK(mock_channel(0) == ch);
    expect(ch, "last");
    CHECK(alone());
    bench_destroy(b);
}

TEST(a_program_that_closes_is_heard_to_its_end)
{
    static char block[50000];
    struct mock_channel *ch;
    uint32_t received = 0;

    setup();
    int fd = joined(&ch);
    ch->room = 1;
    memset(block, 'x', sizeof(block));
    CHECK_EQ(write(fd, block, sizeof(block)), sizeof(block));
    close(fd);
    settle();
    /* Nobody hears that, and the guest has still to read. */
    CHECK_EQ(put(ch, "lost", 4), 0);
    settle();
    while (mock_channel(0) == ch && take(ch) && got_bytes) {
        received += got_bytes;
        CHECK_EQ(put(ch, "lost, too", 9), 0);
        mock_make_room(b, ch, 1);
    }
    CHECK_EQ(received, sizeof(block));
    CHECK(alone());
    bench_destroy(b);
}

TEST(a_guest_that_closes_ends_it)
{
    struct mock_channel *ch;

    setup();
    int fd = joined(&ch);
    CHECK_EQ(put(ch, "last", 4), 0);
    CHECK(mock_close(b, ch));
    CHECK_STR_EQ(said(fd), "last");
    CHECK_STR_EQ(said(fd), "");
    CHECK(alone());
    bench_destroy(b);
}

TEST(a_slow_program_stops_the_guest)
{
    static uint8_t block[16384];
    struct mock_channel *ch;
    uint32_t sent = 0, received = 0;

    setup();
    int fd = joined(&ch);
    while (!ch->paused) {
        memset(block, (int)(sent / sizeof(block)), sizeof(block));
        CHECK_EQ(put(ch, block, sizeof(block)), 0);
        sent += sizeof(block);
        CHECK_LT(sent, 8u << 20);
    }
    CHECK_EQ(put(ch, block, 1), -EAGAIN);
    /* The guest goes; what it has sent arrives. */
    CHECK(mock_close(b, ch));
    settle();
    CHECK(alone());
    for (;;) {
        ssize_t n = read(fd, got, sizeof(got));
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(got[i], (uint8_t)((received + i) / sizeof(block)));
        received += (uint32_t)n;
        for (unsigned i = 0; i < 300 && !program_has_something(fd); i++)
            settle();
    }
    CHECK_EQ(received, sent);
    close(fd);
    bench_destroy(b);
}

TEST(a_slow_guest_stops_the_program)
{
    struct mock_channel *ch;

    setup();
    int fd = joined(&ch);
    ch->room = 1;
    CHECK_EQ(write(fd, "one", 3), 3);
    settle();
    CHECK_EQ(write(fd, "two", 3), 3);
    settle();
    CHECK_EQ(write(fd, "three", 5), 5);
    shutdown(fd, SHUT_WR);
    expect(ch, "one");
    CHECK(!take(ch));
    mock_make_room(b, ch, 1);
    expect(ch, "two");
    CHECK(!take(ch));
    mock_make_room(b, ch, 1);
    expect(ch, "three");
    CHECK(!take(ch));
    mock_make_room(b, ch, 1);
    expect(ch, "");
    close(fd);
    bench_destroy(b);
}

TEST(a_guest_reaches_a_program)
{
    struct bp_guid endpoint = guid(1024), service = guid(99), other = guid(98);
    struct bp_guid strange = { { 1, 2, 3 } };
    struct sockaddr_un a;
    char name[120];

    setup();
    mock_connect(b, &endpoint, &service);
    CHECK_EQ(mock_connect_status(), 0xc0000236);
    snprintf(name, sizeof(name), "%s_99", path);
    int listener = program_socket(name, &a);
    CHECK_EQ(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(listener, 5), 0);
    mock_connect(b, &endpoint, &strange);
    CHECK_EQ(mock_connect_status(), 0xc0000236);
    mock_connect(b, &endpoint, &other);
    CHECK_EQ(mock_connect_status(), 0xc0000236);
    mock_connect(b, &endpoint, &service);
    CHECK_EQ(mock_connect_status(), 0);
    struct mock_channel *ch = mock_channel(0);
    CHECK_MEM_EQ(ch->offer.type.b, service.b, 16);
    CHECK_MEM_EQ(ch->offer.instance.b, endpoint.b, 16);
    CHECK_EQ(ch->offer.user[4], 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(mock_open(b, ch));
    CHECK_EQ(put(ch, "hi", 2), 0);
    CHECK_STR_EQ(said(fd), "hi");
    CHECK_EQ(write(fd, "ho", 2), 2);
    expect(ch, "ho");
    struct bench_call *c = bench_call(b, "query-hvsock", NULL);
    CHECK(strstr(bench_answer(c), "{\"port\":99,\"state\":\"joined\"}"));
    bench_call_free(c);
    bench_reset(b, BP_RESET_COLD);
    CHECK(alone());
    CHECK_STR_EQ(said(fd), "");
    bench_destroy(b);
}

TEST(a_program_waits_for_the_guest)
{
    struct bp_guid endpoint = guid(1024), service = guid(99);

    setup();
    int fd = program("LISTEN 99\nearly"), other = program("LISTEN 98\n");
    CHECK_STR_EQ(said(fd), "LISTENING 99\n");
    CHECK_STR_EQ(said(other), "LISTENING 98\n");
    bench_step(b, 30 * SECOND);
    bench_reset(b, BP_RESET_COLD);
    CHECK(silent(fd));
    mock_connect(b, &endpoint, &service);
    CHECK_EQ(mock_connect_status(), 0);
    struct mock_channel *ch = mock_channel(0);
    CHECK_MEM_EQ(ch->offer.type.b, service.b, 16);
    CHECK_MEM_EQ(ch->offer.instance.b, endpoint.b, 16);
    CHECK_EQ(ch->offer.user[4], 0);
    CHECK(silent(fd));
    CHECK(mock_open(b, ch));
    CHECK_STR_EQ(said(fd), "OK 99\n");
    expect(ch, "early");
    CHECK_EQ(put(ch, "hi", 2), 0);
    CHECK_STR_EQ(said(fd), "hi");
    /* It was for one. */
    mock_connect(b, &endpoint, &service);
    CHECK_EQ(mock_connect_status(), 0xc0000236);
    close(fd);
    close(other);
    expect(ch, "");
    CHECK(alone());
    service = guid(98);
    mock_connect(b, &endpoint, &service);
    CHECK_EQ(mock_connect_status(), 0xc0000236);
    bench_destroy(b);
}

static void connect_many(int *fd, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct sockaddr_un a;
        fd[i] = program_socket(path, &a);
        CHECK_EQ(connect(fd[i], (struct sockaddr *)&a, sizeof(a)), 0);
        if (i % 16 == 0) /* not more than wait in the queue */
            settle();
    }
    settle();
}

static void close_many(const int *fd, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fd[i]);
}

TEST(many_at_once)
{
    int fd[130];

    setup();
    connect_many(fd, 130);
    CHECK(silent(fd[127]));
    CHECK_STR_EQ(said(fd[128]), "");
    for (unsigned i = 0; i < 60; i++)
        CHECK_EQ(write(fd[i], "CONNECT 1\n", 10), 10);
    for (unsigned i = 0; i < 300 && !mock_channel(59); i++)
        settle();
    for (unsigned i = 0; i < 60; i++)
        CHECK(mock_open(b, mock_channel(i)));
    for (unsigned i = 0; i < 60; i++)
        CHECK_STR_EQ(said(fd[i]), "OK 1\n");
    close_many(fd, 130);
    CHECK(alone());
    bench_destroy(b);
}

TEST(one_that_is_over_makes_room)
{
    struct mock_channel *ch;
    int fd[128];

    setup();
    int first = joined(&ch);
    CHECK_EQ(write(first, "never read", 10), 10);
    close(first);
    settle();
    connect_many(fd, 127);
    CHECK(mock_channel(0) == ch);
    connect_many(fd + 127, 1);
    CHECK(!mock_channel(0));
    CHECK(silent(fd[127]));
    close_many(fd, 128);
    bench_destroy(b);
}

static const struct {
    uint32_t type, size, bytes;
} strange[] = {
    { 1, 5, 4 },
    { 2, 4, 4 },
    { 1, 0xffffffff, 4 },
    { 1, 16385, 16385 },
};

TEST_P(strange_packets, strange)
{
    static uint8_t m[20000];
    struct mock_channel *ch;

    setup();
    int fd = joined(&ch);
    wire_put32(m, row->type);
    wire_put32(m + 4, row->size);
    mock_put(b, ch, m, row->bytes == 4 ? 8 : 8 + row->bytes);
    CHECK_EQ(put(ch, "ok", 2), 0);
    CHECK_STR_EQ(said(fd), "ok");
    bench_destroy(b);
}
