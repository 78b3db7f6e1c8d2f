/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel to start without a boot loader: anything that follows Linux' x86
 * boot protocol 2.02 or later (bzImage, memtest86+, iPXE's .lkrn), and
 * Multiboot kernels (multiboot.h).
 */
#ifndef VM_LINUX_KERNEL_H
#define VM_LINUX_KERNEL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

/* Where things are put in guest memory. */
#define LINUX_CMDLINE_AT 0x20000u /* 16 KiB at most */
#define LINUX_KERNEL_AT  0x100000u

/* All zeros at first. */
struct linux_kernel {
    uint8_t *setup; /* real-mode part, its header completed */
    size_t setup_bytes;
    GBytes *image; /* the rest, for image_at */
    uint32_t image_at;
    bool multiboot; /* vm/multiboot.h, with ... */
    uint32_t entry; /* ... its 32-bit entry */
    GBytes *initrd; /* empty: none */
    uint32_t initrd_at;
    char *append;
};

/* Reads and checks the files.  initrd and append may be NULL.  low_memory:
 * bytes of memory below 4 GiB. */
bool linux_kernel_load(struct linux_kernel *k, const char *kernel,
                       const char *initrd, const char *append,
                       uint64_t low_memory, GError **error);
/* Also after a failure. */
void linux_kernel_clear(struct linux_kernel *k);

/* Adds the items that firmware/bios/linuxboot.S fetches, and that ROM.  A
 * Multiboot kernel has had multiboot_setup(). */
bool linux_kernel_add(struct vm *vm, const struct linux_kernel *k,
                      const char *rom, GError **error);

#endif
