/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's processor as the oracle: every row of x86.def that a user
 * program can run is executed many times, natively and by the interpreter,
 * with random operands, and everything that came of it is compared.
 *
 *     oracle [-n STATES] [-s SEED] [-f x86-int.def] [-r MNEMONIC] [-m 32|64]
 *            [-v]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cpu/decode.h"
#include "cpu/disasm.h"
#include "cpu/insn.h"
#include "flat.h"
#include "native.h"
#include "trial.h"

#define WINDOW       ((uint8_t *)(uint64_t)NATIVE_WINDOW)
#define FLAGS_ARITH  0x8d5u
#define EXC_PF       14
#define PF_PRESENT   1u
#define FSW_ES       0x80u

struct options {
    unsigned states;
    uint64_t seed;
    const char *file, *mnemonic;
    int mode;                   /* 32, 64 or 0: both */
    bool verbose;
};

struct score {
    unsigned rows, user_rows, tested, failed;
    uint64_t vectors, mismatches, exceptions, undefined_flags;
};

static struct vcpu *cpu;

/* --- memory -------------------------------------------------------------- */

static void put(uint64_t addr, const void *bytes, unsigned n)
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

static void fill_memory(struct random *r)
{
    for (unsigned k = 0; k < NATIVE_WINDOW_BYTES; k += 8) {
        uint64_t v = random_integer(r);
        memcpy(WINDOW + k, &v, 8);
    }
    memcpy(flat_memory(NATIVE_WINDOW), WINDOW, NATIVE_WINDOW_BYTES);
    mprotect(WINDOW + NATIVE_WINDOW_PAGES * 4096, 4096, PROT_READ);
}

/* --- comparison ---------------------------------------------------------- */

/*
 * Where the last x87 instruction and its operand were: this host keeps it
 * for those that raised an unmasked exception, others for all.
 */
static bool same_pointers(const struct native_x *a, const struct native_x *b)
{
    return !(a->fsw & FSW_ES) ||
           (a->fip == b->fip && a->fdp == b->fdp && a->fop == b->fop);
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
 * Of addresses in its own half Linux says that there is a page, whatever
 * there is.
 */
static bool same_error(const struct native_regs *a, const struct native_regs *b)
{
    uint32_t different = a->error ^ b->error;

    if (a->vector == EXC_PF && a->cr2 >> 63)
        different &= ~PF_PRESENT;
    return !different;
}

/*
 * Of a long operand that reaches into a bad page any byte there may be the
 * first that microcode touches.
 */
static bool same_address(const struct trial *t, const struct native_regs *a,
                         const struct native_regs *b)
{
    if (a->cr2 == b->cr2)
        return true;
    return (t->size == 14 || t->size == 28 || t->size > 32) && a->cr2 >> 12 == b->cr2 >> 12 &&
           a->cr2 - t->target < t->size;
}

static bool same(const struct trial *t, const struct native_regs *a,
                 const struct native_regs *b, uint64_t flags, unsigned regs)
{
    return !memcmp(a->gpr, b->gpr, regs * 8) &&
           !((a->rflags ^ b->rflags) & flags) && a->rip == b->rip &&
           a->vector == b->vector &&
           (a->vector < 0 || same_error(a, b)) &&
           (a->vector != EXC_PF || same_address(t, a, b)) &&
           same_x(&a->x, &b->x);
}

static bool same_memory(void)
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

static void print_differences(const struct native_regs *in,
                              const struct native_regs *host,
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
    if (host->vector == EXC_PF)
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

static void report(const struct trial *t, const struct x86_insn *i,
                   const struct native_regs *in,
                   const struct native_regs *ours)
{
    char text[X86_DISASM_MAX];

    x86_disasm(text, sizeof text, i, NATIVE_INSN,
               t->code32 ? X86_MODE_32 : X86_MODE_64);
    printf("  %s:%u %s %s: %s\n    bytes", t->row->file, t->row->line,
           t->row->enc, t->row->mnemonic, text);
    for (unsigned k = 0; k < t->len; k++)
        printf(" %02x", t->insn[k]);
    printf(" (%u-bit code) operand at %llx\n", t->code32 ? 32 : 64,
           (unsigned long long)t->target);
    print_differences(in, native_out, ours);
}

/* --- rows ---------------------------------------------------------------- */

/* The flags that must agree: all but those that the row leaves undefined. */
static uint64_t defined_flags(const struct x86_row *row)
{
    return ~(uint64_t)(row->fl_undefined & FLAGS_ARITH);
}

static void test_row(const struct x86_row *row, bool code32,
                     const struct options *o, struct score *s)
{
    struct random r = { o->seed ^ (uint64_t)row->line << 32 ^
                        (uint64_t)(uintptr_t)row->file[0] };
    unsigned done = 0, bad = 0, undefined = 0, raised = 0;

    for (unsigned n = 0; n < o->states * 2 && done < o->states; n++) {
        struct trial t;
        struct native_regs in, ours;
        struct x86_insn i;

        if (!trial_encode(&t, row, code32, &r))
            continue;
        trial_state(&t, &r, put);
        in = *native_in;
        memset(t.insn + t.len, 0xcc, sizeof t.insn - t.len);
        flat_decode(cpu, t.insn, code32, &i);
        native_run(t.insn, t.len, code32);
        flat_run(cpu, &i, &in, code32, &ours);
        done++;
        raised += native_out->vector >= 0;
        if (!same(&t, native_out, &ours, defined_flags(row), code32 ? 8 : 16) ||
            !same_memory()) {
            if (!bad++ || o->verbose)
                report(&t, &i, &in, &ours);
            memcpy(flat_memory(NATIVE_WINDOW), WINDOW,
                   NATIVE_WINDOW_PAGES * 4096);
        } else if ((native_out->rflags ^ ours.rflags) & FLAGS_ARITH) {
            undefined++;
        }
    }
    s->tested += done == o->states;
    s->vectors += done;
    s->mismatches += bad;
    s->failed += bad != 0;
    s->exceptions += raised;
    s->undefined_flags += undefined;
    if (done < o->states)
        printf("  %s:%u %s %s: only %u states could be made\n", row->file,
               row->line, row->enc, row->mnemonic, done);
    if (bad)
        printf("  %s:%u %s: %u of %u mismatch\n", row->file, row->line,
               row->mnemonic, bad, done);
    if (o->verbose)
        printf("  %s %s: %u states, %u exceptions, %u undefined flags\n",
               row->enc, row->mnemonic, done, raised, undefined);
}

static bool can_run(const struct x86_row *row, bool code32)
{
    if (code32 && row->w == 1 && !row->vex)
        return false;
    return row->valid !=
           (unsigned)(code32 ? X86_VALID_ONLY64 : X86_VALID_NO64);
}

static void test_rows(bool code32, const struct options *o, struct score *s)
{
    for (unsigned n = 1; n < x86_row_count; n++) {
        const struct x86_row *row = &x86_rows[n];

        s->rows++;
        if (!(row->attrs & X86_A_USER) || row->notest ||
            (o->file && strcmp(o->file, row->file)) ||
            (o->mnemonic && strcmp(o->mnemonic, row->mnemonic)))
            continue;
        s->user_rows++;
        if (can_run(row, code32))
            test_row(row, code32, o, s);
    }
}

static bool run(bool code32, const struct options *o)
{
    struct score s = { 0 };
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    test_rows(code32, o, &s);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("# %u-bit code: %u rows, %u of user programs, %u tested, %llu "
           "vectors (%llu exceptions), %llu mismatches in %u rows, %llu "
           "differ in undefined flags, %.1f s\n",
           code32 ? 32 : 64, s.rows, s.user_rows, s.tested,
           (unsigned long long)s.vectors, (unsigned long long)s.exceptions,
           (unsigned long long)s.mismatches, s.failed,
           (unsigned long long)s.undefined_flags,
           (double)(b.tv_sec - a.tv_sec) +
               (double)(b.tv_nsec - a.tv_nsec) * 1e-9);
    printf("%s rows in %u-bit code against the host\n",
           s.mismatches ? "not ok" : "ok", code32 ? 32 : 64);
    return !s.mismatches;
}

int main(int argc, char **argv)
{
    struct options o = { .states = 1000, .seed = 1 };
    const char *why;
    bool good = true;
    int c;

    while ((c = getopt(argc, argv, "n:s:f:r:m:v")) != -1) {
        switch (c) {
        case 'n': o.states = (unsigned)atoi(optarg); break;
        case 's': o.seed = strtoull(optarg, NULL, 0); break;
        case 'f': o.file = optarg; break;
        case 'r': o.mnemonic = optarg; break;
        case 'm': o.mode = atoi(optarg); break;
        case 'v': o.verbose = true; break;
        default:
            fprintf(stderr, "usage: oracle [-n STATES] [-s SEED] [-f FILE] "
                            "[-r MNEMONIC] [-m 32|64] [-v]\n");
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!native_init(&why)) {
        printf("ok rows against the host # SKIP %s\n", why);
        return 0;
    }
    cpu = flat_create();
    fill_memory(&(struct random){ o.seed });
    if (o.mode != 32)
        good &= run(false, &o);
    if (o.mode != 64)
        good &= run(true, &o);
    return good ? 0 : 1;
}
