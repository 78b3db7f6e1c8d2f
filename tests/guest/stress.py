#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 14400
"""A guest that works hard for long does not make the process grow.

Processes come and go, memory is mapped and unmapped, a compiler runs, and
programs write code and execute it, on two processors.  What the process has
for itself (RssAnon) must stay as it is after the first minutes; all it has
must stay below the guest's memory and what the translator may use.

BP_STRESS_MINUTES is how long, 30 by default.
"""

import base64
import os
import re
import time

import caserun
from vmdriver import VM, Failure, guest

MINUTES = float(os.environ.get('BP_STRESS_MINUTES', '30'))
MEMORY = 512    # MiB
CPUS = 2
# The code buffer is mapped twice, data once; tables and decoded blocks.
EACH_CPU = 2 * 32 + 16 + 40
PROGRAM = 48    # libraries, firmware, video memory
GROWTH = 8

CHURN = r'''
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
/* mov $n,%eax; add $1,%eax ..; ret, in pages that come and go */
static unsigned generate(unsigned char *p, unsigned n, unsigned adds)
{
    unsigned char *q = p;
    *q++ = 0xb8; memcpy(q, &n, 4); q += 4;
    for (unsigned k = 0; k < adds; k++) { *q++ = 0x83; *q++ = 0xc0; *q++ = 1; }
    *q = 0xc3;
    return ((unsigned (*)(void))p)();
}
int main(int argc, char **argv)
{
    unsigned rounds = atoi(argv[1]);
    for (unsigned r = 0; r < rounds; r++) {
        size_t size = 4096 * (1 + r % 16);
        unsigned char *p = mmap(0, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (unsigned k = 0; k < 40; k++) {
            unsigned adds = (r + k) % 900;
            if (generate(p + (k * 64) % (size - 4000), r, adds) != r + adds)
                return printf("wrong code\n"), 1;
        }
        if (r % 8 == 0) {
            int status, child = fork();
            if (!child)
                _exit(generate(p, r, 3) != r + 3);
            waitpid(child, &status, 0);
            if (status)
                return printf("wrong child\n"), 1;
        }
        munmap(p, size);
    }
    return 0;
}
'''


def put(vm, name, text):
    text = base64.b64encode(text.encode()).decode()
    vm.run('rm -f b64')
    for at in range(0, len(text), 200):
        vm.run('echo %s >>b64' % text[at:at + 200])
    vm.run('base64 -d b64 >%s' % name)


def memory_of(vm):
    """RssAnon and VmRSS in MiB."""
    with open('/proc/%d/status' % vm.process.pid) as file:
        text = file.read()
    return [int(re.search(r'%s:\s+(\d+)' % name, text)[1]) / 1024
            for name in ('RssAnon', 'VmRSS')]


def work(vm):
    # Job control shows commands: quotes keep the mark out of them.
    churn = '(./churn 4000 || echo b""ad) & '
    said = vm.run(
        churn * 2 + 'for n in 1 2 3 4 5 6 7 8 9 10; do '
        'ls -lR /etc /usr/bin >/dev/null; '
        'sh -c "echo $n | sed s/1/2/ | grep -c 2" >/dev/null; done; '
        'gcc -O2 -o c2 churn.c && ./c2 100 || echo b""ad; wait', 600)
    if 'bad' in said:
        raise Failure('the guest says: ' + said)


@caserun.case('memory-stays')
def memory_stays():
    with VM('stress', cpus=CPUS, memory=MEMORY,
            disks=[guest('disk-gcc', 'disk.img')], snapshot=True) as vm:
        vm.expect('Linux version', 240)
        vm.login(300)
        put(vm, 'churn.c', CHURN)
        vm.run('gcc -O2 -o churn churn.c', 120)
        begin = time.monotonic()
        end = begin + MINUTES * 60
        first = None
        rounds = 0
        while rounds < 2 or time.monotonic() < end:
            work(vm)
            rounds += 1
            anon, rss = memory_of(vm)
            print('  %5.0f s: RssAnon %.1f MiB, VmRSS %.1f MiB' % (
                time.monotonic() - begin, anon, rss), flush=True)
            if first is None and time.monotonic() - begin >= MINUTES * 6:
                first = anon
            if first is not None and anon > first + GROWTH:
                raise Failure('RssAnon grew from %.1f to %.1f MiB' %
                              (first, anon))
            if rss > MEMORY + CPUS * EACH_CPU + PROGRAM:
                raise Failure('VmRSS is %.1f MiB' % rss)
        print(vm.machine.ctl('jit', 'stats'))
        vm.send('poweroff')
        vm.wait_exit(120)
        return '%d rounds, RssAnon %.1f MiB' % (rounds, anon)


caserun.main()
