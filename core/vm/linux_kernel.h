/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a Linux kernel (anything that follows the x86 boot protocol 2.02 or
 * later: bzImage, memtest86+, iPXE's .lkrn) for the linuxboot option ROM.
 */
#ifndef VM_LINUX_KERNEL_H
#define VM_LINUX_KERNEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;

/*
 * Reads the files, checks and completes the setup header and adds the items
 * that firmware/bios/linuxboot.S fetches, and the ROM itself.  initrd and
 * append may be NULL.  low_memory: bytes of memory below 4 GiB.
 */
bool linux_kernel_add(struct vm *vm, const char *kernel, const char *initrd,
                      const char *append, uint64_t low_memory, const char *rom,
                      GError **error);

#endif
