import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  checkConsistency,
  formatAddCheckpoint,
  leafHash,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '@kata-agent/tlog';
import { type BootOptions, GuestLog } from '../harness/guest-log.js';
import { guestIdentity, RawGuest } from '../harness/raw-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { realmProgram } from '../harness/repository.js';
import { newGuest, stateFile, WitnessedGuest, witnessKey } from '../harness/witnessed-guest.js';

const anyGuests = '[[guest]]\nname = "web"\nconfigurations = ["*"]\nmax = 100\n';

describe('a realm that is a witness', () => {
  const home = new RealmHome(anyGuests);
  const { verifier, file } = witnessKey(home);
  let realm: RealmProcess;
  const guests: WitnessedGuest[] = [];
  const guest = async (more: BootOptions = {}): Promise<WitnessedGuest> => {
    const made = await newGuest(home, more);
    guests.push(made);
    return await made.connect();
  };
  const hasFault = (id: string, fault: string): boolean =>
    realm.log.some((line) => line['fault'] === fault && line['id'] === id);
  const stateOf = ({ log }: WitnessedGuest): string =>
    readFileSync(join(home.store, 'witness', `${log.origin.slice('kata-agent/'.length)}.checkpoint`), 'utf8');

  before(async () => {
    realm = await RealmProcess.start(home, ['--witness-key', file]);
  });
  after(async () => {
    for (const each of guests) each.close();
    assert.equal(await realm.stop(), 0, realm.text());
    home.remove();
  });

  it('says its verifier key', async () => {
    assert.equal((await realm.logged('witness'))['key'], verifier.toString());
  });

  it('answers 200 with a cosignature, which is durable, and 409 with the size that it has', async () => {
    const one = await guest({ before: 3 });
    one.log.addMany(9);
    await one.stored();
    const { status, type, body } = await one.ask(0);
    assert.deepEqual([status, type], [200, 'text/plain; charset=utf-8']);
    const keys = { logs: [one.log.signer.verifier], witnesses: [verifier] };
    const { witnesses, head } = openCheckpoint(one.log.checkpoint() + body, keys);
    assert.equal(head.size, 10);
    assert.ok(Math.abs((witnesses[0]?.time ?? 0) - Date.now() / 1_000) < 10);
    assert.equal(stateOf(one), one.log.checkpoint() + body);
    one.log.addMany(600);
    assert.deepEqual(await one.ask(0), { status: 409, type: 'text/x.tlog.size', body: '10\n' });
    assert.equal((await one.ask(10, 300)).status, 200);
    assert.equal((await one.ask(300, 300)).status, 200);
    assert.equal((await one.ask(300)).status, 200);
    assert.deepEqual(await one.ask(300, 400), { status: 409, type: 'text/x.tlog.size', body: '610\n' });
    // Checkpoints of sizes within the stored log, which were compared with its records.
    await one.stored();
    for (const size of [1, 2, 255, 256, 257, 511, 512, 609])
      assert.equal((await one.ask(0, size)).status, 409);
    assert.equal(await realm.metric('kata_realm_log_faults_total{kind="fork"}'), 0);
    assert.ok((await realm.metric('kata_realm_witness_requests_total{status="200"}')) >= 4);
  });

  it('answers 400 to what is not a request, and to an old size above the size', async () => {
    const one = await guest();
    await one.stored();
    for (const body of ['', 'old 0\n', one.log.request(0).replace('old 0', 'old -1'), Buffer.alloc(1_000)])
      assert.equal((await one.post(body)).status, 400);
    assert.equal((await one.ask(2, 1)).status, 400);
    assert.equal((await one.post(Buffer.alloc(300_000))).status, 413);
    assert.equal((await one.post('', { method: 'PUT' })).status, 405);
    assert.equal((await one.post(one.log.request(0), { path: '/other' })).status, 426);
    assert.equal((await one.ask(0)).status, 200);
  });

  it('answers 403 to a checkpoint that the log has not signed', async () => {
    const one = await guest();
    await one.stored();
    const signed = one.log.request(0);
    const wrong = signed.replace(
      /(— \S+ )(\S)(\S{20})(\S)/u,
      (_all, name, a, b, c) => `${name}${a}${b}${c === 'A' ? 'B' : 'A'}`,
    );
    assert.notEqual(wrong, signed);
    assert.equal((await one.post(wrong)).status, 403);
    assert.equal((await one.ask(0)).status, 200);
  });

  it('answers 404 to everybody who is not connected, and to each origin but the own one of the guest', async () => {
    const [one, other] = [await guest(), await guest()];
    await Promise.all([one.stored(), other.stored()]);
    const stranger = await newGuest(home);
    const unknown = await stranger.ask(0);
    assert.equal(unknown.status, 404);
    assert.match(unknown.body, /no guest with this key is connected/);
    const foreign = await one.post(other.log.request(0));
    assert.equal(foreign.status, 404);
    assert.match(
      foreign.body,
      /the log of this guest is kata-agent\/[0-9a-f]{64}, and the request is of another/,
    );
    // A log whose boot record names the key of another guest.
    const liar = new WitnessedGuest(home, await guestIdentity(), GuestLog.boot(one.identity.pin));
    guests.push(await liar.connect());
    await liar.stored();
    const answer = await liar.ask(0);
    assert.equal(answer.status, 404);
    assert.match(answer.body, /none of the guest's records .* names the keys/);
    const silent = await newGuest(home);
    const connection = await RawGuest.serve({ port: home.ports.guests, identity: silent.identity });
    await until('its log is not served', async () => /WatchAudit/.test((await silent.ask(0)).body));
    connection.socket.destroy();
    await until('it is logged', () =>
      realm.log.some(
        ({ msg, status, id }) =>
          msg === 'a checkpoint of a guest was not cosigned' && status === '404' && id === one.id,
      ),
    );
  });

  it('a guest that names the log key of another gains nothing, and takes nothing from it', async () => {
    const one = await guest();
    one.log.addMany(4);
    await one.stored();
    // The key of the other log is public; its checkpoints can be seen by the host.
    const thief = await newGuest(home);
    const same = new WitnessedGuest(
      home,
      thief.identity,
      GuestLog.boot(thief.identity.pin, { logKey: one.log.signer.verifier.toString() }),
    );
    guests.push(await same.connect());
    await same.stored();
    assert.equal((await same.post(one.log.request(0))).status, 200, 'it is one that the log has signed');
    assert.deepEqual(await one.ask(0), { status: 409, type: 'text/x.tlog.size', body: '5\n' });
    assert.equal((await same.ask(5, 1)).status, 404, 'its own key is not that of its boot record');
    await until('it is reported', () => hasFault(same.id, 'clone'));
    // Its own records are not those of the checkpoint.
    same.log.addMany(4);
    await until('it has forked', () => hasFault(same.id, 'fork'));
    assert.equal((await same.post(one.log.request(5))).status, 422);
    one.log.add();
    assert.equal((await one.ask(5)).status, 200);
    assert.ok(!hasFault(one.id, 'fork'));
  });

  it('a stranger of the same address that sends much with the end of its handshake harms nobody', async () => {
    const one = await guest();
    await one.stored();
    const stranger = await newGuest(home);
    for (let n = 0; n < 3; n += 1)
      assert.equal((await stranger.post(Buffer.alloc(200_000))).status, 404, 'it was not answered');
    assert.equal((await one.ask(0)).status, 200);
    assert.equal(realm.process.exitCode ?? realm.process.signalCode, null);
  });

  it('answers 422 to what is not an extension of the cosigned tree', async () => {
    const one = await guest();
    one.log.addMany(5);
    await one.stored();
    assert.equal((await one.ask(0, 4)).status, 200);
    const [first = '', ...rest] = one.log.request(4).split('\n');
    const missing = [first, ...rest.slice(1)].join('\n');
    const answer = await one.post(missing);
    assert.equal(answer.status, 422);
    assert.equal((await one.ask(4)).status, 200);
  });

  it('orders two requests of one log that come at once', async () => {
    const one = await guest();
    one.log.addMany(40);
    await one.stored();
    const answers = await Promise.all([one.ask(0, 10), one.ask(0, 20), one.ask(0, 30), one.ask(0, 40)]);
    assert.deepEqual(
      answers.map(({ status }) => status).sort((a, b) => a - b),
      [200, 409, 409, 409],
    );
    const last = openCheckpoint(stateOf(one), { logs: [one.log.signer.verifier], witnesses: [verifier] });
    for (const { status, body } of answers) if (status === 409) assert.equal(body, `${last.head.size}\n`);
  });

  it('bounds the requests of one guest, in rate and at once, and not those of others', async () => {
    const [one, other] = [await guest(), await guest()];
    await Promise.all([one.stored(), other.stored()]);
    const statuses: number[] = [];
    for (let n = 0; n < 60; n += 1) statuses.push((await one.ask(0)).status);
    assert.ok(statuses.includes(429), statuses.join(' '));
    assert.equal((await other.ask(0)).status, 200);
    await delay(1_000);
    assert.notEqual((await one.ask(1)).status, 429);
  });
});

describe('a fork', () => {
  const home = new RealmHome(anyGuests);
  const { file } = witnessKey(home);
  let realm: RealmProcess;

  before(async () => {
    realm = await RealmProcess.start(home, ['--witness-key', file]);
  });
  after(async () => {
    await realm.stop();
    home.remove();
  });

  const forkAlert = (id: string): boolean =>
    realm.log.some(({ msg = '', fault, id: of }) => msg.startsWith('ALERT') && fault === 'fork' && of === id);

  it('is found when a checkpoint is not of the stored records, at once and for good', async () => {
    const one = await (await newGuest(home)).connect();
    one.log.addMany(5);
    await one.stored();
    assert.equal((await one.ask(0)).status, 200);
    one.log.addMany(5);
    await one.stored();
    // The clone continues from the sixth record, and does not connect: only its checkpoint is seen.
    const clone = one.log.clone(6).addMany(3, 'clone');
    const begin = performance.now();
    const answer = await one.post(clone.request(6));
    const tookMs = performance.now() - begin;
    assert.equal(answer.status, 422);
    assert.match(answer.body, /the log has forked: its checkpoint of 9 records is not of the records/);
    // The line of the log comes through a pipe: it can come after the answer.
    await until('the alert is logged', () => forkAlert(one.id));
    console.log(`fork by a checkpoint: found after ${tookMs.toFixed(0)} ms`);
    assert.equal(
      (await one.ask(6)).status,
      422,
      'the honest one is not cosigned either: nobody knows which it is',
    );
    assert.equal(await realm.metric('kata_realm_log_faults_total{kind="fork"}'), 1);
    const notes = readFileSync(join(home.store, 'guests', one.id, 'notes'), 'utf8');
    assert.ok(notes.includes('"kind":"fork"') && notes.includes(clone.origin), notes);
    await until('it is recorded', () => JSON.stringify(home.decisions()).includes('(fork)'));
    // Also after a restart, or a crash.
    await realm.stop('SIGKILL');
    realm = await RealmProcess.start(home, ['--witness-key', file]);
    await one.connect();
    await until('the log is open', async () => (await one.ask(6)).status !== 404);
    assert.equal((await one.ask(6)).status, 422);
    one.close();
  });

  it('is found when the records arrive that a cosigned checkpoint contradicts, also after a restart', async () => {
    const one = await (await newGuest(home)).connect();
    one.log.addMany(5);
    await one.stored();
    const clone = one.log.clone().addMany(4, 'clone');
    // The clone asks first, and its records do not come: its tree is cosigned.
    assert.equal((await one.post(clone.request(0))).status, 200);
    one.close();
    await realm.stop('SIGKILL');
    realm = await RealmProcess.start(home, ['--witness-key', file]);
    await one.connect();
    await delay(100);
    const begin = performance.now();
    one.log.addMany(4);
    await until('the fork is found', () => forkAlert(one.id));
    console.log(`fork by records after a restart: found after ${(performance.now() - begin).toFixed(0)} ms`);
    assert.equal((await one.ask(6)).status, 422);
    one.close();
  });

  it('is found by the records, however many other heads the guest signs before they come', async () => {
    const one = await (await newGuest(home)).connect();
    one.log.addMany(5);
    await one.stored();
    const clone = one.log.clone().addMany(4, 'clone');
    assert.equal((await one.post(clone.request(0))).status, 200);
    // More than wait, and of none of these sizes records will ever come.
    const root = leafHash(Buffer.from('no tree'));
    for (let n = 0; n < 40; n += 1) {
      const checkpoint = signCheckpoint(one.log.signer, { size: 10_000 + n, root });
      await until(
        'it is answered',
        async () => (await one.post(formatAddCheckpoint(clone.size, [], checkpoint))).status === 422,
      );
    }
    assert.ok(!forkAlert(one.id), realm.text());
    one.log.addMany(4);
    await until('the fork is found', () => forkAlert(one.id));
    one.close();
  });

  it('is found by two signatures alone, when no record has come to these sizes', async () => {
    const one = await (await newGuest(home)).connect();
    await one.stored();
    const left = one.log.clone().addMany(7, 'left');
    const right = one.log.clone().addMany(7, 'right');
    assert.equal((await one.post(left.request(0))).status, 200);
    const answer = await one.post(right.request(1));
    assert.equal(answer.status, 422);
    // The line of the log comes through a pipe: it can come after the answer.
    await until('the alert is logged', () => forkAlert(one.id));
    const text = readFileSync(stateFile(one, 'fork'), 'utf8');
    assert.ok(text.includes(right.checkpoint()) && text.includes(left.checkpoint()));
    one.close();
  });
});

describe('a cloned guest, which exists twice', () => {
  const home = new RealmHome('[[guest]]\nname = "web"\nconfigurations = ["*"]\n');
  const { file } = witnessKey(home);
  let realm: RealmProcess;
  before(async () => {
    realm = await RealmProcess.start(home, ['--witness-key', file]);
  });
  after(async () => {
    await realm.stop();
    home.remove();
  });

  it('is found by its two connections, before it has a record of its own; then by its records', async () => {
    const one = await (await newGuest(home)).connect();
    one.log.addMany(5);
    await one.stored();
    const clone = new WitnessedGuest(home, one.identity, one.log.clone());
    const begin = performance.now();
    await clone.connect();
    const alert = await realm.logged('ALERT: a guest was cloned');
    console.log(`clone by two connections: found after ${(performance.now() - begin).toFixed(0)} ms`);
    assert.equal(alert['id'], one.id);
    assert.equal(await realm.metric('kata_realm_guest_alerts_total{kind="clone"}'), 1);
    await until('it is recorded', () => JSON.stringify(home.decisions()).includes('(clone)'));
    // The note is written after the record.
    const notes = join(home.store, 'guests', one.id, 'notes');
    await until('it is noted', () => readFileSync(notes, 'utf8').includes('"kind":"clone"'));
    // The original has lost its connection and comes again, with other records.
    clone.log.addMany(2, 'clone');
    await clone.stored();
    one.log.addMany(2);
    const again = performance.now();
    await one.connect();
    await until('another log', () => realm.log.some(({ fault }) => fault === 'second-log'));
    console.log(`clone by its records: found after ${(performance.now() - again).toFixed(0)} ms`);
    await until('it is not cosigned', async () => (await one.ask(0)).status === 422);
    one.close();
    clone.close();
  });
});

it('a realm that is killed at any moment never cosigns two trees of one log', async () => {
  const home = new RealmHome(anyGuests);
  const { file, verifier } = witnessKey(home);
  const one = await newGuest(home);
  const keys = { logs: [one.log.signer.verifier], witnesses: [verifier] };
  /** Sizes of which a cosignature has come. */
  const cosigned: number[] = [];
  let forks = 0;
  for (let round = 0; round < 12; round += 1) {
    const realm = await RealmProcess.start(home, ['--witness-key', file]);
    await one.connect();
    await until('the log is known', async () => (await one.ask(0, 0)).status !== 404);
    // What the last process has cosigned is stored, whenever it was killed.
    const before = existsSync(stateFile(one, 'checkpoint'))
      ? openCheckpoint(readFileSync(stateFile(one, 'checkpoint')), keys).head.size
      : 0;
    assert.ok(before >= Math.max(0, ...cosigned), `${before} is stored, and ${cosigned.at(-1)} was cosigned`);
    const killed = delay(30 + round * 17).then(() => realm.stop('SIGKILL'));
    for (let known = before; ; ) {
      one.log.add();
      const { status, body } = await one.ask(known);
      if (status === 0 || status === 503 || status === 404) break;
      if (status === 409) known = Number(body);
      if (status !== 200) continue;
      known = one.log.size;
      assert.equal(openCheckpoint(one.log.checkpoint() + body, keys).head.size, known);
      cosigned.push(known);
    }
    await killed;
    one.close();
  }
  const realm = await RealmProcess.start(home, ['--witness-key', file]);
  await one.connect();
  await until('the log is known', async () => (await one.ask(0, 0)).status !== 404);
  const latest = parseCheckpoint(readFileSync(stateFile(one, 'checkpoint'))).head;
  for (const size of cosigned) checkConsistency(one.log.head(size), latest, one.log.proof(size, latest.size));
  // A clone of each of these moments gets nothing.
  for (const size of cosigned.filter((_, at) => at % Math.ceil(cosigned.length / 12) === 0)) {
    const clone = one.log.clone(size).addMany(latest.size - size + 3, 'clone');
    if ((await one.post(clone.request(size))).status === 200) forks += 1;
  }
  assert.equal(forks, 0);
  console.log(`killed 12 times: ${cosigned.length} cosignatures, of one log`);
  one.close();
  await realm.stop();
  home.remove();
});

it('a realm whose guest is silent for three heartbeats says so', async () => {
  const home = new RealmHome(anyGuests);
  const realm = await RealmProcess.start(home);
  const one = await (await newGuest(home, { facts: { heartbeatMs: 1_000 } })).connect();
  await one.stored();
  const begin = performance.now();
  const alert = await realm.logged('ALERT: a connected guest sends no audit records');
  console.log(`silence of 3 heartbeats of 1 s: found after ${(performance.now() - begin).toFixed(0)} ms`);
  assert.deepEqual([alert['id'], alert['ms']], [one.id, '3000']);
  one.log.add();
  await realm.logged('records of a guest come again');
  one.close();
  await realm.logged('ALERT: a guest has disconnected, and sends no audit records');
  assert.equal(await realm.metric('kata_realm_guest_alerts_total{kind="silent"}'), 1);
  assert.equal(await realm.metric('kata_realm_guest_alerts_total{kind="away"}'), 1);
  await realm.stop();
  home.remove();
});

it('a realm without a key is no witness, and one with a bus must not be one', async () => {
  const home = new RealmHome(anyGuests);
  const realm = await RealmProcess.start(home);
  const one = await (await newGuest(home)).connect();
  await one.stored();
  const answer = await one.ask(0);
  assert.equal(answer.status, 404);
  assert.match(answer.body, /no witness: it was started without --witness-key/);
  assert.equal(existsSync(join(home.store, 'witness')), false);
  one.close();
  await realm.stop();
  const { file } = witnessKey(home);
  const args = [realmProgram, ...home.arguments(['--witness-key', file, '--bus', 'nats://127.0.0.1:1'])];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 2, stderr);
  assert.match(stderr, /--witness-key and --bus exclude each other/);
  home.remove();
});
