/* SPDX-License-Identifier: Apache-2.0 */
/* The generator's complaints about bad tables. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Runs gen-x86 on a table of these rows; returns its exit code. */
static int run(const char *rows, char *said, size_t size)
{
    const char *dir = test_tmp_dir();
    char command[2048];
    size_t n;
    FILE *f;

    snprintf(command, sizeof command, "%s/t.def", dir);
    f = fopen(command, "w");
    CHECK(f && fputs(rows, f) >= 0);
    fclose(f);
    snprintf(command, sizeof command, "cd %s && %s t.def %s . 2>&1", dir,
             test_build_path("tools/gen-x86"),
             test_source_path("core/cpu/features.h"));
    f = popen(command, "r");
    CHECK(f);
    n = fread(said, 1, size - 1, f);
    said[n] = '\0';
    return WEXITSTATUS(pclose(f));
}

static const struct {
    const char *rows, *says;
} bad[] = {
    { "00/r add Eb,Gb all - -\n", "t.def:1: 6 columns instead of 9" },
    { "# text\n0f.0f.00/r add Eb,Gb all - - x - -\n",
      "t.def:2: '0f.0f.00/r': '00' is unknown" },
    { "0f add - all - - x - -\n", "incomplete" },
    { "00/9 add Eb,Gb all - - x - -\n", "ModRM suffix '/9'" },
    { "51+r push Zv all - - x - -\n", "+r needs an opcode with low bits 000" },
    { "00/r add Ek,Gb all - - x - -\n", "unknown operand code 'Ek'" },
    { "00 add Eb,Gb all - - x - -\n", "need a ModRM suffix" },
    { "00/r add Hx,Vx all - - x - -\n", "need a VEX encoding" },
    { "00/rr add M,Gb all - - x - -\n", "contradict the ModRM form" },
    { "00/r add Eb,Gb some - - x - -\n", "validity 'some'" },
    { "00/r add Eb,Gb all sse9 - x - -\n", "unknown feature 'sse9'" },
    { "00/r add Eb,Gb all - q:: x - -\n", "flags 'q::'" },
    { "00/r add Eb,Gb all - - - - -\n", "no handler" },
    { "00/r add Eb,Gb all - - x.q - -\n", "handler suffix '.q'" },
    { "00/r add Eb,Gb all - - x fast -\n", "unknown JIT class 'fast'" },
    { "00/r add Eb,Gb all - - x - lok\n", "unknown attribute 'lok'" },
    { "00/r add Eb,Gb all - - x - df64,f64\n", "exclude each other" },
    { "00/r add Eb,Gb all - - x - -\n00/r or Eb,Gb all - - y - -\n",
      "t.def:2: '00/r' conflicts with '00/r' (t.def:1)" },
    { "0f.01/7r a Ev all - - x - -\n0f.01.w0/7r b Ev all - - y - -\n"
      "0f.01.o32/7r c Ev all - - z - -\n",
      "t.def:3: '0f.01.o32/7r' conflicts with '0f.01.w0/7r'" },
    { "00/r add Eb,Gb all - - x - -\n00 or - all - - y - -\n",
      "of the same opcode has not" },
    { "0f.01=38 a - all - - x - -\n", "an exact ModRM is a register form" },
    { "include none.def\n", "none.def" },
};

TEST_P(bad_table_is_refused_with_the_place, bad)
{
    char said[4096];

    CHECK_NE(run(row->rows, said, sizeof said), 0);
    test_note("it says: %s", said);
    CHECK(strstr(said, row->says));
}

TEST(more_demanding_rows_do_not_conflict)
{
    char said[4096];

    CHECK_EQ(run("0f.01/7m a M all - - x - -\n0f.01=f8 b - all - - x - -\n"
                 "0f.01/7r c Ev all - - x - -\n0f.01/r d Ev all - - x - -\n"
                 "f3.0f.01/r e Ev all - - x - -\n"
                 "90+r xchg Zv,rAX all - - x - -\nf3.90 pause - all - - x - -"
                 "\n63/r m Gv,Ed only64 - - x - -\n63/r n Ew,Gw no64 - - x - "
                 "-\n",
                 said, sizeof said),
             0);
    CHECK_STR_EQ(said, "");
}
