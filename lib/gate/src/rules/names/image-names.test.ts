import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, type StorageSchema } from '@kata-agent/protocol/agent';
import type { RuleContext } from '../../rule-context.js';
import { ask, context, rule } from '../rules.test.fixture.js';

const mountPoint = '/run/kata-containers/shared/containers/passthrough/c1/rootfs';
const hash = (digit: string): string => digit.repeat(64);
const pins = (...digits: readonly string[]): string =>
  JSON.stringify(digits.map((digit) => `${hash(digit)}/00ff/${digit}`));

function layer(
  digit: string,
  number: number,
  ...more: readonly string[]
): MessageInitShape<typeof StorageSchema> {
  const options = [
    'X-kata.overlay-lower',
    'X-kata.multi-layer=true',
    'X-kata.gpt-partitioned=true',
    `X-kata.partition-number=${number}`,
    'X-kata.dmverity-enabled=true',
    `X-kata.dmverity.roothash=${hash(digit)}`,
    `X-kata.dmverity.hashoffset=${4096 * Number(digit)}`,
    'X-kata.dmverity.salt=00ff',
    ...more,
  ];
  return { driver: 'blk', source: '04', fstype: 'erofs', mountPoint, options };
}

function decided(
  expression: string,
  storages: readonly MessageInitShape<typeof StorageSchema>[],
  more: Partial<RuleContext> = { verifiedLayers: true },
  annotations: Record<string, string> = {},
) {
  const request = create(CreateContainerRequestSchema, {
    containerId: 'c1',
    OCI: { Root: { Path: mountPoint }, Annotations: annotations },
    storages: [...storages],
  });
  return ask([rule(expression, ['CreateContainer'])], 'CreateContainer', request, { ...context, ...more });
}

const two = [layer('1', 2), layer('2', 1)];

test('verified_layers has the layers with the base first, and image.layers their values', () => {
  assert.equal(decided(`verified_layers == ${pins('1', '2')}`, two).outcome, 'allow');
  assert.equal(decided('image.from == "verified_layers" && image.layers.size() == 2', two).outcome, 'allow');
  const values = `image.layers[0].root_hash == "${hash('1')}" && image.layers[1].salt == "00ff" && image.layers[1].data_blocks == 2`;
  assert.equal(decided(values, two).outcome, 'allow');
});

test('another order, one more, one fewer, another salt or count: other layers', () => {
  const exact = `verified_layers == ${pins('1', '2')}`;
  const others = {
    order: [layer('1', 1), layer('2', 2)],
    more: [...two, layer('3', 3)],
    fewer: [layer('1', 2)],
    salt: [
      layer('1', 2),
      { ...layer('2', 1), options: layer('2', 1).options?.map((o) => o.replace('00ff', '00fe')) ?? [] },
    ],
    count: [
      layer('1', 2),
      { ...layer('2', 1), options: layer('2', 1).options?.map((o) => o.replace('=8192', '=4096')) ?? [] },
    ],
  };
  for (const [what, storages] of Object.entries(others))
    assert.equal(decided(exact, storages).code, 'KA3101', what);
});

test('a root that the guest would refuse denies whatever the rule says, and says why', () => {
  const plain = [
    layer('1', 2),
    { ...layer('2', 1), options: ['X-kata.overlay-lower', 'X-kata.multi-layer=true'] },
  ];
  for (const expression of ['verified_layers == [] || true', 'image.from != "pulled"']) {
    const { code, reason } = decided(expression, plain);
    assert.equal(code, 'KA3102');
    assert.match(
      reason,
      /layers = "verified", and the root is no verified layers: one of them has no dm-verity/,
    );
  }
});

test('the pause container comes from the guest image', () => {
  const sandbox = { 'io.kubernetes.cri.container-type': 'sandbox' };
  const own = 'image.from == "pause_bundle" && verified_layers == []';
  assert.equal(decided(own, two, undefined, sandbox).outcome, 'allow');
});

test('without layers = "verified" the same request names a root of the host', () => {
  assert.equal(decided('image.from == "host" && verified_layers == []', two, {}).outcome, 'allow');
});
