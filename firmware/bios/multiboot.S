/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot: starts a Multiboot kernel under a BIOS.  It takes the place of a
 * Linux kernel's real-mode setup code, so that linuxboot loads it, and it is
 * entered as such: segments at its first byte, 200h behind it the code.
 * The kernel lies in memory already.  What it needs to know the host has
 * written into `head` (core/vm/multiboot.c).
 *
 * The memory map is what the BIOS says.
 *
 * Source: Multiboot Specification 0.6.96, chapter 3.
 */
        .code16

        .equ MAGIC, 0x2badb002
        .equ CODE, 0x08
        .equ DATA, 0x10
        .equ MAP_MOST, 32               /* entries */
        .equ ENTRY, 24                  /* bytes, with the size before it */

        .section .head, "ax"
        .byte 0x55, 0xaa, 0             /* for seal-rom; not read by a BIOS */
        .org 0x20
entry:  .long 0                         /* of the kernel */
cmdline:
        .long 0                         /* linear addresses */
modules:
        .long 0                         /* 0 or 1 */
module: .long 0, 0, 0, 0                /* start, end, string, reserved */

        .balign 8
gdt:    .quad 0
        .quad 0x00cf9b000000ffff
        .quad 0x00cf93000000ffff
gdtr:   .word . - gdt - 1
gdt_at: .long gdt
        .balign 4
info:   .long 0x24d     /* memory, command line, modules, map, name */
lower:  .long 0
upper:  .long 0
        .long 0                         /* boot device */
info_cmdline:
        .long 0
info_modules:
        .long 0
info_module_at:
        .long module
        .long 0, 0, 0, 0
map_bytes:
        .long 0
map_at: .long map
        .long 0, 0, 0
name_at:
        .long name
        .long 0, 0, 0, 0, 0, 0
name:   .asciz "Backplane"

        .org 0x200
        sti
        cld
        xorl    %ebp, %ebp
        movw    %ds, %bp
        shll    $4, %ebp                /* where all this is */
        addl    %ebp, gdt_at
        addl    %ebp, info_module_at
        addl    %ebp, map_at
        addl    %ebp, name_at
        movl    cmdline, %eax
        movl    %eax, info_cmdline
        movl    modules, %eax
        movl    %eax, info_modules

        int     $0x12
        movzwl  %ax, %eax
        movl    %eax, lower
        movw    $0x8800, %ax            /* KiB above 1 MiB, up to 63 MiB */
        int     $0x15
        movzwl  %ax, %eax
        movl    %eax, upper
        call    read_map

        movw    $0x2401, %ax            /* A20 */
        int     $0x15
        cli
        movl    entry, %edi
        leal    info(%ebp), %ebx
        lgdtl   gdtr
        leal    flat(%ebp), %eax
        pushl   $CODE
        pushl   %eax
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        lretl

        .code32
flat:   movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $MAGIC, %eax
        jmp     *%edi
        .code16

/* The BIOS's map; memory from 1 MiB on gives `upper`. */
read_map:
        movw    $map, %di
        xorl    %ebx, %ebx
1:      movl    $0xe820, %eax
        movl    $0x534d4150, %edx       /* SMAP */
        movl    $20, %ecx
        movl    $20, (%di)
        addw    $4, %di
        int     $0x15
        jc      3f
        cmpl    $0x534d4150, %eax
        jne     3f
        cmpl    $0x100000, (%di)
        jne     2f
        cmpl    $1, 16(%di)
        jne     2f
        movl    8(%di), %eax
        shrl    $10, %eax
        movl    %eax, upper
2:      addw    $20, %di
        addl    $ENTRY, map_bytes
        cmpl    $MAP_MOST * ENTRY, map_bytes
        jae     3f
        testl   %ebx, %ebx
        jnz     1b
3:      ret

        .balign 4
map:    .skip MAP_MOST * ENTRY
