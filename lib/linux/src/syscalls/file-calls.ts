import { Buffer } from 'node:buffer';
import { arch } from 'node:process';
import { bytes, type CLibrary, cString, type PathName } from './koffi.js';
import { Open } from './constants.js';

/** Arguments of openat2(2): flags are {@link Open}, resolve is {@link Resolve}; mode applies if a file is created. */
export interface OpenHow {
  readonly flags: number;
  readonly mode?: number;
  readonly resolve: number;
}

/** A time since 1970. Nanoseconds are 0 to 999,999,999, also before 1970. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Calls on files, relative to an open directory. */
export interface FileCalls {
  openat(directory: number, path: PathName, flags: number, mode?: number): number;
  openat2(directory: number, path: PathName, how: OpenHow): number;
  mkdirat(directory: number, path: PathName, mode: number): void;
  unlinkat(directory: number, path: PathName, flags: number): void;
  symlinkat(target: PathName, directory: number, path: PathName): void;
  linkat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName, flags: number): void;
  renameat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName): void;
  /** mknodat(2). Mode includes the file type bits; device is `makedev(major, minor)`. */
  mknodat(directory: number, path: PathName, mode: number, device: number): void;
  /** fchownat(2). -1 leaves the owner or group unchanged. */
  fchownat(directory: number, path: PathName, uid: number, gid: number, flags: number): void;
  /** utimensat(2): sets the times of access and of change to the same value. */
  utimensat(directory: number, path: PathName, time: FileTime, flags: number): void;
  /** fsetxattr(2): creates or replaces an extended attribute. */
  fsetxattr(fd: number, name: PathName, value: Uint8Array): void;
  /** getdents64(2), until the end: the names in a directory as bytes, without `.` and `..`, from the current offset. */
  readDirectory(fd: number): readonly Uint8Array[];
  /** fallocate(2) with FALLOC_FL_KEEP_SIZE: allocates space for a range, beyond the end of the file too. */
  allocate(fd: number, offset: number, length: number): void;
}

const SysOpenat2 = 437;
const SysGetdents64 = arch === 'arm64' ? 61 : 217;
const directoryBlock = 32 * 1024;
const FallocateKeepSize = 1;
/** RESOLVE_BENEATH fails with EAGAIN on a concurrent rename or mount; openat2(2) says to try again. */
const openat2Attempts = 128;

/** These calls of the C library. */
export function fileCalls(library: CLibrary): FileCalls {
  const { check } = library;
  const openat = library.find('int openat(int directory, const void *path, int flags, unsigned int mode)');
  // glibc has no wrapper for openat2 before 2.43, musl has none.
  const openat2 = library.find(
    'long syscall(long number, int directory, const void *path, const void *how, size_t size)',
  );
  const mkdirat = library.find('int mkdirat(int directory, const void *path, unsigned int mode)');
  const unlinkat = library.find('int unlinkat(int directory, const void *path, int flags)');
  const symlinkat = library.find('int symlinkat(const void *target, int directory, const void *path)');
  const linkat = library.find(
    'int linkat(int from_dir, const void *from, int to_dir, const void *to, int flags)',
  );
  const renameat = library.find('int renameat(int from_dir, const void *from, int to_dir, const void *to)');
  const mknodat = library.find(
    'int mknodat(int directory, const void *path, unsigned int mode, uint64_t device)',
  );
  const fchownat = library.find(
    'int fchownat(int directory, const void *path, unsigned int uid, unsigned int gid, int flags)',
  );
  const utimensat = library.find(
    'int utimensat(int directory, const void *path, const void *times, int flags)',
  );
  const fsetxattr = library.find(
    'int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
  );
  // musl has getdents64 under another name, glibc before 2.30 has none.
  const getdents = library.find('long syscall(long number, int fd, void *entries, size_t size)');
  const fallocate = library.find('int fallocate64(int fd, int mode, int64_t offset, int64_t length)');
  return {
    openat(directory, path, flags, mode = 0) {
      const result = openat(directory, cString('openat', path), flags | Open.CloseOnExec, mode);
      return check('openat', result, path);
    },
    openat2(directory, path, how) {
      const name = cString('openat2', path);
      const block = bytes(24); // struct open_how: flags, mode, resolve, each 64 bits
      block.writeBigUInt64LE(BigInt(how.flags | Open.CloseOnExec), 0);
      block.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
      block.writeBigUInt64LE(BigInt(how.resolve), 16);
      for (let attempt = 1; ; attempt++) {
        const fd = openat2(SysOpenat2, directory, name, block, block.length);
        if (fd >= 0) return fd;
        const error = library.failure('openat2', path);
        if (error.code !== 'EAGAIN' || attempt === openat2Attempts) throw error;
      }
    },
    mkdirat: (directory, path, mode) =>
      void check('mkdirat', mkdirat(directory, cString('mkdirat', path), mode), path),
    unlinkat: (directory, path, flags) =>
      void check('unlinkat', unlinkat(directory, cString('unlinkat', path), flags), path),
    symlinkat(target, directory, path) {
      const result = symlinkat(cString('symlinkat', target), directory, cString('symlinkat', path));
      check('symlinkat', result, path);
    },
    linkat(fromDirectory, from, toDirectory, to, flags) {
      const [source, target] = [cString('linkat', from), cString('linkat', to)];
      check('linkat', linkat(fromDirectory, source, toDirectory, target, flags), to);
    },
    renameat(fromDirectory, from, toDirectory, to) {
      const [source, target] = [cString('renameat', from), cString('renameat', to)];
      check('renameat', renameat(fromDirectory, source, toDirectory, target), to);
    },
    mknodat: (directory, path, mode, device) =>
      void check('mknodat', mknodat(directory, cString('mknodat', path), mode, device), path),
    fchownat(directory, path, uid, gid, flags) {
      const name = cString('fchownat', path);
      check('fchownat', fchownat(directory, name, uid >>> 0, gid >>> 0, flags), path);
    },
    utimensat(directory, path, { seconds, nanoseconds }, flags) {
      const times = bytes(32); // struct timespec[2]: access, change
      for (const at of [0, 16]) {
        times.writeBigInt64LE(BigInt(seconds), at);
        times.writeBigInt64LE(BigInt(nanoseconds), at + 8);
      }
      check('utimensat', utimensat(directory, cString('utimensat', path), times, flags), path);
    },
    fsetxattr(fd, name, value) {
      const copy = bytes(Math.max(value.length, 1));
      copy.set(value);
      check('fsetxattr', fsetxattr(fd, cString('fsetxattr', name), copy, value.length, 0), name);
    },
    readDirectory(fd) {
      const names: Uint8Array[] = [];
      const block = bytes(directoryBlock);
      for (;;) {
        const length = check('getdents64', getdents(SysGetdents64, fd, block, block.length));
        if (length === 0) return names;
        names.push(...directoryNames(block.subarray(0, length)));
      }
    },
    allocate(fd, offset, length) {
      const result = fallocate(fd, FallocateKeepSize, offset, length);
      check('fallocate', result, `${length} bytes at ${offset}`);
    },
  };
}

/** Parses struct linux_dirent64: inode and offset (8 bytes each), length of the record, type, name, NUL. */
function* directoryNames(block: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < block.length; at += block.readUInt16LE(at + 16)) {
    const name = Buffer.from(block.subarray(at + 19, block.indexOf(0, at + 19)));
    const text = name.toString('latin1');
    if (text !== '.' && text !== '..') yield name;
  }
}
