/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unix_socket.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4

static bool fail(GError **error, int code, const char *path, const char *what)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code),
                "socket '%s' %s: %s", path, what, g_strerror(code));
    return false;
}

static bool address_of(struct sockaddr_un *a, const char *path, GError **error)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof a->sun_path) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                    "socket '%s' has a path of more than %zu characters", path,
                    sizeof a->sun_path - 1);
        return false;
    }
    strcpy(a->sun_path, path);
    return true;
}

/* Something is at the path.  True when it was a socket that nobody listens
 * on, and is gone. */
static bool clear_stale(const struct sockaddr_un *a, int type, GError **error)
{
    struct stat st;
    int fd, code;

    if (lstat(a->sun_path, &st) < 0)
        return errno == ENOENT ||
               fail(error, errno, a->sun_path, "cannot be made");
    if (!S_ISSOCK(st.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                    "'%s' exists and is not a socket", a->sun_path);
        return false;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(error, errno, a->sun_path, "cannot be made");
    code = connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 ? errno : 0;
    close(fd);
    if (code != ECONNREFUSED) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                    "socket '%s' is in use by another process", a->sun_path);
        return false;
    }
    if (unlink(a->sun_path) < 0 && errno != ENOENT)
        return fail(error, errno, a->sun_path, "cannot be replaced");
    return true;
}

static bool bind_and_listen(int fd, const struct sockaddr_un *a, int type,
                            GError **error)
{
    const struct sockaddr *address = (const struct sockaddr *)a;
    int code = 0;

    /* The mode of the file that bind() makes. */
    if (fchmod(fd, 0600) < 0)
        return fail(error, errno, a->sun_path, "cannot be made private");
    if (bind(fd, address, sizeof *a) < 0)
        code = errno;
    if (code == EADDRINUSE) {
        if (!clear_stale(a, type, error))
            return false;
        code = bind(fd, address, sizeof *a) < 0 ? errno : 0;
    }
    if (code)
        return fail(error, code, a->sun_path, "cannot be made");
    if (listen(fd, BACKLOG) < 0)
        return fail(error, errno, a->sun_path, "cannot be listened on");
    return true;
}

int unix_socket_listen(const char *path, int type, GError **error)
{
    struct sockaddr_un a;
    int fd;

    if (!address_of(&a, path, error))
        return -1;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        fail(error, errno, path, "cannot be made");
        return -1;
    }
    if (!bind_and_listen(fd, &a, type, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

void unix_socket_close(int fd, const char *path)
{
    unlink(path);
    close(fd);
}

int unix_socket_connect(const char *path, int type, GError **error)
{
    struct sockaddr_un a;
    int fd;

    if (!address_of(&a, path, error))
        return -1;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    fail(error, errno, path, "cannot be connected to");
    if (fd >= 0)
        close(fd);
    return -1;
}
