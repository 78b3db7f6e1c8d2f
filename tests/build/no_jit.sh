#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The program without its translator: it builds, executes, and has none of it.
# timeout: 1800
set -u

: "${S:=$PWD}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
code=0

result() { # exit code, case
    if [ "$1" = 0 ]; then
        echo "ok $2"
    else
        echo "not ok $2"
        code=1
    fi
}

"$S/configure" --disable-jit --disable-sdl >/dev/null &&
    make -j2 all "$dir/tests/cpu/fuzz_prog" >log 2>&1 || tail -n 20 log
[ -x backplane ]
result $? 'builds'
if nm backplane | grep -q ' T translate$'; then false; fi
result $? 'has no translator'
tests/cpu/fuzz_prog -n 50 | grep -q '^ok random programs interpreted'
result $? 'executes'
exit $code
