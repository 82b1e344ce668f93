import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectiveSignal, readStatus } from './process-status.js';

const status = (masks: { blk?: string; ign?: string; cgt?: string }): string =>
  `Name:\tx\nSigBlk:\t${masks.blk ?? '0000000000000000'}\nSigIgn:\t${masks.ign ?? '0000000000000000'}\nSigCgt:\t${masks.cgt ?? '0000000000000000'}\n`;
const TERM = '0000000000004000';

test('SIGTERM is unchanged for a process that catches, blocks or ignores it', () => {
  for (const mask of ['blk', 'ign', 'cgt']) {
    assert.equal(effectiveSignal(15, true, status({ [mask]: TERM })), 15);
  }
});

test('SIGTERM becomes SIGKILL only for a first process that does not handle it', () => {
  assert.equal(effectiveSignal(15, true, status({})), 9);
  assert.equal(effectiveSignal(15, true, status({ cgt: 'ffffffffffffbfff' })), 9);
  assert.equal(effectiveSignal(15, true, undefined), 9);
  assert.equal(effectiveSignal(15, false, status({})), 15);
  assert.equal(effectiveSignal(2, true, status({})), 2);
});

test('handlers of the runtime’s own process do not count', () => {
  const init = status({ cgt: 'ffffffffffffffff' }).replace('Name:\tx', 'Name:\trunc:[2:INIT]');
  assert.equal(effectiveSignal(15, true, init), 9);
});

test('a process that has ended has no status', () => {
  assert.match(readStatus(process.pid, '/proc') ?? '', /^SigCgt:/m);
  assert.equal(readStatus(2 ** 30, '/proc'), undefined);
});
