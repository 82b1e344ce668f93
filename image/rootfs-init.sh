# In the initramfs of `npm run image -- --rootfs`: opens the disk through dm-verity with the table, and so the
# root hash, in /etc/verity-table, and starts the disk's init. A measurement of kernel and initramfs therefore
# covers the disk. The first program is the wrapper of guest-image/image/src/program/wrapper.ts, which runs `busybox
# sh` with this file and no other argument, so no kernel command line parameter reaches this script.
bb=/bin/busybox
end() {
  echo "kata-agent: $1; the machine is powered off"
  $bb poweroff -f
}
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
# Reading a corrupted block causes a panic, after which the kernel hangs by default. Reboots after 1 s instead.
read -r panic </proc/sys/kernel/panic
[ "$panic" != 0 ] || echo 1 >/proc/sys/kernel/panic
# A module only in Debian 12; built in later.
$bb modprobe -q virtio_pci
$bb modprobe -a virtio_blk dm_verity erofs
/usr/sbin/dmsetup create root --readonly --noudevsync --table "$($bb cat /etc/verity-table)" &&
  $bb mount -t erofs -o ro /dev/dm-0 /root || end 'the root file system cannot be opened'
$bb umount /dev /sys /proc
exec $bb switch_root /root /sbin/init
