#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
"""Two deterministic runs of one boot are the same run, by whatever engine.

They are compared at a virtual time long after the guest has halted: the
services of the host tick on.
"""

import caserun
from vmdriver import VM, Failure, guest


def boot(jit=None):
    # The name goes into the UUID, which the guest sees.
    with VM('deterministic', deterministic=True, jit=jit,
            rtc_base='2024-02-29T12:00:00Z',
            kernel=guest('kernel-cloud-amd64', 'vmlinuz'),
            initrd=guest('initramfs-cloud', 'initrd.img'),
            append='console=ttyS0,115200 autohalt',
            options=['--pause-at', '60000']) as vm:
        vm.machine.listen(vm).wait('STOP', 300)
        vm.expect('System halted', 1)
        return vm.hash(), bytes(vm.seen)


def compare(one, two):
    (hash_one, log_one), (hash_two, log_two) = one, two
    if log_one != log_two:
        lines = zip(log_one.split(b'\n'), log_two.split(b'\n'))
        for one, two in lines:
            if one != two:
                raise Failure('%r became %r' % (one, two))
    if hash_one != hash_two:
        raise Failure('the states differ: %s and %s' % (hash_one, hash_two))


@caserun.case('two-boots-alike', short=True)
def two():
    compare(boot(), boot())


@caserun.case('interpreted-and-translated-alike')
def engines():
    compare(boot('off'), boot('on'))


caserun.main()
