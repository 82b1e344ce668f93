import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { guestConfig } from '../harness/realm-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { ctlProgram, realmProgram } from '../harness/repository.js';

function verified(file: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [ctlProgram, 'audit', 'verify', file], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

const anyGuest = '[[guest]]\nname = "web"\nconfigurations = ["*"]\n';

describe('a realm and an agent', () => {
  const home = new RealmHome(anyGuest);
  let realm: RealmProcess;
  let agent: AgentProcess;

  before(async () => {
    realm = await RealmProcess.start(home);
    agent = await AgentProcess.start({ config: guestConfig(home), sharesNetwork: true });
  });
  after(async () => {
    await agent.dispose();
    await realm.stop();
    home.remove();
  });

  it('accepts the guest, marks it as unattested, and stores its log, which verifies', async () => {
    const accepted = await realm.logged('guest accepted');
    assert.equal(accepted['guest'], 'web');
    assert.equal(accepted['attested'], 'false');
    assert.match(accepted['configuration'] ?? '', /^sha256:[0-9a-f]{64}$/);
    const id = accepted['id'] ?? '';
    assert.equal(await realm.metric('kata_realm_guests{relay="trusted"}'), 1);
    const onHost = await agent.connect();
    for (let n = 0; n < 5; n += 1) await onHost.agent.getGuestDetails({ memBlockSize: n % 2 === 0 });
    const own = (): string => readFileSync(agent.auditLog, 'utf8');
    const stored = (): string =>
      home
        .logs(id)
        .map((path) => readFileSync(path, 'utf8'))
        .join('');
    await until('the log is stored', () => own() !== '' && stored() === own());
    const [path] = home.logs(id);
    assert.match(verified(path ?? ''), /^ok: \d+ records/);
    assert.ok((await realm.metric('kata_realm_log_records_total')) >= 5);
    assert.equal(realm.log.filter(({ level }) => level === 'ERRO').length, 0, realm.text());
  });

  it('records its own decisions in an audit log', async () => {
    assert.match(verified(join(home.store, 'decisions', 'audit.log')), /^ok/);
    const records = home.decisions();
    assert.equal(records[0]?.['kind'], 'boot');
    const acceptance = records.find(({ method }) => method === '(connection)');
    assert.equal(acceptance?.['listener'], 'guests');
    assert.match(String(acceptance['peer']), /^guest [0-9a-f]{64}$/);
    assert.match(JSON.stringify(acceptance['decision']), /accepted as \\"web\\"; unattested/);
  });

  it('is alive and ready, and exports metrics', async () => {
    assert.deepEqual(await realm.get('/healthz'), { status: 200, text: 'ok\n' });
    assert.deepEqual(await realm.get('/readyz'), { status: 200, text: 'ready\n' });
    assert.equal((await realm.get('/')).status, 404);
    assert.equal(await realm.metric('kata_realm_ready'), 1);
  });

  it('drains at SIGTERM, and ends with 0', async () => {
    assert.equal(await realm.stop(), 0);
    const ended = home
      .decisions()
      .filter(({ kind, method }) => kind === 'outcome' && method === '(connection)');
    assert.equal(ended.length, 1);
    assert.match(verified(join(home.store, 'decisions', 'audit.log')), /^ok/);
  });
});

it('needs --reference or --allow-unattested', () => {
  const home = new RealmHome(anyGuest);
  const args = home.arguments().filter((word) => word !== '--allow-unattested');
  const { status, stderr } = spawnSync(process.execPath, [realmProgram, ...args], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(
    stderr,
    /no guest would be accepted: without --reference none can be attested[^]*add --reference[^]*add --allow-unattested/,
  );
  home.remove();
});
