/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The architectural state of one x86-64 logical processor.
 *
 * This is the canonical form: every engine (interpreter, JIT, KVM) can give
 * and take it, a saved machine holds it, and state moves between engines
 * through it.  It contains nothing of an engine's own.  The software engine
 * works on it in place.
 *
 * Source: Intel SDM volumes 1 and 3A, AMD APM volume 2.
 */
#ifndef CPU_STATE_H
#define CPU_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
       R8, R9, R10, R11, R12, R13, R14, R15 };
/* clang-format on */

/* In the order of the ModRM reg field of MOV Sw. */
/* clang-format off */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };
/* clang-format on */

/* RFLAGS */
#define FL_CF         0x00000001u
#define FL_ONE        0x00000002u /* always set */
#define FL_PF         0x00000004u
#define FL_AF         0x00000010u
#define FL_ZF         0x00000040u
#define FL_SF         0x00000080u
#define FL_TF         0x00000100u
#define FL_IF         0x00000200u
#define FL_DF         0x00000400u
#define FL_OF         0x00000800u
#define FL_IOPL       0x00003000u
#define FL_IOPL_SHIFT 12
#define FL_NT         0x00004000u
#define FL_RF         0x00010000u
#define FL_VM         0x00020000u
#define FL_AC         0x00040000u
#define FL_VIF        0x00080000u
#define FL_VIP        0x00100000u
#define FL_ID         0x00200000u
#define FL_ARITH      (FL_OF | FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF)

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME        0x00000001u
#define CR4_PVI        0x00000002u
#define CR4_TSD        0x00000004u
#define CR4_DE         0x00000008u
#define CR4_PSE        0x00000010u
#define CR4_PAE        0x00000020u
#define CR4_MCE        0x00000040u
#define CR4_PGE        0x00000080u
#define CR4_PCE        0x00000100u
#define CR4_OSFXSR     0x00000200u
#define CR4_OSXMMEXCPT 0x00000400u
#define CR4_UMIP       0x00000800u
#define CR4_FSGSBASE   0x00010000u
#define CR4_PCIDE      0x00020000u
#define CR4_OSXSAVE    0x00040000u
#define CR4_SMEP       0x00100000u
#define CR4_SMAP       0x00200000u

#define EFER_SCE 0x0001u
#define EFER_LME 0x0100u
#define EFER_LMA 0x0400u
#define EFER_NXE 0x0800u

/* Exception vectors */
/* clang-format off */
enum {
    EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5,
    EXC_UD = 6, EXC_NM = 7, EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12,
    EXC_GP = 13, EXC_PF = 14, EXC_MF = 16, EXC_AC = 17, EXC_MC = 18,
    EXC_XM = 19,
};
/* clang-format on */

/*
 * Segment attributes: bits 8..23 of a descriptor's second dword, moved to
 * bit 0 with the limit's four bits cut out.
 */
#define SEG_TYPE          0x000fu
#define SEG_TYPE_ACCESSED 0x1u
#define SEG_TYPE_WRITE    0x2u /* data: writable; code: readable */
#define SEG_TYPE_EXPAND   0x4u /* data: expand down; code: conforming */
#define SEG_TYPE_CODE     0x8u
#define SEG_S             0x0010u /* code or data, not system */
#define SEG_DPL           0x0060u
#define SEG_DPL_SHIFT     5
#define SEG_P             0x0080u
#define SEG_AVL           0x0100u
#define SEG_L             0x0200u
#define SEG_DB            0x0400u
#define SEG_G             0x0800u
#define SEG_UNUSABLE      0x8000u /* loaded with a null selector */

struct x86_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint16_t selector;
    uint16_t attr; /* SEG_* */
};

struct x86_table { /* GDTR, IDTR */
    uint64_t base;
    uint16_t limit;
};

/* x87 registers by physical number; ST(i) is st[(TOP + i) & 7]. */
struct x86_x87 {
    uint8_t st[8][16]; /* 80-bit value in the first 10 bytes */
    uint16_t cw;
    uint16_t sw;     /* TOP in bits 11..13 */
    uint8_t tag;     /* bit n: physical register n not empty */
    uint16_t opcode; /* FOP, 11 bits */
    uint16_t ip_sel, dp_sel;
    uint64_t ip, dp;
};

#define X86_MTRR_VARIABLE 8
#define X86_MTRR_FIXED    11

enum x86_activity { /* what the processor does between wakes */
                    X86_RUNNING,
                    X86_HALTED,
                    X86_WAIT_SIPI,
                    X86_SHUTDOWN,
};

struct x86_state {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags; /* all flags, always up to date */

    struct x86_segment seg[SEG_COUNT];
    struct x86_segment ldt, tr;
    struct x86_table gdt, idt;

    uint64_t cr0, cr2, cr3, cr4, cr8;
    uint64_t efer, xcr0;
    uint64_t pdptr[4]; /* PAE page-directory pointers, as loaded */
    uint64_t dr[8];

    struct x86_x87 x87;
    uint8_t ymm[16][32]; /* XMM in the low 16 bytes */
    uint32_t mxcsr;

    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, mtrr_def_type;
    uint64_t mtrr_fixed[X86_MTRR_FIXED];
    uint64_t mtrr_base[X86_MTRR_VARIABLE], mtrr_mask[X86_MTRR_VARIABLE];
    uint64_t apic_base;
    uint64_t tsc_adjust, tsc_aux, tsc_deadline;
    uint64_t tsc_offset; /* guest TSC = virtual-clock TSC + this */
    uint64_t misc_enable, feature_control, xss, debugctl;
    uint64_t smbase;

    uint8_t activity;     /* enum x86_activity */
    uint8_t sti_shadow;   /* interrupts held for one instruction */
    uint8_t movss_shadow; /* and debug traps too */
    uint8_t nmi_blocked;  /* until IRET */
    uint8_t nmi_pending;
    uint8_t in_smm;
    uint8_t smi_pending;

    /* An exception or soft interrupt whose delivery was cut short. */
    uint8_t event_pending; /* 1: event_* are valid */
    uint8_t event_vector;
    uint8_t event_has_error;
    uint32_t event_error;
};

#endif
