// A running virtual machine: its console, its forwarded ports, and its end.
import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { messageOf } from '@kata-agent/tool-command/command-line';
import {
  type Accelerator,
  type Choice,
  type Host,
  isKvmFailure,
  kvmFailureText,
  recordFailure,
} from './accelerator.js';
import { type Ending, type Failure, Run, type Started } from './run.js';
import type { Limits } from './limits.js';
import { Qmp } from './qmp.js';

/** QEMU with a guest, and how to connect to it. */
export interface StartedGuest extends Started {
  /** Each connection to the relay must begin with this key. */
  readonly key: string;
  /** The path of QEMU's QMP socket for users of the machine. */
  readonly socket: string;
}

/** The settings of a machine. */
export interface MachineSettings {
  /** Starts QEMU under an accelerator. */
  readonly start: (accelerator: Accelerator) => Promise<StartedGuest>;
  /** The result of `chooseAccelerator` for `host`. */
  readonly choice: Choice;
  readonly host: Host;
  /** Matches the console line that shows that the guest is ready. */
  readonly ready: RegExp;
  readonly limits: Limits;
  /** Prints a progress message. */
  readonly printProgress: (text: string) => void;
  /** Receives a copy of the console and of QEMU's messages. */
  readonly log: Writable | undefined;
}

interface MachineEvents {
  line: [text: string];
  restart: [];
  end: [];
}

/** The number of console lines in an error. */
const linesShown = 20;

/**
 * Emits `line` for each line of the console and of QEMU, `restart` when a guest that fails under KVM is
 * restarted under TCG, and `end`. There is at most one restart, and none after a use of the guest: a line that
 * was waited for, a connection, or QMP.
 */
export class Machine extends EventEmitter<MachineEvents> {
  /** The lines of the console and of QEMU so far. */
  lines: string[] = [];
  /**
   * Resolves with QEMU's exit code once the machine is off; null after a signal. Has no time limit, unlike
   * `poweredOff`.
   */
  readonly ended: Promise<number | null>;
  /** Why it ended; undefined while it runs, after power-off and after `kill`. */
  failure: Failure | undefined;
  readonly #options: MachineSettings;
  #accelerator: Accelerator;
  #run: Run | undefined;
  #socket = '';
  #key = '';
  #ports: ReadonlyMap<number, number> = new Map();
  #used = false;
  #killed = false;
  #hasEnded = false;
  #console: string[] = [];
  #kvmFailed = false;
  #cancelBootTimeout: () => void = () => undefined;
  #settleUp: (isUp: boolean) => void = () => undefined;
  #settleEnded: (code: number | null) => void = () => undefined;

  constructor(options: MachineSettings) {
    super();
    this.#options = options;
    this.#accelerator = options.choice.name;
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
  }

  /** Starts QEMU. Resolves when QEMU responds; rejects if it does not, and the machine is off then. */
  async begin(): Promise<void> {
    const up = new Promise<boolean>((resolve) => {
      this.#settleUp = resolve;
    });
    try {
      await this.#start();
    } catch (error) {
      this.#options.log?.end();
      throw error;
    }
    if (!(await up)) throw this.#error('QEMU did not come up');
  }

  /** The accelerator of the current run. */
  get accelerator(): Accelerator {
    return this.#accelerator;
  }

  /** Returns the port of this machine that is forwarded to a port of the guest; undefined if there is none. */
  port(guest: number): number | undefined {
    return this.#ports.get(guest);
  }

  /** Connects to a port of the relay in the guest, and sends the key. */
  connect(guest: number): Socket {
    const port = this.port(guest);
    if (port === undefined) throw new Error(`port ${guest} of the guest is not forwarded`);
    this.#used = true;
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.write(this.#key);
    return socket;
  }

  /** Opens a QMP connection. QEMU serves one at a time. */
  qmp(): Promise<Qmp> {
    this.#used = true;
    return Qmp.open(this.#socket, this.#options.limits);
  }

  /**
   * Resolves with the first line, past ones included, that matches. Rejects if the machine ends before. Kills
   * the machine if there is no such line within the time limit.
   */
  async line(pattern: RegExp, seconds: number = this.#options.limits.wait): Promise<string> {
    const found = this.lines.find((line) => pattern.test(line)) ?? (await this.#nextLine(pattern, seconds));
    this.#used = true;
    return found;
  }

  /**
   * Resolves like `ended`, for a guest that should power off. Kills the machine if it does not within the time
   * limit.
   */
  async poweredOff(seconds: number = this.#options.limits.wait): Promise<number | null> {
    const cancelTimeout = this.#startTimeout(seconds, 'the guest does not power off');
    try {
      return await this.ended;
    } finally {
      cancelTimeout();
    }
  }

  /** The error message for a machine that failed. */
  get report(): string {
    return this.#error('the machine failed').message;
  }

  /** Kills QEMU, without a shutdown of the guest. */
  kill(): Promise<number | null> {
    this.#killed = true;
    this.#run?.end({ kind: 'killed' });
    return this.ended;
  }

  async #start(): Promise<void> {
    const { limits, ready, log } = this.#options;
    const started = await this.#options.start(this.#accelerator);
    const run = new Run(started, limits);
    this.#run = run;
    this.#key = started.key;
    this.#socket = started.socket;
    const cancelTimeout = this.#startTimeout(limits.up, 'the guest did not become ready');
    this.#cancelBootTimeout = cancelTimeout;
    run.on('line', (text, isOfConsole) => {
      log?.write(`${text}\n`);
      this.lines.push(text);
      if (isOfConsole) this.#console.push(text);
      if (ready.test(text)) cancelTimeout();
      this.emit('line', text);
    });
    void run.ended.then((ending) => this.#handleEnd(ending, run.qemuLines));
    if (this.#killed) run.end({ kind: 'killed' });
    void run.up().then((ports) => {
      if (ports === undefined || run !== this.#run) return;
      this.#ports = ports;
      this.#settleUp(true);
    });
  }

  /** Handles the end of a run: ends the machine, or restarts it under TCG. */
  async #handleEnd(ending: Ending, qemuLines: readonly string[]): Promise<void> {
    this.#cancelBootTimeout();
    const { choice, host } = this.#options;
    this.#kvmFailed = this.#accelerator === 'kvm' && !this.#killed && isKvmFailure(ending, qemuLines);
    if (!this.#kvmFailed || choice.forced) {
      this.#finish(ending, qemuLines);
      return;
    }
    const reason = kvmFailureText(qemuLines);
    recordFailure(host, reason);
    if (this.#used) {
      this.#finish(ending, qemuLines);
      return;
    }
    try {
      await this.#restart(reason);
    } catch (error) {
      this.#finish({ code: null, signal: null, reason: { kind: 'exited', text: messageOf(error) } }, []);
    }
  }

  async #restart(reason: string): Promise<void> {
    this.#options.printProgress(
      `KVM fails on this machine (${reason}): the guest is restarted under TCG, which emulates a processor and is slower`,
    );
    this.#accelerator = 'tcg';
    this.lines = [];
    this.#console = [];
    this.emit('restart');
    await this.#start();
  }

  #finish(ending: Ending, qemuLines: readonly string[]): void {
    this.failure = failureOf(ending, qemuLines);
    this.#hasEnded = true;
    this.#options.log?.end();
    this.#settleUp(false);
    this.#settleEnded(ending.code);
    this.emit('end');
  }

  #nextLine(pattern: RegExp, seconds: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#startTimeout(seconds, `no console line matches ${pattern}`);
      const settle = (): void => {
        cancelTimeout();
        this.off('line', check);
        this.off('end', fail);
      };
      const check = (line: string): void => {
        if (!pattern.test(line)) return;
        settle();
        resolve(line);
      };
      const fail = (): void => {
        settle();
        reject(this.#error(`the machine ended before a console line matched ${pattern}`));
      };
      this.on('line', check);
      this.on('end', fail);
      if (this.#hasEnded) fail();
    });
  }

  /**
   * Kills the machine after `limit` seconds or without progress, which is a line or a restart. Returns a
   * function that cancels.
   */
  #startTimeout(limit: number, problem: string): () => void {
    const { silence } = this.#options.limits;
    const timeout = new ProgressTimeout({ silence, limit }, (reason) => {
      this.#run?.end({ kind: 'hung', text: `${problem}: ${reason}` });
    });
    const progress = (): void => timeout.progress();
    this.on('line', progress).on('restart', progress);
    return () => {
      timeout.cancel();
      this.off('line', progress).off('restart', progress);
    };
  }

  /** Returns an error with the problem, its reason, the last lines of the console, and help. */
  #error(problem: string): Error {
    const last = this.#console.length === 0 ? ['no console output'] : this.#console.slice(-linesShown);
    const text = [`${problem}: ${this.failure?.text ?? 'the machine is off'}`, ...last, ...this.#help()].join(
      '\n',
    );
    return new Error(text);
  }

  #help(): readonly string[] {
    if (this.#kvmFailed)
      return this.#options.choice.forced
        ? ['help: omit --accel kvm and KATA_VM_ACCEL=kvm, to use TCG if KVM fails']
        : ['help: try again: the next machine starts under TCG'];
    if (this.failure?.kind !== 'hung') return [];
    const withoutKvm = this.#accelerator === 'kvm' ? ', or try without KVM (KATA_VM_ACCEL=tcg)' : '';
    return [`help: add loglevel=7 to the kernel command line, to see the kernel's messages${withoutKvm}`];
  }
}

/** Returns why a run ended; undefined after power-off and after `kill`. */
function failureOf({ code, signal, reason }: Ending, qemuLines: readonly string[]): Failure | undefined {
  const output = qemuLines.slice(0, linesShown).join('\n');
  if (reason === undefined)
    return code === 0 ? undefined : { kind: 'exited', text: output || `QEMU exited with ${signal ?? code}` };
  if (reason.kind === 'killed') return undefined;
  return reason.kind === 'stopped' ? { ...reason, text: `${reason.text}\n${output}`.trim() } : reason;
}

/**
 * Two timers over an operation: `silence` restarts with each sign of progress, `limit` does not. Calls
 * `onTimeout` once, with the reason, when the first of them expires. Both are in seconds.
 */
class ProgressTimeout {
  readonly #silence: NodeJS.Timeout;
  readonly #limit: NodeJS.Timeout;
  #onTimeout: ((reason: string) => void) | undefined;

  constructor(
    { silence, limit }: { readonly silence: number; readonly limit: number },
    onTimeout: (reason: string) => void,
  ) {
    this.#onTimeout = onTimeout;
    this.#silence = setTimeout(() => this.#expire(`no console output for ${silence} s`), silence * 1000);
    this.#limit = setTimeout(() => this.#expire(`timeout after ${limit} s`), limit * 1000);
  }

  /** Restarts the silence timer. */
  progress(): void {
    if (this.#onTimeout !== undefined) this.#silence.refresh();
  }

  /** Stops both timers. */
  cancel(): void {
    this.#onTimeout = undefined;
    clearTimeout(this.#silence);
    clearTimeout(this.#limit);
  }

  #expire(reason: string): void {
    const onTimeout = this.#onTimeout;
    this.cancel();
    onTimeout?.(reason);
  }
}
