#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
"""Debian's installer comes to its first question."""

import os
import tempfile
import time

import caserun
import screen_picture
from vmdriver import VM, Failure, guest


@caserun.case('installer-text-%s', rows=[('amd64',), ('i386',)])
def text(arch):
    """On the text screen; a key is answered."""
    with VM('d-i-' + arch, memory=1024, kernel=guest('d-i-' + arch, 'linux'),
            initrd=guest('d-i-' + arch, 'initrd.gz'),
            append='nomodeset fb=false') as vm:
        begin = time.time()
        vm.wait_screen('Select a language', 600)
        vm.wait_screen(r'English +- +English', 60)
        took = time.time() - begin
        # Tab to the buttons and Enter: the second question.
        vm.sendkey('ret')
        vm.wait_screen('Select your location', 120)
        vm.quit()
        vm.wait_exit(30)
        return 'first question after %.1f s' % took


# What the first page looks like, by the mean brightness of 16 x 12 tiles.
GTK_PAGE = ('800x600 '
            '356435544333445589999999999999aaddccddddddddddde'
            'dddedeeeeeeeeeeedddedefffffffffedeffeffffffffffe'
            'deffdefffffffffecabbbabbbbbbbbbddeffdffffffffffe'
            'deffdefffffffffedeeedeeeeeeeeeeeddeeeeeeeeeededd')


@caserun.case('installer-gtk')
def gtk():
    """In a 800x600 frame buffer set by the BIOS, with X on top."""
    with VM('d-i-gtk', memory=1024, kernel=guest('d-i-amd64', 'linux'),
            initrd=guest('d-i-amd64', 'gtk-initrd.gz'),
            append='vga=788 nomodeset') as vm, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'screen.png')
        deadline = time.monotonic() + 900
        while True:
            vm.screenshot(path)
            tiles = screen_picture.tiles(path)
            if screen_picture.alike(tiles, GTK_PAGE):
                break
            if time.monotonic() > deadline:
                raise Failure('the screen is %s' % tiles)
            time.sleep(2)
        vm.quit()
        vm.wait_exit(30)


caserun.main()
