#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
"""The network adapter on VMBus, driven by Debian's hv_netvsc.

BP_TEST_SECONDS sets how long iperf3 runs each way in the long cases (20).
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import caserun
import netguest
from caserun import case
from vmdriver import VM, Failure, Skip, guest

SECONDS = int(os.environ.get('BP_TEST_SECONDS', '20'))
PROGRAMS = ('ethtool', 'iperf3')


def machine(name, nics=('user',), generation=2, **more):
    options = ['--gen', str(generation)]
    for nic in nics:
        options += ['--nic', nic]
    return VM(name, memory=256, kernel=guest('kernel-amd64', 'vmlinuz'),
              initrd=netguest.initrd(programs=PROGRAMS),
              append='console=ttyS0 ' + more.pop('append', ''),
              options=options, **more)


def boot(vm):
    vm.expect('BACKPLANE-GUEST-OK', 90)
    wait_for(vm, 'ls /sys/class/net', 'eth0', 10)


def wait_for(vm, command, wanted, seconds):
    deadline = time.monotonic() + seconds
    while True:
        said = vm.run(command, check=False)
        if re.search(wanted, said):
            return
        if time.monotonic() > deadline:
            raise Failure('%s: no %r in %r' % (command, wanted, said))
        time.sleep(0.2)


def kernel_is_content(vm):
    said = vm.run('dmesg | grep -iE "hv_net|hv_vmbus|rndis|nvsp|WARNING|BUG:"'
                  ' | grep -vE "registering driver|Vmbus version"',
                  check=False)
    if said.strip():
        raise Failure('the kernel says: %s' % said)


def counter(vm, name):
    said = vm.machine.ctl('info', 'net')
    return int(re.search(r'(\d+)[^,;]* %s' % name, said).group(1))


def dhcp(vm):
    """Asks for an address, as the interface has none."""
    vm.run('ip link set eth0 up')
    said = vm.run('udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/true 2>&1', 40)
    if 'lease of 10.0.2.15 obtained' not in said:
        raise Failure('udhcpc says: %s' % said)
    vm.run('ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; '
           'ip route add default via 10.0.2.2')


def ping(vm, address='10.0.2.2'):
    vm.run('ping -c 1 -W 5 %s' % address, 20)


def transfer(vm, server, megabytes):
    for way in ('send', 'recv'):
        netguest.load(vm, server, way, megabytes, check=True)


def ipv6(vm, server):
    """As far as this host has it; the guest gets its prefix by itself."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(('::1', 0))
        except OSError:
            return
    wait_for(vm, 'ip -6 addr show dev eth0', 'fec0:.*', 20)
    wait_for(vm, 'ping -6 -c 1 -W 2 fec0::2', ' 0% packet loss', 20)
    for way in ('send', 'recv'):
        netguest.load(vm, server, way, 8, True, 60, 'fec0::2')


def offloads(vm, server):
    """All off, then on again: the same bytes arrive."""
    if 'ethtool' not in vm.run('ls /bin'):
        return
    for state in ('off', 'on'):
        vm.run('ethtool -K eth0 rx %s tx %s tso %s lro %s gro %s sg %s' %
               ((state,) * 6), check=False)
        large = counter(vm, 'of them large')
        transfer(vm, server, 8)
        grew = counter(vm, 'of them large') > large
        if grew != (state == 'on'):
            raise Failure('with offloads %s, large frames %s' % (
                state, 'came' if grew else 'did not come'))


def link(vm):
    carrier = 'cat /sys/class/net/eth0/carrier'
    vm.machine.ctl('net', 'nic0', 'link=off')
    wait_for(vm, carrier, '^0', 10)
    vm.machine.ctl('net', 'nic0', 'link=on')
    wait_for(vm, carrier, '^1', 20)
    ping(vm)


def mtu(vm, server):
    """The driver closes the channel and opens it again."""
    for size in (9000, 1500):
        vm.run('ip link set eth0 mtu %d' % size, 30)
        wait_for(vm, 'cat /sys/class/net/eth0/operstate', 'up', 10)
        vm.run('ip route replace default via 10.0.2.2', check=False)
        vm.run('ping -c 1 -W 5 -s %d 10.0.2.2' % min(size - 100, 1400), 20)
        transfer(vm, server, 4)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def forwarded(vm, port):
    """This host connects to a server in the guest."""
    vm.run('(netload serve 5000 >/run/port &); '
           'until [ -s /run/port ]; do sleep 0.1; done')
    for way in ('send', 'recv'):
        netguest.parse(subprocess.run(
            [netguest.program(), way, '127.0.0.1', str(port),
             str(8 << 20), 'check'], stdout=subprocess.PIPE, text=True,
            timeout=120).stdout)


@case('network_gen%d', short=True, rows=((2,),))
def network(generation):
    port = free_port()
    with netguest.Server() as server, machine(
            'net', ('user,hostfwd=tcp:127.0.0.1:%d-:5000' % port,
                    'user,net=10.0.3.0/24'), generation) as vm:
        boot(vm)
        dhcp(vm)
        ping(vm)
        transfer(vm, server, 24)
        forwarded(vm, port)
        ipv6(vm, server)
        offloads(vm, server)
        link(vm)
        mtu(vm, server)
        netguest.up(vm, 'eth1', '10.0.3.15/24', None)
        ping(vm, '10.0.3.2')
        kernel_is_content(vm)


@case('network_gen1')
def network_gen1():
    network(1)


@case('one_gigabyte')
def one_gigabyte():
    with netguest.Server() as server, machine('net-1g') as vm:
        boot(vm)
        netguest.up(vm)
        rates = [netguest.load(vm, server, way, 1024, True, 600)
                 for way in ('send', 'recv')]
        kernel_is_content(vm)
    return '%.0f and %.0f MB/s' % tuple(rates)


def iperf(vm, options):
    said = vm.run('iperf3 -c 10.0.2.2 -p 5299 -t %d -f M %s' %
                  (SECONDS, options), SECONDS + 60)
    found = re.findall(r'([0-9.]+) MBytes/sec.*receiver', said)
    if not found:
        raise Failure('iperf3 says: %s' % said)
    return float(found[-1])


@case('iperf3_%d_processors', rows=((1,), (2,), (4,)))
def iperf3(cpus):
    if not shutil.which('iperf3'):
        raise Skip('iperf3 is not installed')
    server = subprocess.Popen(['iperf3', '-s', '-p', '5299'],
                              stdout=subprocess.DEVNULL)
    try:
        with machine('net-iperf', cpus=cpus) as vm:
            boot(vm)
            netguest.up(vm)
            queues = int(vm.run('ls -d /sys/class/net/eth0/queues/rx-* | '
                                'wc -l'))
            if queues != cpus:
                raise Failure('%d processors, %d queues' % (cpus, queues))
            streams = '-P %d' % (2 * cpus) if cpus > 1 else ''
            rates = iperf(vm, streams), iperf(vm, '-R ' + streams)
            kernel_is_content(vm)
    finally:
        server.kill()
        server.wait()
    return '%.0f and %.0f MB/s' % rates


@case('paused_in_a_transfer')
def paused():
    """A machine that stands, and is saved, keeps its connections."""
    with netguest.Server() as server, machine('net-pause') as vm, \
            tempfile.TemporaryDirectory() as folder:
        boot(vm)
        netguest.up(vm)
        for way in ('send', 'recv'):
            vm.send('netload %s 10.0.2.2 %d %d check' %
                    (way, server.port, 512 << 20))
            for _ in range(3):
                time.sleep(0.3)
                vm.save(os.path.join(folder, 'state'))
                time.sleep(0.2)
                vm.machine.ctl('resume')
            vm.expect(r'bytes [0-9.]+ s OK', 120)
        kernel_is_content(vm)


@case('restored')
def restored():
    """In another process: connections are gone, the network is there."""
    with netguest.Server() as server, \
            tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, 'state')
        with machine('net-save', cpus=2) as vm:
            boot(vm)
            netguest.up(vm)
            transfer(vm, server, 4)
            vm.save(state)
        with machine('net-save', cpus=2, restore=state) as vm:
            vm.run(':', 30)
            ping(vm)
            transfer(vm, server, 32)
            link(vm)
            kernel_is_content(vm)


@case('tap')
def tap():
    """An interface of the host, with large frames to it."""
    if os.geteuid() or not os.path.exists('/dev/net/tun'):
        raise Skip('only root makes tap interfaces')
    name = 'bptap%d' % (os.getpid() % 10000)
    with netguest.Server() as server, \
            machine('net-tap', ('tap,ifname=' + name,)) as vm:
        boot(vm)
        for words in (['addr', 'add', '10.0.8.1/24', 'dev', name],
                      ['link', 'set', name, 'up']):
            subprocess.run(['ip'] + words, check=True)
        netguest.up(vm, address='10.0.8.2/24', gateway=None)
        ping(vm, '10.0.8.1')
        rates = [netguest.load(vm, server, way, 256, True, 120, '10.0.8.1')
                 for way in ('send', 'recv')]
        if not counter(vm, 'of them large'):
            raise Failure('no large frame was sent')
        kernel_is_content(vm)
    return '%.0f and %.0f MB/s' % tuple(rates)


@case('two_machines')
def two_machines():
    """Over a cable; one is saved in the middle and goes on elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        cable = ('socket,path=' + os.path.join(folder, 'cable'),)
        state = os.path.join(folder, 'state')
        with machine('net-a', cable) as a:
            boot(a)
            netguest.up(a, address='10.0.9.1/24', gateway=None)
            a.run('(netload serve 5000 >/dev/null &)')
            with machine('net-b', cable) as b:
                boot(b)
                netguest.up(b, address='10.0.9.2/24', gateway=None)
                ping(b, '10.0.9.1')
                for way in ('send', 'recv'):
                    netguest.parse(b.run(
                        'netload %s 10.0.9.1 5000 %d check' %
                        (way, 64 << 20), 120))
                b.send('netload send 10.0.9.1 5000 %d check' % (1 << 30))
                time.sleep(1)
                b.save(state)
                if b'OK' in b.seen[b.used:]:
                    raise Failure('it was over before it was saved')
            with machine('net-b', cable, restore=state) as b:
                b.expect(r'bytes [0-9.]+ s OK', 300)
                kernel_is_content(b)


@case('saved_again_and_again_%s', rows=(('send',), ('recv',)))
def again(way):
    """Four connections over a cable, two processors each end, and six
    processes one after the other for one of the machines."""
    with tempfile.TemporaryDirectory() as folder:
        cable = ('socket,path=' + os.path.join(folder, 'cable'),)
        states = [os.path.join(folder, 'state%d' % i) for i in range(5)]
        with machine('net-a', cable, cpus=2) as a:
            boot(a)
            netguest.up(a, address='10.0.9.1/24', gateway=None)
            a.run('(netload serve 5000 >/run/port &); '
                  'until [ -s /run/port ]; do sleep 0.1; done')
            with machine('net-b', cable, cpus=2) as b:
                boot(b)
                netguest.up(b, address='10.0.9.2/24', gateway=None)
                ping(b, '10.0.9.1')
                b.send('for i in 1 2 3 4; do netload %s 10.0.9.1 5000 %d '
                       'check & done; wait; echo all-done-$i' %
                       (way, 256 << 20))
                time.sleep(1)
                b.save(states[0])
            for before, after in zip(states, states[1:]):
                with machine('net-b', cable, cpus=2, restore=before) as b:
                    time.sleep(2)
                    b.save(after)
            with machine('net-b', cable, cpus=2, restore=states[-1]) as b:
                b.expect('all-done-4', 400)
                if bytes(b.seen).count(b' s OK') > 4 or \
                        b'WRONG' in bytes(b.seen):
                    raise Failure('not all of it arrived')
                kernel_is_content(b)


if __name__ == '__main__':
    caserun.main()
