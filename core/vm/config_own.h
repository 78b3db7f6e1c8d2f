/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that make up configurations. */
#ifndef VM_CONFIG_OWN_H
#define VM_CONFIG_OWN_H

#include "vm/config.h"

/* Splits "a,b=c" at commas; ",," is a comma.  (config.c) */
GPtrArray *config_split_commas(const char *text);

/* (config_drive.c) */
bool config_add_drive(struct vm_config *c, enum config_drive_kind kind,
                      const char *key, const char *value, GError **error);
bool config_check_drives(const struct vm_config *c, GError **error);

#endif
