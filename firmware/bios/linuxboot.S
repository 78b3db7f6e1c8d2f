/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linuxboot: option ROM that starts a Linux kernel given on the host's
 * command line.
 *
 * It is a boot entry (PnP BEV): the BIOS has finished POST, interrupts 10h,
 * 13h, 15h and 16h work.  Kernel, initrd, command line and setup code are
 * fetched through the DMA interface of fw_cfg; the host (core/vm/
 * linux_kernel.c) has completed the setup header already.  Then the kernel's
 * real-mode entry is entered as its boot protocol asks: all segments at the
 * setup code, stack at the end of that segment.
 *
 * Specifications: BIOS Boot Specification 1.01, Plug and Play BIOS 1.0a
 * section 3; Linux Documentation/x86/boot.rst; QEMU docs/specs/fw_cfg.
 */
        .code16

        /* fw_cfg items: address, size and data of each part */
        .equ KERNEL_ADDR, 0x07
        .equ KERNEL_SIZE, 0x08
        .equ KERNEL_DATA, 0x11
        .equ INITRD_ADDR, 0x0a
        .equ INITRD_SIZE, 0x0b
        .equ INITRD_DATA, 0x12
        .equ CMDLINE_ADDR, 0x13
        .equ CMDLINE_SIZE, 0x14
        .equ CMDLINE_DATA, 0x15
        .equ SETUP_ADDR, 0x16
        .equ SETUP_SIZE, 0x17
        .equ SETUP_DATA, 0x18

        .equ DMA_PORT, 0x518            /* low half; writing it starts */
        .equ DMA_READ_SELECT, 0x0a
        .equ DMA_ERROR, 0x01000000      /* as it lies in memory */

        .equ STACK_TOP, 0xfff0

        .section .head, "ax"
        .byte 0x55, 0xaa
        .byte 0                         /* blocks: by seal-rom */
init:   xorw    %ax, %ax
        lret

        .org 0x18
        .word 0                         /* no PCI data */
        .word pnp
        .balign 16
pnp:    .ascii "$PnP"
        .byte 1                         /* revision */
        .byte 2                         /* length / 16 */
        .word 0                         /* no further header */
        .byte 0
        .byte 0                         /* checksum: by seal-rom */
        .long 0
        .word maker
        .word product
        .byte 0, 0, 0                   /* device type: none */
        .byte 0x10                      /* "not required for boot" */
        .word 0                         /* BCV */
        .word 0
        .word boot                      /* BEV */
        .word 0
        .word 0

maker:  .asciz "Backplane"
product:
        .asciz "Linux kernel (--kernel)"
failed: .asciz "\r\nlinuxboot: the kernel could not be fetched\r\n"

        .text
/* Fetches ecx bytes of item ax to the linear address edi.  Keeps all but
 * eax, ebx, edx. */
fetch:  movl    %edi, %edx
        bswapl  %edx
        pushl   %edx                    /* the control block, from its end */
        pushl   $0
        movl    %ecx, %edx
        bswapl  %edx
        pushl   %edx
        movzwl  %ax, %edx
        shll    $16, %edx
        orl     $DMA_READ_SELECT, %edx
        bswapl  %edx
        pushl   %edx
        xorl    %eax, %eax
        movw    %ss, %ax
        shll    $4, %eax
        movzwl  %sp, %ebx
        addl    %ebx, %eax
        bswapl  %eax
        movw    $DMA_PORT, %dx
        outl    %eax, %dx
1:      movl    %ss:(%ebx), %eax
        testl   $~DMA_ERROR, %eax
        jnz     1b
        addw    $16, %sp
        testl   %eax, %eax
        jnz     give_up
        ret

/* eax = the 32-bit item ax. */
number: pushl   %edi
        pushl   %ecx
        pushl   $0
        xorl    %edi, %edi
        movw    %ss, %di
        shll    $4, %edi
        movzwl  %sp, %ecx
        addl    %ecx, %edi
        movl    $4, %ecx
        call    fetch
        popl    %eax
        popl    %ecx
        popl    %edi
        ret

        .macro part addr, size, data
        movw    $\addr, %ax
        call    number
        movl    %eax, %edi
        movw    $\size, %ax
        call    number
        movl    %eax, %ecx
        movw    $\data, %ax
        call    fetch
        .endm

boot:   cld
        part    SETUP_ADDR, SETUP_SIZE, SETUP_DATA
        part    CMDLINE_ADDR, CMDLINE_SIZE, CMDLINE_DATA
        part    KERNEL_ADDR, KERNEL_SIZE, KERNEL_DATA
        part    INITRD_ADDR, INITRD_SIZE, INITRD_DATA

        movw    $SETUP_ADDR, %ax
        call    number
        shrl    $4, %eax                /* its segment */
        cli
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $STACK_TOP, %esp
        addw    $0x20, %ax              /* behind the boot sector */
        pushw   %ax
        pushw   $0
        lret

give_up:
        movw    $failed, %si
1:      cs lodsb
        testb   %al, %al
        jz      2f
        movb    $0x0e, %ah
        movw    $0x0007, %bx
        int     $0x10
        jmp     1b
2:      int     $0x18                   /* next boot device */
