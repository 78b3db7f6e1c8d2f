#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
"""Starts from a CD; then the drive is opened, and the disc changed."""

import hashlib

import caserun
import kernel_log
from vmdriver import VM, Failure, guest

DOWN = '\x1b[B'


@caserun.case('cd-linux')
def linux():
    image = guest('iso-amd64', 'boot.iso')
    with open(guest('kernel-amd64', 'vmlinuz'), 'rb') as file:
        digest = hashlib.md5(file.read()).hexdigest()
    with VM('cd', cdroms=[image], boot='cd') as vm:
        vm.expect('then power off', 60)
        vm.expect('BACKPLANE-GUEST-OK', 240)
        vm.expect('# ', 20)
        kernel_log.judge(vm.run('dmesg -r', 60))
        vm.run('mount -r /dev/sr0 /mnt')
        if vm.run('cat /mnt/media.txt') != 'Backplane boot CD':
            raise Failure('not the boot CD')
        if vm.run('md5sum </mnt/boot/vmlinuz', 60).split()[0] != digest:
            raise Failure('the kernel on the CD reads wrong')

        # The guest keeps the door locked while the disc is in use.
        try:
            vm.eject()
        except Failure:
            pass
        else:
            raise Failure('a mounted disc came out')
        vm.run('cat /mnt/media.txt && umount /mnt && eject /dev/sr0')
        # Reading shuts the door again, when the kernel may do so.
        vm.run('echo 0 >/proc/sys/dev/cdrom/autoclose')
        vm.run('! dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>&1')
        vm.run('echo 1 >/proc/sys/dev/cdrom/autoclose')
        # A disc that came in is another one, to the drive's unit attention
        # and so to the kernel, which refuses reads until the next open.
        vm.run('until dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>&1; do '
               'sleep 1; done', 30)
        vm.run('eject /dev/sr0')
        vm.change_media(guest('iso-data', 'data.iso'))
        vm.run('until mount -r /dev/sr0 /mnt 2>/dev/null; do sleep 1; done',
               30)
        if vm.run('cat /mnt/media.txt') != 'Backplane data CD':
            raise Failure('not the data CD')
        vm.run('cd /mnt && md5sum -c md5sums && seq 1 600000 | '
               'cmp - numbers.txt', 120)
        vm.run('cd / && umount /mnt')

        # The other way round: the host opens it.
        vm.eject()
        vm.run('! mount -r /dev/sr0 /mnt 2>/dev/null', 30)
        vm.change_media(image)
        vm.run('until mount -r /dev/sr0 /mnt 2>/dev/null; do sleep 1; done',
               30)
        if vm.run('cat /mnt/media.txt') != 'Backplane boot CD':
            raise Failure('not the boot CD again')
        vm.send('poweroff -f')
        vm.wait_exit(30)


@caserun.case('cd-linux-autooff')
def autooff():
    """The second entry of GRUB's menu, chosen over the serial line."""
    with VM('cd', cdroms=[guest('iso-amd64', 'boot.iso')], boot='cd') as vm:
        vm.expect('then power off', 60)
        vm.send(DOWN, end='')
        vm.send('')
        vm.expect('BACKPLANE-GUEST-OK', 240)
        vm.wait_exit(30)


@caserun.case('cd-invaders', short=True)
def invaders():
    """A small kernel by multiboot: text screen, timer, polled keyboard."""
    with VM('cd', cdroms=[guest('iso-amd64', 'boot.iso')], boot='cd') as vm:
        vm.expect('then power off', 60)
        vm.send(DOWN * 3, end='')
        vm.send('')
        vm.wait_screen(r'-\*- .*-\*- .*-\*-', 60)
        vm.quit()
        vm.wait_exit(30)


@caserun.case('cd-grub-rescue')
def rescue():
    """Debian's own GRUB CD comes to its prompt and sees the drives."""
    with VM('rescue', cdroms=[guest('grub-rescue', 'grub-rescue-cdrom.iso')],
            disks=[guest('disk-amd64', 'disk.img')], snapshot=True,
            boot='cd') as vm:
        vm.wait_screen('GNU GRUB', 90)
        vm.sendkey('c')
        vm.wait_screen('grub>', 30)
        vm.type('ls\n')
        vm.wait_screen(r'\(hd0,msdos1\)', 30)
        vm.quit()
        vm.wait_exit(30)


caserun.main()
