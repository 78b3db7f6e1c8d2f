/* SPDX-License-Identifier: Apache-2.0 */
/* See compare.h. */
#include "compare.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "flat.h"
#include "trial.h"

#define WINDOW ((uint8_t *)(uint64_t)NATIVE_WINDOW)
#define EXC_PF 14
#define FSW_ES 0x80u

/* --- memory -------------------------------------------------------------- */

void compare_put(uint64_t addr, const void *bytes, unsigned n)
{
    const uint64_t end = NATIVE_WINDOW + NATIVE_WINDOW_PAGES * 4096;
    const uint8_t *from = bytes;

    for (unsigned k = 0; k < n; k++) {
        if (addr + k < NATIVE_WINDOW || addr + k >= end)
            continue;
        WINDOW[addr + k - NATIVE_WINDOW] = from[k];
        flat_memory(addr + k)[0] = from[k];
    }
}

void compare_memory_set(const void *bytes)
{
    memcpy(WINDOW, bytes, NATIVE_WINDOW_PAGES * 4096);
    memcpy(flat_memory(NATIVE_WINDOW), WINDOW, NATIVE_WINDOW_PAGES * 4096);
}

void compare_memory_mend(void)
{
    memcpy(flat_memory(NATIVE_WINDOW), WINDOW, NATIVE_WINDOW_PAGES * 4096);
}

void compare_init(void)
{
    struct random r = { 1 };

    for (unsigned k = 0; k < NATIVE_WINDOW_BYTES; k += 8) {
        uint64_t v = random_integer(&r);
        memcpy(WINDOW + k, &v, 8);
    }
    memcpy(flat_memory(NATIVE_WINDOW), WINDOW, NATIVE_WINDOW_BYTES);
    mprotect(WINDOW + NATIVE_WINDOW_PAGES * 4096, 4096, PROT_READ);
}

/* --- comparison ---------------------------------------------------------- */

/* Of an image's pointer processors keep as many bits as addresses have. */
static bool same_pointer(uint64_t a, uint64_t b)
{
    return !((a ^ b) & 0xffffffffffff);
}

bool compare_operand_pointer = true;

/*
 * Where the last x87 instruction and its operand were: this host keeps it
 * for those that raised an unmasked exception, others for all.
 */
static bool same_pointers(const struct native_x *a, const struct native_x *b)
{
    return !(a->fsw & FSW_ES) ||
           (same_pointer(a->fip, b->fip) &&
            (!compare_operand_pointer || same_pointer(a->fdp, b->fdp)) &&
            a->fop == b->fop);
}

static bool same_x(const struct native_x *a, const struct native_x *b)
{
    for (unsigned n = 0; n < 8; n++)
        if (memcmp(a->st[n], b->st[n], 10))
            return false;
    return a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw &&
           a->mxcsr == b->mxcsr && same_pointers(a, b) &&
           !memcmp(a->xmm, b->xmm, sizeof a->xmm) &&
           !memcmp(a->ymm_high, b->ymm_high, sizeof a->ymm_high);
}

/*
 * Of a long operand that reaches into a bad page any byte there may be the
 * first that microcode touches.
 */
static bool same_address(const struct native_regs *a,
                         const struct native_regs *b, unsigned size)
{
    return a->cr2 == b->cr2 || ((size == 14 || size == 28 || size > 32) &&
                                a->cr2 >> 12 == b->cr2 >> 12);
}

static bool same_gprs(const struct native_regs *a, const struct native_regs *b,
                      unsigned bits)
{
    for (unsigned n = 0; n < (bits == 64 ? 16 : 8); n++) {
        uint64_t different = a->gpr[n] ^ b->gpr[n];
        /* The kernel's way back to a 16-bit stack loses the upper half. */
        if (bits == 16 && n == 4)
            different &= 0xffff;
        if (different)
            return false;
    }
    return true;
}

bool compare_same(const struct native_regs *a, const struct native_regs *b,
                  uint64_t flags, unsigned bits, unsigned size)
{
    return same_gprs(a, b, bits) && !((a->rflags ^ b->rflags) & flags) &&
           a->rip == b->rip && a->vector == b->vector &&
           (a->vector < 0 || a->error == b->error) &&
           (a->vector != EXC_PF || same_address(a, b, size)) &&
           same_x(&a->x, &b->x);
}

bool compare_memory_same(void)
{
    return !memcmp(WINDOW, flat_memory(NATIVE_WINDOW),
                   NATIVE_WINDOW_PAGES * 4096);
}

static void print_bytes(const uint8_t *p, unsigned n)
{
    for (unsigned k = n; k-- > 0;)
        printf("%02x", p[k]);
}

static void print_vector(const char *name, unsigned n, const uint8_t *in,
                         const uint8_t *host, const uint8_t *ours,
                         unsigned bytes)
{
    if (!memcmp(host, ours, bytes))
        return;
    printf("    %s%u ", name, n);
    print_bytes(in, bytes);
    printf("\n      host ");
    print_bytes(host, bytes);
    printf("\n      ours ");
    print_bytes(ours, bytes);
    printf("\n");
}

static void print_word(const char *name, uint64_t in, uint64_t host,
                       uint64_t ours)
{
    if (host != ours)
        printf("    %-6s in %016llx host %016llx ours %016llx\n", name,
               (unsigned long long)in, (unsigned long long)host,
               (unsigned long long)ours);
}

void compare_print(const struct native_regs *in, const struct native_regs *host,
                   const struct native_regs *ours)
{
    static const char *const names[16] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
    };
    const uint8_t *copy = flat_memory(NATIVE_WINDOW);

    print_word("vector", 0, (uint64_t)(int64_t)host->vector,
               (uint64_t)(int64_t)ours->vector);
    if (host->vector >= 0)
        print_word("error", 0, host->error, ours->error);
    if (host->vector == EXC_PF || ours->vector == EXC_PF)
        print_word("cr2", 0, host->cr2, ours->cr2);
    print_word("rip", NATIVE_INSN, host->rip, ours->rip);
    for (unsigned n = 0; n < 16; n++)
        print_word(names[n], in->gpr[n], host->gpr[n], ours->gpr[n]);
    print_word("rflags", in->rflags, host->rflags, ours->rflags);
    print_word("fcw", in->x.fcw, host->x.fcw, ours->x.fcw);
    print_word("fsw", in->x.fsw, host->x.fsw, ours->x.fsw);
    print_word("ftw", in->x.ftw, host->x.ftw, ours->x.ftw);
    if (!same_pointers(&host->x, &ours->x)) {
        print_word("fip", in->x.fip, host->x.fip, ours->x.fip);
        print_word("fdp", in->x.fdp, host->x.fdp, ours->x.fdp);
        print_word("fop", in->x.fop, host->x.fop, ours->x.fop);
    }
    print_word("mxcsr", in->x.mxcsr, host->x.mxcsr, ours->x.mxcsr);
    for (unsigned n = 0; n < 8; n++)
        print_vector("st", n, in->x.st[n], host->x.st[n], ours->x.st[n], 10);
    for (unsigned n = 0; n < 16; n++) {
        print_vector("xmm", n, in->x.xmm[n], host->x.xmm[n], ours->x.xmm[n],
                     16);
        print_vector("ymmh", n, in->x.ymm_high[n], host->x.ymm_high[n],
                     ours->x.ymm_high[n], 16);
    }
    for (unsigned k = 0, shown = 0;
         k < NATIVE_WINDOW_PAGES * 4096 && shown < 16; k++)
        if (WINDOW[k] != copy[k]) {
            printf("    memory %08x host %02x ours %02x\n", NATIVE_WINDOW + k,
                   WINDOW[k], copy[k]);
            shown++;
        }
}
