// At most one machine of `npm run vm` runs per directory: its process listens on `stop.sock` there, and
// `npm run vm -- --stop` ends the machine through that socket.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connectIfListening, listenExclusively } from '@kata-agent/tool-command/exclusive-socket';

function socketIn(directory: string): string {
  return join(directory, 'stop.sock');
}

/**
 * Locks a directory for this process. `stop` is called for each stop request. Returns a function that unlocks
 * the directory and closes the connections of the requests, which tells their senders that the machine is off.
 * Throws if a machine already runs there.
 */
export async function lockDirectory(directory: string, stop: () => void): Promise<() => void> {
  const requests = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    // A connection without data only checks whether a machine runs (`listenExclusively`).
    socket.once('data', () => {
      requests.add(socket);
      stop();
    });
  });
  if (!(await listenExclusively(server, socketIn(directory))))
    throw new Error(
      `a machine already runs in ${directory}\nhelp: stop it with \`npm run vm -- --stop\`, or choose another --directory`,
    );
  return () => {
    server.close();
    for (const socket of requests) socket.destroy();
  };
}

/** Stops the machine that runs in a directory, and waits until it is off. Returns false if none runs there. */
export async function stopMachineIn(directory: string): Promise<boolean> {
  const socket = await connectIfListening(socketIn(directory));
  if (socket === undefined) return false;
  socket.write('stop\n');
  await once(socket.resume(), 'close');
  return true;
}
