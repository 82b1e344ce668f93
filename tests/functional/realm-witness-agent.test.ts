import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { guestConfig } from '../harness/realm-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { ctlProgram } from '../harness/repository.js';
import { witnessKey } from '../harness/witnessed-guest.js';

it('a realm cosigns the checkpoints of a real agent, which it compares with its records', async () => {
  const home = new RealmHome('[[guest]]\nname = "web"\nconfigurations = ["*"]\n');
  const { file, verifier } = witnessKey(home);
  let realm = await RealmProcess.start(home, ['--witness-key', file]);
  const config = `${guestConfig(home)}
[audit]
checkpoint_every = "1s"

[[audit.witness]]
key = "${verifier.toString()}"
via = "realm"
`;
  const begin = performance.now();
  const agent = await AgentProcess.start({ config, sharesNetwork: true });
  try {
    const directory = join(home.store, 'witness');
    const states = (): readonly string[] => (existsSync(directory) ? readdirSync(directory) : []);
    await until('a checkpoint is cosigned', () => states().length === 1, 30_000);
    console.log(
      `first cosignature: ${(performance.now() - begin).toFixed(0)} ms after the start of the agent`,
    );
    const text = (): string => readFileSync(join(directory, states()[0] ?? ''), 'utf8');
    const size = (): number => Number(text().split('\n')[1]);
    const before = size();
    const onHost = await agent.connect();
    for (let n = 0; n < 5; n += 1) await onHost.agent.getGuestDetails({ memBlockSize: n % 2 === 0 });
    await until('the next one is cosigned', () => size() > before);
    await until(
      'again',
      async () => (await realm.metric('kata_realm_witness_requests_total{status="200"}')) >= 2,
    );
    // The notes know the heartbeat of the agent.
    const id = (await realm.logged('guest accepted'))['id'] ?? '';
    assert.match(
      readFileSync(join(home.store, 'guests', id, 'notes'), 'utf8'),
      /"own-boot".*"heartbeatMs":60000/,
    );
    await realm.stop('SIGKILL');
    realm = await RealmProcess.start(home, ['--witness-key', file]);
    const now = size();
    await onHost.agent.getGuestDetails({ memBlockSize: true });
    await until('after a restart', () => size() > now, 60_000);
    const checkpoint = join(home.directory, 'checkpoint');
    home.write('checkpoint', text());
    const [log = ''] = home.logs(id);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [ctlProgram, 'audit', 'verify', log, '--checkpoint', checkpoint, '--witness', verifier.toString()],
      { encoding: 'utf8' },
    );
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /cosigned by 1 witness/);
    assert.equal(await realm.metric('kata_realm_log_faults_total{kind="fork"}'), 0);
    assert.equal(realm.log.filter(({ level }) => level === 'ERRO').length, 0, realm.text());
  } finally {
    await agent.dispose();
    await realm.stop();
    home.remove();
  }
});
