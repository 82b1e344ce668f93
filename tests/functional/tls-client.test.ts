import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { createServer as createTtrpcServer, service } from '@kata-agent/ttrpc';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { ctlProgram } from '../harness/repository.js';
import { type RunningEngine, startEngine } from '../harness/tls-engine.js';

const ca = new Authority();

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `kata-agent-ctl check`. */
async function check(...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, NO_COLOR: '1' };
  const child = spawn(process.execPath, [ctlProgram, 'check', ...args], { env, stdio: 'pipe' });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      output[name] += chunk.toString();
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...output };
}

/** Returns the options for a client's files. */
function files(t: TestContext, { cert, key }: ClientCertificate): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'kata-client-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'cert'), cert);
  writeFileSync(join(directory, 'key'), key);
  return ['--cert', join(directory, 'cert'), '--key', join(directory, 'key')];
}

/** An agent's listener that serves Health. Returns the calls, too. */
async function agent(t: TestContext): Promise<RunningEngine & { readonly calls: () => number }> {
  let calls = 0;
  const server = createTtrpcServer<null>({
    services: [
      service<typeof Health, null>(Health, {
        check: async () => {
          calls += 1;
          return { status: HealthCheckResponse_ServingStatus.SERVING };
        },
        version: async () => ({ grpcVersion: '0.0.1', agentVersion: '9.9' }),
      }),
    ],
  });
  t.after(() => server.close());
  const onPeer = (stream: Parameters<typeof server.serve>[0]): void => void server.serve(stream, null);
  return { ...(await startEngine(t, ca, { peers: ['cn:auditor'], onPeer })), calls: () => calls };
}

async function listening(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `tls://127.0.0.1:${(server.address() as { port: number }).port}`;
}

const anyPin = `spki:sha256:${'0'.repeat(64)}`;

describe('kata-agent-ctl -a tls://', () => {
  it('calls an agent that has the pin', async (t) => {
    const { port, own, calls } = await agent(t);
    const args = [...files(t, ca.client()), '--pin', own.pin];
    for (const host of ['127.0.0.1', 'localhost'])
      assert.deepEqual(await check('-a', `tls://${host}:${port}`, ...args), {
        code: 0,
        stdout: 'serving\n',
        stderr: '',
      });
    assert.equal(calls(), 2);
  });

  it('sends nothing to a server with another key', async (t) => {
    const { port, own, peers, calls } = await agent(t);
    const { code, stderr } = await check(
      '-a',
      `tls://127.0.0.1:${port}`,
      '--pin',
      anyPin,
      ...files(t, ca.client()),
    );
    assert.equal(code, 3);
    assert.match(stderr, new RegExp(`is not the expected agent: its public key is ${own.pin}`));
    assert.match(stderr, /--pin expects spki:sha256:000/);
    assert.ok(peers.length <= 1);
    assert.equal(calls(), 0);
  });

  it('never accepts any server: a pin, a certificate and a key are required', async (t) => {
    const given = files(t, ca.client());
    const address = ['-a', 'tls://127.0.0.1:1'];
    const table: readonly [args: readonly string[], pattern: RegExp][] = [
      [given, /needs --pin\n +pass --pin spki:sha256:HEX/],
      [[...given, '--pin', ''], /--pin '': must be spki:sha256: and 64 hex digits/],
      [[...given, '--pin', 'any'], /--pin 'any': must be/],
      [['--pin', anyPin], /needs --cert, --key\n +pass --cert FILE: .*\n +pass --key FILE/],
    ];
    for (const [args, pattern] of table) {
      const { code, stderr } = await check(...address, ...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, pattern);
    }
    const { code, stderr } = await check('-a', 'unix:///none', '--pin', anyPin);
    assert.equal(code, 2);
    assert.match(stderr, /--pin has no effect: the address is not of the form tls:\/\/HOST:PORT/);
  });

  it('files that are not a certificate and its key are named', async (t) => {
    const address = ['-a', 'tls://127.0.0.1:1', '--pin', anyPin];
    const [one, two] = [ca.client(), ca.client()];
    const table: readonly [client: Pick<ClientCertificate, 'cert' | 'key'>, pattern: RegExp][] = [
      [{ cert: one.cert, key: two.key }, /the key is not that of the certificate/],
      [{ cert: one.cert, key: one.cert }, /--cert and --key are not usable/],
      [{ cert: 'nothing', key: one.key }, /a file has no PEM block of its type/],
    ];
    for (const [client, pattern] of table) {
      const { code, stderr } = await check(...address, ...files(t, client as ClientCertificate));
      assert.equal(code, 2, stderr);
      assert.match(stderr, pattern);
    }
    assert.equal((await check(...address, '--cert', '/nonexistent', '--key', '/nonexistent')).code, 3);
  });

  it('a refusal by the agent is an error with its likely causes, although the handshake succeeded', async (t) => {
    const { port, own, calls } = await agent(t);
    for (const client of [
      ca.client({ commonNames: ['admin'] }),
      ca.client({ notAfter: Date.UTC(2021, 0) }),
      new Authority('other').client(),
    ]) {
      const { code, stderr } = await check(
        '-a',
        `tls://127.0.0.1:${port}`,
        '--pin',
        own.pin,
        ...files(t, client),
      );
      assert.equal(code, 3);
      assert.match(stderr, /closed the connection before it answered/);
      assert.match(stderr, /see its audit log; .*\n.*client_ca, or has not clientAuth/);
    }
    assert.equal(calls(), 0);
  });

  it('a server that is not an agent is an error that says so', async (t) => {
    const client = files(t, ca.client());
    const { own } = await startEngine(t, ca);
    const tls = { key: own.key, cert: own.certificate };
    const hash = createHash('sha256').update(
      new X509Certificate(own.certificate).publicKey.export({ type: 'spki', format: 'der' }),
    );
    assert.equal(own.pin, `spki:sha256:${hash.digest('hex')}`);
    const table: readonly [server: Server, pattern: RegExp][] = [
      [
        createTcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
        /cannot reach an agent at tls:/,
      ],
      [createTcpServer((socket) => socket.destroy()), /cannot reach an agent at tls:/],
      [
        createTlsServer({ ...tls, maxVersion: 'TLSv1.2' }),
        /cannot reach an agent at tls:.*protocol version/s,
      ],
      [createTlsServer(tls), /does not offer the protocol kata-agent-ttrpc: is this a tls:\/\/ listener/],
    ];
    for (const [server, pattern] of table) {
      const { code, stderr } = await check('-a', await listening(t, server), '--pin', own.pin, ...client);
      assert.equal(code, 3, stderr);
      assert.match(stderr, pattern);
      assert.doesNotMatch(stderr, /bug in kata-agent-ctl/);
    }
    const silent = await listening(
      t,
      createTcpServer(() => undefined),
    );
    const { code, stderr } = await check('-a', silent, '--pin', own.pin, ...client, '--timeout', '200ms');
    assert.equal(code, 3);
    assert.match(stderr, /no answer within 200 ms/);
    const closed = await check('-a', 'tls://127.0.0.1:1', '--pin', own.pin, ...client);
    assert.match(closed.stderr, /ECONNREFUSED.*\n.*with a tls:\/\/ listener there\?/);
  });
});
