import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyWithout } from './prerequisites.js';
import { endWithTests } from './end-with-tests.js';

/** Returns why tests with a TPM cannot run here; undefined if they can. See whyWithout. */
export function whyNoTpm(): string | undefined {
  return whyWithout('swtpm', 'tpm2-tools');
}

/** A software TPM for one test, with registers of zeros. */
export class SoftTpm {
  /** Its address for tpm2-tools. */
  readonly transport: string;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(directory: string, socket: string, child: ChildProcess) {
    this.#directory = directory;
    this.transport = `swtpm:path=${socket}`;
    this.#process = child;
  }

  static async start(): Promise<SoftTpm> {
    const directory = mkdtempSync(join(tmpdir(), 'kata-agent-tpm-'));
    const socket = join(directory, 'socket');
    mkdirSync(join(directory, 'state'));
    const child = spawn(
      'swtpm',
      [
        'socket',
        '--tpm2',
        '--tpmstate',
        `dir=${join(directory, 'state')}`,
        '--server',
        `type=unixio,path=${socket}`,
        '--ctrl',
        `type=unixio,path=${socket}.ctrl`,
        '--flags',
        'not-need-init,startup-clear',
      ],
      { stdio: 'ignore' },
    );
    await answers(`${socket}.ctrl`, child);
    return new SoftTpm(directory, socket, endWithTests(child));
  }

  /** Returns the value of a register in a bank, in lower-case hex. */
  read(bank: string, pcr: number): string {
    const text = this.tool('tpm2_pcrread', [`${bank}:${pcr}`]);
    return /0x([\dA-F]+)/.exec(text)?.[1]?.toLowerCase() ?? '';
  }

  /** Runs a command of tpm2-tools on it. */
  tool(command: string, args: readonly string[]): string {
    return execFileSync(command, args, {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], TPM2TOOLS_TCTI: this.transport },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill();
      await exited;
    }
    rmSync(this.#directory, { recursive: true });
  }
}

/** Waits until the child listens on a socket. */
async function answers(path: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const socket = connect(path);
    const refusal = await once(socket, 'connect').then(
      () => undefined,
      (error: Error) => error,
    );
    socket.destroy();
    if (refusal === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`swtpm ended with ${child.exitCode} before it listened`);
}
