/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest benchmark: a static program that runs the same as a host's
 * process and as the first program of a guest. It is asked line by line, on
 * the standard input or on the first serial port:
 *
 *   list          answers "row NAME GROUP N" for each row, "end"
 *   run NAME N    answers "ran NAME N WALL CPU SUM", or "failed NAME WHY"
 *   spin T N      the same of N loops in each of T threads: the row "spin"
 *   off           ends: a guest is powered off
 *
 * WALL and CPU are in nanoseconds. Between two requests it waits and uses no
 * time, so whoever asks can measure from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static jmp_buf failure;
static char failure_text[128];

void row_failed(const char *what)
{
    snprintf(failure_text, sizeof(failure_text), "%s: %s", what,
             strerror(errno));
    longjmp(failure, 1);
}

uint64_t mix_bytes(uint64_t sum, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        sum = mix(sum, p[i]);
    return sum;
}

/* --- time -----------------------------------------------------------------*/

static uint64_t wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t usage_ns(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

/* Of this process and of the children that have ended. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec +
           usage_ns(RUSAGE_CHILDREN);
}

/* --- requests -------------------------------------------------------------*/

static const struct row *const tables[] = {
    integer_rows, float_rows, vector_rows, memory_rows, system_rows,
};

static bool usable(const struct row *row)
{
    return !row->usable || row->usable();
}

static void list(FILE *out)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct row *row = tables[t]; row->name; row++) {
            if (usable(row))
                fprintf(out, "row %s %s %u\n", row->name, row->group, row->n);
        }
    }
    fprintf(out, "end\n");
}

static const struct row *find(const char *name)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct row *row = tables[t]; row->name; row++) {
            if (!strcmp(row->name, name) && usable(row))
                return row;
        }
    }
    return NULL;
}

static void run(FILE *out, const char *name, unsigned n)
{
    const struct row *row = find(name);

    if (!row) {
        fprintf(out, "failed %s there is no such row\n", name);
        return;
    }
    if (setjmp(failure)) {
        fprintf(out, "failed %s %s\n", name, failure_text);
        return;
    }
    uint64_t wall = wall_ns(), cpu = cpu_ns();
    uint64_t sum = row->run(n);
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;
    fprintf(out, "ran %s %u %llu %llu %016llx\n", name, n,
            (unsigned long long)wall, (unsigned long long)cpu,
            (unsigned long long)sum);
}

/* --- loops in threads -----------------------------------------------------*/

struct spinner {
    pthread_t thread;
    unsigned n;
    uint64_t sum;
};

static void *spin_thread(void *opaque)
{
    struct spinner *s = opaque;
    const struct row *row = find("crc32");

    s->sum = row->run(s->n);
    return NULL;
}

#define SPINNERS 8u

static void spin(FILE *out, unsigned threads, unsigned n)
{
    struct spinner s[SPINNERS];
    uint64_t wall = wall_ns(), cpu = cpu_ns(), sum = 0;

    if (threads > SPINNERS)
        threads = SPINNERS;
    for (unsigned i = 0; i < threads; i++) {
        s[i].n = n;
        if (pthread_create(&s[i].thread, NULL, spin_thread, &s[i])) {
            fprintf(out, "failed spin no thread\n");
            return;
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(s[i].thread, NULL);
        sum = mix(sum, s[i].sum);
    }
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;
    fprintf(out, "ran spin %u %llu %llu %016llx\n", n, (unsigned long long)wall,
            (unsigned long long)cpu, (unsigned long long)sum);
}

static void serve(FILE *in, FILE *out)
{
    char line[128], name[64];
    unsigned n, threads;

    while (fgets(line, sizeof(line), in)) {
        if (sscanf(line, "run %63s %u", name, &n) == 2)
            run(out, name, n);
        else if (sscanf(line, "spin %u %u", &threads, &n) == 2)
            spin(out, threads, n);
        else if (!strncmp(line, "list", 4))
            list(out);
        else if (!strncmp(line, "off", 3))
            return;
        else
            fprintf(out, "failed - what is '%.20s'?\n", line);
        fflush(out);
    }
}

/* --- as a guest's first program -------------------------------------------*/

/* Modules are numbered in the order in which they need one another. */
static void load_modules(void)
{
    for (unsigned i = 0; i < 100; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/modules/%02u.ko", i);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        /* One that this processor has no use for refuses. */
        syscall(SYS_finit_module, fd, "", 0);
        close(fd);
    }
}

static FILE *open_console(void)
{
    int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;

    if (fd < 0)
        return NULL;
    if (!tcgetattr(fd, &t)) {
        cfmakeraw(&t);
        tcsetattr(fd, TCSANOW, &t);
    }
    return fdopen(fd, "r+");
}

static void first_program(void)
{
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mkdir("/tmp", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
    FILE *console = open_console();
    if (console) {
        /* The mark that boots are measured by comes before the modules. */
        fprintf(console, "BENCH-INIT\n");
        fflush(console);
        load_modules();
        fprintf(console, "BENCH-READY\n");
        fflush(console);
        serve(console, console);
    }
    sync();
    reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "nothing"))
        return 0; /* what the row of exec starts */
    if (getpid() == 1)
        first_program();
    else
        serve(stdin, stdout);
    return 0;
}
