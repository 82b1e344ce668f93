import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciMount } from '../request/oci-spec.js';
import { checkPauseMounts } from './pause-bundle.js';

const bind = (destination: string): OciMount => ({ destination, type: 'bind', source: '/x', options: [] });

test("nothing of the host is mounted over the pause bundle's files", () => {
  for (const path of ['/pause', '/bin', '/', '/lib', '/etc', '/etc/ld.so.preload', '/./bin//x', '/developer'])
    for (const [mounts, shared] of [
      [[bind(path)], []],
      [[{ ...bind(path), type: 'none', options: ['rbind'] }], []],
      [[], [{ destinationPath: path }]],
    ] as const)
      assert.throws(() => checkPauseMounts(mounts, shared), { kind: 'refused' }, path);
  assert.throws(() => checkPauseMounts([bind('/dev/../bin')]), { kind: 'invalid' });
});

test('what engines mount in a pause container is allowed', () => {
  const binds = ['/dev/shm', '/etc/resolv.conf', '/etc/hosts', '/etc/hostname', '/run/.containerenv'].map(
    bind,
  );
  checkPauseMounts([...binds, { destination: '/proc', type: 'proc', source: 'proc', options: [] }]);
});
