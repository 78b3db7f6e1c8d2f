/* SPDX-License-Identifier: Apache-2.0 */
/* Properties: text from the user, checked and stored in the instance. */
#include "plugin/device.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "char/port.h"
#include "lib/number.h"
#include "net/port.h"
#include "vm/error.h"
#include "vm/vm.h"

const struct bp_property *property_find(const struct bp_device_desc *desc,
                                        const char *name)
{
    for (const struct bp_property *p = desc->properties; p && p->name; p++) {
        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

const char *property_type_name(const struct bp_property *p)
{
    static const char *const names[] = {
        [BP_PROP_BOOL] = "on|off",   [BP_PROP_UINT] = "number",
        [BP_PROP_SIZE] = "size",     [BP_PROP_STRING] = "text",
        [BP_PROP_CHOICE] = "choice", [BP_PROP_BLOCK] = "drive",
        [BP_PROP_CHAR] = "port",     [BP_PROP_NET] = "network port",
    };

    return p->type < G_N_ELEMENTS(names) && names[p->type] ? names[p->type]
                                                           : "unknown";
}

char *property_default(const struct bp_property *p)
{
    switch (p->type) {
    case BP_PROP_BOOL: return g_strdup(p->number ? "on" : "off");
    case BP_PROP_UINT:
        if (p->number > 9 && (p->max > 255 || p->number > 255))
            return g_strdup_printf("0x%" PRIx64, p->number);
        return g_strdup_printf("%" PRIu64, p->number);
    case BP_PROP_SIZE: return number_format_size(p->number);
    case BP_PROP_STRING: return g_strdup(p->text ? p->text : "");
    case BP_PROP_CHOICE: return g_strdup(p->choices[p->number]);
    }
    return g_strdup("");
}

char *property_range(const struct bp_property *p)
{
    if (p->type == BP_PROP_CHOICE) {
        GString *all = g_string_new(p->choices[0]);
        for (uint32_t i = 1; p->choices[i]; i++)
            g_string_append_printf(all, "|%s", p->choices[i]);
        return g_string_free(all, FALSE);
    }
    if ((p->type == BP_PROP_UINT || p->type == BP_PROP_SIZE) &&
        (p->min || p->max))
        return g_strdup_printf("%" PRIu64 "..%" PRIu64, p->min, p->max);
    return NULL;
}

static void *value_at(struct device *d, const struct bp_property *p)
{
    return (uint8_t *)d->self + p->offset;
}

static void store_u32(struct device *d, const struct bp_property *p,
                      uint32_t value)
{
    memcpy(value_at(d, p), &value, sizeof(value));
}

static void store_pointer(struct device *d, const struct bp_property *p,
                          const void *value)
{
    memcpy(value_at(d, p), &value, sizeof(value));
}

static void store_string(struct device *d, const struct bp_property *p,
                         const char *text)
{
    char *copy = g_strdup(text);

    g_ptr_array_add(d->strings, copy);
    store_pointer(d, p, copy);
}

static void set_default(struct device *d, const struct bp_property *p)
{
    switch (p->type) {
    case BP_PROP_BOOL:
    case BP_PROP_UINT:
    case BP_PROP_CHOICE: store_u32(d, p, (uint32_t)p->number); break;
    case BP_PROP_SIZE:
        memcpy(value_at(d, p), &p->number, sizeof(p->number));
        break;
    case BP_PROP_STRING: store_string(d, p, p->text ? p->text : ""); break;
    default: store_pointer(d, p, NULL); break;
    }
}

static bool is_in_range(const struct bp_property *p, uint64_t value)
{
    return (!p->min && !p->max) || (value >= p->min && value <= p->max);
}

static bool refuse_value(struct device *d, const struct bp_property *p,
                         const char *text, GError **error)
{
    char *range = property_range(p);

    vm_fail(error, VM_ERROR_CONFIG,
            "device '%s': '%s' is no valid value of property '%s' (%s%s%s)",
            d->name, text, p->name, property_type_name(p), range ? " " : "",
            range ? range : "");
    g_free(range);
    return false;
}

static bool set_number(struct device *d, const struct bp_property *p,
                       const char *text, GError **error)
{
    uint64_t value;

    if (p->type == BP_PROP_SIZE) {
        if (!number_parse_size(text, &value) || !is_in_range(p, value))
            return refuse_value(d, p, text, error);
        memcpy(value_at(d, p), &value, sizeof(value));
        return true;
    }
    if (!number_parse(text, &value) || value > UINT32_MAX ||
        !is_in_range(p, value))
        return refuse_value(d, p, text, error);
    store_u32(d, p, (uint32_t)value);
    return true;
}

static bool set_choice(struct device *d, const struct bp_property *p,
                       const char *text, GError **error)
{
    for (uint32_t i = 0; p->choices[i]; i++) {
        if (strcmp(p->choices[i], text) == 0) {
            store_u32(d, p, i);
            return true;
        }
    }
    return refuse_value(d, p, text, error);
}

static struct block_drive *drive_named(struct vm *vm, const char *name)
{
    for (guint i = 0; vm->drives && i < vm->drives->len; i++) {
        struct block_drive *drive = vm->drives->pdata[i];
        if (strcmp(drive->name, name) == 0)
            return drive;
    }
    return NULL;
}

void device_release_drive(void *drive)
{
    block_drive_attach(drive, NULL);
}

static void release_port(void *claim)
{
    char_port_attach(claim, NULL);
}

static bool set_drive(struct device *d, const struct bp_property *p,
                      const char *text, GError **error)
{
    struct block_drive *drive = drive_named(d->vm, text);

    if (!drive)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "device '%s': there is no drive '%s' for property "
                       "'%s'",
                       d->name, text, p->name);
    if (drive->lane)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "device '%s': drive '%s' belongs to another device",
                       d->name, text);
    block_drive_attach(drive, d->lane);
    device_claim(d, device_release_drive, drive);
    store_pointer(d, p, drive);
    return true;
}

static bool set_port(struct device *d, const struct bp_property *p,
                     const char *text, GError **error)
{
    struct vm *vm = d->vm;

    for (guint i = 0; vm->ports && i < vm->ports->len; i++) {
        struct char_port *port = vm->ports->pdata[i];
        if (strcmp(port->name, text) != 0)
            continue;
        if (port->lane)
            return vm_fail(error, VM_ERROR_CONFIG,
                           "device '%s': port '%s' belongs to another "
                           "device",
                           d->name, text);
        char_port_attach(port, d->lane);
        device_claim(d, release_port, port);
        store_pointer(d, p, port);
        return true;
    }
    return vm_fail(error, VM_ERROR_CONFIG,
                   "device '%s': there is no port '%s' for property '%s'",
                   d->name, text, p->name);
}

static void release_net(void *claim)
{
    net_port_attach(claim, NULL);
}

static bool set_net(struct device *d, const struct bp_property *p,
                    const char *text, GError **error)
{
    struct vm *vm = d->vm;

    for (guint i = 0; vm->nets && i < vm->nets->len; i++) {
        struct net_port *port = vm->nets->pdata[i];
        if (strcmp(port->name, text) != 0)
            continue;
        if (port->lane)
            return vm_fail(error, VM_ERROR_CONFIG,
                           "device '%s': network port '%s' belongs to "
                           "another device",
                           d->name, text);
        net_port_attach(port, d->lane);
        device_claim(d, release_net, port);
        store_pointer(d, p, port);
        return true;
    }
    return vm_fail(error, VM_ERROR_CONFIG,
                   "device '%s': there is no network port '%s' for property "
                   "'%s'",
                   d->name, text, p->name);
}

static bool set_value(struct device *d, const struct bp_property *p,
                      const char *text, GError **error)
{
    bool on;

    switch (p->type) {
    case BP_PROP_BOOL:
        if (!number_parse_bool(text, &on))
            return refuse_value(d, p, text, error);
        store_u32(d, p, on);
        return true;
    case BP_PROP_UINT:
    case BP_PROP_SIZE: return set_number(d, p, text, error);
    case BP_PROP_STRING: store_string(d, p, text); return true;
    case BP_PROP_CHOICE: return set_choice(d, p, text, error);
    case BP_PROP_BLOCK: return !text[0] || set_drive(d, p, text, error);
    case BP_PROP_CHAR: return !text[0] || set_port(d, p, text, error);
    case BP_PROP_NET: return !text[0] || set_net(d, p, text, error);
    }
    return refuse_value(d, p, text, error);
}

static bool refuse_name(struct device *d, const char *name, GError **error)
{
    GString *known = g_string_new(NULL);

    for (const struct bp_property *p = d->desc->properties; p && p->name; p++)
        g_string_append_printf(known, "%s%s", known->len ? ", " : "", p->name);
    vm_fail(error, VM_ERROR_CONFIG, "device '%s' has no property '%s' (%s%s)",
            d->name, name, known->len ? "it has: " : "it has none", known->str);
    g_string_free(known, TRUE);
    return false;
}

/* The host's own property of every PCI device: an expansion ROM. */
static bool set_romfile(struct device *d, const char *path, GError **error)
{
    GError *why = NULL;
    char *image;
    gsize bytes;

    if (!g_file_get_contents(path, &image, &bytes, &why)) {
        vm_fail(error, VM_ERROR_CONFIG,
                "device '%s': romfile '%s' cannot "
                "be read: %s",
                d->name, path, why->message);
        g_error_free(why);
        return false;
    }
    g_clear_pointer(&d->rom, g_bytes_unref);
    d->rom = g_bytes_new_take(image, bytes);
    return true;
}

static bool set_named(struct device *d, const char *name, const char *value,
                      GError **error)
{
    const struct bp_property *p = property_find(d->desc, name);

    if (p)
        return set_value(d, p, value, error);
    if (strcmp(name, "romfile") == 0)
        return set_romfile(d, value, error);
    return refuse_name(d, name, error);
}

bool device_set_properties(struct device *d, const char *const *settings,
                           GError **error)
{
    for (const struct bp_property *p = d->desc->properties; p && p->name; p++)
        set_default(d, p);
    for (; settings && *settings; settings++) {
        const char *equals = strchr(*settings, '=');
        if (!equals)
            return vm_fail(error, VM_ERROR_CONFIG,
                           "device '%s': '%s' is not of the form "
                           "property=value",
                           d->name, *settings);
        char *name = g_strndup(*settings, (gsize)(equals - *settings));
        bool ok = set_named(d, name, equals + 1, error);
        g_free(name);
        if (!ok)
            return false;
    }
    return true;
}
