# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# Guests that a package holds ready to start.
#
#   memtest       memtest-{ia32,x64}.bin (Linux boot protocol), memtest.iso
#   ipxe          ipxe.iso, ipxe.lkrn
#   grub-rescue   grub-rescue-{cdrom.iso,floppy.img}
#   invaders      invaders.exec (multiboot)
#   d-i-*         linux and initrd.gz of the text installer, gtk-initrd.gz of
#                 the graphical one

packaged_needs()
{
    :
}

packaged_packages()
{
    case $1 in
    memtest)     echo memtest86+ ;;
    ipxe)        echo ipxe ;;
    grub-rescue) echo grub-rescue-pc ;;
    invaders)    echo grub-invaders ;;
    d-i-*)       echo "debian-installer-12-netboot-${1#d-i-}" ;;
    esac
}

packaged_make()
{
    package_get "$(packaged_packages "$1")" tree
    case $1 in
    memtest)
        cp tree/boot/memtest86+ia32.bin "$2/memtest-ia32.bin"
        cp tree/boot/memtest86+x64.bin "$2/memtest-x64.bin"
        cp tree/usr/lib/memtest86+/memtest86+x64.iso "$2/memtest.iso"
        ;;
    ipxe)
        cp tree/usr/lib/ipxe/ipxe.iso tree/boot/ipxe.lkrn "$2/"
        ;;
    grub-rescue)
        cp tree/usr/lib/grub-rescue/grub-rescue-cdrom.iso \
            tree/usr/lib/grub-rescue/grub-rescue-floppy.img "$2/"
        ;;
    invaders)
        cp tree/boot/invaders.exec "$2/"
        ;;
    d-i-*)
        images=tree/usr/lib/debian-installer/images/12/${1#d-i-}
        loader=debian-installer/${1#d-i-}
        cp "$images/text/$loader/linux" "$images/text/$loader/initrd.gz" "$2/"
        cp "$images/gtk/$loader/initrd.gz" "$2/gtk-initrd.gz"
        ;;
    esac
}
