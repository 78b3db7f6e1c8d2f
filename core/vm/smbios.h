/* SPDX-License-Identifier: Apache-2.0 */
/* SMBIOS 2.8 structures of the board. */
#ifndef VM_SMBIOS_H
#define VM_SMBIOS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct smbios_board {
    const char *name; /* of the machine */
    unsigned cpus;
    uint64_t memory; /* bytes */
    uint8_t uuid[16];
    bool ide_paths; /* IDE disks are on VMBus as well */
};

/* Structures and the 31-byte entry point; table address and checksums are
 * filled in by the firmware.  The caller owns both. */
void smbios_build(const struct smbios_board *board, GByteArray **anchor,
                  GByteArray **tables);

#endif
