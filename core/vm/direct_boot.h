/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a kernel (of Linux, or Multiboot) on a board without firmware: at
 * each reset, kernel, initial RAM disk and tables are copied into guest
 * memory, and the first processor gets the state that the boot protocol asks
 * for.
 */
#ifndef VM_DIRECT_BOOT_H
#define VM_DIRECT_BOOT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct direct_boot;
struct linux_kernel;

enum { DIRECT_RAM = 1, DIRECT_RESERVED = 2 }; /* types of E820 */

/* Takes what *k holds. */
struct direct_boot *direct_boot_new(struct vm *vm, struct linux_kernel *k);
/* NULL is fine. */
void direct_boot_free(struct direct_boot *b);
/* One more line of the memory map, and bytes that are to lie in memory. */
void direct_boot_range(struct direct_boot *b, uint64_t first, uint64_t bytes,
                       uint32_t type);
void direct_boot_place(struct direct_boot *b, uint64_t at, GByteArray *bytes);
/* Where the RSDP is. */
void direct_boot_rsdp(struct direct_boot *b, uint64_t at);
/* After processors and devices were reset.  [stopped] */
void direct_boot_enter(struct direct_boot *b);

#endif
