// One machine of `npm run vm` in a folder at a time: who boots it listens on a socket there, and another terminal ends it
// through that.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connected, listenAlone } from './own-socket.mjs';

function socketIn(folder) {
  return join(folder, 'stop.sock');
}

/**
 * Takes a folder for this process; `stop` is called for each wish that the machine end. Answers what gives the folder back,
 * and so tells those who wished it. Throws when a machine runs there.
 */
export async function takeFolder(folder, stop) {
  const waiting = new Set();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    // Who only looks whether a machine runs says nothing.
    socket.once('data', () => {
      waiting.add(socket);
      stop();
    });
  });
  if (!(await listenAlone(server, socketIn(folder))))
    throw new Error(
      `a machine runs in ${folder} already: npm run vm -- --stop ends it; with another --folder there can be two`,
    );
  return () => {
    server.close();
    for (const socket of waiting) socket.destroy();
  };
}

/** Ends the machine that runs in a folder, and waits until it is off. Answers whether there was one. */
export async function stopMachineIn(folder) {
  const socket = await connected(socketIn(folder));
  if (socket === undefined) return false;
  socket.write('stop\n');
  await once(socket.resume(), 'close');
  return true;
}
