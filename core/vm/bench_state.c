/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading what is on a bench. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin/device.h"
#include "state/board.h"
#include "state/stream.h"
#include "vm/bench_own.h"
#include "vm/error.h"

struct bytes_sink {
    struct state_sink sink;
    GByteArray *bytes;
};

static bool sink_write(struct state_sink *sink, const void *data, size_t bytes)
{
    struct bytes_sink *s = (struct bytes_sink *)sink;

    g_byte_array_append(s->bytes, data, (guint)bytes);
    return true;
}

uint8_t *bench_save(struct bench *b, size_t *bytes)
{
    struct bytes_sink s = { { sink_write, 0 }, g_byte_array_new() };
    static const struct board_save options = { 0 };

    bench_power_on(b);
    board_drain(&b->vm);
    state_write_head(&s.sink);
    board_save(&b->vm, &s.sink, &options);
    state_write_section(&s.sink, "end", 1, NULL);
    *bytes = s.bytes->len;
    return g_byte_array_free(s.bytes, FALSE);
}

static bool load_sections(struct bench *b, int fd, GError **error)
{
    struct state_source *source = state_source_new(fd, error);
    struct board_load *l = board_load_new(&b->vm, false);
    struct state_reader *fields = NULL;
    const char *name;
    uint32_t version;
    bool ok = source != NULL, known;

    while (ok) {
        ok = state_read_section(source, &name, &version, &fields, error);
        if (!ok || !fields)
            break;
        ok = board_load_section(l, name, version, fields, &known, error);
        if (ok && !known)
            ok = vm_fail(error, VM_ERROR_RUN, "section '%s' is unknown", name);
    }
    ok = ok && board_load_finish(l, error);
    board_load_free(l);
    state_source_free(source);
    return ok;
}

bool bench_try_load(struct bench *b, const uint8_t *data, size_t bytes,
                    GError **error)
{
    int fd = memfd_create("bench", MFD_CLOEXEC);

    bench_power_on(b);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes ||
        lseek(fd, 0, SEEK_SET) != 0)
        bench_die("no memory for saved state: %s", g_strerror(errno));
    b->quiet = true;
    board_reset_devices(&b->vm);
    bool ok = load_sections(b, fd, error);
    bench_run(b);
    b->quiet = false;
    close(fd);
    return ok;
}

static void make_devices_anew(struct bench *b)
{
    GError *error = NULL;

    while (b->vm.devices->len)
        device_destroy(
            g_ptr_array_remove_index(b->vm.devices, b->vm.devices->len - 1));
    for (guint i = 0; i < b->parts->len; i++) {
        const struct bench_part *part = b->parts->pdata[i];
        if (!device_create(&b->vm, part->name, part->desc,
                           (const char *const *)part->settings, &error))
            bench_die("%s", error->message);
    }
    for (guint i = 0; i < b->vm.devices->len; i++) {
        if (!device_realize(b->vm.devices->pdata[i], &error))
            bench_die("%s", error->message);
    }
}

static bool stop(struct bench *b)
{
    struct device *first = b->vm.devices->len ? b->vm.devices->pdata[0] : NULL;
    bool started = first && first->started;

    if (started)
        board_stop_devices(&b->vm);
    return started;
}

static bool load_anew(struct bench *b, const uint8_t *data, size_t bytes,
                      bool start, GError **error)
{
    b->quiet = true;
    make_devices_anew(b);
    bool ok = bench_try_load(b, data, bytes, error);
    if (ok && start)
        board_start_devices(&b->vm);
    return ok;
}

bool bench_try_load_anew(struct bench *b, const uint8_t *data, size_t bytes,
                         GError **error)
{
    stop(b);
    return load_anew(b, data, bytes, true, error);
}

void bench_save_load(struct bench *b)
{
    bool started = stop(b);
    GError *error = NULL;
    size_t bytes;

    uint8_t *data = bench_save(b, &bytes);
    if (!load_anew(b, data, bytes, started, &error))
        bench_die("%s", error->message);
    g_free(data);
}

char *bench_hash(struct bench *b)
{
    size_t bytes;
    uint8_t *data = bench_save(b, &bytes);
    char *hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, bytes);

    g_free(data);
    return hash;
}
