import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { SandboxView } from '@kata-agent/analysis';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type Storage,
} from '@kata-agent/protocol/agent';
import { type Expected, expectedOf, setups, workloadFiles } from './expected-requests.js';
import { containersAfter } from './run-mutations.js';
import { guestRefusal } from './guest-refusal.js';

type Change = (layers: readonly Storage[]) => readonly Storage[];

const replaced = (storage: Storage, ...pairs: readonly (readonly [RegExp, string])[]): Storage => ({
  ...storage,
  options: storage.options.map((option) =>
    pairs.reduce((text, [from, to]) => text.replace(from, to), option),
  ),
});
const ofFirst =
  (change: (storage: Storage) => Storage): Change =>
  ([first, ...others]) =>
    first === undefined ? [] : [change(first), ...others];

/** Changes of the layers of one container. */
const changes: Readonly<Record<string, Change>> = {
  'another root hash': ofFirst((layer) => replaced(layer, [/(roothash=).*/, `$1${'ab'.repeat(32)}`])),
  'another order': ([first, second]) =>
    first === undefined || second === undefined
      ? []
      : [
          replaced(first, [/(partition-number=)1$/, '$12']),
          replaced(second, [/(partition-number=)2$/, '$11']),
        ],
  'one more': (layers) => [
    ...layers,
    ...layers.slice(-1).map((last) => replaced(last, [/(partition-number=).*/, '$13'])),
  ],
  'one fewer': (layers) => layers.slice(0, -1),
  none: () => [],
  'another salt': ofFirst((layer) => replaced(layer, [/(dmverity\.salt=).*/, '$100fe'])),
  'another number of blocks': ofFirst((layer) => replaced(layer, [/(hashoffset=).*/, '$14096'])),
  'no dm-verity': ofFirst((layer) => ({
    ...layer,
    options: layer.options.filter((option) => !option.startsWith('X-kata.dmverity')),
  })),
  'another algorithm': ofFirst((layer) => ({
    ...layer,
    options: [...layer.options, 'X-kata.dmverity.algorithm=sha512'],
  })),
  elsewhere: (layers) =>
    layers.map((layer) => ({ ...layer, mountPoint: layer.mountPoint.replace('passthrough/', '') })),
  'a disk for writes': (layers) => [
    ...layers,
    ...layers.slice(0, 1).map((layer) => ({
      ...layer,
      source: '08',
      fstype: 'ext4',
      options: ['rw', 'X-kata.overlay-upper', 'X-kata.multi-layer=true'],
    })),
  ],
};

/** Yields each container of a workload with how it is refused after each change. */
function* changed({ name, calls, authorizer, access }: Expected) {
  const view = new SandboxView(authorizer.listeners);
  for (const [index, call] of calls.entries()) {
    if (call.method === 'CreateContainer' && (call.container ?? '') !== '') {
      const request = call.request as CreateContainerRequest;
      const state = { containers: containersAfter(calls.slice(0, index)), access, verifiedLayers: true };
      const isLayer = ({ options }: Storage): boolean => options.includes('X-kata.multi-layer=true');
      for (const [what, change] of Object.entries(changes)) {
        const copy = clone(CreateContainerRequestSchema, request);
        const layers = copy.storages.filter(isLayer);
        copy.storages = [...change(layers), ...copy.storages.filter((each) => !isLayer(each))];
        const context = view.context({ method: call.method, request: copy });
        const decision = authorizer.decide(call.method, copy, context);
        yield { what, where: `${name}, ${call.because}`, decision, guest: guestRefusal(copy, state) };
      }
    }
    view.happened(call);
  }
}

test('a pod from other layers than the pinned ones is denied by the generated configuration', async () => {
  const setup = setups.find(({ verifiedLayers }) => verifiedLayers !== undefined);
  assert.ok(setup !== undefined);
  const byGuest = new Set<string>();
  let count = 0;
  for (const file of workloadFiles)
    for (const expected of await expectedOf(file, setup))
      for (const { what, where, decision, guest } of changed(expected)) {
        count += 1;
        assert.equal(decision.outcome, 'deny', `${where}: ${what}`);
        if (guest?.includes('verified layers') === true) byGuest.add(what);
      }
  assert.ok(count > 100, String(count));
  // Whatever the rules say, the guest refuses what is not a root of verified layers.
  assert.deepEqual([...byGuest].sort(), [
    'a disk for writes',
    'another algorithm',
    'elsewhere',
    'no dm-verity',
    'none',
  ]);
});
