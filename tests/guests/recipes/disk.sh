# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2016
#
# disk-*: Debian on an IDE disk.
#
#   disk.img      raw image, sparse: MBR, GRUB, one ext4 partition
#   packages      what is installed, with versions
#
# The kernel and initramfs are those of the kernel-* and initramfs-* guests;
# the rest is Debian's essential packages with SysV init, put in place by
# mmdebstrap, which needs no privileges.  Two short scripts stand in for the
# many that would start and stop a bigger system.  disk-gcc adds a C compiler,
# disk-hyperv the Hyper-V daemons and what the tests of its devices use,
# disk-desktop an X server with a window manager.

disk_kernel()
{
    case $1 in
    i386) echo 686-pae ;;
    *)    echo amd64 ;;
    esac
}

disk_needs()
{
    echo "kernel-$(disk_kernel "$1") initramfs-$(disk_kernel "$1")"
}

disk_packages()
{
    case $1 in
    i386) arch=i386 ;;
    *)    arch=amd64 ;;
    esac
    for package in sysvinit-core util-linux-extra login passwd kmod kbd eject \
            evtest e2fsprogs fdisk mount procps less; do
        echo "$package:$arch"
    done
    case $1 in
    gcc) echo gcc:amd64 libc6-dev:amd64 make:amd64 ;;
    hyperv) for package in hyperv-daemons python3-minimal socat fio iperf3 \
                    ethtool iproute2 iputils-ping isc-dhcp-client kexec-tools \
                    netcat-openbsd; do
                echo "$package:amd64"
            done ;;
    desktop) for package in udev xserver-xorg-core xserver-xorg-input-libinput \
                    xserver-xorg-video-fbdev xinit x11-xserver-utils x11-apps \
                    icewm xterm xfonts-base fonts-dejavu-core; do
                echo "$package:amd64"
            done ;;
    esac
}

# The system as a tar archive, with its owners and device nodes.
disk_debian()
{
    arch=amd64 include=
    case $1 in
    i386) arch=i386 ;;
    esac
    for package in $(disk_packages "$1"); do
        include=$include${include:+,}${package%:*}
    done
    sed "s/arch=[^ ]*/arch=$arch/" "$apt_dir/sources.list" >sources
    # An amd64 machine runs i386 programs: nothing to check or to emulate.
    mmdebstrap --variant=essential --architectures="$arch" --skip=check/qemu \
        --include="$include" \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --customize-hook="copy-in $here/disk/inittab $here/disk/fstab /etc" \
        --customize-hook="copy-in $here/disk/rc.boot $here/disk/rc.down /etc" \
        --customize-hook="copy-in $here/disk/rc.hyperv /etc" \
        --customize-hook="copy-in $here/disk/rc.desktop /etc" \
        --customize-hook="copy-in $here/disk/xclient /etc" \
        --customize-hook='chmod 755 "$1"/etc/rc.* "$1/etc/xclient"' \
        --customize-hook='mkdir -p "$1/etc/inittab.d"' \
        --customize-hook='echo backplane >"$1/etc/hostname"' \
        --customize-hook='echo "127.0.0.1 localhost backplane" \
            >"$1/etc/hosts"' \
        --customize-hook='echo root:backplane | chroot "$1" chpasswd' \
        --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists' \
        --customize-hook='chroot "$1" dpkg-query -W >packages' \
        "$suite" debian.tar sources
}

# Runs a command so that it can own files as anyone.
as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        tool fakeroot fakeroot
        fakeroot "$@"
    fi
}

disk_make()
{
    for need in mmdebstrap:mmdebstrap mke2fs:e2fsprogs sfdisk:fdisk \
            grub-mkimage:grub-common; do
        tool "${need%:*}" "${need#*:}"
    done
    grub=/usr/lib/grub/i386-pc
    [ -d "$grub" ] || tool grub-i386-pc grub-pc-bin
    name=$(disk_kernel "$1")
    kernel=$cache/kernel-$name
    version=$(cat "$kernel/version")
    case $1 in
    gcc|hyperv) mib=1536 ;;
    desktop) mib=2048 ;;
    *)   mib=1024 ;;
    esac

    disk_debian "$1"
    mkdir -p boot/boot/grub boot/lib/modules
    cp "$kernel/vmlinuz" boot/boot/vmlinuz
    cp "$cache/initramfs-$name/initrd.img" boot/boot/initrd.img
    cp "$here/disk/grub.cfg" boot/boot/grub/grub.cfg
    # The modules of the initramfs, and their indexes, are the disk's too.
    (cd boot && gzip -dc boot/initrd.img |
        cpio --quiet -id "lib/modules/$version/*")
    [ -e "boot/lib/modules/$version/modules.dep" ]

    # The archive before the folder, so that lib stays a link to usr/lib.
    cat >fill <<'END'
set -e
mkdir root
tar -xf debian.tar -C root
mv boot/lib/modules root/usr/lib/
cp -r boot/boot root/
chown -R 0:0 root/usr/lib/modules root/boot
truncate -s "$1" part.img
mke2fs -q -t ext4 -O ^metadata_csum_seed,^orphan_file -L root -d root part.img
END
    as_root sh fill "$((mib - 1))M"

    # The partition begins at 1 MiB; GRUB is in the gap before it.
    truncate -s "${mib}M" disk.img
    echo 'start=2048, type=83, bootable' |
        sfdisk --quiet --label dos disk.img
    grub-mkimage -d "$grub" -O i386-pc -p '(,msdos1)/boot/grub' -o core.img \
        biosdisk part_msdos ext2 normal configfile linux serial terminal \
        echo test ls cat search reboot halt chain multiboot
    dd if="$grub/boot.img" of=disk.img bs=1 count=440 conv=notrunc status=none
    dd if=core.img of=disk.img bs=512 seek=1 conv=notrunc status=none
    dd if=part.img of=disk.img bs=1M seek=1 conv=notrunc,sparse status=none
    mv disk.img packages "$2/"
}
