#!/bin/sh
# The first program of an initrd whose init is systemd: gives systemd, and every process that it starts, a root
# that is a separate mount. An initramfs is the root of the mount tree, and pivot_root(2), which the OCI runtime
# uses to enter a container, fails there with EINVAL. Nothing is copied. (As init the agent does the same:
# agent/server/src/init/first-process.ts.)
mkdir -p /.root
mount --bind / /.root
cd /.root || exit 1
mount --move . /
exec chroot . /sbin/init "$@"
