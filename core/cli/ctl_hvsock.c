/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backplane ctl hvsock: a pipe to a port of the guest.
 *
 * With --keep the pipe outlives the machine's process: what was written last
 * is remembered, as much as can be under way, and goes out again to the
 * process in which the machine is restored (plugins/synthetic/hvsock.c has the
 * protocol).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ctl.h"
#include "lib/unix_socket.h"
#include "vm/error.h"

#define CHUNK 16384u
#define TOKEN 24u

struct pipe {
    const char *path;
    unsigned keep; /* seconds to wait for the machine; 0: it is not kept */
    bool listens;
    char token[TOKEN + 1];
    int fd;
    /* The last `size` bytes of standard input, byte n at n % size. */
    uint8_t *memory;
    uint64_t size;
    uint64_t read, sent, received;
    bool input_ends, end_sent;
};

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* --- both directions ------------------------------------------------------*/

static void read_input(struct pipe *p)
{
    uint64_t at = p->read % p->size;
    ssize_t n = read(STDIN_FILENO, p->memory + at, MIN(CHUNK, p->size - at));

    if (n > 0)
        p->read += (uint64_t)n;
    else if (n == 0 || errno != EINTR)
        p->input_ends = true;
}

/* A guest that has gone is noticed where its data end. */
static void send_input(struct pipe *p)
{
    uint64_t at = p->sent % p->size;
    uint64_t bytes = MIN(p->read - p->sent, p->size - at);

    if (bytes) {
        ssize_t n =
            send(p->fd, p->memory + at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            p->sent += (uint64_t)n;
    }
    if (p->input_ends && p->sent == p->read && !p->end_sent) {
        shutdown(p->fd, SHUT_WR);
        p->end_sent = true;
    }
}

/* False: nothing comes any more, or nobody takes it (*broken). */
static bool pass_output(struct pipe *p, bool *broken)
{
    char buffer[CHUNK];
    ssize_t n = recv(p->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0)
        return false;
    p->received += (uint64_t)n;
    *broken = !write_all(STDOUT_FILENO, buffer, (size_t)n);
    return !*broken;
}

/* Each side may end for itself; the guest's end is the end.  False: standard
 * output is broken. */
static bool join(struct pipe *p)
{
    bool broken = false;

    for (;;) {
        bool waits = p->sent < p->read;
        struct pollfd f[2] = {
            { .fd = waits || p->input_ends ? -1 : STDIN_FILENO,
              .events = POLLIN },
            { .fd = p->fd, .events = (short)(POLLIN | (waits ? POLLOUT : 0)) },
        };
        if (poll(f, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return true;
        }
        if (f[0].revents)
            read_input(p);
        if (f[1].revents & ~POLLOUT && !pass_output(p, &broken))
            return !broken;
        send_input(p);
    }
}

/* --- greetings ------------------------------------------------------------*/

/* The answer, a byte at a time: what follows is the guest's. */
static bool read_line(int fd, char *line, size_t room)
{
    size_t n = 0;

    while (n + 1 < room && read(fd, &line[n], 1) == 1) {
        if (line[n] == '\n') {
            line[n] = 0;
            return true;
        }
        n++;
    }
    return false;
}

/* A guest that is to connect may take its time. */
static bool greet(struct pipe *p, const char *port)
{
    char line[64];

    g_snprintf(line, sizeof(line), "%s %s%s\n",
               p->listens ? "LISTEN" : "CONNECT", port, p->keep ? " KEEP" : "");
    if (!write_all(p->fd, line, strlen(line)) ||
        (p->listens && (!read_line(p->fd, line, sizeof(line)) ||
                        !g_str_has_prefix(line, "LISTENING "))))
        return false;
    return read_line(p->fd, line, sizeof(line)) &&
           g_str_has_prefix(line, "OK ") &&
           (!p->keep || sscanf(line, "OK %*u %24[0-9a-f]", p->token) == 1);
}

static bool connect_to(struct pipe *p, const char *port, GError **error)
{
    p->fd = unix_socket_connect(p->path, SOCK_STREAM, error);
    if (p->fd < 0)
        return false;
    if (greet(p, port))
        return true;
    vm_fail(error, VM_ERROR_RUN,
            p->listens ? "the machine has gone before its guest connected to "
                         "port %s"
                       : "nobody in the guest listens on port %s",
            port);
    close(p->fd);
    return false;
}

/* More than can be under way: what the socket holds, and what the machine has
 * read but the guest has not. */
static void make_memory(struct pipe *p)
{
    int held = 0;
    socklen_t size = sizeof(held);

    getsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &held, &size);
    p->size = (uint64_t)MAX(held, 0) + 8 * CHUNK;
    p->memory = g_malloc(p->size);
}

/* --- back to a machine that was restored ----------------------------------*/

enum outcome { AGAIN, GOES_ON, HAS_ENDED, UNKNOWN };

static enum outcome take_answer(struct pipe *p, const char *line)
{
    unsigned long long consumed;
    char token[TOKEN + 1];

    if (strcmp(line, "ENDED") == 0)
        return HAS_ENDED;
    if (sscanf(line, "OK %*u %20llu %24[0-9a-f]", &consumed, token) != 2 ||
        strlen(token) != TOKEN || consumed > p->sent ||
        p->read - consumed > p->size)
        return UNKNOWN;
    g_strlcpy(p->token, token, sizeof(p->token));
    p->sent = consumed;
    p->end_sent = false;
    return GOES_ON;
}

/* A machine that is paused answers when it runs. */
static enum outcome ask_once(struct pipe *p, gint64 until)
{
    gint64 left = MAX(until - g_get_monotonic_time(), 1000);
    struct timeval patience = { left / 1000000, left % 1000000 }, none = { 0 };
    enum outcome outcome = AGAIN;
    char line[96];

    p->fd = unix_socket_connect(p->path, SOCK_STREAM, NULL);
    if (p->fd < 0)
        return AGAIN;
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    g_snprintf(line, sizeof(line), "RESUME %s %" G_GUINT64_FORMAT "\n",
               p->token, p->received);
    if (write_all(p->fd, line, strlen(line)) &&
        read_line(p->fd, line, sizeof(line)))
        outcome = take_answer(p, line);
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
    if (outcome != GOES_ON)
        close(p->fd);
    return outcome;
}

static enum outcome come_back(struct pipe *p)
{
    gint64 until = g_get_monotonic_time() + p->keep * G_USEC_PER_SEC;
    enum outcome outcome;

    close(p->fd);
    while ((outcome = ask_once(p, until)) == AGAIN &&
           g_get_monotonic_time() < until)
        g_usleep(100000);
    return outcome;
}

/* Until the guest ends it. */
static int run(struct pipe *p)
{
    while (join(p)) {
        if (!p->keep) {
            close(p->fd);
            return STATUS_OK;
        }
        switch (come_back(p)) {
        case GOES_ON: continue;
        case HAS_ENDED: return STATUS_OK;
        case UNKNOWN:
            cli_complain("the machine does not know this connection");
            return STATUS_FAILED;
        case AGAIN: cli_complain("the machine has gone"); return STATUS_FAILED;
        }
    }
    close(p->fd);
    return STATUS_OK;
}

/* --- the command ----------------------------------------------------------*/

/* The port; NULL after a complaint. */
static const char *parse(int argc, char **argv, struct pipe *p)
{
    guint64 value;

    for (; argc > 1; argc--, argv++) {
        if (strcmp(argv[0], "--listen") == 0) {
            p->listens = true;
        } else if (strcmp(argv[0], "--keep") == 0 &&
                   g_ascii_string_to_unsigned(argv[1], 10, 1, 86400, &value,
                                              NULL)) {
            p->keep = (unsigned)value;
            argc--;
            argv++;
        } else {
            cli_complain("hvsock does not take '%s'", argv[0]);
            return NULL;
        }
    }
    if (argc != 1 ||
        !g_ascii_string_to_unsigned(argv[0], 10, 1, 0xfffffffe, &value, NULL)) {
        cli_complain("hvsock needs the number of a port");
        return NULL;
    }
    return argv[0];
}

int ctl_hvsock(struct ctl_link *l, int argc, char **argv)
{
    struct pipe p = { .fd = -1 };
    const char *port = parse(argc, argv, &p);
    int status = STATUS_FAILED;
    GError *error = NULL;

    if (!port)
        return STATUS_USAGE;
    signal(SIGPIPE, SIG_IGN);
    JsonNode *answer = ctl_link_ask(l, "query-hvsock", NULL, &error);
    if (answer && JSON_NODE_HOLDS_OBJECT(answer))
        p.path = json_object_get_string_member_with_default(
            json_node_get_object(answer), "path", "");
    else if (!error)
        vm_fail(&error, VM_ERROR_RUN, "a strange answer");
    if (!error && connect_to(&p, port, &error)) {
        make_memory(&p);
        status = run(&p);
    }
    if (error)
        cli_complain("%s", error->message);
    g_free(p.memory);
    g_clear_pointer(&answer, json_node_unref);
    g_clear_error(&error);
    return status;
}
