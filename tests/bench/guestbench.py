# SPDX-License-Identifier: Apache-2.0
"""The guest benchmark program on this host, in Backplane and in QEMU.

What all benchmarks that run guests share: build() makes the program and a
RAM disk with nothing else in it, Native and Guest run it and are asked for
rows.  See guest/main.c for the questions and answers.
"""

import gzip
import os
import random
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'guest'))
# pylint: disable=wrong-import-position
from netguest import archive, modules
from vmdriver import (BUILD, SOURCE, VM, BackplaneMachine, Failure,
                      QemuMachine, guest)

CODE = os.path.join(SOURCE, 'tests', 'bench', 'guest')
OUT = os.path.join(BUILD, 'tests', 'bench')
PROGRAM = os.path.join(OUT, 'guest-program')
INITRD = os.path.join(OUT, 'guest-initrd.img')
DISK = os.path.join(OUT, 'guest-disk%s.img')
DISK_BYTES = 32 << 20
KERNEL = 'kernel-amd64'


def say(text):
    """For people: the standard output is for `name value unit`."""
    print(text, file=sys.stderr, flush=True)


# --- the program and its RAM disk -------------------------------------------

def newer(target, sources):
    return os.path.exists(target) and all(
        os.path.getmtime(target) > os.path.getmtime(source)
        for source in sources)


def build():
    """Make the program and the RAM disk, if they are not there already."""
    os.makedirs(OUT, exist_ok=True)
    sources = sorted(os.path.join(CODE, name) for name in os.listdir(CODE))
    if not newer(PROGRAM, sources):
        subprocess.run(
            [os.environ.get('CC', 'gcc'), '-std=gnu17', '-D_GNU_SOURCE',
             '-O2', '-static', '-pthread', '-Wall', '-Wextra', '-o',
             PROGRAM] +
            [name for name in sources if name.endswith('.c')] + ['-lm'],
            check=True)
    # Each has its own disk of the same content: machines lock theirs.
    for who in ('', '-jit', '-interp', '-tcg'):
        if not os.path.exists(DISK % who):
            with open(DISK % who, 'wb') as file:
                file.write(random.Random(1).randbytes(DISK_BYTES))
    if newer(INITRD, [PROGRAM, os.path.abspath(__file__)]):
        return
    with open(PROGRAM, 'rb') as file:
        entries = [('init', stat.S_IFREG | 0o755, file.read()),
                   ('modules', stat.S_IFDIR | 0o755, b'')]
    for number, name in enumerate(modules(('ata_piix', 'sd_mod'))):
        with open(name, 'rb') as file:
            entries.append(('modules/%02d.ko' % number,
                            stat.S_IFREG | 0o644, file.read()))
    with open(INITRD, 'wb') as file:
        file.write(gzip.compress(archive(entries), 6, mtime=0))


# --- who runs it ------------------------------------------------------------

def has_qemu():
    return shutil.which('qemu-system-x86_64') is not None


class Ran:
    """One run of one row: its seconds and its checksum."""

    def __init__(self, wall, cpu, checksum, host_wall=None):
        self.wall = wall
        self.host_wall = host_wall or wall
        self.cpu = cpu
        self.checksum = checksum


class Native:
    """The program as a process of this host, on as many processors."""

    name = 'native'

    def __init__(self, cpus=1):
        self.cpus = cpus

    def bind(self):
        some = sorted(os.sched_getaffinity(0))[-self.cpus:]
        os.sched_setaffinity(0, some)

    def __enter__(self):
        self.process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1, cwd=OUT,
            preexec_fn=self.bind)
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.wait()

    def rows(self):
        self.process.stdin.write('list\n')
        while True:
            words = self.process.stdout.readline().split()
            if words[:1] != ['row']:
                return
            yield words[1], words[2], int(words[3])

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        answer = self.process.stdout.readline().split()
        if answer[:1] != ['ran']:
            raise Failure(' '.join(answer) or 'it ended')
        return Ran(int(answer[3]) * 1e-9, int(answer[4]) * 1e-9, answer[5])


def cpu_clock(pid):
    """The clock of a process's CPU time: see clock_getcpuclockid(3)."""
    return ~pid << 3 | 2


class Jit(BackplaneMachine):
    def command(self, vm):
        return super().command(vm) + ['--jit', 'on']


class Interpreter(BackplaneMachine):
    def command(self, vm):
        return super().command(vm) + ['--jit', 'off']


class Tcg(QemuMachine):
    def command(self, vm):
        return super().command(vm) + ['-cpu', 'max']


class Guest:
    """The program as the only one in a virtual machine.

    Its CPU time is what the whole emulator has used, seen from outside: it
    is right whatever the guest's clock does, and other work on the host
    changes it little.  Its wall time is the guest's.
    """

    def __init__(self, name, machine, cpus=1, disks=()):
        self.name = name
        self.vm = VM('bench-' + name, machine=machine, memory=512, cpus=cpus,
                     disks=disks, snapshot=bool(disks),
                     kernel=guest(KERNEL, 'vmlinuz'), initrd=INITRD,
                     append='console=ttyS0 quiet')

    def __enter__(self):
        self.vm.__enter__()
        try:
            self.vm.expect('BENCH-READY', 120)
        except BaseException:
            say(self.vm.log())
            self.vm.close()
            raise
        self.clock = cpu_clock(self.vm.process.pid)
        return self

    def __exit__(self, *unused):
        self.vm.close()

    def cpu(self):
        return time.clock_gettime(self.clock)

    def rows(self):
        self.vm.send('list', '\n')
        while True:
            line = self.vm.expect(r'(?m)^(row|end)(.*)\n', 60)
            if line[1] == 'end':
                return
            words = line[2].split()
            yield words[0], words[1], int(words[2])

    def ask(self, line, timeout=300):
        wall, cpu = time.monotonic(), self.cpu()
        self.vm.send(line, '\n')
        answer = self.vm.expect(r'(?m)^(ran|failed) (.*)\n', timeout)
        wall, cpu = time.monotonic() - wall, self.cpu() - cpu
        if answer[1] != 'ran':
            raise Failure(answer[0].strip())
        words = answer[2].split()
        return Ran(int(words[2]) * 1e-9, cpu, words[4], wall)
