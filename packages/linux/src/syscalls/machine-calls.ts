import { Buffer } from 'node:buffer';
import { bytes, cString } from './c-memory.js';
import type { CLibrary } from './koffi.js';

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
