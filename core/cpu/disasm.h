/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions as text, in the Intel syntax of "objdump -M intel". */
#ifndef CPU_DISASM_H
#define CPU_DISASM_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/insn.h"

/* Room for any instruction. */
#define X86_DISASM_MAX 160

/*
 * Writes the text of i, which was decoded in mode_bits (cpu/decode.h) and
 * lies at rip; returns its length as snprintf() does.  [any]
 */
int x86_disasm(char *buf, size_t n, const struct x86_insn *i, uint64_t rip,
               unsigned mode_bits);

#endif
