/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel does for programs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

const struct row system_rows[] = {
    { "getppid", "system", parent_id, 600, NULL },
    { "fork", "system", fork_wait, 250, NULL },
    { 0 },
};
