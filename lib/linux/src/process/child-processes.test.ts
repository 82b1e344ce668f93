import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { childProcesses } from './child-processes.js';

test('children are collected from every thread’s list', (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'children-'));
  context.after(() => rmSync(proc, { recursive: true }));
  for (const [task, children] of [
    ['70', '81 82 '],
    ['71', ''],
    ['72', '90 '],
  ] as const) {
    mkdirSync(join(proc, '70', 'task', task), { recursive: true });
    writeFileSync(join(proc, '70', 'task', task, 'children'), children);
  }
  // A thread that ended between listing and reading.
  mkdirSync(join(proc, '70', 'task', '73'));
  assert.deepEqual(new Set(childProcesses(proc, 70)), new Set([81, 82, 90]));
});

test('without such lists the parents in stat are used, whatever the command name', (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'children-'));
  context.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, '70', 'task', '70'), { recursive: true });
  for (const [pid, stat] of [
    ['70', '70 (node) S 1 70'],
    ['81', '81 (a) b) (c) Z 70 70'],
    ['82', '82 (sh) S 81 70'],
    ['83', '83 (70 S 70) R 5 70'],
  ] as const) {
    mkdirSync(join(proc, pid), { recursive: true });
    writeFileSync(join(proc, pid, 'stat'), `${stat} 0 0\n`);
  }
  mkdirSync(join(proc, '84')); // ended before its stat was read
  mkdirSync(join(proc, 'sys'));
  assert.deepEqual(childProcesses(proc, 70), [81]);
});

test('a missing /proc is an error, not an empty list', () => {
  assert.throws(() => childProcesses('/nonexistent', 70), { code: 'ENOENT' });
});
