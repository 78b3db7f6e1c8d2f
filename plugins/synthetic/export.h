/* SPDX-License-Identifier: Apache-2.0 */
/* The entry symbol of a plugin of this folder: EXPORT_DEVICES("vmbus", "VMBus",
 * &vmbus_desc, ...); at the end of its file. */
#ifndef SYNTHETIC_EXPORT_H
#define SYNTHETIC_EXPORT_H

#include "export_plugin.h"

#define EXPORT_DEVICES(id_, title_, ...) \
    EXPORT_PLUGIN("synthetic." id_, title_, __VA_ARGS__)

#endif
