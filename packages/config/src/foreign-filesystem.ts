/** Superblock magics (linux/magic.h) of filesystems that are not the guest's own root. */
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
  [0x01021997, 'a folder that the host shares (9p)'],
  // virtiofs has the magic of FUSE, from which it comes.
  [0x65735546, 'a folder that the host shares (virtiofs or FUSE)'],
  [0x6969, 'a network share (NFS)'],
  [0xff534d42, 'a network share (CIFS)'],
  [0xfe534d42, 'a network share (SMB)'],
  [0x517b, 'a network share (SMB)'],
  [0x00c36400, 'a network share (Ceph)'],
  [0x5346414f, 'a network share (AFS)'],
  [0x786f4256, 'a folder that the host shares (vboxsf)'],
]);

/** What kind of filesystem a `statfs` type is, in words, if a document may not lie on it; else undefined. */
export function foreignFilesystem(type: number): string | undefined {
  // statfs has a signed word on some machines.
  return foreign.get(type >>> 0);
}
