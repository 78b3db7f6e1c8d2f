/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/disasm.h"
#include "cpu/gen/handlers.h"
#include "cpu/state.h"

#define M16 X86_MODE_16
#define M32 X86_MODE_32
#define M64 X86_MODE_64

static struct x86_features all;

static void all_features(void)
{
    memset(&all, 0xff, sizeof all);
}

/* Bytes from text like "48 89 c3"; returns how many. */
static unsigned parse(const char *hex, uint8_t *bytes)
{
    unsigned n = 0, b;
    int used;

    while (sscanf(hex, "%x%n", &b, &used) == 1) {
        bytes[n++] = (uint8_t)b;
        hex += used;
    }
    return n;
}

static int decode(struct x86_insn *i, const char *hex, unsigned mode)
{
    uint8_t bytes[64];
    unsigned n = parse(hex, bytes);

    all_features();
    test_note("%s in mode %u", hex, mode);
    return x86_decode(i, bytes, n, mode, &all);
}

/* --- text ---------------------------------------------------------------- */

static const struct {
    unsigned mode;
    const char *hex, *text;
} texts[] = {
    { M64, "48 01 d8", "add    rax,rbx" },
    { M64, "66 01 d8", "add    ax,bx" },
    { M64, "66 48 01 d8", "add    rax,rbx" },
    { M16, "01 d8", "add    ax,bx" },
    { M16, "66 01 d8", "add    eax,ebx" },
    { M32, "66 67 01 07", "add    WORD PTR [bx],ax" },
    { M64, "00 e0", "add    al,ah" },
    { M64, "40 00 e0", "add    al,spl" },
    { M64, "45 8a 3c 24", "mov    r15b,BYTE PTR [r12]" },
    { M64, "8b 05 10 00 00 00", "mov    eax,DWORD PTR [rip+0x10]" },
    { M32, "8b 05 10 00 00 00", "mov    eax,DWORD PTR ds:0x10" },
    { M64, "8b 04 25 10 00 00 00", "mov    eax,DWORD PTR ds:0x10" },
    { M64, "41 8b 45 00", "mov    eax,DWORD PTR [r13+0x0]" },
    { M64, "8b 44 8d f0", "mov    eax,DWORD PTR [rbp+rcx*4-0x10]" },
    { M64, "42 8b 04 a5 00 00 00 00", "mov    eax,DWORD PTR [r12*4+0x0]" },
    { M16, "8b 06 34 12", "mov    ax,WORD PTR ds:0x1234" },
    { M16, "8b 42 ff", "mov    ax,WORD PTR [bp+si-0x1]" },
    { M16, "26 8b 02", "mov    ax,WORD PTR es:[bp+si]" },
    { M64, "2e 64 3e 8b 00", "mov    eax,DWORD PTR fs:[rax]" },
    { M64, "48 b8 88 77 66 55 44 33 22 11", "movabs rax,0x1122334455667788" },
    { M64, "48 c7 c0 ff ff ff ff", "mov    rax,0xffffffffffffffff" },
    { M64, "83 c0 80", "add    eax,0xffffff80" },
    { M64, "a1 88 77 66 55 44 33 22 11", "movabs eax,ds:0x1122334455667788" },
    { M64, "67 a1 44 33 22 11", "mov    eax,ds:0x11223344" },
    { M32, "a1 44 33 22 11", "mov    eax,ds:0x11223344" },
    { M64, "90", "nop" },
    { M64, "41 90", "xchg   r8d,eax" },
    { M64, "f3 90", "pause" },
    { M64, "f3 41 90", "xchg   r8d,eax" },
    { M32, "40", "inc    eax" },
    { M64, "63 c8", "movsxd ecx,eax" },
    { M64, "f3 0f bc c8", "tzcnt  ecx,eax" },
    { M64, "0f bc c8", "bsf    ecx,eax" },
    { M64, "f3 a4", "rep movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]" },
    { M64, "f2 ae", "repnz scas al,BYTE PTR es:[rdi]" },
    { M64, "f0 01 08", "lock add DWORD PTR [rax],ecx" },
    { M32, "c8 34 12 05", "enter  0x1234,0x5" },
    { M64, "c5 fc 58 c1", "vaddps ymm0,ymm0,ymm1" },
    { M64, "c4 41 35 58 c1", "vaddpd ymm8,ymm9,ymm9" },
    { M64, "66 0f 58 c1", "addpd  xmm0,xmm1" },
    { M64, "f3 66 0f 58 c1", "addss  xmm0,xmm1" },
    { M64, "f3 f2 0f 58 c1", "addsd  xmm0,xmm1" },
    { M64, "0f fc c8", "paddb  mm1,mm0" },
    { M64, "66 0f fc c8", "paddb  xmm1,xmm0" },
};

TEST_P(text_of_instruction, texts)
{
    char text[X86_DISASM_MAX];
    struct x86_insn i;
    uint8_t bytes[64];

    CHECK_EQ(decode(&i, row->hex, row->mode), (int)parse(row->hex, bytes));
    CHECK_EQ(i.len, parse(row->hex, bytes));
    CHECK_LT(x86_disasm(text, sizeof text, &i, 0x1000, row->mode),
             X86_DISASM_MAX);
    CHECK_STR_EQ(text, row->text);
}

TEST(text_is_cut_to_the_buffer)
{
    struct x86_insn i;
    char text[8];

    decode(&i, "8b 44 8d f0", M64);
    CHECK_EQ(x86_disasm(text, sizeof text, &i, 0, M64),
             (int)strlen("mov    eax,DWORD PTR [rbp+rcx*4-0x10]"));
    CHECK_STR_EQ(text, "mov    ");
}

/* --- branches ------------------------------------------------------------ */

static const struct {
    unsigned mode;
    const char *hex;
    unsigned osz;
    int64_t disp;
} branches[] = {
    { M64, "e9 f0 ff ff ff", 8, -16 },       { M64, "66 e9 f0 ff", 2, -16 },
    { M64, "66 48 e9 f0 ff ff ff", 8, -16 }, { M32, "e9 f0 ff ff ff", 4, -16 },
    { M32, "66 e9 f0 ff", 2, -16 },          { M16, "e9 f0 ff", 2, -16 },
    { M16, "66 0f 84 10 00 00 00", 4, 16 },  { M64, "74 fe", 8, -2 },
};

TEST_P(branch_has_size_and_displacement, branches)
{
    struct x86_insn i;
    uint8_t bytes[64];

    CHECK_EQ(decode(&i, row->hex, row->mode), (int)parse(row->hex, bytes));
    CHECK_EQ(i.osz, row->osz);
    CHECK_EQ((int64_t)i.imm, row->disp);
    CHECK(i.flags & X86_I_END);
}

/* --- what is undefined --------------------------------------------------- */

static const struct {
    unsigned mode;
    const char *hex;
} undefined[] = {
    { M64, "06" }, /* PUSH ES */
    { M64, "82 c0 01" },
    { M64, "f0 90" }, /* LOCK without memory */
    { M64, "f0 01 c8" },
    { M64, "f0 8b 00" }, /* LOCK with a source in memory */
    { M64, "f0 39 00" },
    { M64, "8d c0" }, /* LEA of a register */
    { M64, "0f 04" },
    { M64, "0f 0b" },          /* UD2 */
    { M64, "66 c5 f8 28 c0" }, /* prefixes before VEX */
    { M64, "f2 c5 f8 28 c0" },
    { M64, "f0 c5 f8 28 c0" },
    { M64, "40 c5 f8 28 c0" },
    { M64, "c5 e8 28 c0" }, /* VEX.vvvv of two operands */
    { M32, "c4 e1 38 28 c0" },
    { M64, "c4 e0 78 28 c0" },    /* map 0 */
    { M64, "c4 e2 71 92 04 08" }, /* gather with equal registers */
    { X86_MODE_16 | X86_MODE_REAL, "c5 f8 28 c0" },
    { M64, "f3 0f 28 c0" }, /* mandatory prefix without a row */
    { M64, "f3 0f 38 f0 00" },
};

TEST_P(undefined_instruction_raises_ud, undefined)
{
    struct x86_insn i;
    int len = decode(&i, row->hex, row->mode);

    if (len > 0) /* a row that says so: UD2 */
        CHECK_EQ(strcmp(x86_rows[i.row].handler, "ud"), 0);
    else
        CHECK_EQ(len, -1);
    CHECK(i.fn == h_ud);
    CHECK(i.len > 0);
    CHECK(i.flags & X86_I_END);
}

/* --- ends ---------------------------------------------------------------- */

TEST(fifteen_bytes_are_the_most)
{
    struct x86_insn i;

    CHECK_EQ(decode(&i, "66 66 66 66 66 66 66 66 66 66 66 66 66 01 d8", M64),
             15);
    CHECK_EQ(decode(&i, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 01 d8", M64),
             -1);
    CHECK(i.fn == h_gp0);
    CHECK_EQ(decode(&i, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", M64),
             -1);
    CHECK(i.fn == h_gp0);
    CHECK_EQ(i.len, 15);
    CHECK_EQ(decode(&i, "66 66 66 66 66 66 66 66 66 66 66 66 81 c0 34 12", M32),
             -1);
    CHECK(i.fn == h_gp0);
}

TEST(cut_instruction_asks_for_more)
{
    static const char *const whole[] = {
        "48 81 84 8d 44 33 22 11 88 77 66 55",
        "66 0f 3a 0f c1 07",
        "c4 e3 79 0f c1 05",
        "f0 48 0f c7 0e",
        "c8 34 12 05",
        "48 b8 88 77 66 55 44 33 22 11",
        "67 a1 44 33 22 11",
    };
    struct x86_insn i;
    uint8_t bytes[64];

    all_features();
    for (unsigned k = 0; k < sizeof whole / sizeof *whole; k++) {
        unsigned n = parse(whole[k], bytes);

        for (unsigned avail = 0; avail < n; avail++) {
            test_note("%s, %u bytes of it", whole[k], avail);
            CHECK_EQ(x86_decode(&i, bytes, avail, M64, &all), 0);
        }
        CHECK_EQ(x86_decode(&i, bytes, n, M64, &all), (int)n);
    }
}

/* --- features ------------------------------------------------------------ */

TEST(absent_feature_gives_way_to_the_older_instruction)
{
    static const uint8_t lzcnt[] = { 0xf3, 0x0f, 0xbd, 0xc8 };
    struct x86_insn i;

    all_features();
    x86_set_feature(&all, X86_F_lzcnt, false);
    CHECK_EQ(x86_decode(&i, lzcnt, sizeof lzcnt, M64, &all), 4);
    CHECK_STR_EQ(x86_rows[i.row].mnemonic, "bsr");
    CHECK(i.flags & X86_I_REP);
}

TEST(absent_feature_is_undefined)
{
    static const uint8_t popcnt[] = { 0xf3, 0x0f, 0xb8, 0xc8 };
    struct x86_insn i;

    all_features();
    x86_set_feature(&all, X86_F_popcnt, false);
    CHECK_EQ(x86_decode(&i, popcnt, sizeof popcnt, M64, &all), -1);
    CHECK(i.fn == h_ud);
}

/* --- operands ------------------------------------------------------------ */

TEST(stack_bases_use_the_stack_segment)
{
    struct x86_insn i;

    decode(&i, "8b 45 00", M32);
    CHECK_EQ(i.seg, SEG_SS);
    decode(&i, "8b 04 24", M32);
    CHECK_EQ(i.seg, SEG_SS);
    decode(&i, "8b 04 2b", M32); /* EBP as index */
    CHECK_EQ(i.seg, SEG_DS);
    decode(&i, "3e 8b 45 00", M32);
    CHECK_EQ(i.seg, SEG_DS);
    CHECK(i.flags & X86_I_SEGOVR);
    decode(&i, "8b 46 00", M16); /* BP */
    CHECK_EQ(i.seg, SEG_SS);
    decode(&i, "8b 06 00 00", M16); /* disp16 */
    CHECK_EQ(i.seg, SEG_DS);
}

TEST(rex_counts_only_right_before_the_opcode)
{
    struct x86_insn i;

    CHECK_EQ(decode(&i, "48 66 01 d8", M64), 4);
    CHECK_EQ(i.osz, 2);
    CHECK(!(i.flags & X86_I_REX));
    CHECK_EQ(decode(&i, "48 41 01 d8", M64), 4);
    CHECK_EQ(i.osz, 4);
    CHECK_EQ(i.rm, 8);
}

TEST(operand_sizes_follow_the_row)
{
    struct x86_insn i;

    decode(&i, "66 0f 6e 00", M64); /* MOVD: 66 is no size */
    CHECK_EQ(x86_operand_bytes(&x86_rows[i.row].op[1], &i), 4);
    decode(&i, "66 0f c5 c0 01", M64);
    CHECK_EQ(i.imm, 1);
    decode(&i, "0f c7 0e", M64); /* CMPXCHG8B */
    CHECK_EQ(x86_operand_bytes(&x86_rows[i.row].op[0], &i), 8);
    decode(&i, "c5 fd 6f 00", M64);
    CHECK_EQ(x86_operand_bytes(&x86_rows[i.row].op[1], &i), 32);
}
