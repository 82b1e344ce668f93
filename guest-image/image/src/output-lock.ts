// Locks an output directory: two concurrent builds would leave the initramfs of one and the manifest of the other.
import { createHash } from 'node:crypto';
import { closeSync, openSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { createDirectory } from '@kata-agent/tool-command/options';
import { listenExclusively } from '@kata-agent/tool-command/exclusive-socket';

/**
 * Locks a directory for this process and returns a function that unlocks it. Throws if another build of this
 * checkout has locked it. The socket is below build/, because not every file system supports sockets.
 */
export async function lockOutputDirectory(out: string): Promise<() => void> {
  const descriptor = openSync(createDirectory('build/image-cache', join(root, 'build', 'image-cache')), 'r');
  const server = createServer((socket) => socket.destroy());
  const name = createHash('sha256').update(realpathSync(out)).digest('hex').slice(0, 16);
  // The path through the descriptor is short: the path of a socket has at most 107 bytes.
  if (!(await listenExclusively(server, `/proc/self/fd/${descriptor}/${name}.out`))) {
    closeSync(descriptor);
    throw new Error(
      `another npm run image writes to ${out}\nhelp: wait until it ends, or use another directory with --out`,
    );
  }
  return () => {
    server.close();
    closeSync(descriptor);
  };
}
