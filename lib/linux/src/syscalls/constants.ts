import { constants } from 'node:fs';

/** Ends a process, which cannot handle it. */
export const SIGKILL = 9;

/** Asks a process to end. */
export const SIGTERM = 15;

// Numbers of the kernel's interface, as defined by its `include/uapi` headers. Where x86_64 and aarch64 differ
// (O_DIRECTORY, O_NOFOLLOW) Node's own table decides; the others are the same on both.

/** Flags of open(2), pipe2(2), dup3(2). */
export const Open: Readonly<
  Record<
    | 'ReadOnly'
    | 'WriteOnly'
    | 'ReadWrite'
    | 'Create'
    | 'Exclusive'
    | 'Truncate'
    | 'Append'
    | 'NoTerminal'
    | 'NonBlock'
    | 'Directory'
    | 'NoFollow'
    | 'CloseOnExec'
    | 'Path',
    number
  >
> = {
  ReadOnly: constants.O_RDONLY,
  WriteOnly: constants.O_WRONLY,
  ReadWrite: constants.O_RDWR,
  Create: constants.O_CREAT,
  Exclusive: constants.O_EXCL,
  Truncate: constants.O_TRUNC,
  Append: constants.O_APPEND,
  NoTerminal: constants.O_NOCTTY,
  NonBlock: constants.O_NONBLOCK,
  Directory: constants.O_DIRECTORY,
  NoFollow: constants.O_NOFOLLOW,
  CloseOnExec: 0o2000000,
  // The descriptor only names the file: nothing is read, no device is opened.
  Path: 0o10000000,
};

/** Flags of the *at calls; `Cwd` in place of a descriptor means the working directory. */
export const At = {
  Cwd: -100,
  SymlinkNoFollow: 0x100,
  RemoveDirectory: 0x200,
  SymlinkFollow: 0x400,
  EmptyPath: 0x1000,
} as const;

/** `resolve` of openat2(2). */
export const Resolve = {
  NoCrossDevice: 0x01,
  NoMagicLinks: 0x02,
  NoSymlinks: 0x04,
  Beneath: 0x08,
  InRoot: 0x10,
} as const;

/** Flags of open_tree(2). */
export const Tree = { Clone: 1, CloseOnExec: 0o2000000, Recursive: 0x8000, EmptyPath: 0x1000 } as const;

/** MOUNT_ATTR_* of mount_setattr(2). */
export const MountAttribute = {
  ReadOnly: 0x01,
  NoSuid: 0x02,
  NoDev: 0x04,
  NoExec: 0x08,
  NoAccessTime: 0x10,
  StrictAccessTime: 0x20,
  /** All bits of the access time's mode, to clear; none of them: relatime. */
  AccessTime: 0x70,
  NoDirectoryAccessTime: 0x80,
  NoSymFollow: 0x200000,
} as const;

/** Options of waitpid(2). */
export const Wait = { NoHang: 1 } as const;

/** Flags of umount2(2). */
export const Unmount = { Force: 1, Detach: 2, Expire: 4, NoFollow: 8 } as const;

/** Socket families, types and flags. */
export const Socket = {
  Unix: 1,
  Netlink: 16,
  Vsock: 40,
  Stream: 1,
  Datagram: 2,
  Raw: 3,
  NonBlock: 0o4000,
  CloseOnExec: 0o2000000,
} as const;

/** Commands of reboot(2). */
export const Reboot = { Restart: 0x01234567, PowerOff: 0x4321fedc, Halt: 0xcdef0123 } as const;
