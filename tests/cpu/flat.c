/* SPDX-License-Identifier: Apache-2.0 */
/* See flat.h. */
#include "flat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/features.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/engine.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/cache.h"
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "cpu/sync.h"
#include "cpu/vcpu.h"
#include "hwaccel/accel.h"
#include "irq/lapic.h"
#include "mem/map.h"
#include "sched/clock.h"
#include "vm/vm.h"

#define RAM_BYTES (16u << 20)

/* Guest-physical places. */
#define PML4      0x1000u
#define PDPT      0x2000u
#define DIRECTORY 0x3000u
#define TABLES    0x4000u /* three */
#define WINDOW    0x100000u
#define CODE      0x200000u
#define INSN_PHYS (CODE + (NATIVE_INSN - NATIVE_CODE_PAGE))

/* What catches exceptions, at the same offsets from KERNEL. */
#define KERNEL       0x38000000u
#define KERNEL_PHYS  0x300000u
#define IDT          0x0000u
#define STUBS        0x1000u /* a HLT every 16 bytes, one each vector */
#define GDT          0x2000u
#define TSS          0x2800u
#define KERNEL_STACK 0x4000u /* its end */
#define KERNEL_PAGES 4u
#define KERNEL_CS    0x10u
#define TSS_SELECTOR 0x40u

#define PTE_P  0x1u
#define PTE_W  0x2u
#define PTE_U  0x4u
#define PTE_NX (1ull << 63)

static struct vm vm;
static struct vcpu *vcpus[1];
static struct interp_vm engine;
static struct x86_model model;
static uint64_t executed;

static _Noreturn void give_up(const char *what)
{
    printf("not ok flat machine: %s\n", what);
    exit(1);
}

static void put_entry(uint32_t table, uint64_t index, uint64_t value)
{
    memcpy(vm.ram->host + table + index * 8, &value, 8);
}

static void map_page(uint32_t table, uint64_t lin, uint32_t phys,
                     uint64_t rights)
{
    put_entry(DIRECTORY, lin >> 21 & 511, table | PTE_P | PTE_W | PTE_U);
    put_entry(table, lin >> 12 & 511, phys | PTE_P | PTE_U | rights);
}

static void make_page_tables(void)
{
    put_entry(PML4, 0, PDPT | PTE_P | PTE_W | PTE_U);
    put_entry(PDPT, 0, DIRECTORY | PTE_P | PTE_W | PTE_U);
    for (unsigned n = 0; n <= NATIVE_WINDOW_PAGES; n++)
        map_page(TABLES, NATIVE_WINDOW + n * 4096, WINDOW + n * 4096,
                 (n < NATIVE_WINDOW_PAGES ? PTE_W : 0) | PTE_NX);
    for (unsigned n = 0; n < NATIVE_CODE_PAGES; n++)
        map_page(TABLES + 0x1000, NATIVE_CODE_PAGE + n * 4096, CODE + n * 4096,
                 PTE_W);
    put_entry(DIRECTORY, KERNEL >> 21 & 511, (TABLES + 0x2000) | PTE_P | PTE_W);
    for (unsigned n = 0; n < KERNEL_PAGES; n++)
        put_entry(TABLES + 0x2000, (KERNEL >> 12 & 511) + n,
                  (KERNEL_PHYS + n * 4096) | PTE_P | PTE_W);
}

static void make_kernel(struct x86_state *st)
{
    static const uint64_t gdt[] = {
        [KERNEL_CS / 8] = 0x00af9b000000ffff,
        [0x20 / 8] = 0x00cffb000000ffff,
        [0x28 / 8] = 0x00cff3000000ffff,
        [0x30 / 8] = 0x00affb000000ffff,
    };
    uint8_t *base = vm.ram->host + KERNEL_PHYS;
    uint64_t stack = KERNEL + KERNEL_STACK;
    const uint16_t no_ports = 0x68;

    for (uint64_t n = 0; n < 256; n++) {
        uint64_t at = KERNEL + STUBS + n * 16;
        uint64_t gate[2] = { (at & 0xffff) | KERNEL_CS << 16 | 0xee00ull << 32 |
                                 at >> 16 << 48,
                             at >> 32 };
        memcpy(base + IDT + n * 16, gate, 16);
        base[STUBS + n * 16] = 0xf4;
    }
    memcpy(base + GDT, gdt, sizeof gdt);
    memcpy(base + TSS + 4, &stack, 8);       /* RSP0 */
    memcpy(base + TSS + 0x66, &no_ports, 2); /* I/O map: none */
    st->gdt.base = KERNEL + GDT;
    st->gdt.limit = 0x7ff;
    st->idt.base = KERNEL + IDT;
    st->idt.limit = 0xfff;
    st->tr.base = KERNEL + TSS;
    st->tr.limit = 0x67;
    st->tr.selector = TSS_SELECTOR;
    st->tr.attr = 0xb | SEG_P;
    st->ldt.attr = SEG_UNUSABLE;
}

uint8_t *flat_memory(uint64_t addr)
{
    return addr >= NATIVE_CODE_PAGE
               ? vm.ram->host + CODE + (addr - NATIVE_CODE_PAGE)
               : vm.ram->host + WINDOW + (addr - NATIVE_WINDOW);
}

static void set_segment16(struct x86_state *st, unsigned seg, unsigned selector,
                          uint32_t base, unsigned type)
{
    st->seg[seg].base = base;
    st->seg[seg].limit = NATIVE_LIMIT16;
    st->seg[seg].selector = (uint16_t)selector;
    st->seg[seg].attr = (uint16_t)(type | SEG_S | SEG_DPL | SEG_P);
}

static void set_segments(struct x86_state *st, unsigned bits)
{
    const uint16_t data = 0x3 | SEG_S | SEG_DPL | SEG_P | SEG_DB | SEG_G;
    const uint16_t code = 0xb | SEG_S | SEG_DPL | SEG_P | SEG_G;

    for (unsigned n = 0; n < SEG_COUNT; n++) {
        st->seg[n].base = 0;
        st->seg[n].limit = 0xffffffff;
        st->seg[n].selector = 0x2b;
        st->seg[n].attr = data;
    }
    st->seg[SEG_FS].selector = st->seg[SEG_GS].selector = 0;
    st->seg[SEG_FS].attr = st->seg[SEG_GS].attr = SEG_UNUSABLE;
    st->seg[SEG_CS].selector = bits == 64 ? 0x33 : 0x23;
    st->seg[SEG_CS].attr = code | (bits == 64 ? SEG_L : SEG_DB);
    if (bits == 16) {
        set_segment16(st, SEG_CS, NATIVE_CS16, NATIVE_CS16_BASE, 0xb);
        set_segment16(st, SEG_DS, NATIVE_DS16, NATIVE_DATA_BASE, 0x3);
        set_segment16(st, SEG_ES, NATIVE_ES16, NATIVE_DATA_BASE, 0x3);
        set_segment16(st, SEG_SS, NATIVE_SS16, NATIVE_DATA_BASE, 0x3);
        st->seg[SEG_ES].limit = NATIVE_ES16_LIMIT;
    }
}

struct vcpu *flat_create(void)
{
    struct vcpu *cpu = aligned_alloc(64, (sizeof *cpu + 63) & ~63ull);

    memset(cpu, 0, sizeof *cpu);
    vm.map = map_create();
    vm.ram = memory_create("ram", RAM_BYTES);
    vm.ram_below_4g = RAM_BYTES;
    map_add_memory(vm.map, "ram", 0, RAM_BYTES, vm.ram, 0, 0, false);
    vm.clocks = clocks_create(true);
    vm.vcpus = vcpus;
    vm.vcpu_count = 1;
    vm.a20_mask = ~0ull;
    vm.accel_data = &engine;
    pthread_mutex_init(&engine.bus, NULL);
    vcpus[0] = cpu;

    if (!x86_model_find("max", &model))
        give_up("no CPU model");
    cpu->vm = &vm;
    cpu->model = &model;
    cpu->phys_mask = (1ull << 40) - 1;
    if (!mmu_init(cpu) || !blocks_init(cpu))
        give_up("no memory");
    make_page_tables();
    memset(vm.ram->host + CODE, 0xcc, NATIVE_CODE_PAGES * 4096);

    struct x86_state *st = &cpu->st;
    st->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    st->cr3 = PML4;
    st->cr4 =
        CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    st->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    st->xcr0 = 7;
    st->rflags = FL_ONE | FL_IF;
    st->x87.cw = 0x37f;
    st->mxcsr = 0x1f80;
    set_segments(st, 64);
    make_kernel(st);
    mode_update(cpu);
    pthread_mutex_init(&cpu->wake_lock, NULL);
    pthread_cond_init(&cpu->wake, NULL);
    cpu->lapic = lapic_create(cpu);
    cpu->in_guest = 1;
    return cpu;
}

bool flat_translate(struct vcpu *cpu, bool exact, unsigned hot)
{
    map_set_engine(vm.map, sync_invalidate, sync_code_hit, &vm);
    blocks_flush(cpu);
    jit_finish(cpu);
    return jit_init(cpu, exact, hot);
}

uint64_t flat_fallbacks(const struct vcpu *cpu, unsigned row)
{
    return cpu->jit ? cpu->jit->fallback[row] : 0;
}

void flat_flush(struct vcpu *cpu)
{
    mmu_flush_all(cpu);
}

static void load(struct vcpu *cpu, const struct native_regs *in, unsigned bits)
{
    struct x86_state *st = &cpu->st;
    const struct native_x *x = &in->x;
    unsigned top = x->fsw >> 11 & 7;

    memcpy(st->gpr, in->gpr, sizeof st->gpr);
    st->rflags = in->rflags;
    st->x87.cw = x->fcw;
    st->x87.sw = x->fsw;
    st->x87.tag = x->ftw;
    st->x87.opcode = x->fop;
    st->x87.ip = x->fip;
    st->x87.dp = x->fdp;
    st->x87.ip_sel = st->x87.dp_sel = 0;
    for (unsigned n = 0; n < 8; n++)
        memcpy(st->x87.st[(top + n) & 7], x->st[n], 10);
    for (unsigned n = 0; n < 16; n++) {
        memcpy(st->ymm[n], x->xmm[n], 16);
        memcpy(st->ymm[n] + 16, x->ymm_high[n], 16);
    }
    st->mxcsr = x->mxcsr;
    set_segments(st, bits);
    st->seg[SEG_GS].base = in->gs_base;
    st->rip = NATIVE_INSN - st->seg[SEG_CS].base;
    st->activity = X86_RUNNING;
    mode_update(cpu);
}

static void store(const struct vcpu *cpu, struct native_regs *out)
{
    const struct x86_state *st = &cpu->st;
    struct native_x *x = &out->x;
    unsigned top = st->x87.sw >> 11 & 7;

    memset(out, 0, sizeof *out);
    memcpy(out->gpr, st->gpr, sizeof st->gpr);
    out->rip = st->rip + st->seg[SEG_CS].base;
    out->rflags = st->rflags & ~(uint64_t)FL_RF;
    x->fcw = st->x87.cw;
    x->fsw = st->x87.sw;
    x->ftw = st->x87.tag;
    x->fop = st->x87.opcode;
    x->fip = st->x87.ip;
    x->fdp = st->x87.dp;
    for (unsigned n = 0; n < 8; n++)
        memcpy(x->st[n], st->x87.st[(top + n) & 7], 10);
    for (unsigned n = 0; n < 16; n++) {
        memcpy(x->xmm[n], st->ymm[n], 16);
        memcpy(x->ymm_high[n], st->ymm[n] + 16, 16);
    }
    x->mxcsr = st->mxcsr;
}

int flat_decode(struct vcpu *cpu, const uint8_t *insn, unsigned bits,
                struct x86_insn *i)
{
    return x86_decode(i, insn, 15,
                      bits == 64   ? X86_MODE_64
                      : bits == 32 ? X86_MODE_32
                                   : X86_MODE_16,
                      &cpu->model->features);
}

/* A repeated instruction that let the run loop have a look is called again. */
static void execute(struct vcpu *cpu, const struct x86_insn *i)
{
    const uint64_t start = cpu->st.rip;

    do {
        cpu->st.rip = (start + i->len) & cpu->rip_mask;
        i->fn(cpu, i);
    } while (cpu->st.rip == start && (i->flags & (X86_I_REP | X86_I_REPNE)));
}

void flat_run(struct vcpu *cpu, const struct x86_insn *i,
              const struct native_regs *in, unsigned bits,
              struct native_regs *out)
{
    load(cpu, in, bits);
    if (sigsetjmp(cpu->jump, 0)) {
        store(cpu, out);
        out->vector = cpu->exc_vector;
        out->error = cpu->exc_has_error ? cpu->exc_error : 0;
        out->cr2 = cpu->st.cr2;
        out->rip = NATIVE_INSN;
        return;
    }
    execute(cpu, i);
    store(cpu, out);
    out->vector = -1;
}

/* The user program's registers, from the frame that its exception pushed. */
static void unwind(struct vcpu *cpu, struct native_regs *out)
{
    static const uint32_t with_error =
        1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
        1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC;
    unsigned vector = (unsigned)(cpu->st.rip - 1 - KERNEL - STUBS) / 16;
    uint64_t frame[6];

    store(cpu, out);
    out->vector = (int32_t)vector;
    memcpy(frame, vm.ram->host + KERNEL_PHYS + (cpu->st.gpr[RSP] - KERNEL),
           sizeof frame);
    if (vector < 32 && (with_error >> vector & 1)) {
        out->error = (uint32_t)frame[0];
        memmove(frame, frame + 1, sizeof frame - sizeof frame[0]);
    }
    out->rip = frame[0];
    if (frame[1] == NATIVE_CS16)
        out->rip += NATIVE_CS16_BASE;
    out->rflags = frame[2] & ~(uint64_t)FL_RF;
    out->gpr[RSP] = frame[3];
    out->cr2 = cpu->st.cr2;
    if (vector == EXC_BP && out->rip - 1 != NATIVE_INSN) {
        out->rip--;
        out->vector = -1;
    }
}

bool flat_execute(struct vcpu *cpu, const uint8_t *code, unsigned len,
                  const struct native_regs *in, unsigned bits,
                  struct native_regs *out)
{
    uint8_t int3[PAGE_BYTES * NATIVE_CODE_PAGES];
    enum accel_exit exit;

    memset(int3, 0xcc, sizeof int3);
    map_dma_write(vm.map, INSN_PHYS, code, len);
    load(cpu, in, bits);
    executed = 0;
    exit = accel_interp.run(cpu, 1000000, &executed);
    map_dma_write(vm.map, INSN_PHYS, int3, len);
    if (exit != ACCEL_HALTED || cpu->st.seg[SEG_CS].selector != KERNEL_CS)
        return false;
    unwind(cpu, out);
    return true;
}

uint64_t flat_executed(void)
{
    return executed;
}

uint64_t flat_spin(struct vcpu *cpu, const uint8_t *code, unsigned len,
                   const struct native_regs *in, uint64_t budget)
{
    map_dma_write(vm.map, INSN_PHYS, code, len);
    load(cpu, in, 64);
    executed = 0;
    accel_interp.run(cpu, budget, &executed);
    return executed;
}
