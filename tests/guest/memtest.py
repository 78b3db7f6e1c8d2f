#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
"""memtest86+ runs through its tests and finds no errors."""

import re
import time

import caserun
from vmdriver import VM, Failure, guest


def field(lines, pattern):
    for line in lines:
        found = re.search(pattern, line)
        if found:
            return int(found.group(1))
    return None


def watch(width, cpus, done, timeout):
    with VM('memtest-' + width, memory=32, cpus=cpus,
            kernel=guest('memtest', 'memtest-%s.bin' % width)) as vm:
        vm.wait_screen('Memtest86', 60)
        deadline = time.monotonic() + timeout
        while True:
            lines = vm.screentext()
            errors = field(lines, r'Errors: +(\d+)')
            if errors:
                raise Failure('it found errors:\n' + '\n'.join(lines))
            if done(lines):
                break
            if time.monotonic() > deadline:
                raise Failure('not there after %d s:\n%s' %
                              (timeout, '\n'.join(lines)))
            time.sleep(1)
        vm.quit()
        vm.wait_exit(30)


def first_tests(lines):
    return (field(lines, r'#(\d+) ') or 0) >= 3


def one_pass(lines):
    return (field(lines, r'Pass: +(\d+)') or 0) >= 1


@caserun.case('memtest-first-tests-%s', short=True, rows=[('x64',)])
@caserun.case('memtest-first-tests-%s', rows=[('ia32',)])
def first(width):
    watch(width, 1, first_tests, 300)


@caserun.case('memtest-pass-%s-cpus-%d', rows=[('x64', 2), ('ia32', 1)])
def whole(width, cpus):
    """Two to three minutes of a pass are waits for bits to fade."""
    watch(width, cpus, one_pass, 900)


caserun.main()
