/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cpu/guest.h"

#include <string.h>

#include "cpu/jit/jit.h"
#include "cpu/mode.h"
#include "sched/vcpu.h"
#include "tests/lib/test.h"

/* Every block runs as host code from its first time on. */
static void translate_all(struct vm *vm)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        jit_finish(vm->vcpus[n]);
        if (!jit_init(vm->vcpus[n], vm->deterministic, 0))
            SKIP("no translation here");
    }
}

static struct guest *create(unsigned cpus, const char *model,
                            bool deterministic, bool translated)
{
    struct guest *g = g_new0(struct guest, 1);
    GError *error = NULL;

    g->vm.deterministic = deterministic;
    g->vm.tsc_hz = NS_PER_SEC;
    g->vm.a20_mask = ~0ull;
    g->vm.map = map_create();
    g->vm.pio = pio_create();
    g->vm.clocks = clocks_create(deterministic);
    g->vm.lanes = lanes_create(0);
    g->vm.ram = memory_create("ram", GUEST_RAM);
    CHECK(g->vm.ram != NULL);
    map_add_memory(g->vm.map, "ram", 0, GUEST_RAM, g->vm.ram, 0, 0, false);
    pthread_mutex_init(&g->vm.lock, NULL);
    pthread_cond_init(&g->vm.changed, NULL);
    g->ram = g->vm.ram->host;
    if (!vcpus_create(&g->vm, cpus, model, &error))
        FAIL("%s", error->message);
    if (translated)
        translate_all(&g->vm);
    g->cpu = g->vm.vcpus[0];
    g->st = &g->cpu->st;
    return g;
}

struct guest *guest_create(unsigned cpus, const char *model)
{
    return create(cpus, model, true, false);
}

struct guest *guest_create_jit(unsigned cpus, const char *model)
{
    return create(cpus, model, true, true);
}

struct guest *guest_create_threads(unsigned cpus)
{
    return create(cpus, NULL, false, false);
}

struct guest *guest_create_threads_jit(unsigned cpus)
{
    return create(cpus, NULL, false, true);
}

void guest_destroy(struct guest *g)
{
    vcpus_destroy(&g->vm);
    map_destroy(g->vm.map);
    memory_destroy(g->vm.ram);
    pio_destroy(g->vm.pio);
    lanes_destroy(g->vm.lanes);
    clocks_destroy(g->vm.clocks);
    g_free(g);
}

/* --- memory -------------------------------------------------------------- */

uint32_t guest_read32(struct guest *g, uint32_t at)
{
    uint32_t v;

    memcpy(&v, g->ram + at, 4);
    return v;
}

uint64_t guest_read64(struct guest *g, uint32_t at)
{
    uint64_t v;

    memcpy(&v, g->ram + at, 8);
    return v;
}

void guest_write32(struct guest *g, uint32_t at, uint32_t value)
{
    map_dma_write(g->vm.map, at, &value, 4);
}

void guest_write64(struct guest *g, uint32_t at, uint64_t value)
{
    map_dma_write(g->vm.map, at, &value, 8);
}

void guest_load(struct guest *g, uint32_t at, const uint8_t *code, size_t n)
{
    map_dma_write(g->vm.map, at, code, n);
}

uint64_t guest_stack(struct guest *g, unsigned n)
{
    uint32_t sp = (uint32_t)g->st->gpr[RSP];

    if (g->st->efer & EFER_LMA)
        return guest_read64(g, sp + n * 8);
    if (g->st->cr0 & CR0_PE)
        return guest_read32(g, sp + n * 4);
    return guest_read32(g, (uint32_t)g->st->seg[SEG_SS].base + sp + n * 2) &
           0xffff;
}

/* --- descriptors --------------------------------------------------------- */

/* type: P, DPL, S, type as in the sixth byte; flags: G, D, L, AVL */
uint64_t guest_descriptor(uint32_t base, uint32_t limit, unsigned type,
                          unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
           (uint64_t)type << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

void guest_set_descriptor(struct guest *g, unsigned sel, uint64_t value)
{
    guest_write64(g, GUEST_GDT + (sel & 0xfff8), value);
}

void guest_gate(struct guest *g, unsigned vector, unsigned sel, uint32_t offset,
                unsigned type)
{
    uint64_t d = (offset & 0xffff) | (uint64_t)sel << 16 |
                 (uint64_t)type << 40 | (uint64_t)(offset >> 16) << 48;

    if (g->st->efer & EFER_LMA) {
        guest_write64(g, GUEST_IDT + vector * 16, d);
        guest_write64(g, GUEST_IDT + vector * 16 + 8, 0);
    } else {
        guest_write64(g, GUEST_IDT + vector * 8, d);
    }
}

static void fill_gdt(struct guest *g, bool lm)
{
    unsigned code = lm ? 0xa : 0xc;

    guest_set_descriptor(g, 0, 0);
    guest_set_descriptor(g, SEL_CODE0,
                         guest_descriptor(0, 0xfffff, 0x9b, code));
    guest_set_descriptor(g, SEL_DATA0, guest_descriptor(0, 0xfffff, 0x93, 0xc));
    guest_set_descriptor(g, SEL_CODE3,
                         guest_descriptor(0, 0xfffff, 0xfb, code));
    guest_set_descriptor(g, SEL_DATA3, guest_descriptor(0, 0xfffff, 0xf3, 0xc));
    guest_set_descriptor(g, SEL_TSS,
                         guest_descriptor(GUEST_TSS, 0x3ff, 0x8b, 0));
    guest_set_descriptor(g, SEL_TSS + 8, 0);
    guest_set_descriptor(g, SEL_TSS2,
                         guest_descriptor(GUEST_TSS2, 0x67, 0x89, 0));
    guest_set_descriptor(g, SEL_LDT,
                         guest_descriptor(GUEST_LDT, 0x3f, 0x82, 0));
    guest_set_descriptor(g, SEL_CODE16, guest_descriptor(0, 0xffff, 0x9b, 0));
    guest_set_descriptor(g, SEL_DATA16, guest_descriptor(0, 0xffff, 0x93, 0));
    guest_set_descriptor(g, SEL_CONF, guest_descriptor(0, 0xfffff, 0x9f, code));
    guest_set_descriptor(g, SEL_ABSENT,
                         guest_descriptor(0, 0xfffff, 0x13, 0xc));
}

static void set_segment(struct guest *g, unsigned seg, unsigned sel)
{
    uint64_t d = guest_read64(g, GUEST_GDT + (sel & 0xfff8));
    struct x86_segment *s = &g->st->seg[seg];

    s->selector = (uint16_t)sel;
    s->base = 0;
    s->limit = 0xffffffffu;
    s->attr = (uint16_t)((d >> 40 & 0xff) | (d >> 44 & 0xf00));
}

/* --- modes --------------------------------------------------------------- */

void guest_settle(struct guest *g)
{
    struct x86_state st = *g->st;

    accel_interp.set_state(g->cpu, &st);
}

static void fill_handlers(struct guest *g)
{
    memset(g->ram + GUEST_HANDLERS, 0xf4, 256);
}

void guest_real(struct guest *g)
{
    vcpu_reset(g->cpu, false);
    fill_handlers(g);
    for (unsigned n = 0; n < 256; n++)
        guest_write32(g, n * 4, GUEST_HANDLERS + n);
    for (unsigned n = 0; n < SEG_COUNT; n++)
        g->st->seg[n] = (struct x86_segment){ .limit = 0xffff, .attr = 0x93 };
    g->st->idt = (struct x86_table){ .limit = 0x3ff };
    g->st->seg[SEG_CS].selector = GUEST_CODE_AT >> 4;
    g->st->seg[SEG_CS].base = GUEST_CODE_AT;
    g->st->gpr[RSP] = 0x8000;
    g->st->rip = 0;
    guest_settle(g);
}

static void identity_map_legacy(struct guest *g)
{
    for (unsigned n = 0; n < 1024; n++)
        guest_write32(g, GUEST_PT + n * 4, n << 12 | 7);
    memset(g->ram + GUEST_PD, 0, 4096);
    guest_write32(g, GUEST_PD, GUEST_PT | 7);
    g->st->cr3 = GUEST_PD;
}

static void identity_map_long(struct guest *g)
{
    memset(g->ram + GUEST_PML4, 0, 0x3000);
    guest_write64(g, GUEST_PML4, GUEST_PDPT | 7);
    guest_write64(g, GUEST_PDPT, GUEST_PD | 7);
    guest_write64(g, GUEST_PD, GUEST_PT | 7);
    guest_write64(g, GUEST_PD + 8, 0x200000 | 0x87);
    for (unsigned n = 0; n < 512; n++)
        guest_write64(g, GUEST_PT + n * 8, n << 12 | 7);
    g->st->cr3 = GUEST_PML4;
}

static void enter_protected(struct guest *g, bool lm)
{
    struct x86_state *st = g->st;

    vcpu_reset(g->cpu, false);
    if (lm)
        st->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    st->cr0 = CR0_PE | CR0_ET | CR0_NE;
    fill_gdt(g, lm);
    fill_handlers(g);
    st->gdt = (struct x86_table){ GUEST_GDT, SEL_COUNT - 1 };
    st->idt = (struct x86_table){ GUEST_IDT, lm ? 0xfff : 0x7ff };
    for (unsigned n = 0; n < 256; n++)
        guest_gate(g, n, SEL_CODE0, GUEST_HANDLERS + n, 0x8e);
    for (unsigned n = 0; n < SEG_COUNT; n++)
        set_segment(g, n, n == SEG_CS ? SEL_CODE0 : SEL_DATA0);
    st->tr = (struct x86_segment){ GUEST_TSS, 0x3ff, SEL_TSS, 0x8b };
    memset(g->ram + GUEST_TSS, 0, 0x400);
    if (lm) {
        guest_write64(g, GUEST_TSS + 4, GUEST_STACK0);
        guest_write64(g, GUEST_TSS + 36, GUEST_IST1);
    } else {
        guest_write32(g, GUEST_TSS + 4, GUEST_STACK0);
        guest_write32(g, GUEST_TSS + 8, SEL_DATA0);
    }
    guest_write32(g, GUEST_TSS + 0x64, 0x68u << 16); /* no port map */
    st->gpr[RSP] = GUEST_STACK0;
    st->rip = GUEST_CODE_AT;
}

void guest_protected(struct guest *g, bool paging)
{
    enter_protected(g, false);
    if (paging) {
        identity_map_legacy(g);
        g->st->cr0 |= CR0_PG;
    }
    guest_settle(g);
}

void guest_long(struct guest *g)
{
    enter_protected(g, true);
    identity_map_long(g);
    g->st->cr4 = CR4_PAE | CR4_OSFXSR;
    g->st->cr0 |= CR0_PG;
    guest_settle(g);
}

void guest_enable_apic(struct guest *g)
{
    lapic_mmio_write(g->cpu->lapic, 0xf0, 0x1ff, 4);
}

void guest_map_apic(struct guest *g)
{
    guest_write64(g, GUEST_PDPT + 24, GUEST_APIC_PD | 7);
    guest_write64(g, GUEST_APIC_PD + 0x1f7 * 8, 0xfee00000u | 0x87);
}

void guest_user(struct guest *g)
{
    for (unsigned n = 0; n < SEG_COUNT; n++)
        set_segment(g, n, n == SEG_CS ? SEL_CODE3 : SEL_DATA3);
    g->st->gpr[RSP] = GUEST_STACK3;
    guest_settle(g);
}

enum accel_exit guest_run(struct guest *g, uint64_t limit)
{
    uint64_t executed = 0;
    enum accel_exit exit;

    /* a port access ends a run early */
    do
        exit =
            accel_interp.run(g->cpu, limit ? limit - executed : 0, &executed);
    while (exit == ACCEL_BUDGET && (!limit || executed < limit));
    return exit;
}

void guest_expect(struct guest *g, unsigned vector)
{
    uint32_t at = (uint32_t)(g->st->seg[SEG_CS].base + g->st->rip);

    CHECK_EQ(guest_run(g, 100000), ACCEL_HALTED);
    at = (uint32_t)(g->st->seg[SEG_CS].base + g->st->rip);
    CHECK_EQ(at - 1 - GUEST_HANDLERS, vector);
}
