#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 3000
"""Disks and DVDs on the SCSI controller, driven by Debian's hv_storvsc.

Load that is verified, disks that come and go, media that change, discard,
and a machine saved in the middle of it.  BP_TEST_FIO is the seconds of load.
"""

import os
import re
import shutil
import tempfile
import time

import caserun
import kernel_log
from vmdriver import BUILD, VM, Failure, guest

CONSOLE = 'console=tty0 console=ttyS0,115200'
MB = 1 << 20


class Folder:
    """Images that a case makes, gone when it ends."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='hvstorage.', dir=BUILD)
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path)

    def file(self, name):
        return os.path.join(self.path, name)

    def image(self, name, size):
        path = self.file(name)
        with open(path, 'wb') as f:
            f.truncate(size)
        return path


def machine(name, disks=(), generation=2, cpus=2, memory=512, **more):
    root = guest('disk-hyperv', 'disk.img') + ',snapshot=on'
    if generation == 1:
        root += ',bus=scsi'
    return VM(name, memory=memory, cpus=cpus, disks=[root] + list(disks),
              kernel=guest('kernel-amd64', 'vmlinuz'),
              initrd=guest('initramfs-amd64', 'initrd.img'),
              append=CONSOLE + ' root=LABEL=root',
              options=['--gen', str(generation)], **more)


def wait_for(vm, command, pattern, what, times=30):
    for _ in range(times):
        said = vm.run(command, 60, check=False)
        if re.search(pattern, said):
            return said
        vm.run('sleep 0.5')
    raise Failure('%s: %s' % (what, said))


def at(lun):
    """The disk at this place; its name depends on who was found first."""
    return '/sys/bus/scsi/devices/*:0:0:%d/block' % lun


def absent(vm, lun):
    wait_for(vm, 'test -e %s/* || echo gone' % at(lun), 'gone',
             'a disk at %d' % lun)


def present(vm, lun):
    """Its name in /dev."""
    said = wait_for(vm, 'ls %s' % at(lun), r'(?m)^sd\w', 'no disk at %d' % lun)
    return re.search(r'(?m)^sd\w+', said)[0]


def load(vm, seconds, where):
    """Mixed load with every byte verified."""
    said = vm.run(
        'fio --name=v --filename=%s --size=96M --rw=randrw --bsrange=512-256k '
        '--ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c '
        '--verify_backlog=256 --time_based --runtime=%d --randrepeat=0 '
        '--minimal >/tmp/fio.log 2>&1; echo fio=$?' % (where, seconds),
        seconds * 4 + 300)
    if 'fio=0' not in said:
        raise Failure('fio found: %s' % vm.run('tail -n 5 /tmp/fio.log', 60))


# Linux flushes a disk that was taken away, and tells that it cannot.
REMOVED = re.compile(r'cmd 0x35 status: scsi 0x2 srb 0x20 hv 0xc00000c0')


def finish(vm):
    log = vm.run('dmesg -r', 60)
    kernel_log.judge('\n'.join(line for line in log.split('\n')
                               if not REMOVED.search(line)))
    vm.send('poweroff')
    vm.wait_exit(120)


@caserun.case('hv-storage-gen%d', short=True, rows=[(2,)])
def come_and_go(generation):
    with Folder() as folder:
        hot = folder.image('hot.img', 64 * MB)
        with machine('hv-storage', generation=generation) as vm:
            vm.login(240)
            for _ in range(3):
                name = vm.machine.ctl('disk-add', hot, 'lun=9').strip()
                vm.run('dd if=/dev/urandom of=/dev/%s bs=1M count=4 '
                       'conv=fsync 2>/dev/null' % present(vm, 9), 60)
                vm.machine.ctl('disk-remove', name)
                absent(vm, 9)
            added = [vm.machine.ctl('disk-add', path, 'readonly').strip()
                     for path in (hot, folder.image('b.img', MB))]
            for lun, name in enumerate(added, 1):
                said = vm.run('cat /sys/block/%s/ro' % present(vm, lun))
                if said.strip() != '1':
                    raise Failure('%s can be written' % name)
                vm.machine.ctl('disk-remove', name)
                absent(vm, lun)
            finish(vm)


@caserun.case('hv-dvd-gen%d', rows=[(1,), (2,)])
def dvd(generation):
    """Media come and go; one that is mounted is locked in."""
    iso = guest('iso-data', 'data.iso')
    with Folder() as folder:
        other = folder.file('other.iso')
        shutil.copyfile(iso, other)
        with open(other, 'r+b') as f:
            f.seek(16 * 2048 + 40)
            f.write(b'OTHER   ')
        scsi = ',bus=scsi' if generation == 1 else ''
        with machine('hv-dvd', generation=generation,
                     cdroms=[scsi]) as vm:
            vm.login(240)
            wait_for(vm, 'ls /dev/sr0', 'sr0$', 'no DVD drive')
            for path, label in ((iso, 'BACKPLAN'), (other, 'OTHER')):
                vm.change_media(path)
                wait_for(vm, 'dd if=/dev/sr0 bs=2048 skip=16 count=1 '
                         '2>/dev/null | dd bs=1 skip=40 count=8 2>/dev/null',
                         label, 'the medium is another one')
            vm.run('mkdir -p /cd && mount -o ro /dev/sr0 /cd', 60)
            vm.run('find /cd -type f | xargs cat | sha256sum', 120)
            try:
                vm.eject()
            except Failure:
                pass
            else:
                raise Failure('a mounted DVD could be taken out')
            vm.run('umount /cd', 60)
            vm.run('eject /dev/sr0 || eject -s /dev/sr0', 60, check=False)
            finish(vm)


@caserun.case('hv-discard')
def discard():
    """What a file system frees, the image gives back."""
    with Folder() as folder:
        path = folder.image('data.img', 256 * MB)
        with machine('hv-discard', [path]) as vm:
            vm.login(240)
            disk = '/dev/' + present(vm, 1)
            vm.run('mkfs.ext4 -q %s && mkdir -p /data && mount %s /data' %
                   (disk, disk), 120)
            vm.run('dd if=/dev/urandom of=/data/big bs=1M count=128 '
                   'conv=fsync 2>/dev/null; sync', 240)
            full = os.stat(path).st_blocks * 512
            vm.run('rm /data/big; sync; fstrim -v /data', 240)
            vm.run('umount /data; fsck.ext4 -fn ' + disk, 240)
            left = os.stat(path).st_blocks * 512
            if full < 128 * MB or left > full - 100 * MB:
                raise Failure('%d of %d bytes are left' % (left, full))
            vm.run('blkdiscard -f -z -l 1M ' + disk, 60)
            finish(vm)
    return '%d MB to %d MB' % (full // MB, left // MB)


@caserun.case('hv-fio-gen%d-cpus-%d', rows=[(2, 1), (2, 4), (1, 2)])
def verified_load(generation, cpus):
    with Folder() as folder:
        path = folder.image('data.img', 128 * MB)
        scsi = ',bus=scsi' if generation == 1 else ''
        with machine('hv-fio', [path + scsi], generation, cpus) as vm:
            vm.login(240)
            load(vm, int(os.environ.get('BP_TEST_FIO', '60')),
                 '/dev/' + present(vm, 1))
            finish(vm)


@caserun.case('hv-save-load')
def saved_under_load():
    """Saved and restored while verified load runs, and with a disk that was
    added; the guest notices nothing."""
    with Folder() as folder:
        path = folder.image('data.img', 128 * MB)
        hot = folder.image('hot.img', 32 * MB)
        state = folder.file('state')
        vm = machine('hv-save', [path])
        with vm:
            vm.login(240)
            vm.machine.ctl('disk-add', hot)
            added = present(vm, 2)
            vm.send('fio --name=v --filename=/dev/%s --size=64M --rw=randrw '
                    '--bs=4k --ioengine=libaio --direct=1 --iodepth=16 '
                    '--verify=crc32c --verify_backlog=256 --time_based '
                    '--runtime=20 --minimal >/tmp/fio.log; echo fio=$?' %
                    present(vm, 1))
            time.sleep(5)
            vm.save(state)
            vm.quit()
            vm.wait_exit(30)
        with machine('hv-save', [path, hot], restore=state) as vm:
            vm.resume()
            vm.expect('fio=0', 300)
            vm.run('dd if=/dev/%s of=/dev/null bs=1M 2>/dev/null' % added, 60)
            finish(vm)


if __name__ == '__main__':
    caserun.main()
