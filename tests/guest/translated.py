#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 14400
"""Translated code: many boots in a row, a compiler on two processors, and
boots in which all of it is compared with the interpreter.

BP_TEST_BOOTS is how many boots there are of each kernel, 20 by default.
"""

import base64
import os
import re

import caserun
from vmdriver import VM, Failure, guest

BOOTS = int(os.environ.get('BP_TEST_BOOTS', '20'))
KERNELS = {'cloud': 'kernel-cloud-amd64', 'amd64': 'kernel-amd64',
           '686': 'kernel-686', '686-pae': 'kernel-686-pae'}


def boot(name, cpus, jit=None, slow=1):
    """From the start to power-off, with a little work between."""
    with VM('translated-%s-%d' % (name, cpus), cpus=cpus, jit=jit,
            kernel=guest(KERNELS[name], 'vmlinuz'),
            initrd=guest('initramfs-' + name, 'initrd.img'),
            append='console=ttyS0,115200') as vm:
        vm.expect(r'BACKPLANE-GUEST-OK \S+ cpus=%d' % cpus, 240 * slow)
        vm.expect('# ', 20 * slow)
        said = vm.run('seq 1 20000 | gzip | zcat | md5sum', 60 * slow)
        if said.split()[0] != 'e071f707df7bbeee2a6a1eb48011ddd0':
            raise Failure('a wrong sum: %s' % said)
        compared = ''
        if jit == 'check':
            text = vm.machine.ctl('jit', 'stats')
            compared = re.search(r'instructions compared +(\d+)', text)[1]
        vm.send('poweroff -f')
        vm.wait_exit(30 * slow)
        return compared


@caserun.case('boots-of-%s-cpus-%d', rows=[
    (name, cpus) for name in KERNELS for cpus in (1, 2)])
def boots(name, cpus):
    for n in range(BOOTS):
        try:
            boot(name, cpus)
        except Failure as problem:
            problem.args = ('boot %d of %d: %s' % (n + 1, BOOTS, problem),)
            raise
    return '%d boots' % BOOTS


@caserun.case('compared-%s', rows=[(name,) for name in KERNELS])
def compared(name):
    return '%s instructions' % boot(name, 1, 'check', 8)


PROGRAM = r'''
#include <pthread.h>
#include <stdio.h>
#include <math.h>
static unsigned long sieve(unsigned n)
{
    static __thread unsigned char c[100001];
    unsigned long s = 0;
    for (unsigned i = 2; i <= n; i++) {
        if (c[i]) continue;
        s += i;
        for (unsigned k = i * 2; k <= n; k += i) c[k] = 1;
    }
    return s;
}
static void *work(void *p)
{
    *(unsigned long *)p = sieve(100000);
    return 0;
}
int main(void)
{
    pthread_t t[2];
    unsigned long s[2];
    double x = 0;
    for (int n = 0; n < 2; n++) pthread_create(&t[n], 0, work, &s[n]);
    for (int n = 0; n < 2; n++) pthread_join(t[n], 0);
    for (int n = 1; n < 2000; n++) x += sqrt(n) / n;
    printf("%lu %lu %.6f\n", s[0], s[1], x);
    return 0;
}
'''


@caserun.case('gcc-cpus-%d', rows=[(2,), (1,)])
def gcc(cpus):
    with VM('gcc-%d' % cpus, cpus=cpus, memory=512,
            disks=[guest('disk-gcc', 'disk.img')], snapshot=True) as vm:
        vm.expect('Linux version', 240)
        vm.login(300)
        text = base64.b64encode(PROGRAM.encode()).decode()
        for at in range(0, len(text), 200):
            vm.run('echo %s >>p.b64' % text[at:at + 200])
        vm.run('base64 -d p.b64 >p.c')
        vm.run('gcc -O2 -o p1 p.c -lm -lpthread & '
               'gcc -O0 -o p2 p.c -lm -lpthread; wait', 300)
        for name in ('p1', 'p2'):
            said = vm.run('./' + name, 120)
            if said != '454396537 454396537 87.971184':
                raise Failure('%s says %s' % (name, said))
        vm.send('poweroff')
        vm.wait_exit(120)


caserun.main()
