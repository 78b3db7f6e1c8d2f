#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the bare-metal guests of this folder, of 32 and 64 bits, with one and
two processors.  As guests_long: the comparison of clocks for a minute."""

import os
import subprocess
import sys
import tempfile
import time

BUILD = os.environ['B']
LONG = sys.argv[0].endswith('_long.py')


def command(name, bits, cpus, options, append):
    return [os.path.join(BUILD, 'backplane'), 'run', '--headless',
            '--gen', '2', '--memory', '64M', '--cpus', str(cpus),
            '--kernel', os.path.join(BUILD, 'tests/hv/%s.%d' % (name, bits)),
            '--append', 'cpus=%d %s' % (cpus, append), '--serial', 'stdio',
            '--device', 'test-ports', '--hv.flush', 'on'] + list(options)


def tell(said, status, where):
    """The guest's lines, each case with what it ran on."""
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


def run(name, bits, cpus, options=(), append='', where=''):
    where = '%s-%d/%s' % (name, bits, where or cpus)
    try:
        done = subprocess.run(command(name, bits, cpus, options, append),
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              stderr=subprocess.STDOUT, text=True, timeout=100)
        said, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        said, status = (late.stdout or b'').decode(), 'none in time'
    tell(said, status, where)


def saved(bits, cpus, options=()):
    """Saves the machine when the guest asks for it, and goes on with that."""
    with tempfile.TemporaryDirectory() as folder:
        ctl, state = (os.path.join(folder, n) for n in ('ctl', 'state'))
        line = command('saved', bits, cpus, options, '') + ['--ctl', ctl]
        first = subprocess.Popen(line, stdout=subprocess.PIPE, text=True,
                                 stdin=subprocess.DEVNULL)
        said = ''
        while '# save\n' not in said:
            text = first.stdout.readline()
            if not text:
                break
            said += text
        for words in ['save', state], ['quit']:
            subprocess.run([os.path.join(BUILD, 'backplane'), 'ctl',
                            '--socket', ctl] + words, check=False, timeout=60)
        first.stdout.close()
        first.wait(60)
        done = subprocess.run(line + ['--restore', state], check=False,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              stderr=subprocess.STDOUT, text=True, timeout=100)
        tell(said + done.stdout, done.returncode, 'saved-%d/%d' % (bits, cpus))


def paused(name, ms):
    """The state's hash after so much counted time."""
    with tempfile.TemporaryDirectory() as folder:
        ctl = os.path.join(folder, 'ctl')
        line = command(name, 64, 2, ('--deterministic', '--ctl', ctl,
                                     '--pause-at', str(ms)), 'seed=5')

        def ask(word):
            return subprocess.run(
                [os.path.join(BUILD, 'backplane'), 'ctl', '--socket', ctl,
                 word], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                check=False, text=True, timeout=60).stdout.strip()

        machine = subprocess.Popen(line, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL)
        while ask('status') != 'paused' and machine.poll() is None:
            time.sleep(0.1)
        found = ask('hash')
        ask('quit')
        machine.wait(60)
        return found


def alike():
    """Two runs by counted time are one, at whatever instruction."""
    for name, ms in ('stimer', 150), ('saved', 150), ('fuzz', 30):
        one, two = paused(name, ms), paused(name, ms)
        same = one and one == two
        print('%s two_runs_alike/%s' % ('ok' if same else 'not ok', name),
              '' if same else '# %s and %s' % (one, two), flush=True)


PARTS = ('synic', 'stimer', 'stimer-direct', 'apic', 'ref-count', 'ref-tsc',
         'frequency', 'crash', 'reset', 'idle', 'runtime', 'flush', 'ipi',
         'xmm-input')


def switches():
    """Each part alone switched off, then all of it."""
    for part in PARTS:
        run('parts', 64, 1, ('--hv.' + part, 'off'), where=part)
    run('parts', 64, 1, ('--hv', 'off'), 'hv=0', where='off')


def main():
    if LONG:
        for seed in range(10):
            run('fuzz', 64, 2, append='turns=300000 seed=%d' % seed)
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
    for name in 'synic', 'hypercall', 'stimer', 'reftime', 'apic':
        for bits in 64, 32:
            for cpus in 1, 2:
                run(name, bits, cpus)
    for gen in '1', '2':
        for cpus in 1, 2, 8:
            run('startup', 64, cpus, ('--gen', gen), 'gen=' + gen,
                '%d-gen%s' % (cpus, gen))
    switches()
    alike()
    run('reset', 64, 1)
    seed = os.getpid()
    print('# fuzz: seed=%d' % seed)
    for bits in 64, 32:
        saved(bits, 2)
        run('fuzz', bits, 2, append='seed=%d' % seed)
    # By the interpreter alone, and with counted time.
    run('stimer', 64, 2, ('--jit', 'off'))
    # Where a BIOS ran before, with interrupt controllers of old.
    run('synic', 32, 2, ('--gen', '1'))
    for name in 'synic', 'stimer', 'reftime':
        run(name, 64, 2, ('--deterministic',), 'turns=1')


main()
