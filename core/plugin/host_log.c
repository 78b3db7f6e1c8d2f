/* SPDX-License-Identifier: Apache-2.0 */
/* bp.log/1 */
#include "plugin/host.h"

#include <stdarg.h>

#include "plugin/device.h"

static void host_log_line(struct bp_dev *dev, uint32_t level,
                          const char *format, ...) G_GNUC_PRINTF(3, 4);
static void host_guest_error(struct bp_dev *dev, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static void host_log_line(struct bp_dev *dev, uint32_t level,
                          const char *format, ...)
{
    struct device *d = device_of(dev);
    enum log_level l = level > LOG_DEBUG ? LOG_DEBUG : (enum log_level)level;
    va_list ap;

    if (!log_wants(l))
        return;
    va_start(ap, format);
    /* Debug messages are read by who asked for them: all of them. */
    log_line_va(l == LOG_INFO || l == LOG_DEBUG ? NULL : &d->log_limit, l,
                d->name, format, ap);
    va_end(ap);
}

static void host_guest_error(struct bp_dev *dev, const char *format, ...)
{
    struct device *d = device_of(dev);
    va_list ap;

    __atomic_fetch_add(&d->guest_errors, 1, __ATOMIC_RELAXED);
    if (!log_wants(LOG_DEBUG))
        return;
    va_start(ap, format);
    log_line_va(&d->guest_limit, LOG_DEBUG, d->name, format, ap);
    va_end(ap);
}

const struct bp_log host_log = {
    .size = sizeof(struct bp_log),
    .log = host_log_line,
    .guest_error = host_guest_error,
};
