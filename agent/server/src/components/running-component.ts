import { searchPath } from '@kata-agent/linux';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, lstatSync, rmSync } from 'node:fs';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import type { Component } from './load-guest-components.js';
import { logLines } from './component-lines.js';

/** How often the socket of a component is looked for, in ms. */
const lookEveryMs = 50;
/** How long a component may take to end after SIGTERM, in ms. */
const endMs = 2_000;

/** A guest component that was started. It is not started again: what it held in memory is gone, and who needs it must know. */
export class RunningComponent {
  readonly id: string;
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #end: string | undefined;
  #stopping = false;

  private constructor(id: string, child: ChildProcess, log: Log) {
    this.id = id;
    this.#child = child;
    this.#gone = new Promise((resolve) => {
      const ended = (how: string): void => {
        if (this.#end !== undefined) return;
        this.#end = how;
        if (!this.#stopping) log('error', 'a guest component has ended', { component: id, end: how });
        resolve();
      };
      child.once('error', (error) => ended(error.message));
      child.once('exit', (code, signal) =>
        ended(code === null ? `killed by ${signal ?? 'a signal'}` : `exit code ${code}`),
      );
    });
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) logLines(stream, id, log);
  }

  /** Starts a component, and waits for its socket. @throws CannotApply */
  static async start(component: Component, log: Log): Promise<RunningComponent> {
    const { id, path, args, config, env, waitSocket } = component;
    const configArgs = config !== undefined && existsSync(config) ? ['-c', config] : [];
    if (waitSocket !== undefined) removeSocket(id, waitSocket);
    const child = spawn(path, [...args, ...configArgs], {
      cwd: '/',
      // https://no-color.org: no escapes for a terminal in its lines.
      env: { PATH: searchPath, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running = new RunningComponent(id, child, log);
    try {
      await running.#ready(component);
    } catch (error) {
      await running.stop();
      throw error;
    }
    log('info', 'a guest component is started', { component: id, program: path });
    return running;
  }

  /** How it ended; undefined: it runs. */
  get end(): string | undefined {
    return this.#end;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#end !== undefined) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endMs);
    await this.#gone;
    clearTimeout(timer);
  }

  async #ready({ id, path, waitSocket, timeoutMs }: Component): Promise<void> {
    // The error of a program that cannot be run comes in the next turn of the event loop.
    await new Promise(setImmediate);
    const deadline = performance.now() + timeoutMs;
    while (this.#end === undefined) {
      if (waitSocket === undefined || timeoutMs === 0 || isSocket(waitSocket)) return;
      if (performance.now() >= deadline)
        throw new CannotApply(
          `guest component ${id}: ${waitSocket} is not there after ${timeoutMs / 1000} s`,
          {
            help: 'see its messages above, or set a longer launch_process_timeout',
          },
        );
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
    throw new CannotApply(`guest component ${id} (${path}) has ended at its start: ${this.#end}`, {
      help: 'see its messages above',
    });
  }
}

/** A socket of an earlier start would look as if the component were ready. */
function removeSocket(id: string, path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CannotApply(`guest component ${id}: ${path} cannot be removed: ${reason}`, { cause: error });
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}
