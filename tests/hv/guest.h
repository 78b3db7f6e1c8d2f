/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bare-metal guests have: a serial port, interrupts, registers, a second
 * processor, and cases.
 *
 *     CASE(name) { CHECK(1 + 1 == 2); }
 *
 * A case prints "ok NAME" or "not ok NAME"; run.py starts the guest and
 * passes that on.  The command line has words such as "cpus=2".
 */
#ifndef HV_GUEST_H
#define HV_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUS         2
#define PAGE         4096u
#define page_aligned __attribute__((aligned(4096)))

/* --- cases ---------------------------------------------------------------*/

struct test_case {
    const char *name;
    void (*run)(void);
};

#define CASE(name_)                                                          \
    static void name_(void);                                                 \
    static const struct test_case case_##name_                               \
        __attribute__((used, section(".rodata.cases"))) = { #name_, name_ }; \
    static void name_(void)

void check(bool ok, const char *what, const char *file, int line);
void check_equal(uint64_t left, uint64_t right, const char *what,
                 const char *file, int line);
#define CHECK(x)       check(x, #x, __FILE__, __LINE__)
#define CHECK_EQ(a, b) check_equal(a, b, #a " == " #b, __FILE__, __LINE__)

void print(const char *text);
void print_number(uint64_t v);
/* The number behind "name=" of the command line. */
uint64_t option(const char *name, uint64_t otherwise);

/* --- processor -----------------------------------------------------------*/

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return low | (uint64_t)high << 32;
}

static inline void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(0));
}

static inline void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline void irq_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void irq_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* False: #GP */
bool msr_read(uint32_t msr, uint64_t *v);
bool msr_write(uint32_t msr, uint64_t v);
/* Fails the case when they raise. */
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t v);

/* VMCALL raises #UD. */
bool vmcall_is_undefined(void);

uint32_t apic_read(unsigned reg);
void apic_write(unsigned reg, uint32_t v);
#define APIC_EOI 0x0b0u
#define APIC_SVR 0x0f0u
#define APIC_ISR 0x100u
unsigned cpu_index(void);

/* --- interrupts ----------------------------------------------------------*/

/* So often a vector came, by processor. */
extern volatile uint32_t irqs[CPUS][256];
/* Where the last NMI came. */
extern volatile uintptr_t nmi_at;
/* Vectors that interrupt() does not end. */
extern volatile bool no_eoi[256];
/* Waits until it came n times, at most this long; true: it did. */
bool irq_wait(unsigned cpu, uint8_t vector, uint32_t n, unsigned ms);

/* --- hypervisor ----------------------------------------------------------*/

#define HV_GUEST_OS_ID 0x40000000u
#define HV_HYPERCALL   0x40000001u
#define HV_VP_INDEX    0x40000002u
#define HV_TIME        0x40000020u
#define HV_TSC_PAGE    0x40000021u
#define HV_TSC_HZ      0x40000022u
#define HV_EOI         0x40000070u
#define HV_SCONTROL    0x40000080u
#define HV_SVERSION    0x40000081u
#define HV_SIEFP       0x40000082u
#define HV_SIMP        0x40000083u
#define HV_EOM         0x40000084u
#define HV_SINT0       0x40000090u
#define HV_STIMER0     0x400000b0u
#define SINT_MASKED    0x10000u
#define SINT_AUTO_EOI  0x20000u
#define SINT_POLLING   0x40000u

struct message {
    uint32_t type;
    uint8_t bytes, flags;
    uint16_t reserved;
    uint64_t sender;
    uint8_t payload[240];
};

extern struct message messages[CPUS][16];
extern uint8_t events[CPUS][16][256];

/* Identity and hypercall page. */
void hv_on(void);
/* SIMP, SIEFP and SCONTROL of the calling processor. */
void synic_on(void);
uint64_t hv_time(void);
/* 10 MHz ticks */
void hv_delay(uint64_t ticks);
/* Waits for it, five seconds at most. */
#define UNTIL(x)                                                              \
    for (uint64_t until_ = hv_time() + 50000000; !(x) && hv_time() < until_;) \
    pause()
/* Control, input and output, or the two inputs of a fast call. */
uint64_t hypercall(uint64_t control, uint64_t in, uint64_t out);
#define FAST       0x10000ull
#define address(p) ((uint64_t)(uintptr_t)(p))

/* --- the other processor -------------------------------------------------*/

/* True when there is one: it runs call()s with interrupts on. */
bool second(void);
/* Runs fn there and waits until it returned. */
void call(void (*fn)(void *), void *arg);
/* The same without waiting, and the wait. */
void call_begin(void (*fn)(void *), void *arg);
void call_end(void);

#endif
