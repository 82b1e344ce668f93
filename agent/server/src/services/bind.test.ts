import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { StartContainerRequestSchema } from '@kata-agent/protocol/agent';
import { Code, ContextValues, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import { beginKey } from '../interceptors/call-values.js';
import type { Authorize } from '../interceptors/evaluate-rules.js';
import type { Caller } from '../caller.js';
import { bind, sharingCaller } from './bind.js';
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

const of = (connection: Caller, operator?: string): string | undefined =>
  sharingCaller(
    { connection, metadata: new Map(operator === undefined ? [] : [['kata-agent-operator', [operator]]]) },
    'host',
  );

const unix: Caller = { listener: 'host', peer: 'pid 1 uid 0', identity: { kind: 'unix', uid: 0 } };

const alice: Caller = {
  listener: 'tenant',
  peer: 'tls alice',
  identity: { kind: 'tls', subject: 'CN=alice', sans: [], fingerprint: 'sha256:1' },
};

const realm: Caller = { ...alice, listener: 'realm', realm: { relay: 'trusted' } };

test("Kata's runtime shares with nobody; others are told apart as they are authenticated", () => {
  assert.equal(of(unix), undefined);
  const keys = [
    of({ ...unix, listener: 'tenant' }),
    of(alice),
    of({ ...alice, listener: 'host' }),
    of({ ...alice, identity: { ...alice.identity, subject: 'CN=bob' } }),
    of(realm),
    of(realm, 'cn:alice'),
    of(realm, 'cn:bob'),
  ];
  assert.ok(!keys.includes(undefined));
  assert.equal(new Set(keys).size, keys.length);
});

test('metadata, another connection and a renewed certificate are no further share', () => {
  assert.equal(of(alice, 'cn:bob'), of(alice));
  const renewed = { ...alice, peer: 'tls again', identity: { ...alice.identity, fingerprint: 'sha256:2' } };
  assert.equal(of(renewed), of(alice));
});
