#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A machine and its window, together: the firmware's messages on a virtual X
# server. What the window does by itself is tested by unit/console_window.
set -u

: "${S:?}" "${B:?}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/window.XXXXXX")
xvfb='' machine='' second=''

cleanup() {
    for pid in $second $machine $xvfb; do
        kill "$pid" 2>/dev/null
    done
    wait
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

skip() {
    echo "ok window # SKIP $*"
    exit 0
}

ok() { # name, command...
    name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        cat "$tmp/log"
        echo "not ok $name"
    fi
}

ctl() { "$B/backplane" ctl --socket "$tmp/ctl" "$@"; }

# Tries a command for half a minute.
await() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 150 ] || return 1
        sleep 0.2
    done
}

says() { ctl screentext | grep -q "$1"; }
window_id() { xdotool search --onlyvisible --name "$1" | grep .; }
ended() { ! kill -0 "$1" 2>/dev/null; }

# The upper part, without the cursor that blinks.
same_picture() {
    ctl screenshot "$tmp/machine.png" &&
        import -window "$(window_id 'Window test')" "$tmp/window.png" &&
        convert "$tmp/machine.png" -crop 640x48+0+0 "$tmp/a.rgb" &&
        convert "$tmp/window.png" -crop 640x48+0+0 "$tmp/b.rgb" &&
        cmp "$tmp/a.rgb" "$tmp/b.rgb"
}

for program in Xvfb xdotool import convert; do
    command -v $program >/dev/null || skip "no $program"
done
"$B/backplane" run --help >/dev/null 2>&1 || skip 'no program'
[ -f /usr/share/seabios/bios-256k.bin ] || skip 'no seabios'

Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp 3>"$tmp/display" \
    2>/dev/null &
xvfb=$!
await grep -q . "$tmp/display" || skip 'Xvfb does not start'
DISPLAY=:$(cat "$tmp/display")
export DISPLAY
unset WAYLAND_DISPLAY

"$B/backplane" run --name 'Window test' --memory 32M --ctl "$tmp/ctl" \
    >"$tmp/log" 2>&1 &
machine=$!
ok 'window opens with the name as its title' \
    await window_id '^Window test - Backplane$'
ok 'firmware runs' await says SeaBIOS
ok 'window shows what the machine shows' await same_picture

# The window dies; the machine does not, and gets another.
kill "$(xdotool getwindowpid "$(window_id 'Window test')")"
ok 'machine outlives its window' await grep -q 'the window is gone' "$tmp/log"
"$B/backplane" console "$tmp/ctl-console" >>"$tmp/log" 2>&1 &
second=$!
ok 'another window opens' await window_id '^Window test - Backplane$'
ok 'it shows the same' await same_picture
ctl pause
ok 'title says that it is paused' await window_id 'Backplane - paused$'
ctl quit
ok 'machine ends' await ended $machine
ok 'window ends with it' await ended $second
wait $machine
ok 'exit status is good' test $? = 0
machine='' second=''
