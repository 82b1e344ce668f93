// A unix socket as a lock: the socket listens as long as the process that holds the lock runs.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { codeOf } from './command-line.js';

/**
 * Listens on a path that only this user can open, unless another process listens there. Replaces the socket
 * file of a process that no longer listens. Reports whether the server listens.
 */
export async function listenExclusively(server: Server, path: string): Promise<boolean> {
  if (await listenIfFree(server, path)) return true;
  const other = await connectIfListening(path);
  other?.destroy();
  if (other !== undefined) return false;
  rmSync(path, { force: true });
  return listenIfFree(server, path);
}

/** Listens, and reports false if the path exists. */
async function listenIfFree(server: Server, path: string): Promise<boolean> {
  // listen() creates the file before it returns, so the umask applies to it.
  const before = process.umask(0o177);
  server.listen(path);
  process.umask(before);
  try {
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return false;
    throw error;
  }
}

/** Connects to a unix socket; returns undefined if it does not exist or no process listens. */
export async function connectIfListening(path: string): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}
