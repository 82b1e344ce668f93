import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeVolume, nestedMountPoints, writeFiles } from './volumes.js';

test('a config map is at the path of the kubelet, and an update replaces it at once', (t) => {
  const podDirectory = mkdtempSync(join(tmpdir(), 'kata-volumes-'));
  t.after(() => rmSync(podDirectory, { recursive: true }));
  const manifests = { pods: [], secrets: new Map(), configMaps: new Map([['map', { key: 'before' }]]) };
  const context = { podDirectory, manifests, fsGroup: undefined, runInside: () => undefined };
  const path = makeVolume({ name: 'config', configMap: { name: 'map' } }, context);
  assert.equal(path, join(podDirectory, 'volumes/kubernetes.io~configmap/config'));
  assert.equal(readFileSync(join(path, 'key'), 'utf8'), 'before');
  const first = readlinkSync(join(path, '..data'));
  writeFiles(path, { key: 'after', more: '' });
  assert.notEqual(readlinkSync(join(path, '..data')), first);
  assert.equal(readFileSync(join(path, 'key'), 'utf8'), 'after');
  assert.equal(readlinkSync(join(path, 'key')), '..data/key');
  assert.throws(() => makeVolume({ name: 'x', configMap: { name: 'none' } }, context), /no object none/);
  const optional = { name: 'x', configMap: { name: 'none', optional: true } };
  assert.deepEqual(
    readdirSync(makeVolume(optional, context)).filter((name) => !name.startsWith('..')),
    [],
  );
});

test('a volume has the mount points of volumes in it', () => {
  const volumeMounts = [
    { name: 'outer', mountPath: '/config' },
    { name: 'inner', mountPath: '/config/secret' },
    { name: 'other', mountPath: '/configuration' },
  ];
  const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', volumeMounts }] } };
  assert.deepEqual(nestedMountPoints(pod, 'outer'), ['secret']);
  assert.deepEqual(nestedMountPoints(pod, 'inner'), []);
});
