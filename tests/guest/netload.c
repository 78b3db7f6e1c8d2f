/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP load with a known content, for both ends of a test.
 *
 *   netload serve PORT                      until it is killed
 *   netload send ADDRESS PORT BYTES [check] to the server, which says OK
 *   netload recv ADDRESS PORT BYTES [check] from it
 *
 * The client prints "BYTES bytes SECONDS s OK|WRONG".  With `check` the bytes
 * are a pattern that the receiver compares; without, zeros that it counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (128u * 1024)

struct request {
    char what; /* S: the client sends; R: it receives */
    char check;
    char pad[6];
    uint64_t bytes;
};

static uint64_t buffer[CHUNK / 8];

static void fill(uint64_t at)
{
    for (uint64_t i = 0; i < CHUNK / 8; i++)
        buffer[i] = (at / 8 + i) * 0x9e3779b97f4a7c15u;
}

static bool send_all(int fd, uint64_t bytes, bool check)
{
    for (uint64_t at = 0; at < bytes;) {
        uint64_t in = at % CHUNK;
        if (check && !in)
            fill(at);
        uint64_t n = CHUNK - in;
        if (n > bytes - at)
            n = bytes - at;
        ssize_t done = send(fd, (char *)buffer + in, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += (uint64_t)done;
    }
    return true;
}

static bool is_right(const char *data, uint64_t at, uint64_t n)
{
    for (; n && at % 8; at++, n--) {
        uint64_t w = at / 8 * 0x9e3779b97f4a7c15u;
        if (*data++ != ((char *)&w)[at % 8])
            return false;
    }
    for (; n >= 8; at += 8, n -= 8, data += 8) {
        uint64_t w = at / 8 * 0x9e3779b97f4a7c15u;
        if (memcmp(data, &w, 8) != 0)
            return false;
    }
    uint64_t w = at / 8 * 0x9e3779b97f4a7c15u;
    return memcmp(data, &w, n) == 0;
}

static bool recv_all(int fd, uint64_t bytes, bool check)
{
    for (uint64_t at = 0; at < bytes;) {
        uint64_t want = bytes - at < CHUNK ? bytes - at : CHUNK;
        ssize_t n = recv(fd, buffer, want, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || (check && !is_right((char *)buffer, at, (uint64_t)n)))
            return false;
        at += (uint64_t)n;
    }
    return true;
}

static void serve_one(int fd)
{
    struct request r;
    char answer = 'W';

    if (recv(fd, &r, sizeof(r), MSG_WAITALL) != sizeof(r))
        return;
    if (r.what == 'R') {
        send_all(fd, r.bytes, r.check);
        recv(fd, &answer, 1, 0); /* it closes when it has all */
        return;
    }
    if (recv_all(fd, r.bytes, r.check))
        answer = 'O';
    send(fd, &answer, 1, MSG_NOSIGNAL);
}

/* The address as text; false: it is none. */
static bool address_of(const char *text, uint16_t port,
                       struct sockaddr_storage *a, socklen_t *n)
{
    struct sockaddr_in *four = (struct sockaddr_in *)a;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)a;

    memset(a, 0, sizeof(*a));
    if (strchr(text, ':')) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        *n = sizeof(*six);
        return inet_pton(AF_INET6, text, &six->sin6_addr) == 1;
    }
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    *n = sizeof(*four);
    return inet_pton(AF_INET, text, &four->sin_addr) == 1;
}

/* On all addresses of both kinds, if the host has both. */
static int listen_on(uint16_t *port)
{
    static const char *const any[] = { "::", "0.0.0.0" };
    struct sockaddr_storage a;
    socklen_t n;
    int on = 1;

    for (int i = 0; i < 2; i++) {
        address_of(any[i], *port, &a, &n);
        int fd = socket(a.ss_family, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 &&
            listen(fd, 64) == 0) {
            getsockname(fd, (struct sockaddr *)&a, &n);
            *port = ntohs(((struct sockaddr_in *)&a)->sin_port);
            return fd;
        }
        close(fd);
    }
    return -1;
}

static int serve(uint16_t port)
{
    int fd = listen_on(&port);

    if (fd < 0) {
        perror("netload");
        return 1;
    }
    printf("port %u\n", port);
    fflush(stdout);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client < 0)
            continue;
        if (fork() == 0) {
            close(fd);
            serve_one(client);
            _exit(0);
        }
        close(client);
    }
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int client(char **v, bool check)
{
    struct sockaddr_storage a;
    socklen_t n;
    struct request r = { .what = v[0][0] == 's' ? 'S' : 'R',
                         .check = check,
                         .bytes = strtoull(v[3], NULL, 0) };
    char answer = 'W';
    bool ok = address_of(v[1], (uint16_t)atoi(v[2]), &a, &n);
    int fd = ok ? socket(a.ss_family, SOCK_STREAM, 0) : -1;

    if (connect(fd, (struct sockaddr *)&a, n) < 0) {
        perror("netload");
        return 1;
    }
    double from = now();
    send(fd, &r, sizeof(r), MSG_NOSIGNAL);
    if (r.what == 'S') {
        ok = send_all(fd, r.bytes, check) && recv(fd, &answer, 1, 0) == 1 &&
             answer == 'O';
    } else {
        ok = recv_all(fd, r.bytes, check);
    }
    printf("%llu bytes %.3f s %s\n", (unsigned long long)r.bytes, now() - from,
           ok ? "OK" : "WRONG");
    return !ok;
}

int main(int argc, char **argv)
{
    bool check = argc == 6 && strcmp(argv[5], "check") == 0;

    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve((uint16_t)atoi(argv[2]));
    if (argc >= 5 &&
        (strcmp(argv[1], "send") == 0 || strcmp(argv[1], "recv") == 0))
        return client(argv + 1, check);
    fputs("usage: netload serve PORT | send|recv ADDRESS PORT BYTES [check]\n",
          stderr);
    return 2;
}
