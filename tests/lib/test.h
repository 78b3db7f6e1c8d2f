/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test harness: a test program is a list of TEST()s and nothing else.
 *
 *     TEST(counts_down_from_latch)
 *     {
 *         CHECK_EQ(inb(0x40), 0x12);
 *     }
 *
 *     static const struct { int mode; bool out; } start[] = { ... };
 *     TEST_P(output_after_mode_write, start)
 *     {
 *         CHECK_EQ(output_of(row->mode), row->out);
 *     }
 *
 * Each TEST, and each row of a TEST_P, runs in a process of its own and is
 * one line of the output, "ok NAME" or "not ok NAME"; tests/run counts them.
 * A failed check ends its test. Run a program by hand with -h for options.
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NDEBUG
#error tests are worth nothing without their assertions
#endif

struct test {
    const char *name;
    void (*run)(void);
    void (*run_row)(const void *row);
    const void *rows;
    size_t row_size;
    size_t row_count;
    struct test *next;
};

void test_register(struct test *t);

/* clang-format off */
#define TEST_ADD_(name, ...)                                                 \
    __attribute__((constructor)) static void test_add_##name(void)           \
    {                                                                        \
        static struct test t = { #name, __VA_ARGS__ };                       \
        test_register(&t);                                                   \
    }

#define TEST(name)                                                           \
    static void test_##name(void);                                           \
    TEST_ADD_(name, test_##name, NULL, NULL, 0, 0, NULL)                     \
    static void test_##name(void)

/* The body sees one element of the array `table` as the pointer `row`. */
#define TEST_P(name, table)                                                  \
    static void test_##name(const __typeof__((table)[0]) *row);              \
    static void test_row_##name(const void *row) { test_##name(row); }       \
    TEST_ADD_(name, NULL, test_row_##name, table, sizeof (table)[0],         \
              sizeof(table) / sizeof (table)[0], NULL)                       \
    static void test_##name(const __typeof__((table)[0]) *row)

#define CHECK(cond)                                                          \
    ((cond) ? (void)0 : TEST_FAIL_("check failed: %s", #cond))
#define CHECK_EQ(a, b) CHECK_INT_(a, ==, b)
#define CHECK_NE(a, b) CHECK_INT_(a, !=, b)
#define CHECK_LT(a, b) CHECK_INT_(a, <, b)
#define CHECK_LE(a, b) CHECK_INT_(a, <=, b)
#define CHECK_GT(a, b) CHECK_INT_(a, >, b)
#define CHECK_GE(a, b) CHECK_INT_(a, >=, b)
#define CHECK_STR_EQ(a, b) test_str_eq(__FILE__, __LINE__, #a, #b, a, b)
#define CHECK_PTR_EQ(a, b) test_ptr_eq(__FILE__, __LINE__, #a, #b, a, b)
#define CHECK_MEM_EQ(a, b, size)                                             \
    test_mem_eq(__FILE__, __LINE__, #a, #b, a, b, size)
#define FAIL(...) TEST_FAIL_(__VA_ARGS__)
/* clang-format on */

/* Ends the test as one that this machine cannot run; counted apart. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* What a later failed check prints with it, e.g. where in a loop it was. */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Gives the test this long, from now, before it counts as hung. */
void test_time_limit(unsigned seconds);

/* Paths below the build folder and the sources; valid until the test ends. */
const char *test_build_path(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
const char *test_source_path(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* An empty folder that is removed, with all in it, after the test. */
const char *test_tmp_dir(void);

/* The program's main() (main.c); benchmarks that use the checks have their
 * own. */
int test_main(int argc, char **argv);

/* --- what the macros above call ----------------------------------------- */

#define TEST_FAIL_(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* 128 bits hold every int64_t and uint64_t, so mixed signs compare by value. */
#define CHECK_INT_(a, op, b)                                         \
    do {                                                             \
        __int128 a_ = (a), b_ = (b);                                 \
        if (!(a_ op b_))                                             \
            test_int(__FILE__, __LINE__, #a " " #op " " #b, a_, b_); \
    } while (0)

_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_int(const char *file, int line, const char *expr,
                        __int128 a, __int128 b);
_Noreturn void test_skip(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
void test_str_eq(const char *file, int line, const char *expr_a,
                 const char *expr_b, const char *a, const char *b);
void test_ptr_eq(const char *file, int line, const char *expr_a,
                 const char *expr_b, const void *a, const void *b);
void test_mem_eq(const char *file, int line, const char *expr_a,
                 const char *expr_b, const void *a, const void *b, size_t size);

#endif
