import { bytes } from './c-memory.js';
import type { CLibrary } from './koffi.js';

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

const IoctlSetWindowSize = 0x5414;
const IoctlSetLock = 0x40045431;
const IoctlGetNumber = 0x80045430;

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
