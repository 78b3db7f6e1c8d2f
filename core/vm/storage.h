/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI controllers of a machine, and their drives. */
#ifndef VM_STORAGE_H
#define VM_STORAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct assembly;
struct block_drive;
struct config_drive;
struct device;
struct vm;

/*
 * Controllers "scsi0" .. and the drives of the configuration that are on
 * them: at least one controller, so that disks can be added.  vmbus: there
 * is one; without it the machine can have no SCSI drive.
 */
bool storage_add_scsi(struct assembly *a, bool vmbus);
/* The fast path to each IDE disk, beside piix4-ide's (places 0 to 3; NULL:
 * none).  Nothing when there is no VMBus. */
bool storage_add_ide_paths(struct assembly *a,
                           struct block_drive *const drives[4]);

bool storage_has_ide_paths(struct vm *vm);

/* While the machine runs.  The name of the new drive is to be freed; NULL on
 * failure.  [control thread] */
char *storage_add_disk(struct vm *vm, const struct config_drive *disk,
                       GError **error);
bool storage_remove_disk(struct vm *vm, const char *name, GError **error);
/* Where a drive is: its controller and unit; false: on none. */
bool storage_place(struct vm *vm, const struct block_drive *drive,
                   struct device **controller, uint32_t *lun);

#endif
