/* SPDX-License-Identifier: Apache-2.0 */
#include "char/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <unistd.h>

#include "char/stream.h"

struct log_file {
    struct stream stream;
    int fd;
};

static uint32_t file_write(void *backend, const uint8_t *data, uint32_t n)
{
    return stream_write(&((struct log_file *)backend)->stream, data, n);
}

static void file_close(void *backend)
{
    struct log_file *s = backend;

    stream_finish(&s->stream);
    close(s->fd);
    g_free(s);
}

static const struct char_backend_ops file_ops = {
    .name = "file",
    .write = file_write,
    .close = file_close,
};

bool file_open(struct char_port *p, const char *path, GError **error)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    struct log_file *s;

    if (fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "file '%s' for '%s' cannot be opened: %s", path, p->name,
                    g_strerror(errno));
        return false;
    }
    s = g_new0(struct log_file, 1);
    s->fd = fd;
    stream_init(&s->stream, p);
    stream_set_output(&s->stream, fd);
    char_port_connect(p, &file_ops, s);
    return true;
}
