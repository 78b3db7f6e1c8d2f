/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models.  The old ones carry the identity of the processor they are
 * named after; those with 64-bit levels are AMD K8 by family, which every
 * 64-bit system knows and which makes none look for workarounds of faults
 * that this processor does not have (page-table isolation above all).
 */
#include "cpu/features.h"

#include <cpuid.h>
#include <glib.h>
#include <string.h>

static const struct {
    const char *name;
    uint16_t feature;
} names[] = {
#define X86_FEATURE_NAME(name, word, bit) { #name, X86_F_##name },
    X86_FEATURES(X86_FEATURE_NAME)
#undef X86_FEATURE_NAME
};

int x86_feature_by_name(const char *name)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(names); n++)
        if (!strcmp(names[n].name, name))
            return names[n].feature;
    return -1;
}

/* --- what can be had here ------------------------------------------------ */

/* Executed on the host's units, so the host must have them. */
static const uint16_t needs_host[] = {
    X86_F_sse3,      X86_F_ssse3,       X86_F_sse4_1, X86_F_sse4_2,
    X86_F_pclmulqdq, X86_F_aes,         X86_F_avx,    X86_F_avx2,
    X86_F_fma,       X86_F_f16c,        X86_F_sha,    X86_F_gfni,
    X86_F_vaes,      X86_F_vpclmulqdq,  X86_F_bmi1,   X86_F_bmi2,
    X86_F_adx,       X86_F_lzcnt,       X86_F_popcnt, X86_F_cx16,
    X86_F_movbe,     X86_F_misalignsse,
};

/* Known by name for the table, but not executed. */
static const uint16_t not_offered[] = { X86_F_sse4a };

static void host_words(uint32_t word[X86_FEATURE_WORDS])
{
    unsigned a, b, c, d;

    memset(word, 0, X86_FEATURE_WORDS * sizeof word[0]);
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        word[X86_W_1_EDX] = d;
        word[X86_W_1_ECX] = c;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        word[X86_W_7_EBX] = b;
        word[X86_W_7_ECX] = c;
        word[X86_W_7_EDX] = d;
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) {
        word[X86_W_EXT1_EDX] = d;
        word[X86_W_EXT1_ECX] = c;
    }
    /* the OS must save YMM, else AVX traps */
    if (!__builtin_cpu_supports("avx"))
        word[X86_W_1_ECX] &= ~(1u << 28);
}

void x86_features_engine(struct x86_features *out)
{
    struct x86_features host;

    memset(out, 0, sizeof *out);
    for (unsigned n = 0; n < G_N_ELEMENTS(names); n++)
        x86_set_feature(out, names[n].feature, true);
    for (unsigned n = 0; n < G_N_ELEMENTS(not_offered); n++)
        x86_set_feature(out, not_offered[n], false);
    host_words(host.word);
    for (unsigned n = 0; n < G_N_ELEMENTS(needs_host); n++)
        if (!x86_has(&host, needs_host[n]))
            x86_set_feature(out, needs_host[n], false);
}

/* --- models -------------------------------------------------------------- */

#define F_486     "fpu"
#define F_PENTIUM F_486 " vme de pse tsc msr mce cx8 apic"
#define F_P3      F_PENTIUM " pae sep mtrr pge mca cmov pat pse36 mmx fxsr sse"
#define F_CORE2   F_P3 " clflush sse2 sse3 ssse3 cx16 syscall nx lm lahf_lm"
#define F_V2                                                   \
    F_CORE2 " sse4_1 sse4_2 popcnt x2apic tsc_deadline rdtscp" \
            " prefetchw arat hypervisor invtsc cr8_legacy"
#define F_V3                                                    \
    F_V2 " avx avx2 bmi1 bmi2 f16c fma lzcnt movbe xsave"       \
         " xsaveopt xsavec xgetbv1 aes pclmulqdq rdrand rdseed" \
         " fsgsbase smep smap adx erms pcid invpcid pdpe1gb"    \
         " clflushopt rdpid umip"

static const struct {
    const char *name, *vendor, *brand, *features;
    uint32_t signature, max_leaf, max_ext_leaf;
} models[] = {
    { "486", "GenuineIntel", NULL, F_486, 0x480, 1, 0 },
    { "pentium", "GenuineIntel", NULL, F_PENTIUM, 0x52c, 1, 0 },
    { "pentium3", "GenuineIntel", NULL, F_P3, 0x68a, 2, 0 },
    { "core2", "GenuineIntel", "Backplane Virtual Core 2", F_CORE2, 0x6f6, 10,
      0x80000008u },
    { "x86-64-v2", "AuthenticAMD", "Backplane Virtual CPU x86-64-v2", F_V2,
      0x60fb1, 0xd, 0x80000008u },
    { "x86-64-v3", "AuthenticAMD", "Backplane Virtual CPU x86-64-v3", F_V3,
      0x60fb1, 0xd, 0x80000008u },
    { "max", "AuthenticAMD", "Backplane Virtual CPU", NULL, 0x60fb1, 0xd,
      0x80000008u },
};

static void set_by_names(struct x86_features *f, const char *text)
{
    g_auto(GStrv) part = g_strsplit(text, " ", -1);

    for (unsigned n = 0; part[n]; n++) {
        int feature = x86_feature_by_name(part[n]);

        if (feature >= 0)
            x86_set_feature(f, (unsigned)feature, true);
    }
}

bool x86_model_find(const char *name, struct x86_model *out)
{
    struct x86_features engine;

    x86_features_engine(&engine);
    for (unsigned n = 0; n < G_N_ELEMENTS(models); n++) {
        if (strcmp(models[n].name, name))
            continue;
        memset(out, 0, sizeof *out);
        out->name = models[n].name;
        out->vendor = models[n].vendor;
        out->brand = models[n].brand;
        out->signature = models[n].signature;
        out->max_leaf = models[n].max_leaf;
        out->max_ext_leaf = models[n].max_ext_leaf;
        if (!models[n].features) {
            out->features = engine;
            /* an idle loop by MWAIT would spin here: HLT is better */
            x86_set_feature(&out->features, X86_F_monitor, false);
            x86_set_feature(&out->features, X86_F_ht, false);
        } else {
            set_by_names(&out->features, models[n].features);
        }
        for (unsigned w = 0; w < X86_FEATURE_WORDS; w++)
            out->features.word[w] &= engine.word[w];
        return true;
    }
    return false;
}

static bool apply_flag(struct x86_model *m, const char *flag)
{
    struct x86_features engine;
    int feature = x86_feature_by_name(flag + 1);

    if ((flag[0] != '+' && flag[0] != '-') || feature < 0)
        return false;
    x86_features_engine(&engine);
    if (flag[0] == '+' && !x86_has(&engine, (unsigned)feature))
        return false;
    x86_set_feature(&m->features, (unsigned)feature, flag[0] == '+');
    return true;
}

bool x86_model_parse(const char *spec, struct x86_model *out, char **bad)
{
    g_auto(GStrv) part = g_strsplit(spec && *spec ? spec : "max", ",", -1);

    for (unsigned n = 0; part[n]; n++) {
        if (n == 0 ? x86_model_find(part[0], out) : apply_flag(out, part[n]))
            continue;
        *bad = g_strdup(part[n]);
        return false;
    }
    return true;
}
