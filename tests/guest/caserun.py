# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of a boot test.

A test file marks its cases with @case(NAME) and ends in main().  A case that
returns is ok; one that raises is not.  A file with short cases runs those in
`make check`, and its others in `make check-long` under the name FILE_long, a
link to it.  A file without short cases is for `make check-long`.  By hand:

    FILE.py --list
    FILE.py CASE...     (shell patterns)
    FILE.py --all
"""

import fnmatch
import signal
import subprocess
import sys
import time
import traceback

from vmdriver import Failure, Skip

CASES = []


def case(name, short=False, rows=((),)):
    """Marks a case, or one for each row of arguments: name % row."""
    def mark(function):
        for row in rows:
            CASES.append((name % row if row else name, short, function, row))
        return function
    return mark


def copy(source, target):
    """Copy a disk image and leave its holes."""
    subprocess.run(['cp', '--sparse=always', source, target], check=True)


def run(name, function, row):
    begin = time.monotonic()
    try:
        said = function(*row)
    except Skip as reason:
        print('ok %s # SKIP %s' % (name, reason), flush=True)
        return True
    except Failure as problem:
        print(getattr(problem, 'log', ''))
        print('not ok %s: %s' % (name, problem), flush=True)
        return False
    except Exception as problem:
        print(getattr(problem, 'log', ''))
        traceback.print_exc(file=sys.stdout)
        print('not ok %s: %r' % (name, problem), flush=True)
        return False
    print('# %s: %s%.1f s' % (name, '%s, ' % said if said else '',
                              time.monotonic() - begin))
    print('ok %s' % name, flush=True)
    return True


def main():
    # So that an impatient caller's SIGTERM ends the machines too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    words = sys.argv[1:]
    has_short = any(short for name, short, function, row in CASES)
    want_short = has_short and not sys.argv[0].endswith('_long.py')
    if words == ['--list']:
        for name, short, function, row in CASES:
            print(name if short else '%s  (long)' % name)
        return
    if words == ['--all']:
        words = ['*']
    chosen = [(name, function, row) for name, short, function, row in CASES
              if any(fnmatch.fnmatchcase(name, word) for word in words)
              or not words and short == want_short]
    if not chosen:
        sys.exit('no such case; see --list')
    if not all([run(*one) for one in chosen]):
        sys.exit(1)
