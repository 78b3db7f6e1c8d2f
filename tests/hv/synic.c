/* SPDX-License-Identifier: Apache-2.0 */
/* The SynIC, with the device test-ports at the other end. */
#include "guest.h"

#define COMMAND         0x3000
#define ROUTE_CREATE    1u
#define RAISE           3u
#define MESSAGE_CREATE  4u
#define MESSAGE_DESTROY 5u
#define EVENT_CREATE    6u
#define EVENT_DESTROY   7u

#define SINT   2u
#define VECTOR 0x50
#define POST   0x5cull
#define SIGNAL (0x5dull | FAST)

static uint32_t command(uint32_t what, uint32_t vp, uint32_t sint, uint32_t id)
{
    outl(COMMAND, sint | vp << 8 | what << 16 | id << 24);
    return inl(COMMAND);
}

static struct {
    uint32_t connection, reserved, type, bytes;
    uint8_t payload[240];
} post page_aligned;

static uint64_t post_message(uint32_t id, uint8_t first)
{
    post.connection = id;
    post.type = 7;
    post.bytes = 240;
    for (unsigned n = 0; n < 240; n++)
        post.payload[n] = (uint8_t)(first + n);
    return hypercall(POST, address(&post), 0);
}

static void setup(void *sint)
{
    synic_on();
    wrmsr(HV_SINT0 + SINT, (uintptr_t)sint);
}

static void set_sint(unsigned vp, uintptr_t value)
{
    if (vp)
        call(setup, (void *)value);
    else
        setup((void *)value);
}

static void take(void *arg)
{
    struct message *m = &messages[cpu_index()][SINT];

    m->type = 0;
    __sync_synchronize();
    if (m->flags & 1)
        wrmsr(HV_EOM, 0);
}

static void take_message(unsigned vp)
{
    if (vp)
        call(take, NULL);
    else
        take(NULL);
}

CASE(cpuid_names_the_interface)
{
    uint32_t r[4];

    cpuid(1, r);
    CHECK(r[2] >> 31);
    cpuid(0x40000000u, r);
    CHECK(r[0] >= 0x40000005u);
    CHECK_EQ(r[1], 0x7263694du); /* Micr */
    cpuid(0x40000001u, r);
    CHECK_EQ(r[0], 0x31237648u);
    cpuid(0x40000003u, r);
    CHECK_EQ(r[0] & 0x2ee, 0x2ee);
}

CASE(no_hypercall_before_the_page)
{
    CHECK(vmcall_is_undefined());
    wrmsr(HV_HYPERCALL, 0x200001); /* no identity yet */
    CHECK_EQ(rdmsr(HV_HYPERCALL) & 1, 0);
    hv_on();
    CHECK_EQ(rdmsr(HV_HYPERCALL) & 1, 1);
    CHECK(!vmcall_is_undefined());
}

CASE(bad_register_values_raise_gp)
{
    uint64_t v;

    CHECK(!msr_read(0x400001f0u, &v));
    CHECK(!msr_write(0x400001f0u, 0));
    CHECK(!msr_write(HV_SVERSION, 0));
    CHECK(!msr_write(HV_VP_INDEX, 0));
    CHECK(!msr_write(HV_SINT0, 15));
    CHECK(!msr_write(HV_SIMP, 0xfe000001u));
    CHECK(!msr_write(HV_SIEFP, ~0ull));
    CHECK(!msr_write(HV_TSC_PAGE, 0xfe000001u));
    CHECK(!msr_write(HV_HYPERCALL, 0xfe000001u));
    CHECK_EQ(rdmsr(HV_SVERSION), 1);
    CHECK_EQ(rdmsr(HV_VP_INDEX), cpu_index());
    CHECK_EQ(rdmsr(HV_SINT0) & SINT_MASKED, SINT_MASKED);
}

static void round_trip(unsigned vp)
{
    volatile struct message *m = &messages[vp][SINT];
    uint32_t n = irqs[vp][VECTOR];

    set_sint(vp, VECTOR);
    CHECK_EQ(command(MESSAGE_CREATE, vp, SINT, 0x10), 0);
    CHECK_EQ(post_message(0x10, 1), 0);
    CHECK(irq_wait(vp, VECTOR, n + 1, 1000));
    CHECK_EQ(m->type, 7);
    CHECK_EQ(m->bytes, 240);
    CHECK_EQ(m->flags, 0);
    CHECK_EQ(m->payload[239], 240);

    /* the slot is taken: one waits, a third is refused */
    CHECK_EQ(post_message(0x10, 2), 0);
    CHECK_EQ(m->payload[0], 1);
    CHECK_EQ(m->flags & 1, 1);
    CHECK_EQ(post_message(0x10, 3), 0x13);
    take_message(vp);
    CHECK(irq_wait(vp, VECTOR, n + 2, 1000));
    CHECK_EQ(m->type, 7);
    CHECK_EQ(m->payload[0], 2);
    CHECK_EQ(m->flags & 1, 0);
    take_message(vp);
    CHECK_EQ(post_message(0x10, 3), 0);
    CHECK(irq_wait(vp, VECTOR, n + 3, 1000));
    take_message(vp);
    CHECK_EQ(irqs[vp][VECTOR], n + 3);
    CHECK_EQ(command(MESSAGE_DESTROY, vp, SINT, 0x10), 0);
    CHECK_EQ(post_message(0x10, 3), 0x12);
}

CASE(message_to_the_first_processor)
{
    round_trip(0);
}

CASE(message_to_the_second_processor)
{
    if (second())
        round_trip(1);
}

static void event_trip(unsigned vp)
{
    volatile uint8_t *flags = events[vp][SINT];
    uint32_t n = irqs[vp][VECTOR];

    set_sint(vp, VECTOR);
    CHECK_EQ(command(EVENT_CREATE, vp, SINT, 0x2b), 0);
    CHECK_EQ(hypercall(SIGNAL, 0x2b, 0), 0);
    CHECK(irq_wait(vp, VECTOR, n + 1, 1000));
    CHECK_EQ(flags[0x2b / 8], 1 << 0x2b % 8);
    /* still set: nothing new */
    CHECK_EQ(hypercall(SIGNAL, 0x2b, 0), 0);
    hv_delay(10000);
    CHECK_EQ(irqs[vp][VECTOR], n + 1);
    flags[0x2b / 8] = 0;
    CHECK_EQ(hypercall(SIGNAL, 0x2b, 0), 0);
    CHECK(irq_wait(vp, VECTOR, n + 2, 1000));
    flags[0x2b / 8] = 0;
    /* flags beyond the port's */
    CHECK_EQ(hypercall(SIGNAL, 0x2bull | 1ull << 32, 0), 5);
    CHECK_EQ(command(EVENT_DESTROY, vp, SINT, 0x2b), 0);
    CHECK_EQ(hypercall(SIGNAL, 0x2b, 0), 0x12);
}

CASE(event_to_the_first_processor)
{
    event_trip(0);
}

CASE(event_to_the_second_processor)
{
    if (second())
        event_trip(1);
}

CASE(raise_without_message)
{
    uint32_t n = irqs[0][VECTOR];

    set_sint(0, VECTOR);
    CHECK_EQ(command(RAISE, 0, SINT, 0), (uint32_t)-2);
    CHECK_EQ(command(ROUTE_CREATE, 0, SINT, 0), 0);
    CHECK_EQ(command(RAISE, 0, SINT, 0), 0);
    CHECK(irq_wait(0, VECTOR, n + 1, 1000));
    CHECK_EQ(messages[0][SINT].type, 0);
}

CASE(masked_and_polling_sources_raise_nothing)
{
    uint32_t n = irqs[0][VECTOR];

    CHECK_EQ(command(MESSAGE_CREATE, 0, SINT, 0x11), 0);
    set_sint(0, VECTOR | SINT_MASKED);
    CHECK_EQ(post_message(0x11, 1), 0);
    CHECK_EQ(messages[0][SINT].type, 7);
    take_message(0);
    set_sint(0, VECTOR | SINT_POLLING);
    CHECK_EQ(post_message(0x11, 1), 0);
    CHECK_EQ(messages[0][SINT].type, 7);
    take_message(0);
    hv_delay(10000);
    CHECK_EQ(irqs[0][VECTOR], n);
    command(MESSAGE_DESTROY, 0, SINT, 0x11);
}

CASE(auto_eoi_leaves_nothing_in_service)
{
    uint32_t n = irqs[0][VECTOR];

    no_eoi[VECTOR] = true;
    set_sint(0, VECTOR | SINT_AUTO_EOI);
    CHECK_EQ(command(RAISE, 0, SINT, 0), 0);
    CHECK(irq_wait(0, VECTOR, n + 1, 1000));
    CHECK_EQ(apic_read(APIC_ISR + VECTOR / 32 * 16), 0);
    CHECK_EQ(command(RAISE, 0, SINT, 0), 0);
    CHECK(irq_wait(0, VECTOR, n + 2, 1000));
    /* without it the guest has to, by whichever register */
    set_sint(0, VECTOR);
    CHECK_EQ(command(RAISE, 0, SINT, 0), 0);
    CHECK(irq_wait(0, VECTOR, n + 3, 1000));
    CHECK_EQ(apic_read(APIC_ISR + VECTOR / 32 * 16), 1u << VECTOR % 32);
    wrmsr(HV_EOI, 0);
    CHECK_EQ(apic_read(APIC_ISR + VECTOR / 32 * 16), 0);
    no_eoi[VECTOR] = false;
}

CASE(disabled_synic_takes_nothing)
{
    CHECK_EQ(command(MESSAGE_CREATE, 0, SINT, 0x12), 0);
    wrmsr(HV_SCONTROL, 0);
    CHECK_EQ(post_message(0x12, 1), 6);
    wrmsr(HV_SCONTROL, 1);
    wrmsr(HV_SIMP, 0);
    CHECK_EQ(post_message(0x12, 1), 6);
    set_sint(0, VECTOR);
    CHECK_EQ(post_message(0x12, 1), 0);
    take_message(0);
    command(MESSAGE_DESTROY, 0, SINT, 0x12);
}

CASE(pages_begin_empty)
{
    wrmsr(HV_SIMP, 0);
    messages[0][5].type = 1;
    synic_on();
    CHECK_EQ(messages[0][5].type, 0);
    messages[0][5].type = 1;
    synic_on(); /* the same page again keeps what is in it */
    CHECK_EQ(messages[0][5].type, 1);
    messages[0][5].type = 0;
}

CASE(test_ports_of_another_kind)
{
    volatile uint32_t *memory = (volatile uint32_t *)0xff000000u;

    outl(0xe0, 0x12345678);
    CHECK_EQ(inl(0xe0), 0x12345678);
    CHECK_EQ(inb(0xe1), 0x56);
    outb(0xe8, 0x9a);
    CHECK_EQ(inb(0xe8), 0x9a);
    memory[0] = 1;
    memory[0x3fff] = 2;
    CHECK_EQ(memory[0] + memory[0x3fff], 3);
    CHECK_EQ(command(RAISE, 9, SINT, 0), (uint32_t)-22);
    CHECK_EQ(command(MESSAGE_DESTROY, 0, SINT, 0x77), (uint32_t)-2);
}

/* I/O APIC: pin 20 is vector 51h of the first processor. */
static void ioapic_write(uint32_t reg, uint32_t v)
{
    *(volatile uint32_t *)0xfec00000u = reg;
    *(volatile uint32_t *)0xfec00010u = v;
}

CASE(lines_reach_the_io_apic)
{
    for (unsigned pin = 3; pin < 24; pin += 17) {
        uint32_t n = irqs[0][0x51];

        ioapic_write(0x10 + 2 * pin + 1, 0);
        ioapic_write(0x10 + 2 * pin, 0x51);
        outb((uint16_t)(0x2000 + pin), 1);
        CHECK(irq_wait(0, 0x51, n + 1, 1000));
        CHECK_EQ(inb((uint16_t)(0x2000 + pin)), 1);
        outb((uint16_t)(0x2000 + pin), 0);
        ioapic_write(0x10 + 2 * pin, 0x10000);
    }
}
