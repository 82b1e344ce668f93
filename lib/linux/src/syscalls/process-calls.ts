import { bytes, type CLibrary } from './koffi.js';

/** A result of waitpid(2): a child and its raw status word (see `exitStatus`). */
export interface Waited {
  readonly pid: number;
  readonly status: number;
}

/** Calls on processes: on children of this one, and on others by pidfd. */
export interface ProcessCalls {
  /** PR_SET_CHILD_SUBREAPER: orphaned descendants become children of this process instead of PID 1. */
  setChildSubreaper(): void;
  /**
   * waitpid(2). With {@link Wait}.NoHang returns undefined while the child runs. ECHILD if it is not a child of this
   * process.
   */
  waitpid(pid: number, options: number): Waited | undefined;
  /**
   * waitid(P_ALL, WEXITED | WNOHANG | WNOWAIT): returns the pid of a child that has ended, and leaves it to `waitpid`. Undefined: no
   * child has ended. Of several it is always the same one, until that is waited for.
   */
  endedChild(): number | undefined;
  /** kill(2). A pid below -1 names a process group. Signal 0 only checks that the process exists. */
  kill(pid: number, signal: number): void;
  /**
   * pidfd_open(2): returns a descriptor that keeps referring to this process if its pid is reused. Readable once it has
   * ended.
   */
  pidfdOpen(pid: number): number;
  /**
   * ioctl(PIDFD_GET_INFO): returns the raw status word of a process that has ended and been reaped by its parent.
   * Undefined if it has not, or if the kernel is older than 6.15 and does not report it.
   */
  pidfdStatus(descriptor: number): number | undefined;
  /** _exit(2): ends the process at once. Node's own exit waits for each thread, also for one that a system call holds. */
  exitNow(code: number): void;
}

const PrctlSetChildSubreaper = 36;
const SysPidfdOpen = 434;
// struct pidfd_info (linux/pidfd.h): a 64-bit mask selects the members; the exit status is the last word.
const IoctlGetInfo = 0xc040ff0b;
const infoSize = 64;
const statusOffset = 60;
const InfoExit = 8n;

// waitid(2): siginfo_t has si_pid behind three integers and their padding; 128 bytes in all.
const PAll = 0;
const ExitedNoHangNoWait = 0x4 | 0x1 | 0x1000000;
const signalInfoSize = 128;
const pidOffset = 16;

/** These calls of the C library. */
export function processCalls(library: CLibrary): ProcessCalls {
  const { check } = library;
  const prctl = library.find(
    'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  );
  const waitpid = library.find('int waitpid(int pid, void *status, int options)');
  const waitid = library.find('int waitid(int type, unsigned int id, void *info, int options)');
  const kill = library.find('int kill(int pid, int signal)');
  const pidfdOpen = library.find('long syscall(long number, int pid, unsigned int flags)');
  const ioctl = library.find('int ioctl(int fd, unsigned long request, void *argument)');
  const exit = library.find('void _exit(int status)');
  return {
    exitNow: (code) => void exit(code),
    setChildSubreaper: () =>
      void check('prctl(PR_SET_CHILD_SUBREAPER)', prctl(PrctlSetChildSubreaper, 1, 0, 0, 0)),
    waitpid(pid, options) {
      const status = bytes(4);
      const found = check('waitpid', waitpid(pid, status, options), `process ${pid}`);
      return found === 0 ? undefined : { pid: found, status: status.readInt32LE(0) };
    },
    endedChild() {
      const info = bytes(signalInfoSize);
      if (waitid(PAll, 0, info, ExitedNoHangNoWait) < 0) {
        const error = library.failure('waitid');
        if (error.code === 'ECHILD') return undefined;
        throw error;
      }
      const pid = info.readInt32LE(pidOffset);
      return pid === 0 ? undefined : pid;
    },
    kill: (pid, signal) => void check('kill', kill(pid, signal), `process ${pid}`),
    pidfdOpen: (pid) => check('pidfd_open', pidfdOpen(SysPidfdOpen, pid, 0), `process ${pid}`),
    pidfdStatus(descriptor) {
      const info = bytes(infoSize);
      info.writeBigUInt64LE(InfoExit);
      if (ioctl(descriptor, IoctlGetInfo, info) < 0) return undefined;
      return (info.readBigUInt64LE() & InfoExit) === 0n ? undefined : info.readInt32LE(statusOffset);
    },
  };
}
