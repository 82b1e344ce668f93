import { tmpdir } from 'node:os';

/** The line of a configuration that lets containers have what tests make in the folder of temporary files. */
const line = `guest_paths = [${JSON.stringify(tmpdir())}]`;

/** A document under which a container may have a root file system of the tests'; one that lists paths itself stays as it is. */
export function withGuestPaths(config: string): string {
  if (/^guest_paths =/m.test(config)) return config;
  if (/^\[agent\]$/m.test(config)) return config.replace(/^\[agent\]$/m, `[agent]\n${line}`);
  return `${config}\n[agent]\n${line}\n`;
}
