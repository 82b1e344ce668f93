import { readSync } from 'node:fs';
import { type Directory, hasCode, Open, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { openShared, sharedPath } from '../source/shared-directory.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly readTerminationMessage: (args: {
      readonly id: string;
      readonly terminationLog: string | undefined;
      readonly kata: string;
    }) => string;
  }
}

/** Maximum size of a message in Kubernetes. */
const maxBytes = 4096;

/**
 * Reads a container's termination message; empty: the file does not exist. The host names the file, so only files in directories
 * that the host shares are read: not a bundle, or the root of an image.
 *
 * @throws GuestError `invalid` for a container without such a file, `refused` for a path elsewhere.
 */
export function readTerminationMessage(
  { id, terminationLog: path }: { readonly id: string; readonly terminationLog: string | undefined },
  context: { readonly syscalls: Syscalls; readonly paths: { readonly kata: string } },
): string {
  if (path === undefined)
    throw new GuestError('invalid', `container ${id} has no file for a termination message`);
  const shared = sharedPath(context.paths.kata);
  if (!path.startsWith(`${shared}/`))
    throw new GuestError('refused', `the termination message of container ${id} is not below ${shared}`);
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
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  } finally {
    base?.close();
  }
}
