/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define COM1        0x3f8
#define EXIT_PORT   0xf4
#define APIC        0xfee00000u
#define STACK_BYTES 16384
#define STUB_BYTES  16

/* What a stub and the processor have pushed. */
struct frame {
    uintptr_t vector, error, ip, cs, flags, sp, ss; /* sp, ss: 64-bit only */
};

struct multiboot {
    uint32_t flags, lower, upper, device, cmdline;
};

extern uint32_t multiboot_info;
extern char stubs[], gdt[];
extern const struct test_case cases_begin[], cases_end[];

volatile uint32_t irqs[CPUS][256];
volatile bool no_eoi[256];
static bool failed;
static bool apic_is_on;

/* --- output --------------------------------------------------------------*/

static void put(char c)
{
    while (!(inb(COM1 + 5) & 0x20))
        pause();
    outb(COM1, (uint8_t)c);
}

void print(const char *text)
{
    while (*text)
        put(*text++);
}

void print_number(uint64_t v)
{
    static const char digits[] = "0123456789abcdef";
    int shift = 60;

    print("0x");
    while (shift && !(v >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put(digits[v >> shift & 15]);
}

void check(bool ok, const char *what, const char *file, int line)
{
    if (ok)
        return;
    failed = true;
    print("# ");
    print(file);
    print(":");
    print_number((uint64_t)line);
    print(": ");
    print(what);
    print("\n");
}

void check_equal(uint64_t left, uint64_t right, const char *what,
                 const char *file, int line)
{
    if (left == right)
        return;
    check(false, what, file, line);
    print("#  left ");
    print_number(left);
    print(" right ");
    print_number(right);
    print("\n");
}

static const char *command_line(void)
{
    const struct multiboot *m = (const void *)(uintptr_t)multiboot_info;

    return (const char *)(uintptr_t)m->cmdline;
}

uint64_t option(const char *name, uint64_t otherwise)
{
    for (const char *p = command_line(); *p; p++) {
        unsigned n = 0;
        uint64_t v = 0;

        while (name[n] && p[n] == name[n])
            n++;
        if (name[n] || p[n] != '=')
            continue;
        for (p += n + 1; *p >= '0' && *p <= '9'; p++)
            v = v * 10 + (uint64_t)(*p - '0');
        return v;
    }
    return otherwise;
}

/* --- interrupts ----------------------------------------------------------*/

static struct gate {
    uint16_t low, selector, attr, high;
#ifdef __x86_64__
    uint32_t higher, reserved;
#endif
} idt[256];

struct table {
    uint16_t limit;
    uintptr_t base;
} __attribute__((packed));

static void idt_load(void)
{
    const struct table t = { sizeof idt - 1, (uintptr_t)idt };

    __asm__ volatile("lidt %0" : : "m"(t));
}

static void idt_init(void)
{
    for (unsigned n = 0; n < 256; n++) {
        uintptr_t at = (uintptr_t)stubs + n * STUB_BYTES;

        idt[n].low = (uint16_t)at;
        idt[n].high = (uint16_t)(at >> 16);
        idt[n].attr = 0x8e00;
        idt[n].selector = sizeof at == 8 ? 0x18 : 0x08;
    }
    idt_load();
}

uint32_t apic_read(unsigned reg)
{
    return *(volatile uint32_t *)(uintptr_t)(APIC + reg);
}

void apic_write(unsigned reg, uint32_t v)
{
    *(volatile uint32_t *)(uintptr_t)(APIC + reg) = v;
}

unsigned cpu_index(void)
{
    unsigned id = apic_read(0x20) >> 24;

    /* all bits are set where it is switched off */
    return id < CPUS ? id : 0;
}

/* Where an instruction that may fault goes on; one a processor. */
static uintptr_t resume[CPUS];
static unsigned fault[CPUS];

volatile uintptr_t nmi_at;

void interrupt(struct frame *f)
{
    unsigned cpu = cpu_index();

    if (f->vector == 2) {
        irqs[cpu][2]++;
        nmi_at = f->ip;
        return;
    }
    if (f->vector >= 32) {
        irqs[cpu][f->vector]++;
        if (!no_eoi[f->vector])
            apic_write(APIC_EOI, 0);
        return;
    }
    if (resume[cpu]) {
        f->ip = resume[cpu];
        resume[cpu] = 0;
        fault[cpu] = 1 + (unsigned)f->vector;
        return;
    }
    print("# exception ");
    print_number(f->vector);
    print(" at ");
    print_number(f->ip);
    print("\nnot ok no_exception\n");
    outl(EXIT_PORT, 1);
    for (;;)
        pause();
}

bool irq_wait(unsigned cpu, uint8_t vector, uint32_t n, unsigned ms)
{
    uint64_t end = hv_time() + ms * 10000ull;

    while (irqs[cpu][vector] < n && hv_time() < end)
        pause();
    return irqs[cpu][vector] >= n;
}

/* --- registers -----------------------------------------------------------*/

bool msr_read(uint32_t msr, uint64_t *v)
{
    unsigned cpu = apic_is_on ? cpu_index() : 0;
    uint32_t low = 0, high = 0;
    uintptr_t at;

    fault[cpu] = 0;
    __asm__ volatile("movl $1f, %k0\n\tmov %0, %3\n\trdmsr\n1:"
                     : "=&r"(at), "+a"(low), "+d"(high), "=m"(resume[cpu])
                     : "c"(msr)
                     : "memory");
    resume[cpu] = 0;
    *v = low | (uint64_t)high << 32;
    return !fault[cpu];
}

bool msr_write(uint32_t msr, uint64_t v)
{
    unsigned cpu = apic_is_on ? cpu_index() : 0;
    uintptr_t at;

    fault[cpu] = 0;
    __asm__ volatile("movl $1f, %k0\n\tmov %0, %1\n\twrmsr\n1:"
                     : "=&r"(at), "=m"(resume[cpu])
                     : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
                     : "memory");
    resume[cpu] = 0;
    return !fault[cpu];
}

uint64_t rdmsr(uint32_t msr)
{
    uint64_t v;

    CHECK(msr_read(msr, &v));
    return v;
}

void wrmsr(uint32_t msr, uint64_t v)
{
    CHECK(msr_write(msr, v));
}

bool vmcall_is_undefined(void)
{
    unsigned cpu = cpu_index();
    uintptr_t at;

    fault[cpu] = 0;
    __asm__ volatile("movl $1f, %k0\n\tmov %0, %1\n\tvmcall\n1:"
                     : "=&r"(at), "=m"(resume[cpu])
                     :
                     : "memory", "eax", "ecx", "edx");
    resume[cpu] = 0;
    return fault[cpu] == 1 + 6;
}

/* --- hypervisor ----------------------------------------------------------*/

struct message messages[CPUS][16] page_aligned;
uint8_t events[CPUS][16][256] page_aligned;
static uint8_t hypercall_page[PAGE] page_aligned;

void hv_on(void)
{
    wrmsr(HV_GUEST_OS_ID, 0x8100000000000001ull);
    wrmsr(HV_HYPERCALL, address(hypercall_page) | 1);
}

void synic_on(void)
{
    unsigned cpu = cpu_index();

    wrmsr(HV_SIMP, address(messages[cpu]) | 1);
    wrmsr(HV_SIEFP, address(events[cpu]) | 1);
    wrmsr(HV_SCONTROL, 1);
}

uint64_t hv_time(void)
{
    return rdmsr(HV_TIME);
}

void hv_delay(uint64_t ticks)
{
    uint64_t end = hv_time() + ticks;

    while (hv_time() < end)
        pause();
}

#ifdef __x86_64__
uint64_t hypercall(uint64_t control, uint64_t in, uint64_t out)
{
    register uint64_t r8 __asm__("r8") = out;
    uint64_t result;

    __asm__ volatile("call *%5"
                     : "=a"(result), "+c"(control), "+d"(in), "+r"(r8)
                     : "a"(0), "r"(hypercall_page)
                     : "memory", "cc", "r9", "r10", "r11");
    return result;
}
#else
uint64_t hypercall(uint64_t control, uint64_t in, uint64_t out)
{
    uint32_t high = (uint32_t)(control >> 32), low = (uint32_t)control;
    uint32_t c = (uint32_t)in;

    __asm__ volatile("call *%6"
                     : "+a"(low), "+d"(high), "+c"(c)
                     : "b"((uint32_t)(in >> 32)), "D"((uint32_t)(out >> 32)),
                       "S"((uint32_t)out), "m"((void *){ hypercall_page })
                     : "memory", "cc");
    return low | (uint64_t)high << 32;
}
#endif

/* --- the other processor -------------------------------------------------*/

static void (*volatile job)(void *);
static void *volatile job_arg;
static volatile bool is_up;
static uint8_t second_stack[STACK_BYTES] __attribute__((aligned(16)));

static void second_main(void)
{
    idt_load();
    apic_write(APIC_SVR, 0x1ff);
    is_up = true;
    irq_on();
    for (;;) {
        void (*fn)(void *) = job;

        if (fn) {
            fn(job_arg);
            job = NULL;
        }
        pause();
    }
}

struct segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector, attributes;
};

struct start {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, reserved[3];
    uint64_t ip, sp, flags;
    struct segment cs, ds, es, fs, gs, ss, tr, ldtr;
    struct {
        uint16_t pad[3], limit;
        uint64_t base;
    } idtr, gdtr;
    uint64_t efer, cr0, cr3, cr4, pat;
};

static bool start_second(void)
{
    static struct start s page_aligned;
    const struct segment data = { 0, 0xffffffffu, 0x10, 0xc093 };
    uintptr_t cr0, cr3, cr4;
    uint64_t status;

    /* whatever firmware has it do: INIT */
    apic_write(0x310, 1u << 24);
    apic_write(0x300, 0x4500);
    __asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2"
                     : "=r"(cr0), "=r"(cr3), "=r"(cr4));
    s.partition = UINT64_MAX;
    s.vp = 1;
    s.ip = address(second_main);
    s.sp = address(second_stack + sizeof second_stack - 16 - sizeof s.ip);
    s.flags = 2;
    s.cs = s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cs.selector = sizeof cr0 == 8 ? 0x18 : 0x08;
    s.cs.attributes = sizeof cr0 == 8 ? 0xa09b : 0xc09b;
    s.tr = (struct segment){ 0, 0xffff, 0, 0x8b };
    s.gdtr.base = address(gdt);
    s.gdtr.limit = 31;
    s.cr0 = cr0;
    s.cr3 = cr3;
    s.cr4 = cr4;
    s.efer = rdmsr(0xc0000080u);
    s.pat = rdmsr(0x277);
    /* that takes its time */
    UNTIL((status = hypercall(0x99, address(&s), 0)) == 0);
    return status == 0;
}

bool second(void)
{
    if (option("cpus", 1) < 2)
        return false;
    if (is_up)
        return true;
    CHECK(start_second());
    for (uint64_t end = hv_time() + 50000000; !is_up && hv_time() < end;)
        pause();
    CHECK(is_up);
    return is_up;
}

void call_begin(void (*fn)(void *), void *arg)
{
    job_arg = arg;
    job = fn;
}

void call_end(void)
{
    while (job)
        pause();
}

void call(void (*fn)(void *), void *arg)
{
    call_begin(fn, arg);
    call_end();
}

/* --- all of it -----------------------------------------------------------*/

void start(void);
void start(void)
{
    bool bad = false;

    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    idt_init();
    apic_is_on = true;
    apic_write(APIC_SVR, 0x1ff);
    irq_on();
    for (const struct test_case *c = cases_begin; c < cases_end; c++) {
        failed = false;
        c->run();
        print(failed ? "not ok " : "ok ");
        print(c->name);
        print("\n");
        bad |= failed;
    }
    outl(EXIT_PORT, bad);
    for (;;)
        pause();
}
