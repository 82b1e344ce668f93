import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { AuditedAgent, collectAfterRotation, collectThroughKills, count } from '../harness/audited-agent.js';
import { Authority } from '../harness/authority.js';
import { CollectorProcess } from '../harness/collector-process.js';
import { whyWithout } from '../harness/prerequisites.js';
import { until } from '../harness/realm-process.js';
import { RsyslogServer } from '../harness/rsyslog-server.js';

const why = whyWithout('rsyslog', 'rsyslog-gnutls');

describe('kata-realm collect --to syslog+tls://', { skip: why }, () => {
  let home = '';
  let server: RsyslogServer;
  const ca = new Authority('syslog CA');

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'kata-syslog-test-'));
    const client = ca.client({ commonNames: ['collector'] });
    const files = { 'ca.pem': ca.pem, 'client.pem': client.cert, 'client.key': client.key };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
    server = await RsyslogServer.start(ca);
  });
  after(async () => {
    await server?.remove();
    rmSync(home, { recursive: true, force: true });
  });

  const args = (state: string, port = server.port, host = 'localhost'): readonly string[] => [
    '--to',
    `syslog+tls://${host}:${port}`,
    '--state',
    join(home, state),
    '--to-ca',
    join(home, 'ca.pem'),
    '--to-cert',
    join(home, 'client.pem'),
    '--to-key',
    join(home, 'client.key'),
  ];

  it('repeats records, and loses none on the way, though both ends are killed under load', {
    timeout: 150_000,
  }, async (t) => {
    const agent = await AuditedAgent.start();
    const receiver = {
      arrived: () => server.messages.map(({ message }) => message),
      restart: async () => {
        await server.stop('SIGKILL');
        await server.begin();
      },
    };
    const { count: counted, code, last } = await collectThroughKills(agent, receiver, args('kills'));
    t.diagnostic(`syslog: ${JSON.stringify(counted)}`);
    // The protocol promises neither: fewer were on the way than are repeated.
    assert.equal(counted.missing, 0, last.stderr);
    assert.ok(counted.repeated > 0);
    assert.equal(code, 0, last.stderr);
    assert.deepEqual(last.alerts, []);
    await agent.remove();
  });

  it('reports a gap', { timeout: 90_000 }, async () => {
    const { code, kinds } = await collectAfterRotation(args('gap'));
    assert.deepEqual([code, kinds], [4, ['gap']]);
  });

  it('writes RFC 5424: rsyslogd parses the fields, and the line unchanged', { timeout: 60_000 }, async () => {
    const agent = await AuditedAgent.start();
    const before = server.messages.length;
    const collector = new CollectorProcess(['-a', agent.address, '--name', 'node 1', ...args('form')]);
    await until('records come', () => server.messages.length > before + 2);
    assert.equal(await collector.end(), 0, collector.stderr);
    const [boot] = server.messages.slice(before);
    const { hash } = JSON.parse(boot?.message ?? '') as { readonly hash: string };
    assert.deepEqual([boot?.hostname, boot?.appName, boot?.messageId], ['node?1', 'kata-agent', 'boot']);
    // Facility 13 (log audit), severity 5.
    assert.equal(boot?.priority, 13 * 8 + 5);
    const data = boot?.structuredData ?? '';
    assert.ok(
      data.startsWith(`[kataAudit@32473 origin="${hash.slice(0, 32)}" sequence="1" hash="${hash}"`),
      data,
    );
    assert.equal(
      count(
        agent.lines().slice(0, 3),
        server.messages.slice(before).map(({ message }) => message),
      ).missing,
      0,
    );
    await agent.remove();
  });

  it('sends nothing to a receiver of another name or without TLS', {
    timeout: 60_000,
  }, async () => {
    const agent = await AuditedAgent.start();
    const { cert, key } = ca.server(['other.example']);
    const other = createServer({ cert, key }, (socket: TLSSocket) => socket.on('error', () => undefined));
    let received = 0;
    other.on('secureConnection', (socket) => socket.on('data', ({ length }: Buffer) => (received += length)));
    const plain = createPlainServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => {
        if (bytes.includes('kataAudit')) received += bytes.length;
        socket.destroy();
      });
    });
    for (const receiver of [other, plain]) {
      receiver.listen(0, '127.0.0.1');
      await once(receiver, 'listening');
      const { port } = receiver.address() as AddressInfo;
      const collector = new CollectorProcess(['-a', agent.address, ...args(`none-${port}`, port)]);
      await until('it says so', () => collector.has('records cannot be stored, and will be requested again'));
      await collector.end();
      receiver.close();
    }
    assert.equal(received, 0);
    await agent.remove();
  });

  it('sends again what a receiver had not read when its connection ended', { timeout: 60_000 }, async (t) => {
    const agent = await AuditedAgent.start();
    const { cert, key } = ca.server(['localhost']);
    const sockets: TLSSocket[] = [];
    let received = '';
    const receiver = createServer({ cert, key }, (socket) => {
      socket.on('error', () => undefined);
      sockets.push(socket);
      // The first one is never read.
      if (sockets.length > 1) socket.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
    });
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    t.after(() => {
      receiver.close();
      for (const socket of sockets) socket.destroy();
    });
    const { port } = receiver.address() as AddressInfo;
    const collector = new CollectorProcess([
      '-a',
      agent.address,
      ...args('unread', port),
      '--checkpoint-every',
      '1s',
    ]);
    await until('records are sent', () => collector.has('a checkpoint agrees'));
    const sent = agent.lines()[0] ?? '';
    sockets[0]?.destroy();
    await until('they are sent again', () => received.includes(sent));
    // Its log comes through another pipe than the records.
    await until('it says so', () => collector.has('the last records are sent again'));
    assert.equal(await collector.end(), 0, collector.stderr);
    await agent.remove();
  });
});
