#!/bin/sh
# The first program of an initrd whose init is systemd: gives it, and all that it starts, a root that is a mount of its
# own. An initramfs is the root of the mount tree itself, and pivot_root(2), by which the OCI runtime enters a
# container, is EINVAL there. Nothing is copied. (As init the agent does the same: packages/agent/src/init/root.ts.)
mkdir -p /.root
mount --bind / /.root
cd /.root || exit 1
mount --move . /
exec chroot . /sbin/init "$@"
