# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# iso-*: CD images.
#
#   iso-amd64    boot.iso    boots GRUB from BIOS, then the kernel and initramfs
#                            on both consoles; other entries power off at once
#                            or start the memory test and the invaders
#   iso-data     data.iso    nothing to boot, a few files with known contents

iso_needs()
{
    case $1 in
    amd64) echo kernel-amd64 initramfs-amd64 memtest invaders ;;
    esac
}

iso_packages()
{
    :
}

iso_make()
{
    tool xorriso xorriso
    mkdir -p tree/boot/grub
    case $1 in
    amd64)
        tool grub-mkrescue grub-common
        [ -d /usr/lib/grub/i386-pc ] || tool grub-i386-pc grub-pc-bin
        cp "$cache/kernel-amd64/vmlinuz" tree/boot/vmlinuz
        cp "$cache/initramfs-amd64/initrd.img" tree/boot/initrd.img
        cp "$cache/memtest/memtest-ia32.bin" tree/boot/memtest.bin
        cp "$cache/invaders/invaders.exec" tree/boot/invaders.exec
        cp "$here/iso/grub.cfg" tree/boot/grub/grub.cfg
        echo 'Backplane boot CD' >tree/media.txt
        grub-mkrescue -d /usr/lib/grub/i386-pc --fonts= --locales= --themes= \
            -o "$2/boot.iso" tree -- -volid BACKPLANE_BOOT
        ;;
    data)
        rm -r tree/boot
        echo 'Backplane data CD' >tree/media.txt
        # Numbers as text: 4 MB that any machine makes the same.
        seq 1 600000 >tree/numbers.txt
        (cd tree && md5sum media.txt numbers.txt) >md5sums
        mv md5sums tree/md5sums
        xorriso -as mkisofs -quiet -J -R -V BACKPLANE_DATA \
            -o "$2/data.iso" tree
        ;;
    esac
}
