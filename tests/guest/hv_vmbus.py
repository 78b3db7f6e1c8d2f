#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 2400
"""Linux opens, closes, moves and restores its VMBus channels under load.

BP_TEST_RUNS sets how often drivers are taken off and put on (10), and how
often the machine is saved and restored (6).
"""

import os
import random
import shutil
import tempfile
import time

import caserun
import kernel_log
from vmdriver import BUILD, VM, Failure, guest

# Off and on again, with a disk that is being read meanwhile.
LOOP = r'''
cd /sys/bus/vmbus/drivers
for n in $(seq 1 %d); do
  for d in hid_hyperv hyperv_keyboard hv_utils hv_netvsc; do
    [ -d $d ] || continue
    for v in $(cd $d; ls -d *-*-* 2>/dev/null); do
      echo $v >$d/unbind; echo $v >$d/bind || echo "no $d"
    done
  done
  for c in /sys/bus/vmbus/devices/*/channels/*/cpu; do
    echo $((n %% %d)) >$c 2>/dev/null
  done
done
cd
echo LOOP"S"-END
'''
CPUS = 2


def machine(name, disk, **more):
    return VM(name, memory=256, cpus=CPUS, disks=[disk],
              kernel=guest('kernel-amd64', 'vmlinuz'),
              initrd=guest('initramfs-amd64', 'initrd.img'),
              append='console=ttyS0,115200', options=['--gen', '2'], **more)


def ready(vm):
    vm.expect('BACKPLANE-GUEST-OK', 240)
    vm.expect('# ', 20)


def put_script(vm, times):
    vm.run('cat >/loop <<"X"\n%s\nX\n:' % (LOOP % (times, CPUS)))


def make_disk(folder):
    path = os.path.join(folder, 'disk.img')
    with open(path, 'wb') as file:
        file.write(random.Random(1).randbytes(64 << 20))
    return path


def loops(times):
    folder = tempfile.mkdtemp(prefix='hvvmbus.', dir=BUILD)
    try:
        with machine('hv-vmbus', make_disk(folder)) as vm:
            ready(vm)
            want = vm.run('md5sum </dev/sda', 120)
            put_script(vm, times)
            vm.send('(while [ ! -e /stop ]; do echo 3 >/proc/sys/vm/'
                    'drop_caches; md5sum </dev/sda; done >/sums) &')
            vm.send('sh /loop')
            said = vm.expect(r'(?s)(.*)LOOPS-END', 60 + 30 * times)[0]
            if 'no h' in said:
                raise Failure('a driver did not come back: %s' % said)
            vm.run('touch /stop; wait', 120)
            sums = vm.run('sort /sums | uniq -c').split('\n')
            if len(sums) != 1 or want.split()[0] not in sums[0]:
                raise Failure('the disk became %s' % sums)
            kernel_log.judge(vm.run('dmesg -r', 60))
            vm.send('poweroff -f')
            vm.wait_exit(60)
        return sums[0]
    finally:
        shutil.rmtree(folder)


def restores(times):
    """Saved and restored while drivers come and go and a disk is read."""
    folder = tempfile.mkdtemp(prefix='hvvmbus.', dir=BUILD)
    seed = int(os.environ.get('BP_TEST_SEED', time.time_ns() & 0xffffff))
    print('# BP_TEST_SEED=%d' % seed)
    chance = random.Random(seed)
    state = os.path.join(folder, 'state')
    try:
        disk = make_disk(folder)
        with machine('hv-vmbus-0', disk) as vm:
            ready(vm)
            want = vm.run('md5sum </dev/sda', 120)
            put_script(vm, 1000)
            vm.run('cat >/reads <<"X"\nwhile [ ! -e /stop ]; do echo 3 >'
                   '/proc/sys/vm/drop_caches; md5sum </dev/sda; done\nX\n:')
            vm.run('sh /loop >/loops 2>&1 & sh /reads >/sums 2>&1 & :')
            time.sleep(chance.uniform(0, 3))
            vm.save(state)
            vm.quit()
            vm.wait_exit(30)
        for run in range(1, times + 1):
            with machine('hv-vmbus-%d' % run, disk, restore=state) as vm:
                time.sleep(chance.uniform(0.5, 4))
                before = int(vm.run('wc -l </sums', 60))
                deadline = time.monotonic() + 90
                while int(vm.run('wc -l </sums', 60)) < before + 1:
                    if time.monotonic() > deadline:
                        raise Failure('run %d: nothing is read any more' % run)
                    time.sleep(1)
                if 'no h' in vm.run('cat /loops', 60):
                    raise Failure('run %d: a driver did not come back' % run)
                os.unlink(state)
                vm.save(state)
                if run == times:
                    finish(vm, want)
                else:
                    vm.quit()
                vm.wait_exit(60)
    finally:
        shutil.rmtree(folder)


def finish(vm, want):
    """The machine was only paused for the saving."""
    vm.resume()
    vm.run('touch /stop; sleep 5', 120)
    sums = vm.run('sort /sums | uniq -c').split('\n')
    if len(sums) != 1 or want.split()[0] not in sums[0]:
        raise Failure('the disk became %s' % sums)
    kernel_log.judge(vm.run('dmesg -r', 60))
    vm.send('poweroff -f')


@caserun.case('hv-vmbus-loops', short=True)
def short():
    return loops(2)


@caserun.case('hv-vmbus-many-loops')
def many():
    return loops(int(os.environ.get('BP_TEST_RUNS', '10')))


@caserun.case('hv-vmbus-restores')
def restored():
    return restores(int(os.environ.get('BP_TEST_RUNS', '6')))


caserun.main()
