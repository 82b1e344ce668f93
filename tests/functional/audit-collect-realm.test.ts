import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { verify } from '@kata-agent/audit';
import { AgentProcess } from '../harness/agent-process.js';
import type { ClientCertificate } from '../harness/authority.js';
import { CollectorProcess } from '../harness/collector-process.js';
import { guestConfig } from '../harness/realm-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';

const authorization = `[[guest]]
name = "web"
configurations = ["*"]

[[operator]]
peers = ["uri:spiffe://example/auditor"]
guests = ["*"]
verbs = ["list", "audit"]

[[operator]]
peers = ["uri:spiffe://example/lister"]
guests = ["*"]
verbs = ["list"]
`;

describe('kata-realm collect --records realm', () => {
  const homes: RealmHome[] = [];
  after(() => {
    for (const home of homes) home.remove();
  });

  const certificates: Record<string, ClientCertificate> = {};

  function newHome(): RealmHome {
    const home = new RealmHome(authorization);
    homes.push(home);
    for (const name of ['auditor', 'lister']) {
      const certificate = home.operators.client({ commonNames: [], uris: [`spiffe://example/${name}`] });
      certificates[name] = certificate;
      home.write(`${name}.pem`, certificate.cert);
      home.write(`${name}.key`, certificate.key);
    }
    home.write('ca.pem', home.ca.pem);
    return home;
  }

  const startAgent = (home: RealmHome): Promise<AgentProcess> =>
    AgentProcess.start({
      config: `${guestConfig(home)}\n[audit]\nmax_size = "64MiB"\nheartbeat = "1s"\n`,
      sharesNetwork: true,
    });

  function collector(
    home: RealmHome,
    more: readonly string[] = [],
    { guest = '/web', as = 'auditor', to = 'copy' } = {},
  ): CollectorProcess {
    const at = (name: string): string => join(home.directory, name);
    const address = `realm://localhost:${home.ports.operators}${guest}`;
    const identity = ['--cert', at(`${as}.pem`), '--key', at(`${as}.key`), '--realm-ca', at('ca.pem')];
    return new CollectorProcess(['-a', address, '--records', 'realm', ...identity, '--to', at(to), ...more]);
  }

  /** The logs of a collector's directory. */
  function copies(home: RealmHome, to = 'copy'): readonly string[] {
    const guests = join(home.directory, to, 'guests');
    if (!existsSync(guests)) return [];
    return readdirSync(guests, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('.log'))
      .map((name) => join(guests, name));
  }

  const bytesOf = (home: RealmHome): number =>
    copies(home).reduce((sum, path) => sum + statSync(path).size, 0);

  const dispose = (t: TestContext, agent: AgentProcess, realm: () => RealmProcess): void =>
    t.after(async () => {
      await agent.dispose();
      await realm().stop('SIGKILL');
    });

  it('copies what the realm has, each record once, though either is killed under load; also of a guest that is away', {
    timeout: 180_000,
  }, async (t) => {
    const home = newHome();
    let realm = await RealmProcess.start(home);
    const agent = await startAgent(home);
    dispose(t, agent, () => realm);
    const { agent: host } = await agent.connect();
    const over = new AbortController();
    let calls = 0;
    const load = (async () => {
      for (; !over.signal.aborted; calls += 1) {
        await host.reseedRandomDev({ data: Buffer.from(`seed ${calls}`) });
        if (calls % 10 === 0) await delay(20);
      }
    })();
    for (let kill = 0; kill < 10; kill += 1) {
      const before = bytesOf(home);
      const collecting = collector(home);
      await until('records come', () => bytesOf(home) > before, 60_000);
      if (kill % 3 === 2) {
        await realm.stop('SIGKILL');
        realm = await RealmProcess.start(home);
        const stored = bytesOf(home);
        await until('records arrive again', () => bytesOf(home) > stored, 60_000);
      }
      await delay(kill * 5);
      await collecting.end('SIGKILL');
    }
    over.abort();
    await load;
    const [inRealm = ''] = home.logs();
    const end = readFileSync(agent.auditLog, 'utf8');
    await until('the realm has the last call', () => readFileSync(inRealm, 'utf8').startsWith(end), 30_000);
    await agent.stop();
    await realm.logged('guest ended');
    const last = collector(home);
    const stored = readFileSync(inRealm, 'utf8');
    await until(
      'all are copied',
      () => copies(home).some((path) => readFileSync(path, 'utf8') === stored),
      30_000,
    );
    assert.equal(await last.end(), 0, last.stderr);
    assert.deepEqual(last.alerts, []);
    assert.ok(readFileSync(agent.auditLog, 'utf8').startsWith(stored));
    const [copy = '', ...others] = copies(home);
    assert.deepEqual(others, []);
    const { ok, records, problems } = await verify(copy);
    assert.ok(ok, JSON.stringify(problems));
    t.diagnostic(`${records} records, ${calls} calls`);
  });

  it('reports another guest of the same name, whose log it keeps beside the first', {
    timeout: 200_000,
  }, async (t) => {
    const home = newHome();
    const realm = await RealmProcess.start(home);
    const first = await startAgent(home);
    // It asks again after 2 s without a record.
    const collecting = collector(home, ['--silence', '6s']);
    // The log of the other guest is shorter: that it has another ID is what tells it from a log that was cut.
    const { agent: host } = await first.connect();
    for (let call = 0; call < 100; call += 1)
      await host.reseedRandomDev({ data: Buffer.from(`seed ${call}`) });
    await until('the first log is copied', () => bytesOf(home) > 40_000, 30_000);
    await first.dispose();
    const second = await startAgent(home);
    dispose(t, second, () => realm);
    // A collector that could not ask a few times waits for half a minute before it asks again.
    await until('both are copied', () => copies(home).length === 2, 120_000).catch((error: Error) => {
      const logs = [collecting.stderr, second.log.join('\n'), JSON.stringify(realm.log)];
      throw new Error([error.message, ...logs].join('\n\n'));
    });
    assert.equal(await collecting.end(), 4, collecting.stderr);
    const faults = collecting.alerts.filter(({ msg }) => msg === 'ALERT: the log has a fault');
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ['second-log'],
    );
  });

  it('finds a record that the realm has changed, or left out, and does not store it', {
    timeout: 90_000,
  }, async (t) => {
    const home = newHome();
    const realm = await RealmProcess.start(home);
    const agent = await startAgent(home);
    dispose(t, agent, () => realm);
    await until(
      'the realm has records',
      () => home.logs().some((path) => readFileSync(path, 'utf8').split('\n').length > 4),
      30_000,
    );
    const [path = ''] = home.logs();
    await agent.stop();
    await realm.logged('guest ended');
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    for (const [to, changed, kind] of [
      ['changed', lines.with(2, (lines[2] ?? '').replace('"wall":"2', '"wall":"1')), 'broken'],
      ['cut', lines.toSpliced(2, 1), 'gap'],
    ] as const) {
      writeFileSync(path, `${changed.join('\n')}\n`);
      const collecting = collector(home, [], { to });
      await until('it is found', () => collecting.alerts.length > 0, 30_000);
      assert.equal(await collecting.end(), 4, collecting.stderr);
      assert.equal(collecting.alerts[0]?.kind, kind, collecting.stderr);
      const copied = copies(home, to).map((copy) => readFileSync(copy, 'utf8').split('\n').slice(0, -1));
      if (kind === 'broken') assert.deepEqual(copied, [lines.slice(0, 2)]);
      else assert.deepEqual(copied, [changed]);
    }
  });

  it('says why nothing is copied: no right, no guest, and options that have no effect', {
    timeout: 60_000,
  }, async (t) => {
    const home = newHome();
    const realm = await RealmProcess.start(home);
    t.after(() => realm.stop('SIGKILL'));
    const denied = collector(home, [], { as: 'lister' });
    await until('it is denied', () => denied.lines.some(({ error = '' }) => /has no such guest/.test(error)));
    assert.equal(await denied.end(), 0);
    for (const [more, options, says] of [
      [[], { guest: '' }, /a realm has records of its guests only\n/],
      [['--relay', 'trusted'], {}, /--relay has no effect: the request is to the realm/],
      [['--witness', 'w+1+AAAA'], {}, /--witness/],
    ] as const) {
      const wrong = collector(home, more, options);
      assert.equal(await wrong.exited, 2, wrong.stderr);
      assert.match(wrong.stderr, says);
    }
  });
});
