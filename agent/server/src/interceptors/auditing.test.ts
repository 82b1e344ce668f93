import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { type AuditLog, AuditUnavailable, type CallResult } from '@kata-agent/audit';
import { PauseContainerRequestSchema, SignalProcessRequestSchema } from '@kata-agent/protocol/agent';
import { Code, ContextValues, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { auditing } from './auditing.js';
import { beginOf, clockKey, decisionKey } from './call-values.js';

/** Runs calls of one method, in order; a handler gets a function that requests the intent record. */
function recorded(
  method: string,
  audit: Partial<AuditLog> = {},
  request: Message = create(PauseContainerRequestSchema),
) {
  const steps: string[] = [];
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
  const interceptor = auditing(log, () => ({}));
  const call = async (
    handler: (begin: () => Promise<void>, context: HandlerContext<Caller>) => Promise<void>,
  ): Promise<string> => {
    const context = {
      service: 'grpc.AgentService',
      method,
      connection: { listener: 'host', peer: 'cid 2', identity: { kind: 'vsock', cid: 2 } },
      payload: new Uint8Array(),
      values: new ContextValues(),
    } as unknown as HandlerContext<Caller>;
    context.values.set(decisionKey, { outcome: 'allow', method, listener: 'host', reason: 'listed' });
    try {
      await interceptor(request, context, async () => {
        await handler(beginOf(context), context);
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

it('the times of the clock before and after a call are in its outcome', async () => {
  const results: CallResult[] = [];
  const outcome: AuditLog['outcome'] = (_intent, _call, result) => void results.push(result);
  const { call } = recorded('SetGuestDateTime', { outcome });
  await call((_begin, { values }) => {
    values.set(clockKey, { before: 0, after: Date.UTC(2026, 0) });
    return Promise.resolve();
  });
  assert.deepEqual(
    results.map(({ clock }) => clock),
    [{ before: '1970-01-01T00:00:00.000Z', after: '2026-01-01T00:00:00.000Z' }],
  );
});

describe('the intent record of a call that changes something (S19)', () => {
  it('precedes the handler while no call of the method has failed', async () => {
    const { steps, call } = recorded('PauseContainer');
    await call(async (begin) => {
      steps.push('looked up');
      await begin();
      steps.push('changed');
    });
    assert.deepEqual(steps, ['intent', 'looked up', 'changed', 'outcome OK']);
  });

  it('after a failure is written when the change begins; a call that fails before has one record', async () => {
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

  it('always precedes a handler that does not request it', async () => {
    const { steps, call } = recorded('SetGuestDateTime');
    await call(fails);
    await call(() => Promise.resolve());
    assert.deepEqual(steps, ['intent', 'outcome NOT_FOUND', 'intent', 'outcome OK']);
  });

  it('is omitted for signal 0, which only tests for a process', async () => {
    const { steps, call } = recorded(
      'SignalProcess',
      {},
      create(SignalProcessRequestSchema, { containerId: 'c', signal: 0 }),
    );
    await call((begin) => begin());
    assert.deepEqual(steps, ['call OK']);
  });

  it('is written for any other signal, and not for its repetition', async () => {
    let repeated = false;
    const request = create(SignalProcessRequestSchema, { containerId: 'c', signal: 15 });
    const { steps, call } = recorded('SignalProcess', { repeats: () => repeated }, request);
    await call((begin) => begin());
    repeated = true;
    await call((begin) => begin());
    assert.deepEqual(steps, ['intent', 'outcome OK', 'call OK']);
  });

  it('is written for a repetition with different effects', async () => {
    const { steps, call } = recorded('PauseContainer', { repeats: () => true });
    await call((begin) => begin());
    assert.deepEqual(steps, ['intent', 'outcome OK']);
  });

  it('is reported missing if a handler succeeds without requesting it', async () => {
    const { call } = recorded('PauseContainer');
    await call(fails);
    assert.match(await call(() => Promise.resolve()), /PauseContainer: a change may have been made without/);
  });

  it('if it cannot be written, ends the call before the change, with UNAVAILABLE and no other record', async () => {
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
