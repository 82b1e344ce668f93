import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pinOf, requestedRoot, type RootRequest } from './requested-root.js';

const id = 'c1';
const place = `/run/kata-containers/shared/containers/passthrough/${id}/rootfs`;
const rootHash = (digit: string): string => digit.repeat(64);

type Storage = RootRequest['storages'][number];

function layer(
  number: number,
  more: Partial<Storage> = {},
  change: (options: string[]) => string[] = (o) => o,
): Storage {
  return {
    driver: 'blk',
    driverOptions: [],
    source: '04',
    fstype: 'erofs',
    options: change([
      'X-kata.overlay-lower',
      'X-kata.multi-layer=true',
      'X-kata.gpt-partitioned=true',
      `X-kata.partition-number=${number}`,
      'X-kata.dmverity-enabled=true',
      `X-kata.dmverity.roothash=${rootHash(String(number))}`,
      `X-kata.dmverity.hashoffset=${4096 * number}`,
      'X-kata.dmverity.no-superblock=false',
      'X-kata.dmverity.salt=00ff',
    ]),
    mountPoint: place,
    shared: false,
    ...more,
  };
}

const requested = (storages: readonly Storage[], more: Partial<RootRequest> = {}): RootRequest => ({
  id,
  annotations: {},
  rootPath: place,
  storages,
  ...more,
});

test('the layers of runtime-rs are read with the base first, whatever the order of the request', () => {
  for (const numbers of [
    [1, 2, 3],
    [3, 1, 2],
  ]) {
    const root = requestedRoot(requested(numbers.map((number) => layer(number))));
    assert.ok(root.kind === 'layers');
    assert.deepEqual(
      root.layers.map(pinOf),
      [3, 2, 1].map((number) => `${rootHash(String(number))}/00ff/${number}`),
    );
  }
  const whole = (number: number) =>
    layer(number, { source: `0${number}` }, (options) =>
      options.filter((option) => !/partition|salt/.test(option)).concat('ro', 'X-containerd.x=1'),
    );
  const root = requestedRoot(requested([whole(1), whole(2)]));
  assert.deepEqual(root.kind === 'layers' && root.layers.map(pinOf), [
    `${rootHash('2')}//2`,
    `${rootHash('1')}//1`,
  ]);
});

test('the pause container has no layers, whatever the host offers', () => {
  const annotations = { 'io.kubernetes.cri.container-type': 'sandbox' };
  assert.deepEqual(requestedRoot(requested([layer(1)], { annotations })), { kind: 'pause' });
});

test('any other form of a root is refused', () => {
  const drop = (part: string) => (options: string[]) => options.filter((option) => !option.includes(part));
  const add = (option: string) => (options: string[]) => [...options, option];
  const set = (name: string, value: string) => (options: string[]) =>
    options.map((option) => (option.startsWith(`X-kata.${name}=`) ? `X-kata.${name}=${value}` : option));
  const other: Storage = { ...layer(1), options: [], driver: 'blk', fstype: 'ext4' };
  const refused: readonly (readonly [what: string, request: RootRequest, why: RegExp])[] = [
    ['no layers', requested([]), /it has none/],
    ['a root of the host', requested([other]), /it has none/],
    ['an image that is pulled', requested([{ ...other, driver: 'image_guest_pull' }]), /it has none/],
    [
      'a pull as well',
      requested([layer(1), { ...other, driver: 'image_guest_pull', mountPoint: '/x' }]),
      /is none of them/,
    ],
    ['too many', requested(Array.from({ length: 129 }, (_, index) => layer(index + 1))), /129 of them/],
    ['no dm-verity', requested([layer(1), layer(2, {}, drop('dmverity'))]), /no dm-verity/],
    ['dm-verity that is not enabled', requested([layer(1, {}, drop('dmverity-enabled'))]), /no dm-verity/],
    [
      'elsewhere',
      requested([layer(1, { mountPoint: '/run/kata-containers/sandbox/storage/x' })]),
      /mounted at/,
    ],
    ['one elsewhere', requested([layer(1), layer(2, { mountPoint: `${place}/usr` })]), /elsewhere/],
    ['of another container', requested([layer(1)], { id: 'c2' }), /mounted at/],
    ['another root', requested([layer(1)], { rootPath: '/run/kata-containers/other/rootfs' }), /root\.path/],
    ['no root', requested([layer(1)], { rootPath: undefined }), /root\.path/],
    ['a disk above', requested([layer(1), { ...other, mountPoint: `${place}/` }]), /is none of them/],
    [
      'a disk in its stead',
      requested([layer(1), { ...other, mountPoint: `/run/kata-containers/./${id}/rootfs` }]),
      /is none of them/,
    ],
    ['an upper', requested([layer(1), { ...layer(2), fstype: 'ext4' }]), /takes the writes/],
    [
      'an upper of EROFS',
      requested([layer(1), layer(2, {}, add('X-kata.overlay-upper'))]),
      /takes the writes/,
    ],
    ['another file system', requested([layer(1, { fstype: 'squashfs' })]), /file system/],
    ['another driver', requested([layer(1, { driver: 'bind' })]), /storage driver/],
    ['driver options', requested([layer(1, { driverOptions: ['x'] })]), /driver options/],
    ['shared', requested([layer(1, { shared: true })]), /driver options/],
    ['an fsGroup', requested([layer(1, { fsGroup: {} })]), /driver options/],
    ['a mount option', requested([layer(1, {}, add('device=/dev/vdb'))]), /option "device/],
    ['a list of options', requested([layer(1, {}, add('X-containerd.a,fsid=x'))]), /has the option/],
    [
      'a directory in the upper',
      requested([layer(1, {}, add('X-kata.mkdir.path={{ mount 0 }}/upper/etc'))]),
      /has the option/,
    ],
    ['no lower', requested([layer(1, {}, drop('overlay-lower'))]), /overlay-lower/],
    ['md5', requested([layer(1, {}, add('X-kata.dmverity.algorithm=md5'))]), /algorithm=md5/],
    ['sha512', requested([layer(1, {}, add('X-kata.dmverity.algorithm=sha512'))]), /algorithm=sha512/],
    ['format 0', requested([layer(1, {}, add('X-kata.dmverity.hashtype=0'))]), /hashtype=0/],
    ['other blocks', requested([layer(1, {}, add('X-kata.dmverity.blocksize=512'))]), /blocksize=512/],
    ['other hash blocks', requested([layer(1, {}, add('X-kata.dmverity.hashsize=1024'))]), /hashsize=1024/],
    ['capitals', requested([layer(1, {}, set('dmverity.roothash', rootHash('A')))]), /no SHA-256/],
    ['a short hash', requested([layer(1, {}, set('dmverity.roothash', 'ab'))]), /no SHA-256/],
    [
      'two hashes',
      requested([layer(1, {}, add(`X-kata.dmverity.roothash=${rootHash('2')}`))]),
      /has the option/,
    ],
    ['a wrong salt', requested([layer(1, {}, set('dmverity.salt', 'zz'))]), /salt/],
    ['an odd offset', requested([layer(1, {}, set('dmverity.hashoffset', '4097'))]), /hashoffset/],
    ['no offset', requested([layer(1, {}, drop('hashoffset'))]), /hashoffset/],
    ['offset 0', requested([layer(1, {}, set('dmverity.hashoffset', '0'))]), /hashoffset/],
    ['a superblock in doubt', requested([layer(1, {}, set('dmverity.no-superblock', 'x'))]), /no-superblock/],
    ['one twice', requested([layer(1), layer(1)]), /named twice/],
    ['no number', requested([layer(1, {}, drop('partition-number'))]), /number of a partition/],
    ['a mixture', requested([layer(1), layer(2, { source: '05' }, drop('partition'))]), /some whole disks/],
    ['two disks', requested([layer(1), layer(2, { source: '05' })]), /several disks/],
  ];
  for (const [what, request, why] of refused) {
    const root = requestedRoot(request);
    assert.equal(root.kind, 'refused', what);
    assert.match(root.kind === 'refused' ? root.why : '', why, what);
  }
});
