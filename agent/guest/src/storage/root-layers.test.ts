import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Storage } from '../request/actions.js';
import { cleanStorages } from './clean-storages.js';
import { rootLayersOf } from './root-layers.js';

const mountPoint = '/run/kata-containers/c/rootfs';
const multi = 'X-kata.multi-layer=true';

function layer(fstype: string, options: readonly string[], more: Partial<Storage> = {}): Storage {
  const empty = { driverOptions: [], mountPoint, shared: false };
  return { ...empty, driver: 'blk', source: '01/02', fstype, options: [multi, ...options], ...more };
}

const upper = layer('ext4', ['rw', 'X-kata.overlay-upper'], { source: '01/01' });
const lower = layer('erofs', ['ro', 'X-kata.overlay-lower']);

function partition(number: number, ...options: readonly string[]): Storage {
  return layer('erofs', ['X-kata.gpt-partitioned=true', `X-kata.partition-number=${number}`, ...options]);
}

/** What their devices are, topmost first. */
function order(...storages: readonly Storage[]): readonly string[] {
  const [root, ...others] = cleanStorages(storages);
  assert.ok(root !== undefined && others.length === 0);
  return rootLayersOf(root).lowers.map(({ wanted }) => wanted.what);
}

test('the layers of a request become one storage, and other storages are kept', () => {
  const volume = { ...lower, options: [], mountPoint: '/run/kata-containers/sandbox/storage/v' };
  const cleaned = cleanStorages([volume, upper, volume, { ...lower, mountPoint: `${mountPoint}/` }, volume]);
  assert.deepEqual(
    cleaned.map(({ driver, layers }) => [driver, layers?.length]),
    [
      ['blk', undefined],
      ['erofs.multi-layer', 2],
      ['blk', undefined],
      ['blk', undefined],
    ],
  );
  assert.equal(cleaned[1]?.mountPoint, mountPoint);
});

test('partitions are ordered by number, whole disks as in the request', () => {
  assert.deepEqual(order(upper, partition(10), partition(2), partition(1)), [
    'partition 1 of a disk at PCI path 01/02',
    'partition 2 of a disk at PCI path 01/02',
    'partition 10 of a disk at PCI path 01/02',
  ]);
  const disks = ['03', '02', '04'].map((slot) => ({ ...lower, source: slot }));
  assert.deepEqual(order(...disks), [
    'a disk at PCI path 03',
    'a disk at PCI path 02',
    'a disk at PCI path 04',
  ]);
});

test('a layer is recognized by its file system too, as by Kata', () => {
  const [root] = cleanStorages([layer('ext4', [], { source: '05' }), layer('erofs', [])]);
  assert.ok(root !== undefined);
  const layers = rootLayersOf(root);
  assert.equal(layers.upper?.wanted.what, 'a disk at PCI path 05');
  assert.equal(layers.lowers.length, 1);
});

test('mount options are checked, and those of containerd are ignored', () => {
  const [root] = cleanStorages([{ ...lower, options: [...lower.options, 'X-containerd.dmverity=/a'] }]);
  assert.ok(root !== undefined);
  assert.deepEqual(rootLayersOf(root).lowers[0]?.options, ['ro']);
  const [wrong] = cleanStorages([{ ...lower, options: [multi, 'device=/dev/vdb'] }]);
  assert.ok(wrong !== undefined);
  assert.throws(() => rootLayersOf(wrong), { kind: 'refused', message: /"device=\/dev\/vdb"/ });
});

test('directories to create are named relative to a layer, without what follows a colon', () => {
  const paths = ['{{ mount 0 }}/upper:0755:0:0', '{{ mount 1 }}/etc/./x', '/upper/y'];
  const [root] = cleanStorages([
    layer(
      'erofs',
      paths.map((path) => `X-kata.mkdir.path=${path}`),
    ),
  ]);
  assert.ok(root !== undefined);
  assert.deepEqual(rootLayersOf(root).directories, [
    { in: 'upper', path: 'upper' },
    { in: 'lower', path: 'etc/x' },
    { in: 'upper', path: 'upper/y' },
  ]);
  for (const path of [
    '{{ mount 0 }}/../x',
    '{{ mount 0 }}',
    '{{ mount 2 }}/x',
    '{{ mount 0 }}x',
    '../x',
    ':0755',
  ]) {
    const [each] = cleanStorages([layer('erofs', [`X-kata.mkdir.path=${path}`])]);
    assert.ok(each !== undefined);
    assert.throws(() => rootLayersOf(each), { kind: 'invalid', message: /names no directory/ }, path);
  }
});

test('layers that are not a root are refused with their reason', () => {
  const wrong: readonly (readonly [readonly Storage[], RegExp])[] = [
    [[upper], /none of them is read-only/],
    [[upper, { ...upper, source: '09' }, lower], /two of them are to take the writes/],
    [[lower, { ...lower, mountPoint: '/run/kata-containers/d/rootfs' }], /have the mount points/],
    [[lower, lower], /a disk at PCI path 01\/02 is named twice/],
    [[partition(1), partition(1)], /partition 1 of .* is named twice/],
    [
      [{ ...lower, driver: 'erofs.multi-layer' }],
      /driver "erofs.multi-layer" names no disk; help: use blk or scsi/,
    ],
    [[{ ...lower, driver: 'erofs.multi-layer', options: [] }], /names no disk/],
    [[{ ...lower, driver: 'overlayfs' }], /names no disk/],
    [[layer('tmpfs', ['X-kata.overlay-upper']), lower], /"tmpfs" is neither erofs/],
    [[layer('xfs', ['X-kata.overlay-lower'])], /"xfs" is neither erofs/],
    [[layer('ext4', ['X-kata.overlay-lower'])], /"ext4" is neither erofs/],
    [[layer('erofs', ['X-kata.overlay-upper']), lower], /"erofs" is neither/],
    [[layer('erofs', ['X-kata.gpt-partitioned=true'])], /together or not at all/],
    [[layer('erofs', ['X-kata.partition-number=1'])], /together or not at all/],
    [
      [layer('erofs', ['X-kata.gpt-partitioned=true', 'X-kata.partition-number=0'])],
      /no number of a partition/,
    ],
    [[{ ...lower, shared: true }], /neither shared/],
    [[{ ...lower, fsGroup: { groupId: 1, changePolicy: 'always' } }], /nor with an fsGroup/],
    [[{ ...lower, driverOptions: ['create_filesystem'] }], /driver option "create_filesystem"/],
    [[layer('erofs', ['X-kata.dmverity-enabled=true'])], /dm-verity: roothash/],
    [Array.from({ length: 130 }, (_, index) => partition(index + 1)), /at most 129/],
  ];
  for (const [storages, message] of wrong)
    assert.throws(
      () => cleanStorages(storages).map(rootLayersOf),
      { kind: 'invalid', message },
      String(message),
    );
});
