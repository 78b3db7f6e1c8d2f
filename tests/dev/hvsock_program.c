/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/hvsock_program.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib.h>

#include "tests/lib/test.h"
#include "vm/bench.h"

void program_settle(struct bench *b)
{
    for (unsigned i = 0; i < 10; i++) {
        usleep(2000);
        bench_run(b);
    }
}

int program_socket(const char *name, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    g_strlcpy(a->sun_path, name, sizeof(a->sun_path));
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

int program_new(struct bench *b, const char *path, const char *line)
{
    struct sockaddr_un a;
    int fd = program_socket(path, &a);

    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(write(fd, line, strlen(line)), (ssize_t)strlen(line));
    program_settle(b);
    return fd;
}

bool program_has_something(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return poll(&p, 1, 0) > 0;
}

const char *program_said(struct bench *b, int fd)
{
    static char text[256];
    ssize_t n;

    for (unsigned i = 0; i < 300 && !program_has_something(fd); i++)
        program_settle(b);
    if (!program_has_something(fd))
        return "-";
    n = read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}
