/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/storage.h"

#include <string.h>

#include "block/block.h"
#include "plugin/bay.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "vm/assembly.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/vm.h"

#define TYPE "storvsp"

/* --- assembly -------------------------------------------------------------*/

/* Drives by place; a machine has few, and this is not for long. */
struct places {
    struct block_drive *drive[CONFIG_CONTROLLERS][CONFIG_LUNS];
    unsigned controllers;
};

static bool is_free(const struct places *p, int controller, int lun)
{
    return !p->drive[controller][lun];
}

/* The first free place that the drive's options allow. */
static bool find_place(const struct places *p, const struct config_drive *d,
                       int *controller, int *lun)
{
    int last = d->controller < 0 ? (int)CONFIG_CONTROLLERS - 1 : d->controller;

    for (int c = MAX(d->controller, 0); c <= last; c++) {
        for (int l = MAX(d->lun, 0); l < (int)CONFIG_LUNS; l++) {
            if (is_free(p, c, l)) {
                *controller = c;
                *lun = l;
                return true;
            }
            if (d->lun >= 0)
                break;
        }
    }
    return false;
}

static bool place_drive(struct assembly *a, struct places *p,
                        const struct config_drive *from, const char *name)
{
    struct block_drive *drive = assembly_drive(a, name, from);
    int controller, lun;

    if (!drive)
        return false;
    if (!find_place(p, from, &controller, &lun))
        return vm_fail(a->error, VM_ERROR_CONFIG,
                       "there is no free place for '%s' where it wants to be",
                       from->path);
    p->drive[controller][lun] = drive;
    p->controllers = MAX(p->controllers, (unsigned)controller + 1);
    return true;
}

/* Drives with a wish come first, whatever their order; names count all. */
static bool place_drives(struct assembly *a, struct places *p, bool wishes)
{
    unsigned count[2] = { 0, 0 };

    for (guint i = 0; i < a->config->drives->len; i++) {
        const struct config_drive *from = a->config->drives->pdata[i];
        bool cd = from->kind == CONFIG_CDROM;
        char name[16];

        if (from->kind == CONFIG_FLOPPY)
            continue;
        g_snprintf(name, sizeof(name), "%s%u", cd ? "cd" : "disk", count[cd]++);
        if (!config_is_scsi(a->config, from) || (from->lun >= 0) != wishes)
            continue;
        if (!place_drive(a, p, from, name))
            return false;
    }
    return true;
}

static bool add_controller(struct assembly *a, const struct places *p,
                           unsigned n)
{
    GPtrArray *settings = g_ptr_array_new_with_free_func(g_free);
    char name[16];

    g_snprintf(name, sizeof(name), "scsi%u", n);
    g_ptr_array_add(settings, g_strdup_printf("controller=%u", n));
    for (unsigned i = 0; i < CONFIG_LUNS; i++) {
        if (p->drive[n][i])
            g_ptr_array_add(settings, g_strdup_printf("lun%u=%s", i,
                                                      p->drive[n][i]->name));
    }
    g_ptr_array_add(settings, NULL);
    bool ok = assembly_add(a, TYPE, name, (const char *const *)settings->pdata);
    g_ptr_array_free(settings, TRUE);
    return ok;
}

static bool has_scsi_drives(const struct vm_config *c)
{
    for (guint i = 0; i < c->drives->len; i++) {
        if (config_is_scsi(c, c->drives->pdata[i]))
            return true;
    }
    return false;
}

bool storage_add_scsi(struct assembly *a, bool vmbus)
{
    g_autofree struct places *p = g_new0(struct places, 1);

    if (!vmbus || !plugins_find(a->vm->plugins, TYPE))
        return !has_scsi_drives(a->config) ||
               vm_fail(a->error, VM_ERROR_CONFIG,
                       "SCSI drives need the plugins 'vmbus' and '" TYPE
                       "', and the interface hv.synic");
    p->controllers = 1;
    if (!place_drives(a, p, true) || !place_drives(a, p, false))
        return false;
    for (unsigned i = 0; i < p->controllers; i++) {
        if (!add_controller(a, p, i))
            return false;
    }
    return true;
}

bool storage_add_ide_paths(struct assembly *a,
                           struct block_drive *const drives[4])
{
    if (!device_find(a->vm, "vmbus") || !plugins_find(a->vm->plugins, TYPE))
        return true;
    for (unsigned i = 0; i < 4; i++) {
        char controller[24], target[24], lun[40], name[16], path[32];
        const char *settings[] = { "kind=ide", controller, target, lun, NULL };

        if (!drives[i] || drives[i]->kind != BLOCK_DISK)
            continue;
        g_snprintf(path, sizeof(path), "%s.vmbus", drives[i]->name);
        g_ptr_array_add(a->vm->drives, block_drive_share(drives[i], path));
        g_snprintf(name, sizeof(name), "ide%u", i);
        g_snprintf(controller, sizeof(controller), "controller=%u", i / 2);
        g_snprintf(target, sizeof(target), "target=%u", i % 2);
        g_snprintf(lun, sizeof(lun), "lun0=%s", path);
        if (!assembly_add(a, TYPE, name, settings))
            return false;
    }
    return true;
}

bool storage_has_ide_paths(struct vm *vm)
{
    for (unsigned i = 0; i < 4; i++) {
        char name[16];

        g_snprintf(name, sizeof(name), "ide%u", i);
        if (device_find(vm, name))
            return true;
    }
    return false;
}

/* --- while it runs --------------------------------------------------------*/

static struct device *controller_named(struct vm *vm, unsigned n)
{
    char name[16];

    g_snprintf(name, sizeof(name), "scsi%u", n);
    return device_find(vm, name);
}

/* The device and the place for a new disk. */
static struct device *find_room(struct vm *vm, const struct config_drive *disk,
                                uint32_t *place, GError **error)
{
    bool any = disk->controller < 0;
    struct device *d;

    for (unsigned i = any ? 0 : (unsigned)disk->controller;
         (d = controller_named(vm, i)); i++) {
        *place = disk->lun < 0 ? bay_free_place(d) : (uint32_t)disk->lun;
        /* bay_plug() says what is wrong with a place that was asked for. */
        if (!any || (*place < bay_places(d) && !bay_drive(d, *place)))
            return d;
    }
    if (any)
        vm_fail(error, VM_ERROR_RUN,
                "the machine has no SCSI controller with a free place");
    else
        vm_fail(error, VM_ERROR_CONFIG, "there is no SCSI controller %d",
                disk->controller);
    return NULL;
}

/* Commands come at no exact time. */
static bool may_change(struct vm *vm, GError **error)
{
    return !vm->deterministic ||
           vm_fail(error, VM_ERROR_RUN,
                   "a deterministic machine keeps the drives that it began "
                   "with");
}

static bool name_is_taken(struct vm *vm, const char *name)
{
    for (guint i = 0; i < vm->drives->len; i++) {
        const struct block_drive *d = vm->drives->pdata[i];
        if (strcmp(d->name, name) == 0)
            return true;
    }
    return false;
}

static void free_name(struct vm *vm, char name[16])
{
    unsigned n = 0;

    do
        g_snprintf(name, 16, "disk%u", n++);
    while (name_is_taken(vm, name));
}

char *storage_add_disk(struct vm *vm, const struct config_drive *disk,
                       GError **error)
{
    const struct block_options o = {
        .path = disk->path,
        .readonly = disk->readonly,
        .snapshot = disk->snapshot,
        .block = disk->block,
    };
    struct block_drive *drive;
    struct device *d;
    uint32_t place;
    char name[16];

    if (!may_change(vm, error))
        return NULL;
    d = find_room(vm, disk, &place, error);
    if (!d)
        return NULL;
    free_name(vm, name);
    drive = block_drive_create(name, BLOCK_DISK);
    if (!block_drive_insert(drive, &o, error) ||
        !bay_plug(d, place, drive, error)) {
        block_drive_destroy(drive);
        return NULL;
    }
    g_ptr_array_add(vm->drives, drive);
    return g_strdup(name);
}

bool storage_place(struct vm *vm, const struct block_drive *drive,
                   struct device **controller, uint32_t *lun)
{
    for (guint i = 0; i < vm->devices->len; i++) {
        struct device *d = vm->devices->pdata[i];

        for (uint32_t k = 0; k < bay_places(d); k++) {
            if (bay_drive(d, k) != drive)
                continue;
            *controller = d;
            *lun = k;
            return true;
        }
    }
    return false;
}

static struct block_drive *drive_named(struct vm *vm, const char *name)
{
    for (guint i = 0; i < vm->drives->len; i++) {
        struct block_drive *d = vm->drives->pdata[i];
        if (strcmp(d->name, name) == 0)
            return d;
    }
    return NULL;
}

bool storage_remove_disk(struct vm *vm, const char *name, GError **error)
{
    struct block_drive *drive = drive_named(vm, name);
    struct device *d;
    uint32_t place;

    if (!may_change(vm, error))
        return false;
    if (!drive)
        return vm_fail(error, VM_ERROR_CONFIG, "there is no drive '%s'", name);
    if (!storage_place(vm, drive, &d, &place))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "drive '%s' is not on a SCSI controller, it stays",
                       name);
    if (!bay_unplug(d, place, error))
        return false;
    g_ptr_array_remove(vm->drives, drive);
    block_drive_destroy(drive);
    return true;
}
