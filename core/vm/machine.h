/* SPDX-License-Identifier: Apache-2.0 */
/* A whole machine, made from a configuration. */
#ifndef VM_MACHINE_H
#define VM_MACHINE_H

#include <glib.h>
#include <stdbool.h>

struct vm;
struct vm_config;
struct plugins;

struct assembly;

/*
 * A machine of the configuration's generation, powered on and not running.
 * The configuration and the plugins must outlive it.  NULL with one
 * sentence.
 */
struct vm *machine_create(const struct vm_config *config,
                          struct plugins *plugins, GError **error);
/* Put the parts of one together, for machine_create(). */
bool gen1_assemble(struct assembly *a);
bool gen2_assemble(struct assembly *a);
/* Stopped or not.  NULL is fine. */
void machine_destroy(struct vm *vm);

/* Saves the stopped machine; the file is there whole or not at all. */
bool machine_save(struct vm *vm, const char *path, GError **error);
/* Into a machine of the same configuration that has not run yet. */
bool machine_restore(struct vm *vm, const char *path, GError **error);
/* SHA-256 over the saved form, without what comes from the host; of a
 * stopped machine.  To be freed. */
char *machine_hash(struct vm *vm);
/* (state/machine.c) */

#endif
