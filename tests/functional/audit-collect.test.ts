import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentProcess } from '../harness/agent-process.js';
import { CollectorProcess } from '../harness/collector-process.js';
import { until } from '../harness/realm-process.js';

function messages({ alerts }: CollectorProcess): readonly string[] {
  return alerts.map(({ msg }) => msg);
}

function collectorOf(address: string, directory: string, more: readonly string[] = []): CollectorProcess {
  return new CollectorProcess(['-a', address, '--to', directory, ...more]);
}

/** The logs that are stored in a directory, each as lines. */
function stored(directory: string): readonly (readonly string[])[] {
  const guests = join(directory, 'guests');
  if (!existsSync(guests)) return [];
  return readdirSync(guests, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.log'))
    .map((name) => readFileSync(join(guests, name), 'latin1').split('\n').slice(0, -1));
}

describe('kata-agent-ctl audit collect', () => {
  let home = '';
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'kata-collect-test-'));
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  const startAgent = (name: string, log = name): Promise<AgentProcess> =>
    AgentProcess.start({
      config: `[api]
allowed_endpoints = ["*"]
release = "4.1"

[audit]
file = "${home}/${log}/audit.log"
heartbeat = "1s"

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["*"]

[[listener]]
name = "tenant"
address = "unix://${home}/${name}.sock"
allowed_endpoints = []
management = ["WatchAudit"]
`,
    });
  const linesOf = (log: string): readonly string[] =>
    readFileSync(`${home}/${log}/audit.log`, 'latin1').split('\n').slice(0, -1);

  it('stores each record once, though it is killed 20 times under load', { timeout: 180_000 }, async () => {
    const agent = await startAgent('load');
    const to = join(home, 'load-copy');
    const { agent: host } = await agent.connect();
    let calls = 0;
    const over = new AbortController();
    const load = (async () => {
      for (; !over.signal.aborted; calls += 1) await host.reseedRandomDev({ data: Buffer.from(`${calls}`) });
    })();
    for (let kill = 0; kill < 20; kill += 1) {
      const before = stored(to)[0]?.length ?? 0;
      const collector = collectorOf(`unix://${home}/load.sock`, to);
      await until('records come', () => (stored(to)[0]?.length ?? 0) > before);
      await delay(kill * 5);
      await collector.end('SIGKILL');
    }
    over.abort();
    await load;
    const last = linesOf('load').length;
    const collector = collectorOf(`unix://${home}/load.sock`, to);
    await until('all are stored', () => (stored(to)[0]?.length ?? 0) >= last);
    assert.equal(await collector.end(), 0, collector.stderr);
    assert.deepEqual(messages(collector), []);
    const [copy = [], ...more] = stored(to);
    assert.equal(more.length, 0);
    assert.deepEqual(copy, linesOf('load').slice(0, copy.length));
    await agent.dispose();
  });

  it('goes on when the agent starts again, which it reports, and notices silence', {
    timeout: 60_000,
  }, async () => {
    const to = join(home, 'again-copy');
    const first = await startAgent('again');
    const collector = collectorOf(`unix://${home}/again.sock`, to, ['--silence', '3s']);
    await until('the first start is stored', () => (stored(to)[0]?.length ?? 0) > 0);
    first.process.kill('SIGKILL');
    await until('it is silent', () => collector.has('ALERT: no record has come'));
    await first.dispose();
    const second = await startAgent('again');
    await until('the second start is stored', () => collector.has('ALERT: the agent has started again'));
    await until('it is heard', () => collector.has('records come again'));
    const heard = stored(to)[0]?.length ?? 0;
    await until('heartbeats come', () => (stored(to)[0]?.length ?? 0) > heard);
    assert.equal(await collector.end(), 0, collector.stderr);
    assert.deepEqual(messages(collector), [
      'ALERT: no record has come',
      'ALERT: the agent has started again',
    ]);
    const [copy = [], ...more] = stored(to);
    assert.equal(more.length, 0);
    assert.deepEqual(copy, linesOf('again').slice(0, copy.length));
    await second.dispose();
  });

  it('reports another log at the same address, and keeps both', { timeout: 60_000 }, async () => {
    const to = join(home, 'other-copy');
    const first = await startAgent('other', 'other-1');
    const collector = collectorOf(`unix://${home}/other.sock`, to);
    await until('the first log is stored', () => (stored(to)[0]?.length ?? 0) > 0);
    await first.dispose();
    const second = await startAgent('other', 'other-2');
    await until('both are stored', () => stored(to).length === 2);
    assert.equal(await collector.end(), 4, collector.stderr);
    assert.deepEqual(messages(collector), ['ALERT: the log has a fault']);
    await second.dispose();
  });

  it('ends where nothing can be collected, and where the directory is in use', {
    timeout: 60_000,
  }, async () => {
    const agent = await startAgent('none');
    const denied = collectorOf(`unix://${agent.socketPath}`, join(home, 'none-copy'));
    assert.equal(await denied.exited, 1, denied.stderr);
    assert.match(denied.stderr, /does not serve WatchAudit on this listener\n.*name it in management/);
    const to = join(home, 'shared');
    const collector = collectorOf(`unix://${home}/none.sock`, to);
    await until('it is there', () => stored(to).length === 1);
    const other = collectorOf(`unix://${home}/none.sock`, to);
    assert.equal(await other.exited, 3, other.stderr);
    assert.match(other.stderr, /is in use/);
    assert.equal(await collector.end(), 0);
    await agent.dispose();
  });
});
