/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction decoder: bytes and mode to struct x86_insn.  It touches no
 * processor state and allocates nothing.  [any]
 */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include "cpu/features.h"
#include "cpu/insn.h"
#include "cpu/table.h"

#define X86_MAX_INSN 15

/* What decoding depends on, apart from the bytes. */
#define X86_MODE_16   0x0 /* size of the code segment */
#define X86_MODE_32   0x1
#define X86_MODE_64   0x2
#define X86_MODE_SIZE 0x3
#define X86_MODE_REAL 0x4 /* real or virtual-8086 mode */

/*
 * Decodes the instruction at bytes, of which avail can be read.  Returns its
 * length; 0 when it goes on behind bytes[avail]; -1 when it is undefined or
 * too long: out is then an instruction whose handler raises the exception
 * (h_ud, h_gp0), out->len the number of bytes looked at.
 */
int x86_decode(struct x86_insn *out, const uint8_t *bytes, unsigned avail,
               unsigned mode_bits, const struct x86_features *feat);

/* Size in bytes of an operand of i's row as it is in i; 0: it has none. */
unsigned x86_operand_bytes(const struct x86_operand *op,
                           const struct x86_insn *i);

#endif
