/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of the Multiboot Specification (version 1): ELF images, and flat
 * ones that say where they go.  64-bit ELF kernels are entered in 32-bit
 * mode too, as GRUB does; they go on from there.
 */
#ifndef VM_MULTIBOOT_H
#define VM_MULTIBOOT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct linux_kernel;

struct multiboot_range { /* of the memory map */
    uint64_t first, bytes;
    uint32_t type; /* 1: RAM */
};

#define MULTIBOOT_MAGIC 0x2badb002u /* in EAX at the entry */

/* Is there a header? */
bool multiboot_is(const uint8_t *file, size_t n);
/*
 * Fills in k->image, image_at, entry and initrd_at.  `k` has append and
 * initrd (empty: none) already.  low_memory: bytes below 4 GiB.
 */
bool multiboot_load(struct linux_kernel *k, const char *path,
                    const uint8_t *file, size_t n, uint64_t low_memory,
                    GError **error);
/* Sets k->setup to the code that starts it under a BIOS, from this file. */
bool multiboot_setup(struct linux_kernel *k, const char *start_code,
                     GError **error);
/* The information structure with all it points to but the command line, as
 * it is to lie at `at`; to be freed. */
GByteArray *multiboot_info(const struct linux_kernel *k, uint32_t at,
                           const struct multiboot_range *ranges,
                           unsigned count);

#endif
