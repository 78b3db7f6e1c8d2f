/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-x86: reads core/cpu/x86.def (format: see there) and writes the decode
 * tables, the run-time rows, the handler declarations and the vector stubs.
 */
#ifndef GEN_X86_H
#define GEN_X86_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cpu/table.h"

/* One row of the table. The texts live as long as the program. */
struct row {
    const char *file;
    unsigned line;
    const char *enc; /* columns as written; "-" stays "-" */
    const char *mnemonic;
    const char *operands;
    const char *feature;
    const char *flags;
    const char *jit_text;
    const char *attrs_text;
    const char *notest; /* the REASON of notest:REASON, or NULL */

    /* ENC */
    uint8_t map; /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A */
    uint8_t opcode;
    uint8_t prefix; /* enum x86_prefix */
    bool vex;
    int8_t l;    /* VEX.L: 0, 1; -1 any */
    int8_t w;    /* VEX.W or REX.W: 0, 1; -1 any */
    uint8_t osz; /* 16, 32, 64; 0 any */
    bool has_modrm;
    bool plus_r;
    int8_t ext;    /* /0../7; -1 any */
    char form;     /* 'r' register, 'm' memory, 0 both */
    int16_t exact; /* =XX; -1 */

    struct x86_operand op[X86_MAX_OPERANDS];
    unsigned op_count;

    uint8_t valid; /* enum x86_valid */
    uint8_t jit;   /* enum x86_jit_class */
    uint32_t fl_read, fl_written, fl_undefined;
    uint32_t attrs; /* X86_A_* */

    /* HANDLER */
    const char *handler; /* without h_ and the suffixes */
    bool by_size;        /* .v */
    bool by_form;        /* .m */
};

struct table {
    struct row *rows;
    unsigned count;
};

/* gen-x86-table.c: reads, checks; false when an error was printed. */
bool table_read(struct table *t, const char *path, const char *features_h);

/* gen-x86-decode.c: decode tables; false when rows are ambiguous. */
bool gen_decode(const struct row *rows, unsigned n, FILE *out);

/* gen-x86-rows.c */
void gen_rows(const struct row *rows, unsigned n, FILE *out);
void gen_handlers_h(const struct row *rows, unsigned n, FILE *out);
void gen_handlers_c(const struct row *rows, unsigned n, FILE *out);
unsigned handler_slots(const struct row *r);

/*
 * gen-x86-vec.c: an assembly source with the host instructions of the vector
 * rows.  Row numbers in the run-time table are one higher than in rows[].
 */
void gen_vec(const struct row *rows, unsigned n, FILE *out);

/* Which of the sizes 8, 16, 32, 64 a .v handler of this row is called for. */
#define SIZE_8  1u
#define SIZE_16 2u
#define SIZE_32 4u
#define SIZE_64 8u
unsigned row_sizes(const struct row *r);

/* An operand whose size letter is among these (enum x86_operand_size)? */
bool row_has_size(const struct row *r, unsigned size);
bool row_has_kind(const struct row *r, unsigned kind);

/* Prints FILE:LINE: message. */
void row_error(const struct row *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
