/* SPDX-License-Identifier: Apache-2.0 */
/* The entry symbol of a plugin of this folder: EXPORT_DEVICES("vmbus", "VMBus",
 * &vmbus_desc, ...); at the end of its file. */
#ifndef SYNTHETIC_EXPORT_H
#define SYNTHETIC_EXPORT_H

#include <backplane/backplane.h>

#define EXPORT_DEVICES(id_, title_, ...)                             \
    static const struct bp_device_desc *const exported_devices[] = { \
        __VA_ARGS__, NULL                                            \
    };                                                               \
    const struct bp_plugin bp_plugin = {                             \
        .size = sizeof(struct bp_plugin),                            \
        .abi_major = BP_ABI_MAJOR,                                   \
        .abi_minor = BP_ABI_MINOR,                                   \
        .id = "synthetic." id_,                                      \
        .title = title_,                                             \
        .licence = "Apache-2.0",                                     \
        .devices = exported_devices,                                 \
    }

#endif
