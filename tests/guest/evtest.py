# SPDX-License-Identifier: Apache-2.0
"""What a guest's input devices tell, by evtest."""

import re
import time


def device(vm, name):
    """The newest event device of this name."""
    return vm.run('grep -l "%s" /sys/class/input/event*/device/name | tail -n 1'
                  ' | sed "s#/sys/class/input/#/dev/input/#; '
                  's#/device/name##"' % name)


def events(vm, path, act):
    """What evtest sees on a device while act() does something."""
    vm.run('evtest %s >/tmp/events 2>&1 & sleep 2' % path)
    act()
    time.sleep(1)
    said = vm.run('sleep 1; kill $!; cat /tmp/events', 30)
    return [(name, int(value)) for name, value in
            re.findall(r'Event: .*code \d+ \((\w+)\), value (-?\d+)', said)]
