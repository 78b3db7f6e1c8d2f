#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
"""Debian starts from an IDE disk by the BIOS and GRUB, and keeps its files.

One disk lives through four starts: two by GRUB with a reboot between them,
a power-off, and one in memory that checks the file system from outside.
"""

import calendar
import hashlib
import os
import shutil
import tempfile
import time

import caserun
import kernel_log
from vmdriver import BUILD, VM, Failure, guest

# Checksum of the lines 1 to 300000.
NUMBERS = hashlib.md5(b''.join(b'%d\n' % n for n in range(1, 300001))
                      ).hexdigest()
KERNELS = {'disk-amd64': 'amd64', 'disk-i386': '686-pae'}


def now_in_guest(vm, command):
    said = vm.run(command).split('.')[0]
    return calendar.timegm(time.strptime(said, '%Y-%m-%d %H:%M:%S'))


def check_clock(vm, expected):
    off = now_in_guest(vm, 'TZ=UTC hwclock --utc --show') - expected
    if abs(off) > 5:
        raise Failure('the clock is %d s off' % off)


def live(name, image, cpus):
    with VM(name, disks=[image], cpus=cpus) as vm:
        begin = time.time()
        vm.expect('Debian', 60)
        vm.expect('Linux version', 180)
        vm.login(240)
        took = time.time() - begin
        kernel_log.judge(vm.run('dmesg -r', 60))
        if vm.run('nproc') != str(cpus):
            raise Failure('not %d processors' % cpus)
        check_clock(vm, time.time())
        vm.run('mkdir /root/kept && cd /root/kept')
        vm.run('seq 1 300000 >a && tac a >b && cp -a /bin /root/kept/', 120)
        before = vm.run('find . -type f | sort | xargs cat | md5sum', 120)
        vm.run('hwclock --set --date "2001-02-03 04:05:06" --utc')
        set_at = time.time()
        vm.run('sync', 60)
        vm.send('reboot -d -f')

        vm.expect('Linux version', 240)
        vm.login(240)
        check_clock(vm, calendar.timegm((2001, 2, 3, 4, 5, 6)) +
                    time.time() - set_at)
        after = vm.run('cd kept && find . -type f | sort | xargs cat | md5sum',
                       120)
        if before != after:
            raise Failure('the files have changed')
        vm.run('rm b && touch c')
        vm.send('poweroff')
        vm.wait_exit(120)
        return before, took


def check_from_memory(image, name, before):
    with VM(name + '-fsck', disks=[image],
            kernel=guest('kernel-' + KERNELS[name], 'vmlinuz'),
            initrd=guest('initramfs-' + KERNELS[name], 'initrd.img'),
            append='console=ttyS0,115200') as vm:
        vm.expect('BACKPLANE-GUEST-OK', 240)
        vm.expect('# ', 20)
        vm.run('e2fsck -f -n /dev/sda1', 120)
        vm.run('mount -o ro /dev/sda1 /mnt && cd /mnt/root/kept')
        vm.run('[ -e c ] && [ ! -e b ]')
        if vm.run('md5sum <a', 60).split()[0] != NUMBERS:
            raise Failure('the file reads wrong from outside')
        vm.run('fdisk -l /dev/sda | grep -q "^/dev/sda1 "')
        vm.send('poweroff -f')
        vm.wait_exit(30)


@caserun.case('%s-cpus-%d', rows=[('disk-amd64', 1), ('disk-amd64', 2),
                                  ('disk-i386', 1), ('disk-i386', 2)])
def disk(name, cpus):
    folder = tempfile.mkdtemp(prefix='disk.', dir=BUILD)
    try:
        image = os.path.join(folder, 'disk.img')
        caserun.copy(guest(name, 'disk.img'), image)
        before, took = live(name, image, cpus)
        check_from_memory(image, name, before)
        return 'login after %.1f s' % took
    finally:
        shutil.rmtree(folder)


caserun.main()
