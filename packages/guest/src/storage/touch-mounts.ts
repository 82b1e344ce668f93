import { statfs } from 'node:fs/promises';
import { hasCode, mounts } from '@kata-agent/linux';
import type { GuestPaths } from '../context/guest-options.js';

/**
 * Calls stat on each mount of the shared directory: virtiofsd releases files that the host has removed once the guest
 * asks for them and gets an error (kata-containers issue 6455). Errors are expected.
 */
export async function touchMounts({ kata }: Pick<GuestPaths, 'kata'>): Promise<void> {
  const shared = `${kata}/shared/containers/`;
  const places = mounts().filter(({ target }) => `${target}/`.startsWith(shared));
  await Promise.all(places.map(({ target }) => statfs(target).catch(ignoreGone)));
}

function ignoreGone(error: unknown): void {
  if (!hasCode(error, 'ENOENT', 'ESTALE', 'ENOTCONN', 'EIO', 'EACCES', 'ENOTDIR')) throw error;
}
