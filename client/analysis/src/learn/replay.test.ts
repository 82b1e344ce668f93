import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import { type AuditRecord, openAuditLog, type RecordedFacts, readLog } from '@kata-agent/audit';
import { isMethodName, type MethodName } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { type Decision, PrivilegeGate, type RequestFacts } from '@kata-agent/gate';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import * as fc from 'fast-check';
import { offlineAuthorizer, ruleContextOf } from '../suites/offline-authorizer.js';
import { defaultRequest, requestOfFacts } from '../offline-requests.js';
import { configurationOf } from '../testing/configuration-of.js';
import { factsArbitrary } from '../testing/facts.js';
import { Evidence } from './evidence.js';
import { learn } from './learn.js';

/** A call in a log. */
interface Logged {
  readonly method: MethodName;
  readonly facts: RequestFacts | undefined;
  readonly served: boolean;
}

const methods = [
  'CreateSandbox',
  'CreateContainer',
  'StartContainer',
  'ExecProcess',
  'SignalProcess',
  'WaitProcess',
  'CopyFile',
  'UpdateEphemeralMounts',
  'ReadStdout',
  'GetMetrics',
] as const satisfies readonly MethodName[];

/** A few texts, so that values repeat, with characters that could end a string in CEL or TOML, or a comment. */
const words = [
  '/bin/check',
  '/run/kata-containers/shared/containers/abc-x',
  '/run/kata-containers/shared/containers/a/..data/',
  '/run/kata-containers/image/../x',
  '/data/',
  '/etc/../x',
  'A',
  'bind',
  'C:\\x',
  'ä\u2028',
  `'''\n"\\`,
  '# ]',
  '',
];
const word = fc.constantFrom(...words);

const call: fc.Arbitrary<Logged> = fc
  .tuple(fc.constantFrom(...methods), fc.nat({ max: 9 }), fc.nat({ max: 9 }))
  .chain(([method, known, served]) =>
    fc.record({
      method: fc.constant(method),
      // One record in ten has no facts.
      facts: known === 0 ? fc.constant(undefined) : factsArbitrary(method, word),
      served: fc.constant(served > 0),
    }),
  );

async function logOf(calls: readonly Logged[]): Promise<readonly AuditRecord[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-replay-'));
  try {
    const file = join(directory, 'audit.log');
    const log = await openAuditLog({ file, maxSize: 1 << 24, keep: 1, bootId: 'boot-1' });
    await log.boot({});
    for (const { method, facts, served } of calls) {
      const about = { listener: 'server_addr', peer: 'uid 0', method, payload: Buffer.from(method), facts };
      const decided = { method, listener: 'server_addr', reason: '' };
      if (served) log.observe(about, { outcome: 'allow', ...decided }, { code: 'OK', durationUs: 1 });
      else log.refuse(about, { outcome: 'deny', code: 'KA3101', rule: 'a-rule', ...decided });
    }
    await log.close();
    const records: AuditRecord[] = [];
    for await (const read of readLog(file)) {
      assert.ok(read.ok);
      records.push(read.record);
    }
    return records;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function learntFrom(records: readonly AuditRecord[]): string {
  const evidence = new Evidence();
  for (const record of records) evidence.add('', record);
  return learn(evidence, { logs: [], allowPrivileged: true }).text;
}

const checker = async (): Promise<ReturnType<typeof createRuleChecker>> => createRuleChecker();

async function load(text: string): Promise<Configuration> {
  return await configurationOf(text, checker);
}

/** Returns the calls that a log shows as allowed and that a configuration denies. */
function refusedBy(configuration: Configuration, records: readonly AuditRecord[]): readonly Decision[] {
  const settings = { ...configuration.settings, privilegedContainers: 'allow' } as const;
  const privileges = new PrivilegeGate(configuration);
  const authorizer = offlineAuthorizer(
    { ...configuration, settings },
    compileRules(configuration.api.documents.flatMap(({ rules }) => rules)),
  );
  return records.flatMap((record) => {
    if (record.kind !== 'call' || !isMethodName(record.method)) return [];
    const { cut: _cut, whole: _whole, ...facts }: RecordedFacts = record.facts ?? {};
    const request = requestOfFacts(record.method, facts);
    // The subject, which is recorded next to the facts, has the container.
    if ('containerId' in request) request.containerId = 'web';
    const context = ruleContextOf({ method: record.method, request }, configuration.listeners);
    // Rules are evaluated on the recorded facts only, the agent's own checks on a whole request.
    const byRules = authorizer.decide(record.method, request, context);
    const decision = privileges.decide(byRules, defaultRequest(record.method, facts));
    return decision.outcome === 'deny' ? [decision] : [];
  });
}

/** Removes one line from a learnt configuration: an endpoint, or a value of a rule's list. */
function withoutEach(text: string): readonly { readonly line: string; readonly text: string }[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) =>
    /^ {2,}(?:"|\[|-?\d).*,/.test(line)
      ? [{ line, text: lines.filter((_, other) => other !== index).join('\n') }]
      : [],
  );
}

test('property: a learnt configuration allows the recorded calls, and every part of it is needed', async () => {
  let removals = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 12 }), async (calls) => {
      const records = await logOf(calls);
      const text = learntFrom(records);
      const configuration = await load(text);
      assert.deepEqual(refusedBy(configuration, records), []);
      for (const without of withoutEach(text)) {
        removals += 1;
        const less = await load(without.text.replace('strict = true', 'strict = false'));
        assert.notDeepEqual(refusedBy(less, records), [], `not needed: ${without.line}\n${text}`);
      }
    }),
    { numRuns: runs(60), includeErrorInReport: true },
  );
  assert.ok(removals > timesSeen(300), `only ${removals} parts were removed`);
});
