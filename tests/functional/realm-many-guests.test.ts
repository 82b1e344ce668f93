import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { repository } from '../harness/repository.js';

const count = 100;
const fleetProgram = join(repository, 'bench/dist/guest-fleet.js');

/** The names of the guests that a process of a realm has accepted, by their IDs. */
function namesOf(realm: RealmProcess): ReadonlyMap<string, string> {
  const accepted = realm.log.filter(({ msg }) => msg === 'guest accepted');
  return new Map(accepted.map(({ id = '', guest = '' }) => [id, guest]));
}

// Of one address: more than may be in their handshakes at once.
it('100 guests return to a realm that was killed, with their names, and each record is stored once', {
  timeout: 180_000,
}, async (t) => {
  const home = new RealmHome('[[guest]]\nname = "web"\nconfigurations = ["*"]\nmax = 1000\n');
  home.write('ca.pem', home.ca.pem);
  const logs = mkdtempSync(join(tmpdir(), 'kata-fleet-'));
  let realm = await RealmProcess.start(home);
  const address = `https://localhost:${home.ports.guests}/guests`;
  const fleet = spawn(
    process.execPath,
    [fleetProgram, logs, String(count), address, join(home.directory, 'ca.pem'), '0'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const exited = once(fleet, 'close');
  t.after(async () => {
    fleet.kill();
    await exited;
    await realm.stop('SIGKILL');
    home.remove();
    rmSync(logs, { recursive: true });
  });
  const lines = createInterface({ input: fleet.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'ready');
  fleet.stdin.write('dial\n');
  const all = async (): Promise<boolean> =>
    (await realm.metric('kata_realm_guests{relay="trusted"}')) === count;
  await until('all guests are accepted', all, 60_000);
  const refused = (): Promise<number> => realm.metric('kata_realm_guests_refused_total{reason="request"}');
  assert.equal(await refused(), 0, 'guests were refused that came at once');
  const names = namesOf(realm);
  assert.equal(new Set(names.values()).size, count);

  await realm.stop('SIGKILL');
  realm = await RealmProcess.start(home);
  await until('all guests are back', all, 90_000);
  assert.deepEqual(Object.fromEntries(namesOf(realm)), Object.fromEntries(names));

  // All records are in the files of the guests then.
  fleet.stdin.write('flush\n');
  assert.match(String((await lines.next()).value), /^\d+$/);
  const stored = (id: string): string =>
    home
      .logs(id)
      .map((path) => readFileSync(path, 'utf8'))
      .join('');
  const differing = (): readonly string[] =>
    readdirSync(logs).filter((id) => stored(id) !== readFileSync(join(logs, id, 'audit.log'), 'utf8'));
  await until('all records are stored', () => differing().length === 0, 30_000);
  assert.equal(readdirSync(logs).length, count);
  // Of both connections.
  for (const id of names.keys()) assert.equal(stored(id).match(/"kind":"intent"/g)?.length, 2);
  for (const kind of ['gap', 'broken', 'second-log', 'failed'])
    assert.equal(await realm.metric(`kata_realm_log_faults_total{kind="${kind}"}`), 0, kind);
});
