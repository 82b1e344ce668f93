import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import type { RuntimeSetup } from '@kata-agent/workloads';
import { describeRefusals, type Refusals } from './refusals.test.fixture.js';

const shared: RuntimeSetup = { runtime: 'rs', guest: 'shared-fs', snapshotter: 'erofs' };
const confidential: RuntimeSetup = { ...shared, guest: 'confidential' };
const layers = 'create-container-root-layers';
const there = 'create-container-layers-complete';
const whole = 'X-kata.overlay-lower';

/** Changes the layers of the root, and returns the rule that denies the request. */
function withLayers(
  { created }: Refusals,
  change: (list: Storage[]) => Storage[],
  which?: string,
): string | undefined {
  return created(({ request }) => {
    const isLayer = ({ options }: Storage): boolean => options.includes('X-kata.multi-layer=true');
    const others = request.storages.filter((storage) => !isLayer(storage));
    request.storages = [...change(request.storages.filter(isLayer)), ...others];
  }, which);
}

function partitions(refusals: Refusals, count: number): string | undefined {
  return withLayers(refusals, (list) => {
    const last = list.at(-1);
    assert.ok(last !== undefined);
    return Array.from({ length: count }, (_, index) =>
      create(StorageSchema, {
        ...last,
        source: '1f',
        options: [
          whole,
          'X-kata.multi-layer=true',
          'X-kata.gpt-partitioned=true',
          `X-kata.partition-number=${index + 1}`,
        ],
      }),
    );
  });
}

describeRefusals(
  'layers of an image of unknown size',
  (refusals) => {
    const change = (each: (storage: Storage) => void): string | undefined =>
      withLayers(refusals, (list) => {
        for (const storage of list) if (storage.fstype === 'erofs') each(storage);
        return list;
      });

    test('one disk or up to 128 partitions of one are the root of their own container', () => {
      for (const which of ['', 'web', 'worker'])
        assert.equal(
          withLayers(refusals, (list) => list, which),
          undefined,
        );
      assert.equal(partitions(refusals, 2), undefined);
      assert.equal(partitions(refusals, 128), undefined);
      assert.equal(partitions(refusals, 129), there);
      assert.equal(partitions(refusals, 1), there);
      assert.equal(
        withLayers(refusals, () => []),
        there,
      );
    });

    test('mount point, driver, file system, options and flags are those of runtime-rs', () => {
      const point = '/run/kata-containers/shared/containers/passthrough/other/rootfs';
      assert.equal(
        change((storage) => (storage.mountPoint = point)),
        layers,
      );
      assert.equal(
        change((storage) => (storage.driver = 'erofs.multi-layer')),
        layers,
      );
      assert.equal(
        change((storage) => (storage.fstype = 'xfs')),
        layers,
      );
      assert.equal(
        change((storage) => (storage.shared = true)),
        layers,
      );
      assert.equal(
        change((storage) => storage.driverOptions.push('create_filesystem')),
        layers,
      );
      assert.equal(
        change((storage) => (storage.source = '/dev/vda')),
        'create-container-storage-sources',
      );
      const added = (option: string): string | undefined => change(({ options }) => options.push(option));
      for (const option of [
        'dax',
        'X-kata.overlay-upper',
        'X-kata.other',
        'X-kata.dmverity.algorithm=sha384',
      ])
        assert.equal(added(option), layers, option);
      const made = (path: string): string | undefined => added(`X-kata.mkdir.path=${path}`);
      assert.equal(made('{{ mount 0 }}/upper:0755'), undefined);
      assert.equal(made('{{ mount 0 }}/upper/etc/passwd'), layers);
      assert.equal(made('{{ mount 1 }}/x'), layers);
      assert.equal(added('X-containerd.dmverity=/layer.erofs.dmverity'), undefined);
      assert.equal(
        change(({ options }) => options.splice(options.indexOf(whole), 1)),
        layers,
      );
      const second = (list: Storage[]): Storage[] =>
        list.flatMap((storage) =>
          storage.fstype === 'erofs'
            ? [storage, create(StorageSchema, { ...storage, source: '1e' })]
            : [storage],
        );
      assert.equal(withLayers(refusals, second), there);
    });
  },
  { of: [shared, confidential] },
);

describeRefusals(
  'a disk that takes the writes',
  (refusals) => {
    test('is optional, and there is only one, which is not a layer', () => {
      const upper = (list: readonly Storage[]): Storage[] => list.filter(({ fstype }) => fstype === 'ext4');
      const lower = (list: readonly Storage[]): Storage[] => list.filter(({ fstype }) => fstype !== 'ext4');
      assert.equal(withLayers(refusals, lower), undefined);
      assert.equal(withLayers(refusals, upper), there);
      const copies = (source: string) => (list: readonly Storage[]) => [
        ...list,
        ...upper(list).map((storage) => create(StorageSchema, { ...storage, source })),
      ];
      assert.equal(withLayers(refusals, copies('1e')), there);
      const onLayer = (list: Storage[]): Storage[] => {
        const [source = ''] = lower(list).map((storage) => storage.source);
        for (const storage of upper(list)) storage.source = source;
        return list;
      };
      assert.equal(withLayers(refusals, onLayer), layers);
    });
  },
  { of: [shared] },
);

const hash = (digit: string): string => digit.repeat(64);
const upperOption = { fstype: 'ext4', options: ['rw', 'X-kata.overlay-upper', 'X-kata.multi-layer=true'] };

describeRefusals(
  'layers with root hashes',
  (refusals) => {
    test('each has its own hash, topmost first, and writes go to memory', () => {
      const allowed = withLayers(refusals, (list) => {
        assert.deepEqual(
          list.map(({ options }) => options.find((option) => option.includes('roothash'))),
          [hash('b'), hash('a')].map((text) => `X-kata.dmverity.roothash=${text}`),
        );
        return list;
      });
      assert.equal(allowed, undefined);
      assert.equal(
        withLayers(refusals, (list) => list.toReversed()),
        there,
      );
      assert.equal(
        withLayers(refusals, (list) => list.slice(0, 1)),
        there,
      );
      const without = (text: string): string | undefined =>
        withLayers(refusals, (list) => {
          for (const storage of list)
            storage.options = storage.options.filter((each) => !each.includes(text));
          return list;
        });
      for (const option of ['dmverity-enabled', 'roothash', 'partition-number'])
        assert.equal(without(option), there, option);
      const also = (option: string): string | undefined =>
        withLayers(refusals, (list) => {
          list[0]?.options.push(option);
          return list;
        });
      assert.equal(also(`X-kata.dmverity.roothash=${hash('c')}`), there);
      assert.equal(partitions(refusals, 2), there);
      const written = (list: Storage[]): Storage[] => [
        ...list
          .slice(0, 1)
          .map((storage) => create(StorageSchema, { ...storage, ...upperOption, source: '1e' })),
        ...list,
      ];
      assert.equal(withLayers(refusals, written), there);
    });
  },
  {
    of: [shared, confidential],
    more: { rootfs: { diff_ids: ['1', '2'] }, roothashes: [hash('a'), hash('b')] },
  },
);

describeRefusals(
  'layers of an image whose configuration has their number',
  (refusals) => {
    test('are all of them, or one disk with all of them', () => {
      assert.equal(partitions(refusals, 3), undefined);
      assert.equal(partitions(refusals, 2), there);
      assert.equal(partitions(refusals, 4), there);
    });
  },
  { of: [shared, confidential], more: { rootfs: { diff_ids: ['1', '2', '3'] } } },
);
