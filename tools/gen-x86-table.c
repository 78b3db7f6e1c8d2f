/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of x86.def: splits rows into columns, parses each column and
 * refuses what it does not know with FILE:LINE.
 */
#include "tools/gen-x86.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/state.h"

#define COLUMNS 9

void row_error(const struct row *r, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%u: ", r->file, r->line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static char *copy(const char *s)
{
    char *c = strdup(s);

    if (!c) {
        perror("gen-x86");
        exit(1);
    }
    return c;
}

static bool is_hex_byte(const char *s)
{
    return isxdigit((unsigned char)s[0]) && isxdigit((unsigned char)s[1]);
}

static uint8_t hex_byte(const char *s)
{
    return (uint8_t)strtoul((char[]){ s[0], s[1], '\0' }, NULL, 16);
}

/* --- ENC ----------------------------------------------------------------- */

struct word {
    const char *text;
    int value;
};

static int find_word(const struct word *words, const char *text)
{
    for (; words->text; words++) {
        if (strcmp(words->text, text) == 0)
            return words->value;
    }
    return -1;
}

static const struct word prefix_words[] = {
    { "nf", X86_PFX_NF }, { "np", X86_PFX_NP }, { "66", X86_PFX_66 },
    { "f3", X86_PFX_F3 }, { "f2", X86_PFX_F2 }, { NULL, 0 },
};

static const struct word map_words[] = {
    { "0f", 1 },
    { "0f38", 2 },
    { "0f3a", 3 },
    { NULL, 0 },
};

static const struct word osz_words[] = {
    { "o16", 16 },
    { "o32", 32 },
    { "o64", 64 },
    { NULL, 0 },
};

/* What stands behind the opcode: /r /rm /3 /3r =f8 +r. */
static bool parse_modrm(struct row *r, const char *s)
{
    if (strcmp(s, "+r") == 0) {
        r->plus_r = true;
        return true;
    }
    r->has_modrm = true;
    if (s[0] == '=' && is_hex_byte(s + 1) && s[3] == '\0') {
        r->exact = hex_byte(s + 1);
        return true;
    }
    if (s[0] != '/')
        return false;
    if (s[1] >= '0' && s[1] <= '7')
        r->ext = (int8_t)(s[1] - '0');
    else if (s[1] != 'r')
        return false;
    if (s[2] == '\0')
        return true;
    r->form = s[2];
    return (s[2] == 'r' || s[2] == 'm') && s[3] == '\0';
}

enum enc_state {
    ENC_START,
    ENC_VEX_L,
    ENC_VEX_PREFIX,
    ENC_VEX_MAP,
    ENC_MAP,
    ENC_OPCODE,
    ENC_TAIL
};

/* Takes one token; returns what is expected next, or -1. */
static int parse_enc_token(struct row *r, enum enc_state state, const char *t)
{
    int v;

    switch (state) {
    case ENC_START:
        if (strcmp(t, "vex") == 0) {
            r->vex = true;
            return ENC_VEX_L;
        }
        v = find_word(prefix_words, t);
        if (v >= 0) {
            r->prefix = (uint8_t)v;
            return ENC_MAP;
        }
        /* fall through */
    case ENC_MAP:
    case ENC_VEX_MAP:
        v = find_word(map_words, t);
        if (v >= 0) {
            r->map = (uint8_t)v;
            return ENC_OPCODE;
        }
        if (state == ENC_VEX_MAP)
            return -1;
        /* fall through */
    case ENC_OPCODE:
        if (!is_hex_byte(t) || t[2] != '\0')
            return -1;
        r->opcode = hex_byte(t);
        return ENC_TAIL;
    case ENC_VEX_L:
        r->l = strcmp(t, "l0") == 0 ? 0 : strcmp(t, "l1") == 0 ? 1 : -1;
        return r->l >= 0 || strcmp(t, "lig") == 0 ? ENC_VEX_PREFIX : -1;
    case ENC_VEX_PREFIX:
        v = find_word(prefix_words, t);
        r->prefix = (uint8_t)v;
        return v >= X86_PFX_NP ? ENC_VEX_MAP : -1;
    case ENC_TAIL:
        v = find_word(osz_words, t);
        if (v >= 0)
            r->osz = (uint8_t)v;
        else if (strcmp(t, "w0") == 0)
            r->w = 0;
        else if (strcmp(t, "w1") == 0)
            r->w = 1;
        else if (strcmp(t, "wig") != 0)
            return -1;
        return ENC_TAIL;
    }
    return -1;
}

static bool parse_enc(struct row *r)
{
    char *text = copy(r->enc), *save;
    int state = ENC_START;

    for (char *t = strtok_r(text, ".", &save); t;
         t = strtok_r(NULL, ".", &save)) {
        char *suffix = strpbrk(t, "/=+");

        if (suffix && !parse_modrm(r, suffix)) {
            row_error(r,
                      "'%s': ModRM suffix '%s' is none of /r /0../7 (with "
                      "m or r behind), =XX, +r",
                      r->enc, suffix);
            return false;
        }
        if (suffix)
            *suffix = '\0';
        state = parse_enc_token(r, state, t);
        if (state < 0) {
            row_error(r, "'%s': '%s' is unknown or at the wrong place", r->enc,
                      t);
            return false;
        }
    }
    free(text);
    if (state != ENC_TAIL)
        row_error(r, "'%s': incomplete", r->enc);
    else if (r->plus_r && (r->opcode & 7))
        row_error(r, "'%s': +r needs an opcode with low bits 000", r->enc);
    else
        return true;
    return false;
}

/* --- OPERANDS ------------------------------------------------------------ */

static const struct {
    const char *text;
    uint8_t size;
} sizes[] = {
    { "b", X86_SZ_B },      { "w", X86_SZ_W },   { "d", X86_SZ_D },
    { "q", X86_SZ_Q },      { "t", X86_SZ_T },   { "dq", X86_SZ_DQ },
    { "o", X86_SZ_DQ },     { "qq", X86_SZ_QQ }, { "bs", X86_SZ_BS },
    { "v", X86_SZ_V },      { "z", X86_SZ_Z },   { "y", X86_SZ_Y },
    { "x", X86_SZ_X },      { "ps", X86_SZ_X },  { "pd", X86_SZ_X },
    { "ss", X86_SZ_D },     { "sd", X86_SZ_Q },  { "p", X86_SZ_P },
    { "a", X86_SZ_A },      { "s", X86_SZ_S },   { "env", X86_SZ_ENV },
    { "sav", X86_SZ_SAVE }, { "fx", X86_SZ_FX }, { "xs", X86_SZ_NONE },
    { "", X86_SZ_NONE },
};

/* Each kind with the size letters that make sense behind it. */
static const struct {
    const char *text;
    uint8_t kind;
    const char *sizes;
} kinds[] = {
    { "MX", X86_OP_VSIB_X, " d q " },
    { "MY", X86_OP_VSIB_Y, " d q " },
    { "E", X86_OP_E, " b w d q v y z " },
    { "G", X86_OP_G, " b w d q v y z " },
    { "R", X86_OP_R, " b w d q v y z " },
    { "B", X86_OP_B, " d q y " },
    { "Z", X86_OP_Z, " b w d q v y " },
    { "M", X86_OP_M,
      "  b w d q t dq o qq v z y x ps pd ss sd p a s env sav"
      " fx xs " },
    { "I", X86_OP_I, " b bs w z v " },
    { "J", X86_OP_J, " b z " },
    { "A", X86_OP_A, " p " },
    { "O", X86_OP_O, " b v " },
    { "X", X86_OP_X, " b w d q v z " },
    { "Y", X86_OP_Y, " b w d q v z dq " },
    { "S", X86_OP_S, " w " },
    { "C", X86_OP_C, " d q " },
    { "D", X86_OP_D, " d q " },
    { "V", X86_OP_V, " b w d q dq o qq x ps pd ss sd " },
    { "W", X86_OP_W, " b w d q dq o qq x ps pd ss sd " },
    { "H", X86_OP_H, " b w d q dq o qq x ps pd ss sd " },
    { "U", X86_OP_U, " b w d q dq o qq x ps pd ss sd " },
    { "L", X86_OP_L, " b w d q dq o qq x ps pd ss sd " },
    { "P", X86_OP_P, " d q " },
    { "Q", X86_OP_Q, " d q " },
    { "N", X86_OP_N, " d q " },
};

static const struct {
    const char *text;
    struct x86_operand op;
} implied[] = {
    { "AL", { X86_OP_GPR, X86_SZ_B, RAX, 0 } },
    { "CL", { X86_OP_GPR, X86_SZ_B, RCX, 0 } },
    { "AX", { X86_OP_GPR, X86_SZ_W, RAX, 0 } },
    { "DX", { X86_OP_GPR, X86_SZ_W, RDX, 0 } },
    { "EAX", { X86_OP_GPR, X86_SZ_D, RAX, 0 } },
    { "eAX", { X86_OP_GPR, X86_SZ_Z, RAX, 0 } },
    { "rAX", { X86_OP_GPR, X86_SZ_V, RAX, 0 } },
    { "ES", { X86_OP_SEG, X86_SZ_W, SEG_ES, 0 } },
    { "CS", { X86_OP_SEG, X86_SZ_W, SEG_CS, 0 } },
    { "SS", { X86_OP_SEG, X86_SZ_W, SEG_SS, 0 } },
    { "DS", { X86_OP_SEG, X86_SZ_W, SEG_DS, 0 } },
    { "FS", { X86_OP_SEG, X86_SZ_W, SEG_FS, 0 } },
    { "GS", { X86_OP_SEG, X86_SZ_W, SEG_GS, 0 } },
    { "ST0", { X86_OP_ST0, X86_SZ_T, 0, 0 } },
    { "STi", { X86_OP_STI, X86_SZ_T, 0, 0 } },
    { "I1", { X86_OP_ONE, X86_SZ_B, 1, 0 } },
    { "I3", { X86_OP_ONE, X86_SZ_B, 3, 0 } },
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool parse_code(struct x86_operand *op, const char *s)
{
    char padded[16];

    for (unsigned i = 0; i < COUNT(implied); i++) {
        if (strcmp(implied[i].text, s) == 0) {
            *op = implied[i].op;
            op->mem_size = op->size;
            return true;
        }
    }
    for (unsigned i = 0; i < COUNT(kinds); i++) {
        size_t len = strlen(kinds[i].text);

        if (strncmp(kinds[i].text, s, len) != 0)
            continue;
        snprintf(padded, sizeof padded, " %s ", s + len);
        if (!strstr(kinds[i].sizes, padded))
            continue;
        op->kind = kinds[i].kind;
        for (unsigned k = 0; k < COUNT(sizes); k++) {
            if (strcmp(sizes[k].text, s + len) == 0)
                op->size = op->mem_size = sizes[k].size;
        }
        return true;
    }
    return false;
}

/*
 * `A/B`: one operand that is A in the register form and B in the memory
 * form.  It becomes the kind that stands for both, with both sizes.
 */
static bool parse_pair(struct x86_operand *op, char *a, char *b)
{
    struct x86_operand mem = { 0 };

    if (!parse_code(op, a) || !parse_code(&mem, b) || mem.kind != X86_OP_M)
        return false;
    switch (op->kind) {
    case X86_OP_R: op->kind = X86_OP_E; break;
    case X86_OP_U: op->kind = X86_OP_W; break;
    case X86_OP_N: op->kind = X86_OP_Q; break;
    default: return false;
    }
    op->mem_size = mem.size;
    return true;
}

static bool parse_operands(struct row *r)
{
    char *text, *save;

    if (strcmp(r->operands, "-") == 0)
        return true;
    text = copy(r->operands);
    for (char *t = strtok_r(text, ",", &save); t;
         t = strtok_r(NULL, ",", &save)) {
        struct x86_operand *op = &r->op[r->op_count];
        char *slash = strchr(t, '/');
        bool ok;

        if (r->op_count == X86_MAX_OPERANDS) {
            row_error(r, "more than %d operands", X86_MAX_OPERANDS);
            return false;
        }
        if (slash)
            *slash = '\0';
        ok = slash ? parse_pair(op, t, slash + 1) : parse_code(op, t);
        if (!ok) {
            row_error(r, "unknown operand code '%s%s%s'", t, slash ? "/" : "",
                      slash ? slash + 1 : "");
            return false;
        }
        r->op_count++;
    }
    free(text);
    return true;
}

/* --- the other columns --------------------------------------------------- */

static const struct word valid_words[] = {
    { "all", X86_VALID_ALL },
    { "no64", X86_VALID_NO64 },
    { "only64", X86_VALID_ONLY64 },
    { "prot", X86_VALID_PROT },
    { NULL, 0 },
};

static const struct word jit_words[] = {
    { "-", X86_JIT_NONE },          { "copy", X86_JIT_COPY },
    { "copym", X86_JIT_COPYM },     { "branch", X86_JIT_BRANCH },
    { "string", X86_JIT_STRING },   { "call", X86_JIT_CALL },
    { "special", X86_JIT_SPECIAL }, { NULL, 0 },
};

static const struct word attr_words[] = {
    { "lock", X86_A_LOCK },
    { "rep", X86_A_REP },
    { "repz", X86_A_REPZ },
    { "df64", X86_A_DF64 },
    { "f64", X86_A_F64 },
    { "byte", X86_A_BYTE },
    { "end", X86_A_END },
    { "cpl0", X86_A_CPL0 },
    { "io", X86_A_IO },
    { "align", X86_A_ALIGN },
    { "cond", X86_A_COND },
    { "user", X86_A_USER },
    { NULL, 0 },
};

static uint32_t flag_of(char letter)
{
    switch (letter) {
    case 'o': return FL_OF;
    case 's': return FL_SF;
    case 'z': return FL_ZF;
    case 'a': return FL_AF;
    case 'p': return FL_PF;
    case 'c': return FL_CF;
    case 'd': return FL_DF;
    case 'i': return FL_IF;
    case 't': return FL_TF;
    case 'n': return FL_NT;
    default: return 0;
    }
}

/* read:written:undefined; missing parts are empty. */
static bool parse_flags(struct row *r)
{
    uint32_t *masks[] = { &r->fl_read, &r->fl_written, &r->fl_undefined };
    unsigned part = 0;

    if (strcmp(r->flags, "-") == 0)
        return true;
    for (const char *s = r->flags; *s; s++) {
        if (*s == ':' && part < 2) {
            part++;
        } else if (flag_of(*s)) {
            *masks[part] |= flag_of(*s);
        } else {
            row_error(r,
                      "flags '%s' are not read:written:undefined with "
                      "letters of oszapcditn",
                      r->flags);
            return false;
        }
    }
    return true;
}

static bool parse_handler(struct row *r, const char *text)
{
    char *name = copy(text), *save, *t;

    r->handler = strtok_r(name, ".", &save);
    while ((t = strtok_r(NULL, ".", &save))) {
        if (strcmp(t, "v") == 0) {
            r->by_size = true;
        } else if (strcmp(t, "m") == 0) {
            r->by_form = true;
        } else {
            row_error(r, "handler suffix '.%s' is neither .v nor .m", t);
            return false;
        }
    }
    if (!r->handler || r->handler[0] == '-') {
        row_error(r, "no handler; an undefined opcode has 'ud'");
        return false;
    }
    for (const char *s = r->handler; *s; s++) {
        if (!isalnum((unsigned char)*s) && *s != '_') {
            row_error(r, "handler '%s' is not a C name", text);
            return false;
        }
    }
    return true;
}

static bool parse_attrs(struct row *r)
{
    char *text = copy(r->attrs_text), *save;

    if (strcmp(text, "-") == 0)
        return true;
    for (char *t = strtok_r(text, ",", &save); t;
         t = strtok_r(NULL, ",", &save)) {
        int bit = find_word(attr_words, t);

        if (strncmp(t, "notest:", 7) == 0) {
            r->notest = t + 7;
            r->attrs |= X86_A_NOTEST;
        } else if (bit < 0) {
            row_error(r, "unknown attribute '%s'", t);
            return false;
        } else {
            r->attrs |= (uint32_t)bit;
        }
    }
    return true;
}

/* --- what the columns must be to each other ------------------------------ */

bool row_has_size(const struct row *r, unsigned size)
{
    for (unsigned i = 0; i < r->op_count; i++) {
        if (r->op[i].size == size || r->op[i].mem_size == size)
            return true;
    }
    return false;
}

bool row_has_kind(const struct row *r, unsigned kind)
{
    for (unsigned i = 0; i < r->op_count; i++) {
        if (r->op[i].kind == kind)
            return true;
    }
    return false;
}

static bool is_modrm_kind(unsigned kind)
{
    switch (kind) {
    case X86_OP_E:
    case X86_OP_G:
    case X86_OP_R:
    case X86_OP_M:
    case X86_OP_VSIB_X:
    case X86_OP_VSIB_Y:
    case X86_OP_S:
    case X86_OP_C:
    case X86_OP_D:
    case X86_OP_V:
    case X86_OP_W:
    case X86_OP_U:
    case X86_OP_P:
    case X86_OP_Q:
    case X86_OP_N:
    case X86_OP_STI: return true;
    default: return false;
    }
}

/* Operands that exist in one ModRM form only decide the form. */
static bool infer_form(struct row *r)
{
    char form = 0;
    bool any_mod = row_has_kind(r, X86_OP_C) || row_has_kind(r, X86_OP_D);

    for (unsigned i = 0; i < r->op_count; i++) {
        switch (r->op[i].kind) {
        case X86_OP_M:
        case X86_OP_VSIB_X:
        case X86_OP_VSIB_Y: form = 'm'; break;
        case X86_OP_R: form = any_mod ? 0 : 'r'; break;
        case X86_OP_U:
        case X86_OP_N:
        case X86_OP_STI: form = 'r'; break;
        }
    }
    if (r->exact >= 0)
        return true;
    if (form && r->form && form != r->form) {
        row_error(r, "operands '%s' contradict the ModRM form of '%s'",
                  r->operands, r->enc);
        return false;
    }
    if (form)
        r->form = form;
    return true;
}

static bool check_row(struct row *r)
{
    for (unsigned i = 0; i < r->op_count; i++) {
        if (is_modrm_kind(r->op[i].kind) && !r->has_modrm) {
            row_error(r, "operands '%s' need a ModRM suffix in '%s'",
                      r->operands, r->enc);
            return false;
        }
        if (r->op[i].kind == X86_OP_Z && !r->plus_r) {
            row_error(r, "operand Z needs +r");
            return false;
        }
        if ((r->op[i].kind == X86_OP_H || r->op[i].kind == X86_OP_L ||
             r->op[i].kind == X86_OP_B) &&
            !r->vex) {
            row_error(r, "operands H, L and B need a VEX encoding");
            return false;
        }
    }
    if ((r->attrs & X86_A_DF64) && (r->attrs & X86_A_F64)) {
        row_error(r, "df64 and f64 exclude each other");
        return false;
    }
    return infer_form(r);
}

unsigned row_sizes(const struct row *r)
{
    unsigned sizes64;

    if (r->attrs & X86_A_BYTE)
        return SIZE_8;
    if (r->osz)
        return r->osz == 16 ? SIZE_16 : r->osz == 32 ? SIZE_32 : SIZE_64;
    sizes64 = r->valid == X86_VALID_NO64 ? 0 : SIZE_64;
    if (r->vex || (row_has_size(r, X86_SZ_Y) && !row_has_size(r, X86_SZ_V)))
        return SIZE_32 | sizes64;
    return SIZE_16 | SIZE_32 | sizes64;
}

/* --- features ------------------------------------------------------------ */

static char *feature_names; /* " fpu vme ... " */

/* Collects the names of the X(name, word, bit) list in core/cpu/features.h. */
static bool read_features(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[512];

    if (!f) {
        fprintf(stderr, "gen-x86: %s: %s\n", path, strerror(errno));
        return false;
    }
    feature_names = copy(" ");
    while (fgets(line, sizeof line, f)) {
        for (char *s = line; (s = strstr(s, "X("));) {
            size_t len = strlen(feature_names);
            size_t n = strcspn(s += 2, ",)\n");

            feature_names = realloc(feature_names, len + n + 2);
            if (!feature_names) {
                perror("gen-x86");
                exit(1);
            }
            memcpy(feature_names + len, s, n);
            memcpy(feature_names + len + n, " ", 2);
        }
    }
    fclose(f);
    return true;
}

static bool check_feature(const struct row *r)
{
    char name[64];
    int n;

    if (strcmp(r->feature, "-") == 0)
        return true;
    n = snprintf(name, sizeof name, " %s ", r->feature);
    if ((size_t)n < sizeof name && strstr(feature_names, name))
        return true;
    row_error(r, "unknown feature '%s': not in core/cpu/features.h",
              r->feature);
    return false;
}

/* --- lines --------------------------------------------------------------- */

static bool parse_row(struct row *r, char *const *col)
{
    int valid, jit;

    r->enc = col[0];
    r->mnemonic = col[1];
    r->operands = col[2];
    r->feature = col[4];
    r->flags = col[5];
    r->jit_text = col[7];
    r->attrs_text = col[8];
    r->l = r->w = r->ext = -1;
    r->exact = -1;
    valid = find_word(valid_words, col[3]);
    jit = find_word(jit_words, r->jit_text);
    if (valid < 0) {
        row_error(r, "validity '%s' is none of all no64 only64 prot", col[3]);
        return false;
    }
    if (jit < 0) {
        row_error(r, "unknown JIT class '%s'", r->jit_text);
        return false;
    }
    r->valid = (uint8_t)valid;
    r->jit = (uint8_t)jit;
    return parse_enc(r) && parse_operands(r) && parse_flags(r) &&
           parse_handler(r, col[6]) && parse_attrs(r) && check_feature(r) &&
           check_row(r);
}

static bool read_file(struct table *t, const char *path);

static bool read_included(struct table *t, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path) + 1 : 0;
    char *full;

    if (asprintf(&full, "%.*s%s", dir, path, name) < 0)
        return false;
    return read_file(t, full);
}

static bool read_line(struct table *t, const char *path, unsigned line,
                      char *text)
{
    char *col[COLUMNS + 1], *save, *hash = strchr(text, '#');
    unsigned n = 0;
    struct row *r;

    if (hash)
        *hash = '\0';
    for (char *s = strtok_r(text, " \t\r\n", &save); s && n <= COLUMNS;
         s = strtok_r(NULL, " \t\r\n", &save))
        col[n++] = copy(s);
    if (n == 0)
        return true;
    if (n == 2 && strcmp(col[0], "include") == 0)
        return read_included(t, path, col[1]);
    if (n != COLUMNS) {
        fprintf(stderr, "%s:%u: %u columns instead of %d\n", path, line, n,
                COLUMNS);
        return false;
    }
    t->rows = realloc(t->rows, (t->count + 1) * sizeof *t->rows);
    if (!t->rows) {
        perror("gen-x86");
        return false;
    }
    r = &t->rows[t->count++];
    *r = (struct row){ .file = path, .line = line };
    return parse_row(r, col);
}

/* Goes on after a bad line, so that one run names all of them. */
static bool read_file(struct table *t, const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned line = 0;
    char text[1024];
    bool ok = true;

    if (!f) {
        fprintf(stderr, "gen-x86: %s: %s\n", path, strerror(errno));
        return false;
    }
    path = copy(path);
    while (fgets(text, sizeof text, f)) {
        if (!read_line(t, path, ++line, text))
            ok = false;
    }
    fclose(f);
    return ok;
}

bool table_read(struct table *t, const char *path, const char *features_h)
{
    return read_features(features_h) && read_file(t, path);
}
