/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the process: one line each, to standard error or a file.
 *
 *     log_warn("vhdx", "block %" PRIu64 " is outside the file", n);
 *
 * The first argument names the part that speaks.  Each place in the code that
 * logs an error, a warning or a debug message has a limit of its own, so that
 * nothing a guest does floods the log; what was held back is counted in the
 * next message of that place.  Any thread.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_ERROR, /* the machine, or a part of it, cannot go on */
    LOG_WARN,  /* guest or host misbehaves */
    LOG_INFO,  /* life cycle only */
    LOG_DEBUG,
};

/* Messages above `max` are dropped; LOG_INFO at start. */
void log_set_level(enum log_level max);
bool log_wants(enum log_level level);
/* Appends to the file from now on; NULL: standard error.  0 or -errno. */
int log_set_file(const char *path);

/* At most LOG_BURST messages in LOG_PERIOD_NS; zero is a fresh one. */
#define LOG_BURST     10
#define LOG_PERIOD_NS (5ull * 1000 * 1000 * 1000)

struct log_limit {
    uint64_t period_start; /* CLOCK_MONOTONIC ns */
    uint32_t used;         /* messages let through in this period */
    uint32_t held_back;    /* since the last one let through */
    uint64_t total;        /* all, ever */
};

/* Counts one message; false: hold it back.  *held_back is the number that
 * was held back before this one. */
bool log_limit_pass(struct log_limit *limit, uint32_t *held_back);

/* limit NULL: always written. */
void log_line(struct log_limit *limit, enum log_level level, const char *area,
              const char *format, ...) __attribute__((format(printf, 4, 5)));
void log_line_va(struct log_limit *limit, enum log_level level,
                 const char *area, const char *format, va_list ap)
    __attribute__((format(printf, 4, 0)));

#define LOG_LIMITED_(level, area, ...)                   \
    do {                                                 \
        static struct log_limit limit_;                  \
        if (log_wants(level))                            \
            log_line(&limit_, level, area, __VA_ARGS__); \
    } while (0)

#define log_error(area, ...) LOG_LIMITED_(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...)  LOG_LIMITED_(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...)  log_line(NULL, LOG_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) LOG_LIMITED_(LOG_DEBUG, area, __VA_ARGS__)

#endif
