import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { OwnIdentity } from '@kata-agent/agent/tls';
import type { ClientCertificate } from '../harness/authority.js';
import { guestIdentity, RawGuest } from '../harness/raw-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';

/** A realm whose guest has this name; alice may use a guest of the name web, and bob every one. */
const authorization = (name: string): string => `[[guest]]
name = "${name}"
configurations = ["*"]

[[operator]]
peers = ["cn:alice"]
guests = ["web"]
verbs = ["list", "connect", "audit"]

[[operator]]
peers = ["cn:bob"]
guests = ["*"]
verbs = ["list", "connect", "audit"]
`;

const home = new RealmHome(authorization('web'));
const [alice, bob] = ['alice', 'bob'].map((name) => home.operators.client({ commonNames: [name] }));
const sockets: { destroy(): unknown }[] = [];
let realm: RealmProcess;
let identity: OwnIdentity;

before(async () => {
  realm = await RealmProcess.start(home);
  identity = await guestIdentity();
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  await realm.stop();
  home.remove();
});

/** A guest that opens each connection that the realm asks for, and says nothing in it. */
async function guest(): Promise<RawGuest> {
  const { guests: port } = home.ports;
  const made = await RawGuest.serve({
    port,
    identity,
    management: {
      watchAudit: async function* (_request, { signal }) {
        yield* [];
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
    relay: {
      openConnection: async ({ token }) => {
        const more = await RawGuest.dial({ port, identity });
        sockets.push(more.socket);
        const hex = Buffer.from(token).toString('hex');
        const answer = await more.upgrade('kata-agent-relay/1', `Kata-Agent-Connection: ${hex}\r\n`);
        if (!answer.startsWith('HTTP/1.1 101 ')) throw new Error(answer);
        return {};
      },
    },
  });
  sockets.push(made.socket);
  return made;
}

/** Sends a request of an operator. Resolves with the connection once the answer has begun. */
async function ask(options: ClientCertificate | undefined, target: string, more = ''): Promise<TLSSocket> {
  assert.ok(options);
  const { cert, key } = options;
  const socket = connectTls({ port: home.ports.operators, host: 'localhost', ca: home.ca.pem, cert, key });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  assert.match(head.toString('latin1'), /^HTTP\/1\.1 (?:101|200) /);
  return socket;
}

const upgrade = 'Connection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n';

it('what an operator has opened in a guest ends with the name by which it may', async () => {
  const first = await guest();
  await realm.logged('guest accepted');
  const opened = await ask(alice, '/guests/web', upgrade);
  const reader = await ask(alice, '/v1/guests/web/audit?follow=true');
  const other = await ask(bob, '/guests/web', upgrade);
  home.write('realm.toml', authorization('secret'));
  realm.process.kill('SIGHUP');
  await until('the guest has lost its connection', () => first.socket.closed);
  // The guest's connection for an operator outlives its own, and would continue under the new name.
  await until('all are closed', () => [opened, reader, other].every(({ closed }) => closed));

  // A reader that comes back before the guest does finds the log by the guest's last name, and follows it no further.
  await until('the guest has left', () => realm.log.some(({ msg }) => msg === 'guest ended'));
  const again = await ask(alice, '/v1/guests/web/audit?follow=true');
  await guest();
  const accepted = await realm.logged('guest accepted', 2);
  assert.equal(accepted['guest'], 'secret');
  await until('it is closed', () => again.closed);
  await ask(bob, '/guests/secret', upgrade);
  assert.ok(
    home.decisions().some((record) => JSON.stringify(record).includes('the guest no longer has this name')),
  );
});
