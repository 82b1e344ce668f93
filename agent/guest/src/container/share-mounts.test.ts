import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GuestError } from '../guest-error.js';
import { containerNamed, type NamesOf, sourceMounts } from './share-mounts.js';
import type { Container } from './container.js';

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

test('a place where nothing is mounted is awaited for ten seconds, and is an error then, a link to a mount too', (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'share-mounts-'));
  context.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, '77'));
  writeFileSync(join(proc, '77/mountinfo'), '40 21 0:33 / /tmp/served rw - tmpfs t rw\n');
  const none = { sys: '', dev: '' };
  const source = { first: { pid: 77, ended: false } } as Container;
  const at = (sourcePath: string) => {
    const mount = {
      name: 'fuse',
      sourceContainer: 'server',
      sourcePath,
      destinationContainer: 'client',
      destinationPath: '/mnt',
    };
    const [wanted] = sourceMounts([mount], () => source, { proc });
    assert.ok(wanted !== undefined);
    return wanted;
  };
  assert.equal(at('/tmp/served').find(none), join(proc, '77'));
  // A link of the container to it has another path than the mount.
  for (const path of ['/tmp', '/tmp/link', '/tmp/served/'] as const) {
    const { find, seconds, absent } = at(path);
    assert.equal(find(none), undefined, path);
    assert.equal(seconds, 10);
    const error = absent?.();
    assert.ok(error instanceof GuestError);
    assert.equal(error.kind, 'precondition');
    assert.match(error.message, /nothing was mounted at ".*" of container server within 10 seconds/);
  }
});
