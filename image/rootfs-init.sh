# Of an image with a root file system: opens the disk through dm-verity with the root hash that lies beside this file, and
# hands over. Whoever measures kernel and initramfs has measured the disk. The first program is the wrapper of
# scripts/image-wrapper.mjs, which runs busybox with this file and nothing else: no word of the kernel's line gets here.
bb=/bin/busybox
end() {
  echo "kata-agent: $1; the machine is powered off"
  $bb poweroff -f
}
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
# A block that does not fit is a panic, whenever it is read; the kernel's own default is to hang then.
read -r panic </proc/sys/kernel/panic
[ "$panic" != 0 ] || echo 1 >/proc/sys/kernel/panic
# A module in Debian 12 alone.
$bb modprobe -q virtio_pci
$bb modprobe -a virtio_blk dm_verity erofs
/usr/sbin/dmsetup create root --readonly --noudevsync --table "$($bb cat /etc/verity-table)" &&
  $bb mount -t erofs -o ro /dev/dm-0 /root || end 'the root file system cannot be opened'
$bb umount /dev /sys /proc
exec $bb switch_root /root /usr/bin/kata-agent
