import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket as Stream } from 'node:net';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { descriptorOf, unixSocketAddress } from './unix-socket.js';
import { listenOn, streamOn } from './socket-exchange.js';

const greeting = Buffer.from('kata-agent');

/**
 * Checks that this Node.js release supports what vsock needs: serving a socket that replaced another one, and reading
 * the descriptor of a connection, without which the peer's CID is unknown. Tries both with unix sockets, which need no
 * device. Rejects with a message for operators when one fails, within `patienceMs`. `descriptor` reads the descriptor.
 */
export async function checkExchange(
  syscalls: Syscalls,
  patienceMs: number,
  descriptor: (stream: Stream) => number | undefined = descriptorOf,
): Promise<void> {
  const accepted: (number | undefined)[] = [];
  try {
    await exchange(syscalls, AbortSignal.timeout(patienceMs), (stream) => accepted.push(descriptor(stream)));
  } catch (error) {
    throw new Error(
      `Node.js ${process.version} cannot serve a socket that replaced another one, which vsock needs ` +
        '(20, 22 and 24 do it); with another release, listen on a unix socket and relay vsock to it: ' +
        'socat VSOCK-LISTEN:1024,fork UNIX-CONNECT:/run/kata-agent/agent.sock',
      { cause: error },
    );
  }
  if (accepted.includes(undefined))
    throw new Error(
      `Node.js ${process.version} does not expose the descriptor of a connection, so the peer's CID is unknown ` +
        'and no peer can be accepted: use a release that does (20, 22 and 24)',
    );
}

/** Sends a greeting and waits for its echo. `accepted` gets the server end. */
async function exchange(
  syscalls: Syscalls,
  signal: AbortSignal,
  accepted: (stream: Stream) => void,
): Promise<void> {
  const address = unixSocketAddress({ kind: 'abstract', name: `kata-agent-${randomUUID()}` });
  const socket = (): Descriptor =>
    new Descriptor(
      syscalls,
      syscalls.socket(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0),
    );
  const connected = (): Stream => {
    const end = socket();
    try {
      syscalls.connect(end.fd, address, 'the check of vsock');
      return streamOn(syscalls, end);
    } finally {
      end.close();
    }
  };
  const server = createServer((stream) => {
    accepted(stream);
    stream.on('error', () => stream.destroy()).pipe(stream);
  });
  const listener = socket();
  try {
    syscalls.bind(listener.fd, address, 'the check of vsock');
    await listenOn(syscalls, server, listener, 1);
  } finally {
    listener.close();
  }
  try {
    const stream = connected();
    try {
      stream.end(greeting);
      const [answer] = (await once(stream, 'data', { signal })) as [Buffer];
      if (!answer.equals(greeting)) throw new Error(`it answered ${answer.length} other bytes`);
    } finally {
      stream.destroy();
    }
  } finally {
    server.close();
  }
}
