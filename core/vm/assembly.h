/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machines of both generations are put together with: drives,
 * ports, devices and processors of a configuration.
 *
 * Functions return false with one sentence in *a->error; what they made
 * belongs to the machine and goes with it.
 */
#ifndef VM_ASSEMBLY_H
#define VM_ASSEMBLY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vm/board.h"

struct block_drive;
struct config_drive;
struct vm;
struct vm_config;

struct assembly {
    struct vm *vm;
    const struct vm_config *config;
    unsigned serials; /* set by assembly_ports() */
    GError **error;
};

/* The file's path, in the first of the folders that has it; NULL: none.  To
 * be freed. */
char *find_firmware(const char *name);

/* The board of the configuration, and the guest's date at the start.  What
 * differs between the machines is in *board. */
bool assembly_board(struct assembly *a, struct board_options *board);

/* NULL on failure. */
struct block_drive *assembly_drive(struct assembly *a, const char *name,
                                   const struct config_drive *from);
/* Back ends of serial ports, at least `fewest`, and the debug port's. */
bool assembly_ports(struct assembly *a, unsigned fewest);

/* A device of type `id`, named `name` (NULL: like its type).  settings:
 * "property=value", NULL ends them. */
bool assembly_add(struct assembly *a, const char *id, const char *name,
                  const char *const *settings);
/* The settings end at the first NULL. */
#define add(a, id, ...) \
    assembly_add(a, id, NULL, (const char *const[]){ __VA_ARGS__ })
/* A part without which the machine still works, in a small installation:
 * false, and a warning, when there is no plugin with it. */
bool assembly_has(struct assembly *a, const char *id);
bool assembly_serials(struct assembly *a);
/* The hypervisor interface; VMBus and what sits on it, in an installation
 * that has them. */
bool assembly_synthetic(struct assembly *a);
/* Network adapters; vmbus: the machine has one.  (nics.c) */
bool assembly_nics(struct assembly *a, bool vmbus);
bool assembly_user_devices(struct assembly *a);
/* All devices were added. */
bool assembly_realize(struct assembly *a);
/* Processors, and the lines that end in them. */
bool assembly_processors(struct assembly *a);
/* The same machine has the same UUID at each start. */
void assembly_uuid(const struct assembly *a, uint8_t uuid[16]);

#endif
