/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed of the interpreter in millions of guest instructions a second, on
 * loops of 64-bit code that never end.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/cpu/flat.h"

/* clang-format off */
static const uint8_t integer[] = {      /* arithmetic on registers */
    0x48, 0x01, 0xd8,                   /* add rax, rbx */
    0x48, 0x31, 0xc1,                   /* xor rcx, rax */
    0x48, 0xc1, 0xe1, 0x03,             /* shl rcx, 3 */
    0x48, 0x8d, 0x54, 0x0a, 0x07,       /* lea rdx, [rdx+rcx+7] */
    0x29, 0xd6,                         /* sub esi, edx */
    0x48, 0x89, 0xf7,                   /* mov rdi, rsi */
    0x41, 0xff, 0xc8,                   /* dec r8d */
    0x4d, 0x85, 0xc0,                   /* test r8, r8 */
    0x75, 0xe4,                         /* jnz back */
    0xeb, 0xe2,                         /* jmp back */
};
static const uint8_t memory[] = {       /* the kind compilers make */
    0x48, 0x8b, 0x03,                   /* mov rax, [rbx] */
    0x48, 0x03, 0x43, 0x08,             /* add rax, [rbx+8] */
    0x48, 0x89, 0x43, 0x10,             /* mov [rbx+16], rax */
    0x83, 0x43, 0x18, 0x01,             /* add dword [rbx+24], 1 */
    0x0f, 0xb6, 0x53, 0x18,             /* movzx edx, byte [rbx+24] */
    0x39, 0xc2,                         /* cmp edx, eax */
    0x74, 0x02,                         /* je over */
    0x89, 0xd1,                         /* mov ecx, edx */
    0xeb, 0xe5,                         /* jmp back */
};
static const uint8_t calls[] = {
    0xe8, 0x02, 0x00, 0x00, 0x00,       /* call function */
    0xeb, 0xf9,                         /* jmp back */
    0x55,                               /* push rbp */
    0x48, 0x89, 0xe5,                   /* mov rbp, rsp */
    0x01, 0xd8,                         /* add eax, ebx */
    0x5d,                               /* pop rbp */
    0xc3,                               /* ret */
};
static const uint8_t vectors[] = {
    0x0f, 0x28, 0x03,                   /* movaps xmm0, [rbx] */
    0x66, 0x0f, 0xfe, 0xc1,             /* paddd xmm0, xmm1 */
    0x66, 0x0f, 0xef, 0xc8,             /* pxor xmm1, xmm0 */
    0xf2, 0x0f, 0x58, 0xd3,             /* addsd xmm2, xmm3 */
    0xf2, 0x0f, 0x59, 0xe3,             /* mulsd xmm4, xmm3 */
    0x0f, 0x29, 0x0b,                   /* movaps [rbx], xmm1 */
    0xeb, 0xe8,                         /* jmp back */
};
static const uint8_t copies[] = {       /* 4 KiB an instruction */
    0x48, 0x89, 0xde,                   /* mov rsi, rbx */
    0x48, 0x8d, 0xbb, 0x00, 0x10, 0, 0, /* lea rdi, [rbx+4096] */
    0xb9, 0x00, 0x10, 0x00, 0x00,       /* mov ecx, 4096 */
    0xf3, 0xa4,                         /* rep movsb */
    0xeb, 0xed,                         /* jmp back */
};
/* clang-format on */

static void measure(struct vcpu *cpu, const char *name, const uint8_t *code,
                    unsigned len)
{
    struct native_regs in = { .rflags = 0x202 };
    uint64_t done = 0;
    double seconds;
    struct timespec a, b;

    in.gpr[3] = NATIVE_WINDOW + 0x1000;
    in.gpr[4] = NATIVE_WINDOW + 0x3000;
    in.x.mxcsr = 0x1f80;
    in.x.fcw = 0x37f;
    /* Of the processor's time: other work on the host is no matter. */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    do {
        done += flat_spin(cpu, code, len, &in, 4000000);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        seconds = (double)(b.tv_sec - a.tv_sec) +
                  (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
    } while (seconds < 0.5);
    printf("interp_%s %.1f Minsn/s\n", name, (double)done / seconds * 1e-6);
}

int main(void)
{
    struct vcpu *cpu = flat_create();

    measure(cpu, "integer", integer, sizeof integer);
    measure(cpu, "memory", memory, sizeof memory);
    measure(cpu, "call", calls, sizeof calls);
    measure(cpu, "vector", vectors, sizeof vectors);
    measure(cpu, "rep_movsb_4k", copies, sizeof copies);
    return 0;
}
