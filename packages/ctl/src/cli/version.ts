import { readFileSync } from 'node:fs';

/** This program's version: that of the workspace, from the package's own manifest. */
export const version: string = readVersion();

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found = (manifest as { readonly version?: unknown }).version;
  if (typeof found !== 'string') throw new Error('package.json of kata-agent-ctl has no version');
  return found;
}
