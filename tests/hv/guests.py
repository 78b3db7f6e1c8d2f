#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the bare-metal guests of this folder, of 32 and 64 bits, with one and
two processors.  As guests_long: the comparison of clocks for a minute."""

import os
import subprocess
import sys
import tempfile

BUILD = os.environ['B']
LONG = sys.argv[0].endswith('_long.py')


def run(name, bits, cpus, options=(), append=''):
    """The guest's lines, each case with what it ran on."""
    where = '%s-%d/%d' % (name, bits, cpus)
    line = [os.path.join(BUILD, 'backplane'), 'run', '--headless',
            '--gen', '2', '--memory', '64M', '--cpus', str(cpus),
            '--kernel', os.path.join(BUILD, 'tests/hv/%s.%d' % (name, bits)),
            '--append', 'cpus=%d %s' % (cpus, append), '--serial', 'stdio',
            '--device', 'test-ports', '--hv.flush', 'on', '--hv.ipi', 'on']
    try:
        done = subprocess.run(line + list(options), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=250)
        said, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        said, status = (late.stdout or b'').decode(), 'none in time'
    cases = 0
    for text in said.split('\n'):
        text = text.rstrip()
        if text.startswith(('ok ', 'not ok ')):
            text += '/' + where
            cases += 1
        if text:
            print(text, flush=True)
    if not cases or (status != 1 and 'not ok' not in said):
        print('not ok %s # status %s' % (where, status), flush=True)


def main():
    if LONG:
        for cpus in 1, 2:
            run('reftime', 64, cpus, append='seconds=60')
        return
    with tempfile.NamedTemporaryFile() as module:
        module.write(b'one true module')
        module.flush()
        for gen in '1', '2':
            for bits in 64, 32:
                run('multiboot', bits, 1,
                    ('--gen', gen, '--initrd', module.name), 'answer=42')
    for name in 'synic', 'hypercall', 'stimer', 'reftime':
        for bits in 64, 32:
            for cpus in 1, 2:
                run(name, bits, cpus)
    # By the interpreter alone, and with counted time.
    run('stimer', 64, 2, ('--jit', 'off'))
    # Where a BIOS ran before, with interrupt controllers of old.
    run('synic', 32, 2, ('--gen', '1'))
    for name in 'synic', 'stimer', 'reftime':
        run(name, 64, 2, ('--deterministic',), 'turns=1')


main()
