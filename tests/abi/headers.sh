#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each public header compiles alone, in every language it promises, and
# declares nothing that a second inclusion would break.
set -u

: "${S:=.}" "${CC:=gcc}"
CXX=${CXX:-g++}
code=0

try() { # case, compiler and flags
    name=$1
    shift
    if printf '#include <%s>\n#include <%s>\nextern int not_empty;\n' \
        "$header" "$header" |
        "$@" -I"$S/include" -Wall -Wextra -Werror -fsyntax-only -; then
        echo "ok $header $name"
    else
        echo "not ok $header $name"
        code=1
    fi
}

for file in "$S"/include/backplane/*.h; do
    [ -e "$file" ] || {
        echo "ok headers # SKIP there are none"
        exit 0
    }
    header=backplane/${file##*/}
    try c11 "$CC" -x c -std=c11 -pedantic-errors -Wstrict-prototypes
    try c17 "$CC" -x c -std=c17 -pedantic-errors -Wstrict-prototypes
    try c++17 "$CXX" -x c++ -std=c++17 -pedantic-errors
done
exit $code
