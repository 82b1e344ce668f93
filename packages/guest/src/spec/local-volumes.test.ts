import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciSpec } from '../oci-spec.js';
import { bindLocalVolumes } from './local-volumes.js';
import { containerMounts } from './mounts.js';

const rules = { privileged: 'refuse', cgroupNamespace: false } as const;
const source = '/run/kata-containers/shared/containers/pod/rootfs/local/scratch';
const spec = (type: string): OciSpec => ({
  ociVersion: '1.0.2',
  mounts: [{ destination: '/scratch', type, source, options: ['rbind', 'rprivate', 'rw'] }],
});

test('a mount of type local is a bind of the directory that a local storage of its request makes', () => {
  const bound = bindLocalVolumes(spec('local'), [{ driver: 'local', mountPoint: source }]);
  assert.deepEqual(containerMounts(bound.mounts, rules), spec('bind').mounts);
});

test('elsewhere the type local is refused, as any other that hides a bind', () => {
  for (const storage of [
    { driver: 'local', mountPoint: `${source}/below` },
    { driver: 'ephemeral', mountPoint: source },
  ]) {
    const { mounts } = bindLocalVolumes(spec('local'), [storage]);
    assert.throws(() => containerMounts(mounts, rules), {
      kind: 'refused',
      message: /its type must be "bind"/,
    });
  }
  const hidden = bindLocalVolumes(spec('tmpfs'), [{ driver: 'local', mountPoint: source }]);
  assert.throws(() => containerMounts(hidden.mounts, rules), { kind: 'refused' });
});

test('a spec without mounts stays one', () => {
  assert.equal(bindLocalVolumes({ ociVersion: '1.0.2' }, []).mounts, undefined);
});
