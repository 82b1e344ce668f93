import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AuditLog, openAuditLog, readLog } from '@kata-agent/audit';
import type { MethodName } from '@kata-agent/catalogue';
import type { Decision, RequestFacts } from '@kata-agent/gate';
import { configurationOf } from '../testing/configuration-of.js';
import { Evidence } from './evidence.js';
import { learn, type Learnt } from './learn.js';

interface Logged {
  readonly log: AuditLog;
  readonly file: string;
}

async function logged(t: TestContext, maxSize = 1 << 20, keep = 4): Promise<Logged> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-learn-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'audit.log');
  const log = await openAuditLog({ file, maxSize, keep, bootId: 'boot-1' });
  await log.boot({ version: '1' });
  return { log, file };
}

function callOf(method: string, facts?: RequestFacts, fold?: string): Parameters<AuditLog['observe']>[0] {
  return { listener: 'server_addr', peer: 'uid 0', method, payload: Buffer.from(method), fold, facts };
}

function decisionOn(method: string, outcome: Decision['outcome'], rule?: string): Decision {
  const reason = outcome === 'allow' ? 'in allowed_endpoints' : 'not in allowed_endpoints (c.toml:3)';
  const named = rule === undefined ? {} : { rule };
  return outcome === 'allow'
    ? { outcome, method, listener: 'server_addr', reason, ...named }
    : { outcome, code: 'KA3001', method, listener: 'server_addr', reason, ...named };
}

const ok = { code: 'OK', durationUs: 5 };

async function learnFrom(
  logs: readonly string[],
  options: {
    readonly allowRefused?: boolean;
    readonly allowPrivileged?: boolean;
    readonly listeners?: readonly string[];
  } = {},
): Promise<Learnt> {
  const evidence = new Evidence(options.listeners);
  for (const file of logs) {
    for await (const read of readLog(file)) {
      assert.ok(read.ok);
      evidence.add(logs.length === 1 ? '' : file, read.record);
    }
  }
  return learn(evidence, { logs: ['audit.log: records 1 to 9'], ...options });
}

/** Returns the methods in a learnt configuration, sorted. */
async function allows({ text }: Learnt): Promise<readonly MethodName[]> {
  const { api } = await configurationOf(text);
  return [...(api.documents[0]?.allowed?.keys() ?? [])].sort();
}

test('allowed calls are allowed with their records, denied calls are a comment', async (t) => {
  const { log, file } = await logged(t);
  const start = callOf('StartContainer');
  log.outcome(await log.intent(start, decisionOn('StartContainer', 'allow')), start, ok);
  log.observe(callOf('WaitProcess'), decisionOn('WaitProcess', 'allow'), ok);
  log.observe(callOf('WaitProcess'), decisionOn('WaitProcess', 'allow'), ok);
  for (let count = 0; count < 3; count += 1)
    log.refuse(callOf('ExecProcess'), decisionOn('ExecProcess', 'deny'));
  log.observe(callOf('Check'), decisionOn('Check', 'allow'), ok);
  await log.close();

  const learnt = await learnFrom([file]);
  assert.deepEqual(await allows(learnt), ['StartContainer', 'WaitProcess']);
  assert.match(learnt.text, /"StartContainer", +# record 2\n/);
  assert.match(learnt.text, /"WaitProcess", +# record 4, record 5\n/);
  assert.match(learnt.text, /^# {3}"ExecProcess", # 3 calls \(records 6, \d+\): not in allowed_endpoints/m);
  assert.match(learnt.text, /NOTE: the log has no facts/);
});

test('calls on other listeners than the chosen ones are left out, and so are counts of unknown listeners', async (t) => {
  const { log, file } = await logged(t, 4096, 1);
  const tenant = (method: string): ReturnType<typeof callOf> => ({
    ...callOf(method, {}),
    listener: 'tenant',
  });
  log.observe(tenant('ListRoutes'), decisionOn('ListRoutes', 'allow'), ok);
  for (let count = 0; count < 200; count += 1) {
    log.observe(callOf('StatsContainer', {}), decisionOn('StatsContainer', 'allow'), ok);
    if (count % 10 === 0) await log.flush();
  }
  log.observe(tenant('GetMetrics'), decisionOn('GetMetrics', 'allow'), ok);
  log.refuse(tenant('ExecProcess'), decisionOn('ExecProcess', 'deny'));
  await log.close();
  assert.deepEqual(await allows(await learnFrom([file])), ['GetMetrics', 'ListRoutes', 'StatsContainer']);
  const host = await learnFrom([file], { listeners: ['server_addr'], allowRefused: true });
  assert.deepEqual(await allows(host), ['StatsContainer']);
  assert.match(host.text, /# Only calls on the listener server_addr\.\n/);
  assert.match(host.notes.join(), /their listeners are unknown, so their endpoints are not allowed/);
  assert.deepEqual(await allows(await learnFrom([file], { listeners: ['tenant'] })), ['GetMetrics']);
});

test('the calls of containers that only privileged_containers = "allow" allows are named, and allowed on request', async (t) => {
  const { log, file } = await logged(t);
  const create = callOf('CreateContainer', { capabilities: ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'] });
  log.outcome(await log.intent(create, decisionOn('CreateContainer', 'allow')), create, ok);
  await log.close();
  const settingsOf = async ({ text }: Learnt) => (await configurationOf(text)).settings;
  const denying = await learnFrom([file]);
  assert.equal(denying.deniesPrivileged, true);
  assert.match(
    denying.notes.join('\n'),
    /^NOT ALLOWED: .*capabilities \(CAP_NET_ADMIN, CAP_SYS_ADMIN\): record 2$/m,
  );
  const { privilegedContainers, capabilities } = await settingsOf(denying);
  assert.deepEqual([privilegedContainers, capabilities], [undefined, []]);
  const allowing = await learnFrom([file], { allowPrivileged: true });
  assert.equal(allowing.deniesPrivileged, false);
  assert.equal((await settingsOf(allowing)).privilegedContainers, 'allow');
});

test('denied calls are allowed on request', async (t) => {
  const { log, file } = await logged(t);
  log.refuse(callOf('ExecProcess'), decisionOn('ExecProcess', 'deny'));
  log.refuse(callOf('(unknown)'), decisionOn('(unknown)', 'deny'));
  await log.close();
  assert.deepEqual(await allows(await learnFrom([file])), []);
  const learnt = await learnFrom([file], { allowRefused: true });
  assert.deepEqual(await allows(learnt), ['ExecProcess']);
  assert.match(learnt.text, /"ExecProcess", +# record 2, denied\n/);
});

test('folded calls are counted with their first record', async (t) => {
  const { log, file } = await logged(t);
  for (let count = 0; count < 40; count += 1)
    log.observe(callOf('ReadStdout', {}, 'ReadStdout c/'), decisionOn('ReadStdout', 'allow'), ok);
  await log.close();
  const { text } = await learnFrom([file]);
  assert.match(text, /"ReadStdout", +# record 2, record 3 \(39 calls\)\n/);
});

test('methods with only counts after rotation are allowed, with a note', async (t) => {
  const { log, file } = await logged(t, 4096, 1);
  const copy = callOf('CopyFile', { path: '/etc/hosts' });
  log.outcome(await log.intent(copy, decisionOn('CopyFile', 'allow')), copy, ok);
  log.observe(callOf('ListRoutes', {}), decisionOn('ListRoutes', 'allow'), ok);
  for (let count = 0; count < 200; count += 1) {
    log.observe(callOf('StatsContainer', {}), decisionOn('StatsContainer', 'allow'), ok);
    if (count % 10 === 0) await log.flush();
  }
  await log.close();
  const learnt = await learnFrom([file]);
  assert.deepEqual(await allows(learnt), ['CopyFile', 'ListRoutes', 'StatsContainer']);
  assert.match(learnt.text, /"CopyFile", +# record 2\n/, 'a record that was kept');
  assert.match(learnt.text, /"ListRoutes", +# 1 call of which the log has only the count\n/);
  const [, removed] = /rotation removed the records of (\d+) calls/.exec(learnt.notes.join('\n')) ?? [];
  const [, left] = /"StatsContainer", +# record (\d+),/.exec(learnt.text) ?? [];
  assert.ok(Number(removed) < Number(left) - 4, `${removed} before record ${left}`);
});

test('the names of several logs are shown, and a copied log counts once', async (t) => {
  const one = await logged(t);
  one.log.observe(callOf('WaitProcess'), decisionOn('WaitProcess', 'allow'), ok);
  await one.log.close();
  const two = await logged(t);
  two.log.observe(callOf('WaitProcess'), decisionOn('WaitProcess', 'allow'), ok);
  two.log.observe(callOf('GetMetrics'), decisionOn('GetMetrics', 'allow'), ok);
  await two.log.close();
  const { asks } = await learnFrom([one.file, two.file, one.file]);
  assert.deepEqual(
    asks.map(({ method, because }) => [method, because]),
    [
      ['WaitProcess', [`${one.file} record 2`, `${two.file} record 2`]],
      ['GetMetrics', [`${two.file} record 3`]],
    ],
  );
});

test('calls with truncated or no facts make no rule', async (t) => {
  const { log, file } = await logged(t);
  const long = callOf('CopyFile', { path: '/x'.repeat(1000) });
  log.outcome(await log.intent(long, decisionOn('CopyFile', 'allow')), long, ok);
  const short = callOf('CopyFile', { path: '/etc/hosts' });
  log.outcome(await log.intent(short, decisionOn('CopyFile', 'allow')), short, ok);
  await log.close();
  const { text } = await learnFrom([file]);
  assert.doesNotMatch(text, /\[\[api\.rule\]\]/);
  assert.match(text, /NOT CONSTRAINED: CopyFile[^]*record 2: its facts were truncated/);
});

test('a rule in audit mode is noted, and the calls that it matched are allowed', async (t) => {
  const { log, file } = await logged(t);
  log.observe(callOf('WaitProcess'), decisionOn('WaitProcess', 'allow', 'no-waiting'), ok);
  await log.close();
  const learnt = await learnFrom([file]);
  assert.deepEqual(await allows(learnt), ['WaitProcess']);
  assert.match(
    learnt.text,
    /would have denied it:\n# {3}"WaitProcess", # 1 call \(record 2\): rule no-waiting/,
  );
});
