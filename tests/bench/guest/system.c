/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel does for programs, code that changes, and the disk. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static uint64_t parent_id(unsigned n)
{
    uint64_t sum = 0;

    for (n *= 1000; n; n--)
        sum += (uint64_t)syscall(SYS_getppid) >> 32;
    return sum;
}

static uint64_t fork_wait(unsigned n)
{
    uint64_t sum = 0;

    while (n--) {
        int status;
        pid_t child = fork();
        if (child < 0)
            row_failed("fork");
        if (!child)
            _exit((int)(n & 63));
        if (waitpid(child, &status, 0) != child)
            row_failed("waitpid");
        sum = mix(sum, (uint64_t)WEXITSTATUS(status));
    }
    return sum;
}

static uint64_t exec_wait(unsigned n)
{
    uint64_t sum = 0;

    while (n--) {
        int status;
        pid_t child = fork();
        if (child < 0)
            row_failed("fork");
        if (!child) {
            execl("/proc/self/exe", "guest", "nothing", (char *)NULL);
            _exit(1);
        }
        if (waitpid(child, &status, 0) != child)
            row_failed("waitpid");
        sum = mix(sum, (uint64_t)status + 1);
    }
    return sum;
}

/* A word to a child and back by two pipes: two switches of processes. */
static uint64_t pipes(unsigned n)
{
    int there[2], back[2];
    uint32_t word = 1;

    if (pipe(there) || pipe(back))
        row_failed("pipe");
    pid_t child = fork();
    if (child < 0)
        row_failed("fork");
    if (!child) {
        close(there[1]);
        while (read(there[0], &word, sizeof(word)) == sizeof(word)) {
            word = word * 5 + 1;
            if (write(back[1], &word, sizeof(word)) != sizeof(word))
                break;
        }
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    while (n--) {
        if (write(there[1], &word, sizeof(word)) != sizeof(word) ||
            read(back[0], &word, sizeof(word)) != sizeof(word))
            row_failed("a pipe ended");
    }
    close(there[1]);
    close(back[0]);
    waitpid(child, NULL, 0);
    return word;
}

/* The same between threads. */
struct turns {
    uint32_t turn;
    unsigned n;
    uint64_t sum;
};

static void wait_turn(struct turns *t, uint32_t mine)
{
    uint32_t now;

    while ((now = __atomic_load_n(&t->turn, __ATOMIC_ACQUIRE)) != mine)
        syscall(SYS_futex, &t->turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void pass_turn(struct turns *t, uint32_t next)
{
    __atomic_store_n(&t->turn, next, __ATOMIC_RELEASE);
    syscall(SYS_futex, &t->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *other_thread(void *opaque)
{
    struct turns *t = opaque;

    for (unsigned i = 0; i < t->n; i++) {
        wait_turn(t, 1);
        t->sum = mix(t->sum, i + 7);
        pass_turn(t, 0);
    }
    return NULL;
}

static uint64_t threads(unsigned n)
{
    struct turns t = { .n = n };
    pthread_t thread;

    if (pthread_create(&thread, NULL, other_thread, &t))
        row_failed("thread");
    for (unsigned i = 0; i < n; i++) {
        wait_turn(&t, 0);
        t.sum += i;
        pass_turn(&t, 1);
    }
    pthread_join(thread, NULL);
    return t.sum;
}

#define TOUCHED (4u << 20)

/* Each page of new memory faults once. */
static uint64_t page_faults(unsigned n)
{
    uint64_t sum = 0;

    while (n--) {
        unsigned char *p = mmap(NULL, TOUCHED, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            row_failed("mmap");
        /* No huge pages: they are not what is measured. */
        madvise(p, TOUCHED, MADV_NOHUGEPAGE);
        for (size_t i = 0; i < TOUCHED; i += 4096)
            p[i] = (unsigned char)(i >> 12);
        for (size_t i = 0; i < TOUCHED; i += 4096)
            sum += p[i] + p[i + 1];
        munmap(p, TOUCHED);
    }
    return sum;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    (void)number;
    caught = caught + 1;
}

static uint64_t signals(unsigned n)
{
    struct sigaction action = { .sa_handler = on_signal };
    pid_t self = getpid();

    caught = 0;
    sigaction(SIGUSR1, &action, NULL);
    for (n *= 1000; n; n--)
        kill(self, SIGUSR1);
    return (uint64_t)caught;
}

/* Create, write, read and remove in a file system in memory. */
static uint64_t files(unsigned n)
{
    static unsigned char data[65536];
    const char *folder = getpid() == 1 ? "/tmp" : "/dev/shm";
    uint64_t sum = 0;
    char name[64];

    while (n--) {
        snprintf(name, sizeof(name), "%s/bench-%u-%u", folder, n & 7,
                 (unsigned)getpid());
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (fd < 0)
            row_failed(name);
        for (unsigned i = 0; i < 16; i++) {
            data[i * 4096] = (unsigned char)(n + i);
            if (write(fd, data + i * 4096, 4096) != 4096)
                row_failed("write");
        }
        lseek(fd, 0, SEEK_SET);
        ssize_t got = read(fd, data, sizeof(data));
        close(fd);
        unlink(name);
        sum = mix(sum, (uint64_t)got + data[4096 * (n & 15)]);
    }
    return sum;
}

/* Without a system call where the kernel offers it: one RDTSC each. */
static uint64_t clocks(unsigned n)
{
    struct timespec now, last = { 0 };
    uint64_t backwards = 0;

    for (n *= 1000; n; n--) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        backwards += now.tv_sec < last.tv_sec ||
                     (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec);
        last = now;
    }
    return backwards;
}

/* Functions that are written, called and soon written anew. */
static uint64_t changing_code(unsigned n)
{
    static const unsigned char code[] = { 0xb8, 0,    0, 0, 0, /* mov eax, N */
                                          0x01, 0xf8, /* add eax, edi */
                                          0xc3 };     /* ret */
    unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t sum = 1;

    if (page == MAP_FAILED)
        row_failed("mmap");
    while (n--) {
        unsigned char *at = page + 64 * (n & 63);
        memcpy(at, code, sizeof(code));
        memcpy(at + 1, &n, sizeof(n));
        uint32_t (*call)(uint32_t);
        memcpy(&call, &at, sizeof(call));
        for (unsigned i = 0; i < 4; i++)
            sum = call(sum ^ i);
    }
    munmap(page, 4096);
    return sum;
}

/* --- the disk -------------------------------------------------------------*/

#define DISK_BYTES (32u << 20)

static const char *disk_name(void)
{
    return getpid() == 1 ? "/dev/sda" : "guest-disk.img";
}

/* The driver may still be looking for it. */
static bool has_disk(void)
{
    for (int tries = 0; tries < 300; tries++) {
        if (!access(disk_name(), R_OK))
            return true;
        if (getpid() != 1)
            return false;
        usleep(10000);
    }
    return false;
}

static int open_disk(void)
{
    int fd = open(disk_name(), O_RDONLY | O_DIRECT | O_CLOEXEC);

    if (fd < 0 && errno == EINVAL)
        fd = open(disk_name(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        row_failed(disk_name());
    return fd;
}

static uint64_t read_disk(unsigned n, size_t bytes, bool in_order)
{
    unsigned char *data = aligned_alloc(4096, bytes);
    uint64_t seed = 17, sum = 0;
    int fd = open_disk();

    for (unsigned i = 0; i < n; i++) {
        uint64_t at = in_order ? i : next_random(&seed);
        at = at * bytes % DISK_BYTES;
        if (pread(fd, data, bytes, (off_t)at) != (ssize_t)bytes)
            row_failed("read");
        sum = mix(sum, data[at / 512 % bytes]);
    }
    close(fd);
    free(data);
    return sum;
}

static uint64_t disk_large(unsigned n)
{
    return read_disk(n, 128u << 10, true);
}

static uint64_t disk_small(unsigned n)
{
    return read_disk(n, 4096, false);
}

const struct row system_rows[] = {
    { "getppid", "system", parent_id, 600, NULL },
    { "fork", "system", fork_wait, 250, NULL },
    { "exec", "system", exec_wait, 150, NULL },
    { "pipe", "system", pipes, 20000, NULL },
    { "futex", "system", threads, 20000, NULL },
    { "pagefault", "system", page_faults, 60, NULL },
    { "signal", "system", signals, 40, NULL },
    { "file", "system", files, 2000, NULL },
    { "clock", "other", clocks, 3000, NULL },
    { "smc", "other", changing_code, 300000, NULL },
    { "disk-128k", "other", disk_large, 1000, has_disk },
    { "disk-4k", "other", disk_small, 4000, has_disk },
    { 0 },
};
