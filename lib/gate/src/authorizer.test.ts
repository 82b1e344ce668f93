import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { ApiDocument, ListEntry } from '@kata-agent/config';
import type { MethodName } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { Authorizer, authorizerOf, type Decision, noAccess, type RuleContext } from './index.js';
import type { RuleBook } from './rules/rule-book.js';

const span = { file: 'c.toml', line: 3, column: 1, endColumn: 2 };
const listeners = [
  {
    name: 'host',
    address: 'unix:///a.sock',
    peers: [['host']],
    onDeniedRead: 'error',
    limits: { connections: 64 },
    management: [],
  },
] as const;
const context: RuleContext = {
  listener: 'host',
  peer: { kind: 'unix' },
  sandbox: { id: '', containers: [] },
};

function list(...methods: MethodName[]): ReadonlyMap<MethodName, ListEntry> {
  return new Map(methods.map((method) => [method, { entry: method, span }]));
}

function document(lists: Partial<ApiDocument>): ApiDocument {
  return { file: 'c.toml', rules: [], listeners: new Map(), ...lists };
}

/** A rule book with one rule on a method, which records its contexts. */
function book(method: string, outcome: Decision['outcome'], seen: RuleContext[] = []): RuleBook {
  return {
    rules: [],
    hasRulesFor: (name) => name === method,
    decide: (allowed, _request, facts) => {
      seen.push(facts);
      return outcome === 'allow' ? allowed : { ...allowed, outcome, code: 'KA3101', rule: 'r' };
    },
  };
}

/** An authorizer whose document allows creates and execs, so that it denies privileged containers. */
function authorizer(rules?: RuleBook): Authorizer {
  const documents = [document({ allowed: list('CreateContainer', 'ExecProcess', 'WaitProcess') })];
  const record = { file: 'c.toml', source: '-c', sha256: '' };
  return authorizerOf(
    {
      api: { documents, strict: false, onDeniedRead: 'error', deniedOutput: 'discard' },
      listeners,
      documents: [record],
      settings: {
        ...noAccess,
        privilegedContainers: undefined,
        devices: ['/dev/kvm'],
      },
    },
    rules === undefined ? {} : { rules },
  );
}

const exec = create(AgentService.method.execProcess.input, {
  process: { Capabilities: { Effective: ['CAP_SYS_ADMIN'] } },
});
const plain = create(AgentService.method.execProcess.input);
const noContext = () => assert.fail('nothing asks for what rules see');

describe('an authorizer', () => {
  it('uses the lists alone when they deny, or when requests of the method are not examined', () => {
    const denied = authorizer(book('CopyFile', 'allow')).authorize('host', 'CopyFile', plain, noContext);
    assert.deepEqual([denied.outcome, denied.rule], ['deny', undefined]);
    const one = authorizer(book('ExecProcess', 'deny'));
    assert.equal(one.readsRequests('WaitProcess'), false);
    assert.equal(one.authorize('host', 'WaitProcess', plain, noContext), one.decide('host', 'WaitProcess'));
  });

  it('denies privileged requests before any rule is evaluated', () => {
    const one = authorizer(book('ExecProcess', 'allow'));
    const { outcome, rule } = one.authorize('host', 'ExecProcess', exec, noContext);
    assert.deepEqual([outcome, rule], ['deny', 'privileged_containers']);
    assert.equal(authorizer().readsRequests('ExecProcess'), true);
    assert.equal(authorizer().authorize('host', 'ExecProcess', plain, noContext).outcome, 'allow');
  });

  it('evaluates the rules last, with what the configuration opens', () => {
    const seen: RuleContext[] = [];
    const one = authorizer(book('ExecProcess', 'deny', seen));
    const { outcome, rule } = one.authorize('host', 'ExecProcess', plain, () => context);
    assert.deepEqual([outcome, rule], ['deny', 'r']);
    assert.deepEqual(seen, [{ ...context, access: { ...noAccess, devices: ['/dev/kvm'] } }]);
  });

  it('tighten returns another authorizer, narrowed by lists and rules', () => {
    const one = authorizer();
    const narrower = one.tighten(document({ blocked: list('WaitProcess') }), () =>
      book('ExecProcess', 'deny'),
    );
    assert.deepEqual(one.served('host'), ['CreateContainer', 'ExecProcess', 'WaitProcess']);
    assert.deepEqual(narrower.served('host'), ['CreateContainer', 'ExecProcess']);
    assert.equal(one.authorize('host', 'ExecProcess', plain, () => context).outcome, 'allow');
    assert.equal(narrower.authorize('host', 'ExecProcess', plain, () => context).outcome, 'deny');
  });
});
