/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small kernels start all other processors at once, without the pauses of
 * the MP specification and with one SIPI, and learn their number from the
 * firmware's port.
 */
#include "guest.h"

#define ICR_LOW     0x300u
#define INIT_OTHERS 0xc4500u
#define SIPI_OTHERS 0xc4600u
#define VECTOR      1u /* page 1 */
#define COUNT       0x1800u

/* lock incw [COUNT]; cli; hlt; jmp back to hlt */
static const uint8_t code[] = { 0xf0, 0xff, 0x06, COUNT & 0xff, COUNT >> 8,
                                0xfa, 0xf4, 0xeb, 0xfd };

static void start(unsigned others, unsigned so_far)
{
    volatile uint16_t *count = (volatile uint16_t *)(uintptr_t)COUNT;

    apic_write(ICR_LOW, INIT_OTHERS);
    apic_write(ICR_LOW, SIPI_OTHERS | VECTOR);
    UNTIL(*count >= so_far + others);
    CHECK_EQ(*count, so_far + others);
    /* None comes twice. */
    hv_delay(100000);
    CHECK_EQ(*count, so_far + others);
}

CASE(all_others_start_at_once)
{
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)(VECTOR * PAGE);
    volatile uint16_t *count = (volatile uint16_t *)(uintptr_t)COUNT;
    unsigned others = (unsigned)option("cpus", 1) - 1;

    for (unsigned i = 0; i < sizeof code; i++)
        page[i] = code[i];
    *count = 0;
    for (unsigned i = 0; i < 20; i++)
        start(others, i * others);
}

CASE(firmware_knows_the_processors)
{
    unsigned low, high;

    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)5), "d"((uint16_t)0x510));
    low = inb(0x511);
    high = inb(0x511);
    /* Generation 2 has no such port. */
    CHECK_EQ(low | high << 8,
             option("gen", 1) == 1 ? option("cpus", 1) : 0xffff);
}
