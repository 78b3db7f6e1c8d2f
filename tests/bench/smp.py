#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a second processor adds: the same loop in one thread, then in two.

A guest with two processors and this host run them in turn.  On an idle host
with two processors the throughput of two is 1.8 times that of one, or more
(issue 3).  The host's own figure says how idle it was.
"""

import contextlib

from guestbench import Guest, Jit, Native, build, say

RUNS = 5
LOOPS = 40000
TARGET = 1.8


def main():
    build()
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(Native(cpus=2)),
                    stack.enter_context(Guest('jit', Jit, cpus=2))]
        runs = {(program, threads): [] for program in programs
                for threads in (1, 2)}
        for _ in range(RUNS):
            for (program, threads), done in runs.items():
                done.append(program.ask('spin %d %d' % (threads, LOOPS)))
    for program in programs:
        one, two = [min(ran.wall for ran in runs[program, threads])
                    for threads in (1, 2)]
        work = [min(ran.cpu for ran in runs[program, threads])
                for threads in (1, 2)]
        say('%-7s 1 thread %.3f s, 2 threads %.3f s (CPU %.3f s, %.3f s)' % (
            program.name, one, two, work[0], work[1]))
        print('smp_%s %.3f x_throughput' % (program.name, 2 * one / two))
    say('target for jit on an idle host: %g' % TARGET)


main()
