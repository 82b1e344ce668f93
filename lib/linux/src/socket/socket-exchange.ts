import { Buffer } from 'node:buffer';
import { type OnReadOpts, type Server, Socket as Stream, type SocketConstructorOpts } from 'node:net';
import { Open, Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import type { Syscalls } from '../syscalls/syscalls.js';

// Node.js accepts descriptors of known socket families only; vsock and netlink are not among them, and an eventfd is
// not a socket. So it gets a unix socket, and in the same turn of the event loop, before libuv adds the number to
// epoll, dup3(2) replaces it with the other descriptor. All later calls of libuv (accept4, read, write, shutdown,
// close) are the same for both.

/** An address without a name: the kernel chooses an abstract one (unix(7), "Autobind"). */
const anyName = Buffer.from([Socket.Unix, 0]);

/** Makes a server accept from a bound socket of any family. Borrows the socket: the server gets a duplicate. */
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
    syscalls.bind(decoy.fd, anyName, 'an address chosen by the kernel');
    syscalls.listen(listener.fd, backlog);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ fd: decoy.fd }, () => {
        server.off('error', reject);
        resolve();
      });
      if (!server.listening) return; // its error event follows
      exchange(syscalls, listener, decoy, () => server.close());
    });
  } finally {
    decoy.close();
  }
}

/**
 * Returns a stream over a connected socket of any family, or over another pollable, readable descriptor; `writable` is
 * false for one that is only read. Borrows the descriptor: the stream gets a duplicate. `onread`: see net.Socket.
 */
export function streamOn(
  syscalls: Syscalls,
  descriptor: Pick<Descriptor, 'fd'>,
  { writable = true, onread }: { readonly writable?: boolean; readonly onread?: OnReadOpts } = {},
): Stream {
  const ends = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0);
  const [decoy, other] = ends.map((fd) => new Descriptor(syscalls, fd)) as [Descriptor, Descriptor];
  try {
    // The types have `onread` only for net.connect(options).
    const options: SocketConstructorOpts & { readonly onread?: OnReadOpts } = {
      fd: decoy.fd,
      readable: true,
      writable,
      allowHalfOpen: true,
      ...(onread !== undefined && { onread }),
    };
    const stream = new Stream(options);
    exchange(syscalls, descriptor, decoy, () => stream.destroy());
    return stream;
  } finally {
    decoy.close();
    other.close();
  }
}

/** Node.js owns the decoy's number: when the exchange fails, Node.js closes it. */
function exchange(
  syscalls: Syscalls,
  wanted: Pick<Descriptor, 'fd'>,
  decoy: Descriptor,
  close: () => void,
): void {
  const number = decoy.take();
  try {
    syscalls.dup3(wanted.fd, number, Open.CloseOnExec);
  } catch (error) {
    close();
    throw error;
  }
}
