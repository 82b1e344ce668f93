import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestPaths } from '../paths/guest-paths.js';

function directoryIn({ state }: Pick<GuestPaths, 'state'>): string {
  return join(state, 'sandbox');
}

/** Writes the pod's resolv.conf and returns its path; undefined: the request has no lines for it. */
export function writeResolvConf(
  dns: readonly string[],
  paths: Pick<GuestPaths, 'state'>,
): string | undefined {
  if (dns.length === 0) return undefined;
  const directory = directoryIn(paths);
  const file = join(directory, 'resolv.conf');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(file, resolvConfText(dns), { mode: 0o644 });
  return file;
}

export function removeResolvConf(paths: Pick<GuestPaths, 'state'>): void {
  rmSync(directoryIn(paths), { recursive: true, force: true });
}

/** Returns the text of the pod's resolv.conf. */
export function resolvConfText(dns: readonly string[]): string {
  return `${dns.map((line) => line.trim()).join('\n')}\n`;
}
