#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
"""Debian with hyperv-daemons does what the host asks of it.

Keys and values, heartbeat, shutdown and restart, time, freezing around a
state save, file copy and dynamic memory, with the kernel's own drivers.
"""

import hashlib
import json
import os
import re
import time

import caserun
from vmdriver import VM, Failure, guest

CONSOLE = 'console=ttyS0,115200 root=LABEL=root quiet'


def machine(name, generation, cpus=1, append='', options=(), **more):
    return VM(name, memory=512, cpus=cpus,
              disks=[guest('disk-hyperv', 'disk.img')], snapshot=True,
              kernel=guest('kernel-amd64', 'vmlinuz'),
              initrd=guest('initramfs-amd64', 'initrd.img'),
              append=CONSOLE + ' ' + append,
              options=['--gen', str(generation)] + list(options), **more)


def answer(vm, *words):
    return json.loads(vm.machine.ctl('--json', *words))


def must_fail(part, vm, *words):
    try:
        said = vm.machine.ctl(*words)
    except Failure as problem:
        if part in str(problem):
            return
        raise
    raise Failure('%r did not fail: %s' % (words, said))


def expect(what, found, wanted):
    if found != wanted:
        raise Failure('%s is %r, not %r' % (what, found, wanted))


def wait_for(what, seconds, function):
    """Until the function gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = function()
        except Failure as problem:
            found, what = None, '%s: %s' % (what, problem)
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure('no %s within %g s' % (what, seconds))
        time.sleep(0.3)


def daemons(vm):
    wait_for('key-value daemon', 60,
             lambda: answer(vm, 'kvp', 'get', 'OSName')['value'])


def keys(vm):
    items = {i['key']: i['value'] for i in answer(vm, 'kvp', 'list')['items']}
    expect('OSName', items['OSName'], 'Debian GNU/Linux')
    expect('ProcessorArchitecture', items['ProcessorArchitecture'], 'x86_64')
    vm.machine.ctl('kvp', 'set', 'color', 'gr\u00fcn')
    vm.machine.ctl('kvp', 'set', 'size', '7')
    expect('color', answer(vm, 'kvp', 'get', 'color')['value'], 'gr\u00fcn')
    expect('external items', answer(vm, 'kvp', 'list', 'external'),
           {'items': [{'key': 'color', 'value': 'gr\u00fcn'},
                      {'key': 'size', 'value': '7'}]})
    vm.run('grep -q gr /var/lib/hyperv/.kvp_pool_0')
    vm.machine.ctl('kvp', 'set', 'color', 'red')
    expect('color', answer(vm, 'kvp', 'get', 'color')['value'], 'red')
    vm.machine.ctl('kvp', 'delete', 'color')
    must_fail('no such key', vm, 'kvp', 'get', 'color')
    must_fail('no such item', vm, 'kvp', 'delete', 'color')


def address(vm):
    name = vm.run('ls /sys/class/net | grep -v lo | head -n 1')
    vm.run('ip link set %s up; ip addr add 10.9.8.7/24 dev %s' % (name, name))
    found = answer(vm, 'kvp', 'ip')['ipv4']
    if '10.9.8.7' not in found:
        raise Failure('the addresses are %r' % found)
    mac = vm.run('cat /sys/class/net/%s/address' % name).upper()
    found = answer(vm, 'kvp', 'ip', mac)
    if '10.9.8.7' not in found['address']:
        raise Failure('the addresses of %s are %r' % (mac, found))


# What Debian leaves to its users; the daemon calls it with a file of settings.
SET_IFCONFIG = """#!/bin/sh
. "$1"
ip addr add "$IPADDR0/${NETMASK0:-24}" dev "$DEVICE"
ip link set "$DEVICE" up
ip route add default via "$GATEWAY"
"""


def injection(vm):
    source = os.path.join(vm.folder, 'script')
    path = '/usr/libexec/hypervkvpd/hv_set_ifconfig'
    with open(source, 'w', encoding='ascii') as file:
        file.write(SET_IFCONFIG)
    vm.machine.ctl('copy-file', source, path, 'create')
    vm.run('chmod +x ' + path)
    vm.machine.ctl('kvp', 'set-ip', 'nic0', '10.0.2.99', '255.255.255.0',
                   '10.0.2.2')
    expect('the route', vm.run('ip route get 8.8.8.8').split()[2], '10.0.2.2')
    if '10.0.2.99' not in answer(vm, 'kvp', 'ip')['ipv4']:
        raise Failure('the guest has not got its address')
    must_fail('adapter', vm, 'kvp', 'set-ip', 'nic7', '10.0.2.98',
              '255.255.255.0', '10.0.2.2')


def copy(vm, megabytes):
    data = os.urandom(megabytes << 20)
    path = os.path.join(vm.folder, 'source')
    with open(path, 'wb') as file:
        file.write(data)
    must_fail('failed', vm, 'copy-file', path, '/root/new/copy')
    begin = time.monotonic()
    vm.machine.ctl('copy-file', path, '/root/new/copy', 'create')
    taken = time.monotonic() - begin
    found = vm.run('sha256sum /root/new/copy', 60).split()[0]
    expect('the checksum', found, hashlib.sha256(data).hexdigest())
    must_fail('exists', vm, 'copy-file', path, '/root/new/copy')
    vm.machine.ctl('copy-file', '/etc/hostname', '/root/new/copy',
                   'overwrite')
    expect('the size', vm.run('wc -c </root/new/copy'),
           str(os.path.getsize('/etc/hostname')))
    must_fail('regular', vm, 'copy-file', '/dev/zero', '/root/zero')
    return '%d MB copied in %.1f s' % (megabytes, taken)


def freeze(vm):
    vm.machine.ctl('freeze')
    vm.send('touch /root/frozen; echo "touch"ed')
    try:
        vm.expect('touched', 3)
    except Failure:
        pass
    else:
        raise Failure('a frozen file system was written to')
    vm.machine.ctl('thaw')
    vm.expect('touched', 20)
    vm.expect('# ', 20)


def services(generation, cpus):
    with machine('hv-services', generation, cpus,
                 options=['--nic', 'user']) as vm:
        vm.login(240)
        daemons(vm)
        keys(vm)
        address(vm)
        injection(vm)
        expect('heartbeat', answer(vm, 'heartbeat')['status'], 'ok')
        said = copy(vm, 50)
        freeze(vm)
        vm.machine.ctl('shutdown', 'good night')
        vm.wait_exit(120)
        return said


@caserun.case('hv-services-gen%d-cpus-%d', short=True, rows=[(2, 1)])
def services_short(generation, cpus):
    return services(generation, cpus)


@caserun.case('hv-services-gen%d-cpus-%d', rows=[(1, 1), (1, 2), (2, 2)])
def services_others(generation, cpus):
    return services(generation, cpus)


def guest_time(vm):
    return int(vm.run('date +%s'))


@caserun.case('hv-restart-gen%d', rows=[(1,), (2,)])
def restart(generation):
    with machine('hv-restart', generation) as vm:
        vm.login(240)
        daemons(vm)
        vm.machine.ctl('shutdown', 'restart')
        vm.login(240)
        daemons(vm)


@caserun.case('hv-quiet-save-gen%d', rows=[(1,), (2,)])
def quiet_save(generation):
    """Frozen, saved, restored in another machine: it thaws and knows what
    time it is."""
    with machine('hv-quiet-save', generation) as vm:
        vm.login(240)
        daemons(vm)
        vm.run('date -s "2001-02-03 04:05:06"')
        state = os.path.join(vm.folder, 'state')
        vm.machine.ctl('save', state, 'quiesce')
        with machine('hv-quiet-save', generation, restore=state) as other:
            wait_for('right time', 30, lambda: abs(
                guest_time(other) - time.time()) < 3)
            other.run('echo thawed >/root/thawed && sync', 30)
            expect('heartbeat', answer(other, 'heartbeat')['status'], 'ok')
            daemons(other)
        # The machine that was saved goes on, too.
        vm.resume()
        wait_for('right time', 30,
                 lambda: abs(guest_time(vm) - time.time()) < 3)
        vm.run('echo thawed >/root/thawed && sync', 30)


@caserun.case('hv-pause-gen%d', rows=[(2,)])
def pause(generation):
    """A guest that stood for a while learns the time, and a copy that was
    under way goes on."""
    with machine('hv-pause', generation) as vm:
        vm.login(240)
        daemons(vm)
        vm.pause()
        time.sleep(8)
        vm.resume()
        wait_for('right time', 30,
                 lambda: abs(guest_time(vm) - time.time()) < 3)


def total(vm):
    found = re.search(r'MemTotal: +(\d+)', vm.run('cat /proc/meminfo'))
    return int(found.group(1)) >> 10


@caserun.case('hv-memory-gen%d', rows=[(1,), (2,)])
def memory(generation):
    """Shrinks and grows by order; blocks that are added are in meminfo."""
    with machine('hv-memory', generation, options=['--memory-max', '1G'],
                 append='memhp_default_state=online') as vm:
        vm.login(240)
        wait_for('driver', 60,
                 lambda: answer(vm, 'memory')['state'] == 'ready')
        before = total(vm)
        vm.run('dd if=/dev/zero of=/dev/shm/x bs=1M count=150 && '
               'rm /dev/shm/x', 60)
        for size, change in (('300M', -212), ('512M', 0), ('768M', 256),
                             ('1G', 512), ('400M', -112)):
            expect('assigned', answer(vm, 'memory', size)['assigned'],
                   answer(vm, 'memory')['ordered'])
            if abs(total(vm) - before - change) > 20:
                raise Failure('%s: MemTotal went from %d to %d MiB' % (
                    size, before, total(vm)))
        vm.machine.ctl('memory', '1G')
        vm.run('dd if=/dev/urandom of=/dev/shm/x bs=1M count=220', 120)
        one = vm.run('sha256sum /dev/shm/x', 60)
        state = os.path.join(vm.folder, 'state')
        vm.save(state)
        with machine('hv-memory', generation, restore=state,
                     options=['--memory-max', '1G'],
                     append='memhp_default_state=online') as other:
            expect('the checksum', other.run('sha256sum /dev/shm/x', 60), one)
            expect('assigned', answer(other, 'memory', '600M')['assigned'],
                   600)


@caserun.case('hv-demand')
def demand():
    """By policy: what nobody needs goes, what is needed comes."""
    with machine('hv-demand', 2, options=[
            '--memory-max', '1G', '--memory-min', '128M',
            '--memory-buffer', '60'],
            append='memhp_default_state=online '
            'hv_balloon.pressure_report_delay=3') as vm:
        vm.login(240)
        low = wait_for('smaller machine', 120, lambda: answer(
            vm, 'memory')['assigned'] < 400 and answer(vm, 'memory'))
        time.sleep(8)
        low = answer(vm, 'memory')
        if not 0 < low['demand'] <= low['assigned']:
            raise Failure('the guest has less than it needs: %r' % low)
        vm.run('dd if=/dev/zero of=/dev/shm/x bs=1M count=%d' %
               (low['available'] * 2 // 3), 60)
        high = wait_for('larger machine', 60, lambda: answer(
            vm, 'memory')['assigned'] > low['assigned'] + 30 and answer(
                vm, 'memory'))
        return 'assigned %d, then %d MiB' % (low['assigned'],
                                             high['assigned'])


if __name__ == '__main__':
    caserun.main()
