#!/bin/sh
# The first program of images with --inner-agent, started by the wrapper with no argument and an empty environment: loads
# the modules that the image lists, and starts systemd. On an initramfs systemd, and every process that it starts, gets a
# root that is a separate mount (initrd-init.sh says why).
bb=/usr/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
$bb modprobe -a $($bb cat /etc/modules-load.d/kata-agent.conf)
root=$($bb awk '$2 == "/" { type = $3 } END { print type }' /proc/mounts)
$bb umount /dev /sys /proc
if [ "$root" = rootfs ]; then
  $bb mkdir -p /.root
  $bb mount --bind / /.root
  cd /.root || exit 1
  $bb mount --move . /
  exec $bb chroot . /usr/lib/systemd/systemd
fi
exec /usr/lib/systemd/systemd
