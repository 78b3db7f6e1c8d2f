/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/load.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <backplane/version.h>

#include "config.h"
#include "lib/log.h"
#include "state/field.h"
#include "vm/error.h"

#define MAX_INSTANCE (64u << 20)

struct plugins {
    GPtrArray *all; /* struct plugin * */
};

static void plugin_free(gpointer opaque)
{
    struct plugin *p = opaque;

    if (p->devices)
        g_ptr_array_free(p->devices, TRUE);
    if (p->handle)
        dlclose(p->handle);
    g_free(p->path);
    g_free(p);
}

struct plugins *plugins_create(void)
{
    struct plugins *p = g_new0(struct plugins, 1);

    p->all = g_ptr_array_new_with_free_func(plugin_free);
    return p;
}

void plugins_destroy(struct plugins *p)
{
    if (!p)
        return;
    g_ptr_array_free(p->all, TRUE);
    g_free(p);
}

/* --- descriptors ----------------------------------------------------------*/

static bool is_id(const char *id)
{
    if (!id || !g_ascii_islower(id[0]) || strlen(id) > 63)
        return false;
    return strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(id);
}

static uint32_t property_bytes(const struct bp_property *p)
{
    switch (p->type) {
    case BP_PROP_BOOL:
    case BP_PROP_UINT:
    case BP_PROP_CHOICE: return 4;
    case BP_PROP_SIZE: return 8;
    case BP_PROP_STRING:
    case BP_PROP_BLOCK:
    case BP_PROP_CHAR:
    case BP_PROP_NET: return sizeof(void *);
    }
    return 0;
}

static char *check_property(const struct bp_device_desc *desc,
                            const struct bp_property *p)
{
    uint32_t bytes = property_bytes(p);
    uint64_t limit = p->type == BP_PROP_SIZE ? UINT64_MAX : UINT32_MAX;

    if (!bytes)
        return g_strdup_printf("property '%s' has an unknown type", p->name);
    if ((uint64_t)p->offset + bytes > desc->instance_size || p->offset % bytes)
        return g_strdup_printf("property '%s' lies outside the instance",
                               p->name);
    for (const struct bp_property *q = desc->properties; q < p; q++) {
        if (strcmp(q->name, p->name) == 0)
            return g_strdup_printf("property '%s' is there twice", p->name);
    }
    if (p->type == BP_PROP_CHOICE) {
        uint64_t n = 0;
        while (p->choices && p->choices[n])
            n++;
        if (p->number >= n)
            return g_strdup_printf("property '%s' has no such choice", p->name);
        return NULL;
    }
    if (p->number > limit || p->min > p->max ||
        ((p->min || p->max) && (p->number < p->min || p->number > p->max)))
        return g_strdup_printf("the default of property '%s' is out of "
                               "range",
                               p->name);
    return NULL;
}

char *device_desc_check(const struct bp_device_desc *desc)
{
    if (!is_id(desc->id))
        return g_strdup("its id is not made of a-z, 0-9 and '-'");
    if (!desc->title)
        return g_strdup("it has no title");
    if (!desc->instance_size || desc->instance_size > MAX_INSTANCE)
        return g_strdup_printf("an instance of %u bytes is impossible",
                               desc->instance_size);
    if (!desc->create)
        return g_strdup("it has no create()");
    if (!desc->reset)
        return g_strdup("it has no reset()");
    if (desc->lane_rank > 2)
        return g_strdup_printf("there is no lane rank %u", desc->lane_rank);
    if ((uint64_t)desc->state_offset + desc->state_size > desc->instance_size)
        return g_strdup("its state lies outside the instance");
    for (const struct bp_property *p = desc->properties; p && p->name; p++) {
        char *reason = check_property(desc, p);
        if (reason)
            return reason;
    }
    return desc->fields ? fields_check(desc->fields, desc->state_offset,
                                       desc->state_size)
                        : NULL;
}

/* --- loading --------------------------------------------------------------*/

static struct device_type *find_type(struct plugins *p, const char *id)
{
    for (guint i = 0; i < p->all->len; i++) {
        const struct plugin *plugin = p->all->pdata[i];
        for (guint k = 0; k < plugin->devices->len; k++) {
            struct device_type *t = plugin->devices->pdata[k];
            if (!t->shadowed && strcmp(t->desc.id, id) == 0)
                return t;
        }
    }
    return NULL;
}

/* The entry's head: enough to say whether the rest may be read. */
static bool check_abi(const struct plugin *plugin, GError **error)
{
    const struct bp_plugin *e = plugin->entry;

    if (e->size < offsetof(struct bp_plugin, id))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "plugin '%s': its entry is too short", plugin->path);
    if (e->abi_major != BP_ABI_MAJOR)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "plugin '%s' was built for plugin ABI %u.%u, this "
                       "program has %u.%u",
                       plugin->path, e->abi_major, e->abi_minor, BP_ABI_MAJOR,
                       BP_ABI_MINOR);
    if (BP_ABI_MAJOR == 0 ? e->abi_minor != BP_ABI_MINOR
                          : e->abi_minor > BP_ABI_MINOR)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "plugin '%s' was built for plugin ABI %u.%u, this "
                       "program has %u.%u",
                       plugin->path, e->abi_major, e->abi_minor, BP_ABI_MAJOR,
                       BP_ABI_MINOR);
    if (e->size < sizeof(struct bp_plugin) || !e->id || !e->title ||
        !e->licence || !e->devices)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "plugin '%s': its entry is incomplete", plugin->path);
    return true;
}

static bool add_device(struct plugins *p, struct plugin *plugin,
                       const struct bp_device_desc *from, GError **error)
{
    struct device_type *t = g_new0(struct device_type, 1);

    g_ptr_array_add(plugin->devices, t);
    if (from->size < offsetof(struct bp_device_desc, loaded))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "plugin '%s': a device descriptor is too short",
                       plugin->path);
    memcpy(&t->desc, from, MIN(from->size, sizeof(t->desc)));
    t->plugin = plugin;
    char *reason = device_desc_check(&t->desc);
    if (reason) {
        vm_fail(error, VM_ERROR_CONFIG, "plugin '%s', device '%s': %s",
                plugin->path, t->desc.id ? t->desc.id : "?", reason);
        g_free(reason);
        return false;
    }
    for (guint i = 0; i + 1 < plugin->devices->len; i++) {
        const struct device_type *other = plugin->devices->pdata[i];
        if (strcmp(other->desc.id, t->desc.id) == 0)
            return vm_fail(error, VM_ERROR_CONFIG,
                           "plugin '%s' has two devices '%s'", plugin->path,
                           t->desc.id);
    }
    t->shadowed = find_type(p, t->desc.id) != NULL;
    if (t->shadowed)
        log_debug("plugin", "'%s' of '%s' is there already", t->desc.id,
                  plugin->path);
    return true;
}

static bool read_plugin(struct plugins *p, struct plugin *plugin,
                        GError **error)
{
    const char *slash = strchr(plugin->path, '/') ? "" : "./";
    char *path = g_strconcat(slash, plugin->path, NULL);

    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    g_free(path);
    if (!plugin->handle)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "plugin '%s' cannot be loaded: %s", plugin->path,
                       dlerror());
    plugin->entry = dlsym(plugin->handle, BP_PLUGIN_SYMBOL);
    if (!plugin->entry)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'%s' is no Backplane plugin: it has no symbol '%s'",
                       plugin->path, BP_PLUGIN_SYMBOL);
    if (!check_abi(plugin, error))
        return false;
    for (guint i = 0; plugin->entry->devices[i]; i++) {
        if (!add_device(p, plugin, plugin->entry->devices[i], error))
            return false;
    }
    return true;
}

bool plugins_load_file(struct plugins *p, const char *path, GError **error)
{
    struct plugin *plugin = g_new0(struct plugin, 1);

    plugin->path = g_strdup(path);
    plugin->devices = g_ptr_array_new_with_free_func(g_free);
    if (!read_plugin(p, plugin, error)) {
        plugin_free(plugin);
        return false;
    }
    g_ptr_array_add(p->all, plugin);
    return true;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void plugins_load_folder(struct plugins *p, const char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (g_str_has_suffix(name, ".so"))
            g_ptr_array_add(names, g_build_filename(folder, name, NULL));
    }
    if (dir)
        g_dir_close(dir);
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        GError *error = NULL;
        if (!plugins_load_file(p, names->pdata[i], &error)) {
            log_line(NULL, LOG_WARN, "plugin", "%s", error->message);
            g_error_free(error);
        }
    }
    g_ptr_array_free(names, TRUE);
}

static void load_pair(struct plugins *p, const char *base)
{
    static const char *const kinds[] = { "legacy", "synthetic" };

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        char *folder = g_build_filename(base, kinds[i], NULL);
        plugins_load_folder(p, folder);
        g_free(folder);
    }
}

void plugins_load_standard(struct plugins *p)
{
    const char *path = g_getenv("BP_PLUGIN_PATH");
    char *program = g_file_read_link("/proc/self/exe", NULL);

    if (path && !getauxval(AT_SECURE)) {
        char **folders = g_strsplit(path, ":", -1);
        for (char **f = folders; *f; f++) {
            if (**f)
                plugins_load_folder(p, *f);
        }
        g_strfreev(folders);
    }
    if (program) {
        char *beside = g_path_get_dirname(program);
        char *folder = g_build_filename(beside, "plugins", NULL);
        load_pair(p, folder);
        g_free(folder);
        g_free(beside);
    }
    g_free(program);
    load_pair(p, BP_PLUGIN_DIR);
}

/* --- asking ---------------------------------------------------------------*/

const struct bp_device_desc *plugins_find(struct plugins *p, const char *id)
{
    struct device_type *t = find_type(p, id);

    return t ? &t->desc : NULL;
}

void plugins_foreach(struct plugins *p,
                     void (*fn)(const struct device_type *type, void *opaque),
                     void *opaque)
{
    for (guint i = 0; i < p->all->len; i++) {
        const struct plugin *plugin = p->all->pdata[i];
        for (guint k = 0; k < plugin->devices->len; k++)
            fn(plugin->devices->pdata[k], opaque);
    }
}

const char *device_class_name(uint32_t device_class)
{
    static const char *const names[] = {
        [BP_CLASS_OTHER] = "other",         [BP_CLASS_BRIDGE] = "bridge",
        [BP_CLASS_INTERRUPT] = "interrupt", [BP_CLASS_TIMER] = "timer",
        [BP_CLASS_STORAGE] = "storage",     [BP_CLASS_NETWORK] = "network",
        [BP_CLASS_DISPLAY] = "display",     [BP_CLASS_INPUT] = "input",
        [BP_CLASS_CHARACTER] = "character", [BP_CLASS_FIRMWARE] = "firmware",
        [BP_CLASS_AUDIO] = "audio",         [BP_CLASS_BUS] = "bus",
    };

    return device_class < G_N_ELEMENTS(names) ? names[device_class] : "other";
}

struct similar {
    const char *id, *best;
    size_t score;
};

/* Letters that two ids have in common, pair by pair: crude and enough. */
static void score(const struct device_type *type, void *opaque)
{
    struct similar *s = opaque;
    size_t n = 0;

    for (const char *c = s->id; c[0] && c[1]; c++) {
        char pair[3] = { c[0], c[1], 0 };
        n += strstr(type->desc.id, pair) != NULL;
    }
    if (n > s->score) {
        s->score = n;
        s->best = type->desc.id;
    }
}

const char *plugins_similar(struct plugins *p, const char *id)
{
    struct similar s = { id, NULL, strlen(id) / 3 };

    plugins_foreach(p, score, &s);
    return s.best;
}
