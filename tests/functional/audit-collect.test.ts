import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

describe('kata-realm collect', () => {
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

  it('continues when the agent starts again, which it reports, and notices silence', {
    timeout: 60_000,
  }, async () => {
    const to = join(home, 'again-copy');
    const first = await startAgent('again');
    const collector = collectorOf(`unix://${home}/again.sock`, to, ['--silence', '3s']);
    await until('the first start is stored', () => (stored(to)[0]?.length ?? 0) > 0);
    first.process.kill('SIGKILL');
    await until('it is silent', () => collector.has('ALERT: no record has arrived'));
    await first.dispose();
    const second = await startAgent('again');
    await until('the second start is stored', () => collector.has('ALERT: the agent has started again'));
    await until('it is heard', () => collector.has('records arrive again'));
    const heard = stored(to)[0]?.length ?? 0;
    await until('heartbeats come', () => (stored(to)[0]?.length ?? 0) > heard);
    assert.equal(await collector.end(), 0, collector.stderr);
    assert.deepEqual(messages(collector), [
      'ALERT: no record has arrived',
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

  it('says which file keeps it from storing, and does not end as if it had collected', {
    timeout: 60_000,
  }, async () => {
    const agent = await startAgent('planted');
    const to = join(home, 'planted-copy');
    const first = collectorOf(`unix://${home}/planted.sock`, to, ['--name', '../../outside']);
    await until('it is stored', () => stored(to).length === 1);
    assert.equal(await first.end(), 0, first.stderr);
    assert.ok(!existsSync(join(home, 'outside')));
    const [id = ''] = readdirSync(join(to, 'guests'));
    const path = join(to, 'guests', id, 'guest.json');
    rmSync(path);
    execFileSync('mkfifo', [path]);
    const second = collectorOf(`unix://${home}/planted.sock`, to, ['--name', '../../outside']);
    await until('it is said', () => second.has('records cannot be stored, and will be requested again'));
    assert.equal(await second.end(), 3, second.stderr);
    assert.match(
      second.stderr,
      /nothing was collected of .*guest\.json is not a regular file\n.*move it away/,
    );
    await agent.dispose();
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

  it('collects several agents of a file, also if one is not there, and says what is wrong with a file', {
    timeout: 60_000,
  }, async () => {
    const agents = await Promise.all(['one', 'two'].map((name) => startAgent(name)));
    const to = join(home, 'several-copy');
    const file = join(home, 'agents.toml');
    const entry = (name: string, address: string): string =>
      `[[agent]]\nname = "${name}"\naddress = "${address}"\n`;
    const entries = ['one', 'two', 'gone'].map((name) =>
      entry(`node/${name}`, `unix://${home}/${name}.sock`),
    );
    writeFileSync(file, entries.join(''));
    const collector = new CollectorProcess(['--agents', file, '--to', to]);
    await until('both are stored', () => stored(to).length === 2);
    await until('the third is tried', () =>
      collector.lines.some(({ msg, agent }) => msg === 'not connected' && agent === 'node/gone'),
    );
    assert.equal(await collector.end(), 0, collector.stderr);
    const [one] = stored(to);
    assert.ok(['one', 'two'].some((name) => linesOf(name)[0] === one?.[0]));
    // Repeated addresses do the same.
    const repeated = new CollectorProcess([
      '-a',
      `unix://${home}/one.sock`,
      '-a',
      `unix://${home}/two.sock`,
      '--to',
      join(home, 'repeated'),
    ]);
    await until('both are stored', () => stored(join(home, 'repeated')).length === 2);
    assert.equal(await repeated.end(), 0, repeated.stderr);
    for (const [text, message] of [
      [
        entries.join('').replace('node/two', 'node/one'),
        /there is a \[\[agent\]\] with the name "node\/one" already/,
      ],
      ['[[agent]]\nname = "x"\naddress = "unix:///x"\npins = "y"\n', /did you mean "pin"\?/],
      ['[[agent]]\nname = "x"\naddress = "tls://x:1"\n', /agent x: a tls:\/\/ address needs --cert, --key/],
      ['', /has no \[\[agent\]\]/],
    ] as const) {
      writeFileSync(file, text);
      const wrong = new CollectorProcess(['--agents', file, '--to', to]);
      assert.equal(await wrong.exited, 2, wrong.stderr);
      assert.match(wrong.stderr, message);
    }
    await Promise.all(agents.map((agent) => agent.dispose()));
  });

  it('refuses what has no effect with a receiver, and a receiver without what it needs', {
    timeout: 60_000,
  }, async () => {
    const at = ['-a', `unix://${home}/nobody.sock`];
    for (const [args, code, message] of [
      [['--to', 'ftp://x'], 2, /unknown scheme ftp:\/\//],
      [['--to', join(home, 'x'), '--to-ca', 'ca.pem'], 2, /--to-ca has no effect with it/],
      [['--to', 'otlp+https://x', '--to-nkey', 'x.nk'], 2, /--to-nkey has no effect/],
      [['--to', 'syslog+tls://x'], 3, /--state is missing/],
      [
        ['--to', 'syslog+tls://x', '--state', join(home, 'state'), '--to-cert', 'c.pem'],
        3,
        /--to-cert without --to-key/,
      ],
      [['--to', 'jetstream+nats://127.0.0.1:1'], 3, /--to 127.0.0.1:1: /],
      [['--to', join(home, 'x'), '--checkpoint-every', '0', '--witness', 'x'], 2, /--witness/],
      [[], 2, /--to is missing/],
    ] as const) {
      const collector = new CollectorProcess([...at, ...args]);
      assert.equal(await collector.exited, code, collector.stderr);
      assert.match(collector.stderr, message);
    }
  });
});
