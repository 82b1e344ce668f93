import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCdiSpec } from './cdi-spec.js';

const spec = (more: object): object => ({
  cdiVersion: '0.6.0',
  kind: 'kata.com/gpu',
  devices: [{ name: '0', containerEdits: { env: ['A=b'] } }],
  ...more,
});
const edits = (containerEdits: object): object => spec({ devices: [{ name: '0', containerEdits }] });

test('a specification has devices with edits, and edits of its own', () => {
  const { kind, devices, edits: own } = parseCdiSpec(spec({ containerEdits: { additionalGids: [5] } }));
  assert.equal(kind, 'kata.com/gpu');
  assert.deepEqual(devices.get('0')?.env, ['A=b']);
  assert.deepEqual(own.additionalGids, [5]);
  assert.deepEqual(own.deviceNodes, []);
});

test('edits that are not made are named, so that a device with them can be refused', () => {
  const { devices } = parseCdiSpec(edits({ intelRdt: { closID: 'x' }, netDevices: [] }));
  assert.deepEqual(devices.get('0')?.unsupported, ['intelRdt', 'netDevices']);
});

test('a malformed specification is rejected with the place of the mistake', () => {
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [null, /the specification must be an object/],
    [[], /must be an object/],
    [spec({ cdiVersion: '9.0.0' }), /cdiVersion "9.0.0" is not known/],
    [spec({ cdiVersion: 1 }), /cdiVersion must be a string/],
    [spec({ kind: 'gpu' }), /kind must be vendor\/class/],
    [spec({ devices: [] }), /devices is empty/],
    [spec({ devices: 'x' }), /devices must be a list/],
    [spec({ other: 1 }), /unknown member "other"/],
    [spec({ devices: [{ name: '0' }, { name: '0' }] }), /device "0" is duplicated/],
    [spec({ devices: [{ name: 'a/b' }] }), /devices\[0\].name is not the name/],
    [spec({ devices: [{ name: 0 }] }), /devices\[0\].name must be a string/],
    [edits({ env: ['A'] }), /devices\[0\].containerEdits.env\[0\] is not of the form/],
    [edits({ deviceNodes: [{ path: '/dev/x', permissions: 'x' }] }), /permissions must be some of/],
    [edits({ deviceNodes: [{ path: '/dev/x', major: -1 }] }), /deviceNodes\[0\].major must be a number/],
    [edits({ deviceNodes: [{}] }), /deviceNodes\[0\].path must be a string/],
    [edits({ mounts: [{ hostPath: '/x' }] }), /mounts\[0\].containerPath must be a string/],
    [edits({ hooks: [{ hookName: 'other', path: '/x' }] }), /hookName is not the name of an OCI hook/],
    [edits({ hooks: [{ hookName: '__proto__', path: '/x' }] }), /hookName is not the name of an OCI hook/],
    [edits({ additionalGids: ['5'] }), /additionalGids\[0\] must be a number/],
    [edits({ netdevices: [] }), /unknown member "netdevices"/],
  ];
  for (const [value, message] of wrong)
    assert.throws(() => parseCdiSpec(value), { name: 'FormError', message }, String(message));
});
