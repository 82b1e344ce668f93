import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ctlProgram } from './repository.js';

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

/** A `kata-agent-ctl audit collect`. */
export class CollectorProcess {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  #stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, [ctlProgram, 'audit', 'collect', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
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

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.process.kill(signal);
    return await this.exited;
  }
}
