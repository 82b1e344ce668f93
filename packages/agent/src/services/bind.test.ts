import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { StartContainerRequestSchema } from '@kata-agent/protocol/agent';
import { Code, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import type { Judge } from '../interceptors/judge.js';
import type { Caller } from '../listeners/caller.js';
import { bind } from './bind.js';
import type { Services } from './handler.js';

const allowed: Judge = () => ({
  outcome: 'allow',
  listener: 'host',
  method: 'StartContainer',
  reason: 'listed',
});

/** What a change asks when its turn has come, of a call that was ended for this reason. */
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
  const context = { method: 'StartContainer', signal } as unknown as HandlerContext<Caller>;
  await bind(services, { judge: allowed, intents: { of: () => () => Promise.resolve() } }).startContainer?.(
    create(StartContainerRequestSchema),
    context,
  );
  const [check] = checks;
  assert.ok(check);
  return check;
}

describe('a change whose turn has come', () => {
  it('is not begun when its caller’s time was over by then', async () => {
    const late = new TtrpcError(Code.DeadlineExceeded, 'the deadline of 30000 ms has passed');
    assert.throws(await checkOf(late), {
      kind: 'precondition',
      message: 'StartContainer was not begun: the time that its caller gave it was over before its turn came',
    });
  });

  it('is begun for a caller who waits, and for one who has gone: he may have wanted the end of something', async () => {
    (await checkOf(undefined))();
    (await checkOf(new TtrpcError(Code.Unavailable, 'the connection was closed')))();
  });
});
