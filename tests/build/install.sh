#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make install puts a whole, movable tree below DESTDIR, and uninstall takes
# all of it away again.
set -u

: "${S:=$PWD}" "${B:=$PWD/build}"
dest=$(mktemp -d) || exit 1
trap 'rm -rf "$dest"' EXIT
code=0

result() { # exit code, case
    if [ "$1" = 0 ]; then
        echo "ok $2"
    else
        echo "not ok $2"
        code=1
    fi
}

# The options of the make that runs the tests are not this one's; but it has
# to name folders as that one did, or it builds all anew under their feet.
unset MAKEFLAGS MFLAGS MAKELEVEL
from=$S
[ -e "$B/Makefile" ] && from=$B
sub() { env -u S -u B make -C "$from" DESTDIR="$dest" "$1"; }

sub install
result $? 'installs'
cd "$dest" || exit 1
pc=$(find . -name backplane.pc)
[ -n "$pc" ]
result $? 'has a pkg-config file'
plugindir=$(PKG_CONFIG_PATH=${pc%/*} pkg-config --variable=plugindir backplane)
for so in "$B"/plugins/*/*.so; do
    if [ -e "$so" ]; then
        [ -e ".$plugindir/${so#"$B"/plugins/}" ]
        result $? "has ${so##*/} where backplane.pc says"
    fi
done
for h in "$S"/include/backplane/*.h; do
    if [ -e "$h" ]; then
        find . -path "*/include/backplane/${h##*/}" | grep -q .
        result $? "has ${h##*/}"
    fi
done
find . -type f ! -name '*.1' ! -name '*.5' ! -name '*.7' -size -200k \
    ! -perm /111 -exec grep -lF -e "$dest" {} + | grep .
[ $? = 1 ]
result $? 'no file knows DESTDIR'
sub uninstall >/dev/null
find . -type f | grep .
[ $? = 1 ]
result $? 'uninstalls without a rest'
exit $code
