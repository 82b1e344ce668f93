import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { searchPath } from '@kata-agent/linux';
import type { DeviceNumber } from '../device/device-number.js';
import { GuestError } from '../guest-error.js';
import { mediaProgram } from '../media/media-threads.js';
import { type DiskProgramOptions, refusalPipe } from './disk-program.js';
import type { Tool } from './tools.js';

/** A program that works on a disk of the host. */
export interface DiskTool extends Tool {
  readonly args: readonly string[];
  /** Files that it reads, of those that the guest has. */
  readonly files: readonly string[];
}

export interface DiskProgramLimits {
  /** A program that has not ended by then is killed. */
  readonly milliseconds: number;
  /** Programs that have not ended: those that were killed end when the host answers. */
  readonly running: number;
}

const defaultLimits: DiskProgramLimits = { milliseconds: 30_000, running: 8 };
const outputLength = 4096;
/** Without a compiler V8 reserves no memory for code; the process makes some thirty system calls. */
const nodeOptions: readonly string[] = [
  '--jitless',
  '--max-old-space-size=32',
  '--max-semi-space-size=2',
  '--no-warnings',
];

/** Node.js 20 says that there is no WebAssembly without a compiler. */
const compilerWarning = /^Warning: disabling flag --expose_wasm .*\n/;

/**
 * Runs programs on disks of the host, whose content they parse: each in a process that has that disk and nothing else, so that one that
 * is taken over reaches nothing (S42).
 */
export class DiskPrograms {
  readonly #limits: DiskProgramLimits;
  #running = 0;

  constructor(limits: Partial<DiskProgramLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  /**
   * Runs a program to its end, with the disk as its last argument.
   *
   * @throws GuestError `precondition`: the program is missing; `deadline`: it did not end in time; `exhausted`: too many have not ended;
   * `internal`: it failed, or could not be confined
   */
  async run(tool: DiskTool, disk: DeviceNumber): Promise<void> {
    const { milliseconds, running } = this.#limits;
    if (this.#running >= running)
      throw new GuestError(
        'exhausted',
        `${this.#running} programs still wait for the disks of the host; help: repeat the call when the host answers again`,
      );
    const options: DiskProgramOptions = {
      path: pathOf(tool),
      name: tool.program,
      args: tool.args,
      files: tool.files.filter((path) => existsSync(path)),
      disk,
      milliseconds,
      parent: process.pid,
    };
    const program = fileURLToPath(mediaProgram());
    const child = spawn(process.execPath, [...nodeOptions, program, JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: { LC_ALL: 'C' },
      cwd: '/',
    });
    this.#running += 1;
    child.once('close', () => (this.#running -= 1));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        leave(child);
        const message = `${tool.program} did not end within ${milliseconds / 1000} seconds; help: look at what serves the disk on the host`;
        reject(new GuestError('deadline', message));
      }, milliseconds);
    });
    try {
      await Promise.race([ended(tool, child), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Kills a process without waiting for it: one that waits for the disk ends when the host answers. */
function leave(child: ChildProcess): void {
  child.kill('SIGKILL');
  child.unref();
  for (const each of child.stdio) if (each instanceof Socket) each.unref();
}

function pathOf(tool: Tool): string {
  const path = searchPath
    .split(':')
    .map((directory) => join(directory, tool.program))
    .find((each) => existsSync(each));
  if (path !== undefined) return realpathSync(path);
  throw new GuestError(
    'precondition',
    `${tool.program} is not in this guest; help: install it (apt-get install ${tool.package})`,
  );
}

async function ended({ program }: Tool, child: ChildProcess): Promise<void> {
  const [printed, refused] = [beginOf(child.stderr), beginOf(child.stdio[refusalPipe])];
  const how = await new Promise<string | number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (refused.text !== '')
    throw new GuestError('internal', `${program} cannot be confined: ${refused.text.trim()}`);
  if (how === 0) return;
  const output = printed.text.replace(compilerWarning, '').trim();
  throw new GuestError(
    'internal',
    `${program} ended with ${typeof how === 'number' ? `exit code ${how}` : how}${output === '' ? '' : `: ${output}`}`,
  );
}

/** Keeps the beginning of what a stream has. */
function beginOf(stream: unknown): { text: string } {
  const kept = { text: '' };
  (stream as NodeJS.ReadableStream).setEncoding('utf8').on('data', (chunk: string) => {
    kept.text = (kept.text + chunk).slice(0, outputLength);
  });
  return kept;
}
