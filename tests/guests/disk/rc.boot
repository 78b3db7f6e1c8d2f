#!/bin/sh
# Brings the system up from a root file system that is mounted read-only.
# The kernel has set its clock, and the initramfs has filled /dev.
PATH=/sbin:/usr/sbin:/bin:/usr/bin

mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
mkdir -p /run/lock /dev/pts /dev/shm
mount -t devpts -o gid=tty,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm
hostname -F /etc/hostname

fsck -a /
case $? in
0|1) ;;
2|3) echo 'The root file system was repaired, starting again.'
     reboot -f ;;
*)   echo 'The root file system needs a person: fsck, then exit.'
     sulogin --force
     reboot -f ;;
esac
mount -o remount,rw /
mount -a
: >/run/utmp
rm -rf /tmp/* /tmp/.[!.]*
[ ! -e /dev/vmbus ] || . /etc/rc.hyperv
. /etc/rc.desktop
