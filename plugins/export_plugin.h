/* SPDX-License-Identifier: Apache-2.0 */
/* The entry symbol of a plugin of ours. */
#ifndef PLUGINS_EXPORT_PLUGIN_H
#define PLUGINS_EXPORT_PLUGIN_H

#include <backplane/backplane.h>

/* id: "folder.device"; behind the title the descriptors. */
#define EXPORT_PLUGIN(id_, title_, ...)                              \
    static const struct bp_device_desc *const exported_devices[] = { \
        __VA_ARGS__, NULL                                            \
    };                                                               \
    const struct bp_plugin bp_plugin = {                             \
        .size = sizeof(struct bp_plugin),                            \
        .abi_major = BP_ABI_MAJOR,                                   \
        .abi_minor = BP_ABI_MINOR,                                   \
        .id = id_,                                                   \
        .title = title_,                                             \
        .licence = "Apache-2.0",                                     \
        .devices = exported_devices,                                 \
    }

#endif
