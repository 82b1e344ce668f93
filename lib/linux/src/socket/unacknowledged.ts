import type { Syscalls } from '../syscalls/syscalls.js';
import { descriptorOf } from './unix-socket.js';

/**
 * Makes the kernel end a TCP connection, or the one below a TLS connection, whose sent bytes are not acknowledged, or not taken by
 * the other end, for a time: otherwise it tries for about 15 minutes, in which keep-alive does nothing. Node.js has no
 * option for it. With it, it also replaces the number of unanswered probes of keep-alive.
 */
export function limitUnacknowledged(syscalls: Syscalls, stream: object, milliseconds: number): void {
  const fd = descriptorOf(stream);
  if (fd !== undefined) syscalls.setUserTimeout(fd, milliseconds);
}
