import { bytes, type CLibrary } from './koffi.js';
import { Open } from './constants.js';

const IoctlSetWindowSize = 0x5414;

const IoctlSetLock = 0x40045431;

const IoctlGetNumber = 0x80045430;

/** Calls on open descriptors of any kind. */
export interface DescriptorCalls {
  /** Returns two descriptors: the read end, the write end. Flags: {@link Open}.CloseOnExec, NonBlock. */
  pipe2(flags: number): readonly [read: number, write: number];
  /** F_SETPIPE_SZ: requests a capacity in bytes and returns the one that the kernel chose (pages, a power of two). */
  setPipeSize(fd: number, bytes: number): number;
  /** F_DUPFD_CLOEXEC: returns a second descriptor of the same open file description. */
  duplicate(fd: number): number;
  /** dup3(2): makes `to` refer to the open file description of `from`; closes the previous one. */
  dup3(from: number, to: number, flags: number): void;
  /** Sets O_NONBLOCK on the open file description: it applies to every descriptor of it. */
  setNonBlocking(fd: number): void;
  /**
   * flock(LOCK_EX | LOCK_NB) on the open file description of `fd`. Returns false if another one holds the lock. The
   * kernel releases the lock when the last descriptor is closed, however the process ends.
   */
  tryLock(fd: number): boolean;
  /** eventfd(2) with an initial count of 0, non-blocking and close-on-exec. */
  eventfd(): number;
  close(fd: number): void;
}

const FcntlGetFlags = 3;
const FcntlSetFlags = 4;
const FcntlDuplicateCloseOnExec = 1030;
const FcntlSetPipeSize = 1031;
/** LOCK_EX | LOCK_NB. */
const LockExclusiveNow = 6;

/** These calls of the C library. */
export function descriptorCalls(library: CLibrary): DescriptorCalls {
  const { check } = library;
  const pipe2 = library.find('int pipe2(void *fds, int flags)');
  const fcntl = library.find('int fcntl(int fd, int command, int argument)');
  const dup3 = library.find('int dup3(int from, int to, int flags)');
  const flock = library.find('int flock(int fd, int operation)');
  const eventfd = library.find('int eventfd(unsigned int initial, int flags)');
  const close = library.find('int close(int fd)');
  return {
    pipe2(flags) {
      const fds = bytes(8);
      check('pipe2', pipe2(fds, flags));
      return [fds.readInt32LE(0), fds.readInt32LE(4)];
    },
    setPipeSize: (fd, size) =>
      check('fcntl(F_SETPIPE_SZ)', fcntl(fd, FcntlSetPipeSize, size), `${size} bytes`),
    duplicate: (fd) => check('fcntl(F_DUPFD_CLOEXEC)', fcntl(fd, FcntlDuplicateCloseOnExec, 3)),
    dup3: (from, to, flags) => void check('dup3', dup3(from, to, flags)),
    setNonBlocking(fd) {
      const flags = check('fcntl(F_GETFL)', fcntl(fd, FcntlGetFlags, 0));
      check('fcntl(F_SETFL)', fcntl(fd, FcntlSetFlags, flags | Open.NonBlock));
    },
    tryLock(fd) {
      if (flock(fd, LockExclusiveNow) === 0) return true;
      const error = library.failure('flock', `descriptor ${fd}`);
      if (error.code === 'EAGAIN') return false;
      throw error;
    },
    eventfd: () => check('eventfd', eventfd(0, Open.CloseOnExec | Open.NonBlock)),
    close: (fd) => void check('close', close(fd), `descriptor ${fd}`),
  };
}

/** Calls on terminals. */
export interface TerminalCalls {
  /** TIOCSWINSZ on either side of a terminal. */
  setWindowSize(fd: number, rows: number, columns: number): void;
  /** tcdrain(3): waits until all output written to a terminal has been transmitted. */
  drain(fd: number): void;
  /** TIOCSPTLCK with 0: unlocks the slave side of a pseudo-terminal. */
  unlockTerminal(master: number): void;
  /** TIOCGPTN: returns the number of a pseudo-terminal, whose slave side is `/dev/pts/NUMBER`. */
  terminalNumber(master: number): number;
}

/** These calls of the C library. */
export function terminalCalls(library: CLibrary): TerminalCalls {
  const { check } = library;
  const ioctl = library.find('int ioctl(int fd, unsigned long request, void *argument)');
  const tcdrain = library.find('int tcdrain(int fd)');
  return {
    setWindowSize(fd, rows, columns) {
      const size = bytes(8); // struct winsize: rows, columns, and the size in pixels, which is unused
      size.writeUInt16LE(rows, 0);
      size.writeUInt16LE(columns, 2);
      check('ioctl(TIOCSWINSZ)', ioctl(fd, IoctlSetWindowSize, size));
    },
    drain: (fd) => void check('tcdrain', tcdrain(fd)),
    unlockTerminal: (master) => void check('ioctl(TIOCSPTLCK)', ioctl(master, IoctlSetLock, bytes(4))),
    terminalNumber(master) {
      const number = bytes(4);
      check('ioctl(TIOCGPTN)', ioctl(master, IoctlGetNumber, number));
      return number.readInt32LE(0);
    },
  };
}
