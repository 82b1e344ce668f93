import { readSync } from 'node:fs';
import { type Directory, hasCode, Open } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { Guest } from '../guest.js';
import { openShared, sharedPath } from '../source/shared-directory.js';
import { translated } from '../translate-error.js';

/** As much of a message as Kubernetes takes. */
const maxBytes = 4096;

/**
 * What a container's program left as its last words, in the file that Kubernetes gave it for them. The host names that file,
 * so it lies where the host's own files are: a bundle, or the root of an image, is not for it to read.
 */
export function terminationMessage(guest: Guest, containerId: string): Promise<string> {
  return translated(async () => {
    const { context } = guest;
    const path = guest.container(containerId).terminationLog;
    if (path === undefined)
      throw new GuestError('invalid', `container ${containerId} has no file for a termination message`);
    const shared = sharedPath(context.paths.kata);
    if (!path.startsWith(`${shared}/`))
      throw new GuestError(
        'refused',
        `the termination message of container ${containerId} is not below ${shared}`,
      );
    let base: Directory | undefined;
    try {
      base = openShared(context);
      const file = base.file(path.slice(shared.length + 1), Open.ReadOnly);
      try {
        const buffer = Buffer.alloc(maxBytes);
        return buffer.subarray(0, readSync(file.fd, buffer, 0, maxBytes, 0)).toString();
      } finally {
        file.close();
      }
    } catch (error) {
      // It wrote none.
      if (hasCode(error, 'ENOENT')) return '';
      throw error;
    } finally {
      base?.close();
    }
  });
}
