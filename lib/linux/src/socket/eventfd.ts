import { Descriptor } from '../fs/descriptor.js';
import { streamOn } from './socket-exchange.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/**
 * Creates an eventfd(2), passes it to `register`, and calls `raised` each time the kernel adds to it. Returns a
 * function that stops this. Throws what `register` throws, after closing the eventfd.
 */
export function listenEventfd(
  syscalls: Syscalls,
  register: (eventfd: number) => void,
  raised: () => void,
): () => void {
  const eventfd = new Descriptor(syscalls, syscalls.eventfd());
  try {
    register(eventfd.fd);
    const stream = streamOn(syscalls, eventfd, { writable: false });
    // A read returns the sum and resets it.
    stream.on('data', raised);
    // Does not keep the process alive.
    stream.unref();
    return () => void stream.destroy();
  } finally {
    eventfd.close();
  }
}
