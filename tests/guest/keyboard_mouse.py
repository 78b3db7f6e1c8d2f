#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
"""Keys and the mouse of a PC arrive in the guest, and text on its screen.

Those on VMBus are tested by hv_screen.py.
"""

import re
import time

import caserun
from evtest import device, events
from vmdriver import VM, Failure, guest

KEYS = (
    ('a', ['KEY_A']),
    ('shift-z', ['KEY_LEFTSHIFT', 'KEY_Z']),
    ('ctrl-alt-f9', ['KEY_LEFTCTRL', 'KEY_LEFTALT', 'KEY_F9']),
    ('left', ['KEY_LEFT']), ('home', ['KEY_HOME']), ('insert', ['KEY_INSERT']),
    ('delete', ['KEY_DELETE']), ('pgup', ['KEY_PAGEUP']),
    ('kp_enter', ['KEY_KPENTER']), ('f12', ['KEY_F12']),
    ('esc', ['KEY_ESC']), ('caps_lock', ['KEY_CAPSLOCK']),
    ('caps_lock', ['KEY_CAPSLOCK']), ('ctrl_r', ['KEY_RIGHTCTRL']),
)


def check_keys(vm):
    path = device(vm, 'AT Translated')

    def press():
        for keys, _ in KEYS:
            vm.sendkey(keys)
    seen = [event for event in events(vm, path, press)
            if event[0].startswith('KEY_') and event[1] != 2]
    at = 0
    for keys, names in KEYS:
        part = seen[at:at + 2 * len(names)]
        want = [(name, 1) for name in names]
        if part[:len(names)] != want or \
                sorted(part[len(names):]) != sorted((n, 0) for n in names):
            raise Failure('%s arrived as %s' % (keys, part))
        at += 2 * len(names)
    if at != len(seen):
        raise Failure('more keys than were pressed: %s' % seen[at:])


def check_mouse(vm):
    path = device(vm, 'Mouse')

    def move():
        for dx, dy, buttons in ((10, 0, 0), (30, -20, 0), (-5, 50, 0),
                                (0, 0, 1), (0, 0, 0), (0, 0, 2), (0, 0, 4),
                                (200, 100, 0)):
            vm.mouse(dx, dy, buttons)
            time.sleep(0.1)
    seen = events(vm, path, move)
    x = sum(value for name, value in seen if name == 'REL_X')
    y = sum(value for name, value in seen if name == 'REL_Y')
    if (x, y) != (235, 130):
        raise Failure('the mouse went %d, %d: %s' % (x, y, seen))
    buttons = [event for event in seen if event[0].startswith('BTN_')]
    if buttons[:2] != [('BTN_LEFT', 1), ('BTN_LEFT', 0)] or \
            sorted(buttons[2:]) != sorted([
                ('BTN_RIGHT', 1), ('BTN_RIGHT', 0),
                ('BTN_MIDDLE', 1), ('BTN_MIDDLE', 0)]):
        raise Failure('buttons: %s' % buttons)


def check_typing(vm):
    text = 'The quick brown fox: 0123456789 (jumps) over "it" & <that>?'
    vm.type('\n')
    vm.type("echo '%s' >/tmp/typed\n" % text)
    vm.run('until [ -s /tmp/typed ]; do sleep 1; done', 30)
    typed = vm.run('cat /tmp/typed')
    if typed != text:
        raise Failure('typed text arrives as %r' % typed)
    vm.type('clear; uname -r\n')
    vm.wait_screen('^' + re.escape(vm.run('uname -r')), 30)


@caserun.case('keyboard-and-mouse-%s', rows=[('amd64',), ('686-pae',)])
def input_devices(name):
    with VM('input', kernel=guest('kernel-' + name, 'vmlinuz'),
            initrd=guest('initramfs-' + name, 'initrd.img'),
            append='console=ttyS0,115200', options=['--hv', 'off']) as vm:
        vm.expect('BACKPLANE-GUEST-OK', 240)
        vm.expect('# ', 20)
        vm.run('dmesg -n 1')
        check_typing(vm)
        check_keys(vm)
        check_mouse(vm)
        # The power button, by ACPI.
        path = device(vm, 'Power Button')
        seen = events(vm, path, vm.powerdown)
        if ('KEY_POWER', 1) not in seen:
            raise Failure('the power button gave %s' % seen)
        # Three keys that restart a PC.
        vm.sendkey('ctrl-alt-delete')
        vm.expect('Linux version', 60)
        vm.reset()
        vm.expect('Linux version', 60)
        vm.quit()
        vm.wait_exit(30)


caserun.main()
