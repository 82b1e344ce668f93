import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { environment } from './cri-config.js';
import { quantity, readManifests } from './manifests.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-manifests-'));
after(() => rmSync(directory, { recursive: true }));

const file = (text: string): string => {
  const path = join(directory, 'objects.yaml');
  writeFileSync(path, text);
  return path;
};

test('pods, templates of pods, config maps and secrets are read, with the values of the test', () => {
  const { pods, configMaps, secrets } = readManifests(
    [
      file(`
kind: Pod
metadata: {name: one}
spec: {containers: [{name: a, command: [MOUNT_PATH]}]}
---
kind: CronJob
metadata: {name: two}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: b}]}}}}}
---
kind: ConfigMap
metadata: {name: map}
data: {key: value}
---
kind: Secret
metadata: {name: hidden}
data: {key: ${Buffer.from('text').toString('base64')}}
`),
    ],
    { MOUNT_PATH: '/mnt' },
  );
  assert.deepEqual(
    pods.map(({ metadata, spec }) => [metadata.name, spec.containers[0]?.command]),
    [
      ['one', ['/mnt']],
      ['two', undefined],
    ],
  );
  assert.deepEqual([configMaps.get('map'), secrets.get('hidden')], [{ key: 'value' }, { key: 'text' }]);
});

test('a file that is not YAML is an error', () => {
  assert.throws(() => readManifests([file('a: [')]));
});

test('variables come from values, fields, resources, config maps and secrets', () => {
  const read = readManifests([
    file(`
kind: Pod
metadata: {name: pod}
spec:
  containers:
  - name: a
    resources: {requests: {memory: 32Mi}}
    envFrom: [{configMapRef: {name: map}}]
    env:
    - {name: A, value: "1"}
    - {name: B, value: "$(A)2 $(C)"}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: requests.memory}}}
    - {name: KEY, valueFrom: {configMapKeyRef: {name: map, key: key}}}
---
kind: ConfigMap
metadata: {name: map}
data: {key: value}
`),
  ]);
  const [pod] = read.pods;
  const [container] = pod?.spec.containers ?? [];
  assert.ok(pod !== undefined && container !== undefined);
  const { A, B, NAME, MEMORY, KEY, key, KUBERNETES_SERVICE_PORT } = environment(pod, container, read);
  assert.deepEqual(
    [A, B, NAME, MEMORY, KEY, key, KUBERNETES_SERVICE_PORT],
    ['1', '12 $(C)', 'pod', String(32 * 2 ** 20), 'value', 'value', '443'],
  );
});

test('quantities are CPUs or bytes', () => {
  assert.deepEqual(['500m', '1', 2, '200Mi', '50M'].map(quantity), [0.5, 1, 2, 200 * 2 ** 20, 50e6]);
  assert.throws(() => quantity('much'), { message: 'much is not a quantity' });
});
