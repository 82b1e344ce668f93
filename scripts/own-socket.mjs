// A unix socket as a sign that a process is at work: it is there as long as that process, and no longer.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';

/**
 * Has a server listen on a path, for this user alone. Answers whether it does: not when another process listens there. A
 * socket that a killed process left is taken over.
 */
export async function listenAlone(server, path) {
  if (await listens(server, path)) return true;
  const other = await connected(path);
  other?.destroy();
  if (other !== undefined) return false;
  rmSync(path, { force: true });
  return listens(server, path);
}

/** Whether it listens now; not when there is something of that name. */
async function listens(server, path) {
  // The file is made within the call.
  const before = process.umask(0o177);
  server.listen(path);
  process.umask(before);
  try {
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (error.code === 'EADDRINUSE') return false;
    throw error;
  }
}

/** A connection to it; undefined when nobody listens. */
export async function connected(path) {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(error.code)) return undefined;
    throw error;
  }
}
