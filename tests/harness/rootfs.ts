import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

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

/** Makes a root file system of busybox in a folder and returns its path. */
export function makeRootfs(folder: string): string {
  const rootfs = join(folder, 'rootfs');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc', 'run'])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(busybox, join(rootfs, 'bin', 'busybox'));
  chmodSync(join(rootfs, 'bin', 'busybox'), 0o755);
  for (const applet of applets) symlinkSync('busybox', join(rootfs, 'bin', applet));
  return rootfs;
}

/** Why tests with real containers cannot run here; undefined when they can. With CI=true that is an error instead. */
export function whyNoContainers(): string | undefined {
  const missing = [
    process.getuid?.() === 0 ? undefined : 'not root',
    ['/usr/bin/runc', '/usr/sbin/runc', '/usr/local/bin/runc'].some(existsSync) ? undefined : 'no runc',
    existsSync(busybox) ? undefined : `no ${busybox}`,
  ].filter((reason) => reason !== undefined);
  if (missing.length === 0) return undefined;
  if (process.env['CI'] === 'true') throw new Error(`CI=true, and ${missing.join(', ')}`);
  return missing.join(', ');
}
