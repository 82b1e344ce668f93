import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { StartContainerRequestSchema } from '@kata-agent/protocol/agent';
import { Code, ContextValues, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import { beginKey } from '../interceptors/begin-of.js';
import type { Authorize } from '../interceptors/authorize.js';
import type { Caller } from '../caller/caller.js';
import { bind } from './bind.js';
import type { Services } from './handler.js';

const allowed: Authorize = () => ({
  outcome: 'allow',
  listener: 'host',
  method: 'StartContainer',
  reason: 'listed',
});

/** Runs a change of a call that was ended for this reason. */
async function checkOf(ended: Error | undefined): Promise<() => void> {
  const checks: (() => void)[] = [];
  const services = {
    guest: {
      forCall: ({ check }: { check: () => void }) => {
        checks.push(check);
        return { change: () => Promise.resolve() };
      },
    },
  } as unknown as Services;
  const signal = ended === undefined ? new AbortController().signal : AbortSignal.abort(ended);
  const values = new ContextValues();
  values.set(beginKey, () => Promise.resolve());
  const connection = { listener: 'host', peer: 'pid 1', identity: { kind: 'unix', uid: 0 } };
  const context = {
    method: 'StartContainer',
    signal,
    values,
    connection,
  } as unknown as HandlerContext<Caller>;
  await bind(services, allowed).startContainer?.(create(StartContainerRequestSchema), context);
  const [check] = checks;
  assert.ok(check);
  return check;
}

describe('a change whose turn has come', () => {
  it("is not started if the call's deadline has passed", async () => {
    const late = new TtrpcError(Code.DeadlineExceeded, 'the deadline of 30000 ms has passed');
    assert.throws(await checkOf(late), {
      kind: 'precondition',
      message: 'StartContainer was not started: the deadline of its caller passed before its turn came',
    });
  });

  it('is started for a connected caller, and for a disconnected one: it may have wanted to end something', async () => {
    (await checkOf(undefined))();
    (await checkOf(new TtrpcError(Code.Unavailable, 'the connection was closed')))();
  });
});
