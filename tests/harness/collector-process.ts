import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { realmProgram } from './repository.js';
import { endWithTests } from './end-with-tests.js';

/** A line of the log of a collector. */
export interface CollectorLine {
  readonly level: string;
  readonly msg: string;
  readonly agent?: string;
  readonly kind?: string;
  readonly sequence?: string;
  readonly what?: string;
  readonly count?: string;
  readonly error?: string;
  readonly size?: string;
}

/** A `kata-realm collect`. */
export class CollectorProcess {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  #stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, [realmProgram, 'collect', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    endWithTests(this.process);
    this.exited = once(this.process, 'close').then(([code]) => code as number | null);
  }

  get lines(): readonly CollectorLine[] {
    const whole = this.#stderr.split('\n').slice(0, -1);
    return whole.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as CollectorLine] : []));
  }

  /** Messages for a person. */
  get alerts(): readonly CollectorLine[] {
    return this.lines.filter(({ msg }) => msg.startsWith('ALERT:'));
  }

  get stderr(): string {
    return this.#stderr;
  }

  has(msg: string): boolean {
    return this.lines.some((line) => line.msg === msg);
  }

  /** Ends it, and returns its exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (signal === 'SIGTERM') await this.#handlesSignals();
    this.process.kill(signal);
    return await this.exited;
  }

  /** Waits for its first line: it handles signals from then on. */
  async #handlesSignals(): Promise<void> {
    while (this.lines.length === 0 && this.process.exitCode === null && this.process.signalCode === null)
      await delay(10);
  }
}
