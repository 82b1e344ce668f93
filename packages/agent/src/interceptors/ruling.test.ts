import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import type { AuditedCall } from '@kata-agent/audit';
import { type Decision, type Gate, PrivilegeGate } from '@kata-agent/gate';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import { Policy } from '../policy.js';
import { Decisions } from './decisions.js';
import { judge } from './judge.js';
import { ruling } from './ruling.js';

interface Rule {
  readonly method: string;
  readonly verdict: Partial<Decision>;
}

/** The interceptor under one rule, and all that it does to those around it. */
function underRule({ method: ruled, verdict }: Rule, onDeniedRead: 'error' | 'eof' = 'error') {
  const refused: (AuditedCall & { readonly rule: string | undefined })[] = [];
  const readers: string[] = [];
  const decisions = new Decisions();
  let narrowed = false;
  const gate: Gate = {
    decide: (listener, method) => ({
      outcome: narrowed ? 'deny' : 'allow',
      listener,
      method,
      reason: 'by the lists',
    }),
    served: () => [],
    tighten: () => gate,
  };
  const settings = { privilegedContainers: undefined, devices: [], guestPaths: [] };
  const policy = new Policy(gate, new PrivilegeGate({ settings, documents: [] }), {
    rules: [],
    hasRulesFor: (method) => method === ruled,
    decide: (listed) => ({ ...listed, ...verdict }),
  });
  const guest = { containerFacts: () => undefined, sandboxFacts: { id: '', containers: [], members: [] } };
  const intercept = ruling({
    policy,
    judge: judge(policy, guest),
    guest: {
      noteReader: ({ stream }, _reader, admitted) => readers.push(`${stream} ${admitted}`),
    },
    audit: { refuse: (call, { rule }) => refused.push({ ...call, rule }) },
    decisions,
    factsOf: () => ({}),
    onDeniedRead,
  });
  const call = async (name: keyof typeof AgentService.method, next?: () => Promise<Message>) => {
    const descriptor = AgentService.method[name];
    const context = {
      service: AgentService.typeName,
      method: descriptor.name,
      connection: { listener: 'host', peer: 'p', identity: { kind: 'unix' } },
      payload: new Uint8Array(),
    } as unknown as HandlerContext<Caller>;
    const reply = await intercept(
      create(descriptor.input),
      context,
      next ?? (async () => create(descriptor.output)),
    );
    return { reply, decision: () => decisions.on(context) };
  };
  const narrow = () => {
    narrowed = true;
    policy.narrow({ file: 'SetPolicy', rules: [], listeners: new Map() }, (book) => book);
  };
  return { call, refused, readers, narrow };
}

const reason = 'rule "no-exec" refused it (config.toml:7)';
const deny = { outcome: 'deny', rule: 'no-exec', reason } as const;
const mayNotRun = () => assert.fail('a refused call went on');

describe('the rules', () => {
  it('refuse with PERMISSION_DENIED, the rule and its message, and record it (R6)', async () => {
    const { call, refused } = underRule({
      method: 'ExecProcess',
      verdict: { ...deny, message: 'only the health check' },
    });
    await assert.rejects(call('execProcess', mayNotRun), {
      code: Code.PermissionDenied,
      message: `ExecProcess is refused here: ${reason}: only the health check`,
    });
    assert.deepEqual(
      refused.map(({ method, rule, subject }) => ({ method, rule, container: subject?.containerId })),
      [{ method: 'ExecProcess', rule: 'no-exec', container: '' }],
    );
  });

  it('leave other methods alone, and hand their decision on', async () => {
    const { call, refused } = underRule({ method: 'ExecProcess', verdict: deny });
    const { decision } = await call('startContainer');
    assert.equal(decision().reason, 'by the lists');
    assert.deepEqual(refused, []);
  });

  it('that only watch let a call pass with their name in its decision', async () => {
    const { call, refused } = underRule({ method: 'ExecProcess', verdict: { rule: 'watch' } });
    const { decision } = await call('execProcess');
    assert.deepEqual(
      { outcome: decision().outcome, rule: decision().rule },
      { outcome: 'allow', rule: 'watch' },
    );
    assert.deepEqual(refused, []);
  });

  it('answer a refused read as the rule says, else as [api] does', async () => {
    const reads = { method: 'ReadStdout', verdict: deny };
    const { reply, decision } = await underRule(reads, 'eof').call('readStdout', mayNotRun);
    assert.deepEqual(reply, create(AgentService.method.readStdout.output));
    assert.throws(decision, /nothing was decided/, 'and no record of a call that went on');
    await assert.rejects(underRule(reads).call('readStdout', mayNotRun), TtrpcError);
    const own = { method: 'ReadStdout', verdict: { ...deny, onDeniedRead: 'eof' } } as const;
    await underRule(own).call('readStdout', mayNotRun);
    const strict = { method: 'ReadStdout', verdict: { ...deny, onDeniedRead: 'error' } } as const;
    await assert.rejects(underRule(strict, 'eof').call('readStdout', mayNotRun), TtrpcError);
  });

  it('tell the guest who was let through to a stream', async () => {
    const { call, readers } = underRule({ method: 'ReadStderr', verdict: {} });
    await call('readStderr');
    await call('readStdout');
    const refusing = underRule({ method: 'ReadStdout', verdict: deny }, 'eof');
    await refusing.call('readStdout', mayNotRun);
    assert.deepEqual([...readers, ...refusing.readers], ['stderr true', 'stdout false']);
  });

  it('ask the lists again: a policy may have come since the call was admitted', async () => {
    const { call, narrow, refused } = underRule({ method: 'ExecProcess', verdict: {} });
    narrow();
    await assert.rejects(call('startContainer', mayNotRun), { code: Code.Unimplemented });
    assert.equal(refused.length, 1);
  });

  it('keep what was read from a caller who was refused while he waited; a change is told', async () => {
    for (const method of ['readStdout', 'waitProcess', 'statsContainer'] as const) {
      const { call, narrow, refused } = underRule({ method: '', verdict: {} });
      const waited = async () => {
        narrow();
        return create(AgentService.method[method].output);
      };
      await assert.rejects(call(method, waited), { code: Code.Unimplemented }, method);
      assert.equal(refused.length, 1);
    }
    const { call, narrow } = underRule({ method: '', verdict: {} });
    await call('execProcess', async () => {
      narrow();
      return create(AgentService.method.execProcess.output);
    });
  });
});
