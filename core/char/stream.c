/* SPDX-License-Identifier: Apache-2.0 */
#include "char/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

/* What a write may move at once: a pipe that polls as writable takes this
 * much without blocking. */
#define CHUNK          4096u
#define FINISH_SECONDS 1

static void consume(struct stream *s, uint32_t n)
{
    s->first = (s->first + n) % STREAM_BUFFER;
    s->count -= n;
}

/* With the lock held; releases it for the call. */
static void tell_writable(struct stream *s)
{
    if (!s->refused || (s->out_fd >= 0 && s->count > STREAM_BUFFER / 2))
        return;
    s->refused = false;
    pthread_mutex_unlock(&s->lock);
    char_port_writable(s->port);
    pthread_mutex_lock(&s->lock);
}

/* --- the writer ----------------------------------------------------------*/

/* Waits for room at the other end, no longer than a moment, so that
 * stream_finish() is heard. */
static bool wait_room(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, 100) > 0;
}

/* Returns how much was written: 0 is try again, below 0 broken.  A socket
 * polls as writable long after it takes bytes again: where writing does not
 * block it is tried first. */
static ssize_t write_chunk(int fd, bool blocks, const uint8_t *data, size_t n)
{
    ssize_t done;

    if (blocks && !wait_room(fd))
        return 0;
    done = write(fd, data, n);
    if (done >= 0 || (errno != EINTR && errno != EAGAIN))
        return done;
    if (errno == EAGAIN)
        wait_room(fd);
    return 0;
}

static void output_broke(struct stream *s, int fd, int error)
{
    if (s->out_fd != fd)
        return;
    s->out_fd = -1;
    if (!s->lossy) {
        log_warn(s->port->name, "output is lost from now on: %s",
                 g_strerror(error));
        s->count = 0;
    }
    pthread_cond_broadcast(&s->changed);
}

static void *writer_thread(void *opaque)
{
    struct stream *s = opaque;
    uint8_t chunk[CHUNK];
    uint32_t n;
    ssize_t done;
    bool blocks;
    int fd;

    pthread_mutex_lock(&s->lock);
    while (!s->gave_up) {
        while (!s->ending && (!s->count || s->out_fd < 0))
            pthread_cond_wait(&s->changed, &s->lock);
        if (!s->count || s->out_fd < 0)
            break;
        n = MIN(s->count, STREAM_BUFFER - s->first);
        n = MIN(n, CHUNK);
        memcpy(chunk, s->out + s->first, n);
        fd = s->out_fd;
        blocks = s->blocks;
        s->writing = true;
        pthread_mutex_unlock(&s->lock);
        done = write_chunk(fd, blocks, chunk, n);
        pthread_mutex_lock(&s->lock);
        s->writing = false;
        pthread_cond_broadcast(&s->changed);
        if (done > 0)
            consume(s, MIN((uint32_t)done, s->count));
        else if (done < 0)
            output_broke(s, fd, errno);
        tell_writable(s);
    }
    /* stream_finish() waits for this. */
    s->has_writer = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

uint32_t stream_write(struct stream *s, const uint8_t *data, uint32_t n)
{
    uint32_t taken, at;

    pthread_mutex_lock(&s->lock);
    if (s->out_fd < 0 && !s->lossy) {
        pthread_mutex_unlock(&s->lock);
        return n;
    }
    if (s->out_fd < 0 && n <= STREAM_BUFFER && n > STREAM_BUFFER - s->count)
        consume(s, n - (STREAM_BUFFER - s->count));
    taken = MIN(n, STREAM_BUFFER - s->count);
    for (uint32_t i = 0; i < taken; i++) {
        at = (s->first + s->count + i) % STREAM_BUFFER;
        s->out[at] = data[i];
    }
    s->count += taken;
    if (taken < n)
        s->refused = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return taken;
}

void stream_set_output(struct stream *s, int fd)
{
    pthread_mutex_lock(&s->lock);
    s->out_fd = fd;
    s->blocks = fd >= 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK);
    while (s->writing)
        pthread_cond_wait(&s->changed, &s->lock);
    tell_writable(s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* --- the reader ----------------------------------------------------------*/

void stream_room(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->room = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool stream_wait(struct stream *s, int fd, short events)
{
    struct pollfd p[2] = {
        { .fd = fd, .events = events },
        { .fd = s->ending_fd, .events = POLLIN },
    };

    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return !p[1].revents;
}

bool stream_feed(struct stream *s, const uint8_t *data, uint32_t n)
{
    uint32_t taken;
    bool ending;

    for (;;) {
        pthread_mutex_lock(&s->lock);
        s->room = false;
        ending = s->ending;
        pthread_mutex_unlock(&s->lock);
        if (ending)
            return false;
        taken = char_port_receive(s->port, data, n);
        data += taken;
        n -= taken;
        if (!n)
            return true;
        pthread_mutex_lock(&s->lock);
        while (!s->room && !s->ending)
            pthread_cond_wait(&s->changed, &s->lock);
        pthread_mutex_unlock(&s->lock);
    }
}

/* --- begin and end -------------------------------------------------------*/

/* Signals go to the threads that expect them; a broken pipe is an error of
 * write(). */
static bool start(pthread_t *thread, void *(*fn)(void *), void *arg,
                  const char *name)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    error = pthread_create(thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        log_error(name, "cannot have a thread: %s", g_strerror(error));
        return false;
    }
    pthread_setname_np(*thread, "serial");
    return true;
}

void stream_init(struct stream *s, struct char_port *port)
{
    pthread_condattr_t attr;

    s->port = port;
    s->out_fd = -1;
    s->ending_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&s->lock);
    s->has_writer = start(&s->writer, writer_thread, s, port->name);
    pthread_mutex_unlock(&s->lock);
}

void stream_start_reader(struct stream *s, void *(*fn)(void *), void *arg)
{
    s->has_reader = start(&s->reader, fn, arg, s->port->name);
}

void stream_finish(struct stream *s)
{
    uint64_t one = 1;
    struct timespec until;
    bool had_writer;

    pthread_mutex_lock(&s->lock);
    s->ending = true;
    had_writer = s->has_writer;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (write(s->ending_fd, &one, sizeof one) != sizeof one)
        log_error(s->port->name, "cannot wake its reader");
    if (s->has_reader)
        pthread_join(s->reader, NULL);

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FINISH_SECONDS;
    pthread_mutex_lock(&s->lock);
    while (s->has_writer &&
           pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    if (s->has_writer && s->count)
        log_warn(s->port->name, "%u bytes were not read and are lost",
                 s->count);
    s->gave_up = true;
    pthread_mutex_unlock(&s->lock);
    if (had_writer)
        pthread_join(s->writer, NULL);
    close(s->ending_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}
