/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of the host in translated code.
 *
 * Some guest faults cost nothing to look for when the host does it: an
 * operand of MOVAPS that is not aligned, a non-canonical address that matches
 * an empty slot, a division that overflows, an unmasked floating-point
 * exception.  The signal handler finds the guest instruction in the block's
 * table and lets the code go on where the interpreter does it from its start,
 * as if a check had failed.  Faults anywhere else go to whoever handled the
 * signal before.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "cpu/jit/translate.h"

static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE };
#define SIGNALS (sizeof signals / sizeof signals[0])

/* Whose code this thread runs.  GS says so, too, but not to somebody who may
 * have been called from anywhere. */
static __thread struct vcpu *running;

/* What was there before; written once, before any handler can run. */
static struct sigaction before[SIGNALS];

static struct jit_block *block_at(const struct jit *j, const uint8_t *pc)
{
    for (struct jit_block *jb = j->all; jb; jb = jb->all_next)
        if (pc >= jb->code && pc < jb->code + jb->code_bytes)
            return jb;
    return NULL;
}

static const struct jit_fault *fault_at(const struct jit_block *jb,
                                        const uint8_t *pc)
{
    for (unsigned n = 0; n < jb->faults; n++)
        if (jb->code + jb->fault[n].at == pc)
            return &jb->fault[n];
    return NULL;
}

/* LAHF and SETO of a flags register, as the code keeps them */
static uint32_t packed(uint64_t rflags)
{
    return (uint32_t)((rflags & 0xff) << 8 | (rflags >> 11 & 1));
}

static greg_t *host_register(greg_t *r, unsigned reg)
{
    static const uint8_t index[16] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    };

    return &r[index[reg]];
}

/* As loop_unpark() does it in the code. */
static void unpark(struct vcpu *cpu, const struct jit_block *jb, greg_t *r)
{
    for (unsigned n = 0; n < jb->parks; n++) {
        const struct jit_park *p = &jb->park[n];
        greg_t *reg = host_register(r, p->host);

        if (p->other != X86_NOREG && p->written)
            cpu->st.gpr[p->other] = (uint64_t)*reg;
        *reg = (greg_t)cpu->st.gpr[p->guest];
    }
}

static bool resume(struct vcpu *cpu, ucontext_t *uc)
{
    struct jit *j = cpu->jit;
    greg_t *r = uc->uc_mcontext.gregs;
    const uint8_t *pc = (const uint8_t *)(uintptr_t)r[REG_RIP] - j->rx;
    struct jit_block *jb;
    const struct jit_fault *f;
    uint64_t to;

    if (pc < j->start || pc >= j->end)
        return false;
    jb = block_at(j, pc);
    f = jb ? fault_at(jb, pc) : NULL;
    if (!f)
        return false;
    if (f->in_host)
        cpu->jit_flags = packed((uint64_t)r[REG_EFL]);
    to = (uint64_t)(uintptr_t)(jb->code + f->to + j->rx);
    if (f->end) {
        r[REG_RIP] = (greg_t)to;
        return true;
    }
    if (f->fast)
        unpark(cpu, jb, r);
    if (f->x87)
        x87_record_insn(cpu, jb, f->x87 - 1u);
    /* as if the code had called the slow path */
    r[REG_RSP] -= 8;
    memcpy((void *)(uintptr_t)r[REG_RSP], &to, 8);
    r[REG_R13] = (greg_t)(uintptr_t)jb;
    r[REG_R14] = f->first | (f->last - f->first + 1) << 8;
    r[REG_RIP] = (greg_t)(uintptr_t)(j->slow + j->rx);
    return true;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    struct vcpu *cpu = running;
    const struct sigaction *old = before;

    if (cpu && cpu->jit && resume(cpu, context))
        return;
    for (unsigned n = 0; n < SIGNALS; n++)
        if (signals[n] == sig)
            old = &before[n];
    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(sig, info, context);
    else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
        old->sa_handler(sig);
    else
        signal(sig, SIG_DFL); /* it comes again */
}

static void install(void)
{
    struct sigaction a = { .sa_sigaction = on_signal,
                           .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

    sigemptyset(&a.sa_mask);
    for (unsigned n = 0; n < SIGNALS; n++)
        sigaction(signals[n], &a, &before[n]);
}

void fault_thread(struct vcpu *cpu)
{
    running = cpu;
}

void fault_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
}
