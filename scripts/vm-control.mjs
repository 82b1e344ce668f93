// One machine of `npm run vm` in a folder at a time: who boots it listens on a socket there, and another terminal ends it
// through that.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

function socketIn(folder) {
  return join(folder, 'stop.sock');
}

/**
 * Takes a folder for this process; `stop` is called for each wish that the machine end. Answers what gives the folder back,
 * and so tells those who wished it. Throws when a machine runs there.
 */
export async function takeFolder(folder, stop) {
  const path = socketIn(folder);
  const waiting = new Set();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    // Who only looks whether a machine runs says nothing.
    socket.once('data', () => {
      waiting.add(socket);
      stop();
    });
  });
  const other = await connected(path);
  other?.destroy();
  if (other !== undefined)
    throw new Error(
      `a machine runs in ${folder} already: npm run vm -- --stop ends it; with another --folder there can be two`,
    );
  // A process that was killed left it.
  rmSync(path, { force: true });
  server.listen(path);
  await once(server, 'listening');
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

/** A connection to it; undefined when nobody listens. */
async function connected(path) {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(error.code)) return undefined;
    throw error;
  }
}
