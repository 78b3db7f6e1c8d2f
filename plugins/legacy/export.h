/* SPDX-License-Identifier: Apache-2.0 */
/* The entry symbol of a plugin of this folder: EXPORT_DEVICES("i8254",
 * "Intel 8254 interval timer", &i8254_desc, ...); at the end of its file. */
#ifndef LEGACY_EXPORT_H
#define LEGACY_EXPORT_H

#include "export_plugin.h"

#define EXPORT_DEVICES(id_, title_, ...) \
    EXPORT_PLUGIN("legacy." id_, title_, __VA_ARGS__)

#endif
