import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { tracked } from './children.js';
import { processorSeconds } from './processes.js';
import { createRealmFiles, realmHost, RealmProgram, until } from './realm-program.js';
import type { Row } from './row.js';

/** The metric is of the last whole 10 s. */
const lagEveryMs = 2_000;

const authorization = '[[guest]]\nname = "web"\nconfigurations = ["*"]\nmax = 10000\n';

/**
 * Measures one realm with many guests, which share one process: until all are accepted, with all of them idle, and after the
 * realm was killed, twice: it is started again at once, and a minute later. Each guest's records must be stored once.
 */
export async function measureManyGuests(quick: boolean): Promise<Row[]> {
  const count = quick ? 200 : 2_000;
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-realm-'));
  // The logs of the guests are not measured: they are on a tmpfs.
  const logs = mkdtempSync('/dev/shm/kata-bench-guests-');
  const files = createRealmFiles(join(directory, 'realm'), authorization);
  const arrivals = new Arrivals();
  const start = (port: number): Promise<RealmProgram> =>
    RealmProgram.start(files, port, (message) => arrivals.add(message));
  let realm = await start(0);
  const { guests: port } = realm.ports;
  const idleSeconds = quick ? 8 : 65;
  try {
    const ca = join(directory, 'ca.pem');
    writeFileSync(ca, files.authority.pem);
    const address = `https://${realmHost}:${port}/guests`;
    const fleet = await Fleet.start([logs, String(count), address, ca, quick ? '5000' : '0']);
    const rows: Row[] = [];
    const row = (what: string, unit: string, ours: number, goal?: Row['goal']): void =>
      void rows.push({ what, unit, ours, ...(goal === undefined ? {} : { goal }) });
    const name = `${count.toLocaleString('en-GB')} guests`;

    await delay(2_000);
    const empty = realm.megabytes;
    const cold = await accepted(arrivals, count, realm, fleet, () => fleet.dial());
    for (const [share, seconds] of cold.shares) row(`${name}, first start: ${share} accepted`, 's', seconds);
    row(`${name}, first start: longest pause of the realm`, 'ms', cold.longestPauseMs);
    row(`${name}, first start: processor of the realm, each`, 'ms', cold.realmMs);
    row(`${name}, first start: processor of a guest, each`, 'ms', cold.guestMs);
    row(`${name}, first start: refused`, '', await realm.metric('kata_realm_guests_refused_total'));
    await delay(2_000);
    row(
      `${name}: memory of the realm after their acceptance, each`,
      'KB',
      ((realm.megabytes - empty) * 1024) / count,
    );

    const busy = realm.processorSeconds;
    const begin = performance.now();
    await delay(idleSeconds * 1_000);
    const idle = (realm.processorSeconds - busy) / ((performance.now() - begin) / 1_000);
    row(`${name}, idle: processor of the realm`, '%', idle * 100);
    row(`${name}, idle: memory of the realm, each`, 'KB', ((realm.megabytes - empty) * 1024) / count);
    row(`${name}, idle: memory of the realm`, 'MB', realm.megabytes);

    for (const awaySeconds of quick ? [0] : [0, 60]) {
      // Until the connections count as ones that have lasted.
      if (awaySeconds > 0) await delay(idleSeconds * 1_000);
      const before = arrivals.names();
      const what = `${name}, realm killed${awaySeconds === 0 ? '' : ` for ${awaySeconds} s`}`;
      const tried = await fleet.attempts();
      await realm.stop('SIGKILL');
      const killed = performance.now();
      await delay(awaySeconds * 1_000);
      arrivals.clear();
      realm = await start(port);
      row(`${what}: until it listens again`, 's', (performance.now() - killed) / 1_000 - awaySeconds);
      const back = await accepted(arrivals, count, realm, fleet, () => undefined);
      for (const [share, seconds] of back.shares) row(`${what}: ${share} back`, 's', seconds);
      row(`${what}: longest pause of the realm`, 'ms', back.longestPauseMs);
      row(`${what}: processor of the realm, each`, 'ms', back.realmMs);
      row(`${what}: attempts of a guest`, '', ((await fleet.attempts()) - tried) / count);
      for (const reason of ['request', 'authorization', 'failure'])
        row(
          `${what}: refused (${reason})`,
          '',
          await realm.metric('kata_realm_guests_refused_total', reason),
        );
      const changed = [...before].filter(([id, known]) => arrivals.names().get(id) !== known).length;
      row(`${what}: guests without their name`, '', changed, { max: 0 });
      await delay(2_000);
      row(`${what}: memory of the realm`, 'MB', realm.megabytes);
      const { lost, doubled, stored } = await compareRecords(
        fleet,
        logs,
        join(files.directory, 'store', 'guests'),
      );
      row(`${what}: records stored`, '', stored);
      row(`${what}: records lost`, '', lost, { max: 0 });
      row(`${what}: records twice`, '', doubled, { max: 0 });
      row(`${what}: faults of logs`, '', await realm.metric('kata_realm_log_faults_total'), { max: 0 });
    }
    fleet.end();
    return rows;
  } finally {
    await realm.stop();
    for (const each of [directory, logs]) rmSync(each, { recursive: true, force: true });
  }
}

/** When each guest was accepted, by the log of the realm. */
class Arrivals {
  readonly #of = new Map<string, { readonly name: string; readonly at: number }>();

  add(message: Readonly<Record<string, string>>): void {
    const { msg, id, guest } = message;
    if (msg !== 'guest accepted' || id === undefined || guest === undefined || this.#of.has(id)) return;
    this.#of.set(id, { name: guest, at: performance.now() });
  }

  get size(): number {
    return this.#of.size;
  }

  /** Seconds until this share of so many guests was accepted. */
  secondsUntil(share: number, count: number, begin: number): number {
    const times = [...this.#of.values()].map(({ at }) => at).sort((a, b) => a - b);
    return ((times[Math.ceil(share * count) - 1] ?? Number.NaN) - begin) / 1_000;
  }

  names(): ReadonlyMap<string, string> {
    return new Map([...this.#of].map(([id, { name }]) => [id, name]));
  }

  clear(): void {
    this.#of.clear();
  }
}

interface Accepted {
  readonly shares: readonly (readonly [share: string, seconds: number])[];
  readonly longestPauseMs: number;
  /** Processor time for each guest. */
  readonly realmMs: number;
  readonly guestMs: number;
}

/** Waits until a realm has accepted all guests. */
async function accepted(
  arrivals: Arrivals,
  count: number,
  realm: RealmProgram,
  fleet: Fleet,
  begin: () => void,
): Promise<Accepted> {
  const pauses: number[] = [];
  const lag = setInterval(() => {
    void realm
      .metric('kata_realm_event_loop_lag_seconds', '"1"')
      .then((seconds) => pauses.push(seconds * 1_000));
  }, lagEveryMs);
  const [realmBefore, guestBefore] = [realm.processorSeconds, fleet.processorSeconds];
  const began = performance.now();
  try {
    begin();
    await until(`${count} guests are accepted, and not ${arrivals.size}`, 400, () => arrivals.size >= count);
    const realmMs = ((realm.processorSeconds - realmBefore) / count) * 1_000;
    const guestMs = ((fleet.processorSeconds - guestBefore) / count) * 1_000;
    // The metric is of the last whole window.
    await delay(11_000);
    return {
      shares: [0.5, 0.95, 1].map((share) => [`${share * 100} %`, arrivals.secondsUntil(share, count, began)]),
      longestPauseMs: Math.max(...pauses),
      realmMs,
      guestMs,
    };
  } finally {
    clearInterval(lag);
  }
}

/** The process of the guests. */
class Fleet {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  static async start(args: readonly string[]): Promise<Fleet> {
    const program = fileURLToPath(new URL('guest-fleet.js', import.meta.url));
    const child = tracked(
      spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const fleet = new Fleet(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    await fleet.#next();
    return fleet;
  }

  get processorSeconds(): number {
    return processorSeconds(this.#child.pid);
  }

  dial(): void {
    this.#child.stdin?.write('dial\n');
  }

  /** Returns the number of attempts so far that have ended. All records are in files then. */
  async attempts(): Promise<number> {
    this.#child.stdin?.write('attempts\n');
    return Number(await this.#next());
  }

  end(): void {
    this.#child.stdin?.end();
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the process of the guests has ended');
    return value;
  }
}

/** Compares the logs of the guests with those that a realm has, which has had time to collect them. */
async function compareRecords(
  fleet: Fleet,
  logs: string,
  store: string,
): Promise<{ readonly lost: number; readonly doubled: number; readonly stored: number }> {
  await fleet.attempts();
  const compare = (): { lost: number; doubled: number; stored: number } => {
    let [lost, doubled, stored] = [0, 0, 0];
    for (const id of readdirSync(logs)) {
      const own = linesOf(join(logs, id), 'audit.log');
      const held = linesOf(join(store, id), '.log');
      const unique = new Set(held);
      stored += held.length;
      doubled += held.length - unique.size;
      lost += own.filter((line) => !unique.has(line)).length;
    }
    return { lost, doubled, stored };
  };
  const end = performance.now() + 30_000;
  let result = compare();
  while (result.lost > 0 && performance.now() < end) {
    await delay(1_000);
    result = compare();
  }
  return result;
}

/** Returns the lines of all files of a directory whose names end so. */
function linesOf(directory: string, suffix: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
    .filter((line) => line !== '');
}
