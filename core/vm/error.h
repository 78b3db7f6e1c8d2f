/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of setting up and controlling a machine: one sentence for the user,
 * lower case at its start, without a full stop, quoting what it is about.
 */
#ifndef VM_ERROR_H
#define VM_ERROR_H

#include <glib.h>
#include <stdbool.h>

#define VM_ERROR vm_error_quark()
GQuark vm_error_quark(void);

enum {
    VM_ERROR_CONFIG, /* what the user asked for cannot be */
    VM_ERROR_RUN,    /* it went wrong later */
};

/* Sets *error and returns false. */
bool vm_fail(GError **error, int code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

#endif
