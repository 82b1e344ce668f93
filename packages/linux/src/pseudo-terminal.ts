import { createRequire } from 'node:module';
import { At, Open } from './constants.js';
import { Descriptor } from './descriptor.js';
import { SyscallError } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

const IoctlUnlock = 0x40045431; // TIOCSPTLCK
const IoctlNumber = 0x80045430; // TIOCGPTN

/** A terminal that nobody sits at (pty(7)). */
export interface PseudoTerminal {
  /** Our side, for a `Terminal`. */
  readonly master: Descriptor;
  /** The side for programs: `/dev/pts/3`. A leader of a session that opens it has it as its controlling terminal. */
  readonly path: string;
}

/** Throws ENOENT where devpts is not mounted. */
export function openPseudoTerminal(syscalls: Syscalls): PseudoTerminal {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, void *argument)');
  const master = new Descriptor(
    syscalls,
    syscalls.openat(At.Cwd, '/dev/ptmx', Open.ReadWrite | Open.NoTerminal),
  );
  const number = Buffer.from(new ArrayBuffer(4));
  const ask = (request: number): void => {
    if (ioctl(master.fd, request, number) < 0) throw new SyscallError('ioctl', koffi.errno(), '/dev/ptmx');
  };
  try {
    ask(IoctlUnlock);
    ask(IoctlNumber);
    return { master, path: `/dev/pts/${number.readInt32LE(0)}` };
  } catch (error) {
    master.close();
    throw error;
  }
}
