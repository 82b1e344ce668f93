import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type AuditedCall, openAuditLog } from '@kata-agent/audit';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
const log = join(directory, 'audit.log');
const cases = join(directory, 'recorded.test.yaml');
after(() => rmSync(directory, { recursive: true }));

const callOf = (method: string, more: Partial<AuditedCall> = {}): AuditedCall => ({
  listener: 'server_addr',
  peer: 'pid 7 uid 0',
  method,
  payload: Buffer.from(method),
  ...more,
});
const decisionOn = (method: string, outcome: 'allow' | 'deny') => ({
  ...(outcome === 'allow' ? { outcome } : { outcome, code: 'KA3001' as const }),
  method,
  listener: 'server_addr',
  reason: 'it says so',
});

before(async () => {
  const audit = await openAuditLog({ file: log, maxSize: 1 << 20, keep: 2, bootId: 'boot-1' });
  await audit.boot({});
  const exec = callOf('ExecProcess', {
    subject: { containerId: 'web', argv0: '/bin/check' },
    facts: {
      command: '/bin/check',
      environment: ['PATH'],
      cwd: '/',
      user: '1:2',
      terminal: false,
      capabilities: [],
    },
  });
  for (let count = 0; count < 2; count += 1)
    audit.outcome(await audit.intent(exec, decisionOn('ExecProcess', 'allow')), exec, {
      code: 'OK',
      durationUs: 1,
    });
  audit.observe(callOf('Check'), decisionOn('Check', 'allow'), { code: 'OK', durationUs: 1 });
  audit.refuse(callOf('CopyFile'), decisionOn('CopyFile', 'deny'));
  audit.refuse(
    callOf('ReadStdout', { peer: 'https realm.example', claimedOperator: 'alice' }),
    decisionOn('ReadStdout', 'deny'),
  );
  await audit.close();
});

function configTest(lists: string): ReturnType<typeof runBinary> {
  const configuration = join(directory, 'config.toml');
  writeFileSync(configuration, `[api]\nallowed_endpoints = ${lists}\n`);
  return runBinary(['config', 'test', cases, '--configuration', configuration]);
}

test('audit show --as-test prints tests that config test runs', () => {
  const { code, stdout, stderr } = runBinary(['audit', 'show', log, '--as-test']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /name: "record 2 and 1 more: it says so"/);
  assert.match(stdout, /container_id: web\n +process:\n[^]* +Args:\n +- \/bin\/check\n/);
  writeFileSync(cases, stdout);
  const same = configTest('["ExecProcess"]');
  assert.equal(same.code, 0, same.stdout + same.stderr);
  assert.match(same.stdout, /3 passed/);
  assert.match(stdout, /peer:\n +kind: tls\n +claimed_operator: alice\n/);
  assert.equal(configTest('["ExecProcess", "CopyFile"]').code, 4);
  assert.equal(configTest('[]').code, 4);
});

test('filters select the tests; --follow is rejected', () => {
  const { stdout } = runBinary(['audit', 'show', log, '--as-test', '--denied']);
  assert.match(stdout, /method: CopyFile/);
  assert.doesNotMatch(stdout, /method: ExecProcess/);
  assert.equal(runBinary(['audit', 'show', log, '--as-test', '--follow']).code, 2);
});
