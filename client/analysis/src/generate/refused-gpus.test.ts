import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RuntimeSetup } from '@kata-agent/workloads';
import { describeRefusals, type Made } from './refusals.test.fixture.js';

const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
];

const pod = `kind: Pod
metadata: { name: p }
spec:
  containers:
    - { name: web, image: i, command: [a], resources: { limits: { nvidia.com/pgpu: 2, memory: 1Gi } } }
    - { name: worker, image: i, command: [a], resources: { limits: { nvidia.com/gpu: "1" } } }
    - { name: plain, image: i, command: [a] }
`;

describeRefusals(
  'GPUs that are passed through',
  ({ setup, text, created }) => {
    const change = (each: (made: Made) => void, which?: string): string | undefined => created(each, which);
    const gpus = 'create-container-gpus';

    test('a container has as many as it requests, attached now or before', () => {
      for (const which of ['', 'web', 'worker', 'plain'])
        assert.equal(
          change(() => undefined, which),
          undefined,
          which,
        );
      assert.equal(
        change(({ request }) => void (request.devices = [])),
        undefined,
      );
      assert.match(text, /devices = \[\n {2}"nvidia\.com\/gpu=0",.*\n {2}"nvidia\.com\/gpu=1",/);
      assert.match(text, /^hooks = "cdi"$/m);
      assert.equal(text.includes('"nvidia.com/gpu=2"'), setup.runtime === 'go');
    });

    test('other, missing and repeated CDI devices, and those of another container, are denied', () => {
      const set = (key: string, value: string, which?: string): string | undefined =>
        change(({ annotations }) => void (annotations[key] = value), which);
      assert.equal(set('cdi.k8s.io/vfio0', 'nvidia.com/gpu=7'), gpus);
      assert.equal(set('cdi.k8s.io/vfio0', 'other.com/gpu=0'), gpus);
      assert.equal(set('cdi.k8s.io/vfio0', 'nvidia.com/gpu=1'), gpus);
      assert.equal(set('cdi.k8s.io/vfio0', 'nvidia.com/gpu=all'), gpus);
      assert.equal(set('cdi.k8s.io/vfio9', 'nvidia.com/gpu=0'), gpus);
      assert.equal(set('cdi.k8s.io/vfio9', 'nvidia.com/gpu=0', 'plain'), gpus);
      assert.equal(set('cdi.k8s.io/other', 'nvidia.com/gpu=0'), 'create-container-annotations');
      assert.equal(
        change(({ annotations }) => void delete annotations['cdi.k8s.io/vfio0']),
        gpus,
      );
    });

    test('a VFIO device belongs to a CDI device, and a driver of the guest uses it', () => {
      const device = (each: (one: Made['request']['devices'][number]) => void): string | undefined =>
        change(({ request }) => {
          const [first] = request.devices;
          assert.ok(first !== undefined);
          each(first);
        });
      const rule = 'create-container-gpu-devices';
      assert.equal(
        device((one) => (one.type = 'vfio-pci')),
        rule,
      );
      assert.equal(
        device((one) => (one.id = 'vfio7')),
        rule,
      );
      assert.equal(
        device((one) => Object.assign(one, { id: 'vfio7', containerPath: '/dev/vfio/devices/vfio7' })),
        rule,
      );
      assert.equal(
        device((one) => Object.assign(one, { id: '0', containerPath: '/dev/vfio/0' })),
        undefined,
      );
      assert.equal(
        device((one) => (one.options = [])),
        rule,
      );
      assert.equal(
        device((one) => (one.options = ['0000:65:00.0=/sys'])),
        rule,
      );
      assert.equal(
        device((one) => (one.containerPath = '/dev/sda')),
        'create-container-attached-devices',
      );
      assert.equal(
        change(({ request }) => void request.devices.pop()),
        gpus,
      );
    });
  },
  { of: setups, pod },
);
