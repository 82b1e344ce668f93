import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NamesOf } from '../context/guest-options.js';
import { containerNamed } from './share-mounts.js';

const namesOf: NamesOf = ({ pod = '', engine = '' }) => ({ inPod: pod, ofEngine: engine });
const found = (name: string, ...containers: Parameters<NamesOf>[0][]) =>
  containerNamed(
    containers.map((annotations, index) => ({ id: `id${index}`, annotations })),
    name,
    namesOf,
  )?.id;

test("a shared mount names a container by its name in the pod, its engine's name or its id", () => {
  const pod = [{ engine: 'k8s_POD_shop' }, { pod: 'web', engine: 'k8s_web_shop' }, { pod: 'db' }];
  assert.equal(found('web', ...pod), 'id1');
  assert.equal(found('k8s_web_shop', ...pod), 'id1');
  assert.equal(found('id2', ...pod), 'id2');
  assert.equal(found('cache', ...pod), undefined);
  assert.equal(found('', ...pod), undefined);
});

test('the name in the pod takes precedence over engine names and ids', () => {
  assert.equal(found('id1', { pod: 'a' }, { pod: 'b' }, { pod: 'id1' }), 'id2');
  assert.equal(found('b', { engine: 'b' }, { pod: 'b' }), 'id1');
});
