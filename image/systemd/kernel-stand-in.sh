#!/bin/busybox sh
# Loads the drivers that Debian's kernel has as modules and Kata's kernel has built in, and replaces dm-init,
# which creates the devices of dm-mod.create= (Documentation/admin-guide/device-mapper/dm-init.rst). The first
# program of an initramfs for docs/existing-image.md; with Kata's own kernel there is no initramfs. It mounts
# the root that the kernel command line names and starts the program that the kernel would start: init= or
# /sbin/init, with the arguments that the kernel passed to this script.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
$bb find /usr/lib/modules -name '*.ko' | $bb sed 's|.*/||; s|\.ko$||' | $bb xargs $bb modprobe -a

line=$($bb cat /proc/cmdline)
word() { echo "$line" | $bb tr ' ' '\n' | $bb sed -n "s/^$1=//p" | $bb tail -n 1; }
case $line in
*dm-mod.create=*)
  devices=${line#*dm-mod.create=\"}
  /usr/sbin/dmsetup create --noudevsync --concise "${devices%%\"*}" || exit 1
  ;;
esac
flags=$(word rootflags)
$bb mount -t "$(word rootfstype)" -o "ro${flags:+,$flags}" "$(word root)" /root || exit 1
init=$(word init)
$bb umount /sys /proc
$bb mount -o move /dev /root/dev
exec $bb switch_root /root "${init:-/sbin/init}" "$@"
