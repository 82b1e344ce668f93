import { closeSync, constants, openSync } from 'node:fs';
import { createRequire } from 'node:module';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, void *argument)') as (
  fd: number,
  request: number,
  argument: Uint8Array,
) => number;

/** A new pseudo-terminal for tests, as an OCI runtime makes one: descriptors of both sides, the caller's to close. */
export function openPseudoTerminal(): { readonly master: number; readonly slave: number } {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  const number = Buffer.from(new ArrayBuffer(4));
  const unlocked = ioctl(master, 0x40045431, number); // TIOCSPTLCK, 0
  const named = ioctl(master, 0x80045430, number); // TIOCGPTN
  if (unlocked < 0 || named < 0) {
    closeSync(master);
    throw new Error(`no pseudo-terminal: errno ${koffi.errno()}`);
  }
  const slave = openSync(`/dev/pts/${number.readInt32LE(0)}`, constants.O_RDWR | constants.O_NOCTTY);
  return { master, slave };
}
