import { Descriptor } from './descriptor.js';
import { streamOn } from './socket-exchange.js';
import type { Syscalls } from './syscalls.js';

/**
 * Makes an eventfd(2), gives it to `register`, and from then on calls `raised` each time that the kernel adds to it, until
 * the function returned is called. Throws what `register` throws, and leaves nothing then.
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
    // What is read is the sum of what was added, and empties it.
    stream.on('data', raised);
    // Who waits for nothing but this has nothing left to do.
    stream.unref();
    return () => void stream.destroy();
  } finally {
    eventfd.close();
  }
}
