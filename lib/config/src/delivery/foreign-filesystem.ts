/** Superblock magics (linux/magic.h) of filesystems that are not the guest's root. */
const foreign: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'procfs'],
  [0x62656572, 'sysfs'],
  [0x64626720, 'debugfs'],
  [0x74726163, 'tracefs'],
  [0x62656570, 'configfs'],
  [0x73636673, 'securityfs'],
  [0xde5e81e4, 'efivarfs'],
  [0x27e0eb, 'cgroupfs'],
  [0x63677270, 'cgroup2'],
  [0x01021997, 'a directory shared by the host (9p)'],
  // virtiofs has the magic of FUSE, which it is based on.
  [0x65735546, 'a directory shared by the host (virtiofs or FUSE)'],
  [0x6969, 'a network share (NFS)'],
  [0xff534d42, 'a network share (CIFS)'],
  [0xfe534d42, 'a network share (SMB)'],
  [0x517b, 'a network share (SMB)'],
  [0x00c36400, 'a network share (Ceph)'],
  [0x5346414f, 'a network share (AFS)'],
  [0x786f4256, 'a directory shared by the host (vboxsf)'],
]);

/** Describes a filesystem type of `statfs` on which documents are not accepted; undefined for others. */
export function foreignFilesystem(type: number): string | undefined {
  // The field is signed on some machines.
  return foreign.get(type >>> 0);
}
