import { Socket as NetSocket } from 'node:net';
import { Open, Socket } from './constants.js';
import type { Syscalls } from './syscalls.js';

/**
 * Makes an eventfd(2), gives it to `register`, and from then on calls `raised` each time that the kernel adds to it, until
 * the function returned is called. Node cannot wait for an eventfd by itself: it watches one end of a socket pair, which
 * becomes the eventfd in the same turn of the event loop, before libuv looks at it (MEASURED, "vsock in Node"). Throws
 * what `register` throws, and leaves nothing then.
 */
export function listenEventfd(
  syscalls: Syscalls,
  register: (eventfd: number) => void,
  raised: () => void,
): () => void {
  const eventfd = syscalls.eventfd();
  try {
    register(eventfd);
    const [decoy, other] = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.NonBlock, 0);
    const socket = new NetSocket({ fd: decoy, readable: true, writable: false });
    try {
      syscalls.dup3(eventfd, decoy, Open.CloseOnExec);
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      syscalls.close(other);
    }
    // What is read is the sum of what was added, and empties it.
    socket.on('data', raised);
    // Who waits for nothing but this has nothing left to do.
    socket.unref();
    return () => void socket.destroy();
  } finally {
    syscalls.close(eventfd);
  }
}
