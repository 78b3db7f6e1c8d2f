/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector instructions: the runners of the stubs, SIMD floating-point
 * exceptions, MXCSR.
 *
 * Map of the folder's vector files: vec.h (registers, operands, the way to
 * the stubs), vec_sse.c, vec_avx.c, vec_mmx.c (rows that run stubs, by shape
 * of operands), vec_move.c (moves and the commonest integer operations in
 * C), vec_vmove.c (AVX moves, masked moves, gathers).
 */
#include "cpu/interp/vec.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

/*
 * Between the loading and storing of vector registers: general registers,
 * the call and the flags, with the struct vec_op at (%rdi).  The red zone
 * below the stack pointer is left alone; LEA does not touch the flags.
 */
#define RUN                      \
    "mov 144(%%rdi), %%rax\n\t"  \
    "mov 152(%%rdi), %%rcx\n\t"  \
    "mov 160(%%rdi), %%rdx\n\t"  \
    "lea -128(%%rsp), %%rsp\n\t" \
    "call *%%r8\n\t"             \
    "pushf\n\t"                  \
    "pop 168(%%rdi)\n\t"         \
    "lea 128(%%rsp), %%rsp\n\t"  \
    "mov %%rax, 144(%%rdi)\n\t"  \
    "mov %%rcx, 152(%%rdi)\n\t"

_Static_assert(offsetof(struct vec_op, mm) == 128 &&
                   offsetof(struct vec_op, rax) == 144 &&
                   offsetof(struct vec_op, flags) == 168,
               "the assembly knows the layout");

#define RUN_CLOBBERS                                                      \
    "rax", "rcx", "rdx", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3",  \
        "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15"

void vec_run_sse(const void *stub, struct vec_op *o)
{
    register const void *r8 __asm__("r8") = stub;

    __asm__ volatile("movups (%%rdi), %%xmm0\n\t"
                     "movups 32(%%rdi), %%xmm1\n\t"
                     "movups 64(%%rdi), %%xmm2\n\t" RUN
                     "movups %%xmm0, (%%rdi)\n\t"
                     "movups %%xmm1, 32(%%rdi)\n\t"
                     "movups %%xmm2, 64(%%rdi)"
                     : "+r"(r8)
                     : "D"(o)
                     : RUN_CLOBBERS);
}

void vec_run_avx(const void *stub, struct vec_op *o)
{
    register const void *r8 __asm__("r8") = stub;

    __asm__ volatile("vmovups (%%rdi), %%ymm0\n\t"
                     "vmovups 32(%%rdi), %%ymm1\n\t"
                     "vmovups 64(%%rdi), %%ymm2\n\t"
                     "vmovups 96(%%rdi), %%ymm3\n\t" RUN
                     "vmovups %%ymm0, (%%rdi)\n\t"
                     "vmovups %%ymm1, 32(%%rdi)\n\t"
                     "vzeroupper"
                     : "+r"(r8)
                     : "D"(o)
                     : RUN_CLOBBERS);
}

/* The emulator's own code finds the x87 unit empty, as the ABI wants it. */
void vec_run_mmx(const void *stub, struct vec_op *o)
{
    register const void *r8 __asm__("r8") = stub;

    __asm__ volatile("movq 128(%%rdi), %%mm0\n\t"
                     "movq 136(%%rdi), %%mm1\n\t"
                     "movups (%%rdi), %%xmm0\n\t"
                     "movups 32(%%rdi), %%xmm1\n\t" RUN
                     "movups %%xmm0, (%%rdi)\n\t"
                     "movq %%mm0, 128(%%rdi)\n\t"
                     "emms"
                     : "+r"(r8)
                     : "D"(o)
                     : RUN_CLOBBERS, "mm0", "mm1", "st");
}

/* --- SIMD floating-point exceptions -------------------------------------- */

static struct sigaction next_fpe;

static void pass_on(int sig, siginfo_t *info, void *context)
{
    if (next_fpe.sa_flags & SA_SIGINFO) {
        next_fpe.sa_sigaction(sig, info, context);
    } else if (next_fpe.sa_handler == SIG_DFL ||
               next_fpe.sa_handler == SIG_IGN) {
        /* back to the instruction, which ends the process this time */
        sigaction(SIGFPE, &next_fpe, NULL);
    } else {
        next_fpe.sa_handler(sig);
    }
}

/*
 * An instruction in a stub raised an exception that the guest has unmasked.
 * Let the stub return without having written its result; the flags stay in
 * MXCSR for vec_run_fp().
 */
static void leave_stub(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *reg = uc->uc_mcontext.gregs;
    uintptr_t pc = (uintptr_t)reg[REG_RIP];

    if (pc < (uintptr_t)x86_vec_code || pc >= (uintptr_t)x86_vec_end) {
        pass_on(sig, info, context);
        return;
    }
    uc->uc_mcontext.fpregs->mxcsr |= MXCSR_MASKS;
    reg[REG_RIP] = *(greg_t *)reg[REG_RSP];
    reg[REG_RSP] += 8;
}

static void catch_fpe(void)
{
    struct sigaction sa = { .sa_sigaction = leave_stub,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    sigaction(SIGFPE, &sa, &next_fpe);
}

/*
 * The guest's own masks are in force while the stub runs.  Which flags an
 * instruction sets beside the one that is unmasked, in which order packed
 * elements count, and that an exact tiny result is an underflow only when
 * unmasked (SDM volume 1, 11.5.3 and 4.9.1.5) is the host's business then.
 */
void vec_run_fp(struct vcpu *cpu, vec_runner *run, const void *stub,
                struct vec_op *o)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint32_t control = cpu->st.mxcsr & ~MXCSR_FLAGS & MXCSR_VALID;
    uint32_t unmasked = ~control >> MXCSR_MASK_SHIFT & MXCSR_FLAGS;
    uint32_t raised;

    if (unmasked)
        pthread_once(&once, catch_fpe);
    host_mxcsr_set(control);
    run(stub, o);
    raised = host_mxcsr() & MXCSR_FLAGS;
    host_mxcsr_set(MXCSR_DEFAULT);
    cpu->st.mxcsr |= raised;
    if (unlikely(raised & unmasked))
        cpu_raise(cpu, cpu->st.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/* --- MXCSR and other state ----------------------------------------------- */

static void load_mxcsr(struct vcpu *cpu, const struct x86_insn *i)
{
    uint32_t v = ld32(cpu, i->seg, ea(cpu, i));

    if (v & ~mxcsr_valid(cpu))
        cpu_gp0(cpu);
    cpu->st.mxcsr = v;
}

HANDLER_OF(ldmxcsr)
{
    check_sse(cpu);
    load_mxcsr(cpu, i);
}

HANDLER_OF(vldmxcsr)
{
    check_avx(cpu);
    load_mxcsr(cpu, i);
}

HANDLER_OF(stmxcsr)
{
    check_sse(cpu);
    st32(cpu, i->seg, ea(cpu, i), cpu->st.mxcsr);
}

HANDLER_OF(vstmxcsr)
{
    check_avx(cpu);
    st32(cpu, i->seg, ea(cpu, i), cpu->st.mxcsr);
}

/* Only eight registers exist outside 64-bit mode; the others stay. */
HANDLER_OF(vzeroupper)
{
    unsigned count = cpu->code64 ? 16 : 8;

    (void)i;
    check_avx(cpu);
    for (unsigned n = 0; n < count; n++)
        memset(cpu->st.ymm[n] + 16, 0, 16);
}

HANDLER_OF(vzeroall)
{
    unsigned count = cpu->code64 ? 16 : 8;

    (void)i;
    check_avx(cpu);
    memset(cpu->st.ymm, 0, count * sizeof cpu->st.ymm[0]);
}
