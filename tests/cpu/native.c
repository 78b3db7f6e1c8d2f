/* SPDX-License-Identifier: Apache-2.0 */
/* See native.h. */
#include "native.h"

#include <cpuid.h>
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

void native_enter(bool code32);
extern const char native_leave[], native_low32[], native_low32_end[];
extern const char native_low64[], native_low64_end[];

#define USER_CS   0x33
#define USER_CS32 0x23

#define TRAP_BP 3
#define TRAP_PF 14
#define PF_FETCH 0x10

#define XSTATE_X87 1u
#define XSTATE_SSE 2u
#define XSTATE_AVX 4u

static sigjmp_buf back;
static volatile sig_atomic_t running;

static void *map_at(uint64_t addr, uint64_t size, int prot)
{
    return mmap((void *)addr, size, prot,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* The registers at a signal, as if native_leave had stored them. */
static void store_context(const ucontext_t *uc)
{
    static const int from[16] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    };
    const greg_t *g = uc->uc_mcontext.gregs;
    struct native_regs *out = native_out;
    const struct native_x *x = (const void *)uc->uc_mcontext.fpregs;

    for (unsigned n = 0; n < 16; n++)
        out->gpr[n] = (uint64_t)g[from[n]];
    out->rflags = (uint64_t)g[REG_EFL] & ~0x10000ull;   /* RF: of the fault */
    out->rip = (uint64_t)g[REG_RIP];
    out->x = *x;
    /* A component in its initial state need not have been written. */
    if (!(x->xstate_bv & XSTATE_X87)) {
        memset(&out->x, 0, 24);
        memset(out->x.st, 0, sizeof out->x.st);
        out->x.fcw = 0x37f;
    }
    if (!(x->xstate_bv & XSTATE_SSE))
        memset(out->x.xmm, 0, sizeof out->x.xmm);
    if (!(x->xstate_bv & XSTATE_AVX))
        memset(out->x.ymm_high, 0, sizeof out->x.ymm_high);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    const greg_t *g = uc->uc_mcontext.gregs;
    struct native_regs *out = native_out;
    uint64_t rip = (uint64_t)g[REG_RIP];

    if (!running) {
        /* Of the program under test or of the test itself. */
        void *frames[32];
        int n = backtrace(frames, 32);
        printf("not ok signal %d outside of native code\n", sig);
        fflush(stdout);
        backtrace_symbols_fd(frames, n, STDOUT_FILENO);
        _exit(1);
    }
    running = 0;
    store_context(uc);
    out->vector = (int32_t)g[REG_TRAPNO];
    out->error = (uint32_t)g[REG_ERR];
    out->cr2 = (uint64_t)g[REG_CR2];
    if (out->vector == TRAP_BP) {
        out->error = 0;
        if (rip - 1 != NATIVE_INSN) {           /* a jump to an INT3 */
            out->rip = rip - 1;
            out->vector = -1;
        }
    } else if (out->vector == TRAP_PF && (out->error & PF_FETCH) &&
               out->cr2 == rip && rip != NATIVE_INSN) {
        out->vector = -1;                       /* a jump to nowhere */
    }
    siglongjmp(back, 1);
}

static bool catch_signals(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_signal,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    if (sigaltstack(&ss, NULL))
        return false;
    for (unsigned n = 0; n < sizeof signals / sizeof signals[0]; n++)
        if (sigaction(signals[n], &sa, NULL))
            return false;
    return true;
}

bool native_init(const char **why)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) ||
        !(c & bit_OSXSAVE) || !(getauxval(AT_HWCAP2) & 2)) {
        *why = "the host has no AVX or no FSGSBASE";
        return false;
    }
    uint8_t *block = map_at(NATIVE_BASE, NATIVE_BYTES,
                            PROT_READ | PROT_WRITE | PROT_EXEC);
    void *window = map_at(NATIVE_WINDOW, NATIVE_WINDOW_BYTES,
                          PROT_READ | PROT_WRITE);
    void *code = map_at(NATIVE_CODE_PAGE, NATIVE_CODE_PAGES * 4096,
                        PROT_READ | PROT_WRITE | PROT_EXEC);
    if (block != (void *)NATIVE_BASE || window == MAP_FAILED ||
        code == MAP_FAILED || !catch_signals()) {
        *why = "low addresses cannot be mapped";
        return false;
    }

    struct {
        uint64_t code, back;
        uint32_t low32;
        uint16_t cs;
    } go = { NATIVE_INSN, (uintptr_t)native_leave,
             NATIVE_BASE + NATIVE_LOW_CODE, USER_CS32 };
    memcpy(block + NATIVE_CODE, &go, sizeof go);
    memcpy(block + NATIVE_LOW_CODE, native_low32,
           (size_t)(native_low32_end - native_low32));
    memcpy(block + NATIVE_LOW64, native_low64,
           (size_t)(native_low64_end - native_low64));
    memset(code, 0xcc, NATIVE_CODE_PAGES * 4096);
    return true;
}

void native_run(const uint8_t *insn, unsigned len, bool code32)
{
    /* jmp *[NATIVE_BACK] through an absolute address; ljmp 0x33:LOW64 */
    static const uint32_t back_addr = NATIVE_BASE + NATIVE_BACK;
    static const uint32_t low64 = NATIVE_BASE + NATIVE_LOW64;
    static const uint16_t cs = USER_CS;
    uint8_t *p = (uint8_t *)(uint64_t)NATIVE_INSN;

    memcpy(p, insn, len);
    p += len;
    if (code32) {
        *p++ = 0xea;
        memcpy(p, &low64, 4);
        memcpy(p + 4, &cs, 2);
    } else {
        memcpy(p, "\xff\x24\x25", 3);
        memcpy(p + 3, &back_addr, 4);
    }

    if (!sigsetjmp(back, 0)) {
        running = 1;
        native_enter(code32);
        running = 0;
        native_out->vector = -1;
        native_out->rip = NATIVE_INSN + len;
    }
    memset((void *)(uint64_t)NATIVE_INSN, 0xcc, len + 7);
}
