/* SPDX-License-Identifier: Apache-2.0 */
/* Decoder and disassembler against objdump: lengths and text. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/decode.h"
#include "cpu/disasm.h"
#include "tests/cpu/decode_bytes.h"

static const struct mode {
    unsigned mode;
    const char *machine;
} modes[] = {
    { X86_MODE_16, "i8086" },
    { X86_MODE_32, "i386" },
    { X86_MODE_64, "i386:x86-64" },
};

/* What is printed of differences: one a row of the table. */
#define SHOWN 200

struct run {
    const struct mode *mode;
    struct x86_features all;
    uint8_t *stream;
    uint32_t *starts;
    unsigned count, size;
    unsigned different;
    uint8_t *shown; /* by row */
};

/* What objdump takes for several instructions. */
static bool is_unknown_to_objdump(const struct x86_insn *i)
{
    static const char *const unknown[] = {
        "fstpnce", "fcom2", "fcomp3", "fxch4", "fcomp5",
        "fxch7",   "fstp8", "fstp9",  "salc",  "fwait", /* joins an x87 store */
    };
    const struct x86_row *row = &x86_rows[i->row];

    for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++) {
        if (strcmp(unknown[k], row->mnemonic) == 0)
            return true;
    }
    /* MPX, not all ModRM of it. */
    if (row->map == 1 && (row->opcode == 0x1a || row->opcode == 0x1b))
        return true;
    /* It knows one ModRM of each fence. */
    return strstr(row->mnemonic, "fence") && (i->modrm & 7) != 0;
}

/* --- the stream ---------------------------------------------------------- */

static void add(struct run *r, const uint8_t *bytes, unsigned len)
{
    memcpy(r->stream + r->size, bytes, len);
    r->starts[r->count++] = r->size;
    r->size += len;
}

static void make_stream(struct run *r)
{
    struct byte_source s = { .seed = 77, .mode = r->mode->mode, .plain = true };
    size_t max = (size_t)x86_row_count * 256;
    uint8_t bytes[CASE_BYTES];
    struct x86_insn insn;

    r->stream = malloc(max * X86_MAX_INSN);
    r->starts = malloc((max + 1) * sizeof *r->starts);
    r->shown = calloc(x86_row_count, 1);
    CHECK(r->stream && r->starts && r->shown);
    for (unsigned row = 1; row < x86_row_count; row++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            int len;

            if (!bytes_row_takes(&s, row, (uint8_t)modrm))
                continue;
            bytes_of_row(&s, row, (uint8_t)modrm, bytes);
            len = x86_decode(&insn, bytes, CASE_BYTES, s.mode, &r->all);
            if (len > 0 && !is_unknown_to_objdump(&insn))
                add(r, bytes, (unsigned)len);
        }
    }
    r->starts[r->count] = r->size;
}

static FILE *objdump(struct run *r)
{
    char path[512], command[700];
    FILE *f;

    snprintf(path, sizeof path, "%s/stream", test_tmp_dir());
    f = fopen(path, "wb");
    CHECK(f && fwrite(r->stream, r->size, 1, f) == 1);
    fclose(f);
    snprintf(command, sizeof command,
             "objdump -D -w -z -b binary -m %s "
             "-M intel --no-show-raw-insn %s",
             r->mode->machine, path);
    f = popen(command, "r");
    CHECK(f);
    return f;
}

/* --- comparing ----------------------------------------------------------- */

/* Blanks at the end and the "# 0x1234" of RIP-relative operands go. */
static void strip(char *s)
{
    char *end = strstr(s, " # ");

    if (!end)
        end = s + strlen(s);
    while (end > s && strchr(" \n\t", end[-1]))
        end--;
    *end = '\0';
}

/*
 * Prefixes that objdump shows because they do nothing: REX bits and operand
 * or address sizes without an effect, overrides of what is not accessed.
 */
static bool is_idle_prefix(const char *s, size_t n)
{
    static const char *const idle[] = {
        "rex", "data16", "data32", "addr32", "addr16", "es", "cs", "ss", "ds",
    };

    if (strncmp(s, "rex.", 4) == 0)
        return true;
    for (size_t k = 0; k < sizeof idle / sizeof *idle; k++) {
        if (strlen(idle[k]) == n && strncmp(s, idle[k], n) == 0)
            return true;
    }
    return false;
}

static void remove_idle_prefixes(char *s)
{
    for (char *word = s; *word;) {
        size_t n = strcspn(word, " ");

        if (word[n] == '\0' || word[n + 1] == ' ')
            return;
        if (is_idle_prefix(word, n))
            memmove(word, word + n + 1, strlen(word + n + 1) + 1);
        else if (strncmp(word, "lock", 4) == 0 || strncmp(word, "rep", 3) == 0)
            word += n + 1;
        else
            return;
    }
}

static void note_difference(struct run *r, const struct x86_insn *i,
                            const char *ours, const char *theirs)
{
    r->different++;
    if (r->shown[i->row] || r->different > 100000)
        return;
    r->shown[i->row] = 1;
    fprintf(stderr, "# %-40s | %-40s |", ours, theirs);
    for (unsigned b = 0; b < i->len; b++)
        fprintf(stderr, " %02x", (r->stream + i->imm)[b]);
    fputc('\n', stderr);
}

/* Two texts, but for the number of blanks in a row. */
static bool same_text(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++) {
        if (*a != ' ')
            continue;
        while (a[1] == ' ')
            a++;
        while (b[1] == ' ')
            b++;
    }
    return *a == *b;
}

/* Where objdump's text is not what the row says. */
static const struct {
    const char *mnemonic;
    const char *why;
} documented[] = {
    { "lddqu", "objdump shows no size" },
    { "vlddqu", "objdump shows no size" },
    { "invpcid", "objdump shows no size" },
    { "pblendvb", "objdump shows the implied xmm0" },
    { "blendvps", "objdump shows the implied xmm0" },
    { "blendvpd", "objdump shows the implied xmm0" },
    { "sha256rnds2", "objdump shows the implied xmm0" },
    { "xlat", "objdump shows the implied operand" },
    { "sgdt", "objdump adds the operand size" },
    { "sidt", "objdump adds the operand size" },
    { "lgdt", "objdump adds the operand size" },
    { "lidt", "objdump adds the operand size" },
    { "sysret", "objdump adds the operand size" },
    { "sysexit", "objdump adds the operand size" },
    { "pcmpestri", "objdump shows REX.W, which does nothing" },
    { "pcmpestrm", "objdump shows REX.W, which does nothing" },
    { "vpcmpestri", "objdump shows REX.W, which does nothing" },
    { "vpcmpestrm", "objdump shows REX.W, which does nothing" },
    { "pclmulqdq", "objdump takes bit 1 of the immediate for bit 4" },
    { "vpclmulqdq", "objdump takes bit 1 of the immediate for bit 4" },
    { "fneni", "objdump adds (8087 only)" },
    { "fndisi", "objdump adds (8087 only)" },
    { "fnsetpm", "objdump adds (287 only)" },
};

static bool is_documented(const struct x86_row *row, const struct x86_insn *i)
{
    for (size_t k = 0; k < sizeof documented / sizeof *documented; k++) {
        if (strcmp(documented[k].mnemonic, row->mnemonic) == 0)
            return true;
    }
    /* Hints that objdump knows under later names. */
    if (row->map == 1 && row->opcode >= 0x18 && row->opcode <= 0x1d)
        return true;
    /* AMD's processors have no far pointers with 64 bits of offset. */
    if (row->op[0].size == X86_SZ_P || row->op[1].size == X86_SZ_P)
        return i->osz == 8;
    /* objdump lets 66 win over REX.W for the x87 environment. */
    if (row->op[0].size == X86_SZ_ENV || row->op[0].size == X86_SZ_SAVE)
        return i->osz == 8;
    return false;
}

/* Where it differs in an operand only. */
static bool is_documented_operand(const struct x86_row *row,
                                  const struct x86_insn *i)
{
    /* objdump does not truncate the target to 16 bits. */
    if (row->op[0].kind == X86_OP_J && i->osz == 2)
        return true;
    /* The source is 16 bits wide, objdump shows the whole register. */
    if (row->op[0].kind == X86_OP_S && !(i->flags & X86_I_MEM))
        return true;
    /* [EIZ * n + disp] has its displacement signed in one way or the other. */
    return (i->flags & X86_I_MEM) && i->base == X86_NOREG && i->disp < 0 &&
           i->asz == 4 && i->index == X86_NOREG;
}

static bool same_mnemonic(const char *a, const char *b)
{
    size_t n = strcspn(a, " ");

    return n == strcspn(b, " ") && strncmp(a, b, n) == 0;
}

static void compare_line(struct run *r, unsigned n, char *theirs)
{
    unsigned start = r->starts[n];
    char ours[X86_DISASM_MAX];
    struct x86_insn i;

    x86_decode(&i, r->stream + start, r->size - start, r->mode->mode, &r->all);
    x86_disasm(ours, sizeof ours, &i, start, r->mode->mode);
    strip(theirs);
    remove_idle_prefixes(theirs);
    if (same_text(ours, theirs) || is_documented(&x86_rows[i.row], &i))
        return;
    if (is_documented_operand(&x86_rows[i.row], &i) &&
        same_mnemonic(ours, theirs))
        return;
    i.imm = start;
    note_difference(r, &i, ours, theirs);
}

TEST_P(text_and_length_agree_with_objdump, modes)
{
    struct run r = { .mode = row };
    unsigned next = 0;
    char line[512];
    FILE *f;

    memset(&r.all, 0xff, sizeof r.all);
    make_stream(&r);
    f = objdump(&r);
    while (fgets(line, sizeof line, f)) {
        char *end;
        unsigned at = (unsigned)strtoul(line, &end, 16);

        if (line[0] != ' ' || strncmp(end, ":\t", 2) != 0)
            continue;
        if (next < r.count && at > r.starts[next]) {
            fprintf(stderr, "# %x: objdump has no instruction here\n",
                    r.starts[next]);
            r.different++;
            while (next < r.count && at > r.starts[next])
                next++;
        }
        if (next < r.count && at == r.starts[next])
            compare_line(&r, next++, end + 2);
    }
    pclose(f);
    free(r.stream);
    free(r.starts);
    free(r.shown);
    fprintf(stderr, "# %s: %u instructions, %u different\n", row->machine,
            r.count, r.different);
    CHECK_EQ(r.different, 0);
}
