# SPDX-License-Identifier: Apache-2.0
"""Starts a virtual machine and talks to it, for the boot tests.

    with VM('boot', kernel=..., initrd=..., append='console=ttyS0') as vm:
        vm.expect('GUEST-OK', 60)
        print(vm.run('uname -r'))
        vm.send('poweroff -f')
        vm.wait_exit(30)

The machine is Backplane ($B/backplane); BP_TEST_VMM=qemu runs the same test
on QEMU instead, to tell a wrong test from a wrong machine.  All times are in
seconds and are stretched by BP_TEST_SLOW (a factor, for sanitizer builds).
Guest code is translated; BP_TEST_JIT=off (or check) changes that.

A VM ends its process when the with block is left, however it is left, and
keeps what it has seen in a folder of its own: serial.log, stderr.log.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

SOURCE = os.path.abspath(os.environ.get('S') or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), '..', '..'))
BUILD = os.path.abspath(os.environ.get('B') or os.path.join(SOURCE, 'build'))
VMM = os.environ.get('BP_TEST_VMM', 'backplane')
JIT = os.environ.get('BP_TEST_JIT', 'on')
SLOW = float(os.environ.get('BP_TEST_SLOW', '1'))


class Failure(Exception):
    """The guest or the machine did not do what the test expects."""


class Skip(Exception):
    """This test cannot run here."""


def guest(name, file=''):
    """Path of a file of a built guest; the guest is built if need be."""
    build = os.path.join(SOURCE, 'tests', 'guests', 'build')
    done = subprocess.run([build, name], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failure('guest %s cannot be built: %s' %
                      (name, ' '.join(done.stderr.split('\n')[-3:])))
    return os.path.join(done.stdout.strip(), file)


def connect(path, process):
    """The connection to a socket that a new process will soon open."""
    deadline = time.monotonic() + 30 * SLOW
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            if process.poll() is not None:
                raise Failure('it ended at once with status %d' %
                              process.returncode) from None
            if time.monotonic() > deadline:
                raise Failure('it never opened %s' % path) from None
            time.sleep(0.02)


def screen_lines(text):
    return [line.rstrip() for line in text.split('\n')]


class Events:
    """What the control socket tells, from now on."""

    def __init__(self, path, process):
        self.connection = connect(path, process)
        self.rest = b''

    def wait(self, name, timeout):
        """The next event of this name, as an object."""
        deadline = time.monotonic() + timeout * SLOW
        while True:
            line, found, rest = self.rest.partition(b'\n')
            if found:
                self.rest = rest
                said = json.loads(line)
                if said.get('event') == name:
                    return said
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure('no event %s within %g s' %
                              (name, timeout * SLOW))
            self.connection.settimeout(left)
            try:
                more = self.connection.recv(65536)
            except socket.timeout:
                continue
            if not more:
                raise Failure('it ended without the event %s' % name)
            self.rest += more


class BackplaneMachine:
    """How Backplane is started and controlled."""

    program = os.path.join(BUILD, 'backplane')

    def __init__(self, folder):
        self.ctl_path = os.path.join(folder, 'ctl')
        self.serial_path = os.path.join(folder, 'serial')

    def command(self, vm):
        line = [self.program, 'run', '--name', vm.name,
                '--memory', '%dM' % vm.memory, '--cpus', str(vm.cpus),
                '--headless', '--serial', 'socket:' + self.serial_path,
                '--ctl', self.ctl_path]
        if vm.cpu:
            line += ['--cpu', vm.cpu]
        for disk in vm.disks:
            line += ['--disk', disk + (',snapshot=on' if vm.snapshot else '')]
        for cdrom in vm.cdroms:
            line += ['--cdrom', cdrom]
        if vm.kernel:
            line += ['--kernel', vm.kernel]
        if vm.initrd:
            line += ['--initrd', vm.initrd]
        if vm.append:
            line += ['--append', vm.append]
        if vm.boot:
            line += ['--boot', vm.boot]
        if vm.rtc_base:
            line += ['--rtc-base', vm.rtc_base]
        if vm.deterministic:
            line += ['--deterministic']
        line += ['--jit', vm.jit or JIT]
        if vm.restore:
            line += ['--restore', vm.restore]
        return line + vm.options

    def started(self, vm):
        connect(self.ctl_path, vm.process).close()

    def listen(self, vm):
        return Events(self.ctl_path, vm.process)

    def ctl(self, *words):
        done = subprocess.run(
            [self.program, 'ctl', '--socket', self.ctl_path] + list(words),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=60 * SLOW)
        if done.returncode:
            raise Failure('ctl %s: exit status %d: %s' % (
                ' '.join(words), done.returncode, done.stderr.strip()))
        return done.stdout

    def screenshot(self, path):
        self.ctl('screenshot', path)

    def screentext(self):
        return screen_lines(self.ctl('screentext'))

    def sendkey(self, keys):
        self.ctl('sendkey', keys)

    def type(self, text):
        self.ctl('type', text)

    def mouse(self, dx, dy, buttons):
        self.ctl('mouse', str(dx), str(dy), str(buttons))

    def point(self, x, y, buttons=0):
        self.ctl('point', str(x), str(y), str(buttons))

    def save(self, path):
        self.ctl('save', path)

    def eject(self):
        self.ctl('eject')

    def change_media(self, path):
        self.ctl('change-media', 'cd0', path)

    def hash(self):
        return self.ctl('hash').strip()

    def simple(self, verb):
        self.ctl(verb)


class QemuMachine:
    """The same by QEMU, as far as it has the same."""

    names = {'-': 'minus', '=': 'equal', '[': 'bracket_left',
             ']': 'bracket_right', ';': 'semicolon', "'": 'apostrophe',
             '`': 'grave_accent', '\\': 'backslash', ',': 'comma',
             '.': 'dot', '/': 'slash', ' ': 'spc', '\n': 'ret',
             '\t': 'tab'}
    shifted = dict(zip('!@#$%^&*()_+{}:"~|<>?',
                       '1234567890-=[];\'`\\,./'))

    def __init__(self, folder):
        self.folder = folder
        self.qmp_path = os.path.join(folder, 'qmp')
        self.serial_path = os.path.join(folder, 'serial')
        self.qmp = None
        self.process = None

    def command(self, vm):
        if vm.deterministic:
            raise Skip('QEMU has no such deterministic mode')
        # The 64-bit kernels start in every QEMU of this name.
        line = ['qemu-system-x86_64', '-name', vm.name, '-accel', 'tcg',
                '-machine', 'pc', '-m', str(vm.memory), '-smp', str(vm.cpus),
                '-display', 'none', '-nic', 'none',
                '-chardev', 'socket,id=s,server=on,wait=off,path='
                + self.serial_path, '-serial', 'chardev:s',
                '-qmp', 'unix:%s,server=on,wait=off' % self.qmp_path]
        for number, disk in enumerate(vm.disks):
            line += ['-drive', 'file=%s,format=raw,if=ide,index=%d%s' % (
                disk, number, ',snapshot=on' if vm.snapshot else '')]
        for number, cdrom in enumerate(vm.cdroms):
            line += ['-drive', 'file=%s,format=raw,if=ide,media=cdrom,index=%d'
                     % (cdrom, 2 + number)]
        if vm.kernel:
            line += ['-kernel', vm.kernel]
        if vm.initrd:
            line += ['-initrd', vm.initrd]
        if vm.append:
            line += ['-append', vm.append]
        if vm.boot:
            line += ['-boot', {'cd': 'd', 'disk': 'c'}.get(vm.boot, vm.boot)]
        if vm.rtc_base:
            line += ['-rtc', 'base=' + vm.rtc_base.rstrip('Z')]
        if vm.restore:
            line += ['-incoming', 'exec:cat ' + vm.restore]
        return line

    def started(self, vm):
        """A machine that was saved while stopped comes back stopped."""
        if vm.restore:
            while self.execute('query-status')['status'] == 'inmigrate':
                time.sleep(0.05)
            self.execute('cont')

    def execute(self, verb, **arguments):
        if self.qmp is None:
            connection = connect(self.qmp_path, self.process)
            connection.settimeout(120)
            self.qmp = connection.makefile('rw')
            self.qmp.readline()
            self.execute('qmp_capabilities')
        json.dump({'execute': verb, 'arguments': arguments}, self.qmp)
        self.qmp.write('\n')
        self.qmp.flush()
        while True:
            line = self.qmp.readline()
            if not line:
                return {}
            reply = json.loads(line)
            if 'error' in reply:
                raise Failure('%s: %s' % (verb, reply['error']['desc']))
            if 'return' in reply:
                return reply['return']

    def monitor(self, line):
        said = self.execute('human-monitor-command', **{'command-line': line})
        if said and said.startswith('Error'):
            raise Failure('%s: %s' % (line, said.strip()))
        return said

    def screenshot(self, path):
        self.execute('screendump', filename=path, format='png')

    def crtc(self, register):
        self.monitor('o /b 0x3d4 %d' % register)
        return int(self.monitor('i /b 0x3d5').split('=')[1], 16)

    def screentext(self):
        path = os.path.join(self.folder, 'vga')
        self.execute('stop')
        index = int(self.monitor('i /b 0x3d4').split('=')[1], 16)
        start = self.crtc(0x0c) << 8 | self.crtc(0x0d)
        self.monitor('o /b 0x3d4 %d' % index)
        self.execute('cont')
        self.execute('pmemsave', val=0xb8000 + (start * 2 & 0x7fff),
                     size=80 * 25 * 2, filename=path)
        with open(path, 'rb') as file:
            cells = file.read()[::2].decode('cp437').replace('\0', ' ')
        return [cells[at:at + 80].rstrip() for at in range(0, 2000, 80)]

    def sendkey(self, keys):
        self.monitor('sendkey ' + keys)
        time.sleep(0.15)

    def type(self, text):
        for letter in text:
            shift = ''
            if letter in self.shifted:
                shift, letter = 'shift-', self.shifted[letter]
            elif letter.isupper():
                shift, letter = 'shift-', letter.lower()
            self.sendkey(shift + self.names.get(letter, letter))

    def mouse(self, dx, dy, buttons):
        self.monitor('mouse_move %d %d' % (dx, dy))
        self.monitor('mouse_button %d' % buttons)

    def save(self, path):
        self.execute('stop')
        self.execute('migrate', uri='exec:cat >' + path)
        while self.execute('query-migrate').get('status') != 'completed':
            time.sleep(0.1)

    def eject(self):
        self.monitor('eject ide1-cd0')

    def change_media(self, path):
        self.monitor('change ide1-cd0 %s raw' % path)

    def hash(self):
        raise Skip('QEMU has no state hash')

    def simple(self, verb):
        self.execute({'pause': 'stop', 'resume': 'cont',
                      'reset': 'system_reset',
                      'powerdown': 'system_powerdown'}.get(verb, verb))


class VM:
    """One run of a machine."""

    def __init__(self, name, memory=256, cpus=1, cpu=None, disks=(),
                 snapshot=False, cdroms=(), kernel=None, initrd=None,
                 append=None, boot=None, rtc_base=None, deterministic=False,
                 restore=None, jit=None, options=(), machine=None):
        self.name = name
        self.memory = memory
        self.cpus = cpus
        self.cpu = cpu
        self.disks = list(disks)
        self.snapshot = snapshot
        self.cdroms = list(cdroms)
        self.kernel = kernel
        self.initrd = initrd
        self.append = append
        self.boot = boot
        self.rtc_base = rtc_base
        self.deterministic = deterministic
        self.jit = jit
        self.restore = restore
        self.options = list(options)
        self.process = None
        self.commands = 0
        # Socket paths are short: not below the build folder.
        self.folder = tempfile.mkdtemp(prefix='bpvm.')
        if machine is None:
            machine = QemuMachine if VMM == 'qemu' else BackplaneMachine
        self.machine = machine(self.folder)
        self.seen = bytearray()
        self.used = 0
        self.closed = False
        self.arrived = threading.Condition()
        self.serial = None
        self.reader = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind and issubclass(kind, Exception) and kind is not Skip:
            value.log = self.log()
        self.close()

    # --- life ---------------------------------------------------------------

    def start(self):
        command = self.machine.command(self)
        with open(os.path.join(self.folder, 'stderr.log'), 'wb') as log:
            try:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except FileNotFoundError:
                raise Failure('there is no %s' % command[0]) from None
        self.machine.process = self.process
        self.serial = connect(self.machine.serial_path, self.process)
        self.reader = threading.Thread(target=self.read_serial, daemon=True)
        self.reader.start()
        self.machine.started(self)

    def read_serial(self):
        while True:
            try:
                data = self.serial.recv(65536)
            except OSError:
                data = b''
            with self.arrived:
                self.seen += data
                self.closed = not data
                self.arrived.notify_all()
                if self.closed:
                    return

    def wait_exit(self, timeout, status=0):
        """The machine ends by itself, with this exit status."""
        try:
            ended = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure('it still runs after %g s' %
                          (timeout * SLOW)) from None
        if ended != status:
            raise Failure('exit status %d instead of %d' % (ended, status))

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.reader:
            self.reader.join(5)
        if self.serial:
            self.serial.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        """What a person wants to see after a failure."""
        with open(os.path.join(self.folder, 'stderr.log'),
                  errors='replace') as file:
            said = file.read().split('\n')[-30:]
        with self.arrived:
            serial = self.seen.decode(errors='replace').split('\n')[-40:]
        screen = []
        if self.process and self.process.poll() is None:
            try:
                screen = self.screentext()
            except Exception as problem:
                screen = ['no picture: %s' % problem]
        text = []
        for title, lines in (('screen', screen), ('program', said),
                             ('serial', serial)):
            text += ['%-8s| %s' % (title, line.rstrip())
                     for line in lines if line.strip()]
        return '\n'.join(text)

    # --- the serial line ----------------------------------------------------

    def expect(self, pattern, timeout):
        """Wait for a regular expression in what has not been used yet."""
        expression = re.compile(pattern.encode())
        deadline = time.monotonic() + timeout * SLOW
        with self.arrived:
            while True:
                found = expression.search(self.seen, self.used)
                if found:
                    self.used = found.end()
                    return [group.decode(errors='replace')
                            for group in (found.group(),) + found.groups()
                            if group is not None]
                left = deadline - time.monotonic()
                if self.closed:
                    raise Failure('the machine ended before %r' % pattern)
                if left <= 0:
                    raise Failure('no %r within %g s' %
                                  (pattern, timeout * SLOW))
                self.arrived.wait(min(left, 1))

    def send(self, text, end='\r'):
        self.serial.sendall((text + end).encode())

    def run(self, command, timeout=30, check=True):
        """Run a command in the guest's shell; its output, if it succeeds."""
        self.commands += 1
        # Quotes keep the marks out of the echo of the typed line.
        self.send('echo "@"%d; %s; echo "@"%d=$?' %
                  (self.commands, command, self.commands))
        self.expect('@%d\r?\n' % self.commands, timeout)
        begin = self.used
        status = self.expect('@%d=([0-9]+)' % self.commands, timeout)
        with self.arrived:
            output = bytes(self.seen[begin:self.used - len(status[0])])
        output = output.decode(errors='replace').replace('\r', '').rstrip('\n')
        if check and status[1] != '0':
            raise Failure('%r: status %s: %s' %
                          (command, status[1], output[-300:]))
        return output

    def login(self, timeout):
        """Log in to a disk guest at its serial console."""
        self.expect('login: ', timeout)
        self.send('root')
        self.expect('assword: ', 20)
        self.send('backplane')
        self.expect('# ', 30)

    # --- control ------------------------------------------------------------

    def screentext(self):
        """The lines of the text screen."""
        return self.machine.screentext()

    def wait_screen(self, pattern, timeout):
        """Wait for a regular expression in a line of the text screen."""
        deadline = time.monotonic() + timeout * SLOW
        while True:
            lines = self.screentext()
            for line in lines:
                if re.search(pattern, line):
                    return lines
            if self.process.poll() is not None:
                raise Failure('the machine ended before %r' % pattern)
            if time.monotonic() > deadline:
                raise Failure('no %r on the screen within %g s' %
                              (pattern, timeout * SLOW))
            time.sleep(0.5)

    def screenshot(self, path):
        self.machine.screenshot(path)

    def sendkey(self, keys):
        self.machine.sendkey(keys)

    def type(self, text):
        self.machine.type(text)

    def mouse(self, dx, dy, buttons=0):
        self.machine.mouse(dx, dy, buttons)

    def save(self, path):
        self.machine.save(path)

    def eject(self):
        self.machine.eject()

    def change_media(self, path):
        self.machine.change_media(path)

    def hash(self):
        return self.machine.hash()

    def pause(self):
        self.machine.simple('pause')

    def resume(self):
        self.machine.simple('resume')

    def reset(self):
        self.machine.simple('reset')

    def powerdown(self):
        self.machine.simple('powerdown')

    def quit(self):
        self.machine.simple('quit')
