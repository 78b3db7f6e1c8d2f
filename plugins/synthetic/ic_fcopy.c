/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic-fcopy: copies a file of the host into the guest, without a network.
 *
 * Source: Linux include/uapi/linux/hyperv.h (struct hv_start_fcopy and
 * around) and drivers/hv/hv_fcopy.c.
 *
 * Modelled: version 1.1; commands `copy-file` and `copy-file-cancel`; event
 * FILE_COPY for each percent.  The host's file is read piece by piece, each
 * when the guest has written the last; it has to be a regular file.
 * Not modelled: directories; copies from the guest, which the protocol does
 * not have.  A copy does not go on in a machine that was restored: the guest
 * is told to give it up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export.h"
#include "ic.h"
#include "wire.h"

enum { /* operation */
       OP_START = 0,
       OP_WRITE = 1,
       OP_COMPLETE = 2,
       OP_CANCEL = 3,
};

/* Behind the operation and two GUIDs that are not used */
#define HEAD        36u
#define PATH_UNITS  260u
#define S_NAME      HEAD
#define S_PATH      (S_NAME + 2 * PATH_UNITS)
#define S_FLAGS     (S_PATH + 2 * PATH_UNITS)
#define S_SIZE      (S_FLAGS + 4)
#define START_BYTES (S_SIZE + 8)
#define OVERWRITE   1u
#define CREATE      2u

#define W_OFFSET    (HEAD + 4)
#define W_BYTES     (W_OFFSET + 8)
#define W_DATA      (W_BYTES + 4)
#define PIECE       6144u
#define WRITE_BYTES (W_DATA + PIECE)

#define TIMEOUT_NS 45000000000ull /* Linux gives up after 30 s */

struct fcopy_state {
    struct ic_state ic;
    uint8_t busy;      /* the guest has begun a copy */
    uint8_t operation; /* under way, if ic.asking */
};

struct fcopy {
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_control *control;
    struct bp_dev *dev;
    struct bp_timer_handle *patience;
    struct ic ic;
    /* The copy under way */
    struct bp_call *call; /* NULL: none, or it is being cancelled */
    int fd;
    uint64_t size, offset; /* of the file; sent */
    uint32_t percent;
    const char *failure; /* why it is being cancelled */
    uint8_t message[WRITE_BYTES];
    /* State */
    struct fcopy_state st;
};

static void close_file(struct fcopy *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static void finish(struct fcopy *s, const char *error)
{
    struct bp_call *call = s->call;

    close_file(s);
    s->call = NULL;
    s->failure = NULL;
    if (!call)
        return;
    if (!error)
        s->control->put_integer(call, "bytes", (int64_t)s->size);
    s->control->done(call, error);
}

static void send(struct fcopy *s, uint8_t operation, uint32_t bytes)
{
    wire_put32(s->message, operation);
    s->st.operation = operation;
    if (ic_ask(&s->ic, s->message, bytes) < 0) {
        s->st.busy = 0;
        finish(s, ic_trouble(&s->ic));
        return;
    }
    s->timer->arm(s->patience,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + TIMEOUT_NS);
}

/* The guest removes what it has of the file. */
static void give_up(struct fcopy *s, const char *why)
{
    close_file(s);
    s->failure = why;
    memset(s->message, 0, HEAD);
    send(s, OP_CANCEL, HEAD);
}

static void tell_progress(struct fcopy *s)
{
    uint32_t percent = s->size ? (uint32_t)(s->offset * 100 / s->size) : 100;
    struct bp_call *event;

    if (percent == s->percent)
        return;
    s->percent = percent;
    event = s->control->event(s->dev, "FILE_COPY");
    s->control->put_integer(event, "bytes", (int64_t)s->offset);
    s->control->put_integer(event, "percent", percent);
    s->control->done(event, NULL);
}

/* The next piece, or the end.  A file that became shorter is an error. */
static void send_more(struct fcopy *s)
{
    uint64_t left = s->size - s->offset;
    ssize_t n;

    memset(s->message, 0, sizeof(s->message));
    if (!left) {
        send(s, OP_COMPLETE, HEAD);
        return;
    }
    n = pread(s->fd, s->message + W_DATA, left < PIECE ? left : PIECE,
              (off_t)s->offset);
    if (n <= 0) {
        give_up(s, n ? "the file cannot be read"
                     : "the file became shorter meanwhile");
        return;
    }
    wire_put64(s->message + W_OFFSET, s->offset);
    wire_put32(s->message + W_BYTES, (uint32_t)n);
    s->offset += (uint64_t)n;
    send(s, OP_WRITE, WRITE_BYTES);
}

static void too_late(void *ctx)
{
    struct fcopy *s = ctx;

    s->failure = NULL;
    finish(s, "the guest does not answer");
}

static void fcopy_answer(void *ctx, uint32_t status, const uint8_t *data,
                         uint32_t bytes)
{
    struct fcopy *s = ctx;

    (void)data, (void)bytes;
    s->timer->cancel(s->patience);
    switch (s->st.operation) {
    case OP_START:
        s->st.busy = status == IC_S_OK;
        if (status)
            finish(s, ic_status_text(status));
        else if (s->call)
            send_more(s);
        else
            give_up(s, NULL);
        break;
    case OP_WRITE:
        if (status) {
            give_up(s, ic_status_text(status));
        } else if (!s->call) {
            give_up(s, NULL);
        } else {
            tell_progress(s);
            send_more(s);
        }
        break;
    default:
        s->st.busy = 0;
        if (s->st.operation == OP_COMPLETE && !status)
            tell_progress(s);
        finish(s, s->failure ? s->failure
                  : status   ? ic_status_text(status)
                             : NULL);
        break;
    }
}

static void fcopy_closed(void *ctx)
{
    struct fcopy *s = ctx;

    s->timer->cancel(s->patience);
    s->st.busy = 0;
    finish(s, "the guest closed the channel");
}

static const struct ic_desc fcopy_ic = {
    .type = { { 0xe3, 0x4b, 0xd1, 0x34, 0xe4, 0xde, 0xc8, 0x41, 0x9a, 0xe7,
                0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92 } },
    .instance = { { 0x08, 0x54, 0x76, 0xeb, 0x5f, 0x10, 0xb6, 0x49, 0xb4, 0xaa,
                    0xc1, 0x23, 0xb6, 0x4d, 0x17, 0xd4 } },
    .message = IC_FCOPY,
    .version_count = 1,
    .versions = { { 1, 1 } },
    .answer = fcopy_answer,
    .closed = fcopy_closed,
};

/* --- commands -------------------------------------------------------------*/

static const char *open_file(struct fcopy *s, const char *path)
{
    struct stat st;

    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (s->fd < 0)
        return errno == ENOENT ? "there is no such file"
                               : "the file cannot be opened";
    if (fstat(s->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close_file(s);
        return "that is no regular file";
    }
    s->size = (uint64_t)st.st_size;
    s->offset = 0;
    s->percent = 0;
    return NULL;
}

/* "/tmp/a/b" is the name "b" in "/tmp/a/"; Linux looks at each folder that
 * has a '/' behind it. */
static const char *put_destination(struct fcopy *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4 * PATH_UNITS];
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;

    if (path[0] != '/' || !slash[1])
        return "the destination is no absolute path of a file";
    if (n >= sizeof(folder))
        return "the destination is too long";
    memcpy(folder, path, n);
    folder[n] = 0;
    if (ic_to_utf16(slash + 1, s->message + S_NAME, PATH_UNITS) < 0 ||
        ic_to_utf16(folder, s->message + S_PATH, PATH_UNITS) < 0)
        return "the destination is too long or no UTF-8";
    return NULL;
}

static uint32_t flag(struct fcopy *s, struct bp_call *call, const char *name,
                     uint32_t bit)
{
    const char *value = s->control->argument(call, name);

    return value && strcmp(value, "on") == 0 ? bit : 0;
}

static void run_copy(void *ctx, struct bp_call *call)
{
    struct fcopy *s = ctx;
    const char *error = NULL;

    if (s->call || s->st.busy || s->st.ic.asking || !ic_is_ready(&s->ic))
        error = ic_trouble(&s->ic);
    if (!error) {
        memset(s->message, 0, START_BYTES);
        error = put_destination(s, s->control->argument(call, "destination"));
    }
    if (!error)
        error = open_file(s, s->control->argument(call, "source"));
    if (error) {
        s->control->done(call, error);
        return;
    }
    wire_put32(s->message + S_FLAGS, flag(s, call, "overwrite", OVERWRITE) |
                                         flag(s, call, "create", CREATE));
    wire_put64(s->message + S_SIZE, s->size);
    s->call = call;
    send(s, OP_START, START_BYTES);
}

/* The guest is told when it has answered what is under way. */
static void cancel_copy(void *ctx, struct bp_call *call)
{
    struct fcopy *s = ctx;

    if (s->call == call) {
        s->call = NULL;
        close_file(s);
    }
}

static void run_cancel(void *ctx, struct bp_call *call)
{
    struct fcopy *s = ctx;
    struct bp_call *copy = s->call;

    if (!copy) {
        s->control->done(call, "no file is being copied");
        return;
    }
    cancel_copy(s, copy);
    s->control->done(copy, "the copy was cancelled");
    s->control->done(call, NULL);
}

static const struct bp_command fcopy_commands[] = {
    { .size = sizeof(struct bp_command),
      .name = "copy-file",
      .arguments = "/source destination overwrite! create!",
      .help = "copies a file into the guest; create makes its folders",
      .run = run_copy,
      .cancel = cancel_copy },
    { .size = sizeof(struct bp_command),
      .name = "copy-file-cancel",
      .help = "ends a copy; the guest removes the part that it has",
      .run = run_cancel },
};

/* --- life -----------------------------------------------------------------*/

static int32_t fcopy_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct fcopy *s = self;

    s->dev = dev;
    s->fd = -1;
    s->timer = host->query(host, BP_TIMER);
    s->control = host->query(host, BP_CONTROL);
    return ic_create(&s->ic, dev, host, &fcopy_ic, &s->st.ic, s);
}

static int32_t fcopy_realize(void *self)
{
    struct fcopy *s = self;

    s->patience =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "patience", too_late, s);
    for (unsigned i = 0; i < 2; i++)
        s->control->add(s->dev, &fcopy_commands[i], s);
    return ic_realize(&s->ic);
}

static void fcopy_reset(void *self, uint32_t kind)
{
    struct fcopy *s = self;

    (void)kind;
    s->timer->cancel(s->patience);
    memset(&s->st, 0, sizeof(s->st));
}

/* A copy that was under way has no file here. */
static void fcopy_start(void *self)
{
    struct fcopy *s = self;

    if (s->st.busy && !s->call && !s->st.ic.asking && ic_is_ready(&s->ic))
        give_up(s, NULL);
}

static int32_t fcopy_loaded(void *self, uint32_t version)
{
    struct fcopy *s = self;

    (void)version;
    return ic_loaded(&s->ic);
}

static void fcopy_destroy(void *self)
{
    close_file(self);
}

static const struct bp_field fcopy_fields[] = {
    BP_FIELD_TABLE(struct fcopy, st.ic, "ic", 1, ic_fields),
    BP_FIELD(struct fcopy, st.busy, "busy"),
    BP_FIELD(struct fcopy, st.operation, "operation"),
    BP_FIELD_END,
};

static const char *const fcopy_requires[] = { BP_LOG, BP_TIMER, BP_LANE,
                                              BP_CONTROL, NULL };

static const struct bp_device_desc fcopy_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "ic-fcopy",
    .title = "Hyper-V guest file copy",
    .instance_size = sizeof(struct fcopy),
    .state_offset = offsetof(struct fcopy, st),
    .state_size = sizeof(struct fcopy_state),
    .state_version = 1,
    .fields = fcopy_fields,
    .requires_ = fcopy_requires,
    .create = fcopy_create,
    .realize = fcopy_realize,
    .reset = fcopy_reset,
    .start = fcopy_start,
    .loaded = fcopy_loaded,
    .destroy = fcopy_destroy,
};

EXPORT_DEVICES("ic-fcopy", "Hyper-V guest file copy", &fcopy_desc);
