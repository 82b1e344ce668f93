import assert from 'node:assert/strict';
import { describe, it, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { Code, createServer, type ServiceImplementation, service, TtrpcError } from '@kata-agent/ttrpc';
import { parseAuthorization } from '../authorization/parse-authorization.js';
import { type Bus, NameTakenError, oneProcess } from '../bus/bus.js';
import { temporaryDirectory } from '../collector/fake-agent.test.fixture.js';
import { createMetrics } from '../metrics/metrics.js';
import { DecisionLog } from '../operators/decision-log.js';
import { socketPair, until } from '../operators/test-replica.test.fixture.js';
import { Store } from '../store/store.js';
import { GuestAlerts } from './guest-alerts.js';
import { GuestConnections } from './guest-connections.js';
import { LiveGuests } from './live-guests.js';

const any = '[[guest]]\nname = "web"\nconfigurations = ["*"]\n';
const anyOf = (max: number): string => `${any}max = ${max}\n`;
const idOf = (digit: string): string => digit.repeat(64);
const digestOf = (digit: string): string => `sha256:${digit.repeat(64)}`;

type ManagementHandlers = Partial<ServiceImplementation<typeof Management, null>>;
type HealthHandlers = Partial<ServiceImplementation<typeof Health, null>>;

interface Dialled {
  /** Resolves when the realm has left it. */
  readonly ended: Promise<void>;
  readonly isAccepted: () => boolean;
  readonly leave: () => void;
  /** From now on it answers nothing, and closes nothing. */
  readonly freeze: () => void;
}

interface Realm {
  readonly connections: GuestConnections;
  readonly live: LiveGuests;
  readonly store: Store;
  readonly logged: readonly (readonly [message: string, extras: Readonly<Record<string, unknown>>])[];
  /** Refusals and what was noted, as `method reason`. */
  readonly recorded: readonly string[];
  readonly named: readonly (readonly [id: string, name: string | undefined])[];
  readonly names: () => readonly string[];
  readonly authorize: (text: string) => void;
  readonly alerts: (kind: string) => Promise<number>;
  readonly dial: (
    digit: string,
    more?: { readonly management?: ManagementHandlers; readonly health?: HealthHandlers },
  ) => Promise<Dialled>;
}

interface Options {
  readonly authorization?: string;
  readonly bus?: Bus;
  readonly healthEveryMs?: number;
  readonly allows?: (peer: string) => boolean;
}

/** The guests of a realm that is one process, without TLS: each connection has its ID from the test. */
async function setUp(
  t: TestContext,
  { authorization = any, bus = oneProcess, healthEveryMs = 60_000, allows = () => true }: Options = {},
): Promise<Realm> {
  const logged: (readonly [string, Readonly<Record<string, unknown>>])[] = [];
  const recorded: string[] = [];
  const named: (readonly [string, string | undefined])[] = [];
  const log = (_level: string, message: string, extras: Readonly<Record<string, unknown>> = {}): void =>
    void logged.push([message, extras]);
  const parse = (text: string) => {
    const parsed = parseAuthorization(Buffer.from(text), 'realm.toml');
    assert.ok(parsed.ok, text);
    return parsed.authorization;
  };
  let current = parse(authorization);
  const store = await Store.open({
    directory: `${temporaryDirectory(t)}/store`,
    tryLock: () => true,
    bootId: 'boot',
    maxBytes: 2 ** 28,
    space: { max: 2 ** 40, everyMs: 60_000, onChange: () => undefined },
    onFault: () => undefined,
    onWritten: () => undefined,
  });
  await store.decisions.boot({ program: 'realm', version: '9.9' });
  const decisions = new DecisionLog({
    intent: (call, decision) => store.decisions.intent(call, decision),
    outcome: (...args) => store.decisions.outcome(...args),
    observe: (call, decision, outcome) => {
      recorded.push(`${call.method} ${decision.reason}`);
      return store.decisions.observe(call, decision, outcome);
    },
    refuse: (call, decision) => {
      recorded.push(`${decision.code} ${decision.reason}`);
      return store.decisions.refuse(call, decision);
    },
  });
  const metrics = await createMetrics();
  const live = new LiveGuests();
  const connections = new GuestConnections({
    authorization: () => current,
    demand: () => ({ evidence: undefined, allowUnattested: true }),
    bus,
    guests: live,
    store,
    filter: { allows: ({ peer }) => allows(peer) },
    decisions,
    alerts: new GuestAlerts({ decisions, metrics, log }),
    silence: { connected: () => undefined, left: () => undefined },
    metrics,
    log,
    health: { everyMs: healthEveryMs, timeoutMs: 200 },
    collect: { bytesPerSecond: 2 ** 20, overlapMs: 100, retryMs: 100 },
    callMs: 2_000,
    onNamed: ({ id, name }) => named.push([id, name]),
  });
  t.after(async () => {
    await connections.close();
    await store.close();
    metrics.close();
  });
  const dial: Realm['dial'] = async (digit, { management = {}, health = {} } = {}) => {
    const server = createServer<null>({
      services: [
        service<typeof Management, null>(Management, {
          describe: async () => ({ version: '9.9', bootId: digit, configurationDigest: '1'.repeat(64) }),
          ...management,
        }),
        service<typeof Health, null>(Health, {
          check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
          ...health,
        }),
      ],
    });
    const [near, far] = await socketPair(t);
    void server.serve(far, null);
    t.after(() => server.close());
    let isAccepted = false;
    const ended = connections.serve({
      id: idOf(digit),
      relay: 'operator-tls',
      socket: near,
      from: '192.0.2.1',
      exporter: () => '',
      accepted: () => {
        isAccepted = true;
      },
    });
    return {
      ended,
      isAccepted: () => isAccepted,
      leave: () => void far.destroy(),
      freeze: () => void far.pause(),
    };
  };
  return {
    connections,
    live,
    store,
    logged,
    recorded,
    named,
    names: () => live.list().map(({ name }) => name),
    authorize: (text) => {
      current = parse(text);
    },
    alerts: async (kind) => {
      const text = await metrics.text();
      return Number(
        new RegExp(`^kata_realm_guest_alerts_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0,
      );
    },
    dial,
  };
}

/** Waits until a guest is shown. */
async function accepted(guest: Dialled): Promise<Dialled> {
  await until(() => guest.isAccepted());
  return guest;
}

describe('a guest is accepted', () => {
  it('under the name of its entry, which stays with it while it is connected', async (t) => {
    const realm = await setUp(t);
    const first = await accepted(await realm.dial('a'));
    const newcomer = await realm.dial('b');
    await newcomer.ended;
    assert.equal(newcomer.isAccepted(), false);
    assert.match(realm.recorded.join(), /^KA3301 .*"web" has max = 1, and as many are connected/);
    assert.deepEqual(realm.names(), ['web']);
    // The same key is the same guest: its new connection replaces the older one.
    const again = await accepted(await realm.dial('a'));
    await first.ended;
    assert.equal(
      realm.logged.find(([message]) => message === 'guest ended')?.[1]['why'],
      'the guest has connected again',
    );
    again.leave();
    await again.ended;
    // The name is free.
    await accepted(await realm.dial('c'));
    assert.deepEqual(
      realm.live.list().map(({ id, name }) => [id, name]),
      [[idOf('c'), 'web']],
    );
  });

  it('up to max of its entry, each under a name of its own', async (t) => {
    const realm = await setUp(t, { authorization: anyOf(2) });
    for (const digit of ['a', 'b']) await accepted(await realm.dial(digit));
    await (await realm.dial('c')).ended;
    assert.deepEqual(realm.names(), [`web-${'a'.repeat(12)}`, `web-${'b'.repeat(12)}`]);
    assert.deepEqual(
      realm.named.map(([, name]) => name),
      realm.names(),
    );
  });

  it('never twice by one name, however many come at once', async (t) => {
    const realm = await setUp(t);
    const guests = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f', '0'].map((digit) => realm.dial(digit)));
    await until(() => guests.filter((guest) => guest.isAccepted()).length === 1);
    await until(() => realm.recorded.length === 6);
    assert.deepEqual(realm.names(), ['web']);
  });

  it('not when it connects again and again, which keeps out no other one', async (t) => {
    const realm = await setUp(t, { authorization: anyOf(9) });
    for (let times = 0; times < 10; times += 1) {
      const guest = await accepted(await realm.dial('a'));
      guest.leave();
      await guest.ended;
    }
    await (await realm.dial('a')).ended;
    assert.deepEqual(realm.recorded, ['KA3301 it has connected too often']);
    await accepted(await realm.dial('b'));
  });

  it('not when another replica has its name', async (t) => {
    const claim: Bus['claim'] = () => Promise.reject(new NameTakenError('another replica has the name web'));
    const realm = await setUp(t, { bus: { ...oneProcess, claim } });
    await (await realm.dial('a')).ended;
    assert.deepEqual(realm.recorded, ['KA3301 another replica has the name web']);
    assert.deepEqual([realm.names(), realm.live.held()], [[], []]);
  });

  it('until another replica holds it', async (t) => {
    let lost: ((why: string) => void) | undefined;
    let released = 0;
    const claim: Bus['claim'] = async ({ onLost }) => {
      lost = onLost;
      const release = async (): Promise<void> => {
        released += 1;
      };
      return { epoch: 1, isValid: true, touch: () => undefined, release };
    };
    const realm = await setUp(t, { bus: { ...oneProcess, claim } });
    const guest = await accepted(await realm.dial('a'));
    lost?.('it is at replica b');
    await guest.ended;
    assert.equal(realm.logged.at(-1)?.[1]['why'], 'it is at replica b');
    assert.equal(released, 1);
  });
});

for (const [what, management, expectedText] of [
  [
    'an invalid digest',
    { describe: async () => ({ configurationDigest: 'sha256:../../etc' }) },
    /an invalid digest/,
  ],
  [
    'a boot id with control characters',
    { describe: async () => ({ bootId: '\u001b[2J', configurationDigest: '1'.repeat(64) }) },
    /an invalid version or boot id/,
  ],
  [
    'an error of Describe',
    { describe: () => Promise.reject(new TtrpcError(Code.Internal, 'x\u001b[2J\ny')) },
    /^KA3301 x \[2J y$/,
  ],
  [
    'no Describe where a digest is needed',
    { describe: () => Promise.reject(new TtrpcError(Code.PermissionDenied, 'no')) },
    /no \[\[guest\]\] entry accepts it/,
  ],
] as const)
  test(`a guest with ${what} is refused`, async (t) => {
    const realm = await setUp(t, { authorization: any.replace('*', digestOf('1')) });
    const guest = await realm.dial('a', { management });
    await guest.ended;
    assert.equal(guest.isAccepted(), false);
    assert.match(realm.recorded.join(), expectedText);
  });

test('a changed authorization ends guests that it no longer accepts under their name, and keeps others', async (t) => {
  const realm = await setUp(t, { authorization: anyOf(9) });
  const kept = await accepted(await realm.dial('a'));
  const dropped = await accepted(await realm.dial('b'));
  const byKey = anyOf(9).replace('configurations = ["*"]', `keys = ["spki:sha256:${idOf('a')}"]`);
  realm.authorize(byKey);
  assert.equal(realm.connections.recheck(), 1);
  await dropped.ended;
  assert.deepEqual(realm.named.at(-1), [idOf('b'), undefined]);
  assert.equal(realm.connections.recheck(), 0);
  realm.authorize(byKey.replace('"web"', '"other"'));
  assert.equal(realm.connections.recheck(), 1);
  await kept.ended;
  // Fewer of an entry: the one that came first stays.
  realm.authorize(anyOf(9));
  const first = await accepted(await realm.dial('c'));
  await delay(2);
  const second = await accepted(await realm.dial('d'));
  realm.authorize(anyOf(9).replace('max = 9', 'max = 2'));
  assert.equal(realm.connections.recheck(), 0);
  first.leave();
  second.leave();
});

test('a guest is dropped when it does not answer Health or does not serve, and not when it is full', async (t) => {
  const realm = await setUp(t, { authorization: anyOf(9), healthEveryMs: 30 });
  await accepted(await realm.dial('a'));
  const mute = await realm.dial('b', { health: { check: () => new Promise<never>(() => undefined) } });
  const ill = await realm.dial('c', {
    health: { check: async () => ({ status: HealthCheckResponse_ServingStatus.NOT_SERVING }) },
  });
  // Operators can have as many calls in it as it takes: that is no reason to end it for all of them (S44).
  let checks = 0;
  await realm.dial('d', {
    health: {
      check: async () => {
        checks += 1;
        throw new TtrpcError(Code.ResourceExhausted, 'more than 1024 requests in flight');
      },
    },
  });
  await Promise.all([mute.ended, ill.ended]);
  await until(() => checks > 2);
  assert.deepEqual(
    realm.live.list().map(({ id }) => id),
    [idOf('a'), idOf('d')],
  );
  const ended = realm.logged.filter(([message]) => message === 'guest ended').map(([, { why }]) => why);
  assert.equal(ended.length, 2);
  assert.ok(ended.every((why) => String(why).startsWith('Health: ')));
});

describe('revocations', () => {
  it('reach a guest before it is seen, and after each new connection, each once', async (t) => {
    const realm = await setUp(t, { authorization: anyOf(9), allows: (peer) => peer !== 'cn:realm' });
    const revoked: string[] = [];
    const seen: (readonly string[])[] = [];
    const management: ManagementHandlers = {
      revokePeer: async ({ peer, serial, issuer }) => {
        revoked.push(peer === '' ? `${serial} ${issuer}` : peer);
        seen.push(realm.live.list().map(({ id }) => id));
        return { closed: 3 };
      },
    };
    const first = await accepted(await realm.dial('a', { management }));
    const revoke = (peer: string, serial = '', issuer = ''): Promise<number> =>
      realm.connections.revoke(idOf('a'), { peer, serial, issuer }, 'cn:ann');
    assert.equal(await revoke('cn:eve'), 3);
    await revoke('', 'ab', 'CN=CA');
    // Equal ones take no further place.
    await revoke('cn:eve');
    // Another client of the bus, or a file, can have it.
    await realm.store.revocations.add({
      entry: 'web',
      peer: 'cn:realm',
      serial: '',
      issuer: '',
      at: '2026-01-01T00:00:00Z',
      by: '0'.repeat(64),
    });
    first.leave();
    await first.ended;
    revoked.length = 0;
    seen.length = 0;
    // Another boot: another key, and the same entry.
    await accepted(await realm.dial('b', { management }));
    assert.deepEqual([...revoked].sort(), ['ab CN=CA', 'cn:eve']);
    assert.deepEqual(seen, [[], []], 'it was seen before it knew them');
  });

  it('reach the other guests of the entry, and no others', async (t) => {
    const keyed = `[[guest]]\nname = "db"\nkeys = ["spki:sha256:${idOf('d')}"]\n`;
    const realm = await setUp(t, { authorization: `${keyed}${anyOf(9)}` });
    const revoked: string[] = [];
    const dial = async (digit: string): Promise<Dialled> =>
      await accepted(
        await realm.dial(digit, {
          management: {
            revokePeer: async ({ peer }) => {
              revoked.push(`${digit} ${peer}`);
              return { closed: 0 };
            },
          },
        }),
      );
    for (const digit of ['a', 'b', 'd']) await dial(digit);
    await realm.connections.revoke(idOf('a'), { peer: 'cn:eve', serial: '', issuer: '' }, 'cn:ann');
    await until(() => revoked.length === 2);
    await dial('c');
    assert.deepEqual([...revoked].sort(), ['a cn:eve', 'b cn:eve', 'c cn:eve']);
  });

  it('end a guest that does not accept them, and are not stored when the one that is asked does not', async (t) => {
    const realm = await setUp(t, { authorization: anyOf(9) });
    await accepted(await realm.dial('a', { management: { revokePeer: async () => ({ closed: 0 }) } }));
    const refusing = await accepted(await realm.dial('b'));
    const eve = { peer: 'cn:eve', serial: '', issuer: '' };
    await assert.rejects(
      realm.connections.revoke(idOf('b'), eve, 'cn:ann'),
      (error) => error instanceof TtrpcError && error.code === Code.Unimplemented,
    );
    assert.deepEqual(realm.store.revocations.list('web'), []);
    await realm.connections.revoke(idOf('a'), eve, 'cn:ann');
    await refusing.ended;
    const again = await realm.dial('b');
    await again.ended;
    assert.match(realm.recorded.join(), /does not accept the revocations of its entry \(UNIMPLEMENTED\)/);
    assert.deepEqual(
      realm.live.list().map(({ id }) => id),
      [idOf('a')],
    );
    await assert.rejects(realm.connections.revoke(idOf('f'), eve, 'cn:ann'), /the guest is not connected/);
  });
});

describe('a clone of a guest', () => {
  it('is found by its two connections, if the earlier one still answers', async (t) => {
    const realm = await setUp(t);
    const first = await accepted(await realm.dial('a'));
    const second = await accepted(await realm.dial('a'));
    await first.ended;
    assert.equal(await realm.alerts('clone'), 1);
    assert.match(realm.recorded.join(), /^\(clone\) its earlier connection still answers/);
    // The machine of the guest has lost the network: nothing answers, and nothing is closed.
    second.freeze();
    await accepted(await realm.dial('a'));
    await second.ended;
    assert.equal(await realm.alerts('clone'), 1);
  });

  it('with a key of its own is found by its configuration, while the other one answers', async (t) => {
    const realm = await setUp(t);
    const one = await accepted(await realm.dial('a'));
    await (await realm.dial('b')).ended;
    await until(() => realm.logged.some(([message]) => message.includes('possibly a clone')));
    assert.equal(await realm.alerts('duplicate'), 1);
    assert.match(realm.recorded.join(), /as many are connected: possibly a clone, it reports the same/);
    // Its machine was started again before its earlier connection is found to be dead.
    one.freeze();
    await (await realm.dial('c')).ended;
    await delay(1_200);
    assert.equal(await realm.alerts('duplicate'), 1);
  });

  it('is not reported for guests of one entry, or for one whose key the entry names', async (t) => {
    const keyed = `[[guest]]\nname = "db"\nkeys = ["spki:sha256:${idOf('d')}"]\n`;
    const realm = await setUp(t, { authorization: `${keyed}${anyOf(9)}` });
    for (const digit of ['a', 'b', 'd']) await accepted(await realm.dial(digit));
    await delay(50);
    assert.equal(await realm.alerts('duplicate'), 0);
  });

  it('may be the further boot of a name, which a guest with the same key is not', async (t) => {
    const realm = await setUp(t);
    for (const [digit, boots] of [
      ['a', 0],
      ['a', 0],
      ['b', 1],
      ['b', 1],
      ['a', 2],
    ] as const) {
      const guest = await accepted(await realm.dial(digit));
      await until(() => realm.store.logsOf(idOf(digit)) !== undefined);
      await delay(20);
      guest.leave();
      await guest.ended;
      assert.equal(await realm.alerts('boot'), boots, digit);
    }
  });
});
