/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/error.h"

GQuark vm_error_quark(void)
{
    return g_quark_from_static_string("machine");
}

bool vm_fail(GError **error, int code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (error && !*error)
        *error = g_error_new_valist(VM_ERROR, code, format, ap);
    va_end(ap);
    return false;
}
