import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { type AuditLog, AuditUnavailable } from '@kata-agent/audit';
import { PauseContainerRequestSchema, SignalProcessRequestSchema } from '@kata-agent/protocol/agent';
import { Code, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import { auditing } from './auditing.js';
import { Decisions } from './decisions.js';
import { Intents } from './intents.js';

/** What became of calls of one method, in order; a handler is given what it asks for its intent by. */
function recorded(
  method: string,
  audit: Partial<AuditLog> = {},
  request: Message = create(PauseContainerRequestSchema),
) {
  const steps: string[] = [];
  const decisions = new Decisions();
  const intents = new Intents();
  const log = {
    writable: true,
    repeats: () => false,
    intent: async () => {
      await Promise.resolve();
      return steps.push('intent');
    },
    outcome: (_intent: number, _call: unknown, { code }: { code: string }) =>
      void steps.push(`outcome ${code}`),
    observe: (_call: unknown, _decision: unknown, { code }: { code: string }) =>
      void steps.push(`call ${code}`),
    ...audit,
  } as unknown as AuditLog;
  const interceptor = auditing(log, { decisions, intents, factsOf: () => ({}) });
  const call = async (handler: (begin: () => Promise<void>) => Promise<void>): Promise<string> => {
    const context = {
      service: 'grpc.AgentService',
      method,
      connection: { listener: 'host', peer: 'cid 2' },
      payload: new Uint8Array(),
    } as unknown as HandlerContext<Caller>;
    decisions.add(context, { outcome: 'allow', method, listener: 'host', reason: 'listed' });
    try {
      await interceptor(request, context, async () => {
        await handler(intents.of(context));
        return create(PauseContainerRequestSchema);
      });
      return 'OK';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  return { steps, call };
}

const fails = (): Promise<void> => Promise.reject(new TtrpcError(Code.NotFound, 'there is none'));

describe('the record of a call that changes something (S19)', () => {
  it('has its intent before the handler, as long as no call of its kind has failed', async () => {
    const { steps, call } = recorded('PauseContainer');
    await call(async (begin) => {
      steps.push('looked up');
      await begin();
      steps.push('changed');
    });
    assert.deepEqual(steps, ['intent', 'looked up', 'changed', 'outcome OK']);
  });

  it('after a failure has it when the change begins; what fails before has one record', async () => {
    const { steps, call } = recorded('PauseContainer');
    await call(fails);
    await call(fails);
    await call(async (begin) => {
      steps.push('looked up');
      await begin();
      steps.push('changed');
      await begin();
    });
    await call(async (begin) => {
      await begin();
      await fails();
    });
    assert.deepEqual(steps, [
      'intent',
      'outcome NOT_FOUND',
      'call NOT_FOUND',
      'looked up',
      'intent',
      'changed',
      'outcome OK',
      'intent',
      'outcome NOT_FOUND',
    ]);
  });

  it('is always first for a method whose handler does not ask for it', async () => {
    const { steps, call } = recorded('SetGuestDateTime');
    await call(fails);
    await call(() => Promise.resolve());
    assert.deepEqual(steps, ['intent', 'outcome NOT_FOUND', 'intent', 'outcome OK']);
  });

  it('is not there for signal 0, which only asks whether a process is there', async () => {
    const { steps, call } = recorded(
      'SignalProcess',
      {},
      create(SignalProcessRequestSchema, { containerId: 'c', signal: 0 }),
    );
    await call((begin) => begin());
    assert.deepEqual(steps, ['call OK']);
  });

  it('is there for any other signal, and not for its repetition', async () => {
    let repeated = false;
    const request = create(SignalProcessRequestSchema, { containerId: 'c', signal: 15 });
    const { steps, call } = recorded('SignalProcess', { repeats: () => repeated }, request);
    await call((begin) => begin());
    repeated = true;
    await call((begin) => begin());
    assert.deepEqual(steps, ['intent', 'outcome OK', 'call OK']);
  });

  it('is there for a repetition of what does not only repeat itself', async () => {
    const { steps, call } = recorded('PauseContainer', { repeats: () => true });
    await call((begin) => begin());
    assert.deepEqual(steps, ['intent', 'outcome OK']);
  });

  it('is missed when a handler succeeds without having asked for it', async () => {
    const { call } = recorded('PauseContainer');
    await call(fails);
    assert.match(
      await call(() => Promise.resolve()),
      /PauseContainer: something may have been changed without/,
    );
  });

  it('that cannot be written ends the call before the change, with UNAVAILABLE and nothing else recorded', async () => {
    let failing = false;
    const { steps, call } = recorded('PauseContainer', {
      intent: () => (failing ? Promise.reject(new AuditUnavailable('no space')) : Promise.resolve(1)),
    });
    await call(fails);
    failing = true;
    const answer = await call(async (begin) => {
      await begin();
      steps.push('changed');
    });
    assert.match(answer, /refused because the audit log cannot be written: no space/);
    assert.deepEqual(steps, ['outcome NOT_FOUND']);
  });
});
