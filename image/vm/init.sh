#!/bin/busybox sh
# Only in images that `npm run vm` and the tests boot: a developer's way in, and then the agent as it is in every image.
# QEMU has no vsock to this machine, so a relay takes connections from its network device and makes them over vsock.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
# A module in Debian 12 alone.
$bb modprobe -q virtio_pci
$bb modprobe -a virtio_net vsock_loopback
$bb ifconfig eth0 10.0.2.15 up
$bb env -i /usr/bin/node /usr/lib/kata-agent-vm/relay.mjs &
exec /usr/bin/kata-agent "$@"
