import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Authority } from '../harness/authority.js';
import { NatsServer } from '../harness/nats-server.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import {
  echoGuest,
  listed,
  replicasAuthorization,
  type ReplicasSetup,
  setUpReplicas,
} from '../harness/realm-replicas.js';

async function useEachOther(setup: ReplicasSetup): Promise<void> {
  const { homes, alice } = setup;
  const guest = await echoGuest({ port: homes[1]?.ports.guests ?? 0 });
  await until('the other replica shows the guest', async () => (await listed(setup, 0)).length === 1);
  const { head, socket } = await alice.connect(homes[0]?.ports.operators ?? 0, 'web');
  assert.match(head, /^HTTP\/1.1 101 /);
  socket.write('hello');
  assert.equal(String((await once(socket, 'data'))[0]), 'hello');
  socket.destroy();
  guest.socket.destroy();
}

/** Starts a realm that must not start; returns what it says. */
async function refused(home: RealmHome, options: readonly string[]): Promise<string> {
  const error = await RealmProcess.start(home, options).then(
    async (replica) => {
      await replica.stop('SIGKILL');
      assert.fail('it has started');
    },
    (failure: unknown) => failure as Error,
  );
  return error.message;
}

async function listenTcp(t: Pick<TestContext, 'after'>, serve: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer(serve).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('a bus with TLS', () => {
  it('has replicas that client certificates authenticate', { timeout: 60_000 }, async (t) => {
    const setup = await setUpReplicas(t, 2, { nats: { by: 'certificate' } });
    await useEachOther(setup);
    assert.equal(await setup.replicas[0]?.metric('kata_realm_bus_connected'), 1);
  });

  describe('is of the CA and the name, and accepts no other client', () => {
    let nats: NatsServer;
    let home: RealmHome;
    before(async () => {
      nats = await NatsServer.start({ by: 'certificate' });
      home = new RealmHome(replicasAuthorization);
      const stranger = new Authority('other CA');
      const client = stranger.client({ commonNames: ['realm-replica'] });
      const unknown = nats.ca.client({ commonNames: ['nobody'] });
      for (const [name, text] of Object.entries({
        'other.pem': stranger.pem,
        'stranger.pem': client.cert,
        'stranger.key': client.key,
        'unknown.pem': unknown.cert,
        'unknown.key': unknown.key,
      }))
        writeFileSync(nats.at(name), text);
    });
    after(async () => {
      await nats.remove();
      home.remove();
    });

    type Changes = Readonly<Record<string, string | undefined>>;
    const at = (name: string): string => nats.at(name);
    const options = (change: Changes): readonly string[] =>
      Object.entries({
        bus: `tls://localhost:${nats.port}`,
        'bus-ca': at('ca.pem'),
        'bus-cert': at('client.pem'),
        'bus-key': at('client.key'),
        ...change,
      }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
    const cases: readonly (readonly [what: string, change: () => Changes, expectedText: RegExp])[] = [
      [
        'another CA',
        () => ({ 'bus-ca': at('other.pem') }),
        /self-signed certificate|unable to verify|issuer/i,
      ],
      // The certificate is of localhost.
      [
        'another name',
        () => ({ bus: `tls://127.0.0.1:${nats.port}` }),
        /IP: 127\.0\.0\.1 is not in the cert/,
      ],
      [
        'a client of another CA',
        () => ({ 'bus-cert': at('stranger.pem'), 'bus-key': at('stranger.key') }),
        /--bus /,
      ],
      [
        'an unknown client',
        () => ({ 'bus-cert': at('unknown.pem'), 'bus-key': at('unknown.key') }),
        /Authorization Violation/i,
      ],
      ['no client certificate', () => ({ 'bus-cert': undefined, 'bus-key': undefined }), /--bus /],
      ['another key', () => ({ 'bus-key': at('unknown.key') }), /key values mismatch/i],
      ['no key', () => ({ 'bus-key': undefined }), /--bus-cert and --bus-key belong together/],
      ['no TLS', () => ({ bus: `nats://127.0.0.1:${nats.port}` }), /--bus-ca is for tls/],
      ['no loopback address', () => ({ bus: `nats://localhost:${nats.port}` }), /is not a loopback address/],
    ];
    // Each starts a realm, which takes seconds on a busy machine.
    for (const [what, change, expectedText] of cases)
      it(`with ${what} a replica does not start`, { timeout: 60_000 }, async () => {
        assert.match(await refused(home.replica('refused'), options(change())), expectedText);
      });
  });

  it('is never one that offers no TLS', { timeout: 60_000 }, async (t) => {
    const { nats, home } = await setUpReplicas(t, 0);
    const seen: string[] = [];
    // Somebody in between, who takes the TLS of what the server offers away.
    const port = await listenTcp(t, (socket) => {
      socket
        .on('error', () => undefined)
        .on('data', (bytes: Buffer) => void seen.push(bytes.toString('latin1')));
      const info = { server_id: 'x', version: '2.10.0', proto: 1, max_payload: 1_048_576, headers: true };
      socket.write(`INFO ${JSON.stringify({ ...info, tls_required: false, nonce: 'abc' })}\r\n`);
    });
    const options = ['--bus', `tls://127.0.0.1:${port}`, '--bus-nkey', nats.nkey];
    assert.match(await refused(home.replica('refused'), options), /does not support 'tls'/);
    assert.deepEqual(seen, []);
  });
});

describe('a bus with signed credentials', () => {
  it('has replicas of the account that they are for', { timeout: 60_000 }, async (t) => {
    const setup = await setUpReplicas(t, 2, { nats: { by: 'credentials' } });
    await useEachOther(setup);
    const other = await NatsServer.start({ by: 'credentials' });
    t.after(async () => await other.remove());
    const options = [
      '--bus',
      `nats://127.0.0.1:${setup.nats.port}`,
      '--bus-creds',
      other.at('replica.creds'),
    ];
    assert.match(await refused(setup.home.replica('refused'), options), /Authorization Violation/i);
  });
});

describe('a server of NATS that names others', () => {
  it('is not followed to them', { timeout: 60_000 }, async (t) => {
    const { nats, home } = await setUpReplicas(t, 0);
    let elsewhere = 0;
    const other = await listenTcp(t, (socket) => {
      elsewhere += 1;
      socket.destroy();
    });
    const sockets = new Set<Socket>();
    let open = true;
    const port = await listenTcp(t, (socket) => {
      if (!open) return void socket.destroy();
      const server = connect(nats.port, '127.0.0.1');
      for (const each of [socket, server]) {
        sockets.add(each);
        each
          .on('error', () => undefined)
          .on('close', () => void [socket, server].map((one) => one.destroy()));
      }
      socket.pipe(server);
      server.on('data', (bytes: Buffer) => {
        const text = bytes.toString('latin1');
        const named = `"connect_urls":["127.0.0.1:${other}"],"server_id"`;
        socket.write(
          Buffer.from(text.startsWith('INFO') ? text.replace('"server_id"', named) : text, 'latin1'),
        );
      });
    });
    const replica = await RealmProcess.start(home.replica('following'), [
      '--bus',
      `nats://127.0.0.1:${port}`,
      '--bus-nkey',
      nats.nkey,
    ]);
    t.after(async () => await replica.stop('SIGKILL'));
    open = false;
    for (const socket of sockets) socket.destroy();
    await replica.logged('the bus is not connected');
    assert.equal(await replica.metric('kata_realm_bus_connected'), 0);
    await delay(3_000);
    assert.equal(elsewhere, 0);
    open = true;
    await replica.logged('the bus is connected again');
    assert.equal(await replica.metric('kata_realm_bus_connected'), 1);
    assert.equal(await replica.metric('kata_realm_bus_reconnects_total'), 1);
  });
});
