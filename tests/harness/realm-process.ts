import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { RealmOptions } from '@kata-agent/realm';
import { Authority, type ClientCertificate } from './authority.js';
import { realmProgram } from './repository.js';
import { endWithTests } from './end-with-tests.js';

type Fields = Readonly<Record<string, string>>;

/** What a realm demands of its guests. */
export interface RealmDemand {
  /** Guests without verified evidence are refused. */
  readonly attested?: boolean;
}

/** The directory of a realm: its files and its store. Processes of it can follow one another. */
export class RealmHome {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-realm-test-'));
  readonly store: string = join(this.directory, 'store');
  readonly ca: Authority = new Authority('realm CA');
  readonly operators: Authority = new Authority('operators CA');
  readonly certificate: ClientCertificate;
  /** Ports of the last process, which the next one has too. */
  ports: { guests: number; operators: number; metrics: number } = { guests: 0, operators: 0, metrics: 0 };

  /** `ips`: addresses at which guests dial it, beside localhost. */
  constructor(authorization: string, ips: readonly string[] = []) {
    this.certificate = this.ca.server(['localhost'], { ips });
    this.write('realm.pem', this.certificate.cert);
    this.write('realm.key', this.certificate.key);
    this.write('operators.pem', this.operators.pem);
    this.write('realm.toml', authorization);
  }

  /** Another replica of the same realm: its store and ports are its own. */
  replica(name: string): RealmHome {
    const own = { store: join(this.directory, name), ports: { guests: 0, operators: 0, metrics: 0 } };
    return Object.assign(Object.create(this) as RealmHome, own);
  }

  /** Paths of the files of `startRealm`. */
  get files(): RealmOptions['files'] {
    const at = (name: string): string => join(this.directory, name);
    return {
      cert: at('realm.pem'),
      key: at('realm.key'),
      operatorCa: at('operators.pem'),
      operatorCrl: undefined,
      authorization: at('realm.toml'),
    };
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text, { mode: 0o600 });
  }

  /** The arguments of `kata-realm serve`; guests need no evidence unless `attested`. */
  arguments(more: readonly string[] = [], { attested = false }: RealmDemand = {}): readonly string[] {
    const at = (name: string): string => join(this.directory, name);
    const { guests, operators, metrics } = this.ports;
    const options = {
      guests: `127.0.0.1:${guests}`,
      operators: `127.0.0.1:${operators}`,
      metrics: `127.0.0.1:${metrics}`,
      cert: at('realm.pem'),
      key: at('realm.key'),
      'operator-ca': at('operators.pem'),
      authorization: at('realm.toml'),
      store: this.store,
    };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    return ['serve', ...words, ...(attested ? [] : ['--allow-unattested']), ...more];
  }

  /** The records of the realm's own audit log. */
  decisions(): readonly Readonly<Record<string, unknown>>[] {
    const lines = readFileSync(join(this.store, 'decisions', 'audit.log'), 'utf8')
      .split('\n')
      // The last line may be written just now.
      .slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }

  /** The paths of the logs of a guest, or of all. */
  logs(id?: string): readonly string[] {
    const guests = join(this.store, 'guests');
    const ids = id === undefined ? (existsSync(guests) ? readdirSync(guests) : []) : [id];
    return ids.flatMap((each) => {
      const directory = join(guests, each);
      const names = existsSync(directory) ? readdirSync(directory) : [];
      return names.filter((name) => name.endsWith('.log')).map((name) => join(directory, name));
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The program `kata-realm serve`, as a separate process. */
export class RealmProcess {
  readonly log: Fields[] = [];
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly #home: RealmHome;

  private constructor(home: RealmHome, child: ChildProcess) {
    this.#home = home;
    this.process = child;
    this.exited = once(child, 'close').then(([code]) => code as number | null);
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      this.log.push(line.startsWith('{') ? (JSON.parse(line) as Fields) : { msg: line });
    });
  }

  /** Starts a realm, and waits until it listens. */
  static async start(
    home: RealmHome,
    more: readonly string[] = [],
    demand: RealmDemand = {},
  ): Promise<RealmProcess> {
    const args = ['--enable-source-maps', realmProgram, ...home.arguments(more, demand)];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '' },
    });
    const realm = new RealmProcess(home, endWithTests(child));
    const listening = await realm.logged('listening').catch(async (error: unknown) => {
      // One that neither listens nor ends would keep the test's file alive.
      await realm.stop('SIGKILL');
      throw error;
    });
    const port = (name: string): number => Number(listening[name]);
    home.ports = { guests: port('guests'), operators: port('operators'), metrics: port('metrics') };
    return realm;
  }

  /** Resolves with the next message of this text that is written or was not taken yet. */
  async logged(message: string, count = 1): Promise<Fields> {
    const end = Date.now() + 15_000;
    for (;;) {
      const found = this.log.filter(({ msg }) => msg === message)[count - 1];
      if (found !== undefined) return found;
      const ended = this.process.exitCode !== null || this.process.signalCode !== null;
      // What it has said last is read when its output is closed, which can be after its end.
      if (ended) await this.exited;
      if (ended || Date.now() > end) throw new Error(`no message '${message}':\n${this.text()}`);
      await delay(5);
    }
  }

  /** The time of processors that it has used, in milliseconds. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.process.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    // In hundredths of a second: user and system.
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  text(): string {
    return this.log.map((line) => JSON.stringify(line)).join('\n');
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.#home.ports.metrics}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** Returns the value of a metric; 0 if it has none. */
  async metric(series: string): Promise<number> {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? 0 : Number(line.slice(series.length + 1));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    return this.exited;
  }
}

/** Waits until a condition holds. */
export async function until(what: string, met: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await met())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await delay(10);
  }
}
