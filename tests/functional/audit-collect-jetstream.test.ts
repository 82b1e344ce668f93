import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AuditedAgent, collectAfterRotation, collectThroughKills } from '../harness/audited-agent.js';
import { CollectorProcess } from '../harness/collector-process.js';
import { JetStreamReader } from '../harness/jetstream-reader.js';
import { NatsServer } from '../harness/nats-server.js';
import { whyWithout } from '../harness/prerequisites.js';
import { until } from '../harness/realm-process.js';

const why = whyWithout('nats-server');

describe('kata-realm collect --to jetstream', { skip: why }, () => {
  let server: NatsServer;
  let agent: AuditedAgent;
  let reader: JetStreamReader;

  before(async () => {
    server = await NatsServer.start({ use: 'collect' });
    agent = await AuditedAgent.start();
    reader = await JetStreamReader.connect(server.port, 'kata-audit');
  });
  after(async () => {
    await reader?.close();
    await agent?.remove();
    await server?.remove();
  });

  const args = (): readonly string[] => [
    '--to',
    `jetstream+nats://127.0.0.1:${server.port}`,
    '--to-nkey',
    server.nkey,
  ];

  it('stores each record once, though both ends are killed under load', { timeout: 150_000 }, async (t) => {
    const receiver = {
      arrived: () => reader.lines(),
      restart: async () => {
        await server.stop('SIGKILL');
        await server.restart();
      },
    };
    const { count: counted, code, last } = await collectThroughKills(agent, receiver, args());
    t.diagnostic(`JetStream: ${JSON.stringify(counted)}`);
    assert.deepEqual([counted.missing, counted.repeated, counted.foreign], [0, 0, 0], last.stderr);
    assert.equal(code, 0, last.stderr);
    assert.deepEqual(last.alerts, []);
    // In the order of the log, in one subject.
    const lines = await reader.lines();
    assert.deepEqual(lines, agent.lines().slice(0, lines.length));
    assert.equal(new Set((await reader.messages()).map(({ subject }) => subject)).size, 1);
  });

  it('stores another log at the same address in a subject of its own, and reports it', {
    timeout: 60_000,
  }, async () => {
    const replaced = await AuditedAgent.start();
    const all = async (): Promise<ReadonlySet<string>> =>
      new Set((await reader.messages()).map(({ subject }) => subject));
    const before = (await all()).size;
    const collect = (): CollectorProcess => new CollectorProcess(['-a', replaced.address, ...args()]);
    const first = collect();
    await until('the first is stored', async () => (await all()).size === before + 1);
    assert.equal(await first.end(), 0, first.stderr);
    await replaced.stop();
    await replaced.startAgain('other');
    const collector = collect();
    await until('both are stored', async () => (await all()).size === before + 2);
    assert.equal(await collector.end(), 4, collector.stderr);
    assert.deepEqual(
      collector.alerts.map(({ kind }) => kind),
      ['second-log'],
    );
    await replaced.remove();
  });

  it('reports a gap', { timeout: 90_000 }, async () => {
    const { code, kinds } = await collectAfterRotation(args());
    assert.deepEqual([code, kinds], [4, ['gap']]);
  });

  it('authenticates by a certificate over TLS', { timeout: 60_000 }, async () => {
    const secure = await NatsServer.start({ by: 'certificate', use: 'collect' });
    const to = (host: string): readonly string[] => [
      '-a',
      agent.address,
      '--to',
      `jetstream+tls://${host}:${secure.port}/kata-audit`,
      '--to-ca',
      secure.at('ca.pem'),
      '--to-cert',
      secure.at('client.pem'),
      '--to-key',
      secure.at('client.key'),
    ];
    const collector = new CollectorProcess([...to('localhost'), '--checkpoint-every', '1s']);
    await until('a checkpoint agrees', () => collector.has('a checkpoint agrees'));
    assert.equal(await collector.end(), 0, collector.stderr);
    const other = new CollectorProcess(to('127.0.0.1'));
    assert.equal(await other.exited, 3, other.stderr);
    await secure.remove();
  });
});
