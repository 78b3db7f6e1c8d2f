#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 2400
"""Debian's drivers use screen, keyboard and pointer on VMBus.

The console is on the screen, what is typed comes to a shell, and the pointer
is where it was put.  The long cases are the other drivers and generation,
saving, the window on the host, and a desktop.
"""

import os
import shutil
import subprocess
import tempfile
import time

import caserun
from evtest import device, events
from screen_picture import read_png
from vmdriver import BUILD, VM, BackplaneMachine, Failure, Skip, guest

CONSOLE = 'console=tty0 console=ttyS0,115200'
KERNELS = {'amd64': 'kernel-amd64', 'cloud': 'kernel-cloud-amd64'}
DARK = bytes(range(100))
DESKTOP = (0x30, 0x50, 0x70)  # colour of the root window


def machine(name, generation, kernel='amd64', options=(), **more):
    return VM(name, memory=512, kernel=guest(KERNELS[kernel], 'vmlinuz'),
              initrd=guest('initramfs-' + kernel, 'initrd.img'),
              append=CONSOLE,
              options=['--gen', str(generation)] + list(options), **more)


def shell(vm):
    vm.expect('BACKPLANE-GUEST-OK', 240)
    vm.expect('# ', 20)
    vm.run('dmesg -n 1; echo 0 >/sys/class/graphics/fbcon/cursor_blink')


def picture(vm):
    path = os.path.join(vm.folder, 'picture.png')
    vm.screenshot(path)
    return read_png(path)


def lit(rows, top, bottom):
    """How many pixels of these lines are bright."""
    return sum(len(row[::3].translate(None, DARK)) for row in rows[top:bottom])


def wait_for(what, seconds, true):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Failure('%s within %d s' % (what, seconds))
        time.sleep(0.3)


# --- what each guest must do ------------------------------------------------

def check_picture(vm):
    """Text appears where it is written, and nowhere else."""
    vm.run('printf "\\033[2J\\033[H\\033[?25l" >/dev/tty1')
    wait_for('the screen is not empty', 10,
             lambda: lit(picture(vm)[2], 0, 768) == 0)
    vm.run('printf "\\033[20;10HWWWW" >/dev/tty1')
    wait_for('no text in line 20', 10,
             lambda: lit(picture(vm)[2], 19 * 16, 20 * 16) > 100)
    width, height, rows = picture(vm)
    if (width, height) != (1024, 768):
        raise Failure('the screen has %d x %d pixels' % (width, height))
    if lit(rows, 0, 19 * 16) or lit(rows, 20 * 16, 768):
        raise Failure('there is something beside the text')
    if lit([row[13 * 8 * 3:] for row in rows], 0, 768):
        raise Failure('there is something behind the text')


def check_typing(vm):
    text = 'The quick brown fox: 0123456789 (jumps) over "it" & <that>?'
    vm.run('rm -f /tmp/typed')
    vm.type('\n')
    vm.type("echo '%s' >/tmp/typed\n" % text)
    vm.run('until [ -s /tmp/typed ]; do sleep 0.2; done', 30)
    typed = vm.run('cat /tmp/typed')
    if typed != text:
        raise Failure('typed text arrives as %r' % typed)


def check_keys(vm):
    names = {'a': 'KEY_A', 'shift': 'KEY_LEFTSHIFT', 'left': 'KEY_LEFT',
             'insert': 'KEY_INSERT', 'kp_enter': 'KEY_KPENTER',
             'ctrl_r': 'KEY_RIGHTCTRL', 'pause': 'KEY_PAUSE',
             'print': 'KEY_SYSRQ', 'f12': 'KEY_F12', 'menu': 'KEY_COMPOSE'}

    def press():
        for key in names:
            vm.sendkey(key)
    seen = [event for event in events(vm, device(vm, 'AT Translated'), press)
            if event[0].startswith('KEY_') and event[1] != 2]
    want = [(name, value) for name in names.values() for value in (1, 0)]
    if seen != want:
        raise Failure('the keys arrive as %s' % seen)


def check_pointer(vm):
    def act():
        for x, y, buttons in ((100, 200, 0), (32767, 0, 0), (5, 32767, 0),
                              (5, 32767, 1), (5, 32767, 3), (5, 32767, 0)):
            vm.machine.point(x, y, buttons)
            time.sleep(0.1)
        vm.mouse(10, -5)
    seen = events(vm, device(vm, 'HID-compliant'), act)
    want = [('ABS_X', 100), ('ABS_Y', 200), ('ABS_X', 32767), ('ABS_Y', 0),
            ('ABS_X', 5), ('ABS_Y', 32767), ('BTN_LEFT', 1), ('BTN_RIGHT', 1),
            ('BTN_LEFT', 0), ('BTN_RIGHT', 0),
            ('ABS_X', 325), ('ABS_Y', 32607)]
    seen = [event for event in seen if event[0] != 'MSC_SCAN']
    if seen != want:
        raise Failure('the pointer does %s' % seen)


def check_all(vm):
    check_picture(vm)
    check_typing(vm)
    check_keys(vm)
    check_pointer(vm)


# --- cases ------------------------------------------------------------------

@caserun.case('hv-screen-gen%d-%s', short=True, rows=[(2, 'amd64')])
def short(generation, kernel):
    with machine('screen', generation, kernel) as vm:
        shell(vm)
        check_all(vm)


@caserun.case('hv-screen-gen%d-%s', rows=[(1, 'amd64'), (1, 'cloud')])
def beside_vga(generation, kernel):
    """The VGA is seen before, and again after a reset."""
    with machine('screen', generation, kernel) as vm:
        vm.wait_screen('.', 60)
        shell(vm)
        if any(vm.screentext()):
            raise Failure('there is text on a screen of pixels')
        check_all(vm)
        vm.reset()
        vm.wait_screen('.', 60)
        shell(vm)
        check_typing(vm)


@caserun.case('hv-screen-save-gen%d-%s',
              rows=[(2, 'amd64'), (1, 'amd64'), (1, 'cloud')])
def saved(generation, kernel):
    """Saved while the screen is drawn and a key is held."""
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        state = os.path.join(folder, 'state')
        with machine('saved', generation, kernel) as vm:
            shell(vm)
            vm.run('(while :; do dmesg >/dev/tty1; done) & :')
            time.sleep(3)
            vm.save(state)
        with machine('restored', generation, kernel, restore=state) as vm:
            one = picture(vm)
            wait_for('the picture stands still', 20,
                     lambda: picture(vm) != one)
            vm.run('kill $!; dmesg -n 1')
            time.sleep(1)
            check_all(vm)


@caserun.case('hv-screen-modes')
def modes():
    """A large screen, as the machine's properties say."""
    with machine('modes', 2, options=[
            '--device', 'synthvid,vram=16M,xres=1920,yres=1200']) as vm:
        shell(vm)
        width, height, rows = picture(vm)
        if (width, height) != (1920, 1200):
            raise Failure('the screen has %d x %d pixels' % (width, height))
        if not lit(rows, 0, height):
            raise Failure('the screen is dark')


class Windowed(BackplaneMachine):
    def command(self, vm):
        line = super().command(vm)
        line.remove('--headless')
        return line


class Display:
    """An X server of the host without a screen."""

    def __enter__(self):
        for tool in ('Xvfb', 'xdotool'):
            if not shutil.which(tool):
                raise Skip('there is no ' + tool)
        read, write = os.pipe()
        self.server = subprocess.Popen(
            ['Xvfb', '-displayfd', str(write), '-screen', '0',
             '1600x1200x24'], pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as number:
            self.name = ':' + number.readline().strip()
        os.environ['DISPLAY'] = self.name
        return self

    def __exit__(self, *_):
        del os.environ['DISPLAY']
        self.server.terminate()
        self.server.wait()

    def do(self, *words):
        return subprocess.run(['xdotool'] + [str(word) for word in words],
                              check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def window(self):
        return self.do('search', '--sync', '--name', 'Backplane').split()[-1]


def cpu_seconds(process):
    with open('/proc/%d/stat' % process) as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@caserun.case('hv-screen-window')
def window():
    """Typing and pointing in the window, which needs no grab for that."""
    with Display() as display, machine('window', 2, machine=Windowed) as vm:
        shell(vm)
        which = display.window()
        display.do('windowfocus', '--sync', which)
        display.do('type', '--delay', '60', "echo 'In The Window' >/tmp/typed")
        display.do('key', 'Return')
        vm.run('until [ -s /tmp/typed ]; do sleep 0.2; done', 30)
        typed = vm.run('cat /tmp/typed')
        if typed != 'In The Window':
            raise Failure('typed text arrives as %r' % typed)

        def act():
            display.do('mousemove', '--window', which, 256, 192)
            time.sleep(0.5)
            display.do('click', 1)
            time.sleep(0.3)
            display.do('click', 5)
        seen = events(vm, device(vm, 'HID-compliant'), act)
        last = dict((name, value) for name, value in seen)
        if abs(last.get('ABS_X', 0) - 8192) > 40 or \
                abs(last.get('ABS_Y', 0) - 8192) > 50 or \
                ('BTN_LEFT', 1) not in seen or ('BTN_LEFT', 0) not in seen or \
                ('REL_WHEEL', -1) not in seen:
            raise Failure('the pointer does %s' % seen)
        vm.run('sleep 12', 60)  # the console looks less often by then
        before = cpu_seconds(vm.process.pid)
        time.sleep(20)
        used = (cpu_seconds(vm.process.pid) - before) / 20
        if used > 0.03:
            raise Failure('an idle screen costs %.1f %% of a processor' %
                          (used * 100))
        return 'idle %.2f %%' % (used * 100)


def on_desktop(vm):
    """The root window is there, and the terminal's white."""
    width, height, rows = picture(vm)
    corner = rows[height - 60][30:33], rows[height - 60][-33:-30]
    inside = rows[400][200 * 3:200 * 3 + 3]
    return all(tuple(pixel) == DESKTOP for pixel in corner) and \
        tuple(inside) == (255, 255, 255)


@caserun.case('hv-desktop-gen%d', rows=[(2,), (1,)])
def desktop(generation):
    """X with a window manager; what is typed comes to a terminal."""
    scsi = ',bus=scsi' if generation == 1 else ''
    with VM('desktop', memory=1024, cpus=2,
            kernel=guest('kernel-amd64', 'vmlinuz'),
            initrd=guest('initramfs-amd64', 'initrd.img'),
            append=CONSOLE + ' root=/dev/sda1 desktop',
            options=['--gen', str(generation), '--disk', '%s,snapshot=on%s' % (
                guest('disk-desktop', 'disk.img'), scsi)]) as vm:
        vm.login(240)
        wait_for('no desktop', 240, lambda: on_desktop(vm))
        time.sleep(5)
        # Into the terminal, then type.
        vm.machine.point(300 * 32, 300 * 42)
        vm.machine.point(300 * 32, 300 * 42, 1)
        vm.machine.point(300 * 32, 300 * 42, 0)
        vm.type('echo $((6 * 7)) $DISPLAY >/tmp/typed\n')
        vm.run('until [ -s /tmp/typed ]; do sleep 0.2; done', 120)
        typed = vm.run('cat /tmp/typed')
        if not typed.startswith('42 :0'):
            raise Failure('the terminal heard %r' % typed)
        # The pointer drags the window by its title, away from the left.
        for x, y, buttons in ((400, 74, 0), (400, 74, 1), (450, 100, 1),
                              (560, 220, 1), (560, 220, 0)):
            vm.machine.point(x * 32, y * 32768 // 768, buttons)
            time.sleep(0.3)

        def moved():
            pixel = picture(vm)[2][300][100 * 3:100 * 3 + 3]
            return tuple(pixel) == DESKTOP
        wait_for('the window did not move', 60, moved)
        vm.run('DISPLAY=:0 xrandr --output Virtual-1 --mode 1280x720')
        wait_for('no other mode', 60,
                 lambda: picture(vm)[:2] == (1280, 720))


if __name__ == '__main__':
    caserun.main()
