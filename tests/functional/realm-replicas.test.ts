import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { openAuditLog, verify } from '@kata-agent/audit';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { Code, codeName, connect, createClient, TtrpcError } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { fromSeed } from '@nats-io/nkeys';
import { guestIdentity, type RawGuest, type RawGuestOptions } from '../harness/raw-guest.js';
import { guestConfig } from '../harness/realm-guest.js';
import { type RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import {
  echoGuest,
  listed,
  type ReplicasSetup as Setup,
  setUpReplicas as setUp,
} from '../harness/realm-replicas.js';
import { ctlProgram } from '../harness/repository.js';
import { TcpBalancer } from '../harness/tcp-balancer.js';

/** Sends bytes, and reads as many; returns whether they are the same. */
async function echoes(socket: NodeJS.ReadWriteStream, bytes: number): Promise<boolean> {
  const chunk = randomBytes(1024 * 1024);
  const sent = createHash('sha256');
  const received = createHash('sha256');
  let left = bytes;
  const done = new Promise<void>((resolve) => {
    socket.on('data', (data: Buffer) => {
      received.update(data);
      left -= data.length;
      if (left <= 0) resolve();
    });
  });
  for (let written = 0; written < bytes; ) {
    const part = chunk.subarray(0, Math.min(chunk.length, bytes - written));
    written += part.length;
    sent.update(part);
    if (!socket.write(part)) await once(socket, 'drain');
  }
  await done;
  return sent.digest('hex') === received.digest('hex');
}

function rss({ process }: RealmProcess): number {
  const text = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) / 1024;
}

describe('two replicas of a realm', () => {
  it('show and use the guests of each other, relay = "operator-tls"', { timeout: 120_000 }, async (t) => {
    const setup = await setUp(t, 3);
    const { homes, alice, replicas } = setup;
    const [a, b, c] = homes.map(({ ports }) => ports);
    assert.ok(a && b && c);
    // The guest is at B; what it opens for operators comes to B, to C, and to A itself.
    for (const [where, relayPort] of [
      ['b', b.guests],
      ['c', c.guests],
      ['a', a.guests],
    ] as const) {
      const guest = await echoGuest({ port: b.guests, relayPort });
      await until('A shows the guest', async () => (await listed(setup, 0)).length === 1);
      const { head, socket } = await alice.connect(a.operators, 'web');
      assert.match(head, /^HTTP\/1.1 101 /, where);
      const before = replicas.map(rss);
      const begin = performance.now();
      assert.ok(await echoes(socket, 50 * 1024 * 1024));
      const seconds = (performance.now() - begin) / 1_000;
      const after = replicas.map(rss);
      const grown = after.map((each, index) => Math.round(each - (before[index] ?? 0)));
      t.diagnostic(
        `connection at ${where}: 50 MiB each way in ${seconds.toFixed(1)} s; memory grew by ${grown.join(', ')} MiB`,
      );
      assert.ok(Math.max(...grown) < 150, grown.join(' '));
      socket.end();
      await once(socket, 'close');
      guest.socket.destroy();
      await until('it is gone', async () => (await listed(setup, 0)).length === 0);
    }
    // An operator at B, the guest at B, and its connection at C.
    const guest = await echoGuest({ port: b.guests, relayPort: c.guests });
    await until('B shows the guest', async () => (await listed(setup, 1)).length === 1);
    const { head, socket } = await alice.connect(b.operators, 'web');
    assert.match(head, /^HTTP\/1.1 101 /);
    assert.ok(await echoes(socket, 1024 * 1024));
    socket.destroy();
    guest.socket.destroy();
  });

  it('know what the other one waits for, however slow its way to the bus is', {
    timeout: 60_000,
  }, async (t) => {
    const slow = await TcpBalancer.start();
    slow.delayMs = 300;
    t.after(() => slow.close());
    const setup = await setUp(t, 2, {
      optionsOf: ({ port, nkey }) => {
        slow.targets = [port];
        return [['--bus', `nats://127.0.0.1:${slow.port}`, '--bus-nkey', nkey]];
      },
    });
    const { homes, alice, replicas } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const guest = await echoGuest({ port: a.guests, relayPort: b.guests });
    await until('A shows the guest', async () => (await listed(setup, 0)).length === 1);
    const { head, socket } = await alice.connect(a.operators, 'web');
    assert.match(head, /^HTTP\/1.1 101 /, JSON.stringify(replicas.map(({ log }) => log.at(-1))));
    assert.ok(await echoes(socket, 1024));
    socket.destroy();
    guest.socket.destroy();
  });

  it('make calls for the operators of each other, relay = "trusted"', { timeout: 60_000 }, async (t) => {
    const setup = await setUp(t);
    const { homes, alice } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const guest = await echoGuest({ port: b.guests, headers: 'Kata-Agent-Relay: trusted\r\n' });
    await until('A shows the guest', async () => (await listed(setup, 0)).length === 1);
    const { head, socket } = await alice.connect(a.operators, 'web');
    assert.match(head, /Kata-Agent-Relay: trusted/);
    const channel = connect(socket);
    assert.equal((await createClient(Health, channel).check({})).status, 1);
    guest.socket.destroy();
    await channel.closed;
    await assert.rejects(createClient(Health, channel).check({}), { code: Code.Unavailable });
  });

  it('let one guest of a name be connected, and count max together', { timeout: 60_000 }, async (t) => {
    const setup = await setUp(t);
    const { homes, replicas } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const guests = await Promise.allSettled(
      Array.from(
        { length: 8 },
        async (_, index) => await echoGuest({ port: index % 2 === 0 ? a.guests : b.guests }),
      ),
    );
    const open = guests.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    await until('the others are refused', async () => {
      const refused = await Promise.all(
        replicas.map((each) => each.metric('kata_realm_guests_refused_total{reason="authorization"}')),
      );
      return refused.reduce((sum, each) => sum + each, 0) === 7;
    });
    assert.equal((await listed(setup, 0)).length, 1);
    await until('both say the same', async () =>
      isDeepStrictEqual(await listed(setup, 0), await listed(setup, 1)),
    );
    for (const guest of open) guest.socket.destroy();
    // The name is free at once, not after the lease.
    await until('nobody is left', async () => (await listed(setup, 0)).length === 0, 5_000);
    let next: RawGuest | undefined;
    const nextIsListed = async (): Promise<boolean> => {
      // The name is released after the guest: an early attempt is refused.
      if (next?.socket.destroyed !== false) next = await echoGuest({ port: b.guests }).catch(() => undefined);
      return (await listed(setup, 0)).length === 1;
    };
    await until('the next one has the name', nextIsListed, 5_000);
    next?.socket.destroy();
  });

  it('say a revocation to the guests of all, now and later, once one has it', {
    timeout: 60_000,
  }, async (t) => {
    const setup = await setUp(t);
    const { homes, alice } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const revoked: string[] = [];
    const manyGuest = async (name: string, port: number): Promise<RawGuest> =>
      await echoGuest({
        port,
        management: {
          describe: async () => ({ version: '9.9', bootId: 'boot', configurationDigest: '2'.repeat(64) }),
          revokePeer: async ({ peer }) => {
            revoked.push(`${name} ${peer}`);
            return { closed: 3 };
          },
        },
      });
    const first = await manyGuest('first', a.guests);
    const second = await manyGuest('second', b.guests);
    await until('both are shown', async () => (await listed(setup, 0)).length === 2);
    const own = await listed(setup, 0);
    // Asked at each replica, for a guest of which one does not have: said to both guests.
    for (const [index, port] of [a.operators, b.operators].entries()) {
      revoked.length = 0;
      const { status, body } = await alice.request(port, `/v1/guests/${own[0]?.id}/revocations`, {
        method: 'POST',
        body: JSON.stringify({ peer: `cn:mallory${index}` }),
      });
      assert.equal(status, 200, body);
      assert.equal((JSON.parse(body) as { closed: number }).closed, 3);
      await until('both have heard', () => new Set(revoked).size === 2, 5_000);
    }
    revoked.length = 0;
    const third = await manyGuest('third', b.guests);
    await until('it is shown', async () => (await listed(setup, 0)).length === 3);
    assert.deepEqual(new Set(revoked), new Set(['third cn:mallory0', 'third cn:mallory1']));
    for (const guest of [first, second, third]) guest.socket.destroy();
  });
});

describe('a replica that is stopped, and continues after its lease', () => {
  it('has lost the guest', { timeout: 120_000 }, async (t) => {
    const setup = await setUp(t);
    const { homes, replicas, alice } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    const [first, second] = replicas;
    assert.ok(a && b && first && second);
    const identity = await guestIdentity();
    const old = await echoGuest({ port: a.guests, identity });
    const other = await echoGuest({
      port: a.guests,
      management: {
        describe: async () => ({ version: '9.9', bootId: 'boot', configurationDigest: '2'.repeat(64) }),
      },
    });
    await until('B shows both', async () => (await listed(setup, 1)).length === 2);
    const { socket } = await alice.connect(b.operators, 'web');
    assert.ok(await echoes(socket, 1_000));
    const stopped = performance.now();
    first.process.kill('SIGSTOP');
    await once(socket, 'close');
    t.diagnostic(
      `the pipe ended ${((performance.now() - stopped) / 1_000).toFixed(1)} s after its other end stopped`,
    );
    await until('B no longer shows them', async () => (await listed(setup, 1)).length === 0, 20_000);
    t.diagnostic(`the lease ended after ${((performance.now() - stopped) / 1_000).toFixed(1)} s`);
    const again = await echoGuest({ port: b.guests, identity });
    await until('B shows the one that has dialled again', async () => (await listed(setup, 1)).length === 1);
    first.process.kill('SIGCONT');
    await old.closed;
    assert.equal((await first.logged('guest ended'))['why'], 'the guest has connected to another replica');
    // The other one was not taken: its connection is still there, and it is shown again.
    await until('both replicas show both', async () => {
      const [one, two] = [await listed(setup, 0), await listed(setup, 1)];
      return one.length === 2 && two.length === 2;
    });
    assert.equal(other.socket.destroyed, false);
    assert.equal(again.socket.destroyed, false);
    for (const guest of [again, other]) guest.socket.destroy();
  });
});

/** An agent that dials the balancer, under load on another listener. */
async function loadedAgent({ home, balancer }: Setup): Promise<{
  readonly agent: AgentProcess;
  readonly calls: () => number;
  readonly stop: () => Promise<void>;
}> {
  const dialled = home.replica('unused');
  dialled.ports.guests = balancer.port;
  const agent = await AgentProcess.start({
    config: `${guestConfig(dialled)}\n[audit]\nmax_size = "64MiB"\n`,
    sharesNetwork: true,
  });
  const onHost = await agent.connect();
  let calls = 0;
  const over = new AbortController();
  const load = (async () => {
    while (!over.signal.aborted) {
      calls += 1;
      // Requests that differ are not counted in one record.
      await onHost.agent.reseedRandomDev({ data: Buffer.from(`seed ${calls}`) });
      if (calls % 10 === 0) await delay(20);
    }
  })();
  return {
    agent,
    calls: () => calls,
    stop: async () => {
      over.abort();
      await load;
    },
  };
}

/** Checks that a replica has exactly the records of the agent. Returns their number. */
async function hasAllRecords(setup: Setup, port: number, agent: AgentProcess, id: string): Promise<number> {
  const { alice, home } = setup;
  let body = '';
  await until(
    'all records are stored',
    async () => {
      ({ body } = await alice.request(port, `/v1/guests/${id}/audit`).catch((error: Error) => {
        throw new Error(
          `${error.message}\n${setup.replicas.map((each) => each.text().slice(-1500)).join('\n')}`,
          { cause: error },
        );
      }));
      // The agent writes records of its own too.
      return body === readFileSync(agent.auditLog, 'utf8');
    },
    40_000,
  );
  home.write('collected.log', body);
  const { ok, records, problems } = await verify(`${home.directory}/collected.log`);
  assert.ok(ok, JSON.stringify(problems));
  return records;
}

describe('replicas that are killed under load, again and again', () => {
  it('lose and double no record, and end calls with UNAVAILABLE', { timeout: 300_000 }, async (t) => {
    const setup = await setUp(t, 3);
    const { homes, replicas, balancer, alice, nats } = setup;
    const { agent, stop, calls } = await loadedAgent(setup);
    t.after(async () => await agent.dispose());
    const codes = new Map<string, number>();
    const recovered: number[] = [];
    const holder = async (): Promise<number> => {
      let found = -1;
      await until(
        'a replica has the guest',
        async () => {
          const counts = await Promise.all(
            replicas.map((each) => each.metric('kata_realm_guests{relay="trusted"}').catch(() => 0)),
          );
          found = counts.indexOf(1);
          return found >= 0;
        },
        60_000,
      );
      return found;
    };
    let id = '';
    for (let kill = 0; kill < 6; kill += 1) {
      const at = await holder();
      const through = (at + 1) % homes.length;
      const port = homes[through]?.ports.operators ?? 0;
      await until('the other replica shows it', async () => {
        id = (await listed(setup, through))[0]?.id ?? '';
        return id !== '';
      });
      const { head, socket } = await alice.connect(port, `many-${id.slice(0, 12)}`);
      assert.match(head, /^HTTP\/1.1 101 /);
      const channel = connect(socket);
      const client = createClient(AgentService, channel);
      let killed = false;
      const calling = Array.from({ length: 4 }, async () => {
        for (;;) {
          try {
            await client.getGuestDetails({});
            codes.set('OK', (codes.get('OK') ?? 0) + 1);
          } catch (error) {
            assert.ok(error instanceof TtrpcError);
            assert.ok(killed);
            codes.set(codeName(error.code), (codes.get(codeName(error.code)) ?? 0) + 1);
            return;
          }
        }
      });
      await delay(300 + 100 * kill);
      killed = true;
      const begin = performance.now();
      await replicas[at]?.stop('SIGKILL');
      const next = await holder();
      assert.notEqual(next, at);
      recovered.push((performance.now() - begin) / 1_000);
      await Promise.all(calling);
      replicas[at] = await RealmProcess.start(homes[at] as RealmHome, nats.options);
      balancer.targets = homes.map(({ ports }) => ports.guests);
    }
    await stop();
    const last = await holder();
    const counts = [];
    for (const { ports } of homes) counts.push(await hasAllRecords(setup, ports.operators, agent, id));
    t.diagnostic(
      `${counts.join(', ')} records at the replicas, ${calls()} calls on the host's listener, 6 kills`,
    );
    t.diagnostic(`calls of operators: ${JSON.stringify(Object.fromEntries(codes))}`);
    t.diagnostic(
      `the guest was at another replica after ${recovered.map((each) => each.toFixed(1)).join(', ')} s`,
    );
    assert.equal(codes.get('UNAVAILABLE'), 24);
    assert.deepEqual([...codes.keys()].sort(), ['OK', 'UNAVAILABLE']);
    assert.equal(await replicas[last]?.metric('kata_realm_log_faults_total{kind="broken"}'), 0);
  });
});

describe('replicas without NATS for 20 s', () => {
  it('are not ready, let connections continue, and lose no record', { timeout: 200_000 }, async (t) => {
    const setup = await setUp(t);
    const { homes, replicas, alice, nats } = setup;
    const { agent, stop, calls } = await loadedAgent(setup);
    t.after(async () => await agent.dispose());
    await until(
      'both show it',
      async () => (await listed(setup, 0)).length === 1 && (await listed(setup, 1)).length === 1,
    );
    const [guest] = await listed(setup, 0);
    assert.ok(guest);
    const at = (await replicas[0]?.metric('kata_realm_guests{relay="trusted"}')) === 1 ? 0 : 1;
    const { socket } = await alice.connect(homes[at]?.ports.operators ?? 0, guest.name);
    const local = createClient(AgentService, connect(socket));
    await local.getGuestDetails({});
    await until(
      'some records are stored',
      async () => ((await replicas[at]?.metric('kata_realm_log_records_total')) ?? 0) > 20,
    );
    for (const replica of replicas) assert.equal((await replica.get('/readyz')).status, 200);
    await nats.stop('SIGKILL');
    const begin = performance.now();
    await until(
      'they are not ready',
      async () => (await replicas[at]?.get('/readyz'))?.status === 503,
      20_000,
    );
    t.diagnostic(`not ready after ${((performance.now() - begin) / 1_000).toFixed(1)} s`);
    for (let seconds = 0; seconds < 20; seconds += 1) {
      await local.getGuestDetails({});
      await delay(1_000);
    }
    // Its lease has ended: nobody begins to use it.
    assert.equal((await listed(setup, at)).length, 0);
    await nats.restart();
    const back = performance.now();
    await until('they are ready', async () => {
      const all = await Promise.all(replicas.map((each) => each.get('/readyz')));
      return all.every(({ status }) => status === 200);
    });
    t.diagnostic(`ready ${((performance.now() - back) / 1_000).toFixed(1)} s after NATS`);
    await until(
      'both show it again',
      async () => (await listed(setup, 0)).length === 1 && (await listed(setup, 1)).length === 1,
    );
    t.diagnostic(`shown ${((performance.now() - back) / 1_000).toFixed(1)} s after NATS`);
    await local.getGuestDetails({});
    await stop();
    const counts = [];
    for (const { ports } of homes) counts.push(await hasAllRecords(setup, ports.operators, agent, guest.id));
    t.diagnostic(`${counts.join(', ')} records at the replicas, ${calls()} calls`);
    for (const replica of replicas)
      assert.equal(await replica.metric('kata_realm_log_faults_total{kind="broken"}'), 0);
  });
});

function credentialsOf(user: string | { readonly nkey: string } | undefined, info: string): object {
  if (typeof user === 'string') return { user, pass: user };
  if (user === undefined) return {};
  const nonce = /"nonce":"([^"]+)"/.exec(info)?.[1] ?? '';
  const keys = fromSeed(Buffer.from(readFileSync(user.nkey, 'utf8').trim()));
  return { nkey: keys.getPublicKey(), sig: Buffer.from(keys.sign(Buffer.from(nonce))).toString('base64url') };
}

/** A client of NATS that speaks its protocol as it likes. */
async function natsClient(
  port: number,
  user: string | { readonly nkey: string } | undefined,
): Promise<{ readonly send: (text: string) => Promise<string>; readonly close: () => void }> {
  const socket = connectTcp(port, '127.0.0.1');
  socket.on('error', () => undefined);
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  await once(socket, 'data');
  const options = { verbose: false, pedantic: false, ...credentialsOf(user, text) };
  const send = async (lines: string): Promise<string> => {
    text = '';
    socket.write(`${lines}PING\r\n`);
    const end = Date.now() + 5_000;
    while (!text.includes('PONG') && !socket.destroyed && Date.now() < end) await delay(10);
    return text;
  };
  text = await send(`CONNECT ${JSON.stringify(options)}\r\n`);
  if (!text.includes('PONG')) throw new Error(text);
  return { send, close: () => socket.destroy() };
}

/** Lines of a real log. */
async function makeLines(t: Pick<TestContext, 'after'>, count: number): Promise<readonly Buffer[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-source-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'audit.log');
  const log = await openAuditLog({ file, maxSize: 64 << 20, keep: 1, bootId: 'boot' });
  await log.boot({});
  const method = 'ExecProcess';
  for (let n = 0; n < count; n += 1)
    await log.intent(
      { listener: 'host', peer: 'cid 2', method, payload: Buffer.from('x') },
      { outcome: 'allow', method, listener: 'host', reason: 'listed' },
    );
  await log.close();
  const text = readFileSync(file, 'latin1').trimEnd();
  return text.split('\n').map((line) => Buffer.from(line, 'latin1'));
}

/** A guest that sends these lines, and then what `more` resolves with. */
async function loggingGuest(
  port: number,
  identity: RawGuestOptions['identity'],
  lines: readonly Buffer[],
  more: Promise<readonly Buffer[]> = new Promise(() => undefined),
): Promise<RawGuest> {
  return await echoGuest({
    port,
    identity,
    management: {
      describe: async () => ({ version: '9.9', bootId: 'boot', configurationDigest: '1'.repeat(64) }),
      watchAudit: async function* ({ from }) {
        const begin = lines.findIndex((line) => line.includes(`{"sequence":${from},`));
        for (let at = begin < 0 ? lines.length : begin; at < lines.length; at += 50)
          yield { records: lines.slice(at, at + 50) };
        yield { records: [...(await more)] };
        await new Promise(() => undefined);
      },
    },
  });
}

async function logStates(setup: Setup): Promise<readonly string[]> {
  const states: string[] = [];
  for (const { ports } of setup.homes) {
    const { body } = await setup.alice.request(ports.operators, '/v1/guests/web');
    const { log } = JSON.parse(body) as { log?: { state: string; last: number } | null };
    states.push(`${log?.state} ${log?.last}`);
  }
  return states;
}

describe('the log of a guest that goes from replica to replica', () => {
  it('continues, and its faults are seen at all of them', { timeout: 60_000 }, async (t) => {
    const setup = await setUp(t);
    const { homes, alice } = setup;
    const identity = await guestIdentity();
    const lines = await makeLines(t, 300);
    const gap = [...lines.slice(0, 100), ...lines.slice(110, 200)];
    const ports = homes.map((home) => home.ports);
    const begin = performance.now();
    const first = await loggingGuest(ports[0]?.guests ?? 0, identity, gap);
    await until('both see a gap', async () =>
      isDeepStrictEqual(await logStates(setup), ['gap 200', 'gap 200']),
    );
    t.diagnostic(`seen at both after ${((performance.now() - begin) / 1_000).toFixed(1)} s`);
    const second = await loggingGuest(ports[1]?.guests ?? 0, identity, [...gap, ...lines.slice(200)]);
    await first.closed;
    await until('it continues', async () =>
      isDeepStrictEqual(await logStates(setup), ['gap 301', 'gap 301']),
    );
    const third = await loggingGuest(ports[0]?.guests ?? 0, identity, [
      ...gap,
      ...lines.slice(200),
      Buffer.from('{"sequence":302,"x":1}'),
    ]);
    await second.closed;
    await until('both see that it is broken', async () =>
      isDeepStrictEqual(await logStates(setup), ['broken 301', 'broken 301']),
    );
    third.socket.destroy();
    const stored = [...gap, ...lines.slice(200)].map((line) => `${line.toString('latin1')}\n`).join('');
    await until('it is gone', async () => (await listed(setup, 1)).length === 0);
    for (const { operators } of ports)
      assert.equal((await alice.request(operators, '/v1/guests/web/audit')).body, stored);
    const { body } = await alice.request(ports[1]?.operators ?? 0, '/v1/guests/web/audit?from=250');
    assert.ok(body.startsWith('{"sequence":250,'));
  });

  it('has each record once, though two replicas write it', { timeout: 90_000 }, async (t) => {
    const setup = await setUp(t);
    const { homes, replicas, alice } = setup;
    const ports = homes.map((home) => home.ports);
    const identity = await guestIdentity();
    const lines = await makeLines(t, 3_000);
    let send: (lines: readonly Buffer[]) => void = () => undefined;
    const later = new Promise<readonly Buffer[]>((resolve) => {
      send = resolve;
    });
    const old = await loggingGuest(ports[0]?.guests ?? 0, identity, lines.slice(0, 500), later);
    await until('500 are stored', async () =>
      (await logStates(setup)).every((state) => state === 'verified 500'),
    );
    replicas[0]?.process.kill('SIGSTOP');
    // What the first replica finds in its sockets when it continues.
    send(lines.slice(500, 600));
    await delay(500);
    const next = await loggingGuest(ports[1]?.guests ?? 0, identity, lines);
    await until(
      'all are stored',
      async () => (await replicas[1]?.metric('kata_realm_log_records_total')) === 2_501,
    );
    replicas[0]?.process.kill('SIGCONT');
    await old.closed;
    await delay(3_000);
    const stored = lines.map((line) => `${line.toString('latin1')}\n`).join('');
    for (const { operators } of ports)
      assert.ok((await alice.request(operators, '/v1/guests/web/audit')).body === stored);
    t.diagnostic(
      `the replica that was stopped: ${replicas[0]?.log
        .filter(({ level }) => level !== 'INFO')
        .map(({ msg, error }) => `${msg} ${error ?? ''}`)
        .join('; ')}`,
    );
    next.socket.destroy();
  });
});

describe('kata-agent-ctl through another replica', () => {
  it('speaks TLS to the guest itself, wherever the guest has dialled', { timeout: 60_000 }, async (t) => {
    const setup = await setUp(t);
    const { home, homes, balancer, replicas } = setup;
    const dialled = home.replica('unused');
    dialled.ports.guests = balancer.port;
    const config = guestConfig(dialled, { operators: ['cn:alice'] });
    const agent = await AgentProcess.start({ config, sharesNetwork: true });
    t.after(async () => await agent.dispose());
    await until(
      'both show it',
      async () => (await listed(setup, 0)).length === 1 && (await listed(setup, 1)).length === 1,
    );
    const [guest] = await listed(setup, 0);
    assert.ok(guest);
    const { cert, key } = home.operators.client({ commonNames: ['alice'] });
    home.write('alice.pem', cert);
    home.write('alice.key', key);
    home.write('realm-ca.pem', home.ca.pem);
    const at = (name: string): string => `${home.directory}/${name}`;
    const files = { cert: at('alice.pem'), key: at('alice.key'), 'realm-ca': at('realm-ca.pem') };
    const options = [
      '--pin',
      `spki:sha256:${guest.id}`,
      ...Object.entries(files).flatMap(([name, value]) => [`--${name}`, value]),
    ];
    // Connections of the guest go to the replicas in turn: each of four ways is used.
    for (let call = 0; call < 4; call += 1)
      for (const { ports } of homes) {
        const address = `realm://localhost:${ports.operators}/${guest.name}`;
        const { status, stderr } = await run(['guest', '-a', address, ...options]);
        const reasons = replicas.flatMap(({ log }) => log.filter(({ error }) => error !== undefined));
        assert.equal(status, 0, `${stderr}${JSON.stringify(reasons)}`);
      }
    const joined = await Promise.all(
      replicas.map((each) => each.metric('kata_realm_relayed_bytes_total{direction="to_guest"}')),
    );
    assert.ok(
      joined.every((bytes) => bytes > 0),
      joined.join(' '),
    );
  });
});

async function run(
  argv: readonly string[],
): Promise<{ readonly status: number | null; readonly stderr: string }> {
  const child = spawn(process.execPath, [ctlProgram, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stderr };
}

describe('clients of NATS that are not a replica', () => {
  it('can do nothing in the account of the realm', { timeout: 60_000 }, async (t) => {
    const setup = await setUp(t, 1);
    const { nats, homes } = setup;
    const guest = await echoGuest({ port: homes[0]?.ports.guests ?? 0 });
    await until('it is shown', async () => (await listed(setup, 0)).length === 1);
    const [shown] = await listed(setup, 0);
    await assert.rejects(natsClient(nats.port, undefined), /Authorization Violation/);
    await assert.rejects(natsClient(nats.port, 'realm'), /Authorization Violation/);
    const entry = '{"replica":"00","epoch":0}';
    const publications = [
      `$KV.kata-realm-live.g.${shown?.id}`,
      '$KV.kata-realm-revocations.r.00',
      `kata.realm.log.${shown?.id}.${'0'.repeat(32)}`,
      `kata.realm.token.${'0'.repeat(64)}`,
      `kata.realm.pipe.${'0'.repeat(64)}.a`,
      'kata.realm.replica.00',
      '$JS.API.STREAM.PURGE.kata-realm-logs',
      '$JS.API.STREAM.DELETE.kata-realm-logs',
    ];
    const nobody = await natsClient(nats.port, 'nobody');
    for (const subject of publications) {
      const answer = await nobody.send(`PUB ${subject} ${entry.length}\r\n${entry}\r\n`);
      assert.match(answer, /Permissions Violation for Publish/, subject);
    }
    for (const subject of ['>', 'kata.realm.>', '$KV.>', '_INBOX_kata_realm.>'])
      assert.match(
        await nobody.send(`SUB ${subject} 1\r\n`),
        /Permissions Violation for Subscription/,
        subject,
      );
    // Another account has subjects of its own.
    const other = await natsClient(nats.port, 'other');
    await other.send('SUB > 1\r\n');
    for (const subject of publications) await other.send(`PUB ${subject} ${entry.length}\r\n${entry}\r\n`);
    let heard = '';
    const end = Date.now() + 7_000;
    while (Date.now() < end) heard += await other.send('');
    assert.doesNotMatch(heard, /MSG \S*kata/);
    assert.deepEqual(
      (await listed(setup, 0)).map(({ id }) => id),
      [shown?.id],
    );
    nobody.close();
    other.close();
    guest.socket.destroy();
  });

  it('a replica cannot remove records, or use other streams', { timeout: 60_000 }, async (t) => {
    const setup = await setUp(t, 1);
    const client = await natsClient(setup.nats.port, { nkey: setup.nats.nkey });
    for (const api of [
      'STREAM.PURGE.kata-realm-logs',
      'STREAM.DELETE.kata-realm-logs',
      'STREAM.UPDATE.kata-realm-logs',
      'STREAM.MSG.DELETE.kata-realm-logs',
      'STREAM.DELETE.KV_kata-realm-revocations',
      'STREAM.PURGE.KV_kata-realm-revocations',
      'STREAM.CREATE.other',
      'STREAM.NAMES',
    ])
      assert.match(
        await client.send(`PUB $JS.API.${api} 2\r\n{}\r\n`),
        /Permissions Violation for Publish/,
        api,
      );
    client.close();
  });
});
