import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { repository } from '../harness/repository.js';
import { guestIdentity } from '../harness/raw-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';

const { slowChain } = (await import(`${repository}bench/dist/slow-chain.js`)) as {
  readonly slowChain: (bytes: number) => Pick<ClientCertificate, 'cert' | 'key'>;
};

const authorization = `[[guest]]
name = "web"
configurations = ["*"]

[[operator]]
peers = ["cn:alice"]
guests = ["*"]
verbs = ["list"]
`;

describe('strangers at the listeners of a realm', () => {
  const home = new RealmHome(authorization);
  const alice = home.operators.client({ commonNames: ['alice'] });
  const sockets: Socket[] = [];
  let realm: RealmProcess;

  before(async () => {
    realm = await RealmProcess.start(home);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(async () => {
    await realm.stop();
    home.remove();
  });

  /** Connects from an address of this machine, and resolves with the begin of the answer; empty if there is none. */
  async function ask(
    listener: 'guests' | 'operators',
    from: string,
    { cert, key }: Pick<ClientCertificate, 'cert' | 'key'>,
  ): Promise<string> {
    const socket: TLSSocket = connectTls({
      socket: connectTcp({ port: home.ports[listener], host: '127.0.0.1', localAddress: from }),
      cert,
      key,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    });
    sockets.push(socket);
    let text = '';
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.write('GET /v1/guests HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    return text.slice(0, 12);
  }

  for (const [listener, served, offset] of [
    ['guests', 'HTTP/1.1 426', 10],
    ['operators', 'HTTP/1.1 200', 20],
  ] as const) {
    const at = (n: number): string => `127.0.0.${offset + n}`;
    const known = async (): Promise<Pick<ClientCertificate, 'cert' | 'key'>> => {
      if (listener === 'operators') return alice;
      const { certificate, key } = await guestIdentity();
      return { cert: certificate, key };
    };

    it(`${listener}: more than a handshake needs is not verified, and costs nobody else anything`, async () => {
      // About 13 KB.
      const dns = Array.from({ length: 600 }, (_, n) => `name-${n}.example`);
      const huge = new Authority('a stranger').client({ dns });
      assert.equal(await ask(listener, at(1), huge), '');
      await until('it is logged', () => realm.log.some(({ why = '' }) => /more than 10 KiB/.test(why)));
      const before = realm.cpuMs();
      for (let count = 0; count < 5; count += 1)
        assert.equal(await ask(listener, at(1), slowChain(99_000)), '');
      // Verifying one takes 400 ms.
      const spent = realm.cpuMs() - before;
      assert.ok(spent < 1_500, `${spent} ms`);
      assert.equal(await ask(listener, at(1), await known()), served);
    });

    it(`${listener}: addresses of a client that took long to verify are turned away for a minute, and nobody else`, async () => {
      assert.equal(await ask(listener, at(2), slowChain(9_000)), '');
      assert.equal(await ask(listener, at(2), await known()), '');
      await until('it is logged', () => realm.log.some(({ why = '' }) => /took too long/.test(why)));
      assert.equal(await ask(listener, at(7), await known()), served);
    });

    it(`${listener}: a client of a known address is served, again and again`, async () => {
      for (let count = 0; count < 3; count += 1)
        assert.equal(await ask(listener, at(9), await known()), served);
    });

    it(`${listener}: connections of a few addresses that say nothing do not keep out another one`, async () => {
      const [addresses, each] = [4, listener === 'guests' ? 64 : 16];
      const held = Array.from({ length: addresses * each }, (_, n) =>
        connectTcp({
          port: home.ports[listener],
          host: '127.0.0.1',
          localAddress: at(3 + Math.floor(n / each)),
        }),
      );
      for (const socket of held) socket.on('error', () => undefined);
      sockets.push(...held);
      await Promise.all(held.map((socket) => once(socket, 'connect')));
      assert.equal(await ask(listener, at(8), await known()), served);
      assert.ok(held.filter(({ destroyed }) => destroyed).length <= 2);
    });

    it(`${listener}: a connection that its client closes in the handshake is closed at once`, async () => {
      const open = async (): Promise<Socket> => {
        const each = connectTcp({ port: home.ports[listener], host: '127.0.0.1', localAddress: at(9) });
        sockets.push(each.resume());
        await once(each, 'connect');
        return each;
      };
      // The older one says nothing: it is closed first if both have the time for their handshakes.
      const silent = await open();
      const socket = await open();
      // The end of its direction: a close of both would be answered by the kernel.
      socket.end(Buffer.from('1603010050', 'hex'));
      await once(socket, 'close');
      assert.equal(silent.readableEnded, false);
    });
  }
});
