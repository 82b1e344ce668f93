import { tmpdir } from 'node:os';

/** The setting that gives containers access to the tests' temporary directory. */
const line = `guest_paths = [${JSON.stringify(tmpdir())}]`;

/**
 * Adds that setting to a document, so that containers can use the tests' root file systems; a document with its own
 * list is unchanged.
 */
export function withGuestPaths(config: string): string {
  if (/^guest_paths =/m.test(config)) return config;
  if (/^\[agent\]$/m.test(config)) return config.replace(/^\[agent\]$/m, `[agent]\n${line}`);
  return `${config}\n[agent]\n${line}\n`;
}
