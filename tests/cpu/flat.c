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
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "cpu/vcpu.h"
#include "mem/map.h"
#include "vm/vm.h"

#define RAM_BYTES (16u << 20)

/* Guest-physical places. */
#define PML4      0x1000u
#define PDPT      0x2000u
#define DIRECTORY 0x3000u
#define TABLES    0x4000u       /* two */
#define WINDOW    0x100000u
#define CODE      0x200000u

#define PTE_P 0x1u
#define PTE_W 0x2u
#define PTE_U 0x4u

static struct vm vm;
static struct vcpu *vcpus[1];
static struct interp_vm engine;
static struct x86_model model;

static _Noreturn void give_up(const char *what)
{
    printf("not ok flat machine: %s\n", what);
    exit(1);
}

static void put_entry(uint32_t table, uint64_t index, uint64_t value)
{
    memcpy(vm.ram->host + table + index * 8, &value, 8);
}

static void map_page(uint32_t table, uint64_t lin, uint32_t phys, bool write)
{
    put_entry(DIRECTORY, lin >> 21 & 511, table | PTE_P | PTE_W | PTE_U);
    put_entry(table, lin >> 12 & 511,
              phys | PTE_P | PTE_U | (write ? PTE_W : 0));
}

static void make_page_tables(void)
{
    put_entry(PML4, 0, PDPT | PTE_P | PTE_W | PTE_U);
    put_entry(PDPT, 0, DIRECTORY | PTE_P | PTE_W | PTE_U);
    for (unsigned n = 0; n <= NATIVE_WINDOW_PAGES; n++)
        map_page(TABLES, NATIVE_WINDOW + n * 4096, WINDOW + n * 4096,
                 n < NATIVE_WINDOW_PAGES);
    for (unsigned n = 0; n < NATIVE_CODE_PAGES; n++)
        map_page(TABLES + 0x1000, NATIVE_CODE_PAGE + n * 4096,
                 CODE + n * 4096, true);
}

uint8_t *flat_memory(uint64_t addr)
{
    return addr >= NATIVE_CODE_PAGE
               ? vm.ram->host + CODE + (addr - NATIVE_CODE_PAGE)
               : vm.ram->host + WINDOW + (addr - NATIVE_WINDOW);
}

static void set_segments(struct x86_state *st, bool code32)
{
    const uint16_t data = 0x3 | SEG_S | SEG_DPL | SEG_P | SEG_DB | SEG_G;
    const uint16_t code = 0xb | SEG_S | SEG_DPL | SEG_P | SEG_G;

    for (unsigned n = 0; n < SEG_COUNT; n++) {
        st->seg[n].limit = 0xffffffff;
        st->seg[n].selector = 0x2b;
        st->seg[n].attr = data;
    }
    st->seg[SEG_FS].selector = st->seg[SEG_GS].selector = 0;
    st->seg[SEG_FS].attr = st->seg[SEG_GS].attr = SEG_UNUSABLE;
    st->seg[SEG_CS].selector = code32 ? 0x23 : 0x33;
    st->seg[SEG_CS].attr = code | (code32 ? SEG_DB : SEG_L);
}

struct vcpu *flat_create(void)
{
    struct vcpu *cpu = aligned_alloc(64, (sizeof *cpu + 63) & ~63ull);

    memset(cpu, 0, sizeof *cpu);
    vm.map = map_create();
    vm.ram = memory_create("ram", RAM_BYTES);
    vm.ram_below_4g = RAM_BYTES;
    map_add_memory(vm.map, "ram", 0, RAM_BYTES, vm.ram, 0, 0, false);
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
    st->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE |
              CR4_FSGSBASE;
    st->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    st->xcr0 = 7;
    st->rflags = FL_ONE | FL_IF;
    st->x87.cw = 0x37f;
    st->mxcsr = 0x1f80;
    set_segments(st, false);
    mode_update(cpu);
    cpu->in_guest = 1;
    return cpu;
}

void flat_load(struct vcpu *cpu, const struct native_regs *in, bool code32)
{
    struct x86_state *st = &cpu->st;
    const struct native_x *x = &in->x;
    unsigned top = x->fsw >> 11 & 7;

    memcpy(st->gpr, in->gpr, sizeof st->gpr);
    st->rip = NATIVE_INSN;
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
    if (st->seg[SEG_GS].base != in->gs_base ||
        cpu->code64 == code32) {
        set_segments(st, code32);
        st->seg[SEG_GS].base = in->gs_base;
    }
    mode_update(cpu);
}

void flat_store(const struct vcpu *cpu, struct native_regs *out)
{
    const struct x86_state *st = &cpu->st;
    struct native_x *x = &out->x;
    unsigned top = st->x87.sw >> 11 & 7;

    memset(out, 0, sizeof *out);
    memcpy(out->gpr, st->gpr, sizeof st->gpr);
    out->rip = st->rip;
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

int flat_decode(struct vcpu *cpu, const uint8_t *insn, bool code32,
                struct x86_insn *i)
{
    return x86_decode(i, insn, 15, code32 ? X86_MODE_32 : X86_MODE_64,
                      &cpu->model->features);
}

/* A repeated instruction that let the run loop have a look is called again. */
static void execute(struct vcpu *cpu, const struct x86_insn *i)
{
    do {
        cpu->st.rip = (NATIVE_INSN + i->len) & cpu->rip_mask;
        i->fn(cpu, i);
    } while (cpu->st.rip == NATIVE_INSN &&
             (i->flags & (X86_I_REP | X86_I_REPNE)));
}

void flat_run(struct vcpu *cpu, const struct x86_insn *i,
              const struct native_regs *in, bool code32,
              struct native_regs *out)
{
    flat_load(cpu, in, code32);
    if (sigsetjmp(cpu->jump, 0)) {
        flat_store(cpu, out);
        out->vector = cpu->exc_vector;
        out->error = cpu->exc_has_error ? cpu->exc_error : 0;
        out->cr2 = cpu->st.cr2;
        out->rip = NATIVE_INSN;
        return;
    }
    execute(cpu, i);
    flat_store(cpu, out);
    out->vector = -1;
}
