#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What configure promises: its help is complete, a wrong option is an error,
# a missing tool is named with its package, and any folder can be configured.
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

# fails TEXT CASE ARGUMENT...: configure must fail and say TEXT.
fails() {
    text=$1 name=$2
    shift 2
    if "$S/configure" "$@" >out 2>&1; then
        false
    else
        grep -qF -e "$text" out
    fi
    result $? "$name"
}

"$S/configure" --help >help
options=$(grep -oE '^    --[a-z-]+(=\*)?( \| --[a-z-]+)*\)' "$S/configure" |
    grep -oE -e '--[a-z-]+')
for option in $options; do
    case $option in
    --enable- | --disable-* | --build | --help | --datarootdir) continue ;;
    esac
    grep -qF -e "$option" help
    result $? "help knows $option"
done

fails "'--frobnicate'" 'unknown option is refused' --frobnicate
fails "'--enable-nonsense'" 'unknown feature is refused' --enable-nonsense
fails build-essential 'package of a missing compiler is named' --cc=no-such-cc
fails "'memory'" 'unknown sanitizer is refused' --enable-sanitize=memory
PKG_CONFIG=false fails libglib2.0-dev 'package of a missing library is named'

"$S/configure" --prefix=/opt/bp --disable-sdl --disable-jit --enable-debug \
    >out 2>&1
result $? 'configures an empty folder'
[ -s config.mak ] && [ -s config.h ] && [ -s config.log ] &&
    [ -x config.status ]
result $? 'writes its four files'
grep -q '^#define CONFIG_SDL 0' config.h &&
    grep -q '^CONFIG_SDL := n' config.mak &&
    grep -q '^CONFIG_JIT := n' config.mak
result $? 'a feature can be left out'
cp config.mak before
./config.status >/dev/null 2>&1 && cmp -s before config.mak
result $? 'config.status repeats it'
make help >out && grep -q check-long out
result $? 'the folder has a Makefile that works'

"$S/configure" --list-deps | sort >deps
if [ -x "$S/tests/guests/build" ]; then
    "$S/tests/guests/build" --deps | sort | comm -23 - deps >lacking
    [ ! -s lacking ]
    result $? 'installs what the test guests are built with'
fi
exit $code
