/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a device and a medium: checks, counts, and the way back to the
 * device's lane.
 *
 * A request is in flight from submit until its done() returned.  The medium
 * of a drive changes only when none is in flight; new ones meanwhile find the
 * drive empty.
 */
#include "block/block.h"

#include <errno.h>
#include <gio/gio.h>
#include <inttypes.h>
#include <string.h>

#include "lib/log.h"
#include "sched/clock.h"
#include "sched/lane.h"
#include "state/stream.h"

#define SECTOR 512u
/* What a request takes on a deterministic machine. */
#define LATENCY_NS UINT64_C(200000)

struct block_drive *block_drive_create(const char *name,
                                       enum block_drive_kind kind)
{
    struct block_drive *d = g_new0(struct block_drive, 1);
    uint32_t hash = 2166136261u;

    d->name = g_strdup(name);
    d->kind = kind;
    d->removable = kind != BLOCK_DISK;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->idle, NULL);
    /* The same drive of the same machine is the same disk at each start. */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    g_snprintf(d->serial, sizeof d->serial, "BP-%08" PRIX32, hash);
    return d;
}

struct block_drive *block_drive_share(struct block_drive *d, const char *name)
{
    struct block_drive *twin = block_drive_create(name, d->kind);

    g_assert(!d->removable);
    twin->shared = true;
    twin->medium = d->medium;
    twin->clocks = d->clocks;
    memcpy(twin->serial, d->serial, sizeof twin->serial);
    return twin;
}

static void close_medium(struct block_drive *d, struct block_medium *m)
{
    if (m)
        m->ops->close(m);
}

static void set_options(struct block_drive *d,
                        const struct block_options *options)
{
    char *path = options ? g_strdup(options->path) : NULL;

    g_free((char *)(uintptr_t)d->options.path);
    d->options = options ? *options : (struct block_options){ 0 };
    d->options.path = path;
}

void block_drive_destroy(struct block_drive *d)
{
    if (!d)
        return;
    g_assert(d->in_flight == 0 && !d->lane);
    if (!d->shared)
        close_medium(d, d->medium);
    set_options(d, NULL);
    pthread_cond_destroy(&d->idle);
    pthread_mutex_destroy(&d->lock);
    g_free(d->name);
    g_free(d);
}

void block_drive_set_clocks(struct block_drive *d, struct clocks *clocks)
{
    g_assert(!d->lane);
    d->clocks = clocks;
}

/* --- completion ----------------------------------------------------------*/

static void end_of_flight(struct block_drive *d, bool failed)
{
    pthread_mutex_lock(&d->lock);
    d->n_errors += failed;
    if (--d->in_flight == 0)
        pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->lock);
}

/* [lane] */
static void complete(void *opaque)
{
    struct bp_block_request *request = opaque;
    struct block_drive *d = request->host[0];
    bool failed = request->status != 0;

    request->done(request); /* and is the device's again */
    end_of_flight(d, failed);
}

void block_request_done(struct bp_block_request *request, int32_t status)
{
    struct block_drive *d = request->host[0];

    request->status = status;
    if (!d->clocks) {
        lane_post_soon(d->lane, complete, request);
        return;
    }
    pthread_mutex_lock(&d->lock);
    d->executed = true;
    pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->lock);
}

/* The medium is done with the request, so its host[2] and [3] are free: the
 * first holds the deadline. */
static uint64_t deadline_of(const struct bp_block_request *request)
{
    return (uintptr_t)request->host[2];
}

static void enqueue(struct block_drive *d, struct bp_block_request *request)
{
    uint64_t deadline = clock_now(d->clocks, CLOCK_VIRTUAL) + LATENCY_NS;

    request->host[1] = NULL;
    request->host[2] = (void *)(uintptr_t)deadline;
    if (d->due_first)
        d->due_last->host[1] = request;
    else
        d->due_first = request;
    d->due_last = request;
    if (d->due_first == request)
        timer_arm(d->timer, deadline);
}

static void complete_first(struct block_drive *d)
{
    struct bp_block_request *request = d->due_first;

    d->due_first = request->host[1];
    complete(request);
}

static void on_timer(void *opaque)
{
    struct block_drive *d = opaque;
    uint64_t now = clock_now(d->clocks, CLOCK_VIRTUAL);

    while (d->due_first && deadline_of(d->due_first) <= now)
        complete_first(d);
    if (d->due_first)
        timer_arm(d->timer, deadline_of(d->due_first));
}

void block_drive_drain(struct block_drive *d)
{
    if (d->clocks && d->lane) {
        /* Time stands still: what is executed completes now. */
        lane_enter(d->lane);
        while (d->due_first)
            complete_first(d);
        timer_cancel(d->timer);
        lane_leave(d->lane);
        return;
    }
    pthread_mutex_lock(&d->lock);
    while (d->in_flight)
        pthread_cond_wait(&d->idle, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

/* --- requests ------------------------------------------------------------*/

bool block_request_bytes(const struct bp_block_request *request,
                         uint64_t *bytes)
{
    uint64_t sum = 0;

    if (request->op == BP_BLOCK_FLUSH) {
        *bytes = 0;
        return true;
    }
    if (request->op != BP_BLOCK_READ && request->op != BP_BLOCK_WRITE) {
        *bytes = request->bytes;
        return true;
    }
    for (uint32_t i = 0; i < request->iov_count; i++)
        if (__builtin_add_overflow(sum, request->iov[i].bytes, &sum))
            return false;
    *bytes = sum;
    return true;
}

/* 0 or what is wrong with the request.  d->lock is held. */
static int32_t check(struct block_drive *d,
                     const struct bp_block_request *request, uint64_t *bytes)
{
    const struct block_medium *m = d->medium;

    *bytes = 0;
    if (!m || d->tray_open)
        return -ENOMEDIUM;
    if (request->op < BP_BLOCK_READ || request->op > BP_BLOCK_ZERO) {
        log_warn("block", "%s: its device made a request of kind %u", d->name,
                 request->op);
        return -EIO;
    }
    if (!block_request_bytes(request, bytes))
        return -ERANGE;
    if (request->op == BP_BLOCK_FLUSH)
        return 0;
    if (request->offset % SECTOR || *bytes % SECTOR) {
        log_warn("block",
                 "%s: its device made a request for parts of a "
                 "sector",
                 d->name);
        return -EIO;
    }
    if (request->offset > m->bytes || *bytes > m->bytes - request->offset)
        return -ERANGE;
    if (request->op != BP_BLOCK_READ && (m->flags & BP_BLOCK_READONLY))
        return -EROFS;
    return 0;
}

static void count(struct block_drive *d, const struct bp_block_request *request,
                  uint64_t bytes)
{
    if (request->op == BP_BLOCK_READ) {
        d->n_reads++;
        d->bytes_read += bytes;
    } else if (request->op == BP_BLOCK_WRITE) {
        d->n_writes++;
        d->bytes_written += bytes;
    }
}

void block_drive_submit(struct block_drive *d, struct bp_block_request *request)
{
    struct block_medium *m;
    uint64_t bytes;
    int32_t status;

    request->host[0] = d;
    pthread_mutex_lock(&d->lock);
    status = check(d, request, &bytes);
    m = d->medium;
    d->in_flight++;
    d->executed = false;
    if (status == 0)
        count(d, request, bytes);
    pthread_mutex_unlock(&d->lock);
    if (status)
        block_request_done(request, status);
    else
        m->ops->submit(m, request);
    if (!d->clocks)
        return;
    pthread_mutex_lock(&d->lock);
    while (!d->executed)
        pthread_cond_wait(&d->idle, &d->lock);
    pthread_mutex_unlock(&d->lock);
    enqueue(d, request);
}

/* --- media ---------------------------------------------------------------*/

/* [lane]; which of the listener's functions, by its place in the drive. */
static void tell(struct block_drive *d, void (*const *fn)(void *ctx))
{
    void (*call)(void *ctx);
    void *ctx;

    pthread_mutex_lock(&d->lock);
    call = *fn;
    ctx = d->ctx;
    pthread_mutex_unlock(&d->lock);
    if (call)
        call(ctx);
}

static void tell_changed(void *opaque)
{
    struct block_drive *d = opaque;

    tell(d, &d->changed);
}

static void ask_eject(void *opaque)
{
    struct block_drive *d = opaque;

    tell(d, &d->eject_request);
}

/* Posting under the lock: attach(NULL) then knows that no more comes. */
static void post(struct block_drive *d, lane_fn *fn)
{
    pthread_mutex_lock(&d->lock);
    if (d->lane)
        lane_post(d->lane, fn, d);
    pthread_mutex_unlock(&d->lock);
}

/* Takes the medium out and waits for what is in flight to it. */
static struct block_medium *take_medium(struct block_drive *d)
{
    struct block_medium *m;

    pthread_mutex_lock(&d->lock);
    m = d->medium;
    d->medium = NULL;
    pthread_mutex_unlock(&d->lock);
    block_drive_drain(d);
    return m;
}

static void put_medium(struct block_drive *d, struct block_medium *m,
                       const struct block_options *options)
{
    pthread_mutex_lock(&d->lock);
    d->medium = m;
    set_options(d, options);
    d->tray_open = false;
    d->generation++;
    pthread_mutex_unlock(&d->lock);
    post(d, tell_changed);
}

static bool may_remove(struct block_drive *d, bool force, GError **error)
{
    bool locked;

    pthread_mutex_lock(&d->lock);
    locked = d->locked && d->medium && !d->tray_open;
    pthread_mutex_unlock(&d->lock);
    if (!d->removable) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "drive '%s' does not have a removable medium", d->name);
        return false;
    }
    if (!locked || force)
        return true;
    post(d, ask_eject);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                "drive '%s' is locked by the guest, which was asked to "
                "release it",
                d->name);
    return false;
}

bool block_drive_insert(struct block_drive *d,
                        const struct block_options *options, GError **error)
{
    struct block_options use = *options;
    struct block_medium *m;

    if (d->medium && !may_remove(d, false, error))
        return false;
    use.cdrom = use.cdrom || d->kind == BLOCK_CDROM;
    m = block_open(&use, error);
    if (!m)
        return false;
    close_medium(d, take_medium(d));
    put_medium(d, m, &use);
    return true;
}

bool block_drive_eject(struct block_drive *d, bool force, GError **error)
{
    struct block_medium *m;

    if (!may_remove(d, force, error))
        return false;
    m = take_medium(d);
    close_medium(d, m);
    pthread_mutex_lock(&d->lock);
    d->locked = false;
    set_options(d, NULL);
    d->generation += m != NULL;
    pthread_mutex_unlock(&d->lock);
    if (m)
        post(d, tell_changed);
    return true;
}

void block_drive_attach(struct block_drive *d, struct lane *lane)
{
    g_autofree char *name = g_strdup_printf("block.%s", d->name);

    if (d->timer)
        timer_destroy(d->timer);
    d->timer = NULL;
    if (lane && d->clocks)
        d->timer =
            timer_create_on(d->clocks, CLOCK_VIRTUAL, lane, name, on_timer, d);
    pthread_mutex_lock(&d->lock);
    g_assert(d->in_flight == 0);
    d->lane = lane;
    if (!lane)
        d->changed = d->eject_request = NULL;
    pthread_mutex_unlock(&d->lock);
}

void block_drive_listen(struct block_drive *d, void (*changed)(void *ctx),
                        void (*eject_request)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&d->lock);
    d->changed = changed;
    d->eject_request = eject_request;
    d->ctx = ctx;
    pthread_mutex_unlock(&d->lock);
}

void block_drive_info(struct block_drive *d, struct bp_block_info *info)
{
    const struct block_medium *m;

    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    pthread_mutex_lock(&d->lock);
    m = d->tray_open ? NULL : d->medium;
    info->flags = (d->removable ? BP_BLOCK_REMOVABLE : 0) |
                  (d->kind == BLOCK_CDROM ? BP_BLOCK_CDROM : 0) |
                  (d->locked ? BP_BLOCK_LOCKED : 0) |
                  (m ? BP_BLOCK_PRESENT | m->flags : 0);
    info->logical_block = m                        ? m->logical_block
                          : d->kind == BLOCK_CDROM ? 2048
                                                   : SECTOR;
    info->physical_block = m ? m->physical_block : info->logical_block;
    info->bytes = m ? m->bytes : 0;
    info->generation = d->generation;
    memcpy(info->serial, d->serial, sizeof info->serial);
    pthread_mutex_unlock(&d->lock);
}

void block_drive_lock(struct block_drive *d, bool locked)
{
    pthread_mutex_lock(&d->lock);
    d->locked = locked;
    pthread_mutex_unlock(&d->lock);
}

void block_drive_tray(struct block_drive *d, bool open)
{
    pthread_mutex_lock(&d->lock);
    if (d->removable && d->tray_open != open) {
        d->tray_open = open;
        d->generation++;
    }
    pthread_mutex_unlock(&d->lock);
}

/* --- saved machines ------------------------------------------------------*/

void block_drive_save(struct block_drive *d, struct state_writer *w)
{
    pthread_mutex_lock(&d->lock);
    state_put_u64(w, "tray_open", d->tray_open);
    state_put_u64(w, "locked", d->locked);
    state_put_u64(w, "generation", d->generation);
    state_put_u64(w, "present", d->medium != NULL);
    state_put_u64(w, "bytes", d->medium ? d->medium->bytes : 0);
    pthread_mutex_unlock(&d->lock);
}

/* The saved medium against the one that is there. */
static bool check_medium(const struct block_drive *d, uint64_t present,
                         uint64_t bytes, bool *other, GError **error)
{
    uint64_t now = d->medium ? d->medium->bytes : 0;

    *other = (present != 0) != (d->medium != NULL) || bytes != now;
    if (present && !d->medium) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "drive '%s' had a medium of %" PRIu64 " bytes when the "
                    "machine was saved and is empty now",
                    d->name, bytes);
        return false;
    }
    if (*other && !d->removable) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "disk '%s' had %" PRIu64 " bytes when the machine was "
                    "saved and has %" PRIu64 " now",
                    d->name, bytes, now);
        return false;
    }
    return true;
}

bool block_drive_load(struct block_drive *d, struct state_reader *r,
                      GError **error)
{
    uint64_t tray_open, locked, generation, present, bytes;
    bool other;

    if (!state_get_u64(r, "tray_open", &tray_open) ||
        !state_get_u64(r, "locked", &locked) ||
        !state_get_u64(r, "generation", &generation) ||
        !state_get_u64(r, "present", &present) ||
        !state_get_u64(r, "bytes", &bytes)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the saved state of drive '%s' is not complete", d->name);
        return false;
    }
    if (!check_medium(d, present, bytes, &other, error))
        return false;
    pthread_mutex_lock(&d->lock);
    d->tray_open = d->removable && tray_open;
    d->locked = locked;
    d->generation = generation + other;
    pthread_mutex_unlock(&d->lock);
    if (other)
        post(d, tell_changed);
    return true;
}

bool block_drive_save_part(struct block_drive *d, uint64_t *next,
                           struct state_writer *w)
{
    struct block_medium *m = d->medium;

    return m && !d->shared && m->ops->save && m->ops->save(m, next, w);
}

bool block_drive_load_part(struct block_drive *d, struct state_reader *r,
                           GError **error)
{
    struct block_medium *m = d->medium;

    if (m && m->ops->load)
        return m->ops->load(m, r, error);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "drive '%s' was saved with snapshot=on and is open without",
                d->name);
    return false;
}
