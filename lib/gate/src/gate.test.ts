import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, isMethodName, type MethodName, membersOf, methodNames } from '@kata-agent/catalogue';
import type { ApiDocument, ListEntry } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { compileGate, type Gate } from './index.js';

const file = 'config.toml';

function list(line: number, entry: string, methods: readonly MethodName[]): [MethodName, ListEntry][] {
  return methods.map((method) => [method, { entry, span: { file, line, column: 3, endColumn: 9 } }]);
}

function named(line: number, ...methods: MethodName[]): ReadonlyMap<MethodName, ListEntry> {
  return new Map(methods.flatMap((method) => list(line, method, [method])));
}

/** A document without rules and listeners, unless given. */
type PartialDocument = Pick<ApiDocument, 'file'> & Partial<ApiDocument>;

function whole(written: PartialDocument): ApiDocument {
  return { rules: [], listeners: new Map(), ...written };
}

function gateFor(written: readonly PartialDocument[], builtIn?: ReadonlySet<MethodName>): Gate {
  const documents = written.map(whole);
  const api = { documents, strict: false, onDeniedRead: 'error', deniedOutput: 'discard' } as const;
  return compileGate({ api }, { listeners: ['host'], ...(builtIn === undefined ? {} : { builtIn }) });
}

test('without a document everything is served', () => {
  const gate = gateFor([]);
  assert.deepEqual(gate.served('host'), methodNames);
  assert.deepEqual(gate.decide('host', 'ExecProcess'), {
    outcome: 'allow',
    listener: 'host',
    method: 'ExecProcess',
    reason: 'there is no configuration, so everything is served',
  });
});

test('without a document a method that is not built in is not served', () => {
  const gate = gateFor([], new Set(['CreateSandbox']));
  assert.deepEqual(gate.served('host'), ['CreateSandbox']);
  assert.equal(gate.decide('host', 'ExecProcess').reason, 'its handler was left out of this build');
});

test('a base document without lists serves nothing', () => {
  const gate = gateFor([{ file }]);
  assert.deepEqual(gate.served('host'), []);
  const { outcome, reason } = gate.decide('host', 'CreateSandbox');
  assert.equal(outcome, 'deny');
  assert.equal(reason, 'the configuration has no list of endpoints, so nothing is served (config.toml)');
});

test('a release is not a list: nothing is served', () => {
  assert.deepEqual(gateFor([{ file, release: '3.21' }]).served('host'), []);
});

test('an empty allow-list denies every method of the service (S1)', () => {
  const gate = gateFor([{ file, allowed: new Map() }]);
  assert.equal(AgentService.methods.length, 42);
  for (const { name } of AgentService.methods) {
    const { outcome, method, reason } = gate.decide('host', name);
    assert.deepEqual([outcome, method], ['deny', name]);
    assert.equal(reason, 'not in allowed_endpoints (config.toml: the list is empty)');
  }
});

test('an allow-list serves its methods, and the reason names the entry', () => {
  const allowed = new Map([
    ...list(14, '@logs', membersOf('@logs')),
    ...list(15, 'WaitProcess', ['WaitProcess']),
  ]);
  const gate = gateFor([{ file, allowed }]);
  assert.deepEqual(gate.served('host'), ['WaitProcess', 'ReadStdout', 'ReadStderr']);
  assert.equal(gate.decide('host', 'ReadStdout').reason, 'in allowed_endpoints as @logs (config.toml:14)');
  assert.equal(gate.decide('host', 'WaitProcess').reason, 'in allowed_endpoints (config.toml:15)');
  assert.equal(gate.decide('host', 'ExecProcess').reason, 'not in allowed_endpoints (config.toml:14)');
});

test('a block-list alone serves the rest', () => {
  const blocked = new Map(list(15, '@exec', ['ExecProcess']));
  const gate = gateFor([{ file, blocked }]);
  assert.equal(gate.served('host').length, 41);
  assert.equal(gate.decide('host', 'ExecProcess').reason, 'in blocked_endpoints as @exec (config.toml:15)');
  assert.equal(gate.decide('host', 'WaitProcess').reason, 'not in blocked_endpoints (config.toml)');
});

test("an empty block-list, as in the seed's sample, serves everything", () => {
  assert.deepEqual(gateFor([{ file, blocked: new Map() }]).served('host'), methodNames);
});

test('with both lists: allowed minus blocked', () => {
  const gate = gateFor([
    { file, allowed: named(4, 'ReadStdout', 'ReadStderr'), blocked: named(5, 'ReadStdout', 'ExecProcess') },
  ]);
  assert.deepEqual(gate.served('host'), ['ReadStderr']);
  assert.equal(gate.decide('host', 'ReadStdout').reason, 'in blocked_endpoints (config.toml:5)');
});

test('a method newer than the release is not served, even if named', () => {
  const gate = gateFor([{ file, release: '3.21', allowed: named(4, 'GetDiagnosticData', 'AddSwapPath') }]);
  assert.deepEqual(gate.served('host'), ['AddSwapPath']);
  assert.equal(
    gate.decide('host', 'GetDiagnosticData').reason,
    'was added in 3.29.0, after release = "3.21" (config.toml)',
  );
});

test('the release applies to block-lists too', () => {
  const served = gateFor([{ file, release: '2.0', blocked: new Map() }]).served('host');
  assert.equal(served.length, 30);
  for (const method of served) assert.equal(endpoints[method].release, '2.0.0');
});

test('an invalid release fails the compilation', () => {
  assert.throws(() => gateFor([{ file, release: 'newest', blocked: new Map() }]), RangeError);
});

test('further documents narrow; without lists they change nothing', () => {
  const base: PartialDocument = { file, allowed: named(4, 'ReadStdout', 'ReadStderr', 'ExecProcess') };
  const second: PartialDocument = { file: 'second.toml', blocked: named(9, 'ExecProcess') };
  const third: PartialDocument = { file: 'third.toml', allowed: named(2, 'ReadStdout', 'WaitProcess') };
  assert.deepEqual(gateFor([base, { file: 'empty.toml' }]).served('host'), gateFor([base]).served('host'));
  assert.deepEqual(gateFor([base, second]).served('host'), ['ReadStdout', 'ReadStderr']);
  assert.deepEqual(gateFor([base, second, third]).served('host'), ['ReadStdout']);
  const opened = gateFor([{ file }, third]);
  assert.deepEqual(opened.served('host'), []);
});

test('the first denial keeps its reason', () => {
  const gate = gateFor([{ file, blocked: named(3, 'ExecProcess') }]).tighten(
    whole({ file: 'b', allowed: new Map() }),
  );
  assert.equal(gate.decide('host', 'ExecProcess').reason, 'in blocked_endpoints (config.toml:3)');
  assert.equal(gate.decide('host', 'WaitProcess').reason, 'not in allowed_endpoints (b: the list is empty)');
});

test('tightening does not change the original gate', () => {
  const gate = gateFor([]);
  const narrower = gate.tighten(whole({ file, release: '2.0', blocked: named(1, 'ExecProcess') }));
  assert.equal(narrower.served('host').length, 29);
  assert.deepEqual(gate.served('host'), methodNames);
  assert.throws(() => gate.tighten(whole({ file, release: '' })), RangeError);
  assert.deepEqual(gate.served('host'), methodNames);
});

test('unknown listeners and unknown methods are denied', () => {
  const gate = gateFor([]);
  for (const method of [
    'ExecProcessRequest',
    'execprocess',
    '',
    '*',
    '@pod',
    '__proto__',
    'constructor',
    'Check',
  ]) {
    assert.ok(!isMethodName(method));
    const { outcome, reason } = gate.decide('host', method);
    assert.deepEqual([outcome, reason], ['deny', 'unknown method'], method);
  }
  for (const listener of ['tenant', '', '__proto__', 'Host']) {
    assert.deepEqual(gate.decide(listener, 'ExecProcess'), {
      outcome: 'deny',
      code: 'KA3006',
      listener,
      method: 'ExecProcess',
      reason: 'unknown listener',
    });
    assert.deepEqual(gate.served(listener), []);
  }
});

test('decisions carry the name of their listener', () => {
  const api = { documents: [], strict: false, onDeniedRead: 'error', deniedOutput: 'discard' } as const;
  const gate = compileGate({ api }, { listeners: ['host', 'tenant'] });
  assert.equal(gate.decide('tenant', 'CopyFile').listener, 'tenant');
  assert.equal(gate.decide('host', 'CopyFile').listener, 'host');
  const { outcome, listener } = gate
    .tighten(whole({ file, allowed: new Map() }))
    .decide('tenant', 'CopyFile');
  assert.deepEqual([outcome, listener], ['deny', 'tenant']);
});

test('decisions are computed once, frozen, and looked up', () => {
  const gate = gateFor([{ file, blocked: named(3, 'ExecProcess') }]);
  for (const method of methodNames) {
    const first = gate.decide('host', method);
    assert.equal(gate.decide('host', method), first);
    assert.ok(Object.isFrozen(first));
  }
  assert.ok(Object.isFrozen(gate.decide('nobody', 'nothing')));
  assert.throws(() => Object.assign(gate, { decide: () => 'allow' }), TypeError);
});

test("a listener's entry and [api] must both allow", () => {
  const listeners = new Map([['host', { allowed: named(9, 'ReadStdout', 'ExecProcess') }]]);
  const base = { file, allowed: named(4, 'ReadStdout', 'ReadStderr'), listeners };
  const gate = gateOn(['host', 'tenant'], [base]);
  assert.deepEqual(gate.served('host'), ['ReadStdout']);
  assert.deepEqual(gate.served('tenant'), ['ReadStdout', 'ReadStderr']);
  const reasonFor = (method: MethodName): string => gate.decide('host', method).reason;
  assert.equal(reasonFor('ReadStdout'), 'in allowed_endpoints of listener "host" (config.toml:9)');
  assert.equal(reasonFor('ExecProcess'), 'not in allowed_endpoints (config.toml:4)');
  assert.equal(reasonFor('ReadStderr'), 'not in allowed_endpoints of listener "host" (config.toml:9)');
});

test("a listener's entry alone opens that listener only", () => {
  const listeners = new Map([
    ['host', { blocked: named(9, 'ExecProcess') }],
    ['tenant', {}],
  ]);
  const gate = gateOn(['host', 'tenant', 'other'], [{ file, listeners }]);
  assert.equal(gate.served('host').length, methodNames.length - 1);
  assert.equal(
    gate.decide('host', 'ExecProcess').reason,
    'in blocked_endpoints of listener "host" (config.toml:9)',
  );
  assert.deepEqual(gate.served('tenant'), []);
  assert.deepEqual(gate.served('other'), []);
});

test('a further document narrows one listener and opens none', () => {
  const later = { file: 'later.toml', listeners: new Map([['host', { allowed: named(2, 'ReadStdout') }]]) };
  const gate = gateOn(['host', 'tenant'], [{ file, allowed: named(4, 'ReadStdout', 'ReadStderr') }, later]);
  assert.deepEqual(gate.served('host'), ['ReadStdout']);
  assert.deepEqual(gate.served('tenant'), ['ReadStdout', 'ReadStderr']);
  assert.deepEqual(gateOn(['host'], [{ file }, later]).served('host'), []);
});

function gateOn(listeners: readonly string[], written: readonly PartialDocument[]): Gate {
  const documents = written.map(whole);
  return compileGate(
    { api: { documents, strict: false, onDeniedRead: 'error', deniedOutput: 'discard' } },
    { listeners },
  );
}
