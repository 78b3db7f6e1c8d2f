/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what the model says, with the few bits that follow the state.
 *
 * Source: Intel SDM volume 2 "CPUID", AMD APM volume 3 appendix E.
 */
#include <string.h>

#include "cpu/interp/engine.h"
#include "cpu/interp/sys.h"
#include "hv/hv.h"
#include "irq/lapic.h"

#define PHYS_BITS 40

static unsigned log2_up(unsigned n)
{
    return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1);
}

static bool is_amd(const struct x86_model *m)
{
    return !strcmp(m->vendor, "AuthenticAMD");
}

static void leaf_vendor(const struct x86_model *m, uint32_t max,
                        struct cpuid_result *r)
{
    r->eax = max;
    memcpy(&r->ebx, m->vendor, 4);
    memcpy(&r->edx, m->vendor + 4, 4);
    memcpy(&r->ecx, m->vendor + 8, 4);
}

static void leaf_1(struct vcpu *cpu, struct cpuid_result *r)
{
    const struct x86_model *m = cpu->model;
    unsigned count = cpu->vm->vcpu_count;

    r->eax = m->signature;
    r->ebx = cpu->index << 24 | (count > 255 ? 255 : count) << 16;
    if (x86_has(&m->features, X86_F_clflush))
        r->ebx |= 8 << 8;
    r->ecx = m->features.word[X86_W_1_ECX];
    r->edx = m->features.word[X86_W_1_EDX];
    if (count > 1)
        r->edx |= 1u << (X86_F_ht % 32);
    if (!(cpu->st.apic_base & APIC_BASE_ENABLE))
        r->edx &= ~(1u << (X86_F_apic % 32));
    if (cpu->st.cr4 & CR4_OSXSAVE)
        r->ecx |= 1u << 27;
    if (cpu->vm->hv)
        r->ecx |= 1u << 31; /* there is a hypervisor */
}

/* Deterministic cache parameters: 32 KiB L1s, 2 MiB L2 */
static void leaf_4(struct vcpu *cpu, uint32_t sub, struct cpuid_result *r)
{
    static const struct {
        uint32_t type, level, ways, sets;
    } cache[] = {
        { 1, 1, 8, 64 },
        { 2, 1, 8, 64 },
        { 3, 2, 8, 4096 },
    };
    unsigned cores = 1u << log2_up(cpu->vm->vcpu_count);

    if (sub >= sizeof cache / sizeof cache[0])
        return;
    r->eax =
        cache[sub].type | cache[sub].level << 5 | 1 << 8 | (cores - 1) << 26;
    r->ebx = 63 | (cache[sub].ways - 1) << 22;
    r->ecx = cache[sub].sets - 1;
}

/* Each processor is a core of its own in one package. */
static void leaf_b(struct vcpu *cpu, uint32_t sub, struct cpuid_result *r)
{
    r->ecx = sub & 0xff;
    r->edx = cpu->index;
    if (sub == 0) {
        r->ebx = 1;
        r->ecx |= 1 << 8;
    } else if (sub == 1) {
        r->eax = log2_up(cpu->vm->vcpu_count);
        r->ebx = cpu->vm->vcpu_count;
        r->ecx |= 2 << 8;
    }
}

static void leaf_d(struct vcpu *cpu, uint32_t sub, struct cpuid_result *r)
{
    uint64_t supported = xsave_supported(cpu);

    if (!x86_has(&cpu->model->features, X86_F_xsave))
        return;
    if (sub == 0) {
        r->eax = (uint32_t)supported;
        r->ebx = xsave_bytes(cpu->st.xcr0);
        r->ecx = xsave_bytes(supported);
    } else if (sub == 1) {
        r->eax = cpu->model->features.word[X86_W_D1_EAX];
        r->ebx = xsave_bytes(cpu->st.xcr0);
    } else if (sub == 2 && (supported & 4)) {
        r->eax = 256;
        r->ebx = 576;
    }
}

static void leaf_basic(struct vcpu *cpu, uint32_t leaf, uint32_t sub,
                       struct cpuid_result *r)
{
    const struct x86_features *f = &cpu->model->features;

    switch (leaf) {
    case 0: leaf_vendor(cpu->model, cpu->model->max_leaf, r); break;
    case 1: leaf_1(cpu, r); break;
    case 2:
        if (!is_amd(cpu->model)) {
            r->eax = 0x00000001; /* leaf 4 tells, or: 8+8+128 KiB */
            r->edx = 0x000c0a82;
        }
        break;
    case 4: leaf_4(cpu, sub, r); break;
    case 5:
        if (x86_has(f, X86_F_monitor)) {
            r->eax = r->ebx = 64;
            r->ecx = 3;
        }
        break;
    case 6: r->eax = f->word[X86_W_6_EAX]; break;
    case 7:
        if (sub == 0) {
            r->ebx = f->word[X86_W_7_EBX];
            r->ecx = f->word[X86_W_7_ECX];
            r->edx = f->word[X86_W_7_EDX];
        }
        break;
    case 0xb:
        if (x86_has(f, X86_F_x2apic))
            leaf_b(cpu, sub, r);
        break;
    case 0xd: leaf_d(cpu, sub, r); break;
    }
}

/* 80000001h.EDX of AMD repeats most of 1.EDX. */
#define EXT1_COPIED 0x0183f3ffu

static void leaf_ext1(struct vcpu *cpu, struct cpuid_result *r)
{
    const struct x86_features *f = &cpu->model->features;

    r->eax = is_amd(cpu->model) ? cpu->model->signature : 0;
    r->ecx = f->word[X86_W_EXT1_ECX];
    r->edx = f->word[X86_W_EXT1_EDX];
    if (is_amd(cpu->model)) {
        r->edx |= f->word[X86_W_1_EDX] & EXT1_COPIED;
        if (cpu->vm->vcpu_count > 1)
            r->ecx |= 2; /* CmpLegacy */
    }
}

static void leaf_brand(const struct x86_model *m, unsigned part,
                       struct cpuid_result *r)
{
    char text[48] = { 0 };

    if (m->brand)
        strncpy(text, m->brand, sizeof text - 1);
    memcpy(r, text + part * 16, 16);
}

static void leaf_extended(struct vcpu *cpu, uint32_t leaf,
                          struct cpuid_result *r)
{
    const struct x86_model *m = cpu->model;
    unsigned count = cpu->vm->vcpu_count;

    switch (leaf) {
    case 0x80000000u: leaf_vendor(m, m->max_ext_leaf, r); break;
    case 0x80000001u: leaf_ext1(cpu, r); break;
    case 0x80000002u ... 0x80000004u:
        leaf_brand(m, leaf - 0x80000002u, r);
        break;
    case 0x80000005u:
        if (is_amd(m)) {
            r->eax = 0x01ff01ff;
            r->ebx = 0x01ff01ff;
            r->ecx = r->edx = 0x20080140; /* 32 KiB, 64-byte lines */
        }
        break;
    case 0x80000006u:
        r->ecx = is_amd(m) ? 0x08006140 : 0x08006040; /* 2 MiB, 8 ways */
        break;
    case 0x80000007u: r->edx = m->features.word[X86_W_EXT7_EDX]; break;
    case 0x80000008u:
        r->eax = PHYS_BITS | 48 << 8;
        if (is_amd(m))
            r->ecx = (count - 1) | log2_up(count) << 12;
        break;
    }
}

static void leaf_hypervisor(struct vcpu *cpu, uint32_t leaf,
                            struct cpuid_result *r)
{
    uint32_t v[4];

    hv_cpuid(cpu, leaf, v);
    *r = (struct cpuid_result){ v[0], v[1], v[2], v[3] };
}

void cpuid_read(struct vcpu *cpu, uint32_t leaf, uint32_t sub,
                struct cpuid_result *r)
{
    const struct x86_model *m = cpu->model;

    memset(r, 0, sizeof *r);
    if (leaf >= 0x40000000u && leaf < 0x50000000u) {
        if (cpu->vm->hv)
            leaf_hypervisor(cpu, leaf, r);
        return;
    }
    if (leaf & 0x80000000u) {
        if (leaf <= m->max_ext_leaf || leaf == 0x80000000u)
            leaf_extended(cpu, leaf, r);
        return;
    }
    /* beyond the last leaf Intel repeats it; AMD returns zeros */
    if (leaf > m->max_leaf) {
        if (is_amd(m))
            return;
        leaf = m->max_leaf;
    }
    leaf_basic(cpu, leaf, sub, r);
}
