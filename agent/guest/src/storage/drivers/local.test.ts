import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciSpec } from '../../request/oci-spec.js';
import { bindLocalVolumes } from './local.js';
import { admitMounts } from '../../create/admission.js';

const rules = { privileged: 'refuse', cgroupNamespace: false } as const;
const source = '/run/kata-containers/shared/containers/pod/rootfs/local/scratch';
const spec = (type: string): OciSpec => ({
  ociVersion: '1.0.2',
  mounts: [{ destination: '/scratch', type, source, options: ['rbind', 'rprivate', 'rw'] }],
});

test('a mount of type local becomes a bind mount of the request’s local storage', () => {
  const bound = bindLocalVolumes(spec('local'), [{ driver: 'local', mountPoint: source }]);
  assert.deepEqual(admitMounts(bound.mounts ?? [], rules), spec('bind').mounts);
});

test('the type local is refused for other sources', () => {
  for (const storage of [
    { driver: 'local', mountPoint: `${source}/below` },
    { driver: 'ephemeral', mountPoint: source },
  ]) {
    const { mounts } = bindLocalVolumes(spec('local'), [storage]);
    assert.throws(() => admitMounts(mounts ?? [], rules), {
      kind: 'refused',
      message: /its type must be "bind"/,
    });
  }
  const hidden = bindLocalVolumes(spec('tmpfs'), [{ driver: 'local', mountPoint: source }]);
  assert.throws(() => admitMounts(hidden.mounts ?? [], rules), { kind: 'refused' });
});

test('a spec without mounts is unchanged', () => {
  assert.equal(bindLocalVolumes({ ociVersion: '1.0.2' }, []).mounts, undefined);
});
