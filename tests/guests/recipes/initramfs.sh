# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# initramfs-*: a root file system in memory for one kernel.
#
#   initrd.img    gzip-compressed cpio archive
#
# Busybox, the modules of a PC's usual devices, e2fsprogs, eject and evtest,
# and the /init of the folder initramfs.  It is the whole system when the
# kernel is started without root=, and the way to the disk otherwise.

initramfs_kernel()
{
    case $1 in
    cloud) echo kernel-cloud-amd64 ;;
    *)     echo "kernel-$1" ;;
    esac
}

initramfs_needs()
{
    initramfs_kernel "$1"
}

initramfs_packages()
{
    case $1 in
    *686*) arch=i386 ;;
    *)     arch=amd64 ;;
    esac
    for package in busybox-static e2fsprogs eject evtest libc6 libblkid1 \
            libcom-err2 libext2fs2 libmount1 libpcre2-8-0 libselinux1 \
            libuuid1; do
        echo "$package:$arch"
    done
}

# The modules that /init loads, then those that are only there to be loaded.
initramfs_modules()
{
    cat "$here/initramfs/modules" "$here/initramfs/modules-hyperv" \
        "$here/initramfs/modules-extra" |
        grep -v '^#'
}

initramfs_make()
{
    tool cpio cpio
    tool depmod kmod
    kernel=$cache/$(initramfs_kernel "$1")
    version=$(cat "$kernel/version")

    for package in $(initramfs_packages "$1"); do
        package_get "$package" packages
    done

    mkdir -p root/bin root/sbin root/usr/bin root/usr/sbin root/lib root/etc \
        root/proc root/sys root/dev root/run root/tmp root/mnt root/root
    cp packages/bin/busybox root/bin/
    cp packages/sbin/e2fsck packages/sbin/mke2fs packages/sbin/dumpe2fs \
        root/sbin/
    cp packages/usr/bin/eject packages/usr/bin/evtest root/usr/bin/
    for link in fsck.ext4 fsck.ext3 fsck.ext2; do
        ln -s e2fsck "root/sbin/$link"
    done
    for link in mkfs.ext4 mkfs.ext3 mkfs.ext2; do
        ln -s mke2fs "root/sbin/$link"
    done
    cp packages/etc/mke2fs.conf root/etc/

    # The loader's path is fixed in the programs: lib64 on amd64, lib on i386.
    for lib in ld-linux ld-linux-x86-64 libc libblkid libcom_err libe2p \
            libext2fs libmount libpcre2-8 libselinux libuuid; do
        find packages/lib packages/usr/lib -name "$lib.so.[0-9]" |
            while read -r file; do
                cp -L "$file" "root/lib/${file##*/}"
            done
    done
    if [ -e root/lib/ld-linux-x86-64.so.2 ]; then
        ln -s lib root/lib64
    fi

    # A module that this kernel lacks or has built in is passed over.
    mkdir -p "root/lib/modules/$version"
    for module in $(initramfs_modules); do
        modprobe -d "$kernel" -S "$version" --show-depends "$module" \
            2>/dev/null || :
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u |
        while read -r file; do
            target=root/lib/modules/$version/${file#*"/$version/"}
            mkdir -p "${target%/*}"
            cp "$file" "$target"
        done
    cp "$kernel/lib/modules/$version/modules.builtin" \
        "$kernel/lib/modules/$version/modules.order" \
        "root/lib/modules/$version/"
    depmod -b root "$version"
    for list in modules modules-hyperv modules-extra; do
        grep -v '^#' "$here/initramfs/$list" >"root/etc/$list"
    done

    cp "$here/initramfs/init" root/init
    cp "$here/initramfs/profile" root/etc/profile
    echo 'root:x:0:0:root:/root:/bin/sh' >root/etc/passwd
    echo 'root:x:0:' >root/etc/group
    : >root/etc/fstab
    ln -s ../proc/self/mounts root/etc/mtab
    chmod 755 root/init

    # One date and a sorted list: the same input gives the same archive.
    find root -exec touch -h -d @0 {} +
    (cd root && find . | LC_ALL=C sort |
        cpio --quiet -o -H newc -R 0:0 --reproducible) |
        gzip -n -9 >"$2/initrd.img"
}
