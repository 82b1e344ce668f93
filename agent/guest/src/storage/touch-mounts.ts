import { statfsSync } from 'node:fs';
import { hasCode, mounts } from '@kata-agent/linux';
import type { GuestPaths } from '../paths/guest-paths.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly touchMounts: (args: { readonly kata: string }) => void;
  }
}

/**
 * Calls stat on each mount of the shared directory: virtiofsd releases files that the host has removed once the guest
 * asks for them and gets an error (kata-containers issue 6455). Errors are expected.
 */
export function touchMounts({ kata }: Pick<GuestPaths, 'kata'>): void {
  const shared = `${kata}/shared/containers/`;
  const places = mounts().filter(({ target }) => `${target}/`.startsWith(shared));
  for (const { target } of places) {
    try {
      statfsSync(target);
    } catch (error) {
      ignoreGone(error);
    }
  }
}

function ignoreGone(error: unknown): void {
  if (!hasCode(error, 'ENOENT', 'ESTALE', 'ENOTCONN', 'EIO', 'EACCES', 'ENOTDIR')) throw error;
}
