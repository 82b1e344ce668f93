import { Buffer } from 'node:buffer';
import { type Server, Socket as Stream } from 'node:net';
import { Open, Socket } from './constants.js';
import { Descriptor } from './descriptor.js';
import type { Syscalls } from './syscalls.js';

// Node takes descriptors of the socket families that it knows; vsock and netlink are not among them, and an eventfd is no
// socket at all. So it is given a unix socket, and in the same turn of the event loop, before libuv tells epoll of the
// number, dup3(2) puts the other descriptor in its place. All that libuv does from then on (accept4, read, write, shutdown,
// close) is the same for both.

/** Half an address: the kernel chooses an abstract name (unix(7), "Autobind"). */
const anyName = Buffer.from([Socket.Unix, 0]);

/** Makes a server accept from a bound socket of any family. Borrows the socket: what the server has is a second one of it. */
export async function listenOn(
  syscalls: Syscalls,
  server: Server,
  listener: Descriptor,
  backlog: number,
): Promise<void> {
  const decoy = new Descriptor(
    syscalls,
    syscalls.socket(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0),
  );
  try {
    syscalls.bind(decoy.fd, anyName, 'a name of the kernel’s choice');
    syscalls.listen(listener.fd, backlog);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ fd: decoy.fd }, () => {
        server.off('error', reject);
        resolve();
      });
      if (!server.listening) return; // Its error event comes.
      exchange(syscalls, listener, decoy, () => server.close());
    });
  } finally {
    decoy.close();
  }
}

/**
 * A stream over a connected socket of any family, or over what else can be waited for and read; over what is only read,
 * `writable` is false. Borrows the descriptor: what the stream has is a second one of it.
 */
export function streamOn(
  syscalls: Syscalls,
  descriptor: Descriptor,
  { writable = true }: { readonly writable?: boolean } = {},
): Stream {
  const ends = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0);
  const [decoy, other] = ends.map((fd) => new Descriptor(syscalls, fd)) as [Descriptor, Descriptor];
  try {
    const stream = new Stream({ fd: decoy.fd, readable: true, writable, allowHalfOpen: true });
    exchange(syscalls, descriptor, decoy, () => stream.destroy());
    return stream;
  } finally {
    decoy.close();
    other.close();
  }
}

/** The decoy's number is Node's by now: when the exchange fails, it is Node that closes it. */
function exchange(syscalls: Syscalls, wanted: Descriptor, decoy: Descriptor, close: () => void): void {
  const number = decoy.take();
  try {
    syscalls.dup3(wanted.fd, number, Open.CloseOnExec);
  } catch (error) {
    close();
    throw error;
  }
}
