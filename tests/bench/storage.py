#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of a guest's disk: fio in Debian, in Backplane and in QEMU TCG.

Four machines run at once, idle but for the one that is asked: the SCSI
controller of Generation 2, a Generation 1 machine's IDE disk over VMBus and
as IDE, and QEMU with virtio-blk.  Each row is measured in all of them in
turns, BP_BENCH_TURNS times, and the median counts.  The image is in the
host's page cache.

What limits, as perf shows it: reads are the guest's own code (fio, its block
layer) and copying out of the page cache, both on the processor's thread.
Writes change threads twice, to the drive's and back, and on a host with less
idle processors than machines these waits are most of their time.

WHO and ROWS choose some: WHO='scsi qemu' ROWS='read-4k-qd1'.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

import guestbench
import caserun
from guestbench import Failure, QemuMachine, say
from vmdriver import BUILD, VM, guest

DISK_MB = 192
SECONDS = float(os.environ.get('BP_BENCH_SECONDS', '3'))
TURNS = int(os.environ.get('BP_BENCH_TURNS', '3'))
ROWS = {
    'read-4k-qd1': ('randread', '4k', 1),
    'read-4k-qd32': ('randread', '4k', 32),
    'read-seq': ('read', '128k', 8),
    'write-4k-qd32': ('randwrite', '4k', 32),
}
# Name -> (generation; None is QEMU, how the disk is attached)
KINDS = {
    'scsi': (2, ''),
    'ide-vmbus': (1, ',bus=ide,vmbus=on'),
    'ide': (1, ',bus=ide'),
    'qemu': (None, None),
}


class Tcg(QemuMachine):
    """With a virtio-blk disk and one that has its driver."""

    def __init__(self, folder, image, modules):
        super().__init__(folder)
        self.image = image
        self.modules = modules

    def command(self, vm):
        return super().command(vm) + [
            '-cpu', 'max',
            '-drive', 'file=%s,format=raw,if=ide,index=1,readonly=off,'
            'snapshot=on' % self.modules,
            '-drive', 'file=%s,format=raw,if=virtio' % self.image]


def driver_disk(folder):
    """An ext2 image with the modules of virtio-blk, in a loadable order."""
    base = guest('kernel-amd64')
    with open(os.path.join(base, 'version')) as file:
        version = file.read().strip()
    tree = os.path.join(folder, 'modules')
    os.mkdir(tree)
    said = subprocess.run(
        ['/sbin/modprobe', '-a', '-d', base, '-S', version, '--show-depends',
         'virtio_pci', 'virtio_blk'], stdout=subprocess.PIPE, text=True,
        check=True).stdout
    names = []
    for line in said.split('\n'):
        words = line.split()
        if words[:1] == ['insmod'] and words[1] not in names:
            names.append(words[1])
    for number, name in enumerate(names):
        shutil.copyfile(name, os.path.join(tree, '%02d.ko' % number))
    path = os.path.join(folder, 'modules.img')
    subprocess.run(['mke2fs', '-q', '-t', 'ext2', '-L', 'modules', '-d', tree,
                    path, '8M'], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ,
                            PATH=os.environ['PATH'] + ':/sbin:/usr/sbin'))
    return path


def make(name, folder):
    generation, options = KINDS[name]
    image = os.path.join(folder, name + '.img')
    with open(image, 'wb') as file:
        for n in range(DISK_MB):
            file.write(random.Random(n).randbytes(1 << 20))
    root = guest('disk-hyperv', 'disk.img')
    common = dict(memory=384, cpus=1, kernel=guest('kernel-amd64', 'vmlinuz'),
                  initrd=guest('initramfs-amd64', 'initrd.img'),
                  append='console=ttyS0,115200 root=LABEL=root')
    if generation is None:
        # Its locks and ours do not go together.
        own = os.path.join(folder, 'root.img')
        caserun.copy(root, own)
        modules = driver_disk(folder)
        return VM('bench-' + name, disks=[own], snapshot=True,
                  machine=lambda f: Tcg(f, image, modules), **common)
    return VM('bench-' + name,
              disks=[root + ',snapshot=on' + options, image + options],
              options=['--gen', str(generation)], **common)


def prepare(name, vm):
    vm.login(300)
    if KINDS[name][0] is None:
        vm.run('mkdir -p /m && mount -L modules /m && '
               'for i in /m/*.ko; do insmod $i; done', 60)
    # Disks are found in any order; this one has its size.
    vm.run('for d in /sys/block/[sv]d?; do [ $(cat $d/size) != %d ] || '
           'ln -s /dev/${d##*/} /dev/measured; done; cat /dev/measured '
           '>/dev/null' % (DISK_MB << 11), 300)


def measure(vm, row):
    """Requests a second."""
    kind, size, depth = ROWS[row]
    said = vm.run(
        'fio --name=x --filename=/dev/measured --rw=%s --bs=%s --iodepth=%d '
        '--ioengine=%s --direct=1 --time_based --runtime=%g --ramp_time=0.5 '
        '--norandommap --output-format=json | grep -v "^fio:" >/tmp/j; '
        'tr -d "\\n" </tmp/j | tr -s " " | grep -o \'"iops" : [0-9.]*\'' %
        (kind, size, depth, 'psync' if depth == 1 else 'libaio',
         SECONDS), SECONDS * 10 + 60)
    rates = [float(line.split()[-1]) for line in said.split('\n')
             if line.startswith('"iops"')]
    if not rates or not max(rates):
        raise Failure('fio said: %s' % said)
    return max(rates)


def main():
    who = os.environ.get('WHO', ' '.join(KINDS)).split()
    rows = os.environ.get('ROWS', ' '.join(ROWS)).split()
    who = [name for name in who if name != 'qemu' or guestbench.has_qemu()]
    folder = tempfile.mkdtemp(prefix='storage.', dir=BUILD)
    machines = {}
    try:
        for name in who:
            say('starting %s' % name)
            machines[name] = make(name, folder)
            machines[name].__enter__()
            prepare(name, machines[name])
        for row in rows:
            found = {name: [] for name in who}
            for _ in range(TURNS):
                for name in who:
                    found[name].append(measure(machines[name], row))
            middle = {name: statistics.median(found[name]) for name in who}
            for name in who:
                print('storage-%s-%s %.0f 1/s' % (row, name, middle[name]),
                      flush=True)
            if 'qemu' in who:
                say('%-14s %s' % (row, '  '.join(
                    '%s %.0f/s %.2fx' % (name, middle[name],
                                         middle[name] / middle['qemu'])
                    for name in who)))
    finally:
        for vm in machines.values():
            vm.close()
        shutil.rmtree(folder)


if __name__ == '__main__':
    sys.exit(main())
