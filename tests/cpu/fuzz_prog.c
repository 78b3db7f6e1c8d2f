/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs on the host and in the run loop of the software engine.
 *
 *     fuzz_prog [-n PROGRAMS] [-s SEED] [-i INSTRUCTIONS] [-m 32|64]
 *               [-f x86-fpu.def] [-j|-u|-J]
 *
 * All programs are interpreted, then translated at once, then translated in
 * units of what has run before, then translated with exact flags and counts;
 * -j, -u and -J do only the second, the third or the fourth.
 *
 * A program that ends differently is made smaller by leaving out
 * instructions, and printed.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compare.h"
#include "cpu/decode.h"
#include "cpu/disasm.h"
#include "cpu/insn.h"
#include "flat.h"
#include "native.h"
#include "program.h"

static struct vcpu *cpu;
static bool loose_flags;

/* Both memories as they were before the program. */
static uint8_t memory[NATIVE_WINDOW_PAGES * 4096];

enum outcome { SAME, DIFFERENT, ENDLESS };

static enum outcome run_both(const struct program *p,
                             const struct native_regs *in,
                             struct native_regs *ours)
{
    uint64_t flags;

    compare_memory_set(memory);
    *native_in = *in;
    native_run(p->code, p->len, p->bits);
    if (native_out->vector == NATIVE_ENDLESS ||
        !flat_execute(cpu, p->code, p->len, in, p->bits, ours))
        return ENDLESS;
    /* flags that are dead at a fault may be wrong there */
    flags = loose_flags && native_out->vector >= 0 ? ~0x8d5ull : ~0ull;
    return compare_same(native_out, ours, flags, p->bits, 0) &&
                   compare_memory_same()
               ? SAME
               : DIFFERENT;
}

static void print_program(const struct program *p)
{
    for (unsigned at = 0; at < p->len;) {
        struct x86_insn i;
        char text[X86_DISASM_MAX];
        int n = flat_decode(cpu, p->code + at, p->bits, &i);

        if (i.len == 1 && p->code[at] == 0x90) {
            at++;
            continue;
        }
        x86_disasm(text, sizeof text, &i, NATIVE_INSN + at,
                   p->bits == 64 ? X86_MODE_64 : X86_MODE_32);
        printf("    %x  ", NATIVE_INSN + at);
        for (unsigned k = 0; k < i.len; k++)
            printf("%02x", p->code[at + k]);
        printf("  %s\n", n < 0 ? "(bad)" : text);
        at += i.len;
    }
}

/* Leaves out every instruction without which the difference stays. */
static void shrink(struct program *p, const struct native_regs *in)
{
    struct native_regs ours;
    uint8_t kept[256];

    for (unsigned n = p->items; n-- > 0;) {
        unsigned at = p->item[n].at, len = p->item[n].len;

        if (len > sizeof kept)
            continue;
        memcpy(kept, p->code + at, len);
        memset(p->code + at, 0x90, len);
        if (run_both(p, in, &ours) != DIFFERENT)
            memcpy(p->code + at, kept, len);
    }
    run_both(p, in, &ours);
    print_program(p);
    compare_print(in, native_out, &ours);
}

static void fill_memory(struct random *r)
{
    for (unsigned k = 0; k < sizeof memory; k += 8) {
        uint64_t v = random_integer(r);
        memcpy(memory + k, &v, 8);
    }
}

struct options {
    unsigned programs, size, mode;
    uint64_t seed;
    const char *file;
    uint32_t *counts; /* instructions that the interpreter executed */
};

/* Exact translations count what the interpreter counts. */
static bool same_count(const struct options *o, int how, unsigned n)
{
    uint32_t count = (uint32_t)flat_executed();

    if (!how)
        o->counts[n] = count;
    if (how != 'J' || !o->counts[n] || o->counts[n] == count)
        return true;
    printf("  it executes %u instructions, not %u\n", count, o->counts[n]);
    return false;
}

/* how: 0 interprets; 'j' translates, 'u' later, 'J' exactly */
static bool run_programs(const struct options *o, int how)
{
    const char *name = how == 'j'   ? "translated"
                       : how == 'u' ? "translated in units"
                       : how == 'J' ? "translated exactly"
                                    : "interpreted";
    unsigned bad = 0, faults = 0;

    loose_flags = how == 'j' || how == 'u';
    compare_operand_pointer = !loose_flags;
    if (how && !flat_translate(cpu, how == 'J', how == 'u')) {
        printf("ok random programs %s # SKIP not allowed here\n", name);
        return true;
    }
    for (unsigned n = 0; n < o->programs; n++) {
        struct random r = { o->seed + n };
        static struct program p;
        struct native_regs in, ours;

        fill_memory(&r);
        p.file = o->file;
        program_make(&p, o->mode ? o->mode : n & 1 ? 32 : 64, o->size, &r);
        in = *native_in;
        enum outcome got = run_both(&p, &in, &ours);
        faults += native_out->vector >= 0;
        if (same_count(o, how, n) && got == SAME)
            continue;
        printf("  program -s %llu -n 1 -i %u -m %u ends %s\n",
               (unsigned long long)(o->seed + n), o->size, p.bits,
               got == ENDLESS ? "never" : "differently");
        if (bad++ >= 5)
            continue;
        if (got == DIFFERENT)
            shrink(&p, &in);
        else if (got == SAME)
            print_program(&p);
    }
    printf("## %u programs of about %u instructions (%u end in an exception), "
           "%u mismatches\n",
           o->programs, o->size, faults, bad);
    printf("%s random programs %s against the host\n", bad ? "not ok" : "ok",
           name);
    return !bad;
}

int main(int argc, char **argv)
{
    struct options o = { .programs = 400, .size = 60, .seed = 1 };
    int c, how = -1;
    const char *why;
    bool good;

    while ((c = getopt(argc, argv, "n:s:i:m:f:juJ")) != -1) {
        switch (c) {
        case 'n': o.programs = (unsigned)atoi(optarg); break;
        case 's': o.seed = strtoull(optarg, NULL, 0); break;
        case 'i': o.size = (unsigned)atoi(optarg); break;
        case 'j':
        case 'u':
        case 'J': how = c; break;
        case 'm': o.mode = (unsigned)atoi(optarg); break;
        case 'f': o.file = optarg; break;
        default:
            fprintf(stderr, "usage: fuzz_prog [-n PROGRAMS] [-s SEED] "
                            "[-i INSTRUCTIONS] [-m 32|64] [-f FILE] "
                            "[-j|-u|-J]\n");
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!native_init(&why)) {
        printf("ok random programs against the host # SKIP %s\n", why);
        return 0;
    }
    o.counts = calloc(o.programs, sizeof *o.counts);
    if (!o.counts)
        return 2;
    cpu = flat_create();
    compare_init();
    if (how > 0)
        return !run_programs(&o, how);
    good = run_programs(&o, 0);
    good &= run_programs(&o, 'j');
    good &= run_programs(&o, 'u');
    good &= run_programs(&o, 'J');
    return !good;
}
