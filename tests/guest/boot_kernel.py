#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
"""Debian's kernels start from --kernel, count their processors and end.

Each boots into its initramfs, is typed to over the serial line, and must
have logged nothing that a real PC would not make it log.
"""

import caserun
import kernel_log
from vmdriver import VM, Failure, guest

KERNELS = {'cloud': 'kernel-cloud-amd64', 'amd64': 'kernel-amd64',
           '686': 'kernel-686', '686-pae': 'kernel-686-pae'}


def boot(name, cpus, jit=None):
    kernel = KERNELS[name]
    with open(guest(kernel, 'version')) as file:
        version = file.read().strip()
    with VM('kernel-%s-%d' % (name, cpus), cpus=cpus, jit=jit,
            kernel=guest(kernel, 'vmlinuz'),
            initrd=guest('initramfs-' + name, 'initrd.img'),
            append='console=tty0 console=ttyS0,115200') as vm:
        said = vm.expect(r'BACKPLANE-GUEST-OK (\S+) cpus=(\d+)', 240)
        if said[1:] != [version, str(cpus)]:
            raise Failure('it is %s with %s processors' % tuple(said[1:]))
        vm.expect('# ', 20)
        online = vm.run('grep -c ^processor /proc/cpuinfo')
        if online != str(cpus):
            raise Failure('/proc/cpuinfo lists %s processors' % online)
        log = vm.run('dmesg -r', 60)
        kernel_log.judge(log)
        # Arithmetic that a wrong processor gets wrong.
        sums = vm.run('seq 1 20000 | md5sum; seq 1 20000 | gzip | zcat | '
                      'sha512sum | cut -c 1-16; '
                      'awk \'BEGIN { while (++k < 2001) s += 1 / k; '
                      'printf "%.9f", s }\'', 60)
        if sums.split() != ['e071f707df7bbeee2a6a1eb48011ddd0', '-',
                            '7686a0fb0b50564b', '8.178368104']:
            raise Failure('wrong sums: %s' % sums)
        vm.send('poweroff -f')
        vm.wait_exit(30)


@caserun.case('kernel-%s-cpus-%d', short=True, rows=[('cloud', 2)])
def short(name, cpus):
    boot(name, cpus)


@caserun.case('kernel-%s-interpreted', short=True, rows=[('cloud',)])
def interpreted(name):
    boot(name, 1, 'off')


@caserun.case('kernel-%s-cpus-%d', rows=[
    (name, cpus) for name in KERNELS for cpus in (1, 2)
    if (name, cpus) != ('cloud', 2)])
def others(name, cpus):
    boot(name, cpus)


caserun.main()
