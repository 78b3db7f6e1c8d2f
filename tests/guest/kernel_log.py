# SPDX-License-Identifier: Apache-2.0
"""Judges what a guest's Linux kernel has logged."""

import os
import re

from vmdriver import VMM, Failure

# Words that are never right, whatever the level of the message.
TROUBLE = re.compile('|'.join((
    r'WARNING:', r'\bBUG:', r'Oops', r'Call Trace', r'general protection',
    r'kernel panic', r'soft lockup', r'hard LOCKUP', r'stall(s|ed)? on CPU',
    r'rcu.*detected.*stalls', r'blocked for more than', r'nobody cared',
    r'lost interrupt', r'Emask', r'qc timeout', r'revalidation failed',
    r'I/O error', r'EXT4-fs (error|warning)', r'segfault', r'trap invalid',
    r'unhandled', r'spurious', r'No irq handler', r'Unstable clock',
    r'firmware bug', r'ACPI (BIOS )?Error', r'ACPI Exception',
    r'timed out', r'failed to (start|come|respond)', r'stuck\?',
    r'unexpected IRQ', r'bad:', r'Machine check', r'MCE:.*error',
    r'unknown NMI', r'clocksource.*unstable', r'calibration failed')),
    re.IGNORECASE)

# Warnings that a good machine gets as well, and why.
EXPECTED = [re.compile(line) for line in (
    # A PC before PCI Express has no memory-mapped configuration space.
    r'fail to add MMCONFIG information',
    # The kernel without PAE has no use for a window above 4 GiB.
    r'acpi resource window .* ignored, not CPU addressable',
    # A Generation 2 machine has no PCI, here as on Hyper-V.
    r'PCI: Fatal: No config space access function found',
    r'PCI: System does not support PCI',
    # What the processor that is modelled is open to, by its CPUID.
    r'(Spectre V2|RETBleed|MDS|TAA|MMIO Stale Data|SRBDS|L1TF|ITS|VMSCAPE)'
    r' ?:? .*(CPU bug|vulnerable|SMT|WARNING|Vulnerable|eBPF)',
    # One port read in thousands that takes ten times the shortest, as on any
    # host with other work to do, makes the kernel take the PM timer instead.
    r'tsc: Fast TSC calibration failed',
    r'tsc: Unable to calibrate against PIT',
)]
# Measurements that go wrong when the host is late: accepted on a busy one.
HURRIED = [re.compile(line) for line in (
    r'APIC calibration not consistent with PM-Timer',
    r'tsc: PIT calibration deviates from PMTIMER',
    r'hrtimer: interrupt took')]
if VMM == 'qemu':
    # Two processors under TCG disagree about MTRRs and the time.
    EXPECTED += [re.compile(line) for line in (
        r'mtrr: your CPUs had inconsistent', r'trace_clock', r'local clock',
        r'Unstable clock', r'on the kernel command line', r'tsc: ',
        r'calibrate_delay_direct', r'clocksource')]


def judge(raw):
    """Look at `dmesg -r`, whose lines begin with <LEVEL>; 4 is a warning."""
    bad = []
    busy = os.getloadavg()[0] > os.cpu_count() + 1
    accepted = EXPECTED + (HURRIED if busy else [])
    for line in raw.split('\n'):
        found = re.match(r'<(\d+)>(.*)', line)
        if not found:
            continue
        level, text = int(found.group(1)) & 7, found.group(2)
        if level <= 4 or TROUBLE.search(text):
            if not any(known.search(text) for known in accepted):
                bad.append(text)
    if bad:
        raise Failure('kernel log: ' + ' | '.join(bad[:8]) +
                      (' and %d more' % (len(bad) - 8)
                       if len(bad) > 8 else ''))
