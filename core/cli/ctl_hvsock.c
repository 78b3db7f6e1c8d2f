/* SPDX-License-Identifier: Apache-2.0 */
/* backplane ctl hvsock: a pipe to a port of the guest. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ctl.h"
#include "lib/unix_socket.h"
#include "vm/error.h"

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

/* False: nothing comes any more. */
static bool pass(int from, int to)
{
    char buffer[16384];
    ssize_t n = read(from, buffer, sizeof(buffer));

    if (n < 0 && errno == EINTR)
        return true;
    return n > 0 && write_all(to, buffer, (size_t)n);
}

/* Each side may end for itself; the guest's end is the end. */
static void join(int fd)
{
    struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                           { .fd = fd, .events = POLLIN } };

    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return;
        if (p[1].revents && !pass(fd, STDOUT_FILENO))
            return;
        if (p[0].revents && !pass(STDIN_FILENO, fd)) {
            shutdown(fd, SHUT_WR);
            p[0].fd = -1;
        }
    }
}

/* The answer to CONNECT, a byte at a time: what follows is the guest's. */
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

static int connect_to(const char *path, const char *port, GError **error)
{
    int fd = unix_socket_connect(path, SOCK_STREAM, error);
    char line[64];

    if (fd < 0)
        return -1;
    g_snprintf(line, sizeof(line), "CONNECT %s\n", port);
    if (write_all(fd, line, strlen(line)) &&
        read_line(fd, line, sizeof(line)) && g_str_has_prefix(line, "OK "))
        return fd;
    vm_fail(error, VM_ERROR_RUN, "nobody in the guest listens on port %s",
            port);
    close(fd);
    return -1;
}

int ctl_hvsock(struct ctl_link *l, int argc, char **argv)
{
    GError *error = NULL;
    guint64 port;
    int fd = -1;

    if (argc != 1 ||
        !g_ascii_string_to_unsigned(argv[0], 10, 1, 0xfffffffe, &port, NULL)) {
        cli_complain("hvsock needs the number of a port");
        return STATUS_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    JsonNode *answer = ctl_link_ask(l, "query-hvsock", NULL, &error);
    if (answer && JSON_NODE_HOLDS_OBJECT(answer))
        fd = connect_to(json_object_get_string_member_with_default(
                            json_node_get_object(answer), "path", ""),
                        argv[0], &error);
    g_clear_pointer(&answer, json_node_unref);
    if (fd >= 0) {
        join(fd);
        close(fd);
        return STATUS_OK;
    }
    cli_complain("%s", error ? error->message : "a strange answer");
    g_clear_error(&error);
    return STATUS_FAILED;
}
