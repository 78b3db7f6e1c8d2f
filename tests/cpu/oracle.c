/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's processor as the oracle: every row of x86.def that a user
 * program can run is executed many times, natively and by the interpreter,
 * with random operands, and everything that came of it is compared.
 *
 *     oracle [-n STATES] [-s SEED] [-f x86-int.def] [-r MNEMONIC] [-m 16|32|64]
 *            [-v] [-l] [-j|-J]
 *
 * -j translates each instruction instead, -J with exact flags and counts; -l
 * lists the rows that are left to the interpreter's handlers then.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "compare.h"
#include "cpu/decode.h"
#include "cpu/disasm.h"
#include "cpu/insn.h"
#include "flat.h"
#include "mem/map.h"
#include "native.h"
#include "trial.h"

#define FLAGS_ARITH 0x8d5u
#define EXC_PF      14

struct options {
    unsigned states;
    uint64_t seed;
    const char *file, *mnemonic;
    unsigned mode; /* 16, 32, 64 or 0: all */
    bool verbose, list;
    int jit;
};

struct score {
    unsigned rows, user_rows, tested, failed;
    uint64_t vectors, mismatches, exceptions, undefined_flags;
};

static struct vcpu *cpu;

static void report(const struct trial *t, const struct x86_insn *i,
                   const struct native_regs *in, const struct native_regs *ours)
{
    char text[X86_DISASM_MAX];

    x86_disasm(text, sizeof text, i, NATIVE_INSN,
               t->bits == 64   ? X86_MODE_64
               : t->bits == 32 ? X86_MODE_32
                               : X86_MODE_16);
    printf("  %s:%u %s %s: %s\n    bytes", t->row->file, t->row->line,
           t->row->enc, t->row->mnemonic, text);
    for (unsigned k = 0; k < t->len; k++)
        printf(" %02x", t->insn[k]);
    printf(" (%u-bit code) operand at %llx\n", t->bits,
           (unsigned long long)t->target);
    compare_print(in, native_out, ours);
}

/* --- rows ---------------------------------------------------------------- */

/* The flags that must agree: all but those that the row leaves undefined. */
static uint64_t defined_flags(const struct x86_row *row)
{
    return ~(uint64_t)(row->fl_undefined & FLAGS_ARITH);
}

/* Into the instruction, or into what native_run() put behind it. */
static bool jumped_into_itself(unsigned len, const struct native_regs *ours)
{
    return ours->vector < 0 && ours->rip - NATIVE_INSN < len + 9u &&
           ours->rip != NATIVE_INSN + len;
}

static bool is_mapped(uint64_t addr)
{
    unsigned char resident;

    return !mincore((void *)(addr & ~(uint64_t)(PAGE_BYTES - 1)), PAGE_BYTES,
                    &resident);
}

/*
 * What is at the kernel's addresses, and what it says of them, is its own;
 * and the guest has only the trial's pages of what this process has.
 */
static bool is_elsewhere(const struct native_regs *ours)
{
    uint64_t addr = ours->cr2;

    if (ours->vector != EXC_PF)
        return false;
    if (addr >> 63)
        return true;
    return addr - NATIVE_WINDOW >= NATIVE_WINDOW_BYTES &&
           addr - NATIVE_CODE_PAGE >= NATIVE_CODE_PAGES * PAGE_BYTES &&
           is_mapped(addr);
}

/* Says which bits of MXCSR there are, which is a matter of the model. */
static void ignore_mxcsr_mask(const struct trial *t)
{
    const uint32_t mask = 0xffff;

    compare_put(t->target + 28, &mask, 4);
}

/* The run loop has tried to execute what was jumped to. */
static void forgive_fetch(struct native_regs *ours)
{
    if (ours->vector != EXC_PF || ours->cr2 != ours->rip ||
        native_out->vector >= 0)
        return;
    ours->vector = -1;
    ours->error = 0;
}

/* --- what stands around a translated trial -------------------------------- */

struct code {
    uint8_t bytes[64];
    unsigned len;
};

static void add(struct code *c, const uint8_t *bytes, unsigned n)
{
    memcpy(c->bytes + c->len, bytes, n);
    c->len += n;
}

/* MOV [window],DH, or the other way round. */
static void add_access(struct code *c, unsigned bits, bool store)
{
    uint32_t at = NATIVE_WINDOW + 0x80;
    uint8_t bytes[7] = { store ? 0x88 : 0x8a, 0x34, 0x25 };

    if (bits == 16)
        at -= NATIVE_DATA_BASE;
    if (bits != 64)
        bytes[1] = bits == 32 ? 0x35 : 0x36;
    memcpy(bytes + (bits == 64 ? 3 : 2), &at, 4);
    add(c, bytes, bits == 64 ? 7 : bits == 32 ? 6 : 4);
}

/*
 * The instruction alone, or with others around it, so that its flags come
 * from the code before it and are needed, or not, behind it, or have to
 * survive an access.  Where it may go elsewhere, or needs a certain operand
 * in memory, which rip or the access may change, it is left alone.
 */
static void surround(struct code *c, const struct trial *t, struct random *r)
{
    static const uint8_t compare[] = { 0x3c, 0x5a }; /* cmp al, 5a */
    static const uint8_t compare_dl[] = { 0x80, 0xfa, 0xc3 };
    static const uint8_t set_dl[] = { 0x0f, 0x96, 0xc2 }; /* setbe dl */
    bool alone = (t->row->attrs & X86_A_END) || t->row->jit == X86_JIT_BRANCH ||
                 (t->has_mem && trial_takes_selector(t->row));
    /* what reads flags must not come behind undefined ones */
    unsigned kinds = t->row->fl_undefined ? 6 : 8;
    unsigned kind = alone || !r ? 0 : random_below(r, kinds);

    c->len = 0;
    if (kind & 1)
        add(c, compare_dl, sizeof compare_dl);
    if (kind == 5)
        add_access(c, t->bits, true);
    add(c, t->insn, t->len);
    if (kind == 2 || kind == 3)
        add(c, compare, sizeof compare);
    if (kind == 4 || kind == 5)
        add_access(c, t->bits, kind == 4);
    if (kind >= 6)
        add(c, set_dl, sizeof set_dl);
}

/* Cold, then with everything warm: twice from the same state. */
static void run_translated(const struct code *c, const struct native_regs *in,
                           unsigned bits, struct random *r,
                           struct native_regs *ours)
{
    if (percent(r, 30))
        flat_flush(cpu);
    for (unsigned n = 0; n < 2; n++) {
        if (n)
            compare_memory_mend();
        if (!flat_execute(cpu, c->bytes, c->len, in, bits, ours))
            ours->vector = 99;
    }
}

static void test_row(const struct x86_row *row, unsigned bits,
                     const struct options *o, struct score *s)
{
    struct random r = { o->seed ^ (uint64_t)row->line << 32 ^
                        (uint64_t)(uintptr_t)row->file[0] };
    unsigned done = 0, bad = 0, undefined = 0, raised = 0;
    uint64_t before = flat_fallbacks(cpu, (unsigned)(row - x86_rows)), handled;

    for (unsigned n = 0; n < o->states * 2 && done < o->states; n++) {
        struct trial t;
        struct native_regs in, ours;
        struct x86_insn i;
        struct code c;
        uint64_t flags = defined_flags(row);

        if (!trial_encode(&t, row, bits, NULL, &r))
            continue;
        trial_state(&t, &r, compare_put);
        in = *native_in;
        memset(t.insn + t.len, 0xcc, sizeof t.insn - t.len);
        flat_decode(cpu, t.insn, bits, &i);
        surround(&c, &t, o->jit ? &r : NULL);
        if (!o->jit)
            flat_run(cpu, &i, &in, bits, &ours);
        else
            run_translated(&c, &in, bits, &r, &ours);
        if (is_elsewhere(&ours) || jumped_into_itself(c.len, &ours)) {
            compare_memory_mend();
            continue;
        }
        native_run(c.bytes, c.len, bits);
        /* flags that are dead at a fault may be wrong there */
        if (o->jit == 'j' && native_out->vector >= 0)
            flags &= ~(uint64_t)FLAGS_ARITH;
        if (o->jit && row->jit == X86_JIT_BRANCH)
            forgive_fetch(&ours);
        if (trial_is_state_image(row))
            ignore_mxcsr_mask(&t);
        done++;
        raised += native_out->vector >= 0;
        if (!compare_same(native_out, &ours, flags, bits, t.size) ||
            !compare_memory_same()) {
            if (!bad++ || o->verbose)
                report(&t, &i, &in, &ours);
            compare_memory_mend();
        } else if ((native_out->rflags ^ ours.rflags) & FLAGS_ARITH) {
            undefined++;
        }
    }
    handled = flat_fallbacks(cpu, (unsigned)(row - x86_rows)) - before;
    if (o->list && handled)
        printf("  %u-bit %s:%u %s %s: %llu of %u by the handler\n", bits,
               row->file, row->line, row->enc, row->mnemonic,
               (unsigned long long)handled, done);
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

static bool can_run(const struct x86_row *row, unsigned bits)
{
    if (bits != 64 && row->w == 1 && !row->vex)
        return false;
    return row->valid !=
           (unsigned)(bits == 64 ? X86_VALID_NO64 : X86_VALID_ONLY64);
}

/* All that user programs can run, and that which they are not allowed to. */
static bool is_tested(const struct x86_row *row)
{
    if (row->attrs & (X86_A_CPL0 | X86_A_IO) && !row->notest)
        return true;
    return (row->attrs & X86_A_USER) && !row->notest;
}

static void test_rows(unsigned bits, const struct options *o, struct score *s)
{
    for (unsigned n = 1; n < x86_row_count; n++) {
        const struct x86_row *row = &x86_rows[n];

        s->rows++;
        if (!is_tested(row) || (o->file && strcmp(o->file, row->file)) ||
            (o->mnemonic && strcmp(o->mnemonic, row->mnemonic)))
            continue;
        s->user_rows++;
        if (can_run(row, bits))
            test_row(row, bits, o, s);
    }
}

static bool run(unsigned bits, const struct options *o)
{
    struct score s = { 0 };
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    test_rows(bits, o, &s);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("## %u-bit code: %u rows, %u of user programs, %u tested, %llu "
           "vectors (%llu exceptions), %llu mismatches in %u rows, %llu "
           "differ in undefined flags, %.1f s\n",
           bits, s.rows, s.user_rows, s.tested, (unsigned long long)s.vectors,
           (unsigned long long)s.exceptions, (unsigned long long)s.mismatches,
           s.failed, (unsigned long long)s.undefined_flags,
           (double)(b.tv_sec - a.tv_sec) +
               (double)(b.tv_nsec - a.tv_nsec) * 1e-9);
    printf("%s rows in %u-bit code against the host\n",
           s.mismatches ? "not ok" : "ok", bits);
    return !s.mismatches;
}

int main(int argc, char **argv)
{
    struct options o = { .states = 1000, .seed = 1 };
    const char *why;
    bool good = true;
    int c;

    while ((c = getopt(argc, argv, "n:s:f:r:m:vljJ")) != -1) {
        switch (c) {
        case 'n': o.states = (unsigned)atoi(optarg); break;
        case 's': o.seed = strtoull(optarg, NULL, 0); break;
        case 'f': o.file = optarg; break;
        case 'r': o.mnemonic = optarg; break;
        case 'm': o.mode = (unsigned)atoi(optarg); break;
        case 'j':
        case 'J': o.jit = c; break;
        case 'l': o.list = true; break;
        case 'v': o.verbose = true; break;
        default:
            fprintf(stderr, "usage: oracle [-n STATES] [-s SEED] [-f FILE] "
                            "[-r MNEMONIC] [-m 16|32|64] [-v] [-l] [-j|-J]\n");
            return 2;
        }
    }
    compare_operand_pointer = o.jit != 'j';
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!native_init(&why)) {
        printf("ok rows against the host # SKIP %s\n", why);
        return 0;
    }
    cpu = flat_create();
    compare_init();
    if (o.jit && !flat_translate(cpu, o.jit == 'J', 0)) {
        printf("ok rows translated # SKIP not allowed here\n");
        return 0;
    }
    for (unsigned bits = 64; bits >= 16; bits /= 2) {
        if (o.mode && o.mode != bits)
            continue;
        if (bits == 16 && !native_init16(&why))
            printf("ok rows in 16-bit code against the host # SKIP %s\n", why);
        else
            good &= run(bits, &o);
    }
    return good ? 0 : 1;
}
