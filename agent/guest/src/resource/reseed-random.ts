import { At, Descriptor, Open, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** Limit for one call; the kernel's pool has 32 bytes. */
const maxBytes = 64 * 1024;

/**
 * Mixes the host's bytes into the kernel's entropy pool and reseeds the generator. The pool keeps its entropy, so bytes that
 * the host knows do not weaken it.
 */
export function reseedRandom(data: Uint8Array, syscalls: Syscalls): void {
  if (data.length === 0) throw new GuestError('invalid', 'data is empty; help: send at least one byte');
  if (data.length > maxBytes)
    throw new GuestError('invalid', `data has ${data.length} bytes; the limit is ${maxBytes}`);
  const device = new Descriptor(syscalls, syscalls.openat(At.Cwd, '/dev/random', Open.ReadWrite));
  try {
    syscalls.addEntropy(device.fd, data);
    syscalls.reseedRandom(device.fd);
  } finally {
    device.close();
  }
}
