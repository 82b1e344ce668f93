import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import type { OciMount } from '../request/oci-spec.js';
import { checkAccountFiles } from './root-files.js';

const syscalls = loadSyscalls();
let directory: string;
let rootfs: string;
let volume: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'guest-accounts-'));
  rootfs = join(directory, 'rootfs');
  volume = join(directory, 'volume');
  for (const name of ['rootfs/etc', 'volume']) mkdirSync(join(directory, name), { recursive: true });
});
afterEach(() => rmSync(directory, { recursive: true }));

const check = (...mounts: readonly OciMount[]) => checkAccountFiles(rootfs, mounts, syscalls);
const bind = (destination: string, source = volume): OciMount => ({ destination, type: 'bind', source });

function fifo(path: string): string {
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  return path;
}

function file(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'root:x:0:0::/:/bin/sh\n');
  return path;
}

const refused = (message: RegExp) => ({ kind: 'refused', message });

test('regular and missing files pass', () => {
  check();
  rmSync(join(rootfs, 'etc'), { recursive: true });
  check();
  writeFileSync(join(rootfs, 'etc'), '');
  check();
  rmSync(join(rootfs, 'etc'));
  for (const name of ['passwd', 'group']) file(join(rootfs, 'etc', name));
  check();
});

test('links to a file of the image pass, as in images of Nix', () => {
  file(join(rootfs, 'nix/store/x-passwd'));
  symlinkSync('/nix/store/x-passwd', join(rootfs, 'etc/passwd'));
  check();
  rmSync(join(rootfs, 'etc'), { recursive: true });
  file(join(rootfs, 'nix/etc/passwd'));
  symlinkSync('../../nix/etc', join(rootfs, 'etc'));
  check();
});

for (const name of ['passwd', 'group']) {
  test(`a FIFO, a directory or an endless file at /etc/${name} is refused`, () => {
    const path = join(rootfs, 'etc', name);
    fifo(path);
    assert.throws(
      check,
      refused(new RegExp(`^/etc/${name} of the container is a FIFO; help: use a regular file`)),
    );
    rmSync(path);
    mkdirSync(path);
    assert.throws(check, refused(/is not a regular file/));
    rmSync(path, { recursive: true });
    truncateSync(file(path), 2 ** 33);
    assert.throws(check, refused(/has 8589934592 bytes/));
  });
}

test('links to a FIFO or into a mount are refused; links out of the root are dangling', () => {
  const link = join(rootfs, 'etc/passwd');
  const leading = (target: string): void => {
    rmSync(link, { force: true });
    symlinkSync(target, link);
  };
  fifo(join(rootfs, 'fifo'));
  leading('/fifo');
  assert.throws(check, refused(/leads to "\/fifo", which is a FIFO/));
  fifo(join(directory, 'outside'));
  for (const target of ['../../outside', join(directory, 'outside'), '/proc/self/fd/0', 'passwd']) {
    leading(target);
    // Resolved in the root, as in the container, the link is dangling.
    check();
  }
  leading('/data/passwd');
  file(join(rootfs, 'data/passwd'));
  check();
  assert.throws(() => check(bind('/data')), refused(/leads to "\/data\/passwd", which another mount covers/));
});

test('files in a mount are checked in the mount', () => {
  fifo(join(rootfs, 'etc/passwd'));
  check(bind('/etc'));
  check({ destination: '/etc', type: 'tmpfs', source: 'tmpfs' });
  check(bind('/etc/passwd', file(join(directory, 'file'))));
  assert.throws(() => check(bind('/etc/passwd'), bind('/data')), refused(/is not a regular file/));
  fifo(join(volume, 'group'));
  assert.throws(() => check(bind('/etc')), refused(/\/etc\/group of the container is a FIFO/));
  check(bind('/etc'), bind('/etc/group', join(directory, 'file')));
  rmSync(join(volume, 'group'));
  fifo(join(volume, 'fifo'));
  symlinkSync('fifo', join(volume, 'passwd'));
  assert.throws(() => check(bind('/etc')), refused(/leads to "\/etc\/fifo", which is a FIFO/));
});
