/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and loading plugins; the registry of device types.
 *
 * Order of the search, the first plugin with a device id wins:
 *   1. files given by --plugin
 *   2. folders in $BP_PLUGIN_PATH, unless the process runs with privileges
 *      that its user does not have
 *   3. plugins/legacy and plugins/synthetic beside the program (an
 *      uninstalled build)
 *   4. the folders legacy and synthetic of the installed plugin folder
 */
#ifndef PLUGIN_LOAD_H
#define PLUGIN_LOAD_H

#include <glib.h>
#include <stdbool.h>

#include <backplane/device.h>
#include <backplane/plugin.h>

struct plugins;

struct plugin {
    char *path;
    void *handle; /* of dlopen */
    const struct bp_plugin *entry;
    GPtrArray *devices; /* struct device_type * */
};

struct device_type {
    const struct plugin *plugin;
    struct bp_device_desc desc; /* a copy; members the plugin lacks are 0 */
    bool shadowed;              /* another plugin's device has this id */
};

struct plugins *plugins_create(void);
/* All devices of these plugins are gone. */
void plugins_destroy(struct plugins *p);

/* False with one sentence. */
bool plugins_load_file(struct plugins *p, const char *path, GError **error);
/* Steps 2 to 4.  A plugin that cannot be loaded is warned of and left. */
void plugins_load_standard(struct plugins *p);
/* All *.so of a folder, in order of name; a missing folder is empty. */
void plugins_load_folder(struct plugins *p, const char *folder);

/* NULL when there is no such device. */
const struct bp_device_desc *plugins_find(struct plugins *p, const char *id);
/* In order of loading. */
void plugins_foreach(struct plugins *p,
                     void (*fn)(const struct device_type *type, void *opaque),
                     void *opaque);
const char *device_class_name(uint32_t device_class);
/* The id that is most like a wrong one, or NULL. */
const char *plugins_similar(struct plugins *p, const char *id);

/* What is wrong with a descriptor: NULL, or one clause to be freed. */
char *device_desc_check(const struct bp_device_desc *desc);

#endif
