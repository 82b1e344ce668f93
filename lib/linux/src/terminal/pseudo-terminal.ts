import { At, Open } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** A pseudo-terminal (pty(7)). */
export interface PseudoTerminal {
  /** The master, for a `Terminal`. */
  readonly master: Descriptor;
  /** The slave's path, `/dev/pts/3`. It becomes the controlling terminal of a session leader that opens it. */
  readonly path: string;
}

/** Opens a pseudo-terminal. Throws ENOENT where devpts is not mounted. */
export function openPseudoTerminal(syscalls: Syscalls): PseudoTerminal {
  const master = new Descriptor(
    syscalls,
    syscalls.openat(At.Cwd, '/dev/ptmx', Open.ReadWrite | Open.NoTerminal),
  );
  try {
    syscalls.unlockTerminal(master.fd);
    return { master, path: `/dev/pts/${syscalls.terminalNumber(master.fd)}` };
  } catch (error) {
    master.close();
    throw error;
  }
}
