#!/bin/busybox sh
# The first program of an image with a root file system: opens the disk through dm-verity with the root hash that lies
# beside this file, and hands over. Whoever measures kernel and initramfs has measured the disk. It reads no variable and
# no argument, so that the kernel's line has no say in it; a disk that does not fit ends in a panic of the kernel.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
$bb modprobe -a virtio_blk dm_verity erofs
/usr/sbin/dmsetup create root --readonly --noudevsync --table "$($bb cat /etc/verity-table)" || exit 1
$bb mount -t erofs -o ro /dev/dm-0 /root || exit 1
$bb umount /dev /sys /proc
exec $bb env -i $bb switch_root /root /usr/bin/kata-agent
