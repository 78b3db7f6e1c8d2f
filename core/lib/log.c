/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES 1024

static const char *const level_names[] = { "error", "warning", "info",
                                           "debug" };

/* The process's log: messages have no machine they could be kept with. */
static struct {
    pthread_mutex_t lock; /* file, and the content of all limits */
    FILE *file;           /* NULL: standard error */
    atomic_int max_level;
} sink = { PTHREAD_MUTEX_INITIALIZER, NULL, LOG_INFO };

void log_set_level(enum log_level max)
{
    atomic_store_explicit(&sink.max_level, (int)max, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
    return (int)level <=
           atomic_load_explicit(&sink.max_level, memory_order_relaxed);
}

int log_set_file(const char *path)
{
    FILE *file = NULL, *old;

    if (path) {
        file = fopen(path, "ae");
        if (!file)
            return -errno;
        setvbuf(file, NULL, _IOLBF, 0);
    }
    pthread_mutex_lock(&sink.lock);
    old = sink.file;
    sink.file = file;
    pthread_mutex_unlock(&sink.lock);
    if (old)
        fclose(old);
    return 0;
}

static uint64_t monotonic_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool log_limit_pass(struct log_limit *limit, uint32_t *held_back)
{
    uint64_t now = monotonic_ns();
    bool pass;

    pthread_mutex_lock(&sink.lock);
    limit->total++;
    if (limit->used == 0 || now - limit->period_start >= LOG_PERIOD_NS) {
        limit->period_start = now;
        limit->used = 0;
    }
    pass = limit->used < LOG_BURST;
    if (pass) {
        limit->used++;
        *held_back = limit->held_back;
        limit->held_back = 0;
    } else {
        limit->held_back++;
    }
    pthread_mutex_unlock(&sink.lock);
    return pass;
}

/* Guests choose some of the text: nothing in it may steer a terminal. */
static void make_printable(char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == 0x7f)
            *s = '?';
    }
}

void log_line_va(struct log_limit *limit, enum log_level level,
                 const char *area, const char *format, va_list ap)
{
    char line[LINE_BYTES], count[48] = "";
    uint32_t held_back = 0;

    if (!log_wants(level))
        return;
    if (limit && !log_limit_pass(limit, &held_back))
        return;
    vsnprintf(line, sizeof line, format, ap);
    make_printable(line);
    if (held_back)
        snprintf(count, sizeof count, " (%u more like it)", held_back);
    pthread_mutex_lock(&sink.lock);
    fprintf(sink.file ? sink.file : stderr, "%s: %s: %s%s\n",
            level_names[level], area, line, count);
    pthread_mutex_unlock(&sink.lock);
}

void log_line(struct log_limit *limit, enum log_level level, const char *area,
              const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    log_line_va(limit, level, area, format, ap);
    va_end(ap);
}
