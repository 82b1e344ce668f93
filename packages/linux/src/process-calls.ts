import { createRequire } from 'node:module';
import { SyscallError } from './syscall-error.js';

/** The calls about a process that is not our child. */
export interface ProcessCalls {
  /** pidfd_open(2): a descriptor that stays this process's, whoever gets its pid later. Readable once it has ended. */
  open(pid: number): number;
  /**
   * ioctl(PIDFD_GET_INFO): the raw status word of a process that ended and was waited for by its parent. Undefined: not
   * yet, or the kernel is older than 6.15 and does not tell.
   */
  statusAfterEnd(descriptor: number): number | undefined;
}

const SysPidfdOpen = 434;
// struct pidfd_info (linux/pidfd.h): a mask of 64 bits says what is asked for and answered, the status is its last word.
const IoctlGetInfo = 0xc040ff0b;
const infoSize = 64;
const statusOffset = 60;
const InfoExit = 8n;

/** Loads koffi, as `loadSyscalls` does; apart from it, since only an agent that was killed before needs it. */
export function loadProcessCalls(): ProcessCalls {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const library = koffi.load(null);
  const pidfdOpen = library.func('long syscall(long number, int pid, unsigned int flags)');
  const ioctl = library.func('int ioctl(int fd, unsigned long request, void *argument)');
  return {
    open(pid) {
      const descriptor = Number(pidfdOpen(SysPidfdOpen, pid, 0));
      if (descriptor < 0) throw new SyscallError('pidfd_open', koffi.errno(), `process ${pid}`);
      return descriptor;
    },
    statusAfterEnd(descriptor) {
      const info = Buffer.from(new ArrayBuffer(infoSize));
      info.writeBigUInt64LE(InfoExit);
      if (Number(ioctl(descriptor, IoctlGetInfo, info)) < 0) return undefined;
      return (info.readBigUInt64LE() & InfoExit) === 0n ? undefined : info.readInt32LE(statusOffset);
    },
  };
}
