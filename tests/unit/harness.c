/* SPDX-License-Identifier: Apache-2.0 */
/* The harness tested by itself: what it says about tests that go wrong. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a body that must fail in a child; returns what it printed. */
static const char *failure_of(void (*body)(void))
{
    static char text[1024];
    size_t len = 0;
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    CHECK_EQ(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 1);
    return text;
}

static void unequal_ints(void)
{
    CHECK_EQ(2 + 2, 5);
}

TEST(failed_int_check_prints_both_values)
{
    const char *text = failure_of(unequal_ints);

    CHECK(strstr(text, "2 + 2 == 5"));
    CHECK(strstr(text, "left: 4 (0x4)"));
    CHECK(strstr(text, "right: 5 (0x5)"));
}

static void unequal_memory(void)
{
    test_note("round %d", 7);
    CHECK_MEM_EQ("abcd", "abXd", 4);
}

TEST(failed_memory_check_says_where_and_prints_the_note)
{
    const char *text = failure_of(unequal_memory);

    CHECK(strstr(text, "differ from byte 2"));
    CHECK(strstr(text, "note: round 7"));
}

static void unequal_signs(void)
{
    CHECK_EQ(UINT64_MAX, -1);
}

TEST(all_ones_is_not_minus_one)
{
    failure_of(unequal_signs);
}

static const struct {
    int64_t a, b;
} ordered[] = { { -1, 0 }, { INT64_MIN, INT64_MAX }, { 3, 4 } };

TEST_P(less_compares_by_value, ordered)
{
    CHECK_LT(row->a, row->b);
    CHECK_NE(row->a, row->b);
}

TEST(tmp_dir_is_empty_and_writable)
{
    char path[512];
    FILE *f;

    CHECK(strstr(test_tmp_dir(), "backplane-test"));
    snprintf(path, sizeof path, "%s/file", test_tmp_dir());
    f = fopen(path, "wx");
    CHECK(f);
    fclose(f);
}

TEST(build_path_holds_this_program)
{
    CHECK_EQ(access(test_build_path("tests/unit/harness"), X_OK), 0);
}
