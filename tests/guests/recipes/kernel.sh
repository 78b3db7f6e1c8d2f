# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# kernel-*: Debian's Linux kernels.
#
#   vmlinuz    the kernel
#   config     what it was built with
#   version    its release, as uname -r prints it
#   lib/       lib/modules/VERSION, all modules, with depmod's indexes

kernel_needs()
{
    :
}

# The image package behind the one that always names the newest.
kernel_packages()
{
    case $1 in
    *686*) arch=:i386 ;;
    *)     arch= ;;
    esac
    newest=linux-image-$1$arch
    memo=$apt_dir/version.kernel-$1
    if [ ! -s "$memo" ]; then
        package_record "$newest" |
            sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' >"$memo"
    fi
    [ -s "$memo" ] || die "no package is called '$newest'"
    echo "$(cat "$memo")$arch"
}

kernel_make()
{
    tool depmod kmod
    package_get "$(kernel_packages "$1")" tree
    version=$(ls tree/lib/modules)
    depmod -b tree "$version"
    cp "tree/boot/vmlinuz-$version" "$2/vmlinuz"
    cp "tree/boot/config-$version" "$2/config"
    echo "$version" >"$2/version"
    mv tree/lib "$2/lib"
}
