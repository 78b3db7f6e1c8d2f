/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC, and processors as threads: messages between them, code that
 * one changes under the other, the flush protocol, deterministic turns.
 */
#include <string.h>
#include <unistd.h>

#include "irq/lapic_regs.h"
#include "sched/vcpu.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

/* --- registers ----------------------------------------------------------- */

static struct guest *start(unsigned cpus, const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(cpus, NULL);

    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    guest_enable_apic(g);
    return g;
}

GUEST_CODE(spin, 64, "sti; 1: jmp 1b");
GUEST_CODE(mmio, 64,
           "mov $0xfee00000,%ebx; mov 0x20(%rbx),%esi;"
           "mov 0x30(%rbx),%edi; movl $0x30,0x80(%rbx); mov 0xa0(%rbx),%ecx;"
           "mov %cr8,%rdx; hlt");
TEST(registers_through_memory)
{
    struct guest *g = start(1, GUEST_BYTES(mmio));

    guest_map_apic(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RSI], 0);
    CHECK_EQ(g->st->gpr[RDI], 0x50014);
    CHECK_EQ(g->st->gpr[RCX], 0x30);
    CHECK_EQ(g->st->gpr[RDX], 3);
    guest_destroy(g);
}

TEST(higher_class_comes_first_and_eoi_lets_the_next_in)
{
    struct guest *g = start(1, GUEST_BYTES(spin));
    struct lapic *a = g->cpu->lapic;

    apic_deliver(&g->vm, 0, false, APIC_FIXED, 0x41, false);
    apic_deliver(&g->vm, 0, false, APIC_FIXED, 0x73, false);
    guest_expect(g, 0x73);
    CHECK_EQ(lapic_mmio_read(a, APIC_PPR << 4, 4), 0x70);
    CHECK_EQ(lapic_has_interrupt(g->cpu), false);
    lapic_mmio_write(a, APIC_EOI << 4, 0, 4);
    CHECK_EQ(lapic_has_interrupt(g->cpu), true);
    g->st->rflags |= FL_IF;
    guest_settle(g);
    guest_expect(g, 0x41);
    guest_destroy(g);
}

TEST(task_priority_holds_back)
{
    struct guest *g = start(1, GUEST_BYTES(spin));

    lapic_cr8_write(g->cpu->lapic, 5);
    apic_deliver(&g->vm, 0, false, APIC_FIXED, 0x5f, false);
    CHECK_EQ(guest_run(g, 100), ACCEL_BUDGET);
    lapic_cr8_write(g->cpu->lapic, 4);
    guest_expect(g, 0x5f);
    guest_destroy(g);
}

static unsigned eoi_vector;
static void note_eoi(void *opaque, uint8_t vector)
{
    eoi_vector = vector;
}

TEST(eoi_of_a_level_interrupt_is_broadcast)
{
    struct guest *g = start(1, GUEST_BYTES(spin));

    g->vm.ioapic_eoi = note_eoi;
    apic_deliver(&g->vm, 0, false, APIC_FIXED, 0x61, true);
    guest_expect(g, 0x61);
    lapic_mmio_write(g->cpu->lapic, APIC_EOI << 4, 0, 4);
    CHECK_EQ(eoi_vector, 0x61);
    guest_destroy(g);
}

static int pic_vector(void *opaque)
{
    vcpu_intr_line(opaque, false);
    return 0x2c;
}

TEST(lint0_passes_the_pic)
{
    struct guest *g = start(1, GUEST_BYTES(spin));

    g->vm.pic_ack = pic_vector;
    g->vm.pic_opaque = &g->vm;
    lapic_mmio_write(g->cpu->lapic, APIC_LVT_LINT0 << 4, 0x10700, 4);
    vcpu_intr_line(&g->vm, true);
    CHECK_EQ(guest_run(g, 100), ACCEL_BUDGET); /* masked */
    lapic_mmio_write(g->cpu->lapic, APIC_LVT_LINT0 << 4, 0x700, 4);
    guest_expect(g, 0x2c);
    guest_destroy(g);
}

/* Which of eight processors a destination reaches */
static const struct {
    uint32_t dfr, dest;
    bool logical;
    unsigned reached; /* a bit for each */
} dests[] = {
    { 0xffffffff, 2, false, 0x04 },
    { 0xffffffff, 0xff, false, 0xff },
    { 0xffffffff, 0x05, true, 0x05 }, /* flat: LDR is 1 << n */
    { 0xffffffff, 0xff, true, 0xff },
    { 0x0fffffff, 0x13, true, 0x30 }, /* cluster 1, members 0, 1 */
    { 0x0fffffff, 0xf1, true, 0x11 }, /* all clusters, member 0 */
};

TEST_P(destinations, dests)
{
    struct guest *g = guest_create(8, NULL);
    unsigned reached = 0;

    for (unsigned n = 0; n < 8; n++) {
        struct lapic *a = g->vm.vcpus[n]->lapic;
        uint32_t id = row->dfr >> 28 ? 1u << n : n / 4 << 4 | 1u << n % 4;

        lapic_mmio_write(a, APIC_SVR << 4, 0x1ff, 4);
        lapic_mmio_write(a, APIC_DFR << 4, row->dfr, 4);
        lapic_mmio_write(a, APIC_LDR << 4, id << 24, 4);
    }
    apic_deliver(&g->vm, row->dest, row->logical, APIC_FIXED, 0x40, false);
    for (unsigned n = 0; n < 8; n++)
        if (lapic_has_interrupt(g->vm.vcpus[n]))
            reached |= 1u << n;
    CHECK_EQ(reached, row->reached);
    guest_destroy(g);
}

TEST(lowest_priority_picks_one)
{
    struct guest *g = guest_create(2, NULL);

    for (unsigned n = 0; n < 2; n++) {
        lapic_mmio_write(g->vm.vcpus[n]->lapic, APIC_SVR << 4, 0x1ff, 4);
        lapic_mmio_write(g->vm.vcpus[n]->lapic, APIC_LDR << 4, 1u << (24 + n),
                         4);
    }
    lapic_cr8_write(g->vm.vcpus[0]->lapic, 3);
    apic_deliver(&g->vm, 3, true, APIC_LOWEST, 0x60, false);
    CHECK_EQ(lapic_has_interrupt(g->vm.vcpus[0]), false);
    CHECK_EQ(lapic_has_interrupt(g->vm.vcpus[1]), true);
    guest_destroy(g);
}

TEST(x2apic_registers_are_msrs)
{
    struct guest *g = start(1, GUEST_BYTES(spin));
    struct lapic *a = g->cpu->lapic;
    uint64_t v;

    CHECK_EQ(lapic_msr_read(a, 0x802, &v), false);
    CHECK(lapic_base_write(g->cpu, 0xfee00c00));
    CHECK(lapic_msr_read(a, 0x802, &v));
    CHECK_EQ(v, 0);
    CHECK(lapic_msr_read(a, 0x80d, &v));
    CHECK_EQ(v, 1);
    CHECK_EQ(lapic_msr_write(a, 0x80d, 1), false); /* LDR: read-only */
    CHECK_EQ(lapic_msr_write(a, 0x80b, 1), false); /* EOI takes 0 */
    CHECK(lapic_msr_write(a, 0x83f, 0x55));        /* self IPI */
    CHECK_EQ(lapic_has_interrupt(g->cpu), true);
    CHECK_EQ(lapic_base_write(g->cpu, 0xfee00800), false);
    CHECK(lapic_base_write(g->cpu, 0xfee00000));
    guest_destroy(g);
}

/* --- timer, in virtual time ---------------------------------------------- */

TEST(timer_one_shot_periodic_and_deadline)
{
    struct guest *g = start(1, GUEST_BYTES(spin));
    struct lapic *a = g->cpu->lapic;

    lapic_mmio_write(a, APIC_LVT_TIMER << 4, 0x40, 4);
    lapic_mmio_write(a, APIC_TIMER_DIV << 4, 0xb, 4); /* by 1 */
    lapic_mmio_write(a, APIC_TIMER_INIT << 4, 10000, 4);
    clock_advance(g->vm.clocks, 4000);
    CHECK_EQ(lapic_mmio_read(a, APIC_TIMER_COUNT << 4, 4), 6000);
    CHECK_EQ(lapic_has_interrupt(g->cpu), false);
    clock_advance(g->vm.clocks, 10000);
    CHECK_EQ(lapic_ack(g->cpu), 0x40);
    CHECK_EQ(lapic_mmio_read(a, APIC_TIMER_COUNT << 4, 4), 0);
    lapic_mmio_write(a, APIC_EOI << 4, 0, 4);

    lapic_mmio_write(a, APIC_LVT_TIMER << 4, 0x20041, 4);
    lapic_mmio_write(a, APIC_TIMER_DIV << 4, 0x0, 4); /* by 2 */
    lapic_mmio_write(a, APIC_TIMER_INIT << 4, 5000, 4);
    for (unsigned n = 1; n <= 3; n++) {
        clock_advance(g->vm.clocks, 10000 + n * 10000 - 1);
        CHECK_EQ(lapic_has_interrupt(g->cpu), false);
        clock_advance(g->vm.clocks, 10000 + n * 10000);
        CHECK_EQ(lapic_ack(g->cpu), 0x41);
        lapic_mmio_write(a, APIC_EOI << 4, 0, 4);
    }

    lapic_mmio_write(a, APIC_LVT_TIMER << 4, 0x40042, 4);
    lapic_deadline_write(a, 77777);
    CHECK_EQ(lapic_deadline_read(a), 77777);
    clock_advance(g->vm.clocks, 77776);
    CHECK_EQ(lapic_has_interrupt(g->cpu), false);
    clock_advance(g->vm.clocks, 77778);
    CHECK_EQ(lapic_ack(g->cpu), 0x42);
    CHECK_EQ(lapic_deadline_read(a), 0);
    guest_destroy(g);
}

/* --- threads ------------------------------------------------------------- */

static struct guest *start_threads(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create_threads(2);

    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    guest_enable_apic(g);
    guest_map_apic(g);
    return g;
}

/* A minute: two processors that wait for each other take turns of the host's
 * scheduler when it has other work. */
static bool wait_for(struct guest *g, uint32_t at, uint32_t value)
{
    for (unsigned n = 0; n < 60000; n++) {
        if (guest_read32(g, at) == value)
            return true;
        usleep(1000);
    }
    return false;
}

/* Starts the other processor at 8000h, in real mode. */
GUEST_CODE(boot_other, 64,
           "mov $0xfee00000,%ebx; movl $0x1000000,0x310(%rbx);"
           "movl $0xc500,0x300(%rbx); movl $0x4608,0x300(%rbx);"
           "1: cmpl $0x1234,0x20000; jne 1b; movl $1,0x20004; hlt");
GUEST_CODE(other, 16,
           "mov $0x2000,%ax; mov %ax,%ds; movl $0x1234,0;"
           "cli; hlt");
TEST(init_and_sipi_start_a_processor)
{
    struct guest *g = start_threads(GUEST_BYTES(boot_other));

    guest_load(g, 0x8000, GUEST_BYTES(other));
    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA + 4, 1));
    vcpus_stop(&g->vm);
    CHECK_EQ(g->vm.vcpus[1]->st.seg[SEG_CS].selector, 0x800);
    CHECK_EQ(g->vm.vcpus[1]->st.activity, X86_HALTED);
    guest_destroy(g);
}

/* One patches the operand that the other executes over and over. */
GUEST_CODE(patcher, 64,
           "mov $0xfee00000,%ebx; movl $0x1000000,0x310(%rbx);"
           "movl $0xc500,0x300(%rbx); movl $0x4608,0x300(%rbx);"
           "1: cmpl $0,0x20000; je 1b; mov $1,%ecx;"
           "2: inc %ecx; mov %ecx,0x8009;" /* its immediate */
           "3: cmp %ecx,0x20000; jne 3b; cmp $2000,%ecx; jne 2b;"
           "movl $1,0x20004; hlt");
GUEST_CODE(patched, 16, "mov $0x2000,%ax; mov %ax,%ds; 1: movl $1,0; jmp 1b");
TEST(code_changed_by_another_processor)
{
    static const uint8_t address[] = { 0x09, 0x80, 0x00, 0x00 };
    struct guest *g = start_threads(GUEST_BYTES(patcher));
    uint8_t *place;

    /* b8 00 20, 8e d8, 66 c7 06 00 00 IMM32 at 800Ah */
    guest_load(g, 0x8000, GUEST_BYTES(patched));
    place = memmem(g->ram + GUEST_CODE_AT, 4096, address, sizeof address);
    CHECK(place != NULL);
    *place = 0x0a;
    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA + 4, 1));
    vcpus_stop(&g->vm);
    guest_destroy(g);
}

/* RSI: the greatest value; EDI counts readings below it, R8 those above. */
GUEST_CODE(tsc_loop, 64,
           "mov $2000000,%ecx; xor %esi,%esi; xor %edi,%edi; xor %r8d,%r8d;"
           "1: rdtsc; shl $32,%rdx; or %rdx,%rax; cmp %rsi,%rax; jb 2f;"
           "je 3f; inc %r8d; mov %rax,%rsi; jmp 3f; 2: inc %edi;"
           "3: dec %ecx; jnz 1b; movl $1,0x20004; hlt");
TEST(the_counter_does_not_go_back)
{
    struct guest *g = start_threads(GUEST_BYTES(tsc_loop));

    clocks_start(g->vm.clocks);
    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA + 4, 1));
    vcpus_stop(&g->vm);
    clocks_stop(g->vm.clocks);
    CHECK_EQ(g->st->gpr[RDI], 0);
    CHECK(g->st->gpr[R8] > 1000);
    guest_destroy(g);
}

/* Both add to one counter with LOCK. */
GUEST_CODE(count_a, 64,
           "mov $0xfee00000,%ebx; movl $0x1000000,0x310(%rbx);"
           "movl $0xc500,0x300(%rbx); movl $0x4608,0x300(%rbx);"
           "mov $300000,%ecx; 1: lock incl 0x20000; dec %ecx; jnz 1b;"
           "lock incl 0x20004; hlt");
GUEST_CODE(count_b, 16,
           "mov $0x2000,%ax; mov %ax,%ds; mov $300000,%ecx;"
           "1: lock incl 0; dec %ecx; jnz 1b; lock incl 4; cli; hlt");
TEST(locked_increments_add_up)
{
    struct guest *g = start_threads(GUEST_BYTES(count_a));

    guest_load(g, 0x8000, GUEST_BYTES(count_b));
    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA + 4, 2));
    vcpus_stop(&g->vm);
    CHECK_EQ(guest_read32(g, GUEST_DATA), 600000);
    guest_destroy(g);
}

/* XADD, a lock taken by XCHG around a plain increment, CMPXCHG16B */
GUEST_CODE(contend, 64,
           "mov $30000,%esi;"
           "1: mov $1,%eax; lock xadd %rax,0x20000;"
           "2: mov $1,%edx; xchg %edx,0x20010; test %edx,%edx; jz 3f;"
           "pause; jmp 2b; 3: incq 0x20018; movl $0,0x20010;"
           "4: mov 0x20020,%rax; mov 0x20028,%rdx; lea 1(%rax),%rbx;"
           "lea 2(%rdx),%rcx; lock cmpxchg16b 0x20020; jnz 4b;"
           "dec %esi; jnz 1b; lock incl 0x20030; cli; hlt");
TEST(no_update_is_lost_under_contention)
{
    struct guest *g = start_threads(GUEST_BYTES(contend));
    struct vcpu *second = g->vm.vcpus[1];
    struct x86_state st;

    g->vm.accel->get_state(g->cpu, &st);
    st.gpr[RSP] -= 0x800;
    st.apic_base = second->st.apic_base;
    g->vm.accel->set_state(second, &st);
    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA + 0x30, 2));
    vcpus_stop(&g->vm);
    CHECK_EQ(guest_read64(g, GUEST_DATA), 60000);
    CHECK_EQ(guest_read64(g, GUEST_DATA + 0x18), 60000);
    CHECK_EQ(guest_read64(g, GUEST_DATA + 0x20), 60000);
    CHECK_EQ(guest_read64(g, GUEST_DATA + 0x28), 120000);
    guest_destroy(g);
}

GUEST_CODE(forever, 64, "1: incl 0x20000; jmp 1b");
TEST(stop_start_and_flush_while_running)
{
    struct guest *g = start_threads(GUEST_BYTES(forever));
    uint32_t was;

    for (unsigned n = 0; n < 50; n++) {
        vcpus_start(&g->vm);
        vcpus_a20(&g->vm, n & 1);
        vcpus_stop(&g->vm);
    }
    was = guest_read32(g, GUEST_DATA);
    usleep(2000);
    CHECK_EQ(guest_read32(g, GUEST_DATA), was);
    CHECK_EQ(g->vm.vcpus[1]->insns, 0); /* still waits for SIPI */
    vcpus_a20(&g->vm, true);
    guest_destroy(g);
}

GUEST_CODE(halted, 64, "incl 0x20000; hlt; incl 0x20004; hlt");
TEST(a_halted_processor_stays_halted_over_stop_and_start)
{
    struct guest *g = start_threads(GUEST_BYTES(halted));

    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA, 1));
    for (unsigned n = 0; n < 20; n++) {
        vcpus_stop(&g->vm);
        vcpus_start(&g->vm);
    }
    vcpus_stop(&g->vm);
    CHECK_EQ(guest_read32(g, GUEST_DATA + 4), 0);
    guest_destroy(g);
}

/* --- deterministic turns ------------------------------------------------- */

static uint64_t one_run(uint64_t *insns)
{
    struct guest *g = start(2, GUEST_BYTES(boot_other));
    uint64_t t;

    guest_map_apic(g);
    guest_load(g, 0x8000, GUEST_BYTES(other));
    vcpus_start(&g->vm);
    CHECK(wait_for(g, GUEST_DATA + 4, 1));
    vcpus_stop(&g->vm);
    t = clock_now(g->vm.clocks, CLOCK_VIRTUAL);
    *insns = g->vm.vcpus[0]->insns + g->vm.vcpus[1]->insns;
    guest_destroy(g);
    return t;
}

TEST(deterministic_runs_are_equal)
{
    uint64_t insns[2], t[2];

    for (unsigned n = 0; n < 2; n++)
        t[n] = one_run(&insns[n]);
    CHECK_EQ(t[0], t[1]);
    CHECK_EQ(insns[0], insns[1]);
}
