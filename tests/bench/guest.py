#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of guests: natively, in Backplane and in QEMU TCG, row by row.

Each row of the program in guest/ runs on this host, in a Backplane guest and
in a QEMU guest in turn, several times, and the least time counts.  All that
waits uses no time, so none is in another's way.  The table of ratios goes to
the standard error, `name value unit` to the standard output.

Variables of the environment, or of make bench:

    ROWS='s* lu'    only these rows, shell patterns
    QUICK=1         a tenth of the work, once: for a first look
    WHO='jit'       of native, jit, interp, tcg, those to run; interp is the
                    Backplane guest with --jit=off, otherwise left out
    TIME=wall       wall time counts, not the processor's time
"""

import fnmatch
import math
import os

import guestbench
from guestbench import Failure, Guest, Native, say

# What issue 3 asks for: so many times faster than TCG, in the mean of groups.
TARGETS = ((('int',), 3), (('fp',), None), (('vector',), None),
           (('fp', 'vector'), 20), (('memory',), 10), (('system',), 2.5),
           (('other',), 1))
# And no more than so many times the host's time.
COMPUTE = ('int', 'fp', 'vector')
COMPUTE_TARGET = 1.6

QUICK = os.environ.get('QUICK', '0') not in ('', '0')
WHO = os.environ.get('WHO', 'native jit tcg').split()
TIME = os.environ.get('TIME', 'cpu')
RUNS = 1 if QUICK else 3
# Slow rows run fewer times: their noise is small.
ENOUGH = 4.0

MACHINES = {'jit': guestbench.Jit, 'interp': guestbench.Interpreter,
            'tcg': guestbench.Tcg}


class Program:
    """The program of one who, started anew when a row has been its end."""

    def __init__(self, who):
        self.who = who
        self.running = None
        self.start()
        self.rows = list(self.running.rows())

    def start(self):
        if self.who == 'native':
            self.running = Native()
        else:
            self.running = Guest(self.who, MACHINES[self.who],
                                 disks=[guestbench.DISK % ('-' + self.who)])
        self.running.__enter__()

    def stop(self):
        self.running.__exit__(None, None, None)

    def ask(self, line):
        try:
            return self.running.ask(line)
        except Failure as problem:
            if not problem.args[0].startswith('failed '):
                say('%s is started anew' % self.who)
                self.stop()
                self.start()
            raise


class Result:
    """One row of one who."""

    def __init__(self):
        self.cpu = self.wall = self.host_wall = math.inf
        self.spent = 0
        self.runs = 0
        self.checksum = None
        self.error = None

    def add(self, ran):
        self.cpu = min(self.cpu, ran.cpu)
        self.wall = min(self.wall, ran.wall)
        self.host_wall = min(self.host_wall, ran.host_wall)
        self.spent += ran.wall
        self.runs += 1
        self.checksum = ran.checksum

    def wants_more(self):
        return not self.error and self.runs < RUNS and self.spent < ENOUGH

    def clock_is_wrong(self):
        """In each run, so that it is not for a late answer."""
        return self.runs and (abs(self.wall - self.host_wall) >
                              0.1 + 0.1 * self.host_wall)

    def seconds(self):
        if self.error or not self.runs:
            return None
        return self.wall if TIME == 'wall' else self.cpu


def measure(programs, name, n):
    results = {who: Result() for who in programs}
    for _ in range(RUNS):
        for who, program in programs.items():
            if not results[who].wants_more():
                continue
            try:
                results[who].add(program.ask('run %s %d' % (name, n)))
            except Failure as problem:
                results[who].error = str(problem)
                say('%s: %s' % (name, problem))
    return results


def ratio(results, slow, fast):
    """How many times longer one takes than the other, or None."""
    pair = [results[who].seconds() if who in results else None
            for who in (slow, fast)]
    return pair[0] / pair[1] if all(pair) else None


def mean(values):
    values = [value for value in values if value]
    if not values:
        return None
    return math.exp(sum(map(math.log, values)) / len(values))


def show(value, places=2):
    return '-' if value is None else '%.*f' % (places, value)


def emit(name, value, unit):
    if value is not None:
        print('%s %.4g %s' % (name, value, unit), flush=True)


LINE = '%-14s %-7s %9s %9s %9s %9s'


def report(name, group, results):
    bad = {result.checksum for result in results.values() if result.runs}
    note = '' if len(bad) <= 1 else '  CHECKSUMS DIFFER: ' + ' '.join(
        '%s=%s' % (who, result.checksum) for who, result in results.items())
    if any(result.error for result in results.values()):
        note += '  FAILED'
    for who, result in results.items():
        if result.clock_is_wrong():
            note += '  CLOCK of %s: %.3f s are %.3f s' % (
                who, result.wall, result.host_wall)
    first = results.get('native') or results[WHO[0]]
    line = LINE % (name, group, show(first.seconds(), 3),
                   show(ratio(results, 'jit', 'native')),
                   show(ratio(results, 'tcg', 'native')),
                   show(ratio(results, 'tcg', 'jit')))
    if 'interp' in results:
        line += ' %9s' % show(ratio(results, 'interp', 'native'))
    say(line + note)
    emit('guest_%s_slowdown' % name, ratio(results, 'jit', 'native'), 'x')
    emit('guest_%s_over_tcg' % name, ratio(results, 'tcg', 'jit'), 'x')
    return not note


def group_mean(table, groups, slow, fast):
    return mean(ratio(results, slow, fast)
                for group, results in table.values() if group in groups)


def report_groups(table):
    say('')
    say('%-14s %9s %9s %s' % ('mean of', 'jit/nat', 'tcg/jit', 'target'))
    for groups, target in TARGETS:
        faster = group_mean(table, groups, 'tcg', 'jit')
        slower = group_mean(table, groups, 'jit', 'native')
        if faster is None and slower is None:
            continue
        text = '%-14s %9s %9s ' % (' '.join(groups), show(slower),
                                   show(faster))
        if target:
            text += 'tcg/jit >= %g' % target
            if faster is not None and faster < target:
                text += '  MISSED'
        say(text.rstrip())
        emit('guest_mean_%s_over_tcg' % '_'.join(groups), faster, 'x')
    slower = group_mean(table, COMPUTE, 'jit', 'native')
    if slower:
        say('%-14s %9s %9s jit/nat <= %g%s' % (
            ' '.join(COMPUTE), show(slower), '', COMPUTE_TARGET,
            '' if slower <= COMPUTE_TARGET else '  MISSED'))
        emit('guest_mean_compute_slowdown', slower, 'x')
    below = [name for name, (kind, results) in table.items()
             if (ratio(results, 'tcg', 'jit') or 1) < 1]
    if below:
        say('slower than TCG: ' + ' '.join(below))


def run_rows(programs):
    """All rows that are asked for: name -> group, results; and all good?"""
    patterns = os.environ.get('ROWS', '*').split()
    rows = dict.fromkeys(sum((one.rows for one in programs.values()), []))
    table = {}
    good = True
    line = LINE % ('row', 'group', WHO[0] + ' s', 'jit/nat', 'tcg/nat',
                   'tcg/jit')
    say(line + (' %9s' % 'int/nat' if 'interp' in WHO else ''))
    for row in rows:
        name, group, n = row
        if not any(fnmatch.fnmatchcase(name, one) for one in patterns):
            continue
        able = {who: program for who, program in programs.items()
                if row in program.rows}
        results = measure(able, name, max(1, n // 10) if QUICK else n)
        good = report(name, group, results) and good
        table[name] = (group, results)
    return table, good


def main():
    if 'tcg' in WHO and not guestbench.has_qemu():
        say('no qemu-system-x86_64 here: without TCG')
        WHO.remove('tcg')
    guestbench.build()
    programs = {}
    try:
        for who in WHO:
            programs[who] = Program(who)
        table, good = run_rows(programs)
    finally:
        for program in programs.values():
            program.stop()
    report_groups(table)
    if not good:
        raise SystemExit('a row failed or its checksums differ')


main()
