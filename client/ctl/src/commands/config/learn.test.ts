import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openAuditLog } from '@kata-agent/audit';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
const log = join(directory, 'audit.log');
const changed = join(directory, 'changed.log');
after(() => rmSync(directory, { recursive: true }));

before(async () => {
  const audit = await openAuditLog({ file: log, maxSize: 1 << 20, keep: 2, bootId: 'boot-1' });
  await audit.boot({});
  const place = { listener: 'server_addr', peer: 'uid 0', payload: Buffer.from('x') };
  for (const [method, outcome] of [
    ['GetMetrics', 'allow'],
    ['ExecProcess', 'deny'],
  ] as const) {
    const decided = { method, listener: 'server_addr', reason: 'it says so' };
    if (outcome === 'deny') audit.refuse({ ...place, method }, { outcome, code: 'KA3001', ...decided });
    else audit.observe({ ...place, method }, { outcome, ...decided }, { code: 'OK', durationUs: 1 });
  }
  await audit.close();
  writeFileSync(changed, readFileSync(log, 'utf8').replace('GetMetrics', 'GetMetricz'));
});

test('config learn prints a valid configuration and the records that it comes from', () => {
  const { code, stdout, stderr } = runBinary(['config', 'learn', log]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^# - .*audit\.log: records 1 to 3, verified, head 3:[0-9a-f]{64}$/m);
  assert.match(stdout, /"GetMetrics", +# record 2$/m);
  assert.match(stdout, /^# {3}"ExecProcess", # 1 call \(record 3\): it says so$/m);
  assert.match(stderr, /note: the log has no facts/);
  const learnt = join(directory, 'learnt.toml');
  writeFileSync(learnt, stdout);
  const checked = runBinary(['config', 'check', learnt, '--format', 'json']);
  assert.equal(checked.code, 0, checked.stdout);
  const { served } = JSON.parse(checked.stdout) as { readonly served: string[] };
  assert.deepEqual(served, ['GetMetrics']);
});

test('denied calls are allowed only with --allow-refused', () => {
  const { stdout } = runBinary(['config', 'learn', log, '--allow-refused', '--format', 'json']);
  const value = JSON.parse(stdout) as { asks: { method: string; because: string[] }[]; refused: object[] };
  assert.deepEqual(value.asks, [
    { method: 'GetMetrics', because: ['record 2'] },
    { method: 'ExecProcess', because: ['record 3, denied'] },
  ]);
  assert.equal(value.refused.length, 1);
});

test('a log that does not verify is rejected without --unverified', () => {
  const { code, stdout, stderr } = runBinary(['config', 'learn', changed]);
  assert.equal(code, 4);
  assert.equal(stdout, '');
  assert.match(stderr, /does not verify: not used\n.*changed/);
  const learnt = runBinary(['config', 'learn', changed, '--unverified']);
  assert.equal(learnt.code, 0, learnt.stderr);
  assert.match(learnt.stdout, /NOT VERIFIED/);
  assert.doesNotMatch(learnt.stdout, /"GetMetri/);
  assert.equal(runBinary(['config', 'learn', join(directory, 'none.log')]).code, 4);
});

test('calls on several listeners need a choice, since each has its own rights', async () => {
  const both = join(directory, 'both.log');
  const audit = await openAuditLog({ file: both, maxSize: 1 << 20, keep: 2, bootId: 'boot-1' });
  for (const [listener, method] of [
    ['host', 'GetMetrics'],
    ['tenant', 'ListRoutes'],
  ] as const)
    audit.observe(
      { listener, peer: 'uid 0', payload: Buffer.from('x'), method },
      { method, listener, outcome: 'allow', reason: 'it says so' },
      { code: 'OK', durationUs: 1 },
    );
  await audit.close();
  const mixed = runBinary(['config', 'learn', both]);
  assert.equal(mixed.code, 2);
  assert.match(
    mixed.stderr,
    /on several listeners, host, tenant[^]*--listener host\n[^]*--listener tenant\n/,
  );
  const { code, stdout } = runBinary(['config', 'learn', both, '--listener', 'tenant']);
  assert.equal(code, 0);
  assert.match(stdout, /"ListRoutes"/);
  assert.doesNotMatch(stdout, /"GetMetrics"/);
});
