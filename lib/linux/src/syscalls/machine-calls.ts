import { Buffer } from 'node:buffer';
import { bytes, type CLibrary, cString } from './koffi.js';

/** Sizes of an XFS. */
export interface XfsGeometry {
  /** Bytes. */
  readonly blockSize: number;
  readonly blocks: bigint;
  /** The part of the space that inodes may take. */
  readonly inodePercent: number;
}

/** Calls that change the whole machine, or the root or the memory of this process. */
export interface MachineCalls {
  chroot(path: string): void;
  sethostname(name: string): void;
  /** clock_settime(CLOCK_REALTIME): seconds since 1970, and nanoseconds. */
  setRealTime(seconds: bigint, nanoseconds: number): void;
  /** RNDADDENTROPY: adds bytes to the kernel's entropy pool and credits all of their bits. */
  addEntropy(fd: number, data: Uint8Array): void;
  /** RNDRESEEDCRNG: reseeds the random number generator from the pool. */
  reseedRandom(fd: number): void;
  /** BLKFLSBUF: writes what is cached of a block device, and frees the cache. */
  flushBlockDevice(fd: number): void;
  /** EXT4_IOC_RESIZE_FS: grows a mounted ext4 to this number of blocks. `fd`: of a file or directory in it. */
  growExt4(fd: number, blocks: bigint): void;
  /** XFS_IOC_FSGEOMETRY_V1. `fd`: of a file or directory in it. */
  xfsGeometry(fd: number): XfsGeometry;
  /** XFS_IOC_FSGROWFSDATA: grows a mounted XFS to this number of blocks. */
  growXfs(fd: number, blocks: bigint, inodePercent: number): void;
  /** An ioctl of /dev/mapper/control: `argument` is a struct dm_ioctl with its data, which the kernel changes. */
  deviceMapper(fd: number, command: number, argument: Uint8Array): void;
  swapon(path: string): void;
  swapoff(path: string): void;
  sync(): void;
  /** malloc_trim(3): returns memory to the kernel that this process has freed. Does nothing with musl, which has no such call. */
  releaseFreedMemory(): void;
  /** reboot(2). Does not return on success. See {@link Reboot}. */
  reboot(command: number): void;
}

const IoctlAddEntropy = 0x40085203;
const IoctlReseedRandom = 0x5207;
const IoctlFlushBuffers = 0x1261;
const IoctlGrowExt4 = 0x40086610;
const IoctlXfsGeometry = 0x80705864;
const IoctlGrowXfs = 0x4010586e;
/** _IOWR(0xfd, 0, struct dm_ioctl) of linux/dm-ioctl.h; the command is the lowest byte. */
const IoctlDeviceMapper = 0xc138fd00;
const ClockRealTime = 0;

/** These calls of the C library. */
export function machineCalls(library: CLibrary): MachineCalls {
  const { check } = library;
  const chroot = library.find('int chroot(const void *path)');
  const sethostname = library.find('int sethostname(const void *name, size_t length)');
  const clockSettime = library.find('int clock_settime(int clock, const void *time)');
  const ioctl = library.find('int ioctl(int fd, unsigned long request, void *argument)');
  const swapon = library.find('int swapon(const void *path, int flags)');
  const swapoff = library.find('int swapoff(const void *path)');
  const sync = library.find('void sync()');
  const mallocTrim = library.findOptional('int malloc_trim(size_t pad)');
  const reboot = library.find('int reboot(unsigned int command)');
  return {
    chroot: (path) => void check('chroot', chroot(cString('chroot', path)), path),
    sethostname(name) {
      const text = Buffer.from(name);
      check('sethostname', sethostname(text, text.length), name);
    },
    setRealTime(seconds, nanoseconds) {
      const time = bytes(16); // struct timespec
      time.writeBigInt64LE(seconds, 0);
      time.writeBigInt64LE(BigInt(nanoseconds), 8);
      check('clock_settime', clockSettime(ClockRealTime, time), `${seconds} seconds`);
    },
    addEntropy(fd, data) {
      const pool = bytes(8 + data.length); // struct rand_pool_info: bits credited, bytes, the bytes
      pool.writeInt32LE(data.length * 8, 0);
      pool.writeInt32LE(data.length, 4);
      pool.set(data, 8);
      check('ioctl(RNDADDENTROPY)', ioctl(fd, IoctlAddEntropy, pool));
    },
    reseedRandom: (fd) => void check('ioctl(RNDRESEEDCRNG)', ioctl(fd, IoctlReseedRandom, null)),
    flushBlockDevice: (fd) => void check('ioctl(BLKFLSBUF)', ioctl(fd, IoctlFlushBuffers, null)),
    growExt4(fd, blocks) {
      const count = bytes(8);
      count.writeBigUInt64LE(blocks);
      check('ioctl(EXT4_IOC_RESIZE_FS)', ioctl(fd, IoctlGrowExt4, count), `${blocks} blocks`);
    },
    xfsGeometry(fd) {
      const geometry = bytes(112); // struct xfs_fsop_geom_v1
      check('ioctl(XFS_IOC_FSGEOMETRY_V1)', ioctl(fd, IoctlXfsGeometry, geometry));
      return {
        blockSize: geometry.readUInt32LE(0),
        inodePercent: geometry.readUInt32LE(28),
        blocks: geometry.readBigUInt64LE(32),
      };
    },
    growXfs(fd, blocks, inodePercent) {
      const wanted = bytes(16); // struct xfs_growfs_data: blocks, percentage, padding
      wanted.writeBigUInt64LE(blocks, 0);
      wanted.writeUInt32LE(inodePercent, 8);
      check('ioctl(XFS_IOC_FSGROWFSDATA)', ioctl(fd, IoctlGrowXfs, wanted), `${blocks} blocks`);
    },
    deviceMapper(fd, command, argument) {
      const request = bytes(argument.length);
      request.set(argument);
      check('ioctl(device mapper)', ioctl(fd, IoctlDeviceMapper + command, request), `command ${command}`);
      argument.set(request);
    },
    swapon: (path) => void check('swapon', swapon(cString('swapon', path), 0), path),
    swapoff: (path) => void check('swapoff', swapoff(cString('swapoff', path)), path),
    sync: () => void sync(),
    releaseFreedMemory: () => void mallocTrim?.(0),
    reboot: (command) => void check('reboot', reboot(command)),
  };
}
