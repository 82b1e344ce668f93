// One build writes into a folder at a time: two would leave the initramfs of one beside the digests of the other.
import { createHash } from 'node:crypto';
import { closeSync, openSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { root } from './bootstrap.mjs';
import { makeFolder } from './command-line.mjs';
import { listenAlone } from './own-socket.mjs';

/**
 * Takes a folder for this process; answers what gives it back. Throws when another build of this checkout writes there. The
 * sign lies below build/: not every file system that can have an image has sockets.
 */
export async function takeOut(out) {
  const descriptor = openSync(makeFolder('build/image-cache', join(root, 'build', 'image-cache')), 'r');
  const server = createServer((socket) => socket.destroy());
  const name = createHash('sha256').update(realpathSync(out)).digest('hex').slice(0, 16);
  // By the descriptor, whose path is short: a socket's has 107 bytes at most.
  if (!(await listenAlone(server, `/proc/self/fd/${descriptor}/${name}.out`))) {
    closeSync(descriptor);
    throw new Error(`another npm run image writes to ${out}: wait for it, or name another folder with --out`);
  }
  return () => {
    server.close();
    closeSync(descriptor);
  };
}
