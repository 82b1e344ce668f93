import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MountFlag, parseMountTable, RecordingSyscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import { makeMountsPrivate } from './private-mounts.js';

const shared = parseMountTable(
  '21 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n22 21 0:5 / /run rw master:2 - tmpfs t rw\n',
);
const alone = shared.map((mount) => ({ ...mount, propagation: [] }));

test('shared mounts are made private with one call', () => {
  const syscalls = new RecordingSyscalls();
  const tables = [shared, alone];
  assert.equal(
    makeMountsPrivate(syscalls, () => tables.shift() ?? []),
    true,
  );
  assert.deepEqual(syscalls.argumentsOf('mount'), [
    ['', '/', '', MountFlag.Recursive | MountFlag.Private, ''],
  ]);
});

test('nothing is done if all are private', () => {
  const syscalls = new RecordingSyscalls();
  assert.equal(
    makeMountsPrivate(syscalls, () => alone),
    false,
  );
  assert.deepEqual(syscalls.calls, []);
});

test('a mount that stays shared is fatal', () => {
  assert.throws(
    () => makeMountsPrivate(new RecordingSyscalls(), () => shared.slice(1)),
    (error) => {
      assert.ok(error instanceof CannotApply);
      assert.match(error.message, /\/run is still shared \(master:2\)/);
      return true;
    },
  );
});
