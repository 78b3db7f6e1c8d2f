/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between C and translated code: trampolines, the slow path, the look-up
 * after an instruction that ends a block, creation.
 *
 * Trampolines are emitted into the code buffer, because they know the map of
 * registers.  Their contracts:
 *
 *   enter(code)  from C: loads all registers and jumps to code
 *   leave        jumped to with a struct jit_link * in S0: saves registers
 *                and flags, returns the link to C
 *   slow         called with the block in S0, instructions in S1: saves
 *                registers, calls jit_slow(); then returns, leaves, or goes
 *                on somewhere else
 *   vec_enter    called with the link to leave by in S0 and DENY_* in S1:
 *                loads the vector registers
 *
 * GS holds the struct vcpu.  The C library uses FS, and nothing else in this
 * program uses GS; a thread sets it when it runs another vCPU than before.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"
#include "cpu/interp/vec.h"
#include "cpu/interp/x87.h"
#include "cpu/jit/check.h"
#include "cpu/jit/translate.h"
#include "cpu/mmu.h"

_Static_assert(offsetof(struct vcpu, st.ymm) % 16 == 0 ||
                   sizeof(((struct x86_state *)0)->ymm) == 512,
               "16 registers of 32 bytes");

#define HWCAP2_FSGSBASE 2u

enum { SLOW_BACK, SLOW_LEAVE }; /* else a place to go on at */

/* --- the slow path ------------------------------------------------------- */

/* Where the code for st.rip is, if that is known. */
static uint64_t next_code(struct vcpu *cpu)
{
    uint64_t rip = cpu->st.rip & cpu->rip_mask;
    uint64_t lin = cpu->fast[SEG_CS].base + rip;
    const struct jit_jump *e;

    cache_jumps_choose(cpu);
    e = jump_slot(cpu->jit_jumps, lin);
    cpu->st.rip = rip;
    cpu->vec_live &= VEC_LIVE_X87;
    if (e->lin != lin || __atomic_load_n(&cpu->requests, __ATOMIC_RELAXED))
        return SLOW_LEAVE;
    cpu->jit->n_end_hits++;
    return (uint64_t)(uintptr_t)e->code;
}

/* So often in so much time: a unit whose data lies across a page's end, or in
 * a page that is written slowly, is made again with a way for this. */
#define WINDOW_MISSES 2000u
#define WINDOW_CYCLES 100000000u

static void window_missed(struct vcpu *cpu, struct jit_block *jb)
{
    uint64_t now = jit_time(cpu);

    if (now - jb->missed_since > WINDOW_CYCLES) {
        jb->missed_since = now;
        jb->missed = 0;
    }
    if (jb->missed++ < WINDOW_MISSES || jb->b->split)
        return;
    jb->b->split = true;
    cache_drop(jb->b, jb);
    cache_unlink(cpu->jit, jb);
}

/*
 * After a handler: may the unit go on?  The handler may have fetched the x87
 * registers, and an exception may be pending there.  vec: what was found at
 * vec_check().
 */
static bool still_live(struct vcpu *cpu, unsigned vec)
{
    if ((vec & (DENY_X87 | DENY_MMX)) && !(cpu->vec_live & VEC_LIVE_X87)) {
        if (!x87_can_go(cpu))
            return false;
        x87_to_host(cpu);
        cpu->vec_live |= VEC_LIVE_X87;
    }
    return true;
}

/*
 * The interpreter does instructions [k, last) of a unit as long as they lead
 * from one to the next.  *at: rip behind the last one if it does not jump.
 * Returns how many were left undone.
 */
static unsigned interpret(struct vcpu *cpu, const struct jit_block *jb,
                          const struct jit_part *p, unsigned k, unsigned last,
                          uint64_t *at)
{
    const struct jit_part *end = jb->part + jb->parts;
    uint64_t key = cpu->key, rip = p->rip, next;
    bool over = false;

    for (unsigned n = p->first; n < k; n++)
        rip += p->b->insn[n - p->first].len;
    for (; k < last; k++) {
        const struct x86_insn *i = &p->b->insn[k - p->first];

        cpu->cur = p->b;
        cpu->cur_rip = p->rip;
        cpu->cur_count = cpu->jit->exact ? p->b->count : k - p->first + 1;
        rip += i->len;
        cpu->st.rip = next = rip;
        i->fn(cpu, i);
        if (k + 1 < last && p + 1 < end && k + 1 == p[1].first) {
            next = rip = (++p)->rip;
            over = cpu->jit->exact; /* it has not been counted */
        }
        if (unlikely(over || jb->patched || cpu->st.rip != next ||
                     cpu->key != key)) {
            k++;
            break;
        }
    }
    *at = rip;
    return last - k;
}

/* Instructions of the block from k on are not executed. */
static void uncount(struct vcpu *cpu, const struct jit_part *p, unsigned k)
{
    cpu->insns -= p->first + p->b->count - k;
}

static uint64_t jit_slow(struct vcpu *cpu, struct jit_block *jb, uint32_t what)
{
    unsigned k = what & 0xff, last = k + (what >> 8 & 0xff), undone;
    uint64_t at, key = cpu->key;
    const struct jit_part *p = unit_part(jb, k);
    uint32_t leave = cpu->jit->exact ? REQ_CODE : REQ_CODE | REQ_NMI | REQ_INTR;
    bool stays;

    flags_set(cpu, cpu->jit_flags);
    if (what & SLOW_ROW) /* that is one instruction */
        cpu->jit->fallback[p->b->insn[k - p->first].row]++;
    undone = interpret(cpu, jb, p, k, last, &at);
    cpu->jit_flags = flags_pack(cpu);
    if (unlikely(cpu->slot_tired))
        slot_missed(cpu, jb, what & 0xff);
    else if ((what >> 8 & 0xff) > 1)
        window_missed(cpu, jb);
    /* Frames may lead to code that was written.  And who has sent itself an
     * interrupt, by a store to its APIC, gets it before it looks: units are
     * longer than the interpreter's blocks. */
    stays = !undone && cpu->st.rip == at && cpu->key == key && !jb->patched &&
            !(__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED) & leave);
    if (undone && cpu->jit->exact)
        uncount(cpu, unit_part(jb, last - undone - 1), last - undone);
    if (last - k > 1)
        p = unit_part(jb, last - 1);
    if (what & SLOW_END) {
        cpu->jit->n_ends++;
        if (stays && !__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED) &&
            still_live(cpu, p->vec))
            return SLOW_BACK;
        return next_code(cpu);
    }
    cpu->jit->n_slow++;
    if (likely(stays && still_live(cpu, p->vec)))
        return SLOW_BACK;
    if (!undone && cpu->jit->exact)
        uncount(cpu, unit_part(jb, last - 1), last);
    cpu->vec_live &= VEC_LIVE_X87;
    return SLOW_LEAVE;
}

/* The registers that a block wants: may it have them?  What is live then,
 * or 0.  The vectors are loaded by the caller. */
static uint64_t jit_vec_enter(struct vcpu *cpu, struct jit_link *out,
                              uint32_t needs)
{
    unsigned live = cpu->vec_live & VEC_LIVE_XMM;

    if (needs & (DENY_X87 | DENY_MMX)) {
        if ((cpu->deny & needs) || !x87_can_go(cpu))
            goto interpret;
        if (!(cpu->deny & DENY_AWAY)) {
            cpu->jit->n_x87++;
            x87_to_host(cpu);
        }
        cpu->vec_live |= VEC_LIVE_X87;
    }
    if (needs & (DENY_SSE | DENY_AVX)) {
        if (cpu->deny & needs)
            goto interpret;
        cpu->jit->n_vec++;
        if (!(cpu->deny & DENY_SSE))
            live |= VEC_LIVE_SSE;
        if (!(cpu->deny & DENY_AVX))
            live |= VEC_LIVE_AVX;
    }
    return live | (cpu->vec_live & VEC_LIVE_X87);
interpret:
    for (unsigned n = 0; n < out->from->parts; n++)
        if (out->from->part[n].rip == out->rip)
            cpu->jit->interpret = out->from->part[n].b;
    return 0;
}

/* --- trampolines --------------------------------------------------------- */

static void save_registers(struct emit *e)
{
    for (unsigned n = 0; n < 16; n++)
        if (host_of[n] != H_NONE)
            emit_store(e, true, host_of[n], gpr_at(n));
}

static void load_registers(struct emit *e)
{
    emit_load(e, false, H_RAX, offsetof(struct vcpu, jit_flags));
    emit_flags_unpack(e);
    for (unsigned n = 0; n < 16; n++)
        if (host_of[n] != H_NONE)
            emit_load(e, true, host_of[n], gpr_at(n));
}

static void vec_insn(struct emit *e, bool vex, bool l, unsigned map,
                     unsigned op, unsigned reg, unsigned half)
{
    struct host_mem m =
        state_mem(offsetof(struct vcpu, st.ymm) + reg * 32 + half * 16);

    emit_insn(e, &(struct host_insn){ .vex = vex,
                                      .l = l,
                                      .map = (uint8_t)map,
                                      .op = (uint8_t)op,
                                      .reg = half ? 0 : (uint8_t)reg,
                                      .mem = &m });
}

static void vec_move(struct emit *e, unsigned op, unsigned reg)
{
    bool avx = __builtin_cpu_supports("avx");

    vec_insn(e, avx, avx, 1, op, reg, 0);
}

static void vzeroupper(struct emit *e)
{
    emit8(e, 0xc5);
    emit8(e, 0xf8);
    emit8(e, 0x77);
}

static void mxcsr_insn(struct emit *e, unsigned n, size_t at)
{
    struct host_mem m = state_mem(at);

    emit_insn(e, &(struct host_insn){
                     .map = 1, .op = 0xae, .reg = (uint8_t)n, .mem = &m });
}

static void save_vectors(struct emit *e)
{
    for (unsigned n = 0; n < 16; n++)
        vec_move(e, 0x11, n);
    if (__builtin_cpu_supports("avx"))
        vzeroupper(e);
    mxcsr_insn(e, 3, offsetof(struct vcpu, st.mxcsr));
    mxcsr_insn(e, 2, offsetof(struct vcpu, host_mxcsr));
}

/*
 * Code without VEX prefixes has to keep the upper halves, for which the host
 * waits unless it knows them to be zero: so say it when they are.  Destroys
 * flags.
 */
static void load_vectors(struct emit *e)
{
    uint8_t *clean, *done;

    mxcsr_insn(e, 2, offsetof(struct vcpu, st.mxcsr));
    if (!__builtin_cpu_supports("avx")) {
        for (unsigned n = 0; n < 16; n++)
            vec_move(e, 0x10, n);
        return;
    }
    vec_insn(e, true, false, 1, 0x10, 0, 1); /* vmovups xmm0, upper half */
    for (unsigned n = 1; n < 16; n++)
        vec_insn(e, true, false, 1, 0x56, n, 1); /* vorps xmm0, .. */
    emit_insn(e, &(struct host_insn){
                     .vex = true, .p66 = true, .map = 2, .op = 0x17 });
    clean = emit_jcc(e, CC_E); /* vptest */
    for (unsigned n = 0; n < 16; n++)
        vec_move(e, 0x10, n);
    done = emit_jcc(e, CC_ALWAYS);
    emit_patch(clean, e->p);
    vzeroupper(e);
    for (unsigned n = 0; n < 16; n++)
        vec_insn(e, true, false, 1, 0x10, n, 0);
    emit_patch(done, e->p);
}

/* A jump over what is emitted until label(). */
static uint8_t *if_vec_live(struct emit *e)
{
    struct host_mem live = state_mem(offsetof(struct vcpu, vec_live));

    emit_insn(e, &(struct host_insn){ .op = 0xf6,
                                      .mem = &live,
                                      .imm = VEC_LIVE_XMM,
                                      .imm_bytes = 1 });
    return emit_jcc(e, CC_E);
}

static void label(struct emit *e, uint8_t *rel)
{
    emit_patch(rel, e->p);
}

static const uint8_t pushed[] = { H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15 };
#define PUSHED sizeof pushed

/*
 * The host's stack while code runs: what jit_execute() left, vcpu.jit_base,
 * FRAMES_EMPTY frames that are none, those of the guest's calls (branch.c).
 * A frame is 16 bytes, so RSP is aligned as C wants it.  An empty frame has a
 * return address that is no use to the guest; if it does go there, it leaves.
 */
#define FRAMES_EMPTY     4
#define FRAME_BYTES      16
#define STACK_FOR_FRAMES (128 << 10)

static void emit_frames_drop(struct emit *e)
{
    emit_load(e, true, H_RSP, offsetof(struct vcpu, jit_base));
    emit_lea(e, true, H_RSP, H_RSP, -FRAMES_EMPTY * FRAME_BYTES);
}

/* Back to jit_execute() with what is in RAX. */
static void emit_return(struct emit *e)
{
    emit_load(e, true, H_RSP, offsetof(struct vcpu, jit_base));
    emit_lea(e, true, H_RSP, H_RSP, 8);
    for (unsigned n = PUSHED; n-- > 0;)
        emit_pop(e, pushed[n]);
    emit8(e, 0xc3);
}

static void emit_enter(struct jit *j, struct emit *e)
{
    const uint8_t *nowhere = e->p + j->rx;

    /* an empty frame: S0 is rip */
    emit_store(e, true, H_S0, offsetof(struct vcpu, st.rip));
    flags_from_state(e);
    emit_mov_imm(e, H_S0, 0);
    emit_jmp_to(e, j->leave);
    j->enter = e->p;
    for (unsigned n = 0; n < PUSHED; n++)
        emit_push(e, pushed[n]);
    emit_lea(e, true, H_RSP, H_RSP, -8);
    emit_store(e, true, H_RSP, offsetof(struct vcpu, jit_base));
    emit_mov_imm(e, H_S0, (uint64_t)(uintptr_t)nowhere);
    for (unsigned n = 0; n < FRAMES_EMPTY; n++) {
        emit8(e, 0x6a); /* push -1 */
        emit8(e, 0xff);
        emit_push(e, H_S0);
    }
    emit_lea(e, true, H_S0, H_RSP, -STACK_FOR_FRAMES);
    emit_store(e, true, H_S0, offsetof(struct vcpu, jit_floor));
    emit_rr(e, true, 0x8b, H_S1, H_RDI);
    load_registers(e);
    emit_rr(e, false, 0xff, 4, H_S1);
}

/*
 * Called by a return whose address, S0, is not in the last frame.  If it is
 * in one of the next the code there goes on, with S1 added to the guest's RSP.
 */
static void emit_frames(struct jit *j, struct emit *e, bool w)
{
    struct host_mem sp = { H_SP, H_S1, 0, false, 0 };
    uint8_t *rel[FRAMES_EMPTY];

    j->frames[w] = e->p;
    for (int n = 1; n < FRAMES_EMPTY; n++) {
        struct host_mem m = { H_RSP, H_NONE, 0, false,
                              8 + n * FRAME_BYTES + 8 };

        emit_rm(e, true, 0x3b, H_S0, &m);
        rel[n] = emit_jcc(e, CC_E);
    }
    emit8(e, 0xc3);
    for (int n = 1; n < FRAMES_EMPTY; n++) {
        emit_patch(rel[n], e->p);
        emit_lea(e, true, H_RSP, H_RSP, 8 + n * FRAME_BYTES);
        emit_rm(e, w, 0x8d, H_SP, &sp);
        emit8(e, 0xc3);
    }
}

static void emit_leave(struct jit *j, struct emit *e)
{
    uint8_t *rel;

    j->leave = e->p;
    save_registers(e);
    emit_flags_pack(e);
    emit_store(e, false, H_RAX, offsetof(struct vcpu, jit_flags));
    rel = if_vec_live(e);
    save_vectors(e);
    label(e, rel);
    emit_rr(e, true, 0x8b, H_RAX, H_S0);
    emit_return(e);
}

static void call_c(struct emit *e, struct vcpu *cpu, const void *function)
{
    emit_mov_imm(e, H_RDI, (uint64_t)(uintptr_t)cpu);
    emit_rr(e, true, 0x8b, H_RSI, H_S0);
    emit_rr(e, false, 0x8b, H_RDX, H_S1);
    emit_mov_imm(e, H_RAX, (uint64_t)(uintptr_t)function);
    emit_lea(e, true, H_RSP, H_RSP, -8);
    emit_rr(e, false, 0xff, 2, H_RAX);
    emit_lea(e, true, H_RSP, H_RSP, 8);
}

static void emit_slow(struct jit *j, struct emit *e, struct vcpu *cpu)
{
    uint8_t *rel, *leave, *away;

    j->slow = e->p;
    save_registers(e);
    rel = if_vec_live(e);
    save_vectors(e);
    label(e, rel);
    call_c(e, cpu, (const void *)jit_slow);
    emit_ri(e, true, ALU_CMP, H_RAX, SLOW_LEAVE);
    leave = emit_jcc(e, CC_E);
    away = emit_jcc(e, CC_A);
    rel = if_vec_live(e);
    load_vectors(e);
    label(e, rel);
    load_registers(e);
    emit8(e, 0xc3);
    label(e, away);
    emit_rr(e, true, 0x8b, H_S1, H_RAX);
    emit_frames_drop(e);
    load_registers(e);
    emit_rr(e, false, 0xff, 4, H_S1);
    label(e, leave);
    emit_mov_imm(e, H_RAX, 0);
    emit_return(e);
}

static void emit_vec_enter(struct jit *j, struct emit *e, struct vcpu *cpu)
{
    struct host_mem live = state_mem(offsetof(struct vcpu, vec_live));
    uint8_t *rel, *denied;

    j->vec_enter = e->p;
    save_registers(e);
    /* what is live of them may be less than what is needed */
    rel = if_vec_live(e);
    save_vectors(e);
    label(e, rel);
    emit_store(e, true, H_S0, offsetof(struct vcpu, jit_tmp));
    call_c(e, cpu, (const void *)jit_vec_enter);
    emit_rm(e, false, 0x88, H_RAX, &live);
    emit_ri(e, true, ALU_CMP, H_RAX, 0);
    denied = emit_jcc(e, CC_E);
    rel = if_vec_live(e);
    load_vectors(e);
    label(e, rel);
    load_registers(e);
    emit8(e, 0xc3);
    label(e, denied);
    emit_lea(e, true, H_RSP, H_RSP, 8);
    load_registers(e);
    emit_load(e, true, H_S0, offsetof(struct vcpu, jit_tmp));
    emit_jmp_to(e, j->leave);
}

/* --- running ------------------------------------------------------------- */

static void set_gs(struct vcpu *cpu)
{
    if (likely(cpu->jit->fsgsbase)) {
        const struct vcpu *now;

        __asm__ volatile("rdgsbase %0" : "=r"(now));
        if (likely(now == cpu))
            return;
        __asm__ volatile("wrgsbase %0" : : "r"(cpu));
    } else {
        syscall(SYS_arch_prctl, ARCH_SET_GS, cpu);
    }
    fault_thread(cpu);
}

/*
 * Code of an instruction in two pages looks for the second one in the TLB;
 * here it gets there.  A fault is one of the fetch.
 */
static bool tail_is_known(struct vcpu *cpu, const struct block *b)
{
    uint64_t lin = jit_tail_lin(cpu->st.rip);
    struct tlb_slot s;

    if (!cpu->code64 && (!(cpu->mode & MODE_FLAT) || lin >> 32))
        return false;
    cpu->fetching = true;
    s = mmu_find(cpu, lin, ACCESS_EXEC, mmu_mode(cpu));
    cpu->fetching = false;
    return s.e->tag == lin && s.e->host == b->tail->host;
}

struct jit_block *jit_code_for(struct vcpu *cpu, struct block *b)
{
    struct jit_block *jb;

    if (b->tail && !tail_is_known(cpu, b))
        return NULL;
    jb = cache_lookup(b, cpu->st.rip);
    if (jb && jb->code_end > cpu->code_end)
        return NULL;
    if (jb && loop_probed(jb))
        cache_unlink(cpu->jit, jb);
    else if (jb && (!jb->patched || unit_holds(cpu, jb)))
        return jb;
    if (jb)
        cache_drop(b, jb);
    if (b->runs <= cpu->jit->hot)
        b->runs++;
    if (b->runs <= cpu->jit->hot)
        return NULL;
    return translate(cpu, b, cpu->st.rip);
}

bool jit_enter(struct vcpu *cpu, struct block *b)
{
    struct jit *j = cpu->jit;
    uint64_t key = cpu->key;
    struct jit_block *jb = jit_code_for(cpu, b);
    struct jit_link *pending = j->pending, *link;
    uint64_t lin = cpu->fast[SEG_CS].base + cpu->st.rip;
    struct jit_link *(*enter)(const uint8_t *code);

    j->pending = NULL;
    if (unlikely(cpu->key != key))
        return true; /* guest execution was left: look again */
    if (!jb || b == j->interpret) {
        j->interpret = NULL;
        return false;
    }
    cache_relink(j, jb);
    cache_check_direct(cpu);
    if (pending)
        cache_link(cpu, pending, jb);
    cache_jumps_choose(cpu);
    cache_jump(cpu, jb, lin);
    set_gs(cpu);
    cpu->jit_flags = flags_pack(cpu);
    cpu->vec_live &= VEC_LIVE_X87;
    j->n_enters++;
    enter =
        (struct jit_link * (*)(const uint8_t *))(uintptr_t)(j->enter + j->rx);
    link = enter(jb->code + j->rx);
    flags_set(cpu, cpu->jit_flags);
    cpu->vec_live &= VEC_LIVE_X87;
    cpu->cur = NULL;
    if (link) {
        cpu->st.rip = link->rip;
        if (link->site || link->from->patched)
            j->pending = link;
    }
    return true;
}

bool jit_execute(struct vcpu *cpu, struct block *b)
{
    if (unlikely(cpu->jit->check != NULL))
        return check_execute(cpu, b);
    return jit_enter(cpu, b);
}

/* --- creation ------------------------------------------------------------ */

static bool map_buffer(struct jit *j)
{
    int fd = memfd_create("backplane-jit", MFD_CLOEXEC);
    void *rw, *rx;

    if (fd < 0)
        return false;
    if (ftruncate(fd, JIT_CODE_BYTES) != 0) {
        close(fd);
        return false;
    }
    rw = mmap(NULL, JIT_CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    rx = mmap(NULL, JIT_CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    j->rw = rw == MAP_FAILED ? NULL : rw;
    if (j->rw && rx != MAP_FAILED) {
        j->rx = (uint8_t *)rx - j->rw;
        return true;
    }
    if (rx != MAP_FAILED)
        munmap(rx, JIT_CODE_BYTES);
    if (j->rw)
        munmap(j->rw, JIT_CODE_BYTES);
    j->rw = NULL;
    return false;
}

/* CPUID's "invariant TSC" */
static bool is_tsc_steady(void)
{
    unsigned a, b, c, d = 0;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
}

bool jit_init(struct vcpu *cpu, bool exact, unsigned hot)
{
    struct jit *j = g_try_malloc0(sizeof *j);
    struct emit e;

    if (!j)
        return false;
    j->data = mmap(NULL, JIT_DATA_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    j->fallback = g_try_malloc0(x86_row_count * sizeof *j->fallback);
    if (j->data == MAP_FAILED || !j->fallback || !cache_jumps_init(j) ||
        !map_buffer(j)) {
        cache_jumps_finish(j);
        if (j->data != MAP_FAILED)
            munmap(j->data, JIT_DATA_BYTES);
        g_free(j->fallback);
        g_free(j);
        return false;
    }
    pthread_mutex_init(&j->lock, NULL);
    fault_init();
    j->exact = j->all_flags = exact;
    j->hot = hot;
    j->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
    j->end = j->rw + JIT_CODE_BYTES;
    j->data_end = j->data + JIT_DATA_BYTES;
    cpu->host_mxcsr = MXCSR_DEFAULT;
    cpu->tsc = (struct tsc_anchor){ .steady = !exact && is_tsc_steady() };
    e.p = j->rw;
    emit_leave(j, &e);
    emit_enter(j, &e);
    emit_frames(j, &e, false);
    emit_frames(j, &e, true);
    emit_slow(j, &e, cpu);
    emit_vec_enter(j, &e, cpu);
    for (unsigned n = 0; n < 4; n++)
        emit_slot_fill(j, &e, cpu, n & 2, n & 1);
    emit_tlb_fill(j, &e, cpu, false);
    emit_tlb_fill(j, &e, cpu, true);
    j->start = j->at = e.p;
    j->data_at = j->data;
    cpu->jit = j;
    return true;
}

/* Flags stay as they are usually: dead ones may be wrong. */
bool jit_check(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;

    j->check = check_new();
    j->exact = j->check != NULL || j->all_flags;
    return j->check != NULL;
}

void jit_finish(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;

    if (!j)
        return;
    if (j->perf)
        fclose(j->perf);
    munmap(j->rw, JIT_CODE_BYTES);
    munmap(j->rw + j->rx, JIT_CODE_BYTES);
    munmap(j->data, JIT_DATA_BYTES);
    pthread_mutex_destroy(&j->lock);
    check_free(j->check);
    cache_jumps_finish(j);
    g_free(j->fallback);
    g_free(j);
    cpu->jit = NULL;
}

/* The name is the one that perf looks for; whoever made such a file or link
 * before us does not get our lines. */
void jit_perf_map(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;
    g_autofree char *name = g_strdup_printf("/tmp/perf-%d.map", getpid());
    int fd;

    if (!j)
        return;
    fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
              0600);
    j->perf = fd < 0 ? NULL : fdopen(fd, "a");
    if (j->perf)
        setvbuf(j->perf, NULL, _IOLBF, 0);
    else if (fd >= 0)
        close(fd);
}
