/* SPDX-License-Identifier: Apache-2.0 */
/* See native.h. */
#include "native.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

void native_enter(unsigned bits);
extern const char native_leave[], native_leave16[], native_low_code[];
extern const char native_low16_back[], native_low32_back[], native_low_end[];

#define USER_CS   0x33
#define USER_CS32 0x23
#define USER_DS   0x2b

#define TRAP_BP  3
#define TRAP_PF  14
#define PF_FETCH 0x10

#define XSTATE_X87 1u
#define XSTATE_SSE 2u
#define XSTATE_AVX 4u

static sigjmp_buf back;
static volatile sig_atomic_t running;
static volatile unsigned runs;

static void *map_at(uint64_t addr, uint64_t size, int prot)
{
    return mmap((void *)addr, size, prot,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static uint64_t linear_rip(const greg_t *g)
{
    unsigned cs = (unsigned)g[REG_CSGSFS] & 0xffff;

    return (uint64_t)g[REG_RIP] + (cs == NATIVE_CS16 ? NATIVE_CS16_BASE : 0);
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
    out->rflags = (uint64_t)g[REG_EFL] & ~0x10000ull; /* RF: of the fault */
    out->rip = linear_rip(g);
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
    uint64_t rip = linear_rip(g);

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
    if (rip >> 63) {
        /* A jump to the kernel: at the page vsyscall it sends the signal
         * with the trap number of an older one. */
        out->error = 0;
        out->vector = -1;
    } else if (out->vector == TRAP_BP) {
        out->error = 0;
        if (rip - 1 != NATIVE_INSN) { /* a jump to an INT3 */
            out->rip = rip - 1;
            out->vector = -1;
        }
    } else if (out->vector == TRAP_PF && (out->error & PF_FETCH) &&
               out->cr2 == rip && rip != NATIVE_INSN) {
        out->vector = -1; /* a jump to nowhere */
    }
    siglongjmp(back, 1);
}

/* Twice in the same instruction: it jumps to itself. */
static void on_tick(int sig, siginfo_t *info, void *context)
{
    static unsigned last;

    if (running && last == runs) {
        running = 0;
        native_out->vector = NATIVE_ENDLESS;
        siglongjmp(back, 1);
    }
    last = runs;
}

static bool catch_signals(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_signal,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    const struct itimerval tick = { { 0, 200000 }, { 0, 200000 } };

    if (sigaltstack(&ss, NULL))
        return false;
    for (unsigned n = 0; n < sizeof signals / sizeof signals[0]; n++)
        if (sigaction(signals[n], &sa, NULL))
            return false;
    sa.sa_sigaction = on_tick;
    return !sigaction(SIGALRM, &sa, NULL) &&
           !setitimer(ITIMER_REAL, &tick, NULL);
}

bool native_init(const char **why)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) ||
        !(c & bit_OSXSAVE) || !(getauxval(AT_HWCAP2) & 2)) {
        *why = "the host has no AVX or no FSGSBASE";
        return false;
    }
    /* As 32-bit code leaves them. */
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(USER_DS));
    uint8_t *block =
        map_at(NATIVE_BASE, NATIVE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
    void *window =
        map_at(NATIVE_WINDOW, NATIVE_WINDOW_BYTES, PROT_READ | PROT_WRITE);
    void *code = map_at(NATIVE_CODE_PAGE, NATIVE_CODE_PAGES * 4096,
                        PROT_READ | PROT_WRITE | PROT_EXEC);
    if (block != (void *)NATIVE_BASE || window == MAP_FAILED ||
        code == MAP_FAILED || !catch_signals()) {
        *why = "low addresses cannot be mapped";
        return false;
    }

    struct {
        uint64_t code, back, back16;
        uint32_t low;
        uint16_t low_cs, unused;
        uint32_t code16;
        uint16_t cs16;
    } go = { NATIVE_INSN,
             (uintptr_t)native_leave,
             (uintptr_t)native_leave16,
             NATIVE_BASE + NATIVE_LOW_CODE,
             USER_CS32,
             0,
             NATIVE_INSN - NATIVE_CS16_BASE,
             NATIVE_CS16 };
    memcpy(block + NATIVE_CODE, &go, sizeof go);
    memcpy(block + NATIVE_LOW_CODE, native_low_code,
           (uintptr_t)native_low_end - (uintptr_t)native_low_code);
    memset(code, 0xcc, NATIVE_CODE_PAGES * 4096);
    return true;
}

static bool set_ldt(unsigned selector, uint32_t base, uint32_t limit,
                    bool is_code)
{
    struct user_desc d = {
        .entry_number = selector >> 3,
        .base_addr = base,
        .limit = limit,
        .contents =
            is_code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA,
        .useable = 1,
    };

    return syscall(SYS_modify_ldt, 0x11, &d, sizeof d) == 0;
}

bool native_init16(const char **why)
{
    *why = "the host's kernel has no modify_ldt()";
    return set_ldt(NATIVE_CS16, NATIVE_CS16_BASE, NATIVE_LIMIT16, true) &&
           set_ldt(NATIVE_DS16, NATIVE_DATA_BASE, NATIVE_LIMIT16, false) &&
           set_ldt(NATIVE_ES16, NATIVE_DATA_BASE, NATIVE_ES16_LIMIT, false) &&
           set_ldt(NATIVE_SS16, NATIVE_DATA_BASE, NATIVE_LIMIT16, false);
}

/* Behind the instruction: a jump that needs no register. */
static unsigned add_way_back(uint8_t *p, unsigned bits)
{
    static const uint32_t via = NATIVE_BASE + NATIVE_BACK;
    static const uint16_t cs32 = USER_CS32, cs64 = USER_CS;
    uint32_t low = NATIVE_BASE + NATIVE_LOW_CODE;

    if (bits == 64) {
        memcpy(p, "\xff\x24\x25", 3); /* jmp *[disp32] */
        memcpy(p + 3, &via, 4);
        return 7;
    }
    low += (uint32_t)((bits == 16 ? native_low16_back : native_low32_back) -
                      native_low_code);
    if (bits == 16)
        *p++ = 0x66;
    p[0] = 0xea; /* ljmp imm16:imm32 */
    memcpy(p + 1, &low, 4);
    memcpy(p + 5, bits == 16 ? &cs32 : &cs64, 2);
    return bits == 16 ? 8 : 7;
}

static void add_selectors(void)
{
    uint64_t *r = native_in->gpr;

    r[0] = (uint32_t)r[0] | (uint64_t)NATIVE_DS16 << 32;
    r[1] = (uint32_t)r[1] | (uint64_t)NATIVE_ES16 << 32;
    r[4] = (uint32_t)r[4] | (uint64_t)NATIVE_SS16 << 32;
}

/* Apart from native_run(), whose variables siglongjmp() could spoil. */
static __attribute__((noinline)) void enter(unsigned bits, uint64_t end)
{
    if (sigsetjmp(back, 0))
        return;
    runs++;
    running = 1;
    native_enter(bits);
    running = 0;
    native_out->vector = -1;
    native_out->rip = end;
}

void native_run(const uint8_t *insn, unsigned len, unsigned bits)
{
    uint8_t *p = (uint8_t *)(uint64_t)NATIVE_INSN;
    unsigned tail;

    memcpy(p, insn, len);
    tail = add_way_back(p + len, bits);
    if (bits == 16)
        add_selectors();
    enter(bits, NATIVE_INSN + len);
    memset(p, 0xcc, len + tail);
}
