import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Storage } from '../request/actions.js';
import { cleanStorages } from './clean-storages.js';
import { KataOptions, kataOptions } from './kata-options.js';

const plain: Storage = {
  driver: 'blk',
  driverOptions: [],
  source: '01/02',
  fstype: 'ext4',
  options: [],
  mountPoint: '/run/kata-containers/sandbox/storage/a',
  shared: false,
};

test('every option of the table is parsed, as a layer has all of them', () => {
  const values = { none: '', true: '=true', text: '=1' };
  const all = kataOptions.map(({ name, value }) => `X-kata.${name}${values[value]}`);
  assert.deepEqual(
    KataOptions.parse(['ro', ...all], 'layer').names,
    kataOptions.map(({ name }) => name),
  );
});

test('an option that is not known is refused by name, for every driver', () => {
  for (const driver of [
    'blk',
    'scsi',
    'nvdimm',
    'mmioblk',
    'overlayfs',
    'virtio-fs',
    'local',
    'ephemeral',
    'bind',
  ])
    for (const option of [
      'X-kata.other=1',
      'X-kata.',
      'X-kata.dmverity.fec=1',
      'X-kata.dmverity.roothash2=00',
    ])
      assert.throws(() => cleanStorages([{ ...plain, driver, options: ['ro', option] }]), {
        kind: 'refused',
        message: new RegExp(`"${option.replaceAll('.', '\\.')}" of a storage is not known; help: `),
      });
});

test('an option in a list with commas is refused: a rule would not see it', () => {
  assert.throws(() => cleanStorages([{ ...plain, options: ['ro,X-kata.multi-layer=true'] }]), {
    kind: 'refused',
    message: /"X-kata.multi-layer=true" of a storage is in a list with commas/,
  });
});

test('an option is for the storages that use it', () => {
  assert.throws(() => cleanStorages([{ ...plain, options: ['X-kata.overlay-upper'] }]), {
    kind: 'refused',
    message: /is for layers of a root only/,
  });
  assert.throws(
    () => cleanStorages([{ ...plain, driver: 'local', options: ['X-kata.dmverity-enabled=true'] }]),
    {
      kind: 'refused',
      message: /is for disks only/,
    },
  );
});

test('a wrong value, and an option that is given twice, are invalid', () => {
  const wrong: readonly (readonly string[])[] = [
    ['X-kata.overlay-upper=1'],
    ['X-kata.multi-layer=false'],
    ['X-kata.partition-number='],
    ['X-kata.dmverity.roothash=00', 'X-kata.dmverity.roothash=11'],
  ];
  for (const options of wrong) assert.throws(() => KataOptions.parse(options, 'layer'), { kind: 'invalid' });
  const twice = ['X-kata.mkdir.path=a', 'X-kata.mkdir.path=b'];
  assert.deepEqual(KataOptions.parse(twice, 'layer').all('mkdir.path'), ['a', 'b']);
});
