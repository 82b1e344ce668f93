import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttachedDevice } from '../../request/actions.js';
import type { OciDevice, OciSpec } from '../../request/oci-spec.js';
import { refuseScratch, withoutScratch } from './scratch-disk.js';

const device = (containerPath: string): AttachedDevice => ({
  type: 'blk',
  id: '02',
  vmPath: '',
  containerPath,
  options: [],
});
const node = (path: string): OciDevice => ({ path, type: 'b', major: 259, minor: 1 });
const scratch = '/dev/trusted_store';

function specWith(...paths: readonly string[]): OciSpec {
  return { ociVersion: '1.0.2', linux: { devices: paths.map(node) } };
}

test('the scratch disk is no device of the container, and the others stay', () => {
  const spec = specWith('/dev/xvda', scratch);
  const separated = withoutScratch({ spec, devices: [device(scratch), device('/dev/xvda')] });
  assert.deepEqual(separated, {
    spec: specWith('/dev/xvda'),
    devices: [device('/dev/xvda')],
    scratch: device(scratch),
  });
});

test('a request without one stays as it is', () => {
  const spec = specWith('/dev/xvda');
  assert.deepEqual(withoutScratch({ spec, devices: undefined }), { spec, devices: [], scratch: undefined });
});

test('two of them are refused', () => {
  assert.throws(
    () => withoutScratch({ spec: specWith(scratch), devices: [device(scratch), device(scratch)] }),
    {
      kind: 'invalid',
      message: /two devices are for \/dev\/trusted_store/,
    },
  );
});

test('one for a container whose image is not pulled is refused, with the remedy', () => {
  refuseScratch(undefined, 'c');
  assert.throws(() => refuseScratch(device(scratch), 'c'), {
    kind: 'invalid',
    message: /help: attach it to/,
  });
});
