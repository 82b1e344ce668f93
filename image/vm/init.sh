#!/bin/busybox sh
# The first program of images that `npm run vm` and the tests boot: starts a relay for developers, then the
# agent as in every image. The host side of vsock is not available, so the relay accepts connections from QEMU's
# network device and forwards them over vsock.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
# A module only in Debian 12; built in later.
$bb modprobe -q virtio_pci
$bb modprobe -a virtio_net vsock_loopback
$bb ifconfig eth0 10.0.2.15 up
$bb env -i /usr/bin/node /usr/lib/kata-agent-vm/relay.mjs &
exec /usr/bin/kata-agent "$@"
