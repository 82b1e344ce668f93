import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { postCheckpoint, serverContext, type ServerOptions, WitnessClient } from '@kata-agent/agent/tls';
import { type AuditLog, openAuditLog } from '@kata-agent/audit';
import {
  agentLogSigner,
  type Checkpoint,
  formatCheckpoint,
  type LogVerifier,
  openCheckpoint,
  parseAddCheckpoint,
  parseAgentLogVerifier,
} from '@kata-agent/tlog';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { type DialledIn, DialServer } from '../harness/dial-server.js';
import { ctlProgram } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { type Misbehaviour, TestWitness, WitnessServer } from '../harness/test-witness.js';

const ca = new Authority('witness CA');
const certificate = ca.server(['localhost']);
const other = new TestWitness('other.example/w');
const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);

const allowed = { outcome: 'allow', method: 'ExecProcess', listener: 'host', reason: 'test' } as const;

async function openLog(t: TestContext): Promise<AuditLog> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-witness-'));
  const log = await openAuditLog({
    file: join(directory, 'audit.log'),
    maxSize: 1 << 20,
    keep: 4,
    bootId: 'b',
    signer,
  });
  t.after(async () => {
    await log.close();
    rmSync(directory, { recursive: true });
  });
  return log;
}

function serverAt(port: number, change: Partial<ServerOptions> = {}): ServerOptions {
  return {
    address: { host: 'localhost', port, path: '/prefix/' },
    context: serverContext([ca.pem]),
    pins: [],
    now: Date.now,
    ...change,
  };
}

/** A log, a client that asks again at once after each failure, and what it reports. */
async function setUp(t: TestContext, witness: TestWitness, timeoutMs = 300) {
  const server = await WitnessServer.start(witness, certificate);
  t.after(() => server.close());
  const log = await openLog(t);
  const ending = new AbortController();
  const cosigned: Checkpoint[] = [];
  const failures: string[] = [];
  let reads = 0;
  let time = 0;
  const client = new WitnessClient({
    verifier: witness.signer.verifier,
    logKey: signer.verifier,
    follower: log.follow(),
    everyMs: 1_000,
    longestWindowMs: 4_000,
    post: (body) => postCheckpoint(serverAt(server.port), body, ending.signal, timeoutMs),
    prove: (from, signed) => {
      reads += 1;
      return log.proveSince(from, signed);
    },
    onCosigned: (checkpoint) => cosigned.push(checkpoint),
    reports: {
      failed: (failure, why) => void failures.push(`${failure}: ${why}`),
      cosigned: () => undefined,
    },
    wait: (milliseconds) => {
      assert.ok(milliseconds >= 1_000 && milliseconds <= 5_000, 'never faster than checkpoint_every');
      time += milliseconds;
      return delay(1);
    },
    now: () => time,
  });
  t.after(async () => {
    ending.abort();
    await client.end();
  });
  await log.boot({});
  const write = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1)
      await log.intent(
        { listener: 'host', peer: 'cid 2', method: 'ExecProcess', payload: Buffer.from([n]) },
        allowed,
      );
  };
  const round = async (): Promise<number> => {
    const { size } = await log.checkpointRound();
    client.wake();
    return size;
  };
  const until = async (size: number): Promise<void> => {
    while (cosigned.at(-1)?.head.size !== size) await delay(2);
  };
  return { log, client, cosigned, failures, write, round, until, reads: () => reads, port: server.port };
}

test('an honest witness cosigns each round, with a proof from the last', { timeout: 60_000 }, async (t) => {
  const witness = new TestWitness();
  const { cosigned, failures, write, round, until } = await setUp(t, witness);
  witness.enrol(signer.verifier);
  const sizes: number[] = [];
  for (let at = 0; at < 12; at += 1) {
    await write(at);
    sizes.push(await round());
    await until(sizes.at(-1) ?? 0);
  }
  assert.deepEqual(failures, []);
  assert.deepEqual(
    witness.asked.map(({ path, oldSize, size, status }) => [path, oldSize, size, status]),
    sizes.map((size, at) => ['POST /prefix/add-checkpoint', sizes[at - 1] ?? 0, size, 200]),
  );
  const last = cosigned.at(-1) ?? assert.fail();
  const opened = openCheckpoint(formatCheckpoint(last), {
    logs: [signer.verifier],
    witnesses: [witness.signer.verifier],
  });
  assert.equal(opened.witnesses.length, 1);
  // Another server than a listener's gets no certificate of the agent.
  assert.ok(witness.asked.every(({ hasCertificate }) => !hasCertificate));
});

test('a lost answer, a witness that lost its state, and one that was set back are followed', {
  timeout: 60_000,
}, async (t) => {
  const witness = new TestWitness();
  const { failures, write, round, until, reads } = await setUp(t, witness);
  witness.enrol(signer.verifier);
  await round();
  await until(1);
  // It cosigns, and the answer does not arrive.
  witness.misbehaves = (_response, honest, socket) => {
    honest();
    witness.misbehaves = undefined;
    socket.destroy();
  };
  await write(3);
  await until(await round());
  await write(3);
  await until(await round());
  assert.deepEqual(failures.length, 1);
  const back = witness.latest.get(signer.verifier.name) ?? assert.fail();
  await write(2);
  await until(await round());
  witness.latest.clear();
  await write(2);
  await until(await round());
  assert.equal(reads(), 0);
  witness.latest.set(signer.verifier.name, back);
  await write(2);
  await until(await round());
  assert.equal(reads(), 1, 'the log was read for a proof from a size that is not kept');
  assert.deepEqual(failures.length, 1);
});

test('a witness of another start is asked from the beginning', { timeout: 60_000 }, async (t) => {
  const witness = new TestWitness();
  const { failures, round, until, write } = await setUp(t, witness);
  await write(2);
  const first = await round();
  while (failures.length < 2) await delay(2);
  assert.match(failures[0] ?? '', /does not know this log \(404\): its origin must be enrolled/);
  // Meanwhile the log grows, and the witness is sent the first checkpoint and then the newest.
  await write(5);
  const size = await round();
  witness.enrol(signer.verifier);
  await until(size);
  assert.deepEqual(
    witness.asked.filter(({ status }) => status === 200).map(({ oldSize, size: to }) => [oldSize, to]),
    [
      [0, first],
      [first, size],
    ],
  );
});

const answer =
  (status: number, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Misbehaviour =>
  (response) =>
    void response.writeHead(status, headers).end(body);

const hostile: readonly (readonly [string, Misbehaviour, RegExp])[] = [
  ['nothing', () => undefined, /no answer within/],
  ['closed', (_response, _honest, socket) => socket.destroy(), /its answer ended early/],
  ['not HTTP', (_response, _honest, socket) => void socket.end('SSH-2.0\r\n\r\n'), /its answer ended early/],
  [
    'headers without end',
    (_response, _honest, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(100_000)}`);
    },
    /its answer ended early/,
  ],
  [
    '10 MB',
    (response) => {
      response.writeHead(200).end(Buffer.alloc(10 * 1024 * 1024, 'a'));
    },
    /more than 16384 bytes/,
  ],
  [
    'a drip',
    (response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    },
    /no answer within/,
  ],
  ['an empty 200', answer(200, ''), /no valid cosignature/],
  ['garbage', answer(200, Buffer.alloc(1000, 0xff)), /has not the form/],
  ['text', answer(200, '<html>hello</html>'), /has not the form/],
  [
    'a cosignature of another witness',
    (response, _honest, _socket, body) => {
      const { text } = parseAddCheckpoint(body).checkpoint.note;
      response.writeHead(200).end(other.signer.cosign(text, 1_700_000_000));
    },
    /no valid cosignature/,
  ],
  [
    'a cosignature of another checkpoint',
    (response) => {
      response.writeHead(200).end(hostileWitness.signer.cosign('another\n', 1_700_000_000));
    },
    /no valid cosignature/,
  ],
  ['a redirect', answer(302, '', { Location: 'https://localhost:1/' }), /answers with status 302/],
  [
    '100 Continue and so on',
    (response) => (response.writeProcessing(), undefined),
    /answers with status 102/,
  ],
  [
    'an Upgrade',
    (_response, _honest, socket) =>
      void socket.write('HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    /status 101/,
  ],
  ['an invalid size', answer(409, 'seven\n'), /has not the form/],
  [
    'the size that was sent',
    (response, _honest) => void response.writeHead(409).end('0\n'),
    /does not accept the size/,
  ],
  [
    'one size and then another',
    (response, _honest, _socket, body) => {
      const { oldSize, checkpoint } = parseAddCheckpoint(body);
      response.writeHead(409).end(oldSize === 0 ? `${checkpoint.head.size}\n` : '0\n');
    },
    /does not accept the size/,
  ],
  ['more records than there are', answer(409, '9007199254740991\n'), /^fork: .*more records/],
  ['another tree', answer(422, 'no'), /^fork: .*another tree/],
  ['no log', answer(404, ''), /does not know this log/],
  ['no signature', answer(403, ''), /does not accept the signature/],
  ['a fault', answer(500, 'x'), /answers with status 500/],
];
const hostileWitness = new TestWitness('hostile.example/w');

test('100 hostile answers cost nothing but their attempts', { timeout: 120_000 }, async (t) => {
  const witness = hostileWitness;
  const { log, failures, write, round, until, reads } = await setUp(t, witness);
  witness.enrol(signer.verifier);
  await write(3);
  let slowest = 0;
  const done = new AbortController();
  let calls = 0;
  // Calls with an intent continue meanwhile, as those of a pod.
  const busy = (async () => {
    while (!done.signal.aborted) {
      const begin = performance.now();
      await write(1);
      calls += 1;
      slowest = Math.max(slowest, performance.now() - begin);
      await delay(5);
    }
  })();
  const before = process.memoryUsage().rss;
  await round();
  for (let at = 0; at < 100; at += 1) {
    const [what, misbehaves, expectedText] = hostile[at % hostile.length] ?? assert.fail();
    witness.misbehaves = misbehaves;
    const count = failures.length;
    // The one that is under way may still be that of the last kind.
    while (!failures.slice(count).some((failure) => expectedText.test(failure))) {
      await delay(1);
      assert.ok(failures.length < count + 20, `${what}: ${failures.slice(count, count + 2).join('\n')}`);
    }
  }
  done.abort();
  await busy;
  const grown = process.memoryUsage().rss - before;
  t.diagnostic(
    `${failures.length} failures, ${calls} calls, the slowest ${slowest.toFixed(1)} ms, ${(grown / 2 ** 20).toFixed(0)} MiB`,
  );
  assert.ok(slowest < 5_000, `${slowest}`);
  assert.ok(grown < 128 * 2 ** 20, `${grown}`);
  assert.ok(reads() <= 2);
  witness.misbehaves = undefined;
  const size = await round();
  await until(size);
  assert.equal(log.writable, true);
});

test('a server that is not the one of the CA, name and pin receives nothing', async (t) => {
  const witness = new TestWitness();
  const server = await WitnessServer.start(witness, certificate);
  t.after(() => server.close());
  const { signal } = new AbortController();
  for (const [change, expectedText] of [
    [
      { context: serverContext([new Authority('other').pem]) },
      /not accepted by server_ca|no CA of server_ca/,
    ],
    [{ address: { host: '127.0.0.1', port: server.port, path: '/' } }, /does not name 127\.0\.0\.1/],
    [{ pins: [`spki:sha256:${'0'.repeat(64)}`] }, /not in pins/],
    [{ now: () => 0 }, /not yet valid/],
  ] as const)
    await assert.rejects(postCheckpoint(serverAt(server.port, change), 'body', signal), expectedText);
  assert.equal(witness.asked.length, 0);
  await assert.rejects(postCheckpoint(serverAt(1), 'body', signal), /ECONNREFUSED|not reached|closed/);
  await assert.rejects(postCheckpoint(serverAt(server.port), 'body', AbortSignal.abort()), /the agent ends/);
});

/** The document of an agent that is dialled in at a realm with a witness. */
function configOf(port: number, audit: string, witnesses: string): string {
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev", "SignalProcess"]

[[listener]]
name = "host"
address = "vsock://-1:1024"
management = ["GetCheckpoint"]

[[listener]]
name = "second"
address = "vsock://-1:1025"

[[listener]]
name = "realm"
address = "https://localhost:${port}/guests"
tls = { server_ca = ${JSON.stringify(ca.pem)}, pins = ["spki:sha256:${certificate.spki()}"] }
relay = "trusted"

[audit]
checkpoint_every = "1s"
${audit}
${witnesses}`;
}

const entryOf = (witness: TestWitness, rest: string): string =>
  `[[audit.witness]]\nkey = "${witness.key}"\n${rest}\n`;

type Fields = Readonly<Record<string, unknown>>;

function logKeyOf(records: readonly Fields[]): LogVerifier {
  const boot = records.find(({ kind }) => kind === 'boot') ?? assert.fail();
  return parseAgentLogVerifier(String(boot['logKey']));
}

/** Runs kata-agent-ctl. The witness is in this process. */
async function ctl(
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(process.execPath, [ctlProgram, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out };
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<number> {
  const begin = performance.now();
  while (!(await holds())) {
    assert.ok(performance.now() - begin < 20_000, what);
    await delay(20);
  }
  return performance.now() - begin;
}

const reseed = { data: new Uint8Array(8) };

describe('an agent with a witness in its realm, and required_within', () => {
  const witness = new TestWitness('realm.example/w1');
  let server: DialServer;
  let agent: AgentProcess;
  let guest: DialledIn;
  let host: AgentConnection;
  const refusals = (): readonly Fields[] =>
    agent.records().filter(({ decision }) => (decision as Fields | undefined)?.['code'] === 'KA3104');
  const reseedOn = async ({ agent: client }: Pick<AgentConnection, 'agent'>): Promise<string> =>
    (await answerOf(client.reseedRandomDev(reseed))).code;

  before(async () => {
    server = await DialServer.start(certificate);
    server.onRequest = (request, response) =>
      void witness.handle(request, response).catch(() => request.socket.destroy());
    agent = await AgentProcess.start({
      config: configOf(
        server.port,
        'required_within = "3s"\nheartbeat = "1s"',
        entryOf(witness, 'via = "realm"'),
      ),
      sharesNetwork: true,
    });
    guest = await server.next();
    host = await agent.connect();
  });
  after(async () => {
    await agent.dispose();
    await server.close();
  });

  it('refuses changes of the host from the boot record on, until a witness answers', async (t) => {
    // The witness does not know the log yet.
    assert.equal(await reseedOn(host), 'OK');
    const away = await eventually('refused', async () => (await reseedOn(host)) === 'UNAVAILABLE');
    witness.enrol(logKeyOf(agent.records()));
    const back = await eventually('served', async () => (await reseedOn(host)) === 'OK');
    t.diagnostic(
      `refused after ${away.toFixed(0)} ms, served ${back.toFixed(0)} ms after the witness was there`,
    );
    assert.ok(away > 1_500 && away < 5_000, `${away}`);
    assert.deepEqual([...new Set(witness.asked.map(({ status }) => status))], [404, 200]);
    assert.ok(witness.asked.every(({ path }) => path === 'POST /guests/add-checkpoint'));
    assert.ok(witness.asked.every(({ hasCertificate }) => hasCertificate));
  });

  it('keeps the cosigned checkpoint, which a reader verifies with the key of the witness', async () => {
    await eventually('cosigned', () => existsSync(`${agent.auditLog}.cosigned`));
    const address = ['-a', `unix://${agent.socketPath}`];
    const [first, next, cosigned] = ['first', 'next', 'cosigned'].map((name) => join(agent.directory, name));
    assert.ok(first !== undefined && next !== undefined && cosigned !== undefined);
    const got = await ctl('audit', 'checkpoint', ...address, '--cosigned');
    assert.equal(got.code, 0, got.out);
    writeFileSync(cosigned, got.out);
    const trust = ['--witness', witness.key, '--quorum', '1'];
    for (const file of [cosigned, `${agent.auditLog}.cosigned`]) {
      const verified = await ctl('audit', 'verify', agent.auditLog, '--checkpoint', file, ...trust);
      assert.equal(verified.code, 0, verified.out);
      assert.match(verified.out, /: cosigned by 1 witness\ncosigned by realm\.example\/w1 at /);
    }
    const plain = await ctl('audit', 'checkpoint', ...address);
    writeFileSync(first, plain.out);
    const self = await ctl('audit', 'verify', agent.auditLog, '--checkpoint', first, ...trust);
    assert.equal(self.code, 4);
    assert.match(self.out, /cosigned by 0 of 1 witnesses/);
    assert.equal(await reseedOn(host), 'OK');
    // From the older one, and from the cosigned one.
    for (const since of [first, cosigned]) {
      const continued = await ctl('audit', 'checkpoint', ...address, '--since', since);
      assert.equal(continued.code, 0, continued.out);
      writeFileSync(next, continued.out);
    }
    const wrong = readFileSync(first, 'utf8').split('\n');
    wrong[2] = Buffer.alloc(32, 1).toString('base64');
    writeFileSync(next, wrong.join('\n'));
    const forked = await ctl('audit', 'checkpoint', ...address, '--since', next);
    assert.equal(forked.code, 4);
    assert.match(forked.out, /does not continue the older checkpoint/);
    wrong[1] = '1000000';
    writeFileSync(next, wrong.join('\n'));
    const longer = await ctl('audit', 'checkpoint', ...address, '--since', next);
    assert.equal(longer.code, 4, longer.out);
    assert.match(longer.out, /its log is another one/);
    wrong[0] = `kata-agent/${'0'.repeat(64)}`;
    wrong[1] = '1';
    writeFileSync(next, wrong.join('\n'));
    assert.match(
      (await ctl('audit', 'checkpoint', ...address, '--since', next)).out,
      /the agent was started again/,
    );
    assert.equal((await ctl('audit', 'checkpoint', ...address, '--since', first, '--cosigned')).code, 2);
  });

  it('refuses what it should while the witness is away, and nothing else', async (t) => {
    const second = await agent.connect({ port: 1025 });
    witness.misbehaves = (_response, _honest, socket) => socket.destroy();
    const count = refusals().length;
    const away = await eventually('refused', async () => (await reseedOn(host)) === 'UNAVAILABLE');
    assert.ok(away > 1_500 && away < 6_000, `${away}`);
    const denied = await answerOf(host.agent.reseedRandomDev(reseed));
    assert.match(denied.message, /no quorum of witnesses.*within required_within.*KA3104/);
    // The host connects there too.
    assert.equal(await reseedOn(second), 'UNAVAILABLE');
    assert.equal(await reseedOn(guest), 'OK');
    for (const { agent: client, health } of [host, second, guest]) {
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK');
      assert.equal((await answerOf(health.check({}))).code, 'OK');
      assert.equal((await answerOf(health.version({}))).code, 'OK');
      // What ends something reaches its handler.
      assert.notEqual((await answerOf(client.signalProcess({ containerId: 'c' }))).code, 'UNAVAILABLE');
    }
    assert.equal((await ctl('audit', 'checkpoint', '-a', `unix://${agent.socketPath}`)).code, 0);
    // Those of this time may be counted with those of the first.
    await eventually('recorded', () => refusals().length > count);
    const [refused] = refusals();
    assert.deepEqual([refused?.['kind'], refused?.['method']], ['refusal', 'ReseedRandomDev']);
    witness.misbehaves = undefined;
    const back = await eventually('served', async () => (await reseedOn(host)) === 'OK');
    t.diagnostic(`refused after ${away.toFixed(0)} ms, served again after ${back.toFixed(0)} ms`);
    assert.equal(await reseedOn(second), 'OK');
    assert.match(agent.log.join('\n'), /calls are served again/);
    assert.equal((await ctl('audit', 'verify', agent.auditLog)).code, 0);
  });

  it('reports a tree that the witness has cosigned and this log does not continue: a clone', async () => {
    const { name } = logKeyOf(agent.records());
    const latest = witness.latest.get(name) ?? assert.fail();
    const clone = { size: latest.size, root: Buffer.alloc(32, 7).toString('hex') as typeof latest.root };
    const found = (): readonly Fields[] => agent.records().filter(({ method }) => method === '(witness)');
    const time = await eventually('recorded', () => {
      // The agent may be about to be cosigned.
      if ((witness.latest.get(name)?.root ?? '') !== clone.root)
        witness.latest.set(name, { ...clone, size: witness.latest.get(name)?.size ?? 0 });
      return found().length > 0;
    });
    assert.ok(time < 5_000, `${time}`);
    const [record] = found();
    assert.deepEqual(
      [record?.['kind'], record?.['listener'], record?.['peer']],
      ['call', 'realm', 'witness realm.example/w1'],
    );
    assert.match(JSON.stringify(record?.['result']), /DATA_LOSS.*another tree of this log/);
    // The log is another stream, and can be later than the record.
    const reported = /"ERRO"[^\n]*another tree of this log[^\n]*witness did not cosign/;
    await eventually('reported', () => reported.test(agent.log.join('\n')));
    await delay(2_500);
    assert.equal(found().length, 1, 'once');
    await eventually('refused', async () => (await reseedOn(host)) === 'UNAVAILABLE');
    witness.latest.delete(name);
    await eventually('served', async () => (await reseedOn(host)) === 'OK');
  });
});

describe('agents with other witnesses', () => {
  it('need no listener that dials', async (t) => {
    const witness = new TestWitness();
    const server = await WitnessServer.start(witness, certificate);
    const url = `via = "https://localhost:${server.port}"\nca = ${JSON.stringify(ca.pem)}`;
    const config = `[api]\nallowed_endpoints = ["GetGuestDetails"]\n[audit]\ncheckpoint_every = "1s"\n${entryOf(witness, url)}`;
    const agent = await AgentProcess.start({ config, sharesNetwork: true });
    t.after(async () => {
      await agent.dispose();
      await server.close();
    });
    witness.enrol(logKeyOf(agent.records()));
    await eventually('cosigned', () => existsSync(`${agent.auditLog}.cosigned`));
    assert.deepEqual([...new Set(witness.asked.map(({ path }) => path))], ['POST /add-checkpoint']);
  });

  it('cosign the last records before the agent ends', async (t) => {
    const witness = new TestWitness();
    const server = await WitnessServer.start(witness, certificate);
    const url = `via = "https://localhost:${server.port}"\nca = ${JSON.stringify(ca.pem)}`;
    const config = `[api]\nallowed_endpoints = ["ReseedRandomDev"]\n[audit]\ncheckpoint_every = "1h"\n${entryOf(witness, url)}`;
    const agent = await AgentProcess.start({ config, sharesNetwork: true });
    t.after(async () => {
      await agent.dispose();
      await server.close();
    });
    // The next attempt would be an hour later.
    await eventually('refused', () => witness.asked.some(({ status }) => status === 404));
    const key = logKeyOf(agent.records());
    witness.enrol(key);
    const host = await agent.connect();
    assert.equal((await answerOf(host.agent.reseedRandomDev(reseed))).code, 'OK');
    const before = agent.records().length;
    assert.equal(await agent.stop(), 0);
    const { head } = openCheckpoint(readFileSync(`${agent.auditLog}.cosigned`, 'utf8'), {
      logs: [key],
      witnesses: [witness.signer.verifier],
    });
    assert.ok(head.size >= before && before >= 2, `${head.size} ${before}`);
  });

  it('do not start with an invalid CA', async () => {
    const witness = new TestWitness();
    const url = `via = "https://localhost:1"\nca = "-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n"`;
    const config = `[api]\nallowed_endpoints = ["GetGuestDetails"]\n[audit]\n${entryOf(witness, url)}`;
    const { code, stderr } = await AgentProcess.run({ config });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /witness witness\.example\/w1: ca /);
  });

  it('demand the quorum on one checkpoint, and are enrolled anew after a crash', async (t) => {
    const [one, two] = [new TestWitness('realm.example/w1'), new TestWitness('other.example/w2')];
    const realm = await DialServer.start(certificate);
    realm.onRequest = (request, response) => void one.handle(request, response);
    const server = await WitnessServer.start(two, certificate);
    const directory = mkdtempSync(join(tmpdir(), 'kata-witness-'));
    t.after(async () => {
      await realm.close();
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    });
    const file = join(directory, 'audit.log');
    const url = `via = "https://localhost:${server.port}/w"\nca = ${JSON.stringify(ca.pem)}`;
    const config = configOf(
      realm.port,
      `file = "${file}"\nwitness_quorum = 2`,
      entryOf(one, 'via = "realm"') + entryOf(two, url),
    );
    const recordsOf = (): readonly Fields[] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Fields);
    const origins: string[] = [];
    for (let start = 0; start < 2; start += 1) {
      const agent = await AgentProcess.start({ config, sharesNetwork: true });
      t.after(() => agent.dispose());
      const boots = recordsOf().filter(({ kind }) => kind === 'boot');
      const key = parseAgentLogVerifier(String(boots.at(-1)?.['logKey']));
      origins.push(key.name);
      one.enrol(key);
      await eventually('the first witness', () => one.latest.has(key.name));
      const opened = (): Checkpoint | undefined => {
        const text = existsSync(`${file}.cosigned`) ? readFileSync(`${file}.cosigned`, 'utf8') : '';
        if (!text.startsWith(key.name)) return undefined;
        return openCheckpoint(text, { logs: [key], witnesses: [one.signer.verifier, two.signer.verifier] });
      };
      assert.equal(opened(), undefined, 'one is not enough');
      two.enrol(key);
      const host = await agent.connect();
      await eventually('both', async () => {
        assert.equal((await answerOf(host.agent.reseedRandomDev(reseed))).code, 'OK');
        return opened()?.witnesses.length === 2;
      });
      agent.process.kill('SIGKILL');
      await agent.exited;
    }
    assert.equal(new Set(origins).size, 2);
    const trust = ['--witness', one.key, '--witness', two.key, '--quorum', '2'];
    const verified = await ctl('audit', 'verify', file, '--checkpoint', `${file}.cosigned`, ...trust);
    assert.equal(verified.code, 0, verified.out);
    assert.match(verified.out, /cosigned by 2 witnesses/);
  });
});
