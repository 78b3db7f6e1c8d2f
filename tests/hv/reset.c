/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that resets the machine finds it as it was at first. */
#include "guest.h"

#define RESET 0x40000003u
#define MARK  0x600d600du

static const struct {
    uint32_t msr;
    uint64_t set, power_on;
} registers[] = {
    { HV_GUEST_OS_ID, 0x1234, 0 },
    { HV_HYPERCALL, 0x1800001, 0 },
    { HV_TSC_PAGE, 0x1801001, 0 },
    { 0x40000073u, 0x1802001, 0 }, /* VP assist */
    { HV_SIMP, 0x1803001, 0 },
    { HV_SIEFP, 0x1804001, 0 },
    { HV_SCONTROL, 1, 0 },
    { HV_SINT0 + 3, 0x20050, SINT_MASKED },
    { HV_STIMER0, 0x1503, 0 },
    { HV_STIMER0 + 1, 123456, 0 },
    { HV_STIMER0 + 3, 7, 0 },
    { 0x40000102u, 99, 0 }, /* crash */
};

CASE(reset_by_register)
{
    /* what is beyond the image stays over a reset */
    volatile uint32_t *mark = (volatile uint32_t *)0x1900000u;
    unsigned n;

    for (n = 0; n < sizeof registers / sizeof registers[0]; n++)
        CHECK_EQ(rdmsr(registers[n].msr), registers[n].power_on);
    if (*mark == MARK)
        return;
    *mark = MARK;
    for (n = 0; n < sizeof registers / sizeof registers[0]; n++) {
        wrmsr(registers[n].msr, registers[n].set);
        CHECK_EQ(rdmsr(registers[n].msr), registers[n].set);
    }
    wrmsr(RESET, 1);
    hv_delay(50000000);
    CHECK(!"reset");
}
