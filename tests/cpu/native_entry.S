/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way into and out of one natively executed instruction; see native.h.
 * Flags are loaded before the registers, which MOV does not disturb.
 */
#include "native.h"

#define IN(offset)  (NATIVE_BASE + NATIVE_IN + (offset))
#define OUT(offset) (NATIVE_BASE + NATIVE_OUT + (offset))

    .text
    .globl native_enter, native_leave, native_leave16
    .globl native_low_code, native_low_end
    .globl native_low16_back, native_low32_back
    .hidden native_enter, native_leave, native_leave16
    .hidden native_low_code, native_low_end
    .hidden native_low16_back, native_low32_back

/* void native_enter(unsigned bits) */
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
    cmp $64, %edi
    jne 1f
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

/* FS and GS stay null. A signal may have left SS as 16-bit code had it. */
1:  mov $0x2b, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    ljmp *NATIVE_BASE + NATIVE_FAR32

/*
 * Copied to NATIVE_LOW_CODE; addresses of its own it has none.  For 16-bit
 * code the upper halves of RAX, RCX and RSP hold selectors, so that LDS, LES
 * and LSS load both.
 */
    .code32
native_low_code:
    mov $(NATIVE_BASE + NATIVE_STACK32), %esp
    pushl IN(NATIVE_RFLAGS)
    mov IN(16), %edx
    mov IN(24), %ebx
    mov IN(40), %ebp
    mov IN(48), %esi
    cmp $16, %edi
    mov IN(56), %edi
    je 2f
    popfl
    mov IN(0), %eax
    mov IN(8), %ecx
    mov IN(32), %esp
    jmp *NATIVE_BASE + NATIVE_CODE
2:  popfl
    les IN(8), %ecx
    lss IN(32), %esp
    lds IN(0), %eax
    ljmp *%cs:NATIVE_BASE + NATIVE_FAR16

/* Where 16-bit code comes back to by a far jump. */
native_low16_back:
    ljmp $0x33, $(NATIVE_BASE + NATIVE_LOW_CODE + 3f - native_low_code)
    .code64
3:  jmp *NATIVE_BASE + NATIVE_BACK16

/* And 32-bit code. */
native_low32_back:
    jmp *NATIVE_BASE + NATIVE_BACK
native_low_end:

native_leave16:
    mov %rsp, OUT(32)
    mov %rax, OUT(0)
    mov $0x2b, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov OUT(0), %rax
    mov OUT(32), %rsp
    jmp native_leave

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
