import { searchPath } from '@kata-agent/linux';
import { spawn } from 'node:child_process';
import { GuestError } from '../guest-error.js';

/** An external program of the guest, and its Debian package. */
export interface Tool {
  readonly program: string;
  readonly package: string;
}

export interface ToolRun {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs external programs. Tests run them in a network namespace. */
export interface Tools {
  /** Runs to the end. Throws `precondition` when the program is missing, `internal` when it takes over 30 seconds. */
  run(tool: Tool, args: readonly string[], input?: Uint8Array): Promise<ToolRun>;
}

const timeoutMs = 30_000;

/** A list of ten thousand rules or routes has a megabyte or two. */
const maxOutput = 64 * 1024 * 1024;

/** The environment of external programs: nothing of the agent's own, and untranslated messages. */
const environment = { PATH: searchPath, LC_ALL: 'C' };

/** Runs programs by argument vector: no shell ever parses a word of a request. */
export class SystemTools implements Tools {
  readonly #prefix: readonly string[];

  /** `prefix`: words before the program, such as `ip netns exec NAME`. */
  constructor(prefix: readonly string[] = []) {
    this.#prefix = prefix;
  }

  async run(tool: Tool, args: readonly string[], input?: Uint8Array): Promise<ToolRun> {
    const [program = tool.program, ...rest] = [...this.#prefix, tool.program, ...args];
    const child = spawn(program, rest, { env: environment, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
    // EPIPE is not an error: a program may exit without reading its input, and its exit status decides.
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    try {
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      });
      const [status, stdout, stderr] = await Promise.all([
        ended,
        collect(child.stdout),
        collect(child.stderr),
      ]);
      if (status === null) {
        throw new GuestError('internal', `${tool.program} did not end within ${timeoutMs / 1000} seconds`);
      }
      return { status, stdout, stderr: stderr.toString().trim() };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      const message = `${tool.program} is not in this guest; help: install it (apt-get install ${tool.package})`;
      throw new GuestError('precondition', message, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxOutput) throw new GuestError('exhausted', `a tool wrote more than ${maxOutput} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
