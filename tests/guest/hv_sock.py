#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
"""Sockets between programs of the host and socat in the guest."""

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import caserun
from hv_services import answer, expect, machine, must_fail, wait_for
from vmdriver import Failure

MEGABYTES = 100


class Port:
    """A program of the host that is joined with a port of the guest."""

    def __init__(self, vm, port):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(vm.machine.ctl_path + '-vsock')
        self.socket.sendall(b'CONNECT %d\n' % port)
        self.file = self.socket.makefile('rb')

    def wait(self):
        line = self.file.readline()
        if not line.startswith(b'OK '):
            raise Failure('the guest does not take it: %r' % line)
        return self

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.file.close()
        self.socket.close()


def reach(vm, port):
    """The guest's program may take a moment to listen."""
    def attempt():
        try:
            return Port(vm, port).wait()
        except ConnectionError as problem:
            raise Failure(str(problem)) from None
    return wait_for('port %d' % port, 30, attempt)


def listen(vm, port):
    """The host's end of what the guest connects to."""
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(60)
    listener.bind('%s-vsock_%d' % (vm.machine.ctl_path, port))
    listener.listen(64)
    return listener


def background(vm, command):
    # not a job of the shell, which would tell of its end
    vm.run('( (%s) >/dev/null 2>&1 & )' % command)


def wait_for_file(vm, path, seconds):
    """Which the last command in the background makes."""
    wait_for(path, seconds, lambda: vm.run(
        'ls %s 2>/dev/null' % path, check=False))


def nothing_left(vm):
    wait_for('end of all connections', 30, lambda: not answer(
        vm, 'query-hvsock')['connections'])


def to_guest(vm, data):
    background(vm, 'socat -u VSOCK-LISTEN:5000 - | sha256sum >/root/sum; '
               'touch /root/summed')
    port = reach(vm, 5000)
    begin = time.monotonic()
    port.socket.sendall(data)
    port.finish()
    expect('what came back', port.file.read(), b'')
    taken = time.monotonic() - begin
    wait_for_file(vm, '/root/summed', 30)
    expect('the checksum', vm.run('cat /root/sum').split()[0],
           hashlib.sha256(data).hexdigest())
    port.close()
    return taken


def to_host(vm, megabytes):
    vm.run('dd if=/dev/urandom of=/root/data bs=1M count=%d' % megabytes, 120)
    wanted = vm.run('sha256sum /root/data', 60).split()[0]
    with listen(vm, 6000) as listener:
        background(vm, 'socat -u FILE:/root/data VSOCK-CONNECT:2:6000')
        peer = listener.accept()[0]
        begin = time.monotonic()
        found = hashlib.sha256()
        while True:
            part = peer.recv(1 << 20)
            if not part:
                break
            found.update(part)
        taken = time.monotonic() - begin
        peer.close()
    expect('the checksum', found.hexdigest(), wanted)
    vm.run('rm /root/data')
    return taken


def fifty(vm):
    """At once, each with a megabyte there and back."""
    background(vm, 'socat VSOCK-LISTEN:7000,fork,backlog=64 EXEC:cat')
    reach(vm, 7000).close()
    ports = [Port(vm, 7000) for _ in range(50)]
    good = []

    def talk(port):
        data = os.urandom(1 << 20)
        sender = threading.Thread(target=lambda: (
            port.socket.sendall(data), port.finish()))
        sender.start()
        good.append(port.file.read() == data)
        sender.join()

    for port in ports:
        port.wait()
    states = [c['state'] for c in answer(vm, 'query-hvsock')['connections']]
    expect('connections', states.count('joined'), 50)
    threads = [threading.Thread(target=talk, args=(p,)) for p in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect('good ones', good.count(True), 50)
    for port in ports:
        port.close()
    nothing_left(vm)


def ends(vm):
    """In every order."""
    # The program closes while the guest waits for more.
    background(vm, 'socat -u VSOCK-LISTEN:7100 - >/root/ends; touch /root/e1')
    port = reach(vm, 7100)
    port.socket.sendall(b'last words')
    port.close()
    wait_for_file(vm, '/root/e1', 20)
    expect('what arrived', vm.run('cat /root/ends'), 'last words')
    # It does not listen to the answers either.
    data = os.urandom(150000)
    background(vm, 'socat VSOCK-LISTEN:7106 SYSTEM:"tee /root/ends"; '
               'touch /root/e2')
    port = reach(vm, 7106)
    port.socket.sendall(data)
    port.close()
    wait_for_file(vm, '/root/e2', 20)
    expect('the checksum', vm.run('sha256sum /root/ends').split()[0],
           hashlib.sha256(data).hexdigest())
    # The guest closes first; what it has said arrives.
    background(vm, 'echo guest first | socat -u - VSOCK-LISTEN:7101')
    port = reach(vm, 7101)
    expect('what arrived', port.file.read(), b'guest first\n')
    port.close()
    # Half closed by the program: the guest still answers.
    background(vm, 'socat VSOCK-LISTEN:7102 SYSTEM:"wc -c"')
    port = reach(vm, 7102)
    port.socket.sendall(b'x' * 100000)
    port.finish()
    expect('what arrived', port.file.read().strip(), b'100000')
    port.close()
    # The guest's program dies; nobody listens; nobody serves.
    background(vm, 'echo $BASHPID >/root/pid; exec socat VSOCK-LISTEN:7103 '
               'EXEC:"sleep 1000"')
    port = reach(vm, 7103)
    vm.run('kill -9 $(cat /root/pid)', check=False)
    try:
        expect('what arrived', port.file.read(), b'')
    except ConnectionError:
        pass
    port.close()
    nothing_left(vm)
    must_fail('nobody', vm, 'hvsock', '7104')
    begin = time.monotonic()
    vm.run('! socat -u /dev/null VSOCK-CONNECT:2:7105', 60)
    if time.monotonic() - begin > 30:
        raise Failure('the guest waits for ever')


def slow(vm):
    """A side that does not read stops the other, and loses nothing."""
    background(vm, 'socat -u FILE:/root/block VSOCK-LISTEN:7200')
    vm.run('dd if=/dev/zero of=/root/block bs=1M count=20', 60)
    background(vm, 'socat -u FILE:/root/block VSOCK-LISTEN:7201')
    port = reach(vm, 7201)
    time.sleep(3)
    count = 0
    while True:
        part = port.file.read(1 << 20)
        count += len(part)
        if not part:
            break
    expect('bytes', count, 20 << 20)
    port.close()


def pipe(vm):
    done = subprocess.run(
        [vm.machine.program, 'ctl', '--socket', vm.machine.ctl_path, 'hvsock',
         '7000'], input=b'through the shell', stdout=subprocess.PIPE,
        timeout=60)
    expect('the pipe', (done.returncode, done.stdout),
           (0, b'through the shell'))


@caserun.case('hv-sock-gen%d-cpus-%d', rows=[(1, 1), (2, 2)])
def sockets(generation, cpus):
    with machine('hv-sock', generation, cpus) as vm:
        vm.login(240)
        down = to_guest(vm, os.urandom(MEGABYTES << 20))
        up = to_host(vm, MEGABYTES)
        fifty(vm)
        pipe(vm)
        ends(vm)
        slow(vm)
        nothing_left(vm)
        return '%d MB to the guest in %.1f s, back in %.1f s' % (
            MEGABYTES, down, up)


@caserun.case('hv-sock-short', short=True)
def short():
    with machine('hv-sock', 2) as vm:
        vm.login(240)
        to_guest(vm, os.urandom(5 << 20))
        to_host(vm, 5)
        nothing_left(vm)


@caserun.case('hv-sock-save')
def save():
    """A transfer goes on where the machine goes on, and ends where the
    machine is restored."""
    with machine('hv-sock-save', 2) as vm:
        vm.login(240)
        background(vm, 'socat VSOCK-LISTEN:7000,fork EXEC:cat')
        port = reach(vm, 7000)
        data = os.urandom(20 << 20)
        sender = threading.Thread(target=lambda: (
            port.socket.sendall(data), port.finish()))
        sender.start()
        found = port.file.read(1 << 20)
        state = os.path.join(vm.folder, 'state')
        vm.save(state)
        vm.resume()
        found += port.file.read()
        sender.join()
        expect('the echo', found == data, True)
        with machine('hv-sock-save', 2, restore=state) as other:
            wait_for('end of the old ones', 30, lambda: not other.run(
                'pidof cat', check=False))
            again = reach(other, 7000)
            again.socket.sendall(b'hello')
            again.finish()
            expect('the echo', again.file.read(), b'hello')


class Kept:
    """`ctl hvsock --keep`: sends data, and has what came, up to a limit."""

    def __init__(self, vm, data, *words):
        self.found = bytearray()
        self.limit = 0
        self.data = data
        self.process = subprocess.Popen(
            [vm.machine.program, 'ctl', '--socket', vm.machine.ctl_path,
             'hvsock', '--keep', '50'] + list(words),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.threads = [threading.Thread(target=self.send),
                        threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        try:
            self.process.stdin.write(self.data)
            self.process.stdin.close()
        except BrokenPipeError:
            pass # the status tells

    def receive(self):
        while True:
            while self.limit is not None and len(self.found) >= self.limit:
                time.sleep(0.01)
            part = self.process.stdout.read1(1 << 16)
            if not part:
                return
            self.found += part

    def wait_part(self, size):
        self.limit = size
        wait_for('%d bytes' % size, 60, lambda: len(self.found) >= size)

    def finish(self):
        self.limit = None
        for thread in self.threads:
            thread.join(120)
        expect('the status', self.process.wait(10), 0)
        return self.found


def kept(begin, end, size):
    """What goes on in the processes in which the machine is restored."""
    sockets = tempfile.mkdtemp(prefix='bpvm.')
    state, peer = None, None
    try:
        for stage in range(4):
            vm = machine('hv-sock-keep', 2, restore=state)
            vm.machine.ctl_path = os.path.join(sockets, 'ctl')
            with vm:
                if not peer:
                    vm.login(240)
                    peer = begin(vm)
                if stage == 3:
                    end(vm, peer.finish())
                    nothing_left(vm)
                    return
                peer.wait_part((stage + 1) * size // 5)
                state = os.path.join(sockets, 'state%d' % stage)
                vm.save(state)
                if len(peer.found) >= size:
                    raise Failure('it was over before the save')
    finally:
        if peer:
            peer.limit = None
            peer.process.kill()
        shutil.rmtree(sockets, ignore_errors=True)


@caserun.case('hv-sock-keep-echo')
def keep_echo():
    data = os.urandom(60 << 20)

    def begin(vm):
        background(vm, 'socat VSOCK-LISTEN:7000,fork EXEC:cat')
        reach(vm, 7000).close()
        return Kept(vm, data, '7000')

    kept(begin, lambda vm, found: expect('the echo', found == data, True),
         len(data))


@caserun.case('hv-sock-keep-guest')
def keep_guest():
    """The guest begins, and sends."""
    size = 60 << 20

    def begin(vm):
        vm.run('dd if=/dev/urandom of=/root/data bs=1M count=60', 120)
        peer = Kept(vm, b'', '--listen', '6000')
        wait_for('listener', 20, lambda: answer(
            vm, 'query-hvsock')['connections'])
        background(vm, 'socat -u FILE:/root/data VSOCK-CONNECT:2:6000')
        return peer

    def end(vm, found):
        expect('the checksum', vm.run('sha256sum /root/data', 60).split()[0],
               hashlib.sha256(found).hexdigest())

    kept(begin, end, size)


if __name__ == '__main__':
    caserun.main()
