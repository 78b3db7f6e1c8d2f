/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --jit=check says when interpreter and translator do not agree.
 */
#include <inttypes.h>
#include <string.h>

#include "cpu/disasm.h"
#include "cpu/interp/blocks.h"
#include "cpu/jit/cache.h"
#include "cpu/jit/check.h"
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "lib/log.h"

#define say(...) log_line(NULL, LOG_ERROR, "check", __VA_ARGS__)

/* Most lines about one window's memory */
#define MEMORY_LINES 16

/* --- where it begins ----------------------------------------------------- */

/* The machine's memory as it was before the window. */
static void roll_back(const struct check *c)
{
    for (unsigned n = 0; n < c->shadow->pages; n++) {
        const struct shadow_page *p = &c->shadow->page[n];

        memcpy(p->host, p->orig, PAGE_BYTES);
    }
}

static bool same_after(struct vcpu *cpu, uint64_t n, bool fault)
{
    struct check *c = cpu->jit->check;

    roll_back(c);
    check_interpret(cpu, n);
    c->ref.fault = fault;
    check_translated(cpu, n);
    if (!c->jit.fault && (c->jit.insns != n || c->ref.cut))
        check_interpret(cpu, c->jit.insns);
    return check_is_same(c);
}

/* Number of the first block behind which the two differ. */
static unsigned first_block(struct vcpu *cpu, uint64_t insns, bool fault)
{
    struct check *c = cpu->jit->check;

    for (unsigned n = 1; n < c->traced; n++)
        if (!same_after(cpu, c->trace[n].insns, false))
            return n - 1;
    same_after(cpu, insns, fault);
    return c->traced - 1;
}

/* --- what is different --------------------------------------------------- */

static void word(const char *name, uint64_t before, uint64_t ref, uint64_t jit)
{
    if (ref != jit)
        say("  %-9s before %016" PRIx64 "  interpreter %016" PRIx64
            "  translated %016" PRIx64,
            name, before, ref, jit);
}

static void bytes(const char *name, unsigned number, const uint8_t *before,
                  const uint8_t *ref, const uint8_t *jit, unsigned n)
{
    char text[3][80];

    if (!memcmp(ref, jit, n))
        return;
    for (unsigned k = 0; k < n; k++) {
        g_snprintf(text[0] + 2 * k, 3, "%02x", before[n - 1 - k]);
        g_snprintf(text[1] + 2 * k, 3, "%02x", ref[n - 1 - k]);
        g_snprintf(text[2] + 2 * k, 3, "%02x", jit[n - 1 - k]);
    }
    say("  %s%u before %s", name, number, text[0]);
    say("      interpreter %s", text[1]);
    say("      translated  %s", text[2]);
}

static void registers(const struct x86_state *b, const struct x86_state *r,
                      const struct x86_state *j)
{
    static const char *const gpr[16] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
    };
    static const char *const seg[SEG_COUNT] = { "es", "cs", "ss",
                                                "ds", "fs", "gs" };

    for (unsigned n = 0; n < 16; n++)
        word(gpr[n], b->gpr[n], r->gpr[n], j->gpr[n]);
    word("rip", b->rip, r->rip, j->rip);
    word("rflags", b->rflags, r->rflags, j->rflags);
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        word(seg[n], b->seg[n].selector, r->seg[n].selector,
             j->seg[n].selector);
        word("  base", b->seg[n].base, r->seg[n].base, j->seg[n].base);
        word("  limit", b->seg[n].limit, r->seg[n].limit, j->seg[n].limit);
        word("  attr", b->seg[n].attr, r->seg[n].attr, j->seg[n].attr);
    }
    word("cr0", b->cr0, r->cr0, j->cr0);
    word("cr2", b->cr2, r->cr2, j->cr2);
    word("mxcsr", b->mxcsr, r->mxcsr, j->mxcsr);
    word("fcw", b->x87.cw, r->x87.cw, j->x87.cw);
    word("fsw", b->x87.sw, r->x87.sw, j->x87.sw);
    word("ftw", b->x87.tag, r->x87.tag, j->x87.tag);
    word("fop", b->x87.opcode, r->x87.opcode, j->x87.opcode);
    word("fip", b->x87.ip, r->x87.ip, j->x87.ip);
    word("fdp", b->x87.dp, r->x87.dp, j->x87.dp);
    for (unsigned n = 0; n < 8; n++)
        bytes("fpr", n, b->x87.st[n], r->x87.st[n], j->x87.st[n], 16);
    for (unsigned n = 0; n < 16; n++)
        bytes("ymm", n, b->ymm[n], r->ymm[n], j->ymm[n], 32);
}

/* What of the state has no line of its own. */
static void others(const struct x86_state *r, const struct x86_state *j)
{
    const uint8_t *a = (const uint8_t *)r, *b = (const uint8_t *)j;
    unsigned shown = 0;

    for (size_t k = offsetof(struct x86_state, ldt);
         k < sizeof *r && shown < MEMORY_LINES; k++)
        if (a[k] != b[k] &&
            k / 8 != offsetof(struct x86_state, tsc_deadline) / 8) {
            say("  state byte %zu: interpreter %02x  translated %02x", k, a[k],
                b[k]);
            shown++;
        }
}

static void modes(const struct check_outcome *r, const struct check_outcome *j)
{
    word("cpl", 0, r->cpl, j->cpl);
    word("deny", 0, r->deny, j->deny);
    word("mode", 0, r->mode, j->mode);
    word("sp size", 0, r->sp_size, j->sp_size);
    word("code end", 0, r->code_end, j->code_end);
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        word("base", n, r->fast[n].base, j->fast[n].base);
        word("read end", n, r->fast[n].read_end, j->fast[n].read_end);
        word("write end", n, r->fast[n].write_end, j->fast[n].write_end);
    }
}

static void memory(const struct shadow *s)
{
    unsigned lines = 0;

    for (unsigned n = 0; n < s->pages; n++) {
        const struct shadow_page *p = &s->page[n];

        for (unsigned k = 0; k < PAGE_BYTES; k++) {
            if (p->now[k] == p->host[k] || ++lines > MEMORY_LINES)
                continue;
            say("  memory %s+%" PRIx64 " before %02x  interpreter %02x  "
                "translated %02x",
                p->mem->name, p->mem_page << PAGE_SHIFT | k, p->orig[k],
                p->now[k], p->host[k]);
        }
    }
    if (lines > MEMORY_LINES)
        say("  and %u bytes of memory more", lines - MEMORY_LINES);
}

static void outcome(const char *who, const struct check_outcome *o)
{
    if (o->fault)
        say("  %s: exception %u, error code %x, at %" PRIx64 " after %" PRIu64
            " instructions",
            who, o->vector, o->has_error ? o->error : 0, o->st.rip, o->insns);
    else
        say("  %s: %" PRIu64 " instructions, on to %" PRIx64, who, o->insns,
            o->st.rip);
}

static void differences(const struct check *c)
{
    outcome("interpreter", &c->ref);
    outcome("translated", &c->jit);
    registers(&c->before, &c->ref.st, &c->jit.st);
    others(&c->ref.st, &c->jit.st);
    modes(&c->ref, &c->jit);
    memory(c->shadow);
}

/* --- the code ------------------------------------------------------------ */

static struct block *block_at(struct vcpu *cpu, const struct x86_state *at)
{
    uint64_t lin;

    cpu->st = *at;
    mode_segments(cpu);
    mode_deny(cpu);
    lin = cpu->fast[SEG_CS].base + at->rip;
    if (sigsetjmp(cpu->jump, 0))
        return NULL;
    return blocks_find(cpu, cpu->long_mode ? lin : (uint32_t)lin);
}

static void instructions(struct vcpu *cpu, const struct x86_state *at)
{
    struct block *b = block_at(cpu, at);
    uint64_t rip = at->rip;

    for (unsigned n = 0, used = 0; b && n < b->count; n++) {
        const struct x86_insn *i = &b->insn[n];
        char text[X86_DISASM_MAX], hex[32] = "";

        x86_disasm(text, sizeof text, i, rip,
                   b->mode & (MODE_CODE | MODE_REAL));
        for (unsigned k = 0; b->code && k < i->len; k++)
            g_snprintf(hex + 2 * k, 3, "%02x", b->code[used + k]);
        say("  %016" PRIx64 "  %-20s %s", rip, hex, text);
        used += i->len;
        rip += i->len;
    }
}

void check_report(struct vcpu *cpu)
{
    struct check *c = cpu->jit->check;
    const struct check_outcome ref = c->ref;
    struct x86_state start;
    unsigned bad;

    say("cpu %u: interpreter and translated code differ, after %" PRIu64
        " instructions compared",
        cpu->index, c->n_insns);
    differences(c);
    bad = first_block(cpu, ref.insns, ref.fault);
    if (check_is_same(c)) {
        say("it does not happen again");
    } else if (bad + 1 < c->traced) {
        say("sooner:");
        differences(c);
    }
    for (unsigned n = 0; n <= bad && n < c->traced; n++) {
        if (n + 8 < bad)
            continue;
        check_interpret(cpu, c->trace[n].insns);
        start = c->ref.st;
        say("block %u of %u, at %" PRIx64 "%s", n + 1, c->traced,
            c->trace[n].rip, n == bad ? ", where it begins to differ:" : ":");
        instructions(cpu, &start);
    }
    start = c->ref.st;
    say("registers before the last one:");
    for (unsigned n = 0; n < 16; n += 4)
        say("  %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64,
            start.gpr[n], start.gpr[n + 1], start.gpr[n + 2], start.gpr[n + 3]);
    say("  rflags %" PRIx64 " mxcsr %x fcw %x fsw %x", start.rflags,
        start.mxcsr, start.x87.cw, start.x87.sw);
}
