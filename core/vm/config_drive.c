/* SPDX-License-Identifier: Apache-2.0 */
/* Drives in a configuration: "FILE[,option=value].." */
#include <string.h>

#include "lib/number.h"
#include "vm/config.h"
#include "vm/config_own.h"
#include "vm/error.h"

#define IDE_DRIVES 4u
#define FLOPPIES   2u

static const char option_list[] =
    "readonly, snapshot, bus=ide|scsi, controller=0..3, lun=0..63, "
    "block=512|4096, vmbus=on|off";

static bool parse_number(const char *text, uint32_t max, int *out)
{
    uint64_t n;

    if (!number_parse(text, &n) || n > max)
        return false;
    *out = (int)n;
    return true;
}

static bool parse_bus(const char *text, struct config_drive *d)
{
    if (strcmp(text, "ide") == 0)
        d->bus = CONFIG_BUS_IDE;
    else if (strcmp(text, "scsi") == 0)
        d->bus = CONFIG_BUS_SCSI;
    else
        return false;
    return true;
}

/* A place on a SCSI controller says which bus it is. */
static bool parse_place(const char *text, uint32_t max, struct config_drive *d,
                        int *out)
{
    if (d->bus == CONFIG_BUS_ANY)
        d->bus = CONFIG_BUS_SCSI;
    return d->bus == CONFIG_BUS_SCSI && parse_number(text, max, out);
}

static bool parse_block(const char *text, struct config_drive *d)
{
    int n;

    if (!parse_number(text, 4096, &n) || (n != 512 && n != 4096))
        return false;
    d->block = (unsigned)n;
    return true;
}

/* Is an IDE disk on VMBus as well? */
static bool parse_path(const char *text, struct config_drive *d)
{
    bool on;

    if (d->kind != CONFIG_DISK || d->bus == CONFIG_BUS_SCSI ||
        !number_parse_bool(text, &on))
        return false;
    d->second_path = on;
    return true;
}

/* False: no such option; *ok: is its value one of its values? */
static bool set_option(struct config_drive *d, const char *name,
                       const char *value, bool *ok)
{
    if (strcmp(name, "readonly") == 0)
        *ok = number_parse_bool(value, &d->readonly);
    else if (strcmp(name, "snapshot") == 0)
        *ok = number_parse_bool(value, &d->snapshot);
    else if (strcmp(name, "bus") == 0)
        *ok = parse_bus(value, d);
    else if (strcmp(name, "controller") == 0)
        *ok = parse_place(value, CONFIG_CONTROLLERS - 1, d, &d->controller);
    else if (strcmp(name, "lun") == 0)
        *ok = parse_place(value, CONFIG_LUNS - 1, d, &d->lun);
    else if (strcmp(name, "block") == 0)
        *ok = parse_block(value, d);
    else if (strcmp(name, "vmbus") == 0)
        *ok = parse_path(value, d);
    else
        return false;
    return true;
}

static bool drive_option(struct config_drive *d, const char *option,
                         const char *key, const char *value, GError **error)
{
    g_auto(GStrv) pair = g_strsplit(option, "=", 2);
    const char *text = pair[1] ? pair[1] : "on";
    bool ok = false;

    if (!set_option(d, pair[0], text, &ok))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "%s '%s': there is no option '%s' (%s)", key, value,
                       option, option_list);
    return ok || vm_fail(error, VM_ERROR_CONFIG,
                         "%s '%s': '%s' is no value of the option '%s' here "
                         "(%s)",
                         key, value, text, pair[0], option_list);
}

bool config_add_drive(struct vm_config *c, enum config_drive_kind kind,
                      const char *key, const char *value, GError **error)
{
    struct config_drive *d = g_new0(struct config_drive, 1);
    GPtrArray *parts = config_split_commas(value);
    bool ok = true;

    d->kind = kind;
    d->controller = d->lun = -1;
    d->path = g_strdup(parts->pdata[0]);
    for (guint i = 1; ok && i < parts->len; i++)
        ok = drive_option(d, parts->pdata[i], key, value, error);
    g_ptr_array_free(parts, TRUE);
    if (ok && !d->path[0] && kind == CONFIG_DISK)
        ok = vm_fail(error, VM_ERROR_CONFIG, "%s '%s': the file is missing",
                     key, value);
    if (ok && kind == CONFIG_FLOPPY && d->bus != CONFIG_BUS_ANY)
        ok =
            vm_fail(error, VM_ERROR_CONFIG,
                    "%s '%s': a floppy drive has a bus of its own", key, value);
    if (ok && kind != CONFIG_DISK && d->block)
        ok = vm_fail(error, VM_ERROR_CONFIG,
                     "%s '%s': only a disk's block size can be chosen", key,
                     value);
    g_ptr_array_add(c->drives, d);
    return ok;
}

bool config_is_scsi(const struct vm_config *c, const struct config_drive *d)
{
    if (d->kind == CONFIG_FLOPPY)
        return false;
    return d->bus == CONFIG_BUS_SCSI ||
           (d->bus == CONFIG_BUS_ANY && c->generation == 2);
}

static bool check_drive(const struct vm_config *c, const struct config_drive *d,
                        GError **error)
{
    if (c->generation == 2 && d->kind == CONFIG_FLOPPY)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a Generation 2 machine has no floppy drives");
    if (c->generation == 2 && d->bus == CONFIG_BUS_IDE)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a Generation 2 machine has no IDE controller ('%s')",
                       d->path);
    if (d->block && d->block != 512 && !config_is_scsi(c, d))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "an IDE disk has blocks of 512 bytes ('%s')", d->path);
    return true;
}

bool config_check_drives(const struct vm_config *c, GError **error)
{
    unsigned ide = 0, floppies = 0, scsi = 0;

    for (guint i = 0; i < c->drives->len; i++) {
        const struct config_drive *d = c->drives->pdata[i];

        if (!check_drive(c, d, error))
            return false;
        if (d->kind == CONFIG_FLOPPY)
            floppies++;
        else if (config_is_scsi(c, d))
            scsi++;
        else
            ide++;
    }
    if (ide > IDE_DRIVES)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a machine has at most 4 IDE disks and CD-ROM drives; "
                       "bus=scsi has room for more");
    if (floppies > FLOPPIES)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a machine has at most 2 floppy drives");
    if (scsi && !c->hv)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "SCSI drives need Hyper-V's interface (hv=on)");
    return true;
}

bool config_disk(struct vm_config *c, const char *path, const char *options,
                 GError **error)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    g_autofree char *escaped = g_strjoinv(",,", parts);
    g_autofree char *value =
        g_strconcat(escaped, options[0] ? "," : "", options, NULL);
    const struct config_drive *d;

    if (!config_add_drive(c, CONFIG_DISK, "disk", value, error))
        return false;
    d = c->drives->pdata[c->drives->len - 1];
    return d->bus != CONFIG_BUS_IDE ||
           vm_fail(error, VM_ERROR_CONFIG, "IDE disks cannot be added");
}
