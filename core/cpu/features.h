/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU features by name, and CPU models as sets of them.
 *
 * A feature's number is its CPUID word times 32 plus its bit, so a set is the
 * CPUID words themselves.  The names are those of the FEATURE column of
 * x86.def and of the user's "--cpu model,+name,-name".
 *
 * Source: Intel SDM volume 2A "CPUID", AMD APM volume 3 appendix E.
 */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
enum x86_feature_word {
    X86_W_1_EDX, X86_W_1_ECX, X86_W_7_EBX, X86_W_7_ECX, X86_W_7_EDX,
    X86_W_EXT1_EDX,             /* 80000001h; the copies of 1.EDX are not */
    X86_W_EXT1_ECX,             /* counted here */
    X86_W_D1_EAX, X86_W_EXT7_EDX, X86_W_6_EAX,
    X86_FEATURE_WORDS
};

/* X(name, word, bit) */
#define X86_FEATURES(X)                                                      \
    X(fpu, 1_EDX, 0) X(vme, 1_EDX, 1) X(de, 1_EDX, 2) X(pse, 1_EDX, 3)       \
    X(tsc, 1_EDX, 4) X(msr, 1_EDX, 5) X(pae, 1_EDX, 6) X(mce, 1_EDX, 7)      \
    X(cx8, 1_EDX, 8) X(apic, 1_EDX, 9) X(sep, 1_EDX, 11)                     \
    X(mtrr, 1_EDX, 12) X(pge, 1_EDX, 13) X(mca, 1_EDX, 14)                   \
    X(cmov, 1_EDX, 15) X(pat, 1_EDX, 16) X(pse36, 1_EDX, 17)                 \
    X(clflush, 1_EDX, 19) X(mmx, 1_EDX, 23) X(fxsr, 1_EDX, 24)               \
    X(sse, 1_EDX, 25) X(sse2, 1_EDX, 26) X(ht, 1_EDX, 28)                    \
    X(sse3, 1_ECX, 0) X(pclmulqdq, 1_ECX, 1) X(monitor, 1_ECX, 3)            \
    X(ssse3, 1_ECX, 9) X(fma, 1_ECX, 12) X(cx16, 1_ECX, 13)                  \
    X(pcid, 1_ECX, 17) X(sse4_1, 1_ECX, 19) X(sse4_2, 1_ECX, 20)             \
    X(x2apic, 1_ECX, 21) X(movbe, 1_ECX, 22) X(popcnt, 1_ECX, 23)            \
    X(tsc_deadline, 1_ECX, 24) X(aes, 1_ECX, 25) X(xsave, 1_ECX, 26)         \
    X(avx, 1_ECX, 28) X(f16c, 1_ECX, 29) X(rdrand, 1_ECX, 30)                \
    X(hypervisor, 1_ECX, 31)                                                 \
    X(fsgsbase, 7_EBX, 0) X(tsc_adjust, 7_EBX, 1) X(bmi1, 7_EBX, 3)          \
    X(avx2, 7_EBX, 5) X(smep, 7_EBX, 7) X(bmi2, 7_EBX, 8)                    \
    X(erms, 7_EBX, 9) X(invpcid, 7_EBX, 10) X(rdseed, 7_EBX, 18)             \
    X(adx, 7_EBX, 19) X(smap, 7_EBX, 20) X(clflushopt, 7_EBX, 23)            \
    X(clwb, 7_EBX, 24) X(sha, 7_EBX, 29)                                     \
    X(umip, 7_ECX, 2) X(gfni, 7_ECX, 8) X(vaes, 7_ECX, 9)                    \
    X(vpclmulqdq, 7_ECX, 10) X(rdpid, 7_ECX, 22)                             \
    X(fsrm, 7_EDX, 4)                                                        \
    X(syscall, EXT1_EDX, 11) X(nx, EXT1_EDX, 20) X(mmxext, EXT1_EDX, 22)     \
    X(fxsr_opt, EXT1_EDX, 25) X(pdpe1gb, EXT1_EDX, 26)                       \
    X(rdtscp, EXT1_EDX, 27) X(lm, EXT1_EDX, 29)                              \
    X(lahf_lm, EXT1_ECX, 0) X(cr8_legacy, EXT1_ECX, 4)                       \
    X(lzcnt, EXT1_ECX, 5) X(sse4a, EXT1_ECX, 6) X(misalignsse, EXT1_ECX, 7)  \
    X(prefetchw, EXT1_ECX, 8)                                                \
    X(xsaveopt, D1_EAX, 0) X(xsavec, D1_EAX, 1) X(xgetbv1, D1_EAX, 2)        \
    X(invtsc, EXT7_EDX, 8)                                                   \
    X(arat, 6_EAX, 2)
/* clang-format on */

enum x86_feature {
#define X86_FEATURE_ENUM(name, word, bit) \
    X86_F_##name = X86_W_##word * 32 + (bit),
    X86_FEATURES(X86_FEATURE_ENUM)
#undef X86_FEATURE_ENUM
};

struct x86_features {
    uint32_t word[X86_FEATURE_WORDS];
};

static inline bool x86_has(const struct x86_features *f, unsigned feature)
{
    return f->word[feature / 32] >> (feature % 32) & 1;
}

static inline void x86_set_feature(struct x86_features *f, unsigned feature,
                                   bool on)
{
    if (on)
        f->word[feature / 32] |= 1u << (feature % 32);
    else
        f->word[feature / 32] &= ~(1u << (feature % 32));
}

/* Number of a feature, or -1. */
int x86_feature_by_name(const char *name);

struct x86_model {
    const char *name;   /* "486" ... "x86-64-v3", "max" */
    const char *vendor; /* 12 characters */
    const char *brand;  /* leaf 80000002h..; NULL: none */
    uint32_t signature; /* CPUID 1.EAX */
    uint32_t max_leaf, max_ext_leaf;
    struct x86_features features;
};

/*
 * A model by name with the features it cannot have here taken out: those
 * that this host's units lack.  NULL: no such model.  "max" has everything
 * that engine and host can do.
 */
bool x86_model_find(const char *name, struct x86_model *out);
/* What the software engine can execute on this host. */
void x86_features_engine(struct x86_features *out);
/* "model[,+name|,-name]..."; false: *bad is the part not understood
 * (caller frees).  NULL or "" is "max" */
bool x86_model_parse(const char *spec, struct x86_model *out, char **bad);

#endif
