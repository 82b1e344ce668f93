import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountTable, RecordingSyscalls } from '@kata-agent/linux';
import { largestAuditLog, mountStateFileSystem } from './state-file-system.js';

const root = '21 1 254:1 / / rw - ext4 /dev/vda1 rw\n';

test('the state directory gets a file system with room for the audit log', () => {
  const syscalls = new RecordingSyscalls();
  assert.equal(
    mountStateFileSystem('/run/kata-agent', 1024, syscalls, parseMountTable(root), ['lock']),
    true,
  );
  const [first] = syscalls.argumentsOf('mount');
  assert.deepEqual(first?.slice(0, 3), ['kata-agent', '/run/kata-agent', 'tmpfs']);
  assert.match(String(first?.[4]), /mode=700,size=67109888/);
});

test('that of an earlier agent is kept', () => {
  const syscalls = new RecordingSyscalls();
  const table = parseMountTable(`${root}22 21 0:5 / /run/kata-agent rw - tmpfs kata-agent rw\n`);
  assert.equal(mountStateFileSystem('/run/kata-agent', 1024, syscalls, table, []), false);
  assert.deepEqual(syscalls.calls, []);
});

test('a directory with state is kept', () => {
  const syscalls = new RecordingSyscalls();
  const names = ['lock', 'sandbox.json'];
  assert.equal(mountStateFileSystem('/run/kata-agent', 0, syscalls, parseMountTable(root), names), false);
  assert.deepEqual(syscalls.calls, []);
});

test('the largest audit log fits the records of all possible containers and execs', () => {
  const MiB = 1 << 20;
  const audit = { maxSize: 16 * MiB, keep: 4 };
  assert.equal(largestAuditLog(audit, { containers: 0, execsPerContainer: 0 }), 96 * MiB);
  assert.equal(largestAuditLog(audit, { containers: 64, execsPerContainer: 32 }), (96 + 41.25) * MiB);
});
