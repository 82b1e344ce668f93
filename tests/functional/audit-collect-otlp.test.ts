import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { AuditedAgent, collectAfterRotation, collectThroughKills, count } from '../harness/audited-agent.js';
import { Authority } from '../harness/authority.js';
import { CollectorProcess } from '../harness/collector-process.js';
import { OtlpServer } from '../harness/otlp-server.js';
import { until } from '../harness/realm-process.js';

describe('kata-realm collect --to otlp+https://', () => {
  let home = '';
  let server: OtlpServer;
  let agent: AuditedAgent;
  const ca = new Authority('OTLP CA');
  let states = 0;

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'kata-otlp-test-'));
    const client = ca.client({ commonNames: ['collector'] });
    for (const [name, text] of Object.entries({
      'ca.pem': ca.pem,
      'client.pem': client.cert,
      'client.key': client.key,
    }))
      writeFileSync(join(home, name), text);
    agent = await AuditedAgent.start();
    const stopLoad = await agent.load();
    await until('it has a few records', () => agent.lines().length > 300);
    await stopLoad();
  });
  beforeEach(async () => {
    await server?.stop();
    server = await OtlpServer.start(ca.server(['localhost']), ca.pem);
  });
  after(async () => {
    await server.stop();
    await agent.remove();
    rmSync(home, { recursive: true, force: true });
  });

  const args = (state: string, host = 'localhost'): readonly string[] => [
    '--to',
    `otlp+https://${host}:${server.port}`,
    '--state',
    join(home, state),
    '--to-ca',
    join(home, 'ca.pem'),
    '--to-cert',
    join(home, 'client.pem'),
    '--to-key',
    join(home, 'client.key'),
  ];
  const newState = (): string => `state-${(states += 1)}`;
  const bodies = (): readonly string[] => server.received.map(({ body }) => body);
  const collect = (state = newState(), more: readonly string[] = []): CollectorProcess =>
    new CollectorProcess(['-a', agent.address, '--name', 'node-1', ...args(state), ...more]);

  it('delivers each record at least once, though both ends are killed under load', {
    timeout: 120_000,
  }, async (t) => {
    // Some requests arrive, and are not acknowledged.
    server.answer = (request) => (request % 9 === 8 ? 'drop' : 'ok');
    const loaded = await AuditedAgent.start();
    const receiver = { arrived: bodies, restart: () => server.restart() };
    const { count: counted, code, last } = await collectThroughKills(loaded, receiver, args('kills'));
    t.diagnostic(`OTLP: ${JSON.stringify(counted)}`);
    assert.equal(counted.missing, 0, last.stderr);
    assert.equal(counted.foreign, 0);
    assert.equal(code, 0, last.stderr);
    assert.deepEqual(last.alerts, []);
    await loaded.remove();
  });

  it('reports a gap', { timeout: 90_000 }, async () => {
    const { code, kinds } = await collectAfterRotation(args('gap'));
    assert.deepEqual([code, kinds], [4, ['gap']]);
  });

  it('sends the line as body, and what a SIEM needs as attributes', { timeout: 60_000 }, async () => {
    const collector = collect(newState(), []);
    await until('all come', () => server.received.length >= 300);
    assert.equal(await collector.end(), 0, collector.stderr);
    const [boot] = server.received;
    const record = JSON.parse(boot?.body ?? '') as { readonly hash: string; readonly wall: string };
    assert.equal(boot?.eventName, 'kata.audit.boot');
    assert.deepEqual(boot?.resource, { 'service.name': 'kata-agent', 'service.instance.id': 'node-1' });
    assert.equal(boot?.attributes['log.record.uid'], record.hash);
    assert.equal(boot?.attributes['kata.audit.sequence'], 1);
    assert.equal(boot?.attributes['kata.audit.origin'], record.hash.slice(0, 32));
    assert.equal(boot?.timeMs, Date.parse(record.wall));
    assert.ok(boot !== undefined && boot.observedMs >= boot.timeMs);
    const call = server.received.find(({ attributes }) => attributes['rpc.method'] === 'ReseedRandomDev');
    assert.equal(call?.attributes['kata.audit.decision'], 'allow');
    assert.equal(server.headers[0]?.['url'], '/v1/logs');
  });

  it('sends headers of the environment, as other exporters do', { timeout: 60_000 }, async () => {
    const collector = new CollectorProcess(['-a', agent.address, ...args(newState())], {
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    });
    await until('records come', () => server.received.length > 0);
    await collector.end();
    assert.equal(server.headers[0]?.['authorization'], 'Bearer abc');
  });

  it('keeps what the receiver rejects, and says so', { timeout: 60_000 }, async () => {
    server.answer = (request) => (request === 0 ? { partial: { rejected: 2, message: 'too old' } } : 'ok');
    const state = newState();
    const collector = collect(state);
    await until('it says so', () => collector.has('ALERT: the receiver has rejected records'));
    assert.equal(await collector.end(), 0, collector.stderr);
    const [alert] = collector.alerts;
    assert.deepEqual([alert?.count, alert?.error, alert?.agent], ['2', 'too old', 'node-1']);
    const guests = join(home, state, 'guests');
    const [id = ''] = readdirSync(guests);
    const [head, ...lines] = readFileSync(join(guests, id, 'rejected'), 'latin1')
      .split('\n')
      .slice(0, -1);
    assert.match(head ?? '', /"why":"too old"/);
    assert.deepEqual(lines.slice(0, 2), agent.lines().slice(0, 2));
    // The others are not sent again.
    assert.equal(count(agent.lines().slice(0, 100), bodies()).repeated, 0);
  });

  it('tries again until it is acknowledged: busy, broken, hanging, something else that answers', {
    timeout: 60_000,
  }, async () => {
    server.answer = (request) => {
      if (request === 0) return { status: 429, retryAfter: '1' };
      if (request === 1) return { status: 503 };
      if (request === 2) return { status: 400, body: 'no such tenant' };
      if (request === 3) return { status: 200, body: '<html>log in</html>' };
      return request === 4 ? 'hang' : 'ok';
    };
    const collector = collect(newState(), ['--timeout', '3s']);
    await until('the answer comes', () => server.received.length > 3, 30_000);
    assert.equal(await collector.end(), 0, collector.stderr);
    const errors = collector.lines.flatMap(({ error }) => error ?? []);
    assert.ok(
      errors.some((error) => error.includes('HTTP 400') && error.includes('no such tenant')),
      errors.join('\n'),
    );
    assert.ok(
      errors.some((error) => error.includes('is not one of OTLP')),
      errors.join('\n'),
    );
    assert.ok(
      errors.some((error) => error.includes('timed out')),
      errors.join('\n'),
    );
    assert.equal(count(agent.lines().slice(0, 100), bodies()).missing, 0);
  });

  it('divides what is too large for the receiver', { timeout: 60_000 }, async () => {
    server.answer = (_request, records) => (records.length > 40 ? { status: 413 } : 'ok');
    const collector = collect();
    const written = agent.lines();
    await until('all have arrived', () => bodies().length >= written.length);
    assert.equal(await collector.end(), 0, collector.stderr);
    assert.deepEqual(
      { ...count(written, bodies()), foreign: 0 },
      { written: written.length, missing: 0, repeated: 0, foreign: 0 },
    );
  });

  it('sends nothing to a receiver whose certificate has another name', { timeout: 60_000 }, async () => {
    const collector = new CollectorProcess(['-a', agent.address, ...args(newState(), '127.0.0.1')]);
    await until('it says so', () =>
      collector.lines.some(
        ({ error }) => error?.includes('127.0.0.1') === true && error.includes('altnames'),
      ),
    );
    await collector.end();
    assert.equal(server.received.length, 0);
  });
});
