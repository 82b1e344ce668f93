import { Descriptor, Open, At, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** What one call may bring; the kernel's pool has 32 bytes. */
const maxBytes = 64 * 1024;

/**
 * Mixes the host's bytes into the kernel's random pool and makes the generator take a new seed. What the pool knew
 * stays in it: bytes that the host knows make nothing weaker.
 */
export function reseedRandom(data: Uint8Array, syscalls: Syscalls): void {
  if (data.length === 0) throw new GuestError('invalid', 'data is empty: there is nothing to seed with');
  if (data.length > maxBytes)
    throw new GuestError('invalid', `data has ${data.length} bytes; at most ${maxBytes} are taken`);
  const device = new Descriptor(syscalls, syscalls.openat(At.Cwd, '/dev/random', Open.ReadWrite));
  try {
    syscalls.addEntropy(device.fd, data);
    syscalls.reseedRandom(device.fd);
  } finally {
    device.close();
  }
}
