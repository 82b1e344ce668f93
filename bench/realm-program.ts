import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { bundledRealm } from './agent-program.js';
import { type Authority, createAuthority, type Credentials } from './certificates.js';
import { tracked } from './children.js';
import { processorSeconds, residentMegabytes } from './processes.js';

/** The address of all realms of the benchmark. */
export const realmHost = '127.0.0.1';

/** The files of a realm, which its processes share one after another. */
export interface RealmFiles {
  readonly directory: string;
  readonly authority: Authority;
  readonly server: Credentials;
}

/** Creates the files of a realm in a new directory, with that authorization file. */
export function createRealmFiles(directory: string, authorization: string): RealmFiles {
  mkdirSync(directory, { mode: 0o700 });
  const authority = createAuthority();
  const server = authority.server(realmHost);
  const files = {
    'realm.pem': server.cert,
    'realm.key': server.key,
    'operators.pem': authority.pem,
    'realm.toml': authorization,
  };
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  return { directory, authority, server };
}

type Message = Readonly<Record<string, string>>;

/** A process of `kata-realm serve`, of the bundle. */
export class RealmProgram {
  readonly ports: { readonly guests: number; readonly operators: number; readonly metrics: number };
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ports: RealmProgram['ports']) {
    this.#child = child;
    this.ports = ports;
  }

  /**
   * Starts a realm, and waits until it listens.
   *
   * @param port that guests dial; 0: any free port.
   * @param onMessage receives each message of its log.
   */
  static async start(
    { directory }: RealmFiles,
    port: number,
    onMessage: (message: Message) => void = () => undefined,
  ): Promise<RealmProgram> {
    const at = (name: string): string => join(directory, name);
    const options = {
      guests: `${realmHost}:${port}`,
      operators: `${realmHost}:0`,
      metrics: `${realmHost}:0`,
      cert: at('realm.pem'),
      key: at('realm.key'),
      'operator-ca': at('operators.pem'),
      authorization: at('realm.toml'),
      store: at('store'),
    };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const args = [bundledRealm(), 'serve', '--allow-unattested', ...words];
    const child = tracked(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] }));
    const lines: string[] = [];
    const listening = await new Promise<Message>((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (lines.length < 20) lines.push(line);
        if (!line.startsWith('{')) return;
        const message = JSON.parse(line) as Message;
        if (message['msg'] === 'listening') resolve(message);
        onMessage(message);
      });
      child.once('exit', () => reject(new Error(`the realm ended before it listened:\n${lines.join('\n')}`)));
    });
    const portOf = (name: string): number => Number(listening[name]);
    return new RealmProgram(child, {
      guests: portOf('guests'),
      operators: portOf('operators'),
      metrics: portOf('metrics'),
    });
  }

  /** Resident memory. */
  get megabytes(): number {
    return residentMegabytes(this.#child.pid);
  }

  /** Time on a processor since its start, in seconds. */
  get processorSeconds(): number {
    return processorSeconds(this.#child.pid);
  }

  /** Returns the sum of the series of a metric whose labels contain this text. */
  async metric(name: string, labels = ''): Promise<number> {
    const response = await fetch(`http://${realmHost}:${this.ports.metrics}/metrics`);
    const lines = (await response.text()).split('\n').filter((line) => /^[^#]/.test(line));
    return lines
      .filter((line) => line.split(/[ {]/)[0] === name && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}

/** Waits until a condition holds; throws after that time. */
export async function until(
  what: string,
  seconds: number,
  met: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  while (!(await met())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await delay(20);
  }
}
