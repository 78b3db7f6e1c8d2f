/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the template files (*.c.inc), which are included once for each
 * operand size.  Included by them with WIDTH defined as 8, 16, 32 or 64;
 * meant to be included repeatedly.  The including file undefines WIDTH.
 *
 *   UINT INT      the operand's type
 *   FN(name)      name_WIDTH
 *   HANDLER(h)    the head of handler h_WIDTH; HANDLER_R, _M: by operand form
 *   GET SET       a general register; SET extends or merges as the size says
 *   LOAD          reads memory at an offset in the instruction's segment
 *   LOAD_RMW      likewise; the STORE that follows it cannot fault
 */
#undef UINT
#undef INT
#undef GET
#undef SET

#ifndef FN
#define PASTE2_(a, b) a##b
#define PASTE2(a, b)  PASTE2_(a, b)
#define FN_(a, b)     a##_##b
#define FN2(a, b)     FN_(a, b)

#define FN(name)        FN2(name, WIDTH)
#define HANDLER(name)   X86_HANDLER(FN2(h_##name, WIDTH))
#define HANDLER_R(name) X86_HANDLER(FN2(FN2(h_##name, WIDTH), r))
#define HANDLER_M(name) X86_HANDLER(FN2(FN2(h_##name, WIDTH), m))
#define X86_HANDLER(function) \
    void function(struct vcpu *cpu, const struct x86_insn *i)

#define LOAD(off)     PASTE2(ld, WIDTH)(cpu, i->seg, off)
#define LOAD_RMW(off) PASTE2(PASTE2(ld, WIDTH), w)(cpu, i->seg, off)
#define STORE(off, v) PASTE2(st, WIDTH)(cpu, i->seg, off, v)
#define BYTES         (WIDTH / 8)
#endif

#define UINT PASTE2(PASTE2(uint, WIDTH), _t)
#define INT  PASTE2(PASTE2(int, WIDTH), _t)

#if WIDTH == 8
#define GET(n)    reg_get8(cpu, i, n)
#define SET(n, v) reg_set8(cpu, i, n, v)
#elif WIDTH == 16
#define GET(n) ((uint16_t)cpu->st.gpr[n])
#define SET(n, v) \
    (cpu->st.gpr[n] = (cpu->st.gpr[n] & ~0xffffull) | (uint16_t)(v))
#elif WIDTH == 32
#define GET(n)    ((uint32_t)cpu->st.gpr[n])
#define SET(n, v) (cpu->st.gpr[n] = (uint32_t)(v))
#else
#define GET(n)    (cpu->st.gpr[n])
#define SET(n, v) (cpu->st.gpr[n] = (v))
#endif
