#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What a user gets wrong is answered by one clear sentence and exit status 2
# (or 1 when it went wrong later), never by a crash.
set -u

: "${S:=$PWD}" "${B:=$PWD/build}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
code=0

refuses() { # status, part of the sentence, options of run
    status=$1 part=$2
    shift 2
    said=$(timeout 60 "$B/backplane" run --headless "$@" 2>&1 </dev/null)
    got=$?
    if [ $got = "$status" ] && [ "$(printf '%s\n' "$said" | wc -l)" = 1 ] &&
        printf '%s\n' "$said" | grep -q -e "$part"; then
        echo "ok run $*"
    else
        echo "# status $got: $said"
        echo "not ok run $*"
        code=1
    fi
}

cd "$dir" || exit 1
: >empty
printf 'name = x\ncolour = red\n' >wrong.conf
refuses 2 "no option '--colour'" --colour=red
refuses 2 "no option '-m'" -m 512
refuses 2 "no option '--colour'" --colour red
refuses 2 "needs a value" --memory
refuses 2 "memory '3X'" --memory 3X
refuses 2 "1M to 1T" --memory 4T
refuses 2 "1 to 64" --cpus 0
refuses 2 "'nosuch" --cpu nosuch
refuses 2 "nosuch.img" --disk nosuch.img
refuses 2 "empty" --disk empty
refuses 2 "'colour=red'" --disk empty,colour=red
refuses 2 "nosuch.iso" --cdrom nosuch.iso
refuses 2 "at most 4" --cdrom "" --cdrom "" --cdrom "" --cdrom "" --cdrom ""
refuses 2 "nosuch" --kernel nosuch
refuses 2 "empty" --kernel empty
refuses 2 "needs 'kernel'" --initrd empty
refuses 2 "stdio, socket" --serial carrier-pigeon
refuses 2 "nosuch/dir" --serial file:nosuch/dir
refuses 2 "no device type 'i8255'.*i8254" --device i8255
refuses 2 "no property .colour." --device \
    ns16550,colour=red
refuses 2 "irq" --device ns16550,port=0x2f8,irq=77
refuses 2 "nosuch.so" --plugin nosuch.so
refuses 2 "nosuch.bin" --firmware nosuch.bin
refuses 2 "64 KiB" --firmware empty
refuses 2 "no time" --rtc-base noon
refuses 2 "order" --boot sideways
refuses 2 "line 2: there is no key 'colour'" wrong.conf
refuses 2 "nosuch.conf" nosuch.conf
refuses 1 "nosuch.state" --restore nosuch.state
refuses 1 "not a saved machine" --restore empty
refuses 1 "control socket" --ctl nosuch/dir/ctl
printf 'BPSTATE\n\001\000\000\000' >cut.state
refuses 1 "cut off" --restore cut.state
printf 'BPSTATE\n\377\000\000\000' >new.state
refuses 1 "format 255" --restore new.state
exit $code
