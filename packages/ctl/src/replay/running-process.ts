import { AgentService } from '@kata-agent/protocol/agent';
import type { Phase } from '@kata-agent/catalogue';
import { CallError } from '../connection/call-error.js';
import type { CallRecord } from './call-record.js';
import type { Runtime } from './runtime.js';

export interface ProcessTarget {
  readonly containerId: string;
  readonly execId: string;
}

export interface ProcessAttachment {
  readonly phase: Phase;
  readonly about: string;
  readonly runtime: Runtime;
  readonly terminal: boolean;
  readonly stdin?: string | undefined;
}

/** As much as the runtimes read at once. */
const readBytes = 32 * 1024;

/**
 * A started process as a runtime looks after it: both streams are read to their ends, two reads in flight on one
 * connection, and only then is it waited for.
 */
export class RunningProcess {
  readonly #record: CallRecord;
  readonly #target: ProcessTarget;
  readonly #attachment: ProcessAttachment;
  #stdout = '';
  #stderr = '';
  #changed: (() => void)[] = [];
  /** The exit code. */
  readonly exit: Promise<number>;

  constructor(record: CallRecord, target: ProcessTarget, attachment: ProcessAttachment) {
    this.#record = record;
    this.#target = target;
    this.#attachment = attachment;
    this.exit = this.#follow();
    // Whoever asks gets the error; nobody has to ask.
    this.exit.catch(() => undefined);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when there is more output, or when the process has ended. */
  changed(): Promise<void> {
    return Promise.race([
      new Promise<void>((resolve) => this.#changed.push(resolve)),
      this.exit.then(
        () => undefined,
        () => undefined,
      ),
    ]);
  }

  async #follow(): Promise<number> {
    const { phase, about, terminal, stdin } = this.#attachment;
    const input = stdin === undefined ? Promise.resolve() : this.#write(Buffer.from(stdin));
    await Promise.all([
      input,
      this.#read('readStdout', (text) => {
        this.#stdout += text;
      }),
      // With a terminal, both streams are one.
      terminal
        ? undefined
        : this.#read('readStderr', (text) => {
            this.#stderr += text;
          }),
    ]);
    const reply = await this.#record.call({ phase, about }, AgentService.method.waitProcess, {
      ...this.#target,
    });
    return reply.status;
  }

  /** An error ends the copy, and the process is then waited for. */
  async #read(name: 'readStdout' | 'readStderr', take: (text: string) => void): Promise<void> {
    const method = AgentService.method[name];
    const { phase, about } = this.#attachment;
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { data } = await this.#record.quiet(method, { ...this.#target, len: readBytes });
        if (data.length === 0) break;
        take(decoder.decode(data, { stream: true }));
        for (const tell of this.#changed.splice(0)) tell();
      }
      this.#record.note({ phase, about, method: method.name, status: 'OK' });
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const { status, said } = error;
      this.#record.note({ phase, about, method: method.name, status, said });
    }
  }

  /** The runtime in Go closes by CloseStdin, runtime-rs by a write of nothing. */
  async #write(data: Buffer): Promise<void> {
    const { phase, about, runtime } = this.#attachment;
    const { writeStdin, closeStdin } = AgentService.method;
    for (let offset = 0; offset < data.length; ) {
      const piece = data.subarray(offset, offset + readBytes);
      const { len } = await this.#record.call({ phase, about }, writeStdin, { ...this.#target, data: piece });
      offset += len;
    }
    if (runtime === 'go') await this.#record.call({ phase, about }, closeStdin, { ...this.#target });
    else await this.#record.call({ phase, about }, writeStdin, { ...this.#target, data: Buffer.alloc(0) });
  }
}
