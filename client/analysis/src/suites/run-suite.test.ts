import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision, RuleContext } from '@kata-agent/gate';
import { parseSuite } from './parse-suite.js';
import { type CaseResult, renderFailure, runSuite } from './run-suite.js';

const allowed: Decision = {
  outcome: 'allow',
  method: 'ExecProcess',
  listener: 'host',
  reason: 'in the list',
};

/** Runs one test, given as YAML, with this decision; returns the result and the rule context. */
function run(text: string, decision: Decision = allowed, address = 'vsock://-1:1024') {
  const parsed = parseSuite(`tests:\n  - ${text}\n`, 'a.test.yaml');
  assert.ok(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.diagnostics));
  const seen: RuleContext[] = [];
  const [result] = runSuite(parsed.suite, {
    listeners: [
      {
        name: 'host',
        address,
        peers: [['host']],
        onDeniedRead: 'error',
        limits: { connections: 64 },
        management: [],
      },
    ],
    decide: (_method, _request, context) => {
      seen.push(context);
      return decision;
    },
  });
  assert.ok(result !== undefined && seen[0] !== undefined);
  return { result: result satisfies CaseResult, context: seen[0] };
}

test('a case passes by its decision, and by its rule if it names one', () => {
  const denied = { ...allowed, outcome: 'deny', code: 'KA3101', rule: 'commands' } as const;
  const passes = (expected: string, decision: Decision): boolean =>
    run(`{ name: a, method: ExecProcess, ${expected} }`, decision).result.passed;
  assert.ok(passes('expect: allow', allowed));
  assert.ok(!passes('expect: deny', allowed));
  assert.ok(passes('expect: deny', denied));
  assert.ok(passes('expect: deny, rule: commands', denied));
  assert.ok(!passes('expect: deny, rule: others', denied));
  assert.ok(!passes('expect: allow', denied));
  const watched = { ...allowed, rule: 'commands' };
  assert.ok(passes('expect: audit, rule: commands', watched));
  assert.ok(!passes('expect: audit, rule: others', watched));
  assert.ok(
    !passes('expect: allow', watched),
    'a call that a rule in audit mode would deny is not simply allowed',
  );
});

test('the defaults of a case are the host and a running container', () => {
  const exec = run('{ name: a, method: ExecProcess, request: { container_id: web }, expect: allow }');
  assert.deepEqual(exec.context, {
    listener: 'host',
    peer: { kind: 'vsock', cid: 2 },
    container: { id: 'web', state: 'running', claimed: { image: '', annotations: {} } },
    sandbox: { id: 'sandbox', containers: ['web'] },
  });
  const annotations = '{ io.kubernetes.cri.image-name: "app:1" }';
  const create = run(
    `{ name: a, method: CreateContainer, request: { container_id: web, OCI: { Annotations: ${annotations} } }, expect: allow }`,
    allowed,
    'unix:///run/a.sock',
  );
  assert.deepEqual(create.context, {
    listener: 'host',
    peer: { kind: 'unix', uid: 0 },
    container: {
      id: 'web',
      state: 'none',
      claimed: { image: 'app:1', annotations: { 'io.kubernetes.cri.image-name': 'app:1' } },
    },
    sandbox: { id: 'sandbox', containers: [] },
  });
  assert.equal(run('{ name: a, method: GetMetrics, expect: allow }').context.container, undefined);
});

test('a failure has position, expectation and reason', () => {
  const { result } = run('{ name: no shell, method: ExecProcess, expect: deny, rule: commands }');
  assert.equal(
    renderFailure(result),
    'a.test.yaml:2:13: no shell\n  ExecProcess: expected deny by rule commands, but got allow\n  in the list',
  );
});

test('a case on a listener that does not exist fails, also if it expects a denial', () => {
  const denied = { ...allowed, outcome: 'deny', code: 'KA3006' } as const;
  const passes = (listener: string): boolean =>
    run(`{ name: a, method: ExecProcess, listener: ${listener}, expect: deny }`, denied).result.passed;
  assert.equal(passes('host'), true);
  assert.equal(passes('hsot'), false);
});
