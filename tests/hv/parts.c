/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUID offers is there, and what it does not offer is not: run with
 * each part switched off, and with all of it ("hv=0").
 */
#include "guest.h"

static const struct {
    uint32_t reg, bit; /* of leaf 40000003h: 0 EAX, 3 EDX */
    uint32_t msr;
} parts[] = {
    { 0, 0x001, 0x40000010u }, { 0, 0x002, 0x40000020u },
    { 0, 0x004, 0x40000080u }, { 0, 0x004, 0x4000009fu },
    { 0, 0x008, 0x400000b0u }, { 0, 0x008, 0x400000b7u },
    { 0, 0x010, 0x40000071u }, { 0, 0x010, 0x40000072u },
    { 0, 0x020, 0x40000000u }, { 0, 0x020, 0x40000001u },
    { 0, 0x040, 0x40000002u }, { 0, 0x080, 0x40000003u },
    { 0, 0x200, 0x40000021u }, { 0, 0x400, 0x400000f0u },
    { 0, 0x800, 0x40000022u }, { 0, 0x800, 0x40000023u },
    { 3, 0x400, 0x40000100u }, { 3, 0x400, 0x40000105u },
};

CASE(registers_are_there_as_offered)
{
    uint32_t r[4];
    uint64_t v;
    unsigned n;

    irq_off(); /* GUEST_IDLE returns soon */
    cpuid(0x40000003u, r);
    for (n = 0; n < sizeof parts / sizeof parts[0]; n++) {
        bool offered = r[parts[n].reg] & parts[n].bit;

        if (msr_read(parts[n].msr, &v) == offered)
            continue;
        CHECK_EQ(parts[n].msr, 0);
    }
    irq_on();
}

CASE(hypercalls_are_there_as_offered)
{
    uint32_t r[4], hints[4];
    static uint64_t in[32] page_aligned;

    if (!option("hv", 1)) {
        CHECK(vmcall_is_undefined());
        return;
    }
    hv_on();
    cpuid(0x40000003u, r);
    cpuid(0x40000004u, hints);
    CHECK_EQ(hypercall(0x5d | FAST, 0x4321, 0) == 0x12, !!(r[1] & 0x20));
    CHECK_EQ(hypercall(0x02, address(in), 0) == 0, !!(hints[0] & 0x4));
    CHECK_EQ(hypercall(0x0b | FAST, 0x60, 0) == 0, !!(hints[0] & 0x400));
    /* a banked set does not fit into two registers */
    CHECK_EQ(hypercall(0x15 | FAST, 0x60, 1) == 0,
             (hints[0] & 0x400) && (r[3] & 0x10));
}

CASE(switched_off_nothing_is_seen)
{
    uint32_t r[4];

    /* that there is some hypervisor is the processor model's to say */
    cpuid(1, r);
    if (option("hv", 1))
        CHECK_EQ(r[2] >> 31, 1);
    for (uint32_t leaf = 0x40000000u; leaf < 0x40000007u; leaf++) {
        cpuid(leaf, r);
        if (!option("hv", 1))
            CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    }
}
