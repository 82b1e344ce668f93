import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { postCheckpoint, serverContext, type ServerOptions, WitnessClient } from '@kata-agent/agent/tls';
import { type AuditLog, openAuditLog } from '@kata-agent/audit';
import {
  agentLogSigner,
  type Checkpoint,
  formatCheckpoint,
  openCheckpoint,
  parseAddCheckpoint,
} from '@kata-agent/tlog';
import { Authority } from '../harness/authority.js';
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
    isRevoked: () => false,
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
      assert.ok(milliseconds >= 1_000, 'never faster than checkpoint_every');
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

test('an honest witness cosigns each round, with a proof from the last', async (t) => {
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

test('a lost answer, a witness that lost its state, and one that was set back are followed', async (t) => {
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

test('a witness of another start is asked from the beginning', async (t) => {
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
  ['a size that is none', answer(409, 'seven\n'), /has not the form/],
  [
    'the size that was sent',
    (response, _honest) => void response.writeHead(409).end('0\n'),
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
  let [isDone, calls] = [false, 0];
  // Calls with an intent go on meanwhile, as those of a pod.
  const busy = (async () => {
    while (!isDone) {
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
    const [what, misbehaves, said] = hostile[at % hostile.length] ?? assert.fail();
    witness.misbehaves = misbehaves;
    const count = failures.length;
    // The one that is under way may still be that of the last kind.
    while (!failures.slice(count).some((failure) => said.test(failure))) {
      await delay(1);
      assert.ok(failures.length < count + 20, `${what}: ${failures.slice(count, count + 2).join('\n')}`);
    }
  }
  isDone = true;
  await busy;
  const grown = process.memoryUsage().rss - before;
  t.diagnostic(
    `${failures.length} failures, ${calls} calls, the slowest ${slowest.toFixed(1)} ms, ${(grown / 2 ** 20).toFixed(0)} MiB`,
  );
  assert.ok(slowest < 1_000, `${slowest}`);
  assert.ok(grown < 128 * 2 ** 20, `${grown}`);
  assert.ok(reads() <= 2);
  witness.misbehaves = undefined;
  const size = await round();
  await until(size);
  assert.equal(log.writable, true);
});

test('a server that is not the one of the CA, name and pin is told nothing', async (t) => {
  const witness = new TestWitness();
  const server = await WitnessServer.start(witness, certificate);
  t.after(() => server.close());
  const { signal } = new AbortController();
  for (const [change, said] of [
    [
      { context: serverContext([new Authority('other').pem]) },
      /not accepted by server_ca|no CA of server_ca/,
    ],
    [{ address: { host: '127.0.0.1', port: server.port, path: '/' } }, /does not name 127\.0\.0\.1/],
    [{ pins: [`spki:sha256:${'0'.repeat(64)}`] }, /not in pins/],
    [{ isRevoked: () => true }, /revoked/],
    [{ now: () => 0 }, /not yet valid/],
  ] as const)
    await assert.rejects(postCheckpoint(serverAt(server.port, change), 'body', signal), said);
  assert.equal(witness.asked.length, 0);
  await assert.rejects(postCheckpoint(serverAt(1), 'body', signal), /ECONNREFUSED|not reached|closed/);
  await assert.rejects(postCheckpoint(serverAt(server.port), 'body', AbortSignal.abort()), /the agent ends/);
});
