import { closeSync, constants, openSync } from 'node:fs';
import { loadSyscalls } from '../syscalls/load-syscalls.js';

const syscalls = loadSyscalls();

/** Opens a pseudo-terminal like an OCI runtime and returns the descriptors of both sides, which the caller closes. */
export function openPseudoTerminal(): { readonly master: number; readonly slave: number } {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  try {
    syscalls.unlockTerminal(master);
    const path = `/dev/pts/${syscalls.terminalNumber(master)}`;
    return { master, slave: openSync(path, constants.O_RDWR | constants.O_NOCTTY) };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}
