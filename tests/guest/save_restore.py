#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
"""A machine saved in the middle of work goes on in another process.

BP_TEST_RUNS sets how often (20), BP_TEST_SEED makes the moments repeat.
"""

import os
import random
import shutil
import subprocess
import tempfile
import time

import caserun
from vmdriver import BUILD, VM, Failure, guest

SIZE = 24 << 20


def make_disk(path, seed):
    """An ext4 disk with one file of noise; its checksum."""
    tree = path + '.tree'
    os.mkdir(tree)
    noise = os.path.join(tree, 'noise')
    with open(noise, 'wb') as file:
        file.write(random.Random(seed).randbytes(SIZE))
    digest = subprocess.run(['md5sum', noise], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.split()[0]
    path_before = os.environ['PATH']
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-d', tree, path, '160M'],
                   check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, PATH=path_before + ':/sbin:/usr/sbin'))
    shutil.rmtree(tree)
    return digest


def machine(name, disk, **more):
    return VM(name, memory=192, cpus=2, disks=[disk],
              kernel=guest('kernel-cloud-amd64', 'vmlinuz'),
              initrd=guest('initramfs-cloud', 'initrd.img'),
              append='console=ttyS0,115200', **more)


def one_run(folder, number, moment, digest):
    disk = os.path.join(folder, 'run.img')
    state = os.path.join(folder, 'run.state')
    caserun.copy(os.path.join(folder, 'base.img'), disk)
    with machine('save-%d' % number, disk,
                 restore=os.path.join(folder, 'base.state')) as vm:
        vm.run(':', 30)
        # Four copies, read back from the disk and not from memory.
        vm.send('echo "@"begin; for i in 1 2 3 4; do cp noise $i; sync; '
                'echo 3 >/proc/sys/vm/drop_caches; done; md5sum [1-4]; '
                'echo "@"end')
        vm.expect('@begin', 30)
        time.sleep(moment)
        vm.save(state)
        early = b'@end' in vm.seen[vm.used:]
        vm.quit()
        vm.wait_exit(30)
        seen = bytes(vm.seen[vm.used:])
    with machine('restore-%d' % number, disk, restore=state) as vm:
        if early:
            vm.run(':', 30)
            said = seen.decode()
        else:
            said = vm.expect(r'[^@]*@end', 120)[0]
            said = seen.decode() + said
        if said.count(digest) != 4:
            raise Failure('run %d, saved after %.3f s: %s' %
                          (number, moment, said))
        vm.run('cd / && umount /mnt && e2fsck -f -n /dev/sda', 60)
        vm.send('poweroff -f')
        vm.wait_exit(30)
    return early


def runs(count):
    seed = int(os.environ.get('BP_TEST_SEED', time.time_ns() & 0xffffff))
    print('# BP_TEST_SEED=%d' % seed)
    chance = random.Random(seed)
    folder = tempfile.mkdtemp(prefix='save.', dir=BUILD)
    try:
        base = os.path.join(folder, 'base.img')
        digest = make_disk(base, seed)
        with machine('save-base', base) as vm:
            vm.expect('BACKPLANE-GUEST-OK', 240)
            vm.expect('# ', 20)
            vm.run('mount /dev/sda /mnt && cd /mnt && sync')
            begin = time.monotonic()
            vm.run('cp noise x && sync && rm x && sync', 120)
            span = 4 * (time.monotonic() - begin)
            vm.save(os.path.join(folder, 'base.state'))
            vm.quit()
            vm.wait_exit(30)
        late = sum(one_run(folder, number, chance.uniform(0, span), digest)
                   for number in range(1, count + 1))
        return '%d runs, %d saved after the copy' % (count, late)
    finally:
        shutil.rmtree(folder)


@caserun.case('save-restore-2-runs', short=True)
def few():
    return runs(2)


@caserun.case('save-restore-many-runs')
def many():
    return runs(int(os.environ.get('BP_TEST_RUNS', '20')))


caserun.main()
