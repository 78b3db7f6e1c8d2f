/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/interp/blocks.h"

#include <glib.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/jit.h"
#include "cpu/mmu.h"
#include "cpu/sync.h"
#include "vm/vm.h"

#define ARENA_BYTES (24u << 20)
#define HASH_BITS   15
#define BLOCK_BYTES 256

struct block_cache {
    struct block *hash[1u << HASH_BITS];
    uint8_t *arena;
    size_t used;
    /* An instruction that lies in no memory: decoded anew each time. */
    struct block *single;
    uint8_t single_code[16];
};

/* A generation that is never current: `single` is never chained to. */
static const uint32_t never = 1;

static size_t block_bytes(unsigned insns, unsigned code)
{
    size_t n = sizeof(struct block) + insns * sizeof(struct x86_insn) + code;

    return (n + 63) & ~(size_t)63;
}

bool blocks_init(struct vcpu *cpu)
{
    struct block_cache *c = g_try_malloc0(sizeof *c);

    cpu->blocks = c;
    cpu->jumps = g_try_malloc0(sizeof *cpu->jumps << JUMP_BITS);
    if (!c || !cpu->jumps)
        return false;
    c->arena = g_try_malloc(ARENA_BYTES);
    c->single = g_try_malloc0(block_bytes(1, 16));
    return c->arena && c->single;
}

void blocks_finish(struct vcpu *cpu)
{
    if (cpu->blocks) {
        g_free(cpu->blocks->arena);
        g_free(cpu->blocks->single);
    }
    g_free(cpu->blocks);
    g_free(cpu->jumps);
    cpu->blocks = NULL;
    cpu->jumps = NULL;
}

void blocks_flush(struct vcpu *cpu)
{
    struct block_cache *c = cpu->blocks;

    jit_flush(cpu);
    memset(c->hash, 0, sizeof c->hash);
    memset(cpu->jumps, 0, sizeof *cpu->jumps << JUMP_BITS);
    c->used = 0;
    cpu->cur = NULL;
}

static unsigned hash_of(const uint8_t *host, unsigned mode)
{
    uint64_t h =
        ((uintptr_t)host ^ (uintptr_t)mode << 40) * 0x9e3779b97f4a7c15ull;

    return h >> (64 - HASH_BITS);
}

/* --- leaving a block in its middle --------------------------------------- */

/* Stands where an instruction of a voided block was: takes its own step back,
 * so that the next instruction to run is the one that is now there. */
static void h_stale(struct vcpu *cpu, const struct x86_insn *i)
{
    (void)i;
    cpu->st.rip = cpu->stale_rip;
    cpu->insns--;
}

static bool covers(const struct block *b, const uint8_t *p, unsigned n)
{
    unsigned tail = b->tail ? b->tail->bytes : 0;

    if (p < b->host + b->bytes - tail && p + n > b->host)
        return true;
    return tail && p < b->tail->host + tail && p + n > b->tail->host;
}

void blocks_code_hit(struct vcpu *cpu, const uint8_t *p, unsigned n)
{
    struct block *b = cpu->cur;
    uint64_t at = 0, done;

    if (!b || b->dead || !covers(b, p, n))
        return;
    done = (cpu->st.rip - cpu->cur_rip) & cpu->rip_mask;
    b->dead = true;
    cpu->stale_rip = cpu->st.rip;
    for (unsigned k = 0; k < b->count; k++) {
        if (at >= done)
            b->insn[k].fn = h_stale;
        at += b->insn[k].len;
    }
}

const struct x86_insn *blocks_current(struct vcpu *cpu, unsigned *done)
{
    const struct block *b = cpu->cur;
    uint64_t at = 0, end = (cpu->st.rip - cpu->cur_rip) & cpu->rip_mask;

    for (unsigned k = 0; b && k < b->count; k++) {
        at += b->insn[k].len;
        if (at >= end) {
            *done = k;
            return &b->insn[k];
        }
    }
    return NULL;
}

/* SMAP does not concern fetches, so the supervisor needs one table only. */
static enum tlb_mode exec_mode(const struct vcpu *cpu)
{
    return cpu->cpl == 3 ? TLB_USER : TLB_SUPER_AC;
}

/* --- decoding ------------------------------------------------------------ */

static bool is_last(const struct x86_insn *i)
{
    return i->flags & (X86_I_END | X86_I_REP | X86_I_REPNE);
}

/* The instruction behind STI runs before an interrupt comes in, and the one
 * behind that does not: they are in one block, and it ends there. */
static bool is_behind_sti(const struct x86_insn *i, unsigned n)
{
    return n > 0 && i[n - 1].fn == h_sti;
}

/* Decodes up to `max` instructions; *bytes is their length. */
static unsigned decode_run(struct vcpu *cpu, struct x86_insn *insn,
                           unsigned max, const uint8_t *p, unsigned avail,
                           unsigned *bytes)
{
    unsigned count = 0, used = 0;

    while (count < max && used < avail) {
        struct x86_insn *i = &insn[count];
        int n = x86_decode(i, p + used, avail - used,
                           cpu->mode & (MODE_CODE | MODE_REAL),
                           &cpu->model->features);

        if (n == 0)
            break;
        used += i->len;
        count++;
        if (n < 0 || is_last(i) || is_behind_sti(insn, count - 1))
            break;
    }
    *bytes = used;
    return count;
}

/*
 * One instruction with bytes in a device.  A second page is touched only when
 * it really has bytes there.
 */
static struct block *decode_single(struct vcpu *cpu, uint64_t lin)
{
    struct block_cache *c = cpu->blocks;
    struct block *b = c->single;
    unsigned have = 0, bytes = 0;

    memset(b, 0, sizeof *b);
    while (have < X86_MAX_INSN) {
        uint64_t at = lin + have;
        unsigned n = PAGE_BYTES - (at & 0xfff);
        struct tlb_slot s;

        if (!cpu->long_mode)
            at = (uint32_t)at;
        s = mmu_find(cpu, at, ACCESS_EXEC, exec_mode(cpu));
        if (n > X86_MAX_INSN - have)
            n = X86_MAX_INSN - have;
        if (s.info->mem) {
            memcpy(c->single_code + have, s.e->host + (at & 0xfff), n);
        } else {
            n = 1;
            c->single_code[have] =
                (uint8_t)phys_ld(cpu, s.info->phys | (at & 0xfff), 1);
        }
        have += n;
        if (decode_run(cpu, b->insn, 1, c->single_code, have, &bytes))
            break;
    }
    b->count = 1;
    b->bytes = (uint16_t)bytes;
    b->gen_now = &never;
    b->mode = cpu->mode;
    return b;
}

/* An empty block, at the end of the arena but not yet part of it. */
static struct block *block_begin(struct vcpu *cpu)
{
    struct block_cache *c = cpu->blocks;
    struct block *b;

    if (ARENA_BYTES - c->used < block_bytes(BLOCK_INSNS, BLOCK_BYTES))
        blocks_flush(cpu);
    b = (struct block *)(c->arena + c->used);
    memset(b, 0, sizeof *b);
    return b;
}

/* The block that was begun has b->count instructions of so many bytes. */
static void block_add(struct vcpu *cpu, struct block *b, const uint8_t *code,
                      unsigned bytes, const uint8_t *host, struct memory *mem,
                      uint64_t page)
{
    struct block_cache *c = cpu->blocks;
    unsigned room = bytes;
    struct block **head;

    b->gen_now = &mem->code_gen[page];
    b->bytes = (uint16_t)bytes;
    b->code = (uint8_t *)&b->insn[b->count];
    memcpy(b->code, code, bytes);
    b->mode = cpu->mode;
    b->host = host;
    b->mem = mem;
    b->mem_page = page;
    if (b->tail) {
        struct block_tail *tail = (struct block_tail *)(b->code + 16);

        *tail = *b->tail;
        b->tail = tail;
        room = 16 + sizeof *tail;
    }
    c->used += block_bytes(b->count, room);
    head = &c->hash[hash_of(host, b->mode)];
    b->hash_next = *head;
    *head = b;
    cpu->n_blocks_decoded++;
}

static struct block *block_new(struct vcpu *cpu, const uint8_t *host,
                               struct memory *mem, uint64_t page)
{
    unsigned avail = PAGE_BYTES - ((uintptr_t)host & 0xfff), bytes;
    uint8_t code[BLOCK_BYTES];
    struct block *b = block_begin(cpu);

    if (avail > BLOCK_BYTES)
        avail = BLOCK_BYTES;
    /* another processor may change them while they are decoded */
    memcpy(code, host, avail);
    b->count =
        (uint8_t)decode_run(cpu, b->insn, BLOCK_INSNS, code, avail, &bytes);
    if (!b->count)
        return NULL;
    block_add(cpu, b, code, bytes, host, mem, page);
    return b;
}

/* The page behind the one of lin; may raise #PF. */
static struct tlb_slot page_behind(struct vcpu *cpu, uint64_t lin)
{
    uint64_t at = (lin | 0xfff) + 1;

    return mmu_find(cpu, cpu->long_mode ? at : (uint32_t)at, ACCESS_EXEC,
                    exec_mode(cpu));
}

/* The same for an instruction of which `have` bytes are at `host`, and the
 * rest in the next page.  NULL: it is not in memory. */
static struct block *block_new_crossing(struct vcpu *cpu, uint64_t lin,
                                        const uint8_t *host, struct memory *mem,
                                        uint64_t page)
{
    struct tlb_slot s = page_behind(cpu, lin);
    unsigned have = PAGE_BYTES - (lin & 0xfff), bytes;
    struct block_tail tail;
    uint8_t code[2 * X86_MAX_INSN];
    struct block *b;

    if (!s.info->mem || have >= X86_MAX_INSN)
        return NULL;
    memcpy(code, host, have);
    memcpy(code + have, s.e->host, X86_MAX_INSN);
    b = block_begin(cpu);
    b->count = (uint8_t)decode_run(cpu, b->insn, 1, code, X86_MAX_INSN, &bytes);
    if (!b->count || bytes <= have)
        return NULL;
    tail = (struct block_tail){
        .gen_now = &s.info->mem->code_gen[s.info->mem_page],
        .bytes = bytes - have,
        .host = s.e->host,
        .mem = s.info->mem,
        .mem_page = s.info->mem_page,
    };
    b->tail = &tail;
    block_add(cpu, b, code, bytes, host, mem, page);
    return b;
}

/*
 * Makes the lines of a new or outdated block known as code and reads the
 * bytes (again) after that.  False: translations may have changed meanwhile.
 */
static bool block_settle(struct vcpu *cpu, struct block *b, bool *same)
{
    uint32_t gen = __atomic_load_n(b->gen_now, __ATOMIC_SEQ_CST);
    struct block_tail *t = b->tail;
    uint32_t tail_gen = t ? __atomic_load_n(t->gen_now, __ATOMIC_SEQ_CST) : 0;
    unsigned n = b->bytes - (t ? t->bytes : 0);

    if (!code_mark(cpu, b->mem, b->mem_page, (uintptr_t)b->host & 0xfff, n) ||
        (t && !code_mark(cpu, t->mem, t->mem_page, 0, t->bytes)))
        return false;
    *same = !memcmp(b->code, b->host, n) &&
            (!t || !memcmp(b->code + n, t->host, t->bytes));
    if (!*same)
        return true;
    b->gen = gen;
    if (t)
        t->gen = tail_gen;
    return true;
}

/* Is the second page of the instruction the one that is there now?  It is
 * touched only if there still is such an instruction. */
static bool tail_is_there(struct vcpu *cpu, const struct block *b, uint64_t lin)
{
    unsigned n = b->bytes - b->tail->bytes;

    return !memcmp(b->code, b->host, n) &&
           page_behind(cpu, lin).e->host == b->tail->host;
}

/* Chains and the jump cache may still lead to it, but find it invalid. */
static void retire(struct vcpu *cpu, struct block *b)
{
    struct block **p = &cpu->blocks->hash[hash_of(b->host, b->mode)];

    while (*p && *p != b)
        p = &(*p)->hash_next;
    if (*p)
        *p = b->hash_next;
    b->gen_now = &never;
    b->gen = 0;
    b->tail = NULL;
}

static struct block *find(struct vcpu *cpu, const uint8_t *host, unsigned mode)
{
    struct block *b = cpu->blocks->hash[hash_of(host, mode)];

    while (b && (b->host != host || b->mode != mode))
        b = b->hash_next;
    return b;
}

struct block *blocks_known(struct vcpu *cpu, const struct block *b,
                           const uint8_t *host)
{
    struct block *there = find(cpu, host, b->mode);

    return there && !there->dead && !there->tail && block_is_valid(there)
               ? there
               : NULL;
}

bool blocks_same(struct vcpu *cpu, struct block *b)
{
    bool same;

    if (b->dead || b->gen_now == &never)
        return false;
    return block_is_valid(b) || (block_settle(cpu, b, &same) && same);
}

struct block *blocks_find(struct vcpu *cpu, uint64_t lin)
{
    struct tlb_slot s = mmu_find(cpu, lin, ACCESS_EXEC, exec_mode(cpu));
    struct memory *mem = s.info->mem;
    uint64_t page = s.info->mem_page;
    const uint8_t *host;
    struct block *b;
    bool same;

    if (!mem)
        return decode_single(cpu, lin);
    host = s.e->host + (lin & 0xfff);
    b = find(cpu, host, cpu->mode);
    if (b && !b->dead && (!b->tail || tail_is_there(cpu, b, lin))) {
        if (block_is_valid(b))
            return b;
        if (!block_settle(cpu, b, &same))
            return NULL;
        if (same)
            return b;
    }
    if (b)
        retire(cpu, b);
    /*
     * The lines have to be marked before the bytes are read, but which lines
     * is known only after decoding: decode, mark, and look whether the bytes
     * are still those that were decoded.
     */
    b = block_new(cpu, host, mem, page);
    if (!b)
        b = block_new_crossing(cpu, lin, host, mem, page);
    if (!b)
        return decode_single(cpu, lin);
    if (!block_settle(cpu, b, &same) || !same) {
        retire(cpu, b);
        return NULL;
    }
    return b;
}
