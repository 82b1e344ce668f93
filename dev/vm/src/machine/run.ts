// One run of QEMU, from its start to its end, and why it ended.
import { EventEmitter, once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { messageOf } from '@kata-agent/tool-command/command-line';
import type { Limits } from './limits.js';
import { Qmp } from './qmp.js';

/** The processes and files of a run. */
export interface Started {
  /** The process of QEMU, with pipes for its output and for QMP (`watchDescriptor`). */
  readonly qemu: ChildProcess;
  /** Removed when QEMU has ended. */
  readonly directory: string;
  /** Terminated when QEMU has ended. */
  readonly helpers: readonly (ChildProcess | undefined)[];
}

interface RunEvents {
  /** A line; of the guest's console, or of QEMU's stderr. */
  line: [text: string, isOfConsole: boolean];
}

/**
 * The file descriptor at which QEMU serves QMP to this process. Users of the machine connect to the socket in
 * the directory.
 */
export const watchDescriptor = 3 as const;

/**
 * The states from which a machine does not continue although QEMU keeps running (QMP's RunState), and their
 * meanings.
 */
const stoppedStates: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'internal-error': 'the accelerator cannot run the guest',
    'guest-panicked': 'the guest panicked',
    'io-error': 'the file of a disk cannot be read or written; its file system may be full',
    watchdog: 'the watchdog of the guest expired',
    shutdown: 'the guest is shut down, and QEMU runs with -no-shutdown',
  }),
);

/** A run of QEMU. Emits each line of the console and of QEMU. */
export class Run extends EventEmitter<RunEvents> {
  /** The lines of QEMU's stderr. */
  readonly qemuLines: string[] = [];
  /** Resolves when QEMU and its helpers have ended. */
  readonly ended: Promise<Ending>;
  readonly #qemu: ChildProcess;
  readonly #qmp: Qmp;
  readonly #limits: Limits;
  #reason: EndReason | undefined;
  #afterPanic: NodeJS.Timeout | undefined;

  constructor({ qemu, directory, helpers }: Started, limits: Limits) {
    super();
    const { stdout, stderr } = qemu;
    const watch = qemu.stdio[watchDescriptor];
    if (stdout === null || stderr === null || !(watch instanceof Socket))
      throw new Error('QEMU was started without pipes for its output and QMP');
    this.#qemu = qemu;
    this.#limits = limits;
    this.#qmp = new Qmp(watch, limits);
    this.#qmp.on('STOP', () => void this.#checkState());
    readLines(stdout, (line) => {
      this.emit('line', line, true);
      this.#detectPanic(line);
    });
    readLines(stderr, (line) => {
      this.qemuLines.push(line);
      this.emit('line', line, false);
    });
    qemu.once('error', (error) => this.qemuLines.push(error.message));
    this.ended = new Promise((resolve) => {
      const finish = async (code: number | null, signal: NodeJS.Signals | null): Promise<void> => {
        clearTimeout(this.#afterPanic);
        await Promise.all(helpers.map(terminate));
        rmSync(directory, { recursive: true, force: true });
        resolve({ code, signal, ...(this.#reason === undefined ? {} : { reason: this.#reason }) });
      };
      qemu.once('close', (code, signal) => void finish(code, signal));
    });
  }

  /** Resolves with the forwarded ports once QEMU responds; with undefined if it does not. */
  async up(): Promise<ReadonlyMap<number, number> | undefined> {
    try {
      await this.#qmp.execute('qmp_capabilities');
      const ports = await chosenPorts(this.#qmp);
      // QEMU may have stopped the guest before events were enabled.
      await this.#checkState();
      return ports;
    } catch (error) {
      this.#handleQmpError(error);
      return undefined;
    }
  }

  /** Kills QEMU. The first reason is kept. */
  end(reason: EndReason): void {
    this.#reason ??= reason;
    this.#qemu.kill('SIGKILL');
  }

  async #checkState(): Promise<void> {
    try {
      const state = stateIn(await this.#qmp.execute('query-status'));
      const meaning = stoppedStates.get(state);
      // Any other state, such as `paused`, was requested.
      if (meaning === undefined) return;
      this.end({ kind: 'stopped', state, text: `QEMU stopped it: ${state} (${meaning})` });
    } catch (error) {
      this.#handleQmpError(error);
    }
  }

  /** Kills QEMU if it did not respond. If the connection is closed, QEMU has ended. */
  #handleQmpError(error: unknown): void {
    if (!this.#qmp.closed) this.end({ kind: 'unresponsive', text: messageOf(error) });
  }

  /**
   * Detects a kernel panic. The kernel reboots at once, after some seconds or never, depending on `panic=` in
   * its command line; the machine is killed if it does not end within the limit.
   */
  #detectPanic(line: string): void {
    const [, message] = /Kernel panic - not syncing: (.*)/.exec(line) ?? [];
    if (message === undefined) return;
    const reason: EndReason = { kind: 'panicked', text: `the guest's kernel panicked: ${message}` };
    // The kernel prints this line only if it does not reboot.
    if (line.includes('end Kernel panic')) {
      this.end(reason);
      return;
    }
    this.#reason ??= reason;
    this.#afterPanic ??= setTimeout(() => this.end(reason), this.#limits.panic * 1000);
  }
}

/** Returns the state in a result of `query-status`. */
function stateIn(result: unknown): string {
  return typeof result === 'object' && result !== null && 'status' in result ? String(result.status) : '';
}

/** Seconds that a helper may take to exit before it is killed. */
const helperExitSeconds = 10;

/**
 * Terminates a helper and waits for its exit: until then swtpm, for example, locks the directory with its keys.
 */
async function terminate(helper: ChildProcess | undefined): Promise<void> {
  // A helper that failed to start has no pid.
  if (helper?.pid === undefined || helper.exitCode !== null || helper.signalCode !== null) return;
  const exited = once(helper, 'exit');
  const killTimer = setTimeout(() => helper.kill('SIGKILL'), helperExitSeconds * 1000);
  helper.kill();
  await exited;
  clearTimeout(killTimer);
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream }).on('line', (line) => onLine(withoutEscapes(line)));
}

/** Removes escape sequences, which the firmware prints, and carriage returns. */
function withoutEscapes(line: string): string {
  return line.replace(/\u001b(\[[0-9;?]*[a-zA-Z]|c)/g, '').replace(/\r/g, '');
}

// The end of one run of QEMU, and its reason.

/** Why a run ended. `text` is for messages. */
type EndReason =
  /** QEMU stopped the machine in a state from which it does not continue. */
  | { readonly kind: 'stopped'; readonly state: string; readonly text: string }
  /** The guest's kernel panicked. */
  | { readonly kind: 'panicked'; readonly text: string }
  /** QEMU did not respond to a command. */
  | { readonly kind: 'unresponsive'; readonly text: string }
  /** The guest exceeded a time limit. */
  | { readonly kind: 'hung'; readonly text: string }
  /** QEMU exited, or did not start. */
  | { readonly kind: 'exited'; readonly text: string }
  /** The user of the machine killed it. */
  | { readonly kind: 'killed' };

/** How the process of QEMU ended. */
export interface Ending {
  /** The exit code; null after a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly reason?: EndReason;
}

/** Why a machine ended, unless the guest powered off or the user of the machine killed it. */
export type Failure = Exclude<EndReason, { readonly kind: 'killed' }>;

/** The address of the guest on QEMU's user network. */
const guestAddress = '10.0.2.15';

/** The address at which a guest reaches ports of this machine. Nothing else is reachable from it. */
export const hostAddress = '10.0.2.100';

// Ports of this machine that QEMU forwards to TCP ports of a guest on its user network. QEMU chooses free
// ports: a port chosen beforehand could be taken by another process before QEMU binds it.

/**
 * Returns the options of the network back end by which a guest reaches these ports of this machine's 127.0.0.1. QEMU runs
 * the command for each connection: it would open one of its own only once.
 */
export function reachOptions(ports: readonly number[]): readonly string[] {
  return ports.map((port) => `guestfwd=tcp:${hostAddress}:${port}-cmd:busybox nc 127.0.0.1 ${port}`);
}

/** Returns the options of the network back end that forward to these ports of the guest. */
export function forwardOptions(guestPorts: readonly number[]): readonly string[] {
  return guestPorts.map((port) => `hostfwd=tcp:127.0.0.1:0-${guestAddress}:${port}`);
}

/** Returns the ports that QEMU chose, by the guest's port. */
async function chosenPorts(qmp: Qmp): Promise<ReadonlyMap<number, number>> {
  const table = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
  return new Map(
    [...String(table).matchAll(/HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +\S+ +(\d+)/g)].map(
      ([, hostPort, guestPort]) => [Number(guestPort), Number(hostPort)],
    ),
  );
}
