import { statfs } from 'node:fs/promises';
import { hasCode, mounts } from '@kata-agent/linux';
import type { Guest } from '../guest.js';
import { translated } from '../translate-error.js';

/**
 * Looks at each mount of the shared folder: virtiofsd lets go of files that the host has removed once the guest asks
 * for them and learns that they are gone (kata-containers issue 6455). What answers an error is what is looked for.
 */
export function touchSharedMounts({ context }: Guest): Promise<void> {
  return translated(async () => {
    const shared = `${context.paths.kata}/shared/containers/`;
    const places = mounts().filter(({ target }) => `${target}/`.startsWith(shared));
    await Promise.all(places.map(({ target }) => statfs(target).catch(ignoreGone)));
  });
}

function ignoreGone(error: unknown): void {
  if (!hasCode(error, 'ENOENT', 'ESTALE', 'ENOTCONN', 'EIO', 'EACCES', 'ENOTDIR')) throw error;
}
