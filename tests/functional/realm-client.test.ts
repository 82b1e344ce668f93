import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { openAuditLog } from '@kata-agent/audit';
import type { Guest } from '@kata-agent/realm';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { parsePin } from '@kata-agent/x509';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { DialServer } from '../harness/dial-server.js';
import { guestOf, type GuestServer, guestServer, TestRealm, trustedGuest } from '../harness/realm.js';
import { ctlProgram } from '../harness/repository.js';
import { type RunningEngine, startEngine, until } from '../harness/tls-engine.js';

const ca = new Authority('realm CA');
const operatorCa = new Authority('operators CA');
const certificate = ca.server(['localhost']);
const uri = 'spiffe://example/ops/alice';
const alice = operatorCa.client({ commonNames: ['alice'], uris: [uri] });
const all = { verbs: ['list', 'connect', 'audit', 'revoke'] } as const;
const anyPin = `spki:sha256:${'0'.repeat(64)}`;

interface Running {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

function start(t: TestContext, args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [ctlProgram, ...args], {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: 'pipe',
  });
  t.after(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      output[name] += chunk.toString();
    });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve)).then((code) => ({
    code,
    ...output,
  }));
  return { child, output, ended };
}

const run = (t: TestContext, ...args: readonly string[]): Running['ended'] => start(t, args).ended;

/** Returns the options for files. */
function files(
  t: TestContext,
  { cert, key }: Pick<ClientCertificate, 'cert' | 'key'> = alice,
  realmCa = ca.pem,
): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'kata-client-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const options = { cert, key, 'realm-ca': realmCa };
  return Object.entries(options).flatMap(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return [`--${name}`, join(directory, name)];
  });
}

const startRealm = (t: TestContext, change: Partial<Parameters<typeof TestRealm.start>[1]> = {}) =>
  TestRealm.start(t, { certificate, operatorCa: operatorCa.pem, rights: { [uri]: all }, ...change });

/** A guest with relay = "operator-tls": the engine of a real agent, that the realm reaches. */
async function tlsGuest(
  t: TestContext,
  realm: TestRealm,
  handlers: Parameters<typeof guestServer>[1] = {},
): Promise<
  Pick<RunningEngine, 'own'> & {
    readonly guest: Guest;
    readonly server: GuestServer;
    /** Of the operators that the guest has accepted. */
    readonly subjects: readonly string[];
  }
> {
  const server = guestServer(t, handlers);
  const subjects: string[] = [];
  const engine = await startEngine(t, operatorCa, {
    peers: [`uri:${uri}`],
    onPeer: (stream, { identity }) => {
      subjects.push(identity.subject);
      server.serve(stream);
    },
  });
  const guest = guestOf('web', { id: parsePin(engine.own.pin) ?? '' });
  realm.guests.push(guest);
  realm.open = async () => connectTcp({ port: engine.port, host: '127.0.0.1', allowHalfOpen: true });
  return { own: engine.own, guest, server, subjects };
}

describe('kata-agent-ctl -a realm://, relay = "operator-tls"', () => {
  it('calls a guest, in TLS of its own, by its name or its ID', async (t) => {
    const realm = await startRealm(t);
    const { own, guest, server, subjects } = await tlsGuest(t, realm);
    const options = files(t);
    // Nothing comes from the environment: nothing listens there.
    const env = {
      HTTPS_PROXY: 'http://127.0.0.1:1',
      NODE_USE_ENV_PROXY: '1',
      NODE_TLS_REJECT_UNAUTHORIZED: '1',
    };
    const byName = start(t, ['check', '-a', `${realm.address}/web`, '--pin', own.pin, ...options], env);
    assert.deepEqual(await byName.ended, { code: 0, stdout: 'serving\n', stderr: '' });
    // The whole ID is the pin.
    assert.deepEqual(await run(t, 'check', '-a', `${realm.address}/${guest.id}`, ...options), {
      code: 0,
      stdout: 'serving\n',
      stderr: '',
    });
    const pins = ['--pin', own.pin, '--realm-pin', `spki:sha256:${certificate.spki()}`];
    const described = await run(t, 'describe', '-a', `${realm.address}/web`, ...pins, ...options);
    assert.equal(described.code, 0, described.stderr);
    assert.match(described.stdout, /version +9\.9/);
    assert.deepEqual(subjects, ['CN=alice', 'CN=alice', 'CN=alice']);
    assert.equal(server.calls.length, 3);
    assert.deepEqual(realm.denied(), []);
    assert.ok(realm.service.counts.bytes.toGuest > 1_000);
    await until(() => realm.sockets.size === 0);
  });

  it('sends nothing to a guest with another key, whatever the realm says', async (t) => {
    const realm = await startRealm(t);
    const { own, guest, server } = await tlsGuest(t, realm);
    const options = files(t);
    const honest = await run(t, 'check', '-a', `${realm.address}/web`, '--pin', anyPin, ...options);
    assert.equal(honest.code, 3);
    assert.match(honest.stderr, new RegExp(`is not the expected agent: its public key is ${own.pin}`));
    assert.equal(realm.service.counts.bytes.toGuest, 0);
    // A realm that lies about the guest.
    realm.guests.splice(0, 1, { ...guest, id: '0'.repeat(64) });
    const lying = await run(t, 'check', '-a', `${realm.address}/web`, '--pin', anyPin, ...options);
    assert.equal(lying.code, 3);
    assert.match(lying.stderr, new RegExp(`its public key is ${own.pin}\n +--pin expects ${anyPin}`));
    assert.deepEqual(server.calls, []);
  });

  it('a realm that would make the calls itself is left before anything is sent', async (t) => {
    const realm = await startRealm(t);
    const { guest, server } = await trustedGuest(t, 'web');
    realm.guests.push(guest);
    const options = files(t);
    const at = ['check', '-a', `${realm.address}/web`, ...options];
    for (const relay of [[], ['--relay', 'operator-tls']]) {
      const { code, stderr } = await run(t, ...at, '--pin', anyPin, ...relay);
      assert.equal(code, 3);
      assert.match(
        stderr,
        /the realm would make the calls itself \(relay = "trusted"\), and --pin cannot be checked/,
      );
      assert.match(stderr, /pass --relay trusted without --pin/);
    }
    assert.deepEqual(server.calls, []);
    assert.equal((await run(t, ...at, '--relay', 'trusted')).code, 0);
    assert.equal(server.calls.length, 1);
  });

  it('a refusal by the guest is an error with its likely causes', async (t) => {
    const realm = await startRealm(t, { rights: { 'spiffe://example/ops/bob': all } });
    const { own } = await tlsGuest(t, realm);
    const bob = operatorCa.client({ uris: ['spiffe://example/ops/bob'] });
    const { code, stderr } = await run(
      t,
      'check',
      '-a',
      `${realm.address}/web`,
      '--pin',
      own.pin,
      ...files(t, bob),
    );
    assert.equal(code, 3);
    assert.match(stderr, /closed the connection before it answered.*\n.*see its audit log/);
  });

  it('exec, and the realm or the guest that dies in the middle of it', async (t) => {
    for (const dies of ['nothing', 'the realm', 'the guest'] as const) {
      const realm = await startRealm(t);
      let reads = 0;
      const { own, server } = await tlsGuest(t, realm, {
        execProcess: async () => ({}),
        readStdout: async () => {
          reads += 1;
          if (reads === 1) return { data: Buffer.from('the first line\n') };
          if (dies === 'nothing') return { data: new Uint8Array() };
          return await new Promise(() => undefined);
        },
        readStderr: async () => ({ data: new Uint8Array() }),
        closeStdin: async () => ({}),
        waitProcess: () => (dies === 'nothing' ? { status: 3 } : new Promise(() => undefined)),
      });
      const { output, ended } = start(t, [
        'exec',
        '-a',
        `${realm.address}/web`,
        '--pin',
        own.pin,
        ...files(t),
        'container',
        'true',
      ]);
      await until(() => output.stdout === 'the first line\n', 20_000).catch(() => assert.fail(output.stderr));
      if (dies === 'the realm') realm.close();
      if (dies === 'the guest') server.close();
      const { code, stderr } = await ended;
      if (dies === 'nothing') assert.equal(code, 3, stderr);
      else {
        assert.equal(code, 125, stderr);
        assert.match(stderr, /UNAVAILABLE.*the connection was closed/s);
      }
      assert.equal(server.calls.filter(({ method }) => method === 'ExecProcess').length, 1);
    }
  });
});

describe('kata-agent-ctl -a realm://, what is refused', () => {
  it('options that are missing or have no effect', async (t) => {
    const [cert, certFile, key, keyFile, realmCa, caFile] = files(t) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const web = ['-a', 'realm://localhost:1/web'];
    const given = [cert, certFile, key, keyFile, realmCa, caFile];
    const table: readonly [args: readonly string[], pattern: RegExp][] = [
      [
        ['check', ...web],
        /needs --cert, --key, --realm-ca\n +pass --cert FILE.*\n.*\n +pass --realm-ca FILE/,
      ],
      [['check', ...web, cert, certFile, key, keyFile, '--pin', anyPin], /needs --realm-ca\n/],
      [['check', ...web, ...given], /needs --pin\n.*or its whole ID as GUEST; or --relay trusted/],
      [['check', ...web, ...given, '--pin', 'any'], /--pin 'any': must be/],
      [['check', ...web, ...given, '--realm-pin', 'x', '--pin', anyPin], /--realm-pin 'x': must be/],
      [
        ['check', ...web, ...given, '--relay', 'trusted', '--pin', anyPin],
        /--pin has no effect: with --relay trusted/,
      ],
      [['check', ...web, ...given, '--relay', 'any'], /argument 'any' is invalid/],
      [
        ['check', ...web, cert, certFile, key, keyFile, realmCa, '/dev/null', '--pin', anyPin],
        /--realm-ca \/dev\/null: /,
      ],
      [
        ['check', '-a', 'realm://localhost', ...given, '--pin', anyPin],
        /the guest is missing\n +append \/GUEST/,
      ],
      [
        [
          'check',
          '-a',
          'tls://localhost:1',
          cert,
          certFile,
          key,
          keyFile,
          '--pin',
          anyPin,
          '--relay',
          'trusted',
        ],
        /--relay has no effect/,
      ],
      [['check', '-a', 'unix:///x', realmCa, caFile], /--realm-ca has no effect/],
      [
        ['realm', 'guests', '-a', 'realm://localhost:1', ...given, '--pin', anyPin],
        /--pin has no effect: the request is to the realm/,
      ],
      [['realm', 'guests', '-a', 'unix:///x'], /it is not that of a realm/],
      [['realm', 'audit', '-a', 'realm://localhost:1', ...given], /the guest is missing/],
      [
        ['realm', 'audit', '-a', 'realm://localhost:1/web', ...given, '--from', '0'],
        /--from '0': must be a sequence/,
      ],
      [['realm', 'revoke', '-a', 'realm://localhost:1/web', ...given], /name either a peer, or --serial/],
    ];
    for (const [args, pattern] of table) {
      const { code, stderr } = await run(t, ...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, pattern);
    }
  });

  it('a realm of another CA, name or key learns nothing, and neither does a stranger', async (t) => {
    const guests = ['realm', 'guests', '-a'];
    const wrong: readonly [server: ClientCertificate, more: readonly string[], pattern: RegExp][] = [
      [new Authority('realm CA').server(['localhost']), [], /no CA of --realm-ca accepts its certificate \(/],
      [ca.server(['other.example']), [], /its certificate does not name localhost/],
      [
        ca.client({ commonNames: ['localhost'], usages: ['1.3.6.1.5.5.7.3.1'] }),
        [],
        /does not name localhost/,
      ],
      [ca.server(['localhost'], { notAfter: Date.UTC(2021, 0) }), [], /\(CERT_HAS_EXPIRED\)/],
      [ca.client({ dns: ['localhost'] }), [], /\(INVALID_PURPOSE\)/],
      [
        certificate,
        ['--realm-pin', anyPin],
        /its public key is spki:sha256:[0-9a-f]{64}, and not that of --realm-pin/,
      ],
    ];
    for (const [server, more, pattern] of wrong) {
      const realm = await startRealm(t, { certificate: server });
      realm.guests.push(guestOf('web'));
      for (const args of [
        [...guests, realm.address],
        ['check', '-a', `${realm.address}/web`, '--pin', anyPin],
      ]) {
        const { code, stderr } = await run(t, ...args, ...more, ...files(t));
        assert.equal(code, 3, stderr);
        assert.match(stderr, /is not the expected realm: /);
        assert.match(stderr, pattern);
      }
      assert.deepEqual(realm.decisions, []);
    }
    const realm = await startRealm(t);
    for (const stranger of [
      new Authority('x').client({ uris: [uri] }),
      operatorCa.client({ notAfter: Date.UTC(2021, 0) }),
    ]) {
      const { code, stderr } = await run(t, ...guests, realm.address, ...files(t, stranger));
      assert.equal(code, 3);
      assert.match(stderr, /closed the connection before it answered: .*\n +see the log of the realm/);
    }
    const unnamed = await run(
      t,
      ...guests,
      realm.address,
      ...files(t, operatorCa.client({ uris: ['spiffe://x/y'] })),
    );
    assert.equal(unnamed.code, 1);
    assert.match(
      unnamed.stderr,
      /the realm denies this request: no entry of the authorization names your certificate/,
    );
  });

  it('answers of a realm are errors that say what to do', async (t) => {
    const realm = await startRealm(t, { rights: { [uri]: { verbs: ['list'] }, 'spiffe://x/all': all } });
    realm.guests.push(guestOf('web'));
    const other = files(t, operatorCa.client({ uris: ['spiffe://x/all'] }));
    const options = ['--pin', anyPin];
    const table: readonly [args: readonly string[], code: number, pattern: RegExp][] = [
      [
        ['check', '-a', `${realm.address}/web`, ...options, ...files(t)],
        1,
        /denies this request: you lack the verb connect.*\n +an \[\[operator\]\] entry/,
      ],
      [
        ['check', '-a', `${realm.address}/absent`, ...options, ...other],
        3,
        /no such guest.*\n +kata-agent-ctl realm guests lists/,
      ],
      [
        ['check', '-a', `${realm.address}/web`, ...options, ...other],
        3,
        /the guest cannot be reached: .*\n +try again/,
      ],
      [['realm', 'audit', '-a', `${realm.address}/web`, ...other], 3, /has no audit log here/],
      [['realm', 'guests', '-a', `${realm.address}/absent`, ...other], 3, /no such guest/],
    ];
    for (const [args, expected, pattern] of table) {
      const { code, stderr } = await run(t, ...args);
      assert.equal(code, expected, stderr);
      assert.match(stderr, pattern);
    }
  });

  it('a server that is not a realm', async (t) => {
    const status = (line: string, more = ''): string => `HTTP/1.1 ${line}\r\n${more}\r\n`;
    const switching = (more: string): string =>
      status('101 Switching Protocols', `Connection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n${more}`);
    const id = 'Kata-Agent-Guest: 0000000000000000000000000000000000000000000000000000000000000000\r\n';
    const table: readonly [answer: string, pattern: RegExp][] = [
      [
        status('302 Found', 'Location: https://localhost/\r\nContent-Length: 0\r\n'),
        /answered 302: it is not a realm/,
      ],
      [status('200 OK', 'Content-Length: 0\r\n'), /answered 200: it is not a realm/],
      [
        status('404 Not Found', 'Content-Length: 9\r\n') + '\u001b[31mred\n',
        /has no such guest, or none that you may list\n/,
      ],
      [
        status('500 X', 'Content-Length: 50\r\n') + '{"error":{"message":"a\\u001b[31mb"}}              ',
        /answered 500: a \[31mb:/,
      ],
      [status('103 Early Hints') + switching(''), /answered 103/],
      [status('101 X', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), /with another protocol/],
      [switching(''), /did not name the guest and the kind of relay/],
      [
        switching(`Kata-Agent-Relay: trusted, operator-tls\r\n${id}`),
        /did not name the guest and the kind of relay/,
      ],
      [
        switching(`Kata-Agent-Relay: operator-tls\r\nKata-Agent-Relay: trusted\r\n${id}`),
        /did not name the guest and the kind of relay/,
      ],
      [
        switching('Kata-Agent-Relay: operator-tls\r\nKata-Agent-Guest: 0\r\n'),
        /did not name the guest and the kind of relay/,
      ],
      [
        `${switching(`Kata-Agent-Relay: operator-tls\r\n${id}`)}more`,
        /the realm sent bytes that do not come from the guest/,
      ],
      [
        switching(`Kata-Agent-Relay: operator-tls\r\n${id}`),
        /cannot reach an agent .*(EPROTO|disconnected|closed|wrong version)/i,
      ],
      [status('101 X', `X: ${'x'.repeat(20_000)}\r\n`), /HPE_HEADER_OVERFLOW/],
      ['SSH-2.0-x\r\n', /closed the connection before it answered: HPE_/],
      ['', /no answer within 700 ms/],
    ];
    const options = files(t);
    for (const [answer, pattern] of table) {
      let after = '';
      const server = createTlsServer({ ...certificate, minVersion: 'TLSv1.3' }, (socket: TLSSocket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => {
          socket.write(answer, 'latin1');
          socket.on('data', (bytes: Buffer) => {
            after += bytes.toString('latin1');
            socket.end('not TLS at all');
          });
        });
      });
      const address = await listening(t, server);
      const { code, stderr } = await run(
        t,
        'check',
        '-a',
        `${address}/web`,
        '--pin',
        anyPin,
        ...options,
        ...(answer === '' ? ['--timeout', '700ms'] : []),
      );
      assert.equal(code, 3, stderr);
      assert.match(stderr, pattern);
      assert.ok(!stderr.includes('\u001b') && !stderr.includes('bug in'), stderr);
      assert.ok(after === '' || after.startsWith('\u0016\u0003'), `not a ClientHello: ${after}`);
    }
    const plain = await listening(
      t,
      createTcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    assert.match(
      (await run(t, 'realm', 'guests', '-a', plain, ...options)).stderr,
      /cannot reach a realm at/,
    );
    assert.match(
      (await run(t, 'realm', 'guests', '-a', 'realm://localhost:1', ...options)).stderr,
      /ECONNREFUSED.*\n +nothing listens on that port: is the realm running/,
    );
  });
});

async function listening(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `realm://localhost:${(server.address() as { port: number }).port}`;
}

it('an answer in the packet of the 101 is not lost', async (t) => {
  const headers = `Kata-Agent-Relay: trusted\r\nKata-Agent-Guest: ${'0'.repeat(64)}\r\n`;
  const upgraded = `HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n${headers}\r\n`;
  // A response of ttRPC to the first call: it is serving.
  const response = Buffer.from('0000000400000001020012020801', 'hex');
  const server = createTlsServer({ ...certificate, minVersion: 'TLSv1.3' }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(Buffer.concat([Buffer.from(upgraded, 'latin1'), response])));
  });
  const address = await listening(t, server);
  const ended = await run(t, 'check', '-a', `${address}/web`, '--relay', 'trusted', ...files(t));
  assert.deepEqual(ended, { code: 0, stdout: 'serving\n', stderr: '' });
});

describe('kata-agent-ctl realm', () => {
  it('guests: a table, and JSON', async (t) => {
    const realm = await startRealm(t);
    const bad = { version: 'v', bootId: 'b', configurationDigest: 'sha256:\u001b[2Jab' };
    realm.guests.push(
      guestOf('web', { attested: true }),
      guestOf('batch-1', { relay: 'trusted', described: undefined }),
      guestOf('x', { described: bad }),
    );
    realm.logs.set('7'.repeat(64), 'a file');
    const options = files(t);
    const { code, stdout, stderr } = await run(t, 'realm', 'guests', '-a', realm.address, ...options);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.split('\n').slice(0, 3), [
      'NAME     ID            ATTESTED  RELAY         DIGEST               LOG         CONNECTED SINCE',
      'web      777777777777  yes       operator-tls  sha256:777777777777  verified 3  2026-01-01T00:00:00.000Z',
      'batch-1  222222222222  NO        trusted       -                    -           2026-01-01T00:00:00.000Z',
    ]);
    assert.ok(!stdout.includes('\u001b'));
    const json = await run(
      t,
      'realm',
      'guests',
      '--format',
      'json',
      '-a',
      `${realm.address}/web`,
      ...options,
    );
    assert.equal((JSON.parse(json.stdout) as { id: string }).id, '7'.repeat(64));
  });

  it('revoke', async (t) => {
    const realm = await startRealm(t);
    realm.guests.push(guestOf('web'));
    const at = ['-a', `${realm.address}/web`, ...files(t)];
    const { code, stdout } = await run(t, 'realm', 'revoke', 'cn:mallory', ...at);
    assert.deepEqual([code, stdout], [0, 'revoked; 1 connection closed\n']);
    assert.equal((await run(t, 'realm', 'revoke', '--serial', '0a', '--issuer', 'CN=x', ...at)).code, 0);
    assert.deepEqual(
      realm.revoked.map(({ revocation }) => revocation),
      [{ peer: 'cn:mallory' }, { serial: '0a', issuer: 'CN=x' }],
    );
    realm.revoke = () => Promise.reject(new TtrpcError(Code.Unimplemented, 'RevokePeer is not served here'));
    const failed = await run(t, 'realm', 'revoke', 'cn:mallory', ...at);
    assert.equal(failed.code, 1);
    assert.match(
      failed.stderr,
      /the guest failed: the guest answered UNIMPLEMENTED: RevokePeer is not served here/,
    );
  });

  it('audit: prints and verifies records as they come, and says how to resume', async (t) => {
    const realm = await startRealm(t);
    const web = guestOf('web');
    realm.guests.push(web);
    const directory = mkdtempSync(join(tmpdir(), 'kata-realm-log-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'audit.log');
    const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 2, bootId: 'boot-1' });
    t.after(() => log.close());
    const decision = { outcome: 'allow', method: 'ExecProcess', listener: 'realm', reason: 'r' } as const;
    const write = async (): Promise<void> => {
      await log.intent(
        { listener: 'realm', peer: 'https localhost', method: 'ExecProcess', payload: Buffer.from('x') },
        decision,
      );
    };
    for (let n = 0; n < 3; n += 1) await write();
    realm.logs.set(web.id, file);
    const at = ['-a', `${realm.address}/web`, ...files(t)];
    const stored = await run(t, 'realm', 'audit', '--format', 'json', ...at);
    assert.equal(stored.code, 0, stored.stderr);
    assert.equal(stored.stdout, readFileSync(file, 'utf8'));
    assert.equal((await run(t, 'realm', 'audit', '--from', '3', ...at)).stdout.trim().split('\n').length, 2);
    const following = start(t, ['realm', 'audit', '-f', '--from', '2', '--format', 'json', ...at]);
    const received = (): number => following.output.stdout.split('\n').length - 1;
    await until(() => received() === 2, 20_000);
    await write();
    await until(() => received() === 3, 20_000);
    following.child.kill('SIGINT');
    assert.equal((await following.ended).code, 0);
    // The realm dies.
    const second = start(t, ['realm', 'audit', '-f', '--format', 'json', ...at]);
    await until(() => second.output.stdout.split('\n').length === 5, 20_000);
    for (const socket of realm.sockets) socket.destroy();
    const ended = await second.ended;
    assert.equal(ended.code, 3);
    assert.match(ended.stderr, /the realm's answer ended early.*resume with --from 5/s);
    // A realm that changes or withholds records.
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    for (const [forged, pattern] of [
      [lines.toSpliced(1, 1), /record 3: records 2 to 2 are missing/],
      [lines.with(1, (lines[1] ?? '').replace('realm', 'host')), /changed: its hash does not match/],
      [lines.slice(1), /record 2: records 1 to 1 are missing/],
    ] as const) {
      realm.readLog = async function* () {
        yield forged.map((text) => Buffer.from(text));
      };
      const { code, stderr } = await run(t, 'realm', 'audit', '--from', '1', ...at);
      assert.equal(code, 4, stderr);
      assert.match(stderr, pattern);
    }
  });
});

describe('a real agent that has dialled a realm, relay = "trusted"', () => {
  it('serves operators, by their rights in the realm and the lists of its listener', async (t) => {
    const dialServer = await DialServer.start(certificate);
    t.after(() => dialServer.close());
    const agent = await AgentProcess.start({
      config: `[api]
release = "4.1"
allowed_endpoints = ["*"]

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["GetGuestDetails"]

[[listener]]
name = "realm"
address = "https://localhost:${dialServer.port}/guests"
tls = { server_ca = ${JSON.stringify(ca.pem)} }
relay = "trusted"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]
management = ["Describe"]
`,
      sharesNetwork: true,
    });
    t.after(() => agent.dispose());
    const { channel } = await dialServer.next();
    const realm = await startRealm(t, {
      rights: { [uri]: { ...all, methods: ['GetGuestDetails', 'Describe', 'ExecProcess'] } },
    });
    realm.guests.push(guestOf('web', { relay: 'trusted', channel }));
    const at = ['-a', `${realm.address}/web`, '--relay', 'trusted', ...files(t)];
    const described = await run(t, 'describe', ...at);
    assert.equal(described.code, 0, described.stderr);
    assert.match(described.stdout, /listener realm at https:/);
    assert.equal((await run(t, 'guest', ...at)).code, 0);
    const byRealm = await run(t, 'call', 'ReseedRandomDev', ...at);
    assert.equal(byRealm.code, 1, byRealm.stderr);
    assert.match(byRealm.stderr, /denied by the realm/);
    // What the realm allows, the guest can still deny.
    const byGuest = await run(t, 'exec', ...at, 'container', 'true');
    assert.equal(byGuest.code, 125);
    assert.match(byGuest.stderr, /UNIMPLEMENTED|not allowed|KA\d{4}/);
    // The agent's death ends the operator's connection.
    const stopped = agent.stop();
    await stopped;
    await delay(50);
    assert.notEqual((await run(t, 'check', ...at)).code, 0);
  });
});
