import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciSpec } from '../request/oci-spec.js';
import { requestedCdiDevices } from './requested-cdi-devices.js';

const all = { visibleDevices: true };

function requested(
  annotations: Readonly<Record<string, string>>,
  env: readonly string[] = [],
  options: { readonly visibleDevices: boolean } = all,
): readonly string[] {
  const spec: Pick<OciSpec, 'annotations' | 'process'> = {
    annotations,
    process: { user: { uid: 0, gid: 0 }, args: [], cwd: '/', env },
  };
  return requestedCdiDevices(spec, options).map(({ text }) => text);
}

const visible = (value: string) => requested({}, [`VISIBLE_CDI_DEVICES=${value}`]);

test('devices of annotations are requested, each once', () => {
  const annotations = {
    'cdi.k8s.io/vfio18': 'nvidia.com/gpu=1',
    'cdi.k8s.io/vfio17': 'nvidia.com/gpu=0,nvidia.com/gpu=1',
    'cdi.k8s.io.example/other': 'no name',
    'example.com/cdi.k8s.io/other': 'no name',
  };
  assert.deepEqual(requested(annotations), ['nvidia.com/gpu=0', 'nvidia.com/gpu=1']);
});

test('names that are not qualified are refused', () => {
  for (const wrong of [
    '',
    'gpu',
    'nvidia.com/gpu',
    'nvidia.com=0',
    '0',
    'nvidia.com/gpu=',
    '/gpu=0',
    'a/b/c=0',
  ])
    assert.throws(() => requested({ 'cdi.k8s.io/x': wrong }), { kind: 'invalid' }, wrong);
  for (const wrong of ['a.b/c=0,', 'a.b/c=0, a.b/c=1', ' a.b/c=0', 'a.b/c=../x', 'a.b/c=x/y', 'a.b/c=x\n'])
    assert.throws(() => requested({ 'cdi.k8s.io/x': wrong }), { kind: 'invalid' }, wrong);
});

test('the container that represents the pod requests none', () => {
  const type = 'io.katacontainers.pkg.oci.container_type';
  const annotations = { 'cdi.k8s.io/vfio17': 'nvidia.com/gpu=0' };
  assert.deepEqual(requested({ ...annotations, [type]: 'pod_sandbox' }), []);
  assert.deepEqual(requested({ ...annotations, [type]: 'pod_container' }), ['nvidia.com/gpu=0']);
});

// Kata 4.1, src/agent/src/device/mod.rs, test_cdi_devices_from_visible_devices.
test('VISIBLE_CDI_DEVICES names kinds with devices, as in Kata’s tests', () => {
  assert.deepEqual(visible('nvidia.com/gpu=all'), ['nvidia.com/gpu=all']);
  assert.deepEqual(visible('nvidia.com/gpu=all : nvidia.com/ib=0, 1 ,2'), [
    'nvidia.com/gpu=all',
    'nvidia.com/ib=0',
    'nvidia.com/ib=1',
    'nvidia.com/ib=2',
  ]);
  for (const none of ['', ' ', 'none', 'void']) assert.deepEqual(visible(none), []);
  for (const wrong of [
    '0',
    'all',
    '=0',
    'nvidia.com/gpu',
    'nvidia.com/gpu=',
    'nvidia.com/gpu=0,,1',
    'a.b/c=x',
  ])
    assert.throws(() => visible(wrong), { kind: 'invalid', message: /VISIBLE_CDI_DEVICES/ }, wrong);
  for (const wrong of ['a.b/c=all,0', 'a.b/c=0,all', 'a.b/c=0:', 'a.b/c=-1'])
    assert.throws(() => visible(wrong), { kind: 'invalid' }, wrong);
});

test('VISIBLE_CDI_DEVICES requests nothing without its setting, and nothing that an annotation requests too', () => {
  const env = ['VISIBLE_CDI_DEVICES=a.b/c=0,1'];
  assert.deepEqual(requested({}, env, { visibleDevices: false }), []);
  assert.deepEqual(requested({ 'cdi.k8s.io/x': 'a.b/c=1' }, env), ['a.b/c=1', 'a.b/c=0']);
});
