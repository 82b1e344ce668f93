import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { verify } from '@kata-agent/audit';
import { AgentProcess } from '../harness/agent-process.js';
import { guestConfig } from '../harness/realm-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';

describe('a realm that is killed under load, again and again', () => {
  it('has every record of the guest, once', { timeout: 180_000 }, async (t) => {
    const home = new RealmHome('[[guest]]\nname = "web"\nconfigurations = ["*"]\n');
    let realm = await RealmProcess.start(home);
    const agent = await AgentProcess.start({
      config: `${guestConfig(home)}\n[audit]\nmax_size = "64MiB"\n`,
      sharesNetwork: true,
    });
    t.after(async () => {
      await agent.dispose();
      await realm.stop('SIGKILL');
      home.remove();
    });
    const onHost = await agent.connect();
    const over = new AbortController();
    let calls = 0;
    const load = (async () => {
      while (!over.signal.aborted) {
        calls += 1;
        // Requests that differ are not counted in one record.
        await onHost.agent.reseedRandomDev({ data: Buffer.from(`seed ${calls}`) });
        if (calls % 10 === 0) await delay(30);
      }
    })();
    const stored = (): string =>
      home
        .logs()
        .map((path) => readFileSync(path, 'utf8'))
        .join('');
    const size = (): number => home.logs().reduce((sum, path) => sum + statSync(path).size, 0);
    let before = 0;
    for (let kill = 0; kill < 5; kill += 1) {
      await until('more records are stored', () => size() > before, 60_000);
      await delay(50 + 60 * kill);
      await realm.stop('SIGKILL');
      before = size();
      realm = await RealmProcess.start(home);
    }
    await until('more records are stored', () => size() > before, 60_000);
    over.abort();
    await load;
    const own = (): string => readFileSync(agent.auditLog, 'utf8');
    await until('all records are stored', () => stored() === own(), 30_000);
    const [path, ...others] = home.logs();
    assert.deepEqual(others, []);
    const { ok, records, problems } = await verify(path ?? '');
    assert.ok(ok, JSON.stringify(problems));
    t.diagnostic(`${records} records, ${calls} calls, 5 kills`);
    assert.equal(await realm.metric('kata_realm_log_faults_total{kind="broken"}'), 0);
  });
});
