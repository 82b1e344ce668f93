import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openAuditLog } from '@kata-agent/audit';
import { runBinary } from '../../testing/program.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
const log = join(folder, 'audit.log');
const changed = join(folder, 'changed.log');
after(() => rmSync(folder, { recursive: true }));

before(async () => {
  const audit = await openAuditLog({ file: log, maxSize: 1 << 20, keep: 2, bootId: 'boot-1' });
  await audit.boot({});
  const place = { listener: 'server_addr', peer: 'uid 0', payload: Buffer.from('x') };
  for (const [method, outcome] of [
    ['GetMetrics', 'allow'],
    ['ExecProcess', 'deny'],
  ] as const) {
    const decision = { outcome, method, listener: 'server_addr', reason: 'it says so' };
    if (outcome === 'deny') audit.refuse({ ...place, method }, decision);
    else audit.observe({ ...place, method }, decision, { code: 'OK', durationUs: 1 });
  }
  await audit.close();
  writeFileSync(changed, readFileSync(log, 'utf8').replace('GetMetrics', 'GetMetricz'));
});

test('config learn prints a configuration that loads, and says on what it rests', () => {
  const { code, stdout, stderr } = runBinary(['config', 'learn', log]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^# - .*audit\.log: records 1 to 3, verified, head 3:[0-9a-f]{64}$/m);
  assert.match(stdout, /"GetMetrics", +# record 2$/m);
  assert.match(stdout, /^# {3}"ExecProcess", # 1 call \(record 3\): it says so$/m);
  assert.match(stderr, /note: the log has no facts/);
  const learnt = join(folder, 'learnt.toml');
  writeFileSync(learnt, stdout);
  const checked = runBinary(['config', 'check', learnt, '--format', 'json']);
  assert.equal(checked.code, 0, checked.stdout);
  const { served } = JSON.parse(checked.stdout) as { readonly served: string[] };
  assert.deepEqual(served, ['GetMetrics']);
});

test('what was refused is allowed when it is asked for', () => {
  const { stdout } = runBinary(['config', 'learn', log, '--allow-refused', '--format', 'json']);
  const value = JSON.parse(stdout) as { asks: { method: string; because: string[] }[]; refused: object[] };
  assert.deepEqual(value.asks, [
    { method: 'GetMetrics', because: ['record 2'] },
    { method: 'ExecProcess', because: ['record 3, refused'] },
  ]);
  assert.equal(value.refused.length, 1);
});

test('a log that does not verify teaches nothing, unless it is told to', () => {
  const { code, stdout, stderr } = runBinary(['config', 'learn', changed]);
  assert.equal(code, 4);
  assert.equal(stdout, '');
  assert.match(stderr, /does not verify, so nothing is learnt from it\n.*changed/);
  const told = runBinary(['config', 'learn', changed, '--unverified']);
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stdout, /NOT VERIFIED/);
  assert.doesNotMatch(told.stdout, /"GetMetri/);
  assert.equal(runBinary(['config', 'learn', join(folder, 'none.log')]).code, 4);
});
