#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 3000
"""A Generation 2 machine, saved amid work of all its devices, goes on.

fio writes and verifies, a program prints to the screen, and the network
carries a stream, when the machine is saved; another process restores it,
several times in a row.  Nothing of fio's data may be wrong, and every device
has to work at the end.  BP_TEST_RUNS sets how often (6).
"""

import os
import random
import shutil
import socket
import tempfile
import threading
import time

import caserun
import kernel_log
from vmdriver import BUILD, VM, Failure, guest

APPEND = 'console=tty0 console=ttyS0,115200 root=LABEL=root'
FIO = ('fio --name=v --filename=%s --direct=1 --rw=randrw --bs=4k-64k '
       '--ioengine=libaio --iodepth=8 --size=64M --verify=crc32c '
       '--verify_backlog=64 --time_based --runtime=%d --minimal')
SCRATCH = 80 << 20


class Sink:
    """Takes what guests send, on a port of this host."""

    def __init__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.taken = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.drain, args=(connection,),
                             daemon=True).start()

    def drain(self, connection):
        with connection:
            try:
                while data := connection.recv(1 << 16):
                    self.taken += len(data)
            except OSError:
                pass


def machine(name, folder, **more):
    disks = [os.path.join(folder, file) for file in ('root.img', 'scratch.img')]
    return VM(name, memory=512, cpus=2, disks=disks,
              kernel=guest('kernel-amd64', 'vmlinuz'),
              initrd=guest('initramfs-amd64', 'initrd.img'), append=APPEND,
              options=['--gen', '2', '--nic', 'user'], **more)


def start_work(vm, seconds, port):
    vm.run('dhclient eth0 || udhcpc -i eth0', 60)
    disk = vm.run('ls /sys/bus/scsi/devices/*:0:0:1/block')
    jobs = ('%s >/root/fio.out 2>&1; echo $? >/root/fio.status' %
            (FIO % ('/dev/' + disk, seconds)),
            'while :; do nc -q 0 -w 5 10.0.2.2 %d </dev/zero; sleep 1; done' %
            port,
            'while :; do date; done >/dev/tty1')
    for job in jobs:
        vm.run('( (%s) >/dev/null 2>&1 & )' % job)


def finish(vm, sink):
    vm.run('while [ ! -e /root/fio.status ]; do sleep 1; done', 240)
    status = vm.run('cat /root/fio.status')
    if status != '0':
        raise Failure('fio ended with %s: %s' %
                      (status, vm.run('tail -n 5 /root/fio.out')))
    before = sink.taken
    vm.run('head -c 4000000 /dev/urandom | nc -q 1 -w 20 10.0.2.2 %d' %
           sink.port, 60)
    if sink.taken - before < 4000000:
        raise Failure('the network brought %d bytes' % (sink.taken - before))
    kernel_log.judge(vm.run('dmesg -r', 60))
    vm.send('poweroff')
    vm.wait_exit(120)


def saves(count):
    folder = tempfile.mkdtemp(prefix='hvsave.', dir=BUILD)
    chance = random.Random(int(os.environ.get('BP_TEST_SEED', '1')))
    sink = Sink()
    try:
        caserun.copy(guest('disk-hyperv', 'disk.img'),
                     os.path.join(folder, 'root.img'))
        with open(os.path.join(folder, 'scratch.img'), 'wb') as file:
            file.truncate(SCRATCH)
        state = os.path.join(folder, 'state')
        seconds = 6 + 4 * count
        with machine('hv-save', folder) as vm:
            vm.login(240)
            start_work(vm, seconds, sink.port)
            time.sleep(2)
            vm.save(state)
            vm.quit()
            vm.wait_exit(30)
        for number in range(count):
            with machine('hv-save', folder, restore=state) as vm:
                time.sleep(chance.uniform(0.5, 4))
                if number == count - 1:
                    finish(vm, sink)
                    continue
                vm.run('echo still $(date +%s)', 60)
                vm.save(state)
                vm.quit()
                vm.wait_exit(30)
        return '%d saves, %d MB over the network' % (count,
                                                     sink.taken >> 20)
    finally:
        sink.socket.close()
        shutil.rmtree(folder)


@caserun.case('hv-save-amid-work')
def amid_work():
    return saves(int(os.environ.get('BP_TEST_RUNS', '6')))


caserun.main()
