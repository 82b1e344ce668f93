import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { faultLog } from './fault-log.js';
import { protectFromOomKiller } from './oom-score.js';

const connection = {
  listener: 'server_addr',
  peer: 'pid 1 uid 0',
  identity: { kind: 'unix', uid: 0 },
} as const;

describe('the log of faults', () => {
  it('logs protocol violations at each doubling, and our own failures always', () => {
    const levels: string[] = [];
    const report = faultLog((level) => levels.push(level), {
      refuse: () => assert.fail('no call was refused'),
    });
    for (let count = 0; count < 1_000; count++)
      report({ kind: 'protocol', message: 'bad frame', connection });
    assert.deepEqual(
      levels,
      Array.from({ length: 10 }, () => 'warn'),
    );
    report({ kind: 'protocol', message: 'bad frame', connection: { ...connection, listener: 'tenant' } });
    assert.equal(levels.splice(10).length, 1, 'the first one at another listener');
    for (let count = 0; count < 3; count++)
      report({ kind: 'handler', message: 'crash', connection, error: new Error('x') });
    assert.deepEqual(levels.slice(10), ['error', 'error', 'error']);
  });
});

describe('a request that cannot be decoded', () => {
  it('is recorded as a denial of its method', () => {
    const refused: unknown[] = [];
    const report = faultLog(() => assert.fail('not logged'), {
      refuse: ({ listener, peer, method }, { outcome, code, reason }) =>
        refused.push({ listener, peer, method, outcome, code, reason }),
    });
    report({
      kind: 'request',
      message: 'too many fields',
      connection,
      service: 'grpc.AgentService',
      method: 'CopyFile',
    });
    assert.deepEqual(refused, [
      {
        listener: 'server_addr',
        peer: 'pid 1 uid 0',
        method: 'CopyFile',
        outcome: 'deny',
        code: 'KA3201',
        reason: 'too many fields',
      },
    ]);
  });
});

describe('the OOM score (S20)', () => {
  it('is lowered to -999; an error is a warning', () => {
    const proc = mkdtempSync(join(tmpdir(), 'kata-agent-oom-'));
    const logged: string[] = [];
    protectFromOomKiller((level) => logged.push(level), proc);
    assert.deepEqual(logged, ['warn']);
    mkdirSync(join(proc, 'self'));
    protectFromOomKiller((level) => logged.push(level), proc);
    assert.equal(readFileSync(join(proc, 'self', 'oom_score_adj'), 'utf8'), '-999');
    assert.deepEqual(logged, ['warn']);
    rmSync(proc, { recursive: true });
  });
});
