#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 3000
"""Debian finds Hyper-V and its VMBus on machines of both generations.

The short case asks the kernel what it has found; the long ones boot a disk
on the SCSI controller, and start a kernel by kexec, which has to open the bus
anew.
"""

import os
import re
import shutil
import tempfile

import caserun
import kernel_log
from vmdriver import BUILD, VM, Failure, guest

CONSOLE = 'console=tty0 console=ttyS0,115200'
# Interface of a VMBus device -> the driver that has to have it.
DRIVERS = {
    'ba6163d9-04a1-4d29-b605-72e2ffb1dc7f': 'hv_storvsc',
    '32412632-86cb-44a2-9b5c-50d1417354f5': 'hv_storvsc',
    'f8615163-df3e-46c5-913f-f2d2f965ed0e': 'hv_netvsc',
    'da0a7802-e377-4aac-8e77-0558eb1073f8': 'hyperv_drm',
    'f912ad6d-2b17-48ea-bd65-f927a61c7684': 'hyperv_keyboard',
    'cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a': 'hid_hyperv',
    '57164f39-9115-4e78-ab55-382f3bd5422d': 'hv_utils',
    '0e0b6031-5213-4934-818b-38d90ced39db': 'hv_utils',
    '9527e630-d0ae-497b-adce-e80ab0175caf': 'hv_utils',
    'a9a0f4e7-5a45-4d96-b827-8a841e8c03e6': 'hv_utils',
    '35fa2e29-ea23-4236-96ae-3a6ebacba440': 'hv_utils',
    '34d14be3-dee4-41c8-9ae7-6b174977c192': 'hv_utils',
    '525074dc-8985-46e2-8057-a307dc18a502': 'hv_balloon',
}


def machine(name, generation, cpus, append='', disks=(), memory=512,
            flavour='amd64', **more):
    return VM(name, memory=memory, cpus=cpus, disks=disks,
              kernel=guest('kernel-' + flavour, 'vmlinuz'),
              initrd=guest('initramfs-' + flavour, 'initrd.img'),
              append=CONSOLE + ' ' + append,
              options=['--gen', str(generation)], **more)


def bound(vm):
    """The interface and the driver of each device on the bus."""
    said = vm.run('cd /sys/bus/vmbus/devices; for d in *; do echo $(cat '
                  '$d/class_id) $(basename $(readlink $d/driver || '
                  'echo none)); done; cd')
    return [(words[0].strip('{}'), words[1])
            for words in (line.split() for line in said.split('\n'))
            if len(words) == 2]


def check_hyperv(vm):
    log = vm.run('dmesg -r', 60)
    if 'Hypervisor detected: Microsoft Hyper-V' not in log:
        raise Failure('it has not found the hypervisor')
    if not re.search(r'Vmbus version:5\.\d', log):
        raise Failure('no VMBus of version 5')
    kernel_log.judge(log)
    source = vm.run('cat /sys/devices/system/clocksource/clocksource0/'
                    'current_clocksource')
    if not source.startswith('hyperv_clocksource'):
        raise Failure('the clock is %s' % source)
    devices = bound(vm)
    if len(devices) < 8:
        raise Failure('only %d devices are on the bus' % len(devices))
    for interface, driver in devices:
        if driver != DRIVERS.get(interface):
            raise Failure('%s is driven by %s' % (interface, driver))


def shell(generation, cpus, **more):
    with machine('hv-gen%d-cpus-%d' % (generation, cpus), generation, cpus,
                 **more) as vm:
        vm.expect('BACKPLANE-GUEST-OK', 240)
        vm.expect('# ', 20)
        check_hyperv(vm)
        vm.send('poweroff -f')
        vm.wait_exit(30)


@caserun.case('hv-gen%d-cpus-%d', short=True, rows=[(2, 2)])
def short(generation, cpus):
    shell(generation, cpus)


@caserun.case('hv-gen%d-cpus-%d', rows=[(1, 1), (1, 2), (2, 1), (2, 4)])
def others(generation, cpus):
    shell(generation, cpus)


@caserun.case('hv-%s-gen%d-cpus-%d', rows=[
    ('686-pae', 1, 2), ('686-pae', 2, 1), ('686', 1, 1), ('686', 2, 2)])
def of_32_bits(flavour, generation, cpus):
    """These call the hypervisor in another way."""
    shell(generation, cpus, flavour=flavour)


@caserun.case('hv-disk-gen%d-cpus-%d', rows=[
    (generation, cpus) for generation in (1, 2) for cpus in (1, 2, 4)])
def disk(generation, cpus):
    """Boots to the login, twenty times in a row (BP_TEST_BOOTS)."""
    times = int(os.environ.get('BP_TEST_BOOTS', '20'))
    folder = tempfile.mkdtemp(prefix='hvdisk.', dir=BUILD)
    try:
        image = os.path.join(folder, 'disk.img')
        caserun.copy(guest('disk-hyperv', 'disk.img'), image)
        for n in range(times):
            scsi = ',bus=scsi' if generation == 1 else ''
            with machine('hv-disk-%d' % n, generation, cpus,
                         'root=LABEL=root', [image + scsi]) as vm:
                vm.login(240)
                if n == 0:
                    kernel_log.judge(vm.run('dmesg -r', 60))
                    on = vm.run('readlink -f /sys/block/sda')
                    if 'MSFT1000' not in on:
                        raise Failure('the disk is at %s' % on)
                vm.send('poweroff')
                vm.wait_exit(120)
        return '%d boots' % times
    finally:
        shutil.rmtree(folder)


@caserun.case('hv-ide-on-vmbus-%s', rows=[('on',), ('off',)])
def ide_path(path):
    """GRUB reads an IDE disk; Linux has it on VMBus, or from ata_piix."""
    disk = guest('disk-amd64', 'disk.img') + ',vmbus=' + path
    with VM('hv-ide', memory=512, cpus=2, disks=[disk], snapshot=True) as vm:
        vm.login(240)
        kernel_log.judge(vm.run('dmesg -r', 60))
        on = vm.run('readlink -f /sys/block/sda')
        if ('MSFT1000' in on) != (path == 'on'):
            raise Failure('the disk is at %s' % on)
        vm.run('find /usr/bin -type f | xargs cat | md5sum', 120)
        vm.send('poweroff')
        vm.wait_exit(120)


@caserun.case('hv-kexec')
def kexec():
    folder = tempfile.mkdtemp(prefix='hvkexec.', dir=BUILD)
    try:
        image = os.path.join(folder, 'disk.img')
        caserun.copy(guest('disk-hyperv', 'disk.img'), image)
        with machine('hv-kexec', 2, 2, 'root=LABEL=root', [image]) as vm:
            vm.login(240)
            vm.run('kexec -l /boot/vmlinuz --initrd=/boot/initrd.img '
                   '--reuse-cmdline --append="again=1"', 60)
            vm.send('kexec -e')
            vm.expect('Linux version', 120)
            vm.login(240)
            if 'Vmbus version:5' not in vm.run('dmesg | grep Vmbus'):
                raise Failure('the bus was not opened again')
            vm.run('echo kept >/root/kept && sync && cat /root/kept', 60)
            vm.send('poweroff')
            vm.wait_exit(120)
    finally:
        shutil.rmtree(folder)


@caserun.case('hv-panic')
def panic():
    """A guest that panics tells the host what it said."""
    with machine('hv-panic', 2, 1, 'panic=-1') as vm:
        vm.expect('BACKPLANE-GUEST-OK', 240)
        vm.expect('# ', 20)
        events = vm.machine.listen(vm)
        vm.send('echo c >/proc/sysrq-trigger')
        event = events.wait('GUEST_PANICKED', 60)
        if 'sysrq' not in str(event):
            raise Failure('the event says %s' % event)


if __name__ == '__main__':
    caserun.main()
