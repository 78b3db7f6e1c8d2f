#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""iPXE comes to its prompt and takes commands."""

import caserun
from vmdriver import VM, guest


def prompt(vm):
    vm.wait_screen('Ctrl-B', 90)
    vm.sendkey('ctrl-b')
    vm.wait_screen('iPXE>', 30)
    vm.type('echo one two\n')
    vm.wait_screen('^one two', 30)
    vm.type('reboot\n')
    vm.wait_screen('Ctrl-B', 90)
    vm.quit()
    vm.wait_exit(30)


@caserun.case('ipxe-cd')
def cd():
    with VM('ipxe', cdroms=[guest('ipxe', 'ipxe.iso')], boot='cd') as vm:
        prompt(vm)


@caserun.case('ipxe-kernel', short=True)
def kernel():
    with VM('ipxe', kernel=guest('ipxe', 'ipxe.lkrn')) as vm:
        prompt(vm)


caserun.main()
