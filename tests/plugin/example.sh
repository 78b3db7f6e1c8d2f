#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The example plugin is built out of tree against an installed copy of the
# headers, and driven through backplane devtest.
set -u

: "${S:=$PWD}" "${B:=$PWD/build}"
: "${CC:=gcc}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
code=0

result() { # exit code, case
    if [ "$1" = 0 ]; then
        echo "ok $2"
    else
        echo "not ok $2"
        code=1
    fi
}

# The options of the make that runs the tests are not this one's.
unset MAKEFLAGS MFLAGS MAKELEVEL
from=$S
[ -e "$B/Makefile" ] && from=$B
env -u S -u B make -C "$from" DESTDIR="$dir/root" install-dev >"$dir/log" 2>&1
result $? 'headers are installed'
cp "$S"/docs/examples/hello_port.c "$S"/docs/examples/Makefile "$dir" ||
    exit 1
pc=$(find "$dir/root" -name backplane.pc)
PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir/root \
    make -C "$dir" CC="$CC" hello_port.so
result $? 'builds out of tree by its own Makefile'
[ "$(wc -l <"$dir/hello_port.c")" -lt 300 ]
result $? 'is short'

devtest() { # properties; script on standard input
    "$B/backplane" devtest --plugin "$dir/hello_port.so" "hello-port$1"
}

"$B/backplane" plugins --plugin "$dir/hello_port.so" hello-port |
    grep -q 'default 0x300'
result $? 'is listed with its properties'

devtest '' <<END
inb 0x300
expect 0x48
inb 0x300
expect 0x45
save_load
inb 0x300
expect 0x4c
outb 0x300 0
inb 0x300
expect 0x48
END
result $? 'port I/O, and state that survives saving'

devtest ',port=0x320,irq=7' <<END
write 0x1000 0x68656c6c6f
writel 0xd0000000 0x1000
writel 0xd0000004 0x2000
writel 0xd0000008 5
outb 0x321 0x81
clock_step 4000
irq isa 7
expect 0
save_load
clock_step 1000
irq isa 7
expect 1
read 0x2000 5
readl 0x2000
expect 0x6c6c6568
inb 0x322
expect 1
outb 0x322 1
irq isa 7
expect 0
inb 0x323
expect 1
END
result $? 'memory-mapped I/O, DMA, a timer and an interrupt'

said=$(devtest ',irq=99' </dev/null 2>&1)
[ $? = 2 ] && echo "$said" | grep -q "irq.*3\.\.15"
result $? 'a property out of range is refused'
said=$(devtest ',address=0x1001' </dev/null 2>&1)
[ $? = 2 ] && echo "$said" | grep -q 'not a multiple of 4096'
result $? 'its own refusal reaches the user'
exit $code
