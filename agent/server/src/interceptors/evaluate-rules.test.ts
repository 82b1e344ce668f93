import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import type { AuditedCall } from '@kata-agent/audit';
import { Authorizer, type Decision, type Gate, noAccess, PrivilegeGate } from '@kata-agent/gate';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code, ContextValues, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { Policy } from '../policy/policy.js';
import { decisionOf } from './call-values.js';
import { authorizeCalls, evaluateRules } from './evaluate-rules.js';

interface Rule {
  readonly method: string;
  readonly decision: Partial<Decision>;
}

/** The interceptor with one rule, and its effects. */
function underRule({ method: ruled, decision }: Rule, onDeniedRead: 'error' | 'eof' = 'error') {
  const refused: (AuditedCall & { readonly rule: string | undefined })[] = [];
  const readers: string[] = [];
  let narrowed = false;
  const gate: Gate = {
    decide: (listener, method) =>
      narrowed
        ? { outcome: 'deny', code: 'KA3001', listener, method, reason: 'by the lists' }
        : { outcome: 'allow', listener, method, reason: 'by the lists' },
    served: () => [],
    tighten: () => gate,
  };
  const settings = { ...noAccess, privilegedContainers: undefined };
  const policy = new Policy(
    new Authorizer(gate, new PrivilegeGate({ settings, documents: [] }), {
      rules: [],
      hasRulesFor: (method) => method === ruled,
      decide: (listed) => ({ ...listed, ...decision }) as Decision,
    }),
  );
  const guest = { containerStatus: () => undefined, sandboxStatus: { id: '', containers: [], members: [] } };
  const intercept = evaluateRules({
    policy,
    authorize: authorizeCalls(policy, guest),
    guest: {
      noteReader: ({ stream }, _reader, admitted) => readers.push(`${stream} ${admitted}`),
    },
    audit: { refuse: (call, { rule }) => refused.push({ ...call, rule }) },
    recordOf: () => ({}),
    onDeniedRead: () => onDeniedRead,
  });
  const call = async (name: keyof typeof AgentService.method, next?: () => Promise<Message>) => {
    const descriptor = AgentService.method[name];
    const context = {
      service: AgentService.typeName,
      method: descriptor.name,
      connection: { listener: 'host', peer: 'p', identity: { kind: 'unix' } },
      payload: new Uint8Array(),
      values: new ContextValues(),
    } as unknown as HandlerContext<Caller>;
    const reply = await intercept(
      create(descriptor.input),
      context,
      next ?? (async () => create(descriptor.output)),
    );
    return { reply, decision: () => decisionOf(context) };
  };
  const narrow = () => {
    narrowed = true;
    policy.narrow({ file: 'SetPolicy', rules: [], listeners: new Map() }, (book) => book);
  };
  return { call, refused, readers, narrow };
}

const reason = 'rule "no-exec" refused it (config.toml:7)';
const deny = { outcome: 'deny', code: 'KA3101', rule: 'no-exec', reason } as const;
const mayNotRun = () => assert.fail('a denied call continued');

describe('rules', () => {
  it('deny with PERMISSION_DENIED, the rule and its message, and record it (R6)', async () => {
    const { call, refused } = underRule({
      method: 'ExecProcess',
      decision: { ...deny, message: 'only the health check' },
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

  it('ignore other methods, and pass their decision on', async () => {
    const { call, refused } = underRule({ method: 'ExecProcess', decision: deny });
    const { decision } = await call('startContainer');
    assert.equal(decision().reason, 'by the lists');
    assert.deepEqual(refused, []);
  });

  it('in audit mode allow a call, with their name in its decision', async () => {
    const { call, refused } = underRule({ method: 'ExecProcess', decision: { rule: 'watch' } });
    const { decision } = await call('execProcess');
    assert.deepEqual(
      { outcome: decision().outcome, rule: decision().rule },
      { outcome: 'allow', rule: 'watch' },
    );
    assert.deepEqual(refused, []);
  });

  it('answer a denied read as the rule defines, else as [api] does', async () => {
    const reads = { method: 'ReadStdout', decision: deny };
    const { reply, decision } = await underRule(reads, 'eof').call('readStdout', mayNotRun);
    assert.deepEqual(reply, create(AgentService.method.readStdout.output));
    assert.throws(decision, /this call has no decision/, 'and no record of a call that continued');
    await assert.rejects(underRule(reads).call('readStdout', mayNotRun), TtrpcError);
    const own = { method: 'ReadStdout', decision: { ...deny, onDeniedRead: 'eof' } } as const;
    await underRule(own).call('readStdout', mayNotRun);
    const strict = { method: 'ReadStdout', decision: { ...deny, onDeniedRead: 'error' } } as const;
    await assert.rejects(underRule(strict, 'eof').call('readStdout', mayNotRun), TtrpcError);
  });

  it('tell the guest which peer may read a stream', async () => {
    const { call, readers } = underRule({ method: 'ReadStderr', decision: {} });
    await call('readStderr');
    await call('readStdout');
    const refusing = underRule({ method: 'ReadStdout', decision: deny }, 'eof');
    await refusing.call('readStdout', mayNotRun);
    assert.deepEqual([...readers, ...refusing.readers], ['stderr true', 'stdout false']);
  });

  it('check the lists again: a policy may have arrived since the admission', async () => {
    const { call, narrow, refused } = underRule({ method: 'ExecProcess', decision: {} });
    narrow();
    await assert.rejects(call('startContainer', mayNotRun), { code: Code.Unimplemented });
    assert.equal(refused.length, 1);
  });

  it('withhold a read from a peer that is denied while it waited; a change is answered', async () => {
    for (const method of ['readStdout', 'waitProcess', 'statsContainer'] as const) {
      const { call, narrow, refused } = underRule({ method: '', decision: {} });
      const waited = async () => {
        narrow();
        return create(AgentService.method[method].output);
      };
      await assert.rejects(call(method, waited), { code: Code.Unimplemented }, method);
      assert.equal(refused.length, 1);
    }
    const { call, narrow } = underRule({ method: '', decision: {} });
    await call('execProcess', async () => {
      narrow();
      return create(AgentService.method.execProcess.output);
    });
  });
});
