import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MountFlag, RecordingSyscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import { type ExtensionGuest, mountExtension } from './mount-extension.js';

let root = '';
let guest: ExtensionGuest & { readonly syscalls: RecordingSyscalls };

const verity = {
  rootHash: 'ab'.repeat(32),
  salt: '',
  dataBlocks: 2,
  dataBlockSize: 4096,
  hashBlockSize: 4096,
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'extension-'));
  mkdirSync(join(root, 'sys/block'), { recursive: true });
  mkdirSync(join(root, 'dev/mapper'), { recursive: true });
  guest = {
    syscalls: new RecordingSyscalls(),
    timeout: 0,
    sys: join(root, 'sys'),
    dev: join(root, 'dev'),
    directory: join(root, 'run'),
    loadModule: () => undefined,
    mounts: () => [],
  };
});
afterEach(() => rmSync(root, { recursive: true }));

function disk(node: string, serial: string, partitions = 0): void {
  const path = join(root, 'sys/block', node);
  mkdirSync(path);
  writeFileSync(join(path, 'serial'), serial);
  for (let number = 1; number <= partitions; number++) {
    mkdirSync(join(path, `${node}${number}`));
    writeFileSync(join(path, `${node}${number}`, 'partition'), `${number}\n`);
    writeFileSync(join(path, `${node}${number}`, 'dev'), `254:${number}\n`);
  }
}

function isRefused(message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof CannotApply && message.test(error.message) && error.help !== undefined;
}

const flags = MountFlag.ReadOnly | MountFlag.NoSuid | MountFlag.NoDev;

test('an image without dm-verity is mounted read-only, from its partition or the whole disk', async () => {
  disk('vda', 'extension-devkit2');
  disk('vdb', 'extension-devkit', 1);
  disk('vdc', 'extension-raw\n');
  await mountExtension({ name: 'devkit', verity: undefined }, guest);
  await mountExtension({ name: 'raw', verity: undefined }, guest);
  assert.deepEqual(guest.syscalls.argumentsOf('mount'), [
    [join(root, 'dev/vdb1'), join(root, 'run/devkit'), 'erofs', flags, ''],
    [join(root, 'dev/vdc'), join(root, 'run/raw'), 'erofs', flags, ''],
  ]);
});

test('the layout and the parameters must agree', async () => {
  disk('vda', 'extension-measured', 2);
  disk('vdb', 'extension-plain', 1);
  disk('vdc', 'extension-raw');
  await assert.rejects(
    mountExtension({ name: 'measured', verity: undefined }, guest),
    isRefused(/^extension image measured: it has dm-verity, but verity_params has no root hash$/),
  );
  for (const name of ['plain', 'raw'])
    await assert.rejects(
      mountExtension({ name, verity }, guest),
      isRefused(/verity_params has a root hash, but it has no hash tree$/),
    );
  assert.deepEqual(guest.syscalls.calls, []);
});

test('a missing disk, and two with one serial number, are errors by name', async () => {
  disk('vda', 'extension-twice');
  disk('vdb', 'extension-twice');
  await assert.rejects(
    mountExtension({ name: 'none', verity }, guest),
    isRefused(/^extension image none: there is no disk with the serial number extension-none$/),
  );
  await assert.rejects(
    mountExtension({ name: 'twice', verity }, guest),
    isRefused(/two disks, vda and vdb, have the serial number extension-twice/),
  );
});

test('a disk that appears later is awaited; a serial number has at most 20 characters', async () => {
  const mounted = mountExtension(
    { name: 'a-long-name-of-one', verity: undefined },
    { ...guest, timeout: 60 },
  );
  disk('vda', 'extension-a-long-nam');
  await mounted;
  assert.equal(guest.syscalls.argumentsOf('mount').length, 1);
});

test('an extension that is mounted already is left alone', async () => {
  await mountExtension(
    { name: 'gpu', verity },
    { ...guest, mounts: () => [{ target: join(root, 'run/gpu') }] },
  );
  assert.deepEqual(guest.syscalls.calls, []);
});

test('a kernel without dm-verity is an error that names the module', async () => {
  disk('vda', 'extension-devkit', 2);
  guest.syscalls.fail('openat', 'ENOENT');
  await assert.rejects(
    mountExtension({ name: 'devkit', verity }, { ...guest, loadModule: (name) => `no ${name}` }),
    isRefused(/^extension image devkit: dm-verity cannot be opened: .*\(no dm_verity\)$/),
  );
});

test('a block that cannot be read removes the verity device, and nothing is mounted', async () => {
  disk('vda', 'extension-devkit', 2);
  // Reading a directory fails, as reading a block with another hash does.
  mkdirSync(join(root, 'dev/dm-0'));
  await assert.rejects(
    mountExtension({ name: 'devkit', verity }, guest),
    isRefused(/^extension image devkit does not match its root hash (ab){32}: /),
  );
  const commands = guest.syscalls.argumentsOf('deviceMapper').map(([, command]) => command);
  assert.deepEqual(commands, [3, 9, 6, 4]);
  assert.deepEqual(guest.syscalls.argumentsOf('mount'), []);
});

test('the verity table has the two partitions, and the mapped device is mounted', async () => {
  disk('vda', 'extension-devkit', 2);
  writeFileSync(join(root, 'dev/dm-0'), Buffer.alloc(4096));
  await mountExtension({ name: 'devkit', verity }, guest);
  const table = guest.syscalls.argumentsOf('deviceMapper').find(([, command]) => command === 9)?.[2];
  assert.ok(Buffer.isBuffer(table));
  assert.match(
    table.toString('latin1'),
    new RegExp(`1 254:1 254:2 4096 4096 2 0 sha256 ${verity.rootHash} -\0`),
  );
  assert.equal(table.readBigUInt64LE(312 + 8), 16n, 'sectors');
  assert.deepEqual(guest.syscalls.argumentsOf('mount'), [
    [join(root, 'dev/dm-0'), join(root, 'run/devkit'), 'erofs', flags, ''],
  ]);
});
