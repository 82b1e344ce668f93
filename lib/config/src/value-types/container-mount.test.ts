import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerMount } from './container-mount.js';

test('a mount is the name of a container and a clean mount point', () => {
  for (const good of ['web=/data', 'web-0.a_b=/srv/a=b', 'w=/..data', 'w=/a b'])
    assert.deepEqual(containerMount.fromText(good), { ok: true, value: good });
  for (const bad of [
    '',
    '/data',
    '=/data',
    'web',
    'web=',
    'web=/',
    'web=data',
    'web=/a/',
    'web=/a//b',
    'web=/a/../b',
    'web=/.',
    'a/b=/c',
  ])
    assert.equal(containerMount.fromText(bad).ok, false, bad);
});
