/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way into and out of one natively executed instruction; see native.h.
 * Flags are loaded before the registers, which MOV does not disturb.
 */
#include "native.h"

#define IN(offset)  (NATIVE_BASE + NATIVE_IN + (offset))
#define OUT(offset) (NATIVE_BASE + NATIVE_OUT + (offset))

    .text
    .globl native_enter, native_leave, native_low32, native_low32_end
    .globl native_low64, native_low64_end
    .hidden native_enter, native_leave, native_low32, native_low32_end
    .hidden native_low64, native_low64_end

/* void native_enter(bool code32) */
native_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, NATIVE_BASE + NATIVE_HOST_RSP
    mov $7, %eax
    xor %edx, %edx
    xrstor64 IN(NATIVE_X)
    mov IN(NATIVE_GS), %rax
    wrgsbase %rax
    test $1, %dil
    jnz 1f
    pushq IN(NATIVE_RFLAGS)
    popfq
    mov IN(0), %rax
    mov IN(8), %rcx
    mov IN(16), %rdx
    mov IN(24), %rbx
    mov IN(40), %rbp
    mov IN(48), %rsi
    mov IN(56), %rdi
    mov IN(64), %r8
    mov IN(72), %r9
    mov IN(80), %r10
    mov IN(88), %r11
    mov IN(96), %r12
    mov IN(104), %r13
    mov IN(112), %r14
    mov IN(120), %r15
    mov IN(32), %rsp
    jmp *NATIVE_BASE + NATIVE_CODE

/* 32-bit code needs the data segments; FS and GS stay null. */
1:  mov $0x2b, %eax
    mov %eax, %ds
    mov %eax, %es
    ljmp *NATIVE_BASE + NATIVE_FAR32

/* Copied to NATIVE_LOW_CODE. */
    .code32
native_low32:
    mov $(NATIVE_BASE + NATIVE_STACK32), %esp
    pushl IN(NATIVE_RFLAGS)
    popfl
    mov IN(0), %eax
    mov IN(8), %ecx
    mov IN(16), %edx
    mov IN(24), %ebx
    mov IN(40), %ebp
    mov IN(48), %esi
    mov IN(56), %edi
    mov IN(32), %esp
    jmp *NATIVE_BASE + NATIVE_CODE
native_low32_end:
    .code64

/* Copied to NATIVE_LOW64: where 32-bit code returns to by a far jump. */
native_low64:
    jmp *NATIVE_BASE + NATIVE_BACK
native_low64_end:

native_leave:
    mov %rsp, OUT(32)
    mov NATIVE_BASE + NATIVE_HOST_RSP, %rsp
    mov %rax, OUT(0)
    mov %rcx, OUT(8)
    mov %rdx, OUT(16)
    mov %rbx, OUT(24)
    mov %rbp, OUT(40)
    mov %rsi, OUT(48)
    mov %rdi, OUT(56)
    mov %r8, OUT(64)
    mov %r9, OUT(72)
    mov %r10, OUT(80)
    mov %r11, OUT(88)
    mov %r12, OUT(96)
    mov %r13, OUT(104)
    mov %r14, OUT(112)
    mov %r15, OUT(120)
    pushfq
    popq OUT(NATIVE_RFLAGS)
    pushq $0x202
    popfq
    mov $7, %eax
    xor %edx, %edx
    xsave64 OUT(NATIVE_X)
    vzeroupper
    fninit
    pushq $0x1f80
    ldmxcsr (%rsp)
    pop %rax
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .section .note.GNU-stack, "", @progbits
