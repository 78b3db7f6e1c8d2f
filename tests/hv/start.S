/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a bare-metal guest, 32 or 64 bits: Multiboot header, long mode
 * with the first 4 GiB at their own addresses, descriptors, and the stubs of
 * all interrupts, which call interrupt() with a struct frame.
 */
        .equ MAGIC, 0x1badb002
        .equ FLAGS, 0x3
        .equ STACK, 16384

        .section .multiboot, "a"
        .balign 4
        .long MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .code32
        .globl _start
_start: cli
        cld
        movl    $stack_end, %esp
        movl    %ebx, multiboot_info
        movl    %eax, multiboot_magic
        lgdtl   gdtr
        movl    %cr4, %eax
        orl     $0x600, %eax            /* OSFXSR, OSXMMEXCPT */
#ifdef __x86_64__
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    $pd, %edi               /* four of them: 2 MiB pages */
        movl    $0x83, %eax
1:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $0x200000, %eax
        jnc     1b
        movl    $pd + 3, %eax
        movl    $pdpt, %edi
2:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $4096, %eax
        cmpl    $pd + 4 * 4096, %eax
        jb      2b
        movl    $pdpt + 3, pml4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x100, %eax            /* LME */
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000002, %eax       /* PG, MP */
        movl    %eax, %cr0
        ljmpl   $0x18, $3f
        .code64
3:      movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %ebp, %ebp
        call    start
#else
        movl    %eax, %cr4
        movl    %cr0, %eax
        orl     $2, %eax
        movl    %eax, %cr0
        ljmpl   $0x08, $3f
3:      movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        xorl    %ebp, %ebp
        call    start
#endif
4:      hlt
        jmp     4b

/* --- interrupts ---------------------------------------------------------- */

#ifdef __x86_64__
#define PUSH pushq
#else
#define PUSH pushl
#endif

/* 16 bytes each; those with an error code have it pushed already */
        .balign 16
        .globl stubs
stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        PUSH    $0
        .endif
        PUSH    $vector
        jmp     common
        .set    vector, vector + 1
        .endr

#ifdef __x86_64__
common: pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        cld
        leaq    120(%rsp), %rdi
        call    interrupt
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp
        iretq
#else
common: pushal
        cld
        leal    32(%esp), %eax
        pushl   %eax
        call    interrupt
        addl    $4, %esp
        popal
        addl    $8, %esp
        iretl
#endif

/* --- data ---------------------------------------------------------------- */

        .data
        .balign 8
        .globl gdt
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08: 32-bit code */
        .quad   0x00cf93000000ffff      /* 10: data */
        .quad   0x00af9b000000ffff      /* 18: 64-bit code */
gdtr:   .word   . - gdt - 1
        .long   gdt
        .long   0

        .bss
        .balign 4096
#ifdef __x86_64__
        .globl pml4, pdpt, pd
pml4:   .skip   4096
pdpt:   .skip   4096
pd:     .skip   4 * 4096
#endif
        .skip   STACK
stack_end:
        .globl multiboot_info, multiboot_magic
multiboot_info:
        .long   0
multiboot_magic:
        .long   0
        .section .note.GNU-stack, "", @progbits
