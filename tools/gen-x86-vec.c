/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vector stubs: for each row of x86-vec.def that the host's own unit
 * executes, its instruction on fixed registers, followed by RET.
 *
 *   ModRM.reg   register 0 (XMM0, MM0, EAX), or the opcode extension
 *   ModRM.rm    register 1 (XMM1, MM1, ECX)
 *   VEX.vvvv    register 2
 *   imm8[7:4]   register 3
 *
 * so that register 0 is the destination, with two exceptions: shifts by an
 * immediate (/n) change their ModRM.rm (legacy) or VEX.vvvv, which become
 * register 0; and instructions with XMM0 as implicit operand have register 2
 * in ModRM.reg.  A row with an immediate has a stub for each of its 256
 * values, STRIDE bytes apart.
 */
#include "tools/gen-x86.h"

#include <string.h>

#define STRIDE 8 /* VEC_STRIDE of core/cpu/interp/vec.h */

/* Handlers of these families call stubs. */
static const char *const families[] = {
    "sse_", "ssef_", "avx_", "avxf_", "mmx_", "mmxf_",
};

static bool has_stub(const struct row *r)
{
    for (unsigned i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strncmp(r->handler, families[i], strlen(families[i])) == 0)
            return true;
    }
    return false;
}

static unsigned reg_field(const struct row *r)
{
    if (r->ext >= 0)
        return (unsigned)r->ext;
    return strncmp(r->handler, "sse_x0", 6) == 0 ? 2 : 0;
}

static unsigned modrm(const struct row *r)
{
    unsigned rm = r->ext >= 0 && !r->vex ? 0 : 1;

    return 0xc0 | reg_field(r) << 3 | rm;
}

static unsigned prefix_byte(const struct row *r)
{
    switch (r->prefix) {
    case X86_PFX_66: return 0x66;
    case X86_PFX_F3: return 0xf3;
    case X86_PFX_F2: return 0xf2;
    default: return 0;
    }
}

static unsigned put_legacy(const struct row *r, uint8_t *code)
{
    static const uint8_t map[] = { 0, 0, 0x38, 0x3a };
    unsigned n = 0;

    if (prefix_byte(r))
        code[n++] = (uint8_t)prefix_byte(r);
    if (r->w == 1)
        code[n++] = 0x48;
    code[n++] = 0x0f;
    if (map[r->map])
        code[n++] = map[r->map];
    return n;
}

static unsigned put_vex(const struct row *r, uint8_t *code)
{
    unsigned pp = r->prefix == X86_PFX_66   ? 1
                  : r->prefix == X86_PFX_F3 ? 2
                  : r->prefix == X86_PFX_F2 ? 3
                                            : 0;
    unsigned vvvv = !row_has_kind(r, X86_OP_H) ? 0 : r->ext >= 0 ? 0 : 2;

    code[0] = 0xc4;
    code[1] = 0xe0 | r->map;
    code[2] =
        (uint8_t)((r->w == 1) << 7 | (~vvvv & 15) << 3 | (r->l == 1) << 2 | pp);
    return 3;
}

static void put_bytes(FILE *out, const uint8_t *code, unsigned n)
{
    fputs("\t.byte ", out);
    for (unsigned i = 0; i < n; i++)
        fprintf(out, "%s0x%02x", i ? ", " : "", code[i]);
}

static void put_stub(const struct row *r, unsigned number, FILE *out)
{
    uint8_t code[16];
    unsigned n = r->vex ? put_vex(r, code) : put_legacy(r, code);

    code[n++] = r->opcode;
    code[n++] = (uint8_t)modrm(r);
    if (row_has_kind(r, X86_OP_L))
        code[n++] = 3 << 4;
    fprintf(out, "\t.balign %d\ns%u:\t# %s %s %s\n", STRIDE, number, r->enc,
            r->mnemonic, r->operands);
    if (row_has_kind(r, X86_OP_I)) {
        fprintf(out, "\t.set imm, 0\n\t.rept 256\n\t.balign %d\n", STRIDE);
        put_bytes(out, code, n);
        fputs(", imm\n\tret\n\t.set imm, imm + 1\n\t.endr\n", out);
    } else {
        put_bytes(out, code, n);
        fputs("\n\tret\n", out);
    }
}

void gen_vec(const struct row *rows, unsigned n, FILE *out)
{
    fputs("/* Written by gen-x86 from x86.def. */\n"
          "\t.text\n\t.balign 64\n"
          "\t.globl x86_vec_code\n\t.hidden x86_vec_code\n"
          "x86_vec_code:\n",
          out);
    for (unsigned i = 0; i < n; i++) {
        if (has_stub(&rows[i]))
            put_stub(&rows[i], i + 1, out);
    }
    fputs("\t.globl x86_vec_end\n\t.hidden x86_vec_end\nx86_vec_end:\n"
          "\t.section .rodata\n\t.balign 64\n"
          "\t.globl x86_vec_at\n\t.hidden x86_vec_at\n"
          "x86_vec_at:\n\t.long 0\n",
          out);
    for (unsigned i = 0; i < n; i++) {
        if (has_stub(&rows[i]))
            fprintf(out, "\t.long s%u - x86_vec_code\n", i + 1);
        else
            fputs("\t.long 0\n", out);
    }
    fputs("\t.section .note.GNU-stack, \"\", @progbits\n", out);
}
