import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runtimeName } from './oci-runtime.js';
import { whyWithout } from './prerequisites.js';

/** Debian's busybox-static. */
const busybox = '/usr/bin/busybox';

const applets = [
  'sh',
  'cat',
  'echo',
  'id',
  'sleep',
  'stty',
  'true',
  'yes',
  'head',
  'dd',
  'hostname',
  'sha256sum',
  'kill',
  'trap',
];

/** Creates a root file system of busybox in a directory and returns its path. */
export function makeRootfs(directory: string): string {
  const rootfs = join(directory, 'rootfs');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc', 'run'])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(busybox, join(rootfs, 'bin', 'busybox'));
  chmodSync(join(rootfs, 'bin', 'busybox'), 0o755);
  for (const applet of applets) symlinkSync('busybox', join(rootfs, 'bin', applet));
  return rootfs;
}

/**
 * Returns why tests with real containers and more Debian packages cannot run here; undefined if they can. See
 * whyWithout.
 */
export function whyNoContainers(...more: readonly string[]): string | undefined {
  if (process.getuid?.() === 0) return whyWithout(runtimeName, 'busybox-static', 'procps', ...more);
  if (process.env['CI'] === 'true') throw new Error('CI=true, and not root');
  return 'not root';
}
