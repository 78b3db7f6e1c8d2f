/* SPDX-License-Identifier: Apache-2.0 */
/* main() of every test program: runs its tests, a process each. */
#include "tests/lib/test.h"

#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SKIPPED = 77 };

static struct test *first;
static struct test **last = &first;

/* Of the running test. */
static char note[512];
static char tmp_dir[256];
static int skip_pipe = -1;

void test_register(struct test *t)
{
    *last = t;
    last = &t->next;
}

/* --- checks -------------------------------------------------------------- */

/* The program may have been told to stay in one process, in a debugger: then
 * the first failed check ends it, as it ends the child otherwise. */
static _Noreturn void end_failed(void)
{
    if (note[0])
        fprintf(stderr, "  note: %s\n", note);
    fflush(NULL);
    _exit(EXIT_FAILED);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    end_failed();
}

static void print_int(const char *side, __int128 v)
{
    if (v < 0)
        fprintf(stderr, "  %s: %lld (0x%llx)\n", side, (long long)v,
                (unsigned long long)v);
    else
        fprintf(stderr, "  %s: %llu (0x%llx)\n", side, (unsigned long long)v,
                (unsigned long long)v);
}

void test_int(const char *file, int line, const char *expr, __int128 a,
              __int128 b)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expr);
    print_int(" left", a);
    print_int("right", b);
    end_failed();
}

void test_str_eq(const char *file, int line, const char *expr_a,
                 const char *expr_b, const char *a, const char *b)
{
    if (a == b || (a && b && strcmp(a, b) == 0))
        return;
    test_fail(file, line, "check failed: %s == %s\n   left: %s\n  right: %s",
              expr_a, expr_b, a ? a : "(null)", b ? b : "(null)");
}

void test_ptr_eq(const char *file, int line, const char *expr_a,
                 const char *expr_b, const void *a, const void *b)
{
    if (a != b)
        test_fail(file, line,
                  "check failed: %s == %s\n   left: %p\n  right: %p", expr_a,
                  expr_b, a, b);
}

static void print_bytes(const char *side, const uint8_t *p, size_t n)
{
    fprintf(stderr, "  %s:", side);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, " %02x", p[i]);
    fputc('\n', stderr);
}

void test_mem_eq(const char *file, int line, const char *expr_a,
                 const char *expr_b, const void *a, const void *b, size_t size)
{
    const uint8_t *pa = a, *pb = b;
    size_t at, n;

    for (at = 0; at < size && pa[at] == pb[at]; at++)
        ;
    if (at == size)
        return;
    fprintf(stderr, "%s:%d: check failed: %s == %s, differ from byte %zu\n",
            file, line, expr_a, expr_b, at);
    n = size - at < 16 ? size - at : 16;
    print_bytes(" left", pa + at, n);
    print_bytes("right", pb + at, n);
    end_failed();
}

void test_skip(const char *fmt, ...)
{
    char why[200];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof why)
        n = sizeof why - 1;
    fflush(NULL);
    if (skip_pipe < 0)
        fprintf(stderr, "skipped: %s\n", why);
    else if (write(skip_pipe, why, (size_t)n) != n)
        perror("test_skip");
    _exit(EXIT_SKIPPED);
}

void test_note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(note, sizeof note, fmt, ap);
    va_end(ap);
}

void test_time_limit(unsigned seconds)
{
    /* Not in a debugger, where people set the pace. */
    if (skip_pipe >= 0)
        alarm(seconds);
}

/* --- places -------------------------------------------------------------- */

/* Kept on a list, for they live as long as the test's process. */
struct path {
    struct path *next;
    char text[4096];
};

__attribute__((format(printf, 2, 0))) static const char *path_below(
    const char *root, const char *fmt, va_list ap)
{
    static struct path *paths;
    struct path *p = malloc(sizeof *p);
    int n;

    if (!p)
        abort();
    p->next = paths;
    paths = p;
    n = snprintf(p->text, sizeof p->text, "%s/", root);
    if (n >= 0 && n < (int)sizeof p->text)
        vsnprintf(p->text + n, sizeof p->text - (size_t)n, fmt, ap);
    return p->text;
}

const char *test_build_path(const char *fmt, ...)
{
    static char exe[4096];
    const char *root = getenv("B");
    const char *path;
    va_list ap;

    /* By hand there is no $B: this program is B/tests/KIND/NAME. */
    if (!root && readlink("/proc/self/exe", exe, sizeof exe - 1) > 0) {
        for (int up = 0; up < 3; up++) {
            char *slash = strrchr(exe, '/');
            if (slash)
                *slash = '\0';
        }
        root = exe;
    }
    va_start(ap, fmt);
    path = path_below(root ? root : ".", fmt, ap);
    va_end(ap);
    return path;
}

const char *test_source_path(const char *fmt, ...)
{
    const char *root = getenv("S");
    const char *path;
    va_list ap;

    va_start(ap, fmt);
    path = path_below(root ? root : ".", fmt, ap);
    va_end(ap);
    return path;
}

static void name_tmp_dir(void)
{
    static unsigned count;
    const char *top = getenv("TMPDIR");

    snprintf(tmp_dir, sizeof tmp_dir, "%s/backplane-test.%d.%u",
             top ? top : "/tmp", (int)getpid(), count++);
}

const char *test_tmp_dir(void)
{
    if (mkdir(tmp_dir, 0700) < 0 && errno != EEXIST)
        FAIL("cannot make '%s': %s", tmp_dir, strerror(errno));
    return tmp_dir;
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    return remove(path);
}

/* --- running ------------------------------------------------------------- */

static void run_body(const struct test *t, size_t row)
{
    if (t->run)
        t->run();
    else
        t->run_row((const char *)t->rows + row * t->row_size);
}

/* Returns the wait status; `why` receives the reason of a SKIP. */
static int run_forked(const struct test *t, size_t row, unsigned seconds,
                      char *why, size_t why_size)
{
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    if (pipe(fds) < 0 || (pid = fork()) < 0) {
        perror("test harness");
        exit(EXIT_USAGE);
    }
    if (pid == 0) {
        close(fds[0]);
        skip_pipe = fds[1];
        /* What it starts ends with it: see the kill() below. */
        setpgid(0, 0);
        test_time_limit(seconds);
        run_body(t, row);
        fflush(NULL);
        exit(0); /* runs the leak check of a sanitizer build */
    }
    close(fds[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    kill(-pid, SIGKILL);
    n = read(fds[0], why, why_size - 1);
    why[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    nftw(tmp_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

static bool run_one(const struct test *t, size_t row, const char *name,
                    bool forked, unsigned seconds)
{
    char why[256];
    int status;

    name_tmp_dir();
    fflush(NULL);
    if (!forked) {
        run_body(t, row);
        nftw(tmp_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        printf("ok %s\n", name);
        return true;
    }
    status = run_forked(t, row, seconds, why, sizeof why);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        printf("ok %s\n", name);
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
        printf("ok %s # SKIP %s\n", name, why);
        return true;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("not ok %s # took too long\n", name);
    else if (WIFSIGNALED(status))
        printf("not ok %s # %s\n", name, strsignal(WTERMSIG(status)));
    else
        printf("not ok %s\n", name);
    return false;
}

static bool wanted(const char *name, char **globs)
{
    if (!*globs)
        return true;
    for (; *globs; globs++)
        if (fnmatch(*globs, name, 0) == 0)
            return true;
    return false;
}

static int usage(const char *program, int code)
{
    fprintf(code ? stderr : stdout,
            "usage: %s [-l] [-n] [-t SECONDS] [GLOB]...\n"
            "Runs the tests whose name matches a GLOB, or all. A row of a\n"
            "table test is named TEST/NUMBER.\n"
            "  -l  list them    -n  in this process, for a debugger\n"
            "  -t  time limit of one test [120]\n",
            program);
    return code;
}

int test_main(int argc, char **argv)
{
    bool list = false, forked = true, passed = true;
    unsigned seconds = 120;
    char name[256];
    int opt;

    while ((opt = getopt(argc, argv, "hlnt:")) != -1) {
        switch (opt) {
        case 'h': return usage(argv[0], 0);
        case 'l': list = true; break;
        case 'n': forked = false; break;
        case 't': seconds = (unsigned)strtoul(optarg, NULL, 0); break;
        default: return usage(argv[0], EXIT_USAGE);
        }
    }
    for (const struct test *t = first; t; t = t->next) {
        size_t count = t->run ? 1 : t->row_count;

        for (size_t row = 0; row < count; row++) {
            if (t->run)
                snprintf(name, sizeof name, "%s", t->name);
            else
                snprintf(name, sizeof name, "%s/%zu", t->name, row);
            if (!wanted(name, argv + optind) && !wanted(t->name, argv + optind))
                continue;
            if (list)
                puts(name);
            else
                passed &= run_one(t, row, name, forked, seconds);
        }
    }
    return passed ? 0 : EXIT_FAILED;
}
