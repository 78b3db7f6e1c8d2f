/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams: nothing is lost, nobody waits, the terminal is restored. */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "char/backends.h"
#include "char/stream.h"
#include "lib/unix_socket.h"
#include "sched/lane.h"

/* A device that takes `appetite` bytes at a time, and sends a text again and
 * again as long as it is taken. */
struct device {
    struct lanes *lanes;
    struct lane *lane;
    struct char_port *port;
    uint32_t appetite;
    GByteArray *got;
    uint64_t to_send, sent;
    unsigned refusals, breaks;
};

static struct device dev;

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static uint32_t receive(void *ctx, const uint8_t *data, uint32_t n)
{
    CHECK(lane_held(dev.lane));
    n = MIN(n, dev.appetite);
    g_byte_array_append(dev.got, data, n);
    return n;
}

static void send_more(void *ctx)
{
    uint8_t chunk[64];
    uint32_t n = 1, taken = 1;

    while (dev.sent < dev.to_send && n == taken) {
        n = (uint32_t)MIN(sizeof chunk, dev.to_send - dev.sent);
        for (uint32_t i = 0; i < n; i++)
            chunk[i] = pattern(dev.sent + i);
        taken = char_port_write(dev.port, chunk, n);
        CHECK_LE(taken, n);
        dev.sent += taken;
        dev.refusals += taken < n;
    }
}

static void on_break(void *ctx)
{
    dev.breaks++;
}

static const struct bp_char_events events = {
    .size = sizeof events,
    .receive = receive,
    .writable = send_more,
    .break_ = on_break,
};

static void open_port(const char *spec)
{
    GError *error = NULL;

    dev.lanes = lanes_create(2);
    dev.lane = lane_create(dev.lanes, "uart", LANE_DEVICE);
    dev.port = char_port_create("serial0");
    dev.appetite = UINT32_MAX;
    dev.got = g_byte_array_new();
    if (!char_port_open(dev.port, spec, &error))
        FAIL("%s", error->message);
    char_port_attach(dev.port, dev.lane);
    char_port_listen(dev.port, &events, &dev);
}

static void close_port(void)
{
    char_port_attach(dev.port, NULL);
    char_port_destroy(dev.port);
    lane_destroy(dev.lane);
    lanes_destroy(dev.lanes);
    g_byte_array_unref(dev.got);
}

static void start_sending(uint64_t bytes)
{
    lane_enter(dev.lane);
    dev.sent = 0;
    dev.to_send = bytes;
    send_more(NULL);
    lane_leave(dev.lane);
}

static uint32_t got_bytes(void)
{
    uint32_t n;

    lane_enter(dev.lane);
    n = dev.got->len;
    lane_leave(dev.lane);
    return n;
}

static uint64_t sent_bytes(void)
{
    uint64_t n;

    lane_enter(dev.lane);
    n = dev.sent;
    lane_leave(dev.lane);
    return n;
}

static void set_appetite(uint32_t bytes)
{
    lane_enter(dev.lane);
    dev.appetite = bytes;
    lane_leave(dev.lane);
}

static void await_got(uint32_t bytes)
{
    for (unsigned i = 0; i < 500 && got_bytes() < bytes; i++)
        usleep(10000);
    CHECK_EQ(got_bytes(), bytes);
}

static char *socket_spec(void)
{
    static char spec[512];

    snprintf(spec, sizeof spec, "socket:%s/serial", test_tmp_dir());
    return spec;
}

static int connect_client(void)
{
    GError *error = NULL;
    int fd = unix_socket_connect(socket_spec() + strlen("socket:"), SOCK_STREAM,
                                 &error);

    if (fd < 0)
        FAIL("%s", error->message);
    return fd;
}

/* Until the server has it, and not only the kernel. */
static int connect_served(void)
{
    uint32_t before = got_bytes();
    int fd = connect_client();

    CHECK_EQ(write(fd, "!", 1), 1);
    await_got(before + 1);
    return fd;
}

static void read_pattern(int fd, uint64_t from, uint64_t bytes)
{
    uint8_t data[1000];
    ssize_t n;

    while (bytes) {
        n = read(fd, data, MIN(sizeof data, bytes));
        CHECK_GT(n, 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(data[i], pattern(from + (uint64_t)i));
        from += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
}

/* --- socket --------------------------------------------------------------*/

TEST(slow_client_loses_nothing_and_the_device_waits)
{
    enum { MUCH = 3 << 20 };
    int fd;

    open_port(socket_spec());
    fd = connect_served();
    start_sending(MUCH);
    CHECK_LT(sent_bytes(), MUCH);
    usleep(100000);
    read_pattern(fd, 0, MUCH);
    CHECK_EQ(sent_bytes(), MUCH);
    close(fd);
    close_port();
}

TEST(slow_device_loses_nothing_and_the_client_waits)
{
    enum { MUCH = 200000 };
    static uint8_t data[MUCH];
    size_t sent = 0;
    ssize_t n;
    int fd;

    for (unsigned i = 0; i < MUCH; i++)
        data[i] = pattern(i);
    open_port(socket_spec());
    set_appetite(0);
    fd = connect_client();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < 50 && sent < MUCH; i++, usleep(2000)) {
        n = write(fd, data + sent, MUCH - sent);
        sent += n > 0 ? (size_t)n : 0;
    }
    CHECK_EQ(got_bytes(), 0);
    set_appetite(13);
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (got_bytes() < MUCH && g_get_monotonic_time() < until) {
        lane_enter(dev.lane);
        char_port_ready(dev.port);
        lane_leave(dev.lane);
        n = write(fd, data + sent, MUCH - sent);
        sent += n > 0 ? (size_t)n : 0;
        lanes_drain(dev.lanes);
    }
    await_got(MUCH);
    lane_enter(dev.lane);
    CHECK_MEM_EQ(dev.got->data, data, MUCH);
    lane_leave(dev.lane);
    close(fd);
    close_port();
}

TEST(output_without_a_client_is_kept_and_never_waits)
{
    enum { MUCH = STREAM_BUFFER + 10000 };
    int fd;

    open_port(socket_spec());
    start_sending(MUCH);
    CHECK_EQ(dev.refusals, 0);
    CHECK_EQ(sent_bytes(), MUCH);
    fd = connect_client();
    read_pattern(fd, MUCH - STREAM_BUFFER, STREAM_BUFFER);
    close(fd);
    close_port();
}

TEST(clients_come_and_go)
{
    int fd, next;
    char c;

    open_port(socket_spec());
    for (unsigned i = 0; i < 20; i++) {
        fd = connect_client();
        CHECK_EQ(write(fd, "x", 1), 1);
        await_got(i + 1);
        start_sending(100);
        read_pattern(fd, 0, 100);
        close(fd);
    }
    /* The next one in the queue is served when the first one goes. */
    fd = connect_client();
    next = connect_client();
    CHECK_EQ(write(next, "y", 1), 1);
    CHECK_EQ(write(fd, "x", 1), 1);
    await_got(21);
    close(fd);
    await_got(22);
    lane_enter(dev.lane);
    CHECK_EQ(dev.got->data[21], 'y');
    lane_leave(dev.lane);
    close_port();
    CHECK_EQ(read(next, &c, 1), 0);
    close(next);
    CHECK_NE(access(socket_spec() + strlen("socket:"), F_OK), 0);
}

TEST(client_that_dies_in_the_middle_holds_up_nobody)
{
    int fd;

    open_port(socket_spec());
    fd = connect_served();
    start_sending(1 << 20);
    CHECK_LT(sent_bytes(), 1 << 20);
    close(fd);
    for (unsigned i = 0; i < 500; i++) {
        if (sent_bytes() == 1 << 20)
            break;
        usleep(10000);
    }
    CHECK_EQ(sent_bytes(), 1 << 20);
    close_port();
}

static void *read_later(void *fd)
{
    usleep(200000);
    read_pattern(*(int *)fd, 0, 50000);
    return NULL;
}

TEST(closing_writes_what_is_left)
{
    pthread_t reader;
    int fd;

    open_port(socket_spec());
    fd = connect_served();
    start_sending(50000);
    CHECK_EQ(pthread_create(&reader, NULL, read_later, &fd), 0);
    close_port();
    pthread_join(reader, NULL);
    close(fd);
}

TEST(reader_that_sleeps_delays_the_end_by_a_second_at_most)
{
    int64_t start = g_get_monotonic_time();
    int fd;

    open_port(socket_spec());
    fd = connect_served();
    start_sending(1 << 20);
    close_port();
    CHECK_LT(g_get_monotonic_time() - start, 2500000);
    close(fd);
}

static void check_refused(const char *spec, const char *part)
{
    struct char_port *p = char_port_create("serial1");
    GError *error = NULL;

    CHECK(!char_port_open(p, spec, &error));
    if (!strstr(error->message, part))
        FAIL("'%s' does not say '%s'", error->message, part);
    g_error_free(error);
    char_port_destroy(p);
}

TEST(socket_in_use_and_other_files_are_not_replaced)
{
    char spec[600], longer[400];
    struct stat st;
    FILE *f;

    open_port(socket_spec());
    CHECK_EQ(stat(socket_spec() + strlen("socket:"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    check_refused(socket_spec(), "in use by another process");
    close_port();
    snprintf(spec, sizeof spec, "socket:%s/file", test_tmp_dir());
    f = fopen(spec + strlen("socket:"), "w");
    fclose(f);
    check_refused(spec, "exists and is not a socket");
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    snprintf(spec, sizeof spec, "socket:/tmp/%s", longer);
    check_refused(spec, "path of more than");
    check_refused("socket:/nonexistent/dir/s", "cannot be made");
    check_refused("socket:", "stdio, socket:PATH");
    check_refused("telepathy", "stdio, socket:PATH");
}

TEST(socket_left_by_a_dead_process_is_replaced)
{
    GError *error = NULL;
    int fd = unix_socket_listen(socket_spec() + strlen("socket:"), SOCK_STREAM,
                                &error);

    CHECK_GE(fd, 0);
    close(fd);
    open_port(socket_spec());
    close_port();
}

/* --- file ----------------------------------------------------------------*/

TEST(file_gets_all_output)
{
    enum { MUCH = 1 << 20 };
    char spec[512];
    int fd;

    snprintf(spec, sizeof spec, "file:%s/log", test_tmp_dir());
    open_port(spec);
    start_sending(MUCH);
    for (unsigned i = 0; i < 500 && sent_bytes() < MUCH; i++)
        usleep(10000);
    close_port();
    fd = open(spec + strlen("file:"), O_RDONLY);
    read_pattern(fd, 0, MUCH);
    close(fd);
    check_refused("file:/nonexistent/log", "No such file");
}

TEST(line_that_leads_nowhere_takes_all)
{
    open_port("none");
    start_sending(1 << 20);
    CHECK_EQ(sent_bytes(), 1 << 20);
    close_port();
}

/* --- terminal ------------------------------------------------------------*/

static const struct {
    const char *in, *out;
    enum escape_action action;
    const char *rest;
} escapes[] = {
    { "abc", "abc", ESCAPE_NONE, "" },
    { "a\001xbc", "a", ESCAPE_QUIT, "bc" },
    { "\001h", "", ESCAPE_HELP, "" },
    { "\001?1", "", ESCAPE_HELP, "1" },
    { "\001\001\001a.", "\001\001.", ESCAPE_NONE, "" },
    { "\001b\001x", "", ESCAPE_BREAK, "\001x" },
    { "ab\001", "ab", ESCAPE_NONE, "" },
};

TEST_P(escape_key_is_taken_out, escapes)
{
    uint8_t data[32], *rest = NULL;
    uint32_t n = (uint32_t)strlen(row->in), rest_n = 0;
    struct escape e = { 0 };

    memcpy(data, row->in, n);
    CHECK_EQ(escape_filter(&e, data, &n, &rest, &rest_n), row->action);
    CHECK_EQ(n, strlen(row->out));
    CHECK_MEM_EQ(data, row->out, n);
    CHECK_EQ(rest_n, strlen(row->rest));
    if (rest_n)
        CHECK_MEM_EQ(rest, row->rest, rest_n);
}

TEST(escape_key_may_come_alone)
{
    uint8_t a[] = "\001", b[] = "x", *rest = NULL;
    uint32_t n = 1, rest_n = 0;
    struct escape e = { 0 };

    CHECK_EQ(escape_filter(&e, a, &n, &rest, &rest_n), ESCAPE_NONE);
    n = 1;
    CHECK_EQ(escape_filter(&e, b, &n, &rest, &rest_n), ESCAPE_QUIT);
}

static void quit_child(void *opaque)
{
    _exit(42);
}

/* A process on a terminal of its own whose port is on it. */
static pid_t start_on_terminal(int *master, void (*quit)(void *))
{
    pid_t pid = forkpty(master, NULL, NULL, NULL);

    CHECK_GE(pid, 0);
    if (pid == 0) {
        if (quit)
            stdio_on_quit(quit, NULL);
        open_port("stdio");
        start_sending(0);
        char_port_write(dev.port, (const uint8_t *)"ready", 5);
        for (;;)
            pause();
    }
    return pid;
}

static void expect(int fd, const char *text)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char seen[4096] = "";
    size_t len = 0;
    ssize_t n;

    while (!strstr(seen, text)) {
        CHECK_GT(poll(&p, 1, 5000), 0);
        n = read(fd, seen + len, sizeof seen - 1 - len);
        CHECK_GT(n, 0);
        len += (size_t)n;
        seen[len] = '\0';
    }
}

static bool is_raw(int master)
{
    struct termios t;

    CHECK_EQ(tcgetattr(master, &t), 0);
    return !(t.c_lflag & (ECHO | ICANON | ISIG));
}

static int status_of(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        CHECK_EQ(errno, EINTR);
    return status;
}

TEST(terminal_is_raw_and_ctrl_a_x_ends)
{
    int master, status;
    pid_t pid = start_on_terminal(&master, quit_child);

    expect(master, "ready");
    CHECK(is_raw(master));
    CHECK_EQ(write(master, "\001h", 2), 2);
    expect(master, "Ctrl-A x");
    CHECK_EQ(write(master, "hello\003\001x", 8), 8);
    status = status_of(pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 42);
    close(master);
}

static const struct {
    int sig;
} fatal[] = {
    { SIGTERM }, { SIGINT }, { SIGHUP }, { SIGABRT },
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    { SIGSEGV },
#endif
};

TEST_P(terminal_is_restored_when_a_signal_ends_it, fatal)
{
    int master, slave, status;
    pid_t pid = start_on_terminal(&master, NULL);

    expect(master, "ready");
    CHECK(is_raw(master));
    /* Or the modes go with the last process that has it open. */
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK_GE(slave, 0);
    CHECK_EQ(kill(pid, row->sig), 0);
    status = status_of(pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), row->sig);
    CHECK(!is_raw(slave));
    close(slave);
    close(master);
}

TEST(second_port_cannot_have_the_terminal)
{
    int null = open("/dev/null", O_RDWR);

    CHECK_EQ(dup2(null, STDIN_FILENO), STDIN_FILENO);
    open_port("stdio");
    check_refused("stdio", "which 'serial0' has");
    close_port();
    close(null);
}
