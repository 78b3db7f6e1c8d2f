#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A bad plugin is one clear sentence and no crash, and stops nobody else.
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

# A plugin with one small device; -D options spoil it.
cat >"$dir/plugin.c" <<'END'
#include <backplane/backplane.h>
#ifndef MAJOR
#define MAJOR BP_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR BP_ABI_MINOR
#endif
#ifndef ID
#define ID "test-thing"
#endif
#ifndef SIZE
#define SIZE sizeof(struct bp_plugin)
#endif
#ifndef CREATE
#define CREATE create
#endif
static int32_t create(void *self, struct bp_dev *dev,
                      const struct bp_host *host)
{
    (void)self, (void)dev, (void)host;
    return 0;
}
static void reset(void *self, uint32_t kind)
{
    (void)self, (void)kind;
}
static const struct bp_device_desc thing = {
    .size = sizeof(thing), .id = ID, .title = "thing", .instance_size = 8,
    .create = CREATE, .reset = reset,
};
static const struct bp_device_desc *const devices[] = { &thing,
#ifdef TWICE
    &thing,
#endif
    NULL };
#ifndef SYMBOL
#define SYMBOL bp_plugin
#endif
int32_t (*const use)(void *, struct bp_dev *, const struct bp_host *) = create;
BP_EXPORT extern const struct bp_plugin SYMBOL;
const struct bp_plugin SYMBOL = {
    .size = SIZE, .abi_major = MAJOR, .abi_minor = MINOR, .id = "test.plugin",
    .title = "test", .licence = "MIT", .devices = devices,
};
END

build() { # name, options
    name=$1
    shift
    $CC -shared -fPIC -I"$S/include" "$@" -o "$dir/$name.so" "$dir/plugin.c"
}

refuses() { # name, part of the sentence, case
    said=$("$B/backplane" plugins --plugin "$dir/$1.so" 2>&1)
    [ $? = 1 ] && [ "$(printf '%s\n' "$said" | wc -l)" = 1 ] &&
        printf '%s\n' "$said" | grep -q "$2"
    result $? "$3"
}

build good
"$B/backplane" plugins --plugin "$dir/good.so" test-thing >/dev/null
result $? 'a good one is taken'
build major -DMAJOR=99
refuses major 'plugin ABI 99\.' 'wrong ABI major'
build minor -DMINOR=77
refuses minor 'plugin ABI [0-9]*\.77' 'wrong ABI minor'
build short -DSIZE=4
refuses short 'too short' 'entry too short'
build symbol -DSYMBOL=other_plugin
refuses symbol "no symbol 'bp_plugin'" 'no entry symbol'
build id '-DID="Thing!"'
refuses id 'id' 'impossible id'
build twice -DTWICE
refuses twice 'two devices' 'one id twice'
build null -DCREATE=0
refuses null 'create' 'no create function'
echo 'not a shared object' >"$dir/text.so"
refuses text 'cannot be loaded' 'not a shared object'
refuses missing 'cannot be loaded' 'no such file'

mkdir "$dir/path"
cp "$dir/major.so" "$dir/path/a.so"
cp "$dir/good.so" "$dir/path/b.so"
said=$(BP_PLUGIN_PATH=$dir/path "$B/backplane" plugins test-thing 2>&1)
[ $? = 0 ] && echo "$said" | grep -q 'plugin ABI 99'
result $? 'a bad one in a folder is warned of and left'

said=$("$B/backplane" plugins --plugin "$dir/good.so" \
    --plugin "$dir/path/b.so" test-thing 2>&1)
[ $? = 0 ] && echo "$said" | grep -q shadowed
result $? 'the second of two is shadowed'
"$B/backplane" plugins --json | grep -q '"id" : "i8254"'
result $? 'the list is JSON when asked for'
exit $code
