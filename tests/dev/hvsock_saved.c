/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of hvsock across a restore; the guest is the test, on the real
 * bus. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugins/synthetic/wire.h"
#include "tests/dev/hvsock_program.h"
#include "tests/lib/saved_section.h"
#include "tests/lib/test.h"
#include "tests/lib/vmbus_guest.h"
#include "vm/bench.h"
#include "vm/vm.h"

#define SECOND 1000000000ull

static struct bench *b;
static struct vmbus_guest *g;
static char path[100];
static char token[32];

static void setup(void)
{
    char setting[120];

    snprintf(path, sizeof(path), "%s/v", test_tmp_dir());
    snprintf(setting, sizeof(setting), "path=%s", path);
    b = vg_bench(1);
    bench_vm(b)->deterministic = false;
    bench_add_device(b, "hvsock", "hvsock", setting, NULL);
    g = vg_connect(b, VG_5_3);
}

static void teardown(void)
{
    vg_end(g);
    bench_destroy(b);
}

static void settle(void)
{
    program_settle(b);
    vg_poll(g);
}

static int program(const char *line)
{
    int fd = program_new(b, path, line);

    settle();
    return fd;
}

static const char *said(int fd)
{
    return program_said(b, fd);
}

static uint32_t offers(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->offers; i++)
        n += g->offer[i].flags != 0xffff;
    return n;
}

/* A program that is joined with port 77 and wants to be kept. */
static int joined(struct vg_channel **ch)
{
    int fd = program("CONNECT 77 KEEP\n");
    uint32_t port;

    for (unsigned i = 0; i < 300 && !offers(); i++)
        settle();
    for (uint32_t i = 0; i < g->offers; i++) {
        if (g->offer[i].flags != 0xffff)
            *ch = vg_open(g, &g->offer[i], 4);
    }
    CHECK_EQ(sscanf(said(fd), "OK %u %24s", &port, token), 2);
    CHECK_EQ(port, 77);
    CHECK_EQ(strlen(token), 24);
    return fd;
}

static bool put(struct vg_channel *ch, const char *data, uint32_t bytes)
{
    static uint8_t m[16384 + 8];

    pipe_head(m, bytes);
    memcpy(m + 8, data, bytes);
    return vg_send(ch, 0, m, 8 + bytes, false);
}

static bool take(struct vg_channel *ch, struct vg_packet *p)
{
    for (unsigned i = 0; i < 300; i++) {
        if (vg_receive(ch, p))
            return true;
        settle();
    }
    return false;
}

static void expect(struct vg_channel *ch, const char *text)
{
    struct vg_packet p;

    CHECK(take(ch, &p));
    CHECK_EQ(wire_u32(p.data + 4), strlen(text));
    CHECK_MEM_EQ(p.data + 8, text, strlen(text));
}

static int resume(uint64_t received)
{
    char line[80];

    snprintf(line, sizeof(line), "RESUME %s %llu\n", token,
             (unsigned long long)received);
    return program(line);
}

/* One line: what follows is the guest's. */
static const char *line_of(int fd)
{
    static char text[100];
    size_t n = 0;

    while (n < sizeof(text) - 1 && read(fd, &text[n], 1) == 1) {
        if (text[n++] == '\n')
            break;
    }
    text[n] = 0;
    return text;
}

/* ... is taken, and the guest has so much of the program. */
static int resumed(uint64_t received, uint64_t consumed)
{
    int fd = resume(received);
    unsigned long long n;
    char text[32];

    CHECK_EQ(sscanf(line_of(fd), "OK 77 %llu %24s\n", &n, text), 2);
    CHECK_EQ(n, consumed);
    CHECK_EQ(strlen(text), 24);
    CHECK(strcmp(text, token) != 0);
    g_strlcpy(token, text, sizeof(token));
    return fd;
}

TEST(a_kept_connection_goes_on)
{
    struct vg_channel *ch;

    setup();
    int fd = joined(&ch);
    CHECK_EQ(write(fd, "hello", 5), 5);
    expect(ch, "hello");
    CHECK(put(ch, "world!", 6));
    CHECK_STR_EQ(said(fd), "world!");
    for (unsigned i = 0; i < 3; i++) {
        bench_save_load(b);
        CHECK_STR_EQ(said(fd), "");
        close(fd);
        fd = resumed(6 + i * 4, 5 + i * 3);
        CHECK_EQ(write(fd, "one", 3), 3);
        expect(ch, "one");
        CHECK(put(ch, "more", 4));
        CHECK_STR_EQ(said(fd), "more");
    }
    CHECK_EQ(offers(), 1);
    /* Its end is an end. */
    shutdown(fd, SHUT_WR);
    expect(ch, "");
    CHECK(put(ch, "", 0));
    CHECK_STR_EQ(said(fd), "");
    close(fd);
    bench_step(b, 3 * SECOND);
    settle();
    CHECK(vg_is_rescinded(g, ch->offer.relid));
    fd = resume(18);
    CHECK_STR_EQ(said(fd), "ENDED\n");
    CHECK_STR_EQ(said(fd), "");
    teardown();
}

TEST(what_is_under_way_arrives_once)
{
    static char block[16384];
    struct vg_channel *ch;
    uint64_t sent = 0, received = 0, written = 0, consumed;
    struct vg_packet p;
    ssize_t n;

    setup();
    int fd = joined(&ch);
    /* Neither side takes anything until both are stuck. */
    memset(block, 'p', sizeof(block));
    while ((n = send(fd, block, sizeof(block), MSG_DONTWAIT)) > 0) {
        written += (uint64_t)n;
        settle();
    }
    memset(block, 'g', sizeof(block));
    while (put(ch, block, sizeof(block) / 4)) {
        sent += sizeof(block) / 4;
        bench_run(b);
    }
    bench_save_load(b);
    for (;;) {
        n = read(fd, block, sizeof(block));
        if (n <= 0)
            break;
        CHECK(block[0] == 'g' && block[n - 1] == 'g');
        received += (uint64_t)n;
    }
    close(fd);
    CHECK_LT(received, sent);
    fd = resume(received);
    unsigned long long count;
    CHECK_EQ(sscanf(line_of(fd), "OK 77 %llu %24s", &count, token), 2);
    consumed = count;
    CHECK_LT(consumed, written);
    for (uint64_t i = 0; i < written - consumed;) {
        char some[100];
        memset(some, 'P', sizeof(some));
        uint64_t want = MIN(sizeof(some), written - consumed - i);
        CHECK_EQ(write(fd, some, want), (ssize_t)want);
        i += want;
        if (i >= 20000)
            break;
    }
    while (received < sent) {
        if (!program_has_something(fd))
            settle();
        n = recv(fd, block, sizeof(block), MSG_DONTWAIT);
        CHECK(n > 0);
        received += (uint64_t)n;
    }
    CHECK_EQ(received, sent);
    /* The guest finds what it had, and the rest right behind it. */
    uint64_t found = 0;
    while (found < MIN(consumed + 20000, written) && take(ch, &p)) {
        uint32_t bytes = wire_u32(p.data + 4);
        for (uint32_t i = 0; i < bytes; i++, found++)
            CHECK_EQ(p.data[8 + i], found < consumed ? 'p' : 'P');
    }
    CHECK_EQ(found, MIN(consumed + 20000, written));
    teardown();
}

TEST(ends_are_kept)
{
    struct vg_channel *ch;

    setup();
    int fd = joined(&ch);
    shutdown(fd, SHUT_WR);
    expect(ch, "");
    bench_save_load(b);
    CHECK_STR_EQ(said(fd), "");
    close(fd);
    /* The guest ends too, before the program is back. */
    CHECK(put(ch, "last", 4));
    CHECK(put(ch, "", 0));
    settle();
    CHECK_EQ(offers(), 1);
    bench_save_load(b);
    fd = resumed(0, 0);
    CHECK_STR_EQ(said(fd), "last");
    CHECK_STR_EQ(said(fd), "");
    bench_step(b, 3 * SECOND);
    settle();
    CHECK_EQ(offers(), 0);
    close(fd);
    teardown();
}

TEST(the_guest_closes_while_the_program_is_away)
{
    struct vg_channel *ch;

    setup();
    int fd = joined(&ch);
    bench_save_load(b);
    close(fd);
    CHECK(put(ch, "last", 4));
    settle();
    vg_close(ch);
    settle();
    CHECK_EQ(offers(), 0);
    bench_save_load(b);
    fd = resumed(0, 0);
    CHECK_STR_EQ(said(fd), "last");
    CHECK_STR_EQ(said(fd), "");
    close(fd);
    teardown();
}

TEST(who_never_comes_back_is_not_waited_for)
{
    struct vg_channel *ch;

    setup();
    int fd = joined(&ch);
    bench_save_load(b);
    close(fd);
    for (unsigned i = 0; i < 55; i++)
        bench_step(b, SECOND);
    settle();
    CHECK_EQ(offers(), 1);
    for (unsigned i = 0; i < 8; i++)
        bench_step(b, SECOND);
    settle();
    CHECK_EQ(offers(), 0);
    fd = resume(0);
    CHECK_STR_EQ(said(fd), "UNKNOWN\n");
    close(fd);
    teardown();
}

TEST(strangers_are_turned_away)
{
    static const char *const bad[] = {
        "RESUME \n",
        "RESUME 1 1\n",
        "RESUME 0123456789abcdef01234567\n",
        "RESUME 0123456789abcdef01234567 \n",
        "RESUME 0123456789abcdef01234567 x\n",
        "RESUME 0123456789ABCDEF01234567 1\n",
        "RESUME 0123456789abcdef01234567 1 1\n",
        "RESUME 0123456789abcdef01234567 99999999999999999999\n",
        "CONNECT 77 KEEPS\n",
        "CONNECT 77KEEP\n",
        "CONNECT KEEP\n",
    };
    struct vg_channel *ch;

    setup();
    int fd = joined(&ch);
    CHECK(put(ch, "x", 1));
    CHECK_STR_EQ(said(fd), "x");
    /* It is not away. */
    int other = resume(1);
    CHECK_STR_EQ(said(other), "ENDED\n");
    close(other);
    bench_save_load(b);
    close(fd);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        other = program(bad[i]);
        CHECK_STR_EQ(said(other), "");
        close(other);
    }
    other = program("RESUME 0123456789abcdef01234567 1\n");
    CHECK_STR_EQ(said(other), "UNKNOWN\n");
    close(other);
    /* It has heard less, or more. */
    for (uint64_t n = 0; n <= 2; n += 2) {
        other = resume(n);
        CHECK_STR_EQ(said(other), "UNKNOWN\n");
        close(other);
    }
    fd = resumed(1, 0);
    close(fd);
    teardown();
}

TEST(others_end_with_a_restore)
{
    setup();
    int fd = program("CONNECT 77\n");

    for (unsigned i = 0; i < 300 && !offers(); i++)
        settle();
    struct vg_channel *ch = vg_open(g, &g->offer[0], 4);
    CHECK_STR_EQ(said(fd), "OK 77\n");
    bench_save_load(b);
    settle();
    CHECK_STR_EQ(said(fd), "");
    CHECK(vg_is_rescinded(g, ch->offer.relid));
    close(fd);
    teardown();
}

/* Each byte of what is saved may be anything. */
TEST(strange_states_are_refused_or_end)
{
    struct vg_channel *ch;
    size_t bytes;
    unsigned refused = 0, taken = 0;

    setup();
    int fd = joined(&ch);
    uint8_t *data = bench_save(b, &bytes);
    struct saved_section s = saved_section_of(data, bytes, "hvsock");
    CHECK_LT(s.length, 2000);
    for (size_t i = 0; i < s.length; i++) {
        static const uint8_t change[] = { 0xff, 0x01, 0x02, 0x80 };
        uint8_t old = s.content[i];
        for (unsigned k = 0; k < sizeof(change); k++) {
            s.content[i] = old ^ change[k];
            saved_section_seal(&s);
            if (!bench_try_load(b, data, bytes, NULL)) {
                refused++;
                continue;
            }
            taken++;
            bench_run(b);
            put(ch, "x", 1);
        }
        s.content[i] = old;
    }
    CHECK_GT(refused, 50);
    CHECK_GT(taken, 50);
    saved_section_seal(&s);
    CHECK(bench_try_load(b, data, bytes, NULL));
    g_free(data);
    close(fd);
    teardown();
}
